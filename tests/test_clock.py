"""The time of day, which may be set at any moment, is asked for only where it is told to others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("kernels", "client_sdk", "overfit", "server", "mobile_export")
TOLD = {
    "client_sdk/contract/steady_clock.py",  # once, at the start
    "server/logs.py",
    "server/whep.py",  # when a TURN server's credentials expire
}
ASKING = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"}


def asking(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            if f"{name}.{node.attr}" in ASKING:
                yield f"{name}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{alias.name}" for alias in node.names if alias.name == "time")


def test_no_connection_is_made_without_the_steady_clock() -> None:
    making = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "RTCPeerConnection(" in path.read_text(encoding="utf-8")
    }
    assert making >= {"server/viewer.py", "client_sdk/receiving.py"}
    for name in making:
        assert "steady_clock.install()" in (ROOT / name).read_text(encoding="utf-8"), name


def test_nothing_else_depends_on_the_time_of_day() -> None:
    found = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if any(asking(path))
    }
    assert found <= TOLD
    assert "server/whep.py" in found
