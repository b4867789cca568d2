from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]

class Task:
    """What a session is to do or to know; fields that its kind does not name are empty."""

    @property
    def kind(self) -> int:
        """A `TaskKind`."""

    @property
    def status(self) -> int:
        """Why it was refused; `sentence` explains it."""

    @property
    def sha256(self) -> str:
        """An asset, 64 hexadecimal digits."""

    @property
    def id(self) -> str:
        """A shipped base, 32 hexadecimal digits."""

    @property
    def data(self) -> bytes:
        """What to send, store, decode or verify, or the manifest as it came."""

    @property
    def text(self) -> str:
        """One sentence, or empty."""

    @property
    def offset(self) -> int:
        """From which byte on the asset is to be fetched."""

    @property
    def total(self) -> int:
        """Bytes of the whole asset."""

    @property
    def width(self) -> int:
        """Of a picture, in samples."""

    @property
    def height(self) -> int:
        """Of a picture, in samples."""

    @property
    def rung(self) -> int:
        """For which it is needed first; -1: none."""

    @property
    def segment(self) -> int:
        """For which it is needed first; -1: none."""

    @property
    def frame(self) -> int:
        """The frame number by which it is needed; -1: none."""

    @property
    def count(self) -> int:
        """Of late assets, or of frames that were sent; or a question's number."""

class Result:
    """What came of a frame."""

    @property
    def planes(self) -> Planes | None:
        """The HR frame, of the source's size; None where it is not shown."""

    @property
    def frame(self) -> int:
        """Its frame number; -1: not known."""

    @property
    def rung(self) -> int:
        """The rung that it came from."""

    @property
    def segment(self) -> int:
        """Its segment; -1: not known."""

    @property
    def shown(self) -> bool:
        """False: it only leads to a frame that was sought."""

    @property
    def landed(self) -> bool:
        """Whether it is the first that is shown after a seek."""

    @property
    def super_resolved(self) -> bool:
        """A network made some of it and no plan that it wanted was missing."""

    @property
    def late(self) -> bool:
        """Something that its segment needs was not there in time."""

    @property
    def follows(self) -> bool:
        """The frame before it in its segment was the one before this call."""

    @property
    def missing(self) -> int:
        """How many assets of its segment have not come."""

class Session:
    """One play of a stream. One thread at a time; a call meanwhile raises StreamError."""

    def __init__(
        self,
        *,
        threads: int = 0,
        isa: str = "auto",
        delivery: int = 0,
        cache: bool = False,
        plain: bool = False,
        loops: bool = False,
        offline: bool = False,
        horizon: float = 0.0,
        memory_limit: int = 0,
        trust: str | None = None,
        http_from: int = 0,
    ) -> None:
        """Zero: the default, as of crispcast_session_options. Raises StreamError.

        `trust`: public keys, of which one must have signed the manifest; None: signatures are not
        asked for.
        """

    def close(self) -> None:
        """End it; every call after that raises StreamError."""

    def manifest(self, data: bytes, rung: int = 0, signature: str | None = None) -> None:
        """Begin with a manifest that did not come over a channel. Raises PackageError."""

    def verified(self, question: int, answer: bool | None) -> None:
        """The answer to VERIFY, whose `count` the question is. None: this machine cannot tell."""

    def connected(self) -> None:
        """A data channel is open."""

    def disconnected(self) -> bool:
        """The connection is lost; whether the last frame of the video was shown."""

    def message(self, text: bytes) -> None:
        """A control message came, as UTF-8. Raises StreamError on a bad one, and passes it over."""

    def frame_bytes(self, data: bytes) -> None:
        """A binary message came: a piece of an asset. Raises StreamError on a bad one."""

    def piece(self, sha256: str, offset: int, data: bytes) -> None:
        """A piece of an asset that a task FETCH asked for. Raises StreamError on a bad one."""

    def asset(self, sha256: str, data: bytes) -> None:
        """A whole asset. Raises StreamError where it is damaged or refused, or nobody needs it."""

    def lacks(self, sha256: str) -> None:
        """The cache does not hold it, or it could not be fetched."""

    def picture(self, sha256: str, samples: Plane | None) -> None:
        """The answer to DECODE. None: it cannot be decoded. Raises StreamError on another size."""

    def base(self, id: str, data: bytes | None) -> None:
        """A shipped base by its id. None: there is none. Raises StreamError on wrong bytes."""

    def next_task(self, now_ms: int) -> Task | None:
        """The next thing to do; None: nothing for now."""

    def seek(self, frame: int) -> None:
        """Go on there. Raises PackageError outside the video, StreamError in a channel."""

    def pause(self, on: bool) -> None:
        """The server sends nothing until it is off again."""

    def loop(self, on: bool) -> None:
        """Begin again at the end, or not."""

    def choose_rung(self, rung: int | None) -> None:
        """Play this rung from the next segment on; None: whichever the server sees fit."""

    def report(self, upscale_ms: float, fps: float, interpolating: bool) -> None:
        """Tell the server how it goes."""

    def leave(self) -> None:
        """Say goodbye."""

    def figures(self) -> dict[str, int]:
        """Counts since the beginning, as of crispcast_session_figures."""

    def isa(self) -> str:
        """The engine's instruction set. Raises StreamError before the manifest is here."""

    def ready(self, rung: int, segment: int) -> bool:
        """Whether all that the segment needs is prepared or refused."""

    def coded(self, rtp_time: int, av1: bool, unit: bytes) -> None:
        """A coded frame, before it is decoded: read the identity in it, if there is one."""

    def identify(self, rtp_time: int, payload: bytes) -> None:
        """The user data of a SEI message that the decoder hands out, the UUID first."""

    def upscale(
        self,
        lr: Sequence[Plane],
        *,
        rtp_time: int | None = None,
        number: int | None = None,
        rung: int = 0,
        networks: bool = True,
        columns: int = 0,
    ) -> Result:
        """The HR frame of LR planes Y, U and V, u8.

        Without `rtp_time`, `number` and `rung` say which frame it is; None: not known. Without
        `networks` it is interpolated, and so are so many LR `columns` from the left. Raises
        PackageError on planes of another size.
        """

def sentence(status: int) -> str:
    """One sentence for a status."""
