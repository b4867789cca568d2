"""The C++ core outside Python: under sanitizers, and on another processor through qemu.

Both run `cpp/contract.cpp` over a fixed plan. Programs are kept in `.cache/native` by the hash of
their sources, for the first cross build takes zig a minute or two.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernels.compiler import encode_plan
from kernels.plan import PlanIR
from tests.kernels.plans import codes_everywhere, codes_in_every_shape, codes_of_no_numbers

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "kernels" / "runtime"
CONTRACT = Path(__file__).parent / "cpp" / "contract.cpp"
FIXTURES = Path(__file__).parent / "fixtures"
PLANS = [FIXTURES / "every_branch.plan", FIXTURES / "codes.plan"]
FLAGS = ["-std=c++17", "-ffp-contract=off", "-pthread", f"-I{RUNTIME / 'include'}"]
AVX2 = ["-mavx2", "-mfma"]
AVX_VNNI = [*AVX2, "-mavxvnni"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
VNNI = [*AVX512, "-mavx512vnni"]
COMMON = sorted(p for p in (RUNTIME / "src").glob("*.cpp") if not p.stem.startswith("kernels_"))


def build(
    name: str, compiler: list[str], kernels: dict[str, list[str]], units: Sequence[str] = ()
) -> Path:
    """The contract program, with each kernels_*.cpp compiled by its own flags.

    `units` are options of compiling alone: zig builds its C++ library anew for each set of options
    that a program is linked with.
    """
    sources = [CONTRACT, *COMMON, *(RUNTIME / "src" / f"kernels_{isa}.cpp" for isa in kernels)]
    digest = hashlib.sha256(repr((compiler, units, FLAGS, kernels)).encode())
    for path in [*sources, *sorted(RUNTIME.glob("*/*.h"))]:
        digest.update(path.read_bytes())
    folder = ROOT / ".cache" / "native" / f"{name}-{digest.hexdigest()[:16]}"
    program = folder / "contract"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for source in sources:
        extra = kernels.get(source.stem.removeprefix("kernels_"), [])
        command = [*compiler, *units, *FLAGS, *extra, "-c", str(source), "-o", source.stem + ".o"]
        jobs.append(command)
    for i in range(0, len(jobs), 2):
        for running in [subprocess.Popen(job, cwd=folder) for job in jobs[i : i + 2]]:
            assert running.wait(timeout=600) == 0
    objects = [source.stem + ".o" for source in sources]
    made = f"contract.{os.getpid()}"
    subprocess.run([*compiler, "-pthread", *objects, "-o", made], cwd=folder, check=True)
    os.replace(folder / made, program)
    for name in objects:
        (folder / name).unlink()
    return program


def run(command: list[str], *arguments: str) -> list[str]:
    """The words that the program says when all is well: instruction sets, a digest a plan."""
    words = [run_plan(command, plan, *arguments) for plan in PLANS]
    assert words[0][:-2] == words[1][:-2]
    return [*words[0][:-1], words[1][-2]]


def run_plan(command: list[str], plan: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        [*command, str(plan), *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("this kernel's address space layout is not one that the sanitizer knows")
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split()
    assert words[-1] == "ok"
    return words


def native_kernels() -> dict[str, list[str]]:
    if platform.machine() == "x86_64":
        x86 = {"avx2": AVX2, "avxvnni": AVX_VNNI, "avx512": AVX512, "avx512vnni": VNNI}
        return {"portable": [], **x86}
    return arm_kernels("-march=armv8.2-a")


def arm_kernels(base: str) -> dict[str, list[str]]:
    """AArch64's kernels; base: the processor or architecture whose options a compiler knows."""
    dots = {"neondot": [f"{base}+dotprod"], "neoni8mm": [f"{base}+dotprod+i8mm"]}
    return {"portable": [], "neon": [], **dots}


@functools.cache
def sanitized(sanitizers: str) -> list[str]:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is missing: apt-get install g++")
    flags = ["-O1", "-g", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-w"]
    return run([str(build(sanitizers.replace(",", "-"), [compiler, *flags], native_kernels()))])


def test_no_byte_out_of_bounds_and_nothing_undefined() -> None:
    words = sanitized("address,undefined")
    assert "portable" in words


def test_threads_do_not_race() -> None:
    words = sanitized("thread")
    assert "portable" in words


# Processors from the first with AArch64 to all that qemu knows, and the sets each may be given.
ARM = {
    "cortex-a53": ["portable", "neon"],
    "cortex-a72": ["portable", "neon"],
    "cortex-a76": ["portable", "neon", "neondot"],
    "neoverse-n1": ["portable", "neon", "neondot"],
    "max": ["portable", "neon", "neondot", "neoni8mm"],
}


@functools.cache
def arm_program() -> Path:
    """The contract for AArch64, all its kernels in it."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is missing: pip install ziglang")
    target = ["-target", "aarch64-linux-musl", "-static"]
    units = ["-O2", "-fno-exceptions", "-fno-rtti"]
    compiler = [sys.executable, "-m", "ziglang", "c++", *target, "-fno-sanitize=undefined"]
    return build("neon", compiler, arm_kernels("-mcpu=generic"), units)


def emulated(cpu: str) -> list[str]:
    """The command of the contract on another processor."""
    qemu = shutil.which("qemu-aarch64")
    if qemu is None:
        pytest.skip("qemu-aarch64 is missing: apt-get install qemu-user")
    return [qemu, "-cpu", cpu, str(arm_program())]


@pytest.mark.parametrize("cpu", ARM)
def test_neon_under_qemu(cpu: str) -> None:
    """Every set that is picked is within a code value of the portable one, and never faults."""
    lies = [] if cpu == "cortex-a53" else ["frames"]
    *isas, floats, codes = run(emulated(cpu), *lies)
    assert isas == ARM[cpu]
    if shutil.which("g++") is not None:
        # The portable kernels round alike on every processor.
        assert [floats, codes] == sanitized("address,undefined")[-2:]


def largest_sums(plan: PlanIR) -> list[int]:
    """Of each layer, the largest sum that codes of 8 bits can make of its weights."""
    weights = [np.abs(numbers.weights.astype(np.int64)) for numbers in plan.numbers]
    return [255 * int(layer.reshape(len(layer), -1).sum(axis=1).max()) for layer in weights]


def coded_plans() -> dict[str, PlanIR]:
    coded = codes_everywhere()
    return {
        # Without a base to interpolate, whose multiply-adds may be fused, nothing may differ.
        "every branch": PlanIR(replace(coded.table, bicubic=False), coded.numbers),
        "every shape": codes_in_every_shape(),
        "beyond": codes_in_every_shape(beyond=True),
        "no numbers": codes_of_no_numbers(),
    }


def test_plans_are_on_both_sides_of_what_fits() -> None:
    assert max(largest_sums(coded_plans()["every shape"])) < 1 << 22
    assert max(largest_sums(coded_plans()["beyond"])) > 1 << 22


@pytest.mark.parametrize("name", coded_plans())
def test_codes_give_the_same_bits_on_every_arm_instruction_set(name: str, tmp_path: Path) -> None:
    plan = tmp_path / "codes.plan"
    plan.write_bytes(encode_plan(coded_plans()[name]))
    words = run_plan(emulated("max"), plan, "bits")
    assert words[:-2] == ARM["max"]
