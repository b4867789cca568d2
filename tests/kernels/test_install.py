"""The C library as other programs get it: installed, found by CMake, and used from plain C."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernels.compiler.wire import encode_plan
from kernels.runtime import Engine, Plan
from tests.kept import kept
from tests.kernels.plans import every_branch

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "kernels" / "runtime" / "examples"
WIDTH, HEIGHT = 37, 22


def tool(name: str, package: str) -> str:
    """A program of the machine or of this Python's environment; skips where there is none."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return found


def run(*command: str | Path) -> None:
    """Run to the end; what the program said is shown where it failed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def sources() -> list[Path]:
    """All that the installed library is made of."""
    folders = [
        ROOT / "kernels" / "runtime",
        ROOT / "kernels" / "cmake",
        ROOT / "client_sdk" / "core",
    ]
    suffixes = {".cpp", ".h", ".cmake", ".in", ".map"}
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes]
    lists = [folder / "CMakeLists.txt" for folder in (ROOT, ROOT / "kernels", folders[2])]
    return [*lists, *sorted(files)]


@functools.cache
def installed() -> Path:
    """The prefix; kept in `.cache/native` by the hash of the sources, for a build takes a while."""
    cmake, ninja, gxx = tool("cmake", "cmake"), tool("ninja", "ninja-build"), tool("g++", "g++")

    def make(prefix: Path) -> None:
        build = prefix.with_name(f"{prefix.name}.build")
        run(
            *(cmake, "-S", ROOT, "-B", build, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"),
            *(f"-DCMAKE_CXX_COMPILER={gxx}", "-DCMAKE_INSTALL_LIBDIR=lib"),
        )
        run(cmake, "--build", build, "--parallel", "2")
        run(cmake, "--install", build, "--prefix", prefix)
        shutil.rmtree(build)

    return kept("install", [path.read_bytes() for path in sources()], make)


def check_example(program: Path, folder: Path) -> None:
    """`program` upscales two frames to the very bytes that the Python binding gives."""
    wire = encode_plan(every_branch())
    (folder / "expert.plan").write_bytes(wire)
    rng = np.random.default_rng(0)
    sizes = [(HEIGHT, WIDTH)] + [((HEIGHT + 1) // 2, (WIDTH + 1) // 2)] * 2
    frames = [[rng.integers(0, 256, size, dtype=np.uint8) for size in sizes] for _ in range(2)]
    done = subprocess.run(
        [program, folder / "expert.plan", str(WIDTH), str(HEIGHT)],
        input=b"".join(plane.tobytes() for planes in frames for plane in planes),
        capture_output=True,
        check=True,
    )
    engine, plan = Engine(1), Plan(wire)
    wanted = [engine.upscale(planes, plan.scale, plans=[plan]) for planes in frames]
    shown = np.frombuffer(done.stdout, np.uint8)
    flat = np.concatenate([plane.ravel() for planes in wanted for plane in planes])
    assert shown.shape == flat.shape
    # Compilers differ in rounding by one code value at most.
    assert np.abs(shown.astype(int) - flat.astype(int)).max() <= 1


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_cmake_finds_the_installed_package(static: bool, tmp_path: Path) -> None:
    prefix, cmake, ninja = installed(), tool("cmake", "cmake"), tool("ninja", "ninja-build")
    tool("gcc", "gcc")
    run(
        *(cmake, "-S", EXAMPLES, "-B", tmp_path, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"),
        *(f"-DCMAKE_PREFIX_PATH={prefix}", f"-DUSE_STATIC={int(static)}"),
        "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror",
        "-DCMAKE_C_COMPILER=gcc",
        "-DCMAKE_CXX_COMPILER=g++",
    )
    run(cmake, "--build", tmp_path)
    check_example(tmp_path / "upscale", tmp_path)


def test_a_c_compiler_alone_builds_the_example(tmp_path: Path) -> None:
    prefix, gcc = installed(), tool("gcc", "gcc")
    program = tmp_path / "upscale"
    run(
        *(gcc, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", EXAMPLES / "upscale.c"),
        *(f"-I{prefix / 'include'}", f"-L{prefix / 'lib'}", f"-Wl,-rpath,{prefix / 'lib'}"),
        *("-lcrispcast", "-o", program),
    )
    check_example(program, tmp_path)


def test_the_example_refuses_what_is_no_plan(tmp_path: Path) -> None:
    prefix, gcc = installed(), tool("gcc", "gcc")
    program, plan = tmp_path / "upscale", tmp_path / "expert.plan"
    run(
        *(gcc, "-std=c11", EXAMPLES / "upscale.c", f"-I{prefix / 'include'}"),
        *(f"-L{prefix / 'lib'}", f"-Wl,-rpath,{prefix / 'lib'}", "-lcrispcast", "-o", program),
    )
    plan.write_bytes(b"PNG")
    done = subprocess.run([program, plan, "8", "8"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "these bytes are not a plan" in done.stderr


def test_only_the_documented_functions_are_exported() -> None:
    library = installed() / "lib" / "libcrispcast.so"
    listing = subprocess.run(
        [tool("nm", "binutils"), "-D", "--defined-only", library],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    exported = {line.split()[-1] for line in listing.splitlines()}
    headers = sorted((installed() / "include").glob("*.h"))
    assert [path.name for path in headers] == ["crispcast.h", "crispcast_session.h"]
    header = "".join(path.read_text() for path in headers)
    assert {"crispcast_upscale", "crispcast_session_upscale"} <= exported
    assert {name for name in exported if not name.startswith("crispcast_")} == set()
    assert {name for name in exported if f"{name}(" not in header} == set()


def test_the_documentation_shows_the_example() -> None:
    page = (ROOT / "docs" / "c-api.md").read_text(encoding="utf-8")
    shown = page.partition("Its heart")[2].partition("```c\n")[2].partition("```")[0]
    program = " ".join((EXAMPLES / "upscale.c").read_text(encoding="utf-8").split())
    statements = [line.strip() for line in shown.splitlines() if line.strip()]
    assert statements
    assert [line for line in statements if line not in program] == []
