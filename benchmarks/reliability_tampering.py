"""Whether anything is shown that is not of the manifest: `benchmarks.reliability --only tampering`.

Ten thousand plays of a drawn package, by the clients' own parts: the SDK core as the Python client
has it, and the browser player's modules in Node. In each, what the server's delivery sends
is changed on its way, over the data channel or by HTTP (`tests/conformance/tampering.py`); then a
frame is shown. It must be one that comes of the package's own assets, or of some of them, to the
last bit.

Every tenth play is of a client that trusts a key, and has a manifest that was changed with its
assets, signed by another, or not at all. As a control, the same plays go to a client that takes
every asset for what its name says: there tampered pictures do show, so that they would be seen.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from client_sdk.asset_tasks import AssetTasks
from client_sdk.contract.asset_frames import decode_frame
from client_sdk.core import Session
from kernels.errors import CrispcastError, PackageError, StreamError
from tests.conformance.core_face import CoreFace, planes_of
from tests.conformance.package import STARTS, sha
from tests.conformance.tampering import Play, Tamperer

ROOT = Path(__file__).parents[1]
TARGETS: Mapping[str, tuple[str, float]] = {"tampered_shown": ("<=", 0)}
PLAYS = 10_000
_QUICK = 60
_CONTROL = 300  # plays at most
_FORGED = 10  # of so many plays, one has a forged manifest, for a client that trusts a key
Player = Callable[[Iterable[Play]], Iterator[str]]
"""Plays, and the picture that each of them shows, by its digest."""


def in_python(face: Callable[[], Any]) -> Player:
    """By a face in Python."""

    def play(plays: Iterable[Play]) -> Iterator[str]:
        for one in plays:
            yield _digest(_last(face(), one))

    return play


def blind(plays: Iterable[Play]) -> Iterator[str]:
    """By a client that believes anything: what comes under a name is what the name says."""
    for one in plays:
        yield _digest(_believed(one))


def _believed(one: Play) -> bytes:
    """What the last frame is with whatever came, once the manifest is made to fit it."""
    came: dict[str, bytearray] = {}
    for step in one.steps:
        with contextlib.suppress(StreamError):
            if step["do"] == "piece":
                piece = decode_frame(step["bytes"])
                came.setdefault(piece.sha256, bytearray())[piece.offset :] = piece.data
    (name,) = {str(step["text"]["sha256"]) for step in one.steps if "text" in step}
    text = bytes(came.pop(name)).decode()
    for asset, data in came.items():
        text = text.replace(asset, sha(bytes(data)))
    tree = json.loads(text)
    for data in came.values():
        if sha(bytes(data)) in tree["assets"]:
            tree["assets"][sha(bytes(data))]["bytes"] = len(data)
    session = Session(threads=1, isa="portable", offline=True)
    try:
        session.manifest(json.dumps(tree).encode())
    except PackageError:
        return b""  # one asset has become what is of two kinds
    tasks = AssetTasks(session)
    for data in came.values():
        with contextlib.suppress(CrispcastError):
            session.asset(sha(bytes(data)), bytes(data))
        while (task := session.next_task(0)) is not None:
            with contextlib.suppress(CrispcastError):
                tasks.do(task)
    shown = one.steps[-1]
    lr = planes_of(shown["bytes"], shown["width"], shown["height"])
    made = session.upscale(lr, number=STARTS[one.segment])
    return b"".join(plane.tobytes() for plane in made.planes or ())


def _last(face: Any, one: Play) -> bytes:
    """The planes that the play's last step shows; none where it shows none."""
    planes = b""
    for step in one.steps:
        given = dict(step)
        if "text" in given:
            given["bytes"] = json.dumps(given.pop("text")).encode()
        planes = face.play(given).planes
    return planes


def _digest(planes: bytes) -> str:
    return hashlib.sha256(planes).hexdigest()[:24] if planes else ""


def in_node(node: str, modules: Path) -> Player:
    """By the browser player's modules."""
    code, script = ROOT / "client_sdk" / "web", ROOT / "tests" / "conformance" / "web_face.mjs"

    def play(plays: Iterable[Play]) -> Iterator[str]:
        command = [node, str(script), f"{code.as_uri()}/", f"{modules.as_uri()}/", "-", "0"]
        running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert running.stdin is not None
        assert running.stdout is not None
        with running:
            for one in plays:
                running.stdin.write(json.dumps([_as_json(step) for step in one.steps]).encode())
                running.stdin.write(b"\n")
                running.stdin.flush()
                line = running.stdout.readline()
                if not line:
                    raise RuntimeError(f"the player's modules broke off at a play of {one.kind}")
                yield line.decode().strip()
            running.stdin.close()

    return play


def _as_json(step: dict[str, Any]) -> dict[str, Any]:
    given = dict(step)
    if "bytes" in given:
        given["base64"] = base64.b64encode(given.pop("bytes")).decode()
    return given


class Shown:
    """What a client may show of each segment, and what it shows beyond that."""

    def __init__(self, tamperer: Tamperer, player: Player) -> None:
        self._player = player
        self._own: dict[int, set[str]] = {}
        plays = list(tamperer.subsets())
        for one, picture in zip(plays, player(plays), strict=True):
            assert picture, "a play of the package's own assets shows nothing"
            self._own.setdefault(one.segment, set()).add(picture)

    @property
    def own(self) -> int:
        """How many pictures may be shown."""
        return sum(map(len, self._own.values()))

    def wrong(self, plays: list[Play], player: Player | None = None) -> list[str]:
        """The kinds of tampering of the plays that show something else."""
        pictures = (player or self._player)(plays)
        return [
            one.kind
            for one, picture in zip(plays, pictures, strict=True)
            if picture and picture not in self._own[one.segment]
        ]


def players(folder: Path) -> dict[str, Player]:
    """The clients that can play here."""
    found = {"core": in_python(CoreFace)}
    node = shutil.which("node")
    modules = web_modules()
    if node is not None and modules is not None:
        found["web"] = in_node(node, modules)
    return found


def web_modules() -> Path | None:
    """Where the runtime's modules for browsers are: an editable install has them elsewhere."""
    spec = importlib.util.find_spec("client_sdk")
    folders = spec.submodule_search_locations if spec is not None else None
    found = [Path(folder) / "web" for folder in folders or ()]
    return next((folder for folder in found if list(folder.glob("*.wasm"))), None)


def measure(folder: Path, quick: bool) -> dict[str, Any]:
    """How many of the plays show what is not of the manifest."""
    tamperer = Tamperer(folder / "package")
    chosen = players(folder)
    plays = _QUICK if quick else PLAYS
    wrong: dict[str, list[str]] = {}
    seen: dict[str, int] = {}
    for turn, (name, player) in enumerate(chosen.items()):
        mine = [
            tamperer.forged(seed) if seed % _FORGED == turn else tamperer.tampered(seed)
            for seed in range(turn, plays, len(chosen))
        ]
        shown = Shown(tamperer, player)
        wrong[name] = shown.wrong(mine)
        seen[name] = len(mine)
        if name == "core":
            control = len(shown.wrong(mine[:_CONTROL], blind))
    return {
        "tampered_plays": sum(seen.values()),
        "tampered_by_client": seen,
        "tampered_shown": sum(map(len, wrong.values())),
        "tampered_kinds": {name: kinds for name, kinds in wrong.items() if kinds},
        "tampered_shown_if_blind": control,
    }
