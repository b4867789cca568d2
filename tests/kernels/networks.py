"""Graphs for tests: sparse random networks of the shapes that experts have."""

from __future__ import annotations

import numpy as np

from kernels.graph import (
    Add,
    Bias,
    Concat,
    Conv,
    Graph,
    GraphBuilder,
    Input,
    Interpolation,
    Output,
    PixelShuffle,
    ReLU,
)
from kernels.plan import Float


class Random:
    """Random weights with the taps of whole blocks of 4 output channels pruned."""

    def __init__(self, seed: int = 0, density: float = 1.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._density = density

    def weight(self, cout: int, cin: int, kernel: int = 3) -> Float:
        """f32 [cout, cin, k, k], of a size that keeps the values' variance."""
        spread = (2 / (cin * kernel**2 * self._density)) ** 0.5
        weight = self._rng.normal(0, spread, (cout, cin, kernel, kernel))
        taps = self._rng.random((-(-cout // 4), cin, kernel, kernel)) < self._density
        return np.asarray(weight * np.repeat(taps, 4, axis=0)[:cout], dtype=np.float32)

    def vector(self, size: int) -> Float:
        """f32 [size], small."""
        return self._rng.normal(0, 0.1, size).astype(np.float32)

    def conv(self, builder: GraphBuilder, value: int, cout: int, kernel: int = 3) -> int:
        """A convolution and its bias on `value`; the number of the sum."""
        cin = builder.shapes[value].channels
        weights = builder.add(Conv(self.weight(cout, cin, kernel)), value)
        return builder.add(Bias(self.vector(cout)), weights)


def finish(builder: GraphBuilder, detail: int, luma: int) -> Graph:
    """`detail` shuffled, the bicubic base added, and the output."""
    scale = builder.scale
    hr = builder.add(PixelShuffle(scale), detail)
    builder.add(Output(), builder.add(Add(), hr, builder.add(Interpolation(scale), luma)))
    return builder.build()


def default_network(seed: int = 0, density: float = 0.25, scale: int = 2) -> Graph:
    """Two planes, 16 channels, three blocks 16 -> 32 -> 16, a tail: 28.5k weights when dense."""
    random, builder = Random(seed, density), GraphBuilder(scale)
    luma, previous = builder.add(Input("luma")), builder.add(Input("previous"))
    value = random.conv(builder, builder.add(Concat(), luma, previous), 16)
    for _ in range(3):
        wide = builder.add(ReLU(), random.conv(builder, value, 32))
        value = builder.add(Add(), value, random.conv(builder, wide, 16))
    return finish(builder, random.conv(builder, value, scale**2), luma)
