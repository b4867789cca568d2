"""What each room may import, and what a player and a server must never load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"kernels", "client_sdk", "overfit", "server", "mobile_export"}

MAY_IMPORT = {
    "kernels": set(),
    "client_sdk": {"kernels"},
    # The report and the trial run the client's upscaler, so that they measure what viewers see.
    "overfit": {"kernels", "client_sdk"},
    "server": {"kernels", "client_sdk"},
    "server/encoding": {"kernels", "client_sdk", "overfit"},
    "mobile_export": {"kernels", "client_sdk"},
}
FROM_CLIENT = {
    "client_sdk.contract",
    "client_sdk.upscaler",
    # Publishing is WHEP's other half: the same requests, and the same way to come back.
    "client_sdk.whep",
    "client_sdk.reconnecting",
}
"""What the rooms above use of the client."""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def modules(room: str) -> list[Path]:
    inner = [other for other in MAY_IMPORT if other.startswith(room + "/")]
    return [
        path
        for path in sorted((ROOT / room).rglob("*.py"))
        if not any(path.is_relative_to(ROOT / other) for other in inner)
    ]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    own = room.split("/")[0]
    for path in modules(room):
        for name in imported(path):
            top = name.split(".")[0]
            assert top not in ROOMS - MAY_IMPORT[room] - {own}, f"{path} imports {name}"
            if top == "client_sdk" and own != "client_sdk":
                known = any(name == door or name.startswith(door + ".") for door in FROM_CLIENT)
                assert known, f"{path} imports {name}, which is none of {sorted(FROM_CLIENT)}"


@pytest.mark.parametrize(
    "statement",
    [
        "import crispcast",
        "import client_sdk, client_sdk.session, client_sdk.upscaler",
        "import server.app",
        "import kernels.compiler",
        "import mobile_export, mobile_export.selection",
    ],
)
def test_playing_and_serving_load_no_torch(statement: str) -> None:
    heavy = "{'torch', 'cv2', 'scenedetect', 'matplotlib', 'onnx', 'coremltools', 'overfit'}"
    code = f"import sys; {statement}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_the_command_line_loads_no_room() -> None:
    code = "import sys, crispcast; print(*sorted({'av', 'aiortc', 'numpy'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("arguments", [["encode", "--help"], ["doctor"]])
def test_help_and_doctor_need_nothing_that_may_be_missing(arguments: list[str]) -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(('av', 'aiortc', 'PIL', 'torch', 'cv2'))\n"
        f"import crispcast; crispcast.main({arguments})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
