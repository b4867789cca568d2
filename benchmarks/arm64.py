"""What a frame takes on an arm64 phone, predicted; and the bytes of Android's library.

    runtime ── zig ──► upscale for arm64 ── qemu, a plug-in ──► instructions, and samples of them
                                                      llvm-mca ──► cycles an instruction ─► ms

No Arm machine is asked, so this is a model. A frame is all that `crispcast_upscale` does: the
network, the base, chroma, borders. qemu counts what a second frame executes and writes down samples
of it, evenly spread, thousands of instructions in a row, through all loops and calls. llvm-mca
schedules each on its model of a core: registers, latencies, pipes, a window of 256. The mean of its
cycles an instruction, times the instructions, over the clock is the prediction.

It assumes: every load hits the first cache (rows lie in the first two, docs/runtime.md); every
branch is foretold; no more than 8 instructions begin in a cycle (Arm's guide; LLVM's model has 15);
the clock is held; nothing else runs. What is real is slower by what these leave out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from benchmarks.neon import FEATURES, FLAGS, SOURCES, find_mca
from benchmarks.networks import SHAPES, network
from kernels.compiler.wire import encode_plan
from kernels.errors import CrispcastError
from kernels.plan import PlanIR
from mobile_export.android_module import MODULE, write_native

CORE, CLOCK, DISPATCH = "neoverse-v1", 2.8e9, 8
"""LLVM's model, hertz, and instructions that may begin in a cycle."""
SAMPLES, LENGTH = 64, 4000
"""Of a frame, and instructions of each."""
WIDTH, HEIGHT, SCALE = 480, 270, 4
TARGET = ("-target", "aarch64-linux-musl", "-static")
PLUGIN = Path(__file__).with_name("executed_blocks.c")
_FAR = re.compile(
    r"\b(?P<head>(?:b|bl|b\.\w+|adrp)\s+(?:\w+,\s*)?|(?:cbn?z|adr)\s+\w+,\s*|"
    r"tbn?z\s+\w+,\s*#\w+,\s*)0x[0-9a-f]+"
)
_ELSEWHERE = re.compile(r"(?:bl|blr|br|ret|svc|mrs|msr|dmb|hint)\b")


@dataclass(frozen=True)
class Prediction:
    """Of one frame: instructions, cycles an instruction and its standard error, milliseconds."""

    instructions: int
    cycles_per_instruction: float
    error: float

    @property
    def ms(self) -> float:
        """At CLOCK."""
        return 1e3 * self.instructions * self.cycles_per_instruction / CLOCK


def zig() -> str:
    """PyPI's ziglang. Raises ImportError where it is not installed."""
    return str(files("ziglang") / "zig")


def tool(name: str, package: str) -> str:
    """A program, LLVM 19's before others. Raises CrispcastError where it is missing."""
    found = next(filter(None, map(shutil.which, (f"{name}-19", name))), None)
    if found is None:
        raise CrispcastError(f"{name} is missing: apt-get install {package}")
    return found


def run(command: list[str], **options: object) -> None:
    """Run to the end. Raises CrispcastError with what it said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        raise CrispcastError(f"{command[0]} fails: {done.stderr.strip()[-2000:]}")


def program(folder: Path) -> Path:
    """`examples/upscale.c` and the runtime for arm64, compiled as releases are, in `folder`."""
    flags = [*FLAGS[1:], "-fno-sanitize=undefined", f"-I{SOURCES / 'include'}"]
    objects = []
    for source in sorted((SOURCES / "src").glob("*.cpp")):
        isa = source.stem.removeprefix("kernels_")
        if source.stem.startswith("kernels_") and isa not in (*FEATURES, "portable"):
            continue
        objects.append(str(folder / f"{source.stem}.o"))
        options = [FLAGS[0], *flags, *FEATURES.get(isa, ())]
        run([zig(), "c++", *TARGET, *options, "-c", str(source), "-o", objects[-1]])
    example = SOURCES / "examples" / "upscale.c"
    objects.append(str(folder / "upscale.o"))
    run([zig(), "cc", *TARGET, "-std=c11", *flags, "-c", str(example), "-o", objects[-1]])
    linked = [*TARGET, "-fno-sanitize=undefined", *objects, "-o", str(folder / "upscale")]
    run([zig(), "c++", *linked], cwd=folder)
    return folder / "upscale"


def instructions_at(path: Path) -> dict[int, str]:
    """Of a program the instruction at each address, without symbols."""
    command = [
        tool("llvm-objdump", "llvm-19"),
        "-d",
        "--no-show-raw-insn",
        "--mattr=+all",
        str(path),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in said.splitlines():
        if match := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            text = match[2].partition("//")[0].partition("<")[0].strip()
            found[int(match[1], 16)] = text
    return found


def executed(path: Path, plan: bytes, frames: int, start: int, period: int) -> list[str]:
    """What the plug-in writes of an upscaling of `frames` noise frames by one thread."""
    size = WIDTH * HEIGHT * 3 // 2
    noise = np.random.default_rng(0).integers(0, 256, (frames, size), dtype=np.uint8)
    folder = path.parent
    plugin, trace, wire = folder / "blocks.so", folder / "trace", folder / "expert.plan"
    if not plugin.exists():
        run([zig(), "cc", "-O2", "-shared", "-fPIC", str(PLUGIN), "-o", str(plugin)])
    wire.write_bytes(plan)
    qemu = tool("qemu-aarch64", "qemu-user")
    options = f"{plugin},out={trace},start={start},period={period},length={LENGTH}"
    command = [
        qemu,
        "-cpu",
        "max",
        "-plugin",
        options,
        str(path),
        str(wire),
        str(WIDTH),
        str(HEIGHT),
    ]
    core = {min(os.sched_getaffinity(0))}
    done = subprocess.run(
        command,
        input=noise.tobytes(),
        capture_output=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, core),  # one core: one thread
    )
    if done.returncode != 0:
        raise CrispcastError(f"qemu fails: {done.stderr.decode().strip()[-2000:]}")
    return trace.read_text().splitlines()


def total(lines: list[str]) -> int:
    """The instructions of a whole run."""
    return int(lines[-1].split()[1])


def samples(lines: list[str], text: dict[int, str]) -> Iterator[list[str]]:
    """The instructions of each sample, in their order; branches lead nowhere."""
    sample: list[str] = []
    for line in lines[:-1]:
        if line == "-":
            yield sample
            sample = []
            continue
        address, count = line.split()
        for place in range(int(address, 16), int(address, 16) + 4 * int(count), 4):
            found = text[place]
            if not found or found == "udf":
                raise CrispcastError(f"llvm-objdump does not know the instruction at {place:x}")
            sample.append("b 0" if _ELSEWHERE.match(found) else _FAR.sub(r"\g<head>0", found))


def cycles(blocks: list[list[str]], core: str = CORE) -> list[int]:
    """llvm-mca's cycles of each sample."""
    mca = find_mca()
    if mca is None:
        raise CrispcastError("llvm-mca is missing: apt-get install llvm-19")
    text = "\n".join(f"# LLVM-MCA-BEGIN\n{chr(10).join(block)}\n# LLVM-MCA-END" for block in blocks)
    command = [mca, "-mtriple=aarch64", f"-mcpu={core}", "-mattr=+v8.6a", "-iterations=1"]
    quiet = [f"-dispatch={DISPATCH}", "-instruction-info=0", "-resource-pressure=0"]
    done = subprocess.run(
        [*command, *quiet], input=text, capture_output=True, text=True, check=False
    )
    found = [int(number) for number in re.findall(r"Total Cycles:\s+(\d+)", done.stdout)]
    counted = [int(number) for number in re.findall(r"Instructions:\s+(\d+)", done.stdout)]
    if counted != [len(block) for block in blocks] or len(found) != len(blocks):
        raise CrispcastError(f"llvm-mca cannot read a sample: {done.stderr.strip()[:500]}")
    return found


def predict(path: Path, plan: PlanIR, count: int = SAMPLES) -> Prediction:
    """What a whole frame by `plan` takes, WIDTH x HEIGHT at its scale. path: of `program`."""
    wire = encode_plan(plan)
    first = total(executed(path, wire, 1, 0, 1 << 62))
    both = total(executed(path, wire, 2, 0, 1 << 62))
    frame = both - first
    text = instructions_at(path)
    period = frame // count
    lines = executed(path, wire, 2, first + period // 2, period)
    blocks = list(samples(lines, text))[:count]
    rates = [c / len(block) for c, block in zip(cycles(blocks), blocks, strict=True)]
    error = statistics.stdev(rates) / len(rates) ** 0.5
    return Prediction(frame, statistics.fmean(rates), error)


def jni_include() -> str:
    """The folders of jni.h, as CMake takes them. Raises CrispcastError without a JDK."""
    home = Path(tool("javac", "openjdk-17-jdk-headless")).resolve().parents[1]
    return f"{home / 'include'};{home / 'include' / 'linux'}"


def library_options() -> list[str]:
    """CMake's options for Android's library on arm64, stripped; musl stands for bionic."""
    return [
        f"-DCMAKE_CXX_COMPILER={zig()}",
        "-DCMAKE_CXX_COMPILER_ARG1=c++ -target aarch64-linux-musl -fno-sanitize=undefined",
        *("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"),
        *("-DCRISPCAST_ARM=-mcpu=generic", "-DCMAKE_SHARED_LINKER_FLAGS=-s"),
    ]


def library(folder: Path) -> Path:
    """Android's library for arm64, by the module's own CMake, stripped."""
    source, build = folder / "cpp", folder / "build"
    shutil.copytree(MODULE / "crispcast" / "src" / "main" / "cpp", source)
    write_native(source)
    cmake = [
        tool("cmake", "cmake"),
        "-S",
        str(source),
        "-B",
        str(build),
        "-DCMAKE_BUILD_TYPE=Release",
    ]
    run([*cmake, f"-DCRISPCAST_JNI_INCLUDE={jni_include()}", *library_options()])
    run([tool("cmake", "cmake"), "--build", str(build)])
    return build / "libcrispcast.so"


def figures(folder: Path, quick: bool = False) -> dict[str, object]:
    """`arm64_lib_bytes`, `arm64_predicted_ms` and what they are made of."""
    count = 16 if quick else SAMPLES
    path = program(folder)
    default = predict(path, network(SHAPES[1], SCALE, 0.25, coded=True), count)
    plate = predict(path, network(SHAPES[0], SCALE, 0.25, coded=True), count)
    return {
        "arm64_lib_bytes": library(folder / "library").stat().st_size,
        "arm64_predicted_ms": default.ms,
        "arm64_predicted_error": default.error / default.cycles_per_instruction,
        "arm64_instructions": default.instructions,
        "arm64_cycles_per_instruction": default.cycles_per_instruction,
        "arm64_plate_ms": plate.ms,
    }


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(figures(Path(name)), indent=2))


if __name__ == "__main__":
    main()
