"""The SDK core by its Python binding, played by steps."""

from __future__ import annotations

from typing import Any

from client_sdk.cache import AssetCache
from client_sdk.contract.plate import decode_plate
from client_sdk.contract.signing import is_signed
from client_sdk.core import Delivery, Session, Task, TaskKind
from kernels import bases
from kernels.errors import CrispcastError, PackageError
from tests.conformance.python_face import Outcome, planes_of


class CoreFace:
    """Plays the steps of a case; each gives its outcome."""

    def __init__(self, isa: str = "portable") -> None:
        self._isa = isa
        self._cache = AssetCache()
        self._asked: list[str] = []
        self._now = 0

    def play(self, step: dict[str, Any]) -> Outcome:
        """Do one step and the tasks that follow from it."""
        self._asked = []
        outcome = Outcome({})
        try:
            made = getattr(self, f"do_{step['do']}")(**{k: v for k, v in step.items() if k != "do"})
            outcome = made or outcome
            if step["do"] in ("message", "piece"):
                outcome.facts["refused"] = 0
        except CrispcastError:
            outcome.facts["refused"] = 1
        if step["do"] not in ("base", "picture", "signature"):
            self._now += 40
            while (task := self._session.next_task(self._now)) is not None:
                self._do(task)
        if self._asked:
            outcome.facts["asked"] = self._asked
        return outcome

    def do_open(self, loops: int = 0, trust: str = "") -> None:
        self._session = Session(
            threads=1,
            isa=self._isa,
            delivery=Delivery.CHANNEL,
            cache=True,
            loops=bool(loops),
            trust=trust or None,
        )

    def do_base(self, id: str, bytes: bytes) -> None:
        """The client has the shipped bases itself."""

    def do_signature(self, bytes: bytes) -> None:
        """Signatures are checked here."""

    def do_picture(self, sha256: str, width: int, height: int, bytes: bytes) -> None:
        """Pictures are decoded here."""

    def do_connected(self) -> None:
        self._session.connected()

    def do_message(self, bytes: bytes) -> None:
        self._session.message(bytes)

    def do_piece(self, bytes: bytes) -> None:
        self._session.frame_bytes(bytes)

    def do_identify(self, rtp: int, bytes: bytes) -> None:
        self._session.identify(rtp, bytes)

    def do_coded(self, rtp: int, av1: int, bytes: bytes) -> None:
        self._session.coded(rtp, bool(av1), bytes)

    def do_seek(self, frame: int) -> None:
        self._session.seek(frame)

    def do_frame(self, rtp: int, width: int, height: int, bytes: bytes, flags: int = 0) -> Outcome:
        lr = planes_of(bytes, width, height)
        made = self._session.upscale(lr, rtp_time=rtp, networks=not flags & 1)
        facts: dict[str, Any] = {"number": made.frame}
        if made.planes is None:
            return Outcome({**facts, "shown": 0})
        facts |= {
            "rung": made.rung,
            "shown": 1,
            "landed": int(made.landed),
            "super_resolved": int(made.super_resolved),
            "late": int(made.late),
        }
        return Outcome(facts, b"".join(plane.tobytes() for plane in made.planes))

    def _do(self, task: Task) -> None:
        match task.kind:
            case TaskKind.SEND:
                self._asked += [part[:16] for part in task.data.decode().split('"sha256":"')[1:]]
            case TaskKind.LOOK:
                data = self._cache.get(task.sha256)
                if data is None:
                    self._session.lacks(task.sha256)
                else:
                    self._session.asset(task.sha256, data)
            case TaskKind.STORE:
                self._cache.put(task.sha256, task.data)
            case TaskKind.DECODE:
                try:
                    luma = decode_plate(task.data, task.width, task.height)
                except PackageError:
                    luma = None
                self._session.picture(task.sha256, luma)
            case TaskKind.BASE:
                self._session.base(task.id, bases.find(bytes.fromhex(task.id)))
            case TaskKind.VERIFY:
                data = task.data
                self._session.verified(task.count, is_signed(data[:32], data[32:96], data[96:]))
            case _:
                pass  # to know
