"""libcrispcast.so: built by the module's CMake for this machine and for arm64, and run there."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from mobile_export.android_module import MODULE
from tests.conformance.cases import CASES
from tests.conformance.recording import FOLDER
from tests.kept import kept
from tests.mobile_export.android import building
from tests.mobile_export.android.elf import Elf, read_elf

PAGE = 16384
LIMIT = 400_000  # bytes, stripped


def declared() -> set[str]:
    """The functions of the two C headers."""
    found = set()
    for header in sorted(building.cpp().glob("*/include/*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        for statement in text.split(";"):
            name = re.search(r"CRISPCAST_API\b[^(]*?\b(crispcast_\w+)\(", statement)
            if name is not None:
                found.add(name[1])
    return found


def native_methods() -> set[str]:
    """The native methods of Native.java, as JNI names them."""
    java = MODULE / "crispcast/src/main/java/org/crispcast/Native.java"
    names = re.findall(r"static native [\w\[\]]+ (\w+)\(", java.read_text())
    return {f"Java_org_crispcast_Native_{name}" for name in names}


def check(elf: Elf) -> None:
    assert set(elf.exported) == declared() | native_methods()
    assert elf.alignments
    assert min(elf.alignments) >= PAGE
    assert elf.congruent


def test_arm64_is_small_aligned_to_16_kb_and_exports_its_interfaces_only() -> None:
    library = building.arm64() / "libcrispcast.so"
    elf = read_elf(library)
    assert elf.arm64
    check(elf)
    assert library.stat().st_size <= LIMIT


def test_the_jvms_library_exports_the_same() -> None:
    check(read_elf(building.host() / "libcrispcast.so"))


@pytest.mark.parametrize("compiler", ["g++", "clang++-19"])
def test_other_compilers_take_core_and_jni(compiler: str) -> None:
    program = building.tool(compiler, compiler.replace("clang++", "clang"))
    check(
        read_elf(building.native(compiler, f"-DCMAKE_CXX_COMPILER={program}") / "libcrispcast.so")
    )


def test_32_bit_arm_is_built_too() -> None:
    target = "c++ -target arm-linux-musleabihf -mcpu=cortex_a7 -fno-sanitize=undefined"
    built = building.native(
        "armv7",
        f"-DCMAKE_CXX_COMPILER={building.zig()}",
        f"-DCMAKE_CXX_COMPILER_ARG1={target}",
        *("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=armv7-a"),
        "-DCMAKE_SHARED_LINKER_FLAGS=-s",
        *building.UNTRIED,
    )
    data = (built / "libcrispcast.so").read_bytes()
    assert data[:6] == b"\x7fELF\x01\x01"
    assert int.from_bytes(data[18:20], "little") == 40  # EM_ARM
    assert len(data) <= LIMIT


@functools.cache
def replay() -> Path:
    """The conformance suite's player for arm64, of the very objects of the library."""
    built = building.arm64()
    source = building.ROOT / "tests" / "conformance" / "replay.c"
    objects = sorted((built / "CMakeFiles").rglob("*.o"))
    include = [f"-I{path}" for path in sorted(building.cpp().glob("*/include"))]
    target = ("-target", "aarch64-linux-musl", "-fno-sanitize=undefined")

    def make(folder: Path) -> None:
        compiled = folder / "replay.o"
        flags = [*target, "-std=c11", "-O1", *include]
        building.run(building.zig(), "cc", *flags, "-c", str(source), "-o", str(compiled))
        linked = [*target, "-static", *map(str, objects), str(compiled)]
        building.run(building.zig(), "c++", *linked, "-o", str(folder / "replay"), cwd=folder)

    return kept("android-replay", [str(built).encode(), source.read_bytes()], make)


@pytest.mark.parametrize(
    ("cpu", "isa"),
    [
        ("cortex-a53", "portable"),
        ("cortex-a53", "neon"),
        ("neoverse-n1", "neondot"),
        ("max", "neoni8mm"),
    ],
)
def test_arm64_plays_the_conformance_suite_under_qemu(cpu: str, isa: str) -> None:
    qemu = building.tool("qemu-aarch64", "qemu-user")
    options = [] if isa == "portable" else ["-i", isa]
    said = building.run(qemu, "-cpu", cpu, replay() / "replay", *options, FOLDER, *CASES)
    assert said.split("\n")[:-1] == [f"{name} ok" for name in CASES]
