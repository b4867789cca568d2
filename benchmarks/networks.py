"""The networks that the kernel benchmarks run, as plans with weights of a given density.

Time depends on shapes and on which taps survive, not on the values, so weights are random:
Gaussian, pruned by magnitude in blocks to the same share in every layer but the first and last,
which stay dense as they do when an expert is trained (`overfit.pruning`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.plan import Activation, Codes, LayerNumbers, LayerSpec, PlanIR, PlanTable, spread


@dataclass(frozen=True)
class Shape:
    """A network's shape: a WDSR (head, blocks of widen, ReLU, narrow, skip; tail) or an ESPCN."""

    name: str
    units: int
    blocks: int
    inputs: tuple[str, ...] = ("luma", "previous")
    espcn: bool = False


SHAPES = (
    Shape("plate 3×8", 8, 3, ("luma", "previous", "plate")),
    Shape("default 3×16", 16, 3),
    Shape("WDSR 2×16", 16, 2),
    Shape("WDSR 4×16", 16, 4),
    Shape("WDSR 4×32", 32, 4),
    Shape("ESPCN", 64, 0, ("luma",), espcn=True),
)


DENSITIES = (1.0, 0.5, 0.25, 0.125)
"""Shares of the taps that are left, between the first and the last layer."""

# Steps of 1/64 up to 4, of 1/32 from -4 to 4: the values' variance is about 1.
_RELU_CODES, _SIGNED_CODES = Codes(144, False), Codes(152, True)


class _Stack:
    """Collects layers; every method returns the id of the value it made."""

    def __init__(self, inputs: int, density: float, block: int, seed: int, coded: bool) -> None:
        self.inputs = inputs
        self.density = density
        self.block = block
        self.coded = coded
        self.random = np.random.default_rng(seed)
        self.layers: list[LayerSpec] = []
        self.numbers: list[LayerNumbers] = []

    def conv(
        self,
        sources: tuple[int, ...],
        cin: int,
        cout: int,
        *,
        kernel: int = 3,
        relu: bool = False,
        residual: int | None = None,
        density: float | None = None,
        last: bool = False,
    ) -> int:
        kept = self.density if density is None else density
        activation = Activation.RELU if relu else Activation.NONE
        codes = _RELU_CODES if relu else _SIGNED_CODES
        layer = LayerSpec(
            kernel,
            sources,
            cout,
            self.block,
            activation,
            residual,
            residual_after=False,
            dense=kept == 1,
            bits=8,
            codes=codes if self.coded and not last else None,
        )
        weights = self.random.standard_normal((cout, cin, kernel, kernel))
        padded = np.zeros((layer.blocks * self.block, cin, kernel, kernel))
        padded[:cout] = weights
        energy = (padded.reshape(layer.blocks, self.block, cin, kernel, kernel) ** 2).sum(1)
        taps = energy >= np.quantile(energy, 1 - kept) if kept < 1 else np.ones_like(energy, bool)
        weights = weights * spread(taps, self.block, cout)
        integers = np.clip(np.round(weights * 40), -127, 127).astype(np.int8)
        gain = np.sqrt(2.0 if relu else 1.0) / np.sqrt(cin * kernel**2 * kept)
        scale = np.full(cout, round((np.log2(gain / 40) + 24) * 8), np.uint8)
        numbers = LayerNumbers(
            scale, np.zeros(cout, np.float16), np.zeros(0, np.float16), taps, integers
        )
        self.layers.append(layer)
        self.numbers.append(numbers)
        return self.inputs + len(self.layers) - 1


def network(
    shape: Shape,
    scale: int,
    density: float,
    *,
    block: int = 4,
    seed: int = 0,
    coded: bool = False,
) -> PlanIR:
    """A plan of this shape at `scale` with `density` of its taps left, by blocks of `block`.

    coded: the values between layers are 8-bit codes.
    """
    planes = sum(scale**2 if name == "plate" else 1 for name in shape.inputs)
    stack = _Stack(len(shape.inputs), density, block, seed, coded)
    sources = tuple(range(len(shape.inputs)))
    if shape.espcn:
        value = stack.conv(sources, planes, 64, kernel=5, relu=True, density=1)
        value = stack.conv((value,), 64, 32, relu=True)
        stack.conv((value,), 32, scale**2, density=1, last=True)
    else:
        units = shape.units
        value = stack.conv(sources, planes, units, density=1)
        for _ in range(shape.blocks):
            wide = stack.conv((value,), units, 2 * units, relu=True)
            value = stack.conv((wide,), 2 * units, units, residual=value)
        stack.conv((value,), units, scale**2, density=1, last=True)
    table = PlanTable(scale, shape.inputs, True, tuple(stack.layers))
    return PlanIR(table, tuple(stack.numbers))
