"""Programs over the SDK core, by any compiler; kept in `.cache/native` by their sources' hash.

The first build takes a minute or two: what is of the runtime is kept apart, for it changes rarely.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "kernels" / "runtime"
CORE = ROOT / "client_sdk" / "core"
HEADERS = [f"-I{RUNTIME / 'include'}", f"-I{CORE / 'include'}"]
INSIDE = [f"-I{RUNTIME / 'src'}", f"-I{CORE / 'src'}"]
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
X86: dict[str, list[str]] = {
    "portable": [],
    "avx2": AVX2,
    "avxvnni": [*AVX2, "-mavxvnni"],
    "avx512": AVX512,
    "avx512vnni": [*AVX512, "-mavx512vnni"],
}


def arm(base: str) -> dict[str, list[str]]:
    """AArch64's kernels; base: the processor or architecture whose options a compiler knows."""
    dots = {"neondot": [f"{base}+dotprod"], "neoni8mm": [f"{base}+dotprod+i8mm"]}
    return {"portable": [], "neon": [], **dots}


@dataclass(frozen=True)
class Toolchain:
    """How to compile: the commands for C and C++ with their flags, and flags of each kernel."""

    name: str
    c: tuple[str, ...]
    cxx: tuple[str, ...]
    kernels: dict[str, list[str]]


def sanitized(sanitizers: str, program: Path) -> Path:
    """`program` by the machine's compiler and these sanitizers."""
    if shutil.which("g++") is None or shutil.which("gcc") is None:
        pytest.skip("g++ is missing: apt-get install g++")
    flags = ("-O1", "-g", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all")
    kernels = X86 if platform.machine() == "x86_64" else arm("-march=armv8.2-a")
    c = ("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", *flags)
    name = sanitizers.replace(",", "-")
    return build(Toolchain(name, c, ("g++", *flags, "-w"), kernels), program)


def build(tools: Toolchain, program: Path) -> Path:
    """`program`, a .c or .cpp file, linked with the core and the runtime."""
    kernels = [RUNTIME / "src" / f"kernels_{isa}.cpp" for isa in tools.kernels]
    runtime = [p for p in (RUNTIME / "src").glob("*.cpp") if not p.stem.startswith("kernels_")]
    headers = sorted(RUNTIME.glob("*/*.h"))
    below = _archive(tools, "runtime", [*sorted(runtime), *kernels], headers)
    headers += sorted(CORE.glob("*/*.h"))
    core = _archive(tools, "core", sorted((CORE / "src").glob("*.cpp")), headers)
    digest = _digest([program, below, core])
    made = core.with_name(f"{program.stem}-{tools.name}-{digest}")
    if not made.exists():
        private = INSIDE if program.suffix == ".cpp" else []
        compiler = tools.c if program.suffix == ".c" else (*tools.cxx, *private)
        unit = made.with_name(f"{made.name}.{os.getpid()}.o")
        subprocess.run([*compiler, *HEADERS, "-c", program, "-o", unit], check=True)
        new = made.with_name(f"{made.name}.{os.getpid()}")
        subprocess.run([*tools.cxx, "-pthread", unit, core, below, "-o", new], check=True)
        unit.unlink()
        new.replace(made)
    return made


def _digest(files: Iterable[Path], *more: object) -> str:
    digest = hashlib.sha256(repr(more).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _archive(tools: Toolchain, name: str, sources: list[Path], headers: list[Path]) -> Path:
    """The objects of these sources."""
    digest = _digest([*sources, *headers], tools.cxx, tools.kernels)
    archive = ROOT / ".cache" / "native" / f"{name}-{tools.name}-{digest}.a"
    if archive.exists():
        return archive
    flags = ["-std=c++17", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-pthread"]
    work = archive.with_name(f"{archive.name}.{os.getpid()}")
    work.mkdir(parents=True)
    jobs = []
    for source in sources:
        extra = tools.kernels.get(source.stem.removeprefix("kernels_"), [])
        command = [*tools.cxx, *flags, *extra, *HEADERS, *INSIDE, "-c", str(source)]
        jobs.append([*command, "-o", str(work / f"{source.stem}.o")])
    for i in range(0, len(jobs), 2):
        for running in [subprocess.Popen(job) for job in jobs[i : i + 2]]:
            assert running.wait(timeout=600) == 0
    new = work / "all.a"
    subprocess.run(["ar", "rcs", new, *sorted(work.glob("*.o"))], check=True)
    new.replace(archive)
    shutil.rmtree(work)
    return archive
