"""Programs over the SDK core, by any compiler; kept in `.cache/native` by their sources' hash."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "kernels" / "runtime"
CORE = ROOT / "client_sdk" / "core"
HEADERS = [f"-I{RUNTIME / 'include'}", f"-I{CORE / 'include'}"]


@dataclass(frozen=True)
class Toolchain:
    """How to compile: the commands for C and C++ with their flags, and which kernels there are."""

    name: str
    c: tuple[str, ...]
    cxx: tuple[str, ...]
    kernels: dict[str, list[str]] = field(default_factory=lambda: {"portable": []})


def build(tools: Toolchain, program: Path) -> Path:
    """`program`, a .c or .cpp file, linked with the core and the runtime."""
    kernels = [RUNTIME / "src" / f"kernels_{isa}.cpp" for isa in tools.kernels]
    runtime = [p for p in (RUNTIME / "src").glob("*.cpp") if not p.stem.startswith("kernels_")]
    sources = [*sorted(runtime), *kernels, *sorted((CORE / "src").glob("*.cpp"))]
    digest = hashlib.sha256(repr((tools.c, tools.cxx, tools.kernels)).encode())
    headers = [*RUNTIME.glob("*/*.h"), *CORE.glob("*/*.h")]
    for path in [*sources, *sorted(headers)]:
        digest.update(path.read_bytes())
    folder = ROOT / ".cache" / "native" / f"core-{tools.name}-{digest.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    objects = folder / "core.a"
    if not objects.exists():
        _archive(tools, sources, folder, objects)
    source = program.read_bytes()
    made = folder / f"{program.stem}-{hashlib.sha256(source).hexdigest()[:16]}"
    if not made.exists():
        private = [f"-I{RUNTIME / 'src'}", f"-I{CORE / 'src'}"] if program.suffix == ".cpp" else []
        compiler = tools.c if program.suffix == ".c" else (*tools.cxx, *private)
        unit = folder / f"{program.stem}.{os.getpid()}.o"
        subprocess.run([*compiler, *HEADERS, "-c", program, "-o", unit], check=True)
        new = made.with_name(f"{made.name}.{os.getpid()}")
        subprocess.run([*tools.cxx, "-pthread", unit, objects, "-o", new], check=True)
        unit.unlink()
        new.replace(made)
    return made


def _archive(tools: Toolchain, sources: list[Path], folder: Path, archive: Path) -> None:
    flags = ["-std=c++17", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-pthread"]
    private = [f"-I{RUNTIME / 'src'}", f"-I{CORE / 'src'}"]
    work = folder / f"objects.{os.getpid()}"
    work.mkdir()
    jobs = []
    for source in sources:
        room = "core" if source.is_relative_to(CORE) else "runtime"
        extra = tools.kernels.get(source.stem.removeprefix("kernels_"), [])
        jobs.append(
            [*tools.cxx, *flags, *extra, *HEADERS, *private, "-c", str(source), "-o",
             str(work / f"{room}-{source.stem}.o")]
        )  # fmt: skip
    for i in range(0, len(jobs), 2):
        for running in [subprocess.Popen(job) for job in jobs[i : i + 2]]:
            assert running.wait(timeout=600) == 0
    new = archive.with_name(f"{archive.name}.{os.getpid()}")
    subprocess.run(["ar", "rcs", new, *sorted(work.iterdir())], check=True)
    for path in work.iterdir():
        path.unlink()
    work.rmdir()
    new.replace(archive)
