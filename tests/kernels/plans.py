"""Plans for tests: random valid ones, and a small fixed one that every branch of the format has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from kernels.plan import (
    INPUT_CODES,
    Activation,
    Codes,
    LayerNumbers,
    LayerSpec,
    PlanIR,
    PlanTable,
    spread,
)


def numbers_for(
    spec: LayerSpec, cin: int, rng: np.random.Generator, density: float = 0.5
) -> LayerNumbers:
    """Random numbers for row `spec` with weight scales around 2^-7."""
    shape = (cin, spec.kernel, spec.kernel)
    taps = rng.random((spec.blocks, *shape)) < (1.0 if spec.dense else density)
    highest = 2 ** (spec.bits - 1) - 1
    weights = rng.normal(0, highest / 3, (spec.cout, *shape)).round().clip(-highest, highest)
    weights *= spread(taps, spec.block, spec.cout)
    if spec.activation is Activation.CLIP:
        activation = np.array([-0.5, 0.75], np.float16)
    else:
        activation = rng.normal(0, 0.3, spec.activation_numbers).astype(np.float16)
    return LayerNumbers(
        scales=rng.integers(110, 140, spec.cout).astype(np.uint8),
        bias=rng.normal(0, 0.1, spec.cout).astype(np.float16),
        activation=activation,
        taps=taps,
        weights=weights.astype(np.int8),
    )


def plan_for(table: PlanTable, seed: int, density: float = 0.5) -> PlanIR:
    """A plan of `table` with random numbers."""
    rng = np.random.default_rng(seed)
    return PlanIR(
        table,
        tuple(
            numbers_for(spec, table.input_channels(index), rng, density)
            for index, spec in enumerate(table.layers)
        ),
    )


def spec(
    cout: int,
    *sources: int,
    kernel: int = 3,
    block: int = 4,
    activation: Activation = Activation.NONE,
    residual: int | None = None,
    after: bool = False,
    dense: bool = False,
    bits: int = 8,
    codes: Codes | None = None,
) -> LayerSpec:
    """A row of an op table, with the usual defaults."""
    return LayerSpec(kernel, sources, cout, block, activation, residual, after, dense, bits, codes)


_CODES = [INPUT_CODES, Codes(150, True), Codes(133, False), Codes(144, False)]


@st.composite
def tables(draw: st.DrawFn) -> PlanTable:
    """Any valid op table of up to five small layers; some with codes between them."""
    coded = draw(st.booleans())
    scale = draw(st.sampled_from([1, 2, 3, 4]))
    optional = [name for name in ("previous", "plate") if draw(st.booleans())]
    inputs = ("luma", *optional)
    layers: list[LayerSpec] = []
    channels = [scale**2 if name == "plate" else 1 for name in inputs]
    of_value: list[Codes | None] = [INPUT_CODES] * len(inputs)
    count = draw(st.integers(1, 5))
    for index in range(count):
        first = draw(st.integers(0, len(channels) - 1))
        alike = [v for v, codes in enumerate(of_value) if not coded or codes == of_value[first]]
        sources = [first, *draw(st.lists(st.sampled_from(alike), max_size=2))]
        cout = scale**2 if index == count - 1 else draw(st.integers(1, 17))
        fitting = [value for value, number in enumerate(channels) if number == cout]
        residual = draw(st.sampled_from([None, *fitting]))
        layers.append(
            spec(
                cout,
                *sources,
                kernel=draw(st.sampled_from([1, 3, 5])),
                block=draw(st.sampled_from([1, 4, 8])),
                activation=draw(st.sampled_from(list(Activation))),
                residual=residual,
                after=residual is not None and draw(st.booleans()),
                dense=draw(st.booleans()),
                bits=draw(st.integers(2, 8)),
                codes=draw(st.sampled_from(_CODES)) if coded and index < count - 1 else None,
            )
        )
        of_value.append(layers[-1].codes)
        channels.append(cout)
    return PlanTable(scale, inputs, draw(st.booleans()), tuple(layers))


def every_branch() -> PlanIR:
    """All inputs, kernels, blocks, activations, both residual places, dense and 2-bit weights."""
    table = PlanTable(
        scale=2,
        inputs=("luma", "previous", "plate"),
        bicubic=True,
        layers=(
            spec(6, 0, 1, 2, activation=Activation.RELU),
            spec(6, 3, kernel=5, block=8, activation=Activation.PRELU, residual=3),
            spec(7, 4, 3, kernel=1, block=1, activation=Activation.CLIP, bits=5),
            spec(6, 5, activation=Activation.RELU, residual=4, after=True, dense=True, bits=2),
            spec(4, 6, residual=2, after=True),
        ),
    )
    return plan_for(table, seed=1)


def codes_everywhere() -> PlanIR:
    """Codes of every kind, all blocks and kernels, residuals of an input and of exact values."""
    signed, unsigned = Codes(145, True), Codes(138, False)
    table = PlanTable(
        scale=2,
        inputs=("luma", "previous", "plate"),
        bicubic=True,
        layers=(
            spec(6, 0, 1, 2, activation=Activation.PRELU, codes=signed),
            spec(13, 3, kernel=5, block=8, activation=Activation.RELU, codes=unsigned),
            spec(6, 4, activation=Activation.CLIP, residual=3, after=True, codes=signed, bits=5),
            spec(4, 5, 3, kernel=1, block=1, residual=2, dense=True, codes=unsigned),
            spec(6, 6, block=8, residual=5, activation=Activation.RELU, codes=unsigned),
            spec(4, 7, residual=6, dense=True),
        ),
    )
    return plan_for(table, seed=2)


def moved(plan: PlanIR, seed: int = 3, keep: float = 0.7) -> PlanIR:
    """`plan` as some training leaves it: fewer taps, weights, scales and biases a little off."""
    rng = np.random.default_rng(seed)

    def layer(row: int, numbers: LayerNumbers) -> LayerNumbers:
        spec = plan.table.layers[row]
        highest = 2 ** (spec.bits - 1) - 1
        taps = numbers.taps & (spec.dense | (rng.random(numbers.taps.shape) < keep))
        off = rng.normal(0, 1.5, numbers.weights.shape).round().astype(int)
        weights = np.clip(numbers.weights + off, -highest, highest).astype(np.int8)
        return LayerNumbers(
            scales=(numbers.scales + rng.integers(-1, 2, spec.cout)).astype(np.uint8),
            bias=(numbers.bias * rng.uniform(0.9, 1.1, spec.cout)).astype(np.float16),
            activation=numbers.activation,
            taps=taps,
            weights=weights * spread(taps, spec.block, spec.cout),
        )

    return PlanIR(plan.table, tuple(layer(row, n) for row, n in enumerate(plan.numbers)))


def same(left: PlanIR, right: PlanIR) -> bool:
    """Whether two plans are equal, number for number."""
    if left.table != right.table:
        return False
    names = ("scales", "bias", "activation", "taps", "weights")
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(left.numbers, right.numbers, strict=True)
        for name in names
    )


def codes_in_every_shape(beyond: bool = False) -> PlanIR:
    """Coded layers that differ in how many channels share their taps, and what follows their sums.

    beyond: weights so large that sums do not fit 2^22, nor steps 2^15, which some runtimes need for
    their fastest way.
    """
    signed, rectified = Codes(152, True), Codes(144, False)
    relu = Activation.RELU
    table = PlanTable(
        scale=4,
        inputs=("luma", "previous"),
        bicubic=False,
        layers=(
            spec(8, 0, 1, dense=True, codes=signed),
            spec(16, 2, activation=relu, codes=rectified),
            spec(8, 3, residual=2, codes=signed),
            spec(12, 4, block=8, kernel=5, activation=relu, dense=True, codes=Codes(152, False)),
            spec(7, 5, block=1, activation=relu, codes=rectified),
            spec(2, 6, block=1, kernel=1, dense=True, codes=rectified),
            spec(5, 7, 6, block=8, activation=relu, codes=rectified),
            spec(8, 8, residual=4, codes=signed),
            spec(16, 9, dense=True),
        ),
    )
    plan = plan_for(table, 3, density=0.25)
    if not beyond:
        return plan
    large = tuple(
        replace(numbers, weights=(127 * np.sign(numbers.weights)).astype(np.int8))
        for numbers in plan.numbers
    )
    return PlanIR(table, large)


def codes_of_no_numbers() -> PlanIR:
    """Coded layers whose exact values grow to infinities, of which the last makes 0 times infinity.

    No training makes such a plan, but a loader takes it.
    """
    signed = Codes(145, True)
    growing = [
        spec(6, k, activation=Activation.PRELU, residual=k if k else None, codes=signed)
        for k in range(10)
    ]
    table = PlanTable(2, ("luma",), False, (*growing, spec(4, 10, dense=True)))
    plan = plan_for(table, seed=2)
    slopes = [np.full(6, slope, np.float16) for slope in (*[60000] * 9, 0)]
    numbers = [replace(n, activation=a) for n, a in zip(plan.numbers, slopes, strict=False)]
    return PlanIR(table, (*numbers, plan.numbers[-1]))
