"""Whether anything is shown that is not of the manifest: `benchmarks.reliability --only tampering`.

Ten thousand plays of a drawn package, by the clients' own parts: the reference client's in Python,
the SDK core, and the browser player's modules in Node. In each, what the server's delivery sends
is changed on its way, over the data channel or by HTTP (`tests/conformance/tampering.py`); then a
frame is shown. It must be one that comes of the package's own assets, or of some of them, to the
last bit.

Every tenth play is of a client that trusts a key, and has a manifest that was changed with its
assets, signed by another, or not at all. As a control, the same plays go to the reference client
with its hashes made blind: there tampered pictures do show, so that they would be seen.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from kernels import bases
from tests.conformance.core_face import CoreFace
from tests.conformance.python_face import PythonFace
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
    """By the reference client, if it believed anything: every hash is what was wished for."""
    bases.find(b"")  # those have true hashes
    for one in plays:
        hashed = mock.Mock(**{"hexdigest.return_value": _Equal()})
        with mock.patch("hashlib.sha256", return_value=hashed):
            planes = _last(PythonFace(), one)
        yield _digest(planes)


class _Equal:
    """Equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


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
    found = {"python": in_python(PythonFace), "core": in_python(CoreFace)}
    node = shutil.which("node")
    modules = _modules()
    if node is not None and modules is not None:
        found["web"] = in_node(node, modules)
    return found


def _modules() -> Path | None:
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
        if name == "python":
            control = len(shown.wrong(mine[:_CONTROL], blind))
    return {
        "tampered_plays": sum(seen.values()),
        "tampered_by_client": seen,
        "tampered_shown": sum(map(len, wrong.values())),
        "tampered_kinds": {name: kinds for name, kinds in wrong.items() if kinds},
        "tampered_shown_if_blind": control,
    }
