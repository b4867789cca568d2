"""What a plan holds and what it costs here: the figures behind `crispcast inspect PLAN`.

    wire ──► op table, taps, bytes a layer ──► steps of the kernels × constants × factor
      │                                                                              │
      └────► Engine ──► measured ms of a frame, beside the predicted: interpolation + that

The model is the compiler's (`kernels.compiler.cost`): counts of the kernels' steps times the
table's constants, times one factor, by which a small plan takes longer here than the table says. So
it is of this machine, instruction set and number of threads. Interpolation is measured.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kernels import bases
from kernels.compiler import cost
from kernels.compiler.payload import layer_bytes
from kernels.compiler.wire import base_of, decode_plan, encode_plan
from kernels.plan import (
    INPUT_STEP,
    Activation,
    Codes,
    LayerNumbers,
    LayerSpec,
    PlanIR,
    PlanTable,
    spread,
)
from kernels.runtime import Engine, Plan, Plate

WIDTH, HEIGHT = 480, 270
"""The LR frame that is predicted and measured, in luma samples."""

ROUNDS = 7
_PROBE_UNITS, _PROBE_LAYERS = 16, 4


@dataclass(frozen=True)
class LayerReport:
    """One layer. `value` is its output's id; sources and residual are value ids.

    codes: what its output is, "f32", or "u8" or "s8" (codes less 128) and the step.
    """

    value: int
    kernel: int
    sources: tuple[int, ...]
    cin: int
    cout: int
    block: int
    activation: str
    residual: int | None
    bits: int
    codes: str
    taps: int
    taps_dense: int
    macs_per_pixel: int
    bytes: int
    predicted_ms: float

    @property
    def density(self) -> float:
        """Share of the dense taps that is left."""
        return self.taps / self.taps_dense


@dataclass(frozen=True)
class PlanReport:
    """A plan: its inputs by value id, its layers, and its cost on a frame of WIDTH x HEIGHT.

    predicted_other_ms: the same taps in int8 (codes between layers) where the plan is in fp32, and
    in fp32 where it is in int8.
    """

    sha256: str
    bytes: int
    scale: int
    base: str
    inputs: tuple[str, ...]
    radius: int
    density: float
    macs_per_pixel: int
    working_bytes: int
    isa: str
    threads: int
    layers: tuple[LayerReport, ...]
    interpolation_ms: float
    predicted_ms: float
    predicted_other_ms: float
    measured_ms: float

    @property
    def other_precision(self) -> str:
        """What `predicted_other_ms` is of."""
        return "int8" if self.layers[0].codes == "f32" else "fp32"

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        found = asdict(self) | {
            "frame": [WIDTH, HEIGHT],
            "other_precision": self.other_precision,
        }
        for entry, layer in zip(found["layers"], self.layers, strict=True):
            entry["density"] = layer.density
        return found

    def summary(self) -> str:
        """A table of the layers between two lines about the whole."""
        values = ", ".join(f"{index} {name}" for index, name in enumerate(self.inputs))
        lines = [
            f"plan {self.sha256[:16]}: {self.bytes} bytes, scale {self.scale}, base {self.base}, "
            f"radius {self.radius}, inputs {values}",
            f"{'value':>5} {'conv':>13} {'block':>5} {'act':>5} {'from':>11} {'taps':>13} "
            f"{'density':>7} {'bits':>4} {'codes':>10} {'bytes':>6} {'MACs/px':>8} {'ms':>6}",
        ]
        for layer in self.layers:
            sources = ",".join(map(str, layer.sources))
            sources += "" if layer.residual is None else f" +{layer.residual}"
            shape = f"{layer.cin}→{layer.cout} {layer.kernel}×{layer.kernel}"
            lines.append(
                f"{layer.value:5} {shape:>13} {layer.block:5} {layer.activation:>5} {sources:>11} "
                f"{f'{layer.taps}/{layer.taps_dense}':>13} {layer.density:7.1%} {layer.bits:4} "
                f"{layer.codes:>10} "
                f"{layer.bytes:6} {layer.macs_per_pixel:8} {layer.predicted_ms:6.2f}"
            )
        lines.append(
            f"{self.macs_per_pixel} MACs a pixel, density {self.density:.1%}, "
            f"{self.working_bytes / 2**20:.2f} MiB of working memory; {WIDTH}×{HEIGHT} with chroma "
            f"on {self.isa}, threads: {self.threads}: {self.measured_ms:.2f} ms measured, "
            f"{self.predicted_ms:.2f} ms predicted ({self.interpolation_ms:.2f} interpolation), "
            f"{self.predicted_other_ms:.2f} ms in {self.other_precision}"
        )
        return "\n".join(lines)


def inspect_plan(wire: bytes, threads: int = 1, base: bytes | None = None) -> PlanReport:
    """Everything about a wire plan. threads: of the measurement; 0 for all cores.

    base: the wire plan that it is a difference to, where that is none of those that are shipped.

    Raises PlanError for bytes that the format refuses.
    """
    identity = base_of(wire)
    shipped = None if identity is None else bases.find(identity)
    base = shipped or (base if identity is not None else None)
    plan = decode_plan(wire, base)
    engine = Engine(threads)
    interpolation = _frame_seconds(engine, plan.scale, None)
    factors = {coded: _factor(engine, plan.scale, interpolation, coded) for coded in (False, True)}
    coded = plan.table.coded
    times = _layer_ms(plan, engine.isa, factors[coded], coded)
    layers = tuple(_layers(plan, times, None if base is None else decode_plan(base)))
    other = _layer_ms(plan, engine.isa, factors[not coded], not coded)
    prepared = Plan(wire, base)
    measured = _frame_seconds(engine, plan.scale, prepared)
    return PlanReport(
        sha256=hashlib.sha256(wire).hexdigest(),
        bytes=len(wire),
        scale=plan.scale,
        base="bicubic" if plan.table.bicubic else "none",
        inputs=plan.inputs,
        radius=plan.radius,
        density=plan.density,
        macs_per_pixel=plan.multiplications,
        working_bytes=engine.bytes,
        isa=engine.isa,
        threads=engine.threads,
        layers=layers,
        interpolation_ms=1000 * interpolation,
        predicted_ms=1000 * interpolation + sum(times),
        predicted_other_ms=1000 * interpolation + sum(other),
        measured_ms=1000 * measured,
    )


def _layer_ms(plan: PlanIR, isa: str, factor: float, coded: bool) -> list[float]:
    """Milliseconds of each layer, coded or not, on a frame."""
    share = 1e-6 * factor * WIDTH * HEIGHT
    steps = cost.layers_work(plan, isa, coded=coded)
    return [share * cost.nanoseconds(work, isa, coded=coded) for work in steps]


def _layers(plan: PlanIR, times: list[float], base: PlanIR | None) -> list[LayerReport]:
    found = []
    sizes = layer_bytes(plan.table, plan.numbers, base)
    for index, (spec, numbers) in enumerate(zip(plan.table.layers, plan.numbers, strict=True)):
        computed = plan.table.live[index]
        macs = int(spread(numbers.taps, spec.block, spec.cout).sum()) if computed else 0
        found.append(
            LayerReport(
                value=len(plan.inputs) + index,
                kernel=spec.kernel,
                sources=spec.sources,
                cin=plan.table.input_channels(index),
                cout=spec.cout,
                block=spec.block,
                activation=spec.activation.name.lower(),
                residual=spec.residual,
                bits=spec.bits,
                codes=_described(spec.codes),
                taps=int(numbers.taps.sum()),
                taps_dense=numbers.taps.size,
                macs_per_pixel=macs,
                bytes=sizes[index],
                predicted_ms=times[index],
            )
        )
    return found


def _described(codes: Codes | None) -> str:
    return "f32" if codes is None else f"{'s' if codes.signed else 'u'}8 {codes.unit:.2g}"


def _factor(engine: Engine, scale: int, interpolation: float, coded: bool) -> float:
    """How much longer than the table says a small plan takes here."""
    probe = _probe(scale, coded)
    seconds = _frame_seconds(engine, scale, Plan(encode_plan(probe))) - interpolation
    return 1000 * max(seconds, 1e-6) / sum(_layer_ms(probe, engine.isa, 1.0, coded))


def _probe(scale: int, coded: bool) -> PlanIR:
    widths = [_PROBE_UNITS] * (_PROBE_LAYERS - 1) + [scale**2]
    last = len(widths) - 1
    layers = [
        LayerSpec(
            3,
            (index,),
            width,
            4,
            Activation.RELU,
            residual=None,
            residual_after=False,
            dense=True,
            bits=8,
            codes=Codes(INPUT_STEP, True) if coded and index < last else None,
        )
        for index, width in enumerate(widths)
    ]
    table = PlanTable(scale, ("luma",), True, tuple(layers))
    numbers = []
    for index, layer in enumerate(layers):
        shape = (table.input_channels(index), 3, 3)
        numbers.append(
            LayerNumbers(
                scales=np.full(layer.cout, 128, np.uint8),
                bias=np.zeros(layer.cout, np.float16),
                activation=np.zeros(0, np.float16),
                taps=np.ones((layer.blocks, *shape), np.bool_),
                weights=np.ones((layer.cout, *shape), np.int8),
            )
        )
    return PlanIR(table, tuple(numbers))


def _frame_seconds(engine: Engine, scale: int, plan: Plan | None) -> float:
    """Median seconds of a whole frame with chroma; of interpolation where there is no plan."""
    random = np.random.default_rng(0)
    sizes = [(HEIGHT, WIDTH)] + [((HEIGHT + 1) // 2, (WIDTH + 1) // 2)] * 2
    lr = [random.integers(0, 256, size, dtype=np.uint8) for size in sizes]
    hr = random.integers(0, 256, (scale * HEIGHT, scale * WIDTH), dtype=np.uint8)
    plate = Plate(hr, scale)
    plans = [] if plan is None else [plan]
    out = engine.upscale(lr, scale, plans=plans, plate=plate)
    return _median(lambda: engine.upscale(lr, scale, plans=plans, plate=plate, out=out))


def _median(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
