"""NEON's inner loops, analysed without an Arm machine: `python -m benchmarks.neon`.

    kernels_neon*.cpp ── zig c++ -S ──► assembly ── inner loop of each tile ──► llvm-mca ──► cycles

The model of a core (LLVM's, from Arm's optimisation guides) says how many cycles an iteration takes
where every load hits the first cache. `neon_fmla_fraction` is the FMLAs a cycle over the FMLAs that
the core can issue in one, the lowest of the full-width tiles of 4 and 8 output channels.
`neon_dot_fraction` is the same of what multiplies bytes in coded plans, dot products or matrices,
in the tile of most channels; weaving the bytes takes a quarter of the issue away, or three
sevenths. A loop that touches the stack has spilled a register; that is an error.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from kernels.errors import CrispcastError

SOURCES = Path(__file__).parents[1] / "kernels" / "runtime"
FLAGS = ("-std=c++17", "-O3", "-g0", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off")
ISSUE = {"neoverse-n1": 2, "neoverse-v1": 4}
"""FMLAs (128 bits, fp32) that a core can issue a cycle, and as many products of bytes."""
DOTS = {"neoverse-n1": "neondot", "neoverse-v1": "neoni8mm"}
"""The kernels of codes that a core runs."""
FEATURES = {
    "neon": (),
    "neondot": ("-mcpu=generic+dotprod",),
    "neoni8mm": ("-mcpu=generic+dotprod+i8mm",),
}
"""What kernels/CMakeLists.txt compiles them with."""

ITERATIONS = 200
_FUNCTION = re.compile(r"^(_ZN?\w+):(.*?)^\.?\s*\.cfi_endproc", re.M | re.S)
_TILE = re.compile(r"4tileILi(\d+)ELi(\d+)ELi(\d+)E")
_CODE_TILE = re.compile(r"5codes4tileILi(\d+)E")
_MATRIX_TILE = re.compile(r"6matrix5tilesILi(\d+)ELi(\d+)E")
_LABEL = re.compile(r"^(\.L\w+):")
_BRANCH = re.compile(r"\b(?:b\.\w+|cbn?z|tbn?z|b)\s.*?(\.L\w+)")
_FMLA = re.compile(r"\bfml[as]\b.*\.4s")
_DOT = re.compile(r"\b(?:sdot|usmmla)\b.*\.4s")
_WORK = re.compile(f"{_FMLA.pattern}|{_DOT.pattern}")
_STACK = re.compile(r"\[sp\b")


@dataclass(frozen=True)
class Loop:
    """The inner loop of one tile: `channels` of a block of `block`, by `vectors` of 4 columns.

    isa: the kernels of codes that it is of; none: of floats.
    """

    channels: int
    block: int
    vectors: int
    lines: tuple[str, ...]
    isa: str = ""

    @property
    def name(self) -> str:
        """As it stands in the table."""
        part_of = self.isa or f"block {self.block}"
        return f"{part_of}: {self.channels}×{self.vectors}"

    @property
    def work(self) -> int:
        """Multiply-adds of four floats, dot products, or products of matrices, in one iteration."""
        return sum(1 for line in self.lines if _WORK.search(line))

    @property
    def spills(self) -> int:
        """Instructions that touch the stack: registers that did not suffice."""
        return sum(1 for line in self.lines if _STACK.search(line))


@dataclass(frozen=True)
class Analysis:
    """What llvm-mca says of a loop on a core."""

    loop: Loop
    core: str
    cycles: float

    @property
    def work_per_cycle(self) -> float:
        """FMLAs or dot products that issue in a cycle, on the average."""
        return self.loop.work / self.cycles

    @property
    def fraction(self) -> float:
        """The same as a share of what the core can issue."""
        return self.work_per_cycle / ISSUE[self.core]


def find_mca() -> str | None:
    """llvm-mca, version 19 before others: its models of these cores are the ones checked."""
    return next(filter(None, map(shutil.which, ("llvm-mca-19", "llvm-mca"))), None)


def assembly(isa: str = "neon") -> str:
    """AArch64 assembly of kernels in `FEATURES` as releases are compiled. Raises ImportError."""
    zig = files("ziglang") / "zig"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kernels.s"
        command = [
            *(str(zig), "c++", "-target", "aarch64-linux-musl", *FLAGS, *FEATURES[isa]),
            *("-fno-sanitize=undefined", f"-I{SOURCES / 'include'}", "-S"),
            *(str(SOURCES / "src" / f"kernels_{isa}.cpp"), "-o", str(out)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CrispcastError(f"the kernels of {isa} do not compile: {done.stderr.strip()}")
        return out.read_text(encoding="utf-8")


def inner_loop(body: str) -> tuple[str, ...]:
    """The loop of a function that multiplies most, none if no loop does.

    A loop is what lies between a label and a branch back to it; an inner one holds no other.
    """
    best: tuple[str, ...] = ()
    most = 0
    lines = [line.split("//")[0].strip() for line in body.splitlines()]
    places: dict[str, int] = {}
    for index, line in enumerate(lines):
        if label := _LABEL.match(line):
            places[label[1]] = index
        elif (branch := _BRANCH.search(line)) and branch[1] in places:
            inside = lines[places[branch[1]] + 1 : index + 1]
            if any(_LABEL.match(other) for other in inside):
                continue
            code = tuple(part for part in inside if part and not part.startswith("."))
            work = sum(1 for part in code if _WORK.search(part))
            if work > most:
                best, most = code, work
    return best


def tile_loops(source: str) -> list[Loop]:
    """The inner loop of every tile of blocks of 4 and 8, widest first."""
    loops: list[Loop] = []
    for found in _FUNCTION.finditer(source):
        tile = _TILE.search(found[1])
        if tile is None or int(tile[2]) == 1:
            continue
        lines = inner_loop(found[2])
        if not lines:
            raise CrispcastError(f"no inner loop in {found[1]}; this command must learn its shape")
        loops.append(Loop(int(tile[1]), int(tile[2]), int(tile[3]), lines))
    return sorted(loops, key=lambda loop: (loop.block, -loop.channels, -loop.vectors))


def code_loops(isa: str) -> list[Loop]:
    """The same of the kernel of codes, most channels first: as many of any block.

    A tile is 16 columns wide, four vectors; one of more than two pairs of channels 8, two vectors.
    """
    loops: list[Loop] = []
    for found in _FUNCTION.finditer(assembly(isa)):
        if (tile := _CODE_TILE.search(found[1])) and (lines := inner_loop(found[2])):
            loops.append(Loop(int(tile[1]), int(tile[1]), 4, lines, isa))
        if (tile := _MATRIX_TILE.search(found[1])) and (lines := inner_loop(found[2])):
            channels, vectors = 2 * int(tile[1]), int(tile[2])
            loops.append(Loop(channels, channels, vectors, lines, isa))
    if not loops:
        raise CrispcastError(f"no inner loop in the codes of {isa}; this command must learn them")
    return sorted(loops, key=lambda loop: -loop.channels)


def full_width(loops: list[Loop]) -> list[Loop]:
    """Of each block and number of channels, the widest tile: where the time goes."""
    widest: dict[tuple[int, int], Loop] = {}
    for loop in loops:
        key = loop.block, loop.channels
        if key not in widest or widest[key].vectors < loop.vectors:
            widest[key] = loop
    return list(widest.values())


def analyse(loop: Loop, core: str) -> Analysis:
    """Cycles of an iteration of `loop` on `core`, by llvm-mca.

    Raises CrispcastError where llvm-mca is missing or cannot read the loop.
    """
    mca = find_mca()
    if mca is None:
        raise CrispcastError("llvm-mca is missing: apt-get install llvm-19")
    command = [mca, "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={ITERATIONS}"]
    # A branch to a label outside the snippet: any will do.
    snippet = "\n".join(re.sub(r"\.L\w+", "0", line) for line in loop.lines)
    done = subprocess.run(command, input=snippet, capture_output=True, text=True, check=False)
    cycles = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    if cycles is None:
        raise CrispcastError(f"llvm-mca cannot read the loop of {loop.name}: {done.stderr.strip()}")
    return Analysis(loop, core, int(cycles[1]) / ITERATIONS)


def report(results: list[Analysis], wide: list[Loop]) -> None:
    """Print a row a loop and core."""
    print(f"{'core':12} {'tile':16} {'work':>5} {'cycles':>7} {'a cycle':>8} {'of issue':>9}")
    for result in results:
        mark = "" if result.loop in wide else "  (at a row's end, or of fewer channels)"
        print(
            f"{result.core:12} {result.loop.name:16} {result.loop.work:5} {result.cycles:7.2f} "
            f"{result.work_per_cycle:8.2f} {result.fraction:9.1%}{mark}"
        )


def lowest(results: list[Analysis]) -> dict[str, float]:
    """The lowest share of issue on each core."""
    return {core: min(r.fraction for r in results if r.core == core) for core in ISSUE}


def main() -> None:
    """Print the table, write the JSON, and fail where a register is spilled."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    loops = tile_loops(assembly())
    wide = full_width(loops)
    floats = [analyse(loop, core) for core in ISSUE for loop in loops]
    codes = [analyse(loop, core) for core, isa in DOTS.items() for loop in code_loops(isa)]
    most = [result for result in codes if result.loop.channels == codes[0].loop.channels]
    results = floats + codes
    report(results, wide + [result.loop for result in most])
    fmla = lowest([result for result in floats if result.loop in wide])
    dot = lowest(most)
    for core in ISSUE:
        print(f"{core}: {fmla[core]:.1%} of FMLA issue in the full-width tiles")
        print(f"{core}: {dot[core]:.1%} of what multiplies bytes in the widest tile of codes")
    spilled = sorted({result.loop.name for result in results if result.loop.spills})
    figures = {
        "neon_fmla_fraction": min(fmla.values()),
        "neon_dot_fraction": min(dot.values()),
        "by_core": fmla,
        "dot_by_core": dot,
        "tiles": [
            {"core": r.core, "tile": r.loop.name, "fraction": r.fraction, "cycles": r.cycles}
            for r in results
        ],
        "spills": len(spilled),
    }
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if spilled:
        raise SystemExit(f"registers are spilled in the loops of {', '.join(spilled)}")


if __name__ == "__main__":
    main()
