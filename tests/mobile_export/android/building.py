"""Builds what the Android tests run: the module's library for this machine and for arm64, its Java.

Everything is kept in `.cache/native` by the hash of what it is made of.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.arm64 import library_options
from mobile_export.android_module import MODULE, write_native
from tests.kept import kept

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
KOTLIN = "kotlin-compiler@2.4.20"
UNTRIED = (
    *("-DCMAKE_CXX_COMPILER_FORCED=ON", "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"),
    *("-DCMAKE_CXX_COMPILER_ID=Clang", "-DCMAKE_CXX_COMPILER_ID_RUN=1"),
    *("-DCMAKE_CXX_COMPILER_VERSION=22", "-DCMAKE_CXX_STANDARD_COMPUTED_DEFAULT=17"),
    "-DCMAKE_CXX_EXTENSIONS_COMPUTED_DEFAULT=ON",
)
"""What CMake would try zig for. A program to try it on needs C's and C++'s libraries, which zig
builds for minutes for each target, and libcrispcast.so does without."""


def tool(name: str, package: str) -> str:
    """A program of the machine or of this Python's environment; skips where there is none."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return found


def zig() -> str:
    """ziglang's program; skips where it is not installed."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        pytest.skip("ziglang is missing: pip install ziglang")
    return str(Path(spec.origin).parent / "zig")


def jdk() -> Path:
    """The JDK's folder; skips where there is none with JNI's headers."""
    home = Path(tool("javac", "openjdk-17-jdk-headless")).resolve().parents[1]
    if not (home / "include" / "jni.h").exists():
        pytest.skip("jni.h is missing: apt-get install openjdk-17-jdk-headless")
    return home


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run to the end and give what it said; what failed is shown."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def contents(folder: Path, *suffixes: str) -> list[bytes]:
    """Names and bytes of all files below a folder, in order."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    return [part for path in files for part in (str(path).encode(), path.read_bytes())]


@functools.cache
def cpp() -> Path:
    """The module's src/main/cpp, as an export has it."""
    source = MODULE / "crispcast" / "src" / "main" / "cpp"

    def make(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        write_native(folder)

    runtime, core = ROOT / "kernels" / "runtime", ROOT / "client_sdk" / "core"
    suffixes = (".cpp", ".h", ".txt", ".map")
    parts = [part for at in (source, runtime, core) for part in contents(at, *suffixes)]
    return kept("android-cpp", parts, make)


def native(name: str, *options: str) -> Path:
    """The build folder of libcrispcast.so; objects are left in it."""
    cmake, ninja = tool("cmake", "cmake"), tool("ninja", "ninja-build")
    headers = jdk() / "include"
    source = cpp()

    def make(folder: Path) -> None:
        run(
            *(cmake, "-S", source, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"),
            f"-DCMAKE_MAKE_PROGRAM={ninja}",
            f"-DCRISPCAST_JNI_INCLUDE={headers};{headers / 'linux'}",
            *options,
        )
        run(cmake, "--build", folder, "--parallel", "2")

    return kept(f"android-{name}", [str(source).encode(), repr(options).encode()], make)


@functools.cache
def host() -> Path:
    """The library for this machine's JVM, by the compiler of the Python binding."""
    target = "c++ -target x86_64-linux-gnu.2.28 -mcpu=x86_64 -fno-sanitize=undefined"
    compiler = (f"-DCMAKE_CXX_COMPILER={zig()}", f"-DCMAKE_CXX_COMPILER_ARG1={target}")
    return native("host", *compiler, *UNTRIED)


@functools.cache
def arm64() -> Path:
    """The library for arm64, as `benchmarks.arm64` weighs it."""
    zig()
    return native("arm64", *library_options(), *UNTRIED)


@functools.cache
def classes() -> Path:
    """Stubs in stubs/, the module, its tests and the tests' programs in module/."""
    javac = str(jdk() / "bin" / "javac")
    stubs = sorted((HERE / "stubs").rglob("*.java"))
    module = sorted((MODULE / "crispcast").rglob("*.java")) + sorted(
        (HERE / "java").rglob("*.java")
    )

    def make(folder: Path) -> None:
        run(javac, "--release", "11", "-d", folder / "stubs", *stubs)
        lint = ("--release", "11", "-Xlint:all", "-Werror", "-cp", folder / "stubs")
        run(javac, *lint, "-d", folder / "module", *module)

    return kept("android-classes", [path.read_bytes() for path in stubs + module], make)


def java(program: str, *arguments: str | Path, options: tuple[str, ...] = ()) -> str:
    """Run a program of the tests against the library of this machine; what it said."""
    made = classes()
    command = [str(jdk() / "bin" / "java"), "-Xcheck:jni", f"-Djava.library.path={host()}"]
    path = f"{made / 'module'}:{made / 'stubs'}"
    said = run(*command, *options, "-cp", path, f"org.crispcast.{program}", *arguments)
    assert "WARNING in native" not in said
    assert "FATAL ERROR" not in said
    return said


@functools.cache
def kotlin_compiler() -> Path:
    """The folder of the compiler's jars, from npm; skips where npm or the package is not there."""
    npm = tool("npm", "npm")

    def make(folder: Path) -> None:
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", KOTLIN],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        if done.returncode != 0:
            shutil.rmtree(folder)
            pytest.skip(f"{KOTLIN} cannot be installed: {done.stderr.strip()[-200:]}")

    folder = kept("kotlin", [json.dumps(KOTLIN).encode()], make)
    return folder / "node_modules" / "kotlin-compiler" / "lib"
