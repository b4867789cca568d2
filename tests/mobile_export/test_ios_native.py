"""The C target of the SDK for iOS: built for Apple's processors, and its own functions run here."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mobile_export.ios_package import SWIFT, write_native
from mobile_export.native_sources import headers
from tests.conformance.cases import CASES
from tests.conformance.recording import FOLDER
from tests.mobile_export.c_headers import read_headers

ROOT = Path(__file__).parents[2]
NATIVE = SWIFT / "Sources" / "CCrispcast"
REPLAY = ROOT / "tests" / "conformance" / "replay.c"
ARM_LINUX = "aarch64-linux-musl"
WARNINGS = ("-Wall", "-Wextra", "-Wno-unused-function", "-Werror")


def zig_folder() -> Path:
    found = importlib.util.find_spec("ziglang")
    if found is None or found.origin is None:
        pytest.skip("ziglang is missing: pip install ziglang")
    return Path(found.origin).parent


def package_flags(target: Path) -> list[str]:
    """What Package.swift has the C target compiled with, for a compiler that runs in `target`."""
    text = (SWIFT / "Package.swift").read_text()
    folders = ["include", *re.findall(r'headerSearchPath\("(\w+)"\)', text)]
    (flags,) = re.findall(r"unsafeFlags\(\[([^\]]*)\]\)", text)
    words = re.findall(r'"([^"]+)"', flags)
    return ["-std=c++17", *(f"-I{target / name}" for name in folders), *words]


def compiled(target: Path) -> list[Path]:
    """The sources that SwiftPM compiles: all but those in the folder that is left out."""
    return [p for p in sorted(target.rglob("*.cpp")) if p.parent.name != "isa"]


@functools.cache
def objects(triple: str) -> Path:
    """The objects of the whole C target; kept in `.cache/native` by the hash of the sources."""
    zig = zig_folder()
    work = ROOT / ".cache" / "native" / f"ios-sources.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(NATIVE, work)
    write_native(work)
    sources = compiled(work)
    text = b"".join(path.read_bytes() for path in sorted(work.rglob("*")) if path.is_file())
    flags = package_flags(work)
    flags[flags.index("-O3")] = "-O1"  # the same code, sooner
    text += (SWIFT / "Package.swift").read_bytes()
    digest = hashlib.sha256(text).hexdigest()[:16]
    kept = ROOT / ".cache" / "native" / f"{triple}-{digest}"
    made = kept.with_name(f"{kept.name}.{os.getpid()}")
    # Of Apple's own headers zig has those of macOS, which for what is used here are the same.
    apple = ("-isystem", zig / "lib" / "libc" / "include" / "any-darwin-any")
    system = apple if "ios" in triple else ()

    def build(path: Path) -> str:
        output = made / f"{path.parent.name}-{path.stem}.o"
        command = [zig / "zig", "c++", "-target", triple, *system, *flags, *WARNINGS]
        done = subprocess.run(
            [*map(str, command), "-fno-sanitize=undefined", "-c", str(path), "-o", str(output)],
            capture_output=True,
            text=True,
        )
        return "" if done.returncode == 0 else f"{path.name}: {done.stderr}"

    try:
        if not kept.exists():
            made.mkdir(parents=True)
            with ThreadPoolExecutor(2) as pool:
                wrong = [said for said in pool.map(build, sources) if said]
            assert wrong == []
            made.rename(kept)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(made, ignore_errors=True)
    return kept


def symbols(folder: Path) -> tuple[set[str], set[str]]:
    """Defined outside of one object, and undefined, of Mach-O objects."""
    nm = shutil.which("llvm-nm-19") or shutil.which("llvm-nm")
    if nm is None:
        pytest.skip("llvm-nm is missing: apt-get install llvm-19")
    defined: set[str] = set()
    undefined: set[str] = set()
    for path in folder.glob("*.o"):
        listing = subprocess.run([nm, "-g", path], capture_output=True, text=True, check=True)
        for line in listing.stdout.splitlines():
            *_, kind, name = line.split()
            (undefined if kind == "U" else defined).add(name)
    return defined, undefined - defined


@functools.cache
def system_symbols() -> set[str]:
    """What Apple's libSystem has, by the list that zig links against."""
    listed = (zig_folder() / "lib" / "libc" / "darwin" / "libSystem.tbd").read_text()
    return set(re.findall(r"\b_\w+", listed))


@pytest.mark.parametrize("triple", ["aarch64-ios", "x86_64-ios-simulator"])
def test_the_c_target_builds_for_ios_and_lacks_nothing(triple: str) -> None:
    folder = objects(triple)
    defined, lacking = symbols(folder)
    header = NATIVE / "include" / "crispcast_planes.h"
    declared = read_headers(header, *headers())
    assert {f"_{name}" for name in declared.functions} <= defined
    # The rest is the system's, or C++'s: operators new and delete, and what comes with them.
    foreign = {name for name in lacking if not name.startswith(("__Z", "___cxa", "___gxx"))}
    assert foreign <= system_symbols(), foreign - system_symbols()
    assert not [name for name in lacking if "crispcast" in name]


def test_arm_objects_are_of_arm_and_switch_on_what_they_name() -> None:
    folder = objects("aarch64-ios")
    tool = shutil.which("llvm-objdump-19") or shutil.which("llvm-objdump")
    if tool is None:
        pytest.skip("llvm-objdump is missing: apt-get install llvm-19")
    for name, wanted, unwanted in (
        ("apple-neondot", "sdot", "usmmla"),
        ("apple-neoni8mm", "usmmla", "sdot"),
        ("apple-neon", "fmla", "sdot"),
    ):
        listing = subprocess.run(
            [tool, "-d", folder / f"{name}.o"], capture_output=True, text=True, check=True
        ).stdout
        assert "file format mach-o arm64" in listing
        assert re.search(rf"\b{wanted}\b", listing)
        assert not re.search(rf"\b{unwanted}\b", listing)


@functools.cache
def replaying() -> Path:
    """The program of the conformance suite over the C target, as it would run on Arm Linux."""
    folder = objects(ARM_LINUX)
    digest = hashlib.sha256(REPLAY.read_bytes()).hexdigest()[:16]
    program = folder / f"replay-{digest}"
    if not program.exists():
        made = program.with_suffix(f".{os.getpid()}")
        includes = [f"-I{path.parent}" for path in headers()]
        zig = [str(zig_folder() / "zig")]
        # As other tests link for it: zig builds C and C++ libraries, in minutes, for each set of
        # options, and once more below the folder that holds zig.
        target = ["-target", ARM_LINUX, "-static", "-fno-sanitize=undefined"]
        unit = made.with_suffix(".o")
        subprocess.run([*zig, "cc", *target, *includes, "-c", str(REPLAY), "-o", unit], check=True)
        parts = [str(path) for path in sorted(folder.glob("*-*.o")) if path != unit]
        command = [*zig, "c++", *target, str(unit), *parts, "-o", str(made)]
        subprocess.run(command, check=True, cwd=folder)
        unit.unlink()
        made.rename(program)
    return program


@pytest.mark.parametrize(
    ("cpu", "isa"),
    [("cortex-a53", "neon"), ("cortex-a76", "neondot"), ("max", "neoni8mm"), ("max", "portable")],
)
def test_the_c_target_plays_the_recordings(cpu: str, isa: str) -> None:
    """Its instruction sets, switched on by pragmas, give what all faces of the SDK give."""
    qemu = shutil.which("qemu-aarch64")
    if qemu is None:
        pytest.skip("qemu-aarch64 is missing: apt-get install qemu-user")
    command = [qemu, "-cpu", cpu, str(replaying()), "-i", isa, str(FOLDER), *CASES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "".join(f"{name} ok\n" for name in CASES)


def test_clang_takes_the_headers_as_c_for_ios() -> None:
    """As Swift's importer does: C11, without a C++ library."""
    clang = shutil.which("clang-19") or shutil.which("clang")
    if clang is None:
        pytest.skip("clang is missing: apt-get install clang-19")
    source = "".join(f'#include "{path}"\n' for path in (*headers(), *NATIVE.rglob("*.h")))
    done = subprocess.run(
        [
            *(clang, "-target", "arm64-apple-ios16", "-ffreestanding", "-std=c11"),
            *("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"),
            *(f"-I{headers()[0].parent}", "-x", "c", "-"),
        ],
        input=source,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# -- the target's own functions -------------------------------------------------------------------


@functools.cache
def planes() -> ctypes.CDLL:
    compiler = shutil.which("g++") or shutil.which("clang++-19")
    if compiler is None:
        pytest.skip("g++ is missing: apt-get install g++")
    source = NATIVE / "planes.cpp"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    library = ROOT / ".cache" / "native" / f"planes-{digest}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        made = library.with_suffix(f".{os.getpid()}")
        flags = ("-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
        include = f"-I{NATIVE / 'include'}"
        subprocess.run([compiler, *flags, include, str(source), "-o", str(made)], check=True)
        made.rename(library)
    return ctypes.CDLL(str(library))


def call(name: str, *arguments: object) -> None:
    """Calls a function; a plane is passed as its pointer and its stride."""
    given: list[object] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            given.append(ctypes.c_void_p(argument.ctypes.data))
            given.append(ctypes.c_ssize_t(argument.strides[0]))
        else:
            given.append(argument)
    function = getattr(planes(), name)
    function.restype = None
    function(*given)


def test_chroma_comes_apart_and_together_again() -> None:
    rng = np.random.default_rng(3)
    pairs = rng.integers(0, 256, (7, 40), np.uint8)[:, :26]
    u, v = np.zeros((7, 16), np.uint8), np.zeros((7, 13), np.uint8)
    call("crispcast_planes_split", pairs, 13, 7, u, v)
    assert np.array_equal(u[:, :13], pairs[:, 0::2])
    assert np.array_equal(v, pairs[:, 1::2])
    assert not u[:, 13:].any()
    back = np.zeros_like(pairs)
    call("crispcast_planes_join", u, v, 13, 7, back)
    assert np.array_equal(back, pairs)


def test_codes_of_video_range_come_back_from_full_range_as_they_were() -> None:
    luma, chroma = np.arange(16, 236), np.arange(16, 241)
    # CoreVideo/CVPixelBuffer.h: full range is luma 0...255 and chroma 1...255.
    for codes, spread, kind in (
        (luma, np.rint((luma - 16) * 255 / 219), 0),
        (chroma, np.rint((chroma - 128) * 254 / 224 + 128), 1),
    ):
        plane = spread.astype(np.uint8)[None]
        call("crispcast_planes_narrow", plane, plane.shape[1], 1, kind, plane)
        assert np.array_equal(plane[0], codes)


def test_narrow_codes_stay_within_video_range() -> None:
    for kind, least, most in ((0, 16, 235), (1, 16, 240)):
        plane = np.arange(256, dtype=np.uint8)[None].copy()
        call("crispcast_planes_narrow", plane, 256, 1, kind, plane)
        assert (plane.min(), plane.max()) == (least, most)
        assert np.all(np.diff(plane[0].astype(int)) >= 0)


def test_a_part_of_a_plane_is_copied_and_no_more() -> None:
    large = np.arange(200, dtype=np.uint8).reshape(10, 20)
    out = np.zeros((5, 9), np.uint8)
    call("crispcast_planes_copy", large[2:, 3:], 7, 4, out)
    assert np.array_equal(out[:4, :7], large[2:6, 3:10])
    assert not out[4].any()
    assert not out[:, 7:].any()
