"""A wire plan in memory: the op table, the numbers of each layer, and what makes them valid.

`docs/plan-format.md` is the authority for every field and limit here. A `PlanTable` or a `PlanIR`
that exists is valid: both check themselves when they are made and raise PlanError.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kernels.errors import PlanError

SCALES = (1, 2, 3, 4)
KERNELS = (1, 3, 5)
BLOCKS = (1, 4, 8)
PLANES = ("luma", "previous", "plate")
MAX_LAYERS = 128
MAX_SOURCES = 8
MAX_COUT = 512
MAX_INPUT_CHANNELS = 512
MAX_CHANNELS = 8192
MAX_WEIGHTS = 4_194_304
MAX_RADIUS = 64
MAX_BYTES = 4 << 20
MAX_CODE_SUM = 65535
"""Largest sum of a channel's |weights| over codes: with codes up to 255 a sum stays below 2^24."""
INPUT_STEP = 136
"""The step of the input planes' codes on the grid of `scale_values`: 1/128."""

Int8 = npt.NDArray[np.int8]
Uint8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
Half = npt.NDArray[np.float16]
Float = npt.NDArray[np.float32]


class Activation(IntEnum):
    """What a layer does to its sums, by its number in the op table."""

    NONE = 0
    RELU = 1
    PRELU = 2
    CLIP = 3


@dataclass(frozen=True)
class Codes:
    """8-bit codes c of a value: worth (c - zero)·step, `step` on the grid of `scale_values`."""

    step: int
    signed: bool

    @property
    def zero(self) -> int:
        """The code of 0."""
        return 128 if self.signed else 0

    @property
    def unit(self) -> np.float32:
        """What one code more is worth."""
        return np.float32(scale_values()[self.step])


INPUT_CODES = Codes(INPUT_STEP, True)
"""What the input planes' samples are."""


@dataclass(frozen=True)
class LayerSpec:
    """One row of the op table: everything about a layer but its numbers.

    codes: what the output is rounded to; None where it stays in single precision.
    """

    kernel: int
    sources: tuple[int, ...]
    cout: int
    block: int
    activation: Activation
    residual: int | None
    residual_after: bool
    dense: bool
    bits: int
    codes: Codes | None = None

    @property
    def blocks(self) -> int:
        """How many blocks of output channels there are; the last one may be smaller."""
        return -(-self.cout // self.block)

    @property
    def activation_numbers(self) -> int:
        """How many half-precision numbers the activation takes."""
        return {Activation.PRELU: self.cout, Activation.CLIP: 2}.get(self.activation, 0)


def _refuse(wrong: str, layer: int | None = None) -> PlanError:
    place = "the op table" if layer is None else f"layer {layer}"
    return PlanError(f"{place} of the plan: {wrong}: compile the network again")


@dataclass(frozen=True)
class PlanTable:
    """The op table. Values are numbered: declared inputs first, then each layer's output.

    Raises PlanError for anything that `docs/plan-format.md` refuses.
    """

    scale: int
    inputs: tuple[str, ...]
    bicubic: bool
    layers: tuple[LayerSpec, ...]

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise _refuse(f"scale {self.scale} is not one of {SCALES}")
        if self.inputs not in {("luma",), PLANES, PLANES[:2], ("luma", "plate")}:
            raise _refuse(f"inputs {self.inputs} are not luma and some of {PLANES[1:]} in order")
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise _refuse(f"{len(self.layers)} layers, not 1 to {MAX_LAYERS}")
        for index, layer in enumerate(self.layers):
            self._check_layer(index, layer)
        self._check_codes()
        if self.layers[-1].cout != self.scale**2:
            raise _refuse(
                f"{self.layers[-1].cout} channels in the last layer where scale {self.scale} "
                f"needs {self.scale**2}"
            )
        if sum(self.channels) > MAX_CHANNELS:
            raise _refuse(f"{sum(self.channels)} channels in all, more than {MAX_CHANNELS}")
        if self.dense_weights > MAX_WEIGHTS:
            raise _refuse(f"{self.dense_weights} weights, more than {MAX_WEIGHTS}")
        if max(self._reach) > MAX_RADIUS:
            raise _refuse(f"a receptive radius of {max(self._reach)}, more than {MAX_RADIUS}")

    def _check_layer(self, index: int, layer: LayerSpec) -> None:
        defined = len(self.inputs) + index
        if layer.kernel not in KERNELS:
            raise _refuse(f"kernel {layer.kernel} is not one of {KERNELS}", index)
        if not 1 <= len(layer.sources) <= MAX_SOURCES:
            raise _refuse(f"{len(layer.sources)} sources, not 1 to {MAX_SOURCES}", index)
        for value in (*layer.sources, *(() if layer.residual is None else (layer.residual,))):
            if not 0 <= value < defined:
                raise _refuse(f"value {value} is not defined yet ({defined} are)", index)
        if not 1 <= layer.cout <= MAX_COUT:
            raise _refuse(f"{layer.cout} output channels, not 1 to {MAX_COUT}", index)
        if layer.block not in BLOCKS:
            raise _refuse(f"block {layer.block} is not one of {BLOCKS}", index)
        if not 2 <= layer.bits <= 8:
            raise _refuse(f"weights of {layer.bits} bits, not 2 to 8", index)
        if layer.codes is not None and not 0 <= layer.codes.step <= 255:
            raise _refuse(f"a step {layer.codes.step} outside 0 to 255", index)
        if layer.residual is None and layer.residual_after:
            raise _refuse("a place for a residual but no residual", index)
        cin = self.input_channels(index)
        if cin > MAX_INPUT_CHANNELS:
            raise _refuse(f"{cin} input channels, more than {MAX_INPUT_CHANNELS}", index)
        if layer.residual is not None and self._channels_of(layer.residual) != layer.cout:
            raise _refuse(
                f"a residual of {self._channels_of(layer.residual)} channels on {layer.cout}", index
            )

    def _check_codes(self) -> None:
        *inner, last = (layer.codes is not None for layer in self.layers)
        if last or (any(inner) and not all(inner)):
            raise _refuse("codes must be the output of every layer but the last, or of none")
        if any(inner):
            for index, layer in enumerate(self.layers):
                if len({self.codes_of(value) for value in layer.sources}) > 1:
                    raise _refuse("sources of different steps", index)

    @property
    def coded(self) -> bool:
        """Whether the values between layers are 8-bit codes."""
        return self.layers[0].codes is not None

    def codes_of(self, value: int) -> Codes | None:
        """What a value is rounded to; None for single precision."""
        inputs = len(self.inputs)
        return INPUT_CODES if value < inputs else self.layers[value - inputs].codes

    def _channels_of(self, value: int) -> int:
        if value < len(self.inputs):
            return self.scale**2 if self.inputs[value] == "plate" else 1
        return self.layers[value - len(self.inputs)].cout

    def input_channels(self, layer: int) -> int:
        """Channels of all sources of layer number `layer` together."""
        return sum(self._channels_of(value) for value in self.layers[layer].sources)

    @cached_property
    def channels(self) -> tuple[int, ...]:
        """Channels of every value, by value id."""
        return tuple(self._channels_of(v) for v in range(len(self.inputs) + len(self.layers)))

    @cached_property
    def dense_weights(self) -> int:
        """Weights of the plan were no tap missing."""
        return sum(
            layer.cout * self.input_channels(index) * layer.kernel**2
            for index, layer in enumerate(self.layers)
        )

    @cached_property
    def live(self) -> tuple[bool, ...]:
        """For each layer, whether the output depends on it; others are not computed."""
        live = [False] * len(self.layers)
        live[-1] = True
        for index in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[index]
            for value in (*layer.sources, layer.residual) if live[index] else ():
                if value is not None and value >= len(self.inputs):
                    live[value - len(self.inputs)] = True
        return tuple(live)

    @property
    def radius(self) -> int:
        """LR pixels of true neighbours that a patch needs on each side, the base's aside."""
        return self._reach[-1]

    @cached_property
    def _reach(self) -> list[int]:
        """The receptive radius of every value, by value id."""
        reach = [0] * len(self.inputs)
        for layer in self.layers:
            farthest = max(reach[value] for value in layer.sources) + layer.kernel // 2
            reach.append(max(farthest, 0 if layer.residual is None else reach[layer.residual]))
        return reach


@dataclass(frozen=True, eq=False)
class LayerNumbers:
    """The numbers of one layer.

    scales: u8 [cout], codes of the weight scales (see `scale_values`).
    bias: f16 [cout]. activation: f16 [cout] slopes of PReLU, [2] bounds of clip, else [0].
    taps: bool [blocks, cin, k, k]. weights: i8 [cout, cin, k, k], 0 where the tap is missing.
    """

    scales: Uint8
    bias: Half
    activation: Half
    taps: Bool
    weights: Int8

    def dequantised(self) -> Float:
        """The weights as the runtime multiplies with them, f32 [cout, cin, k, k]."""
        values = scale_values()[self.scales].reshape(-1, 1, 1, 1)
        return np.asarray(self.weights.astype(np.float32) * values, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class PlanIR:
    """A whole plan: its op table and the numbers of each of its layers."""

    table: PlanTable
    numbers: tuple[LayerNumbers, ...]

    def __post_init__(self) -> None:
        if len(self.numbers) != len(self.table.layers):
            raise _refuse(f"{len(self.table.layers)} layers, numbers of {len(self.numbers)}")
        for index, (layer, numbers) in enumerate(zip(self.table.layers, self.numbers, strict=True)):
            check_numbers(index, layer, numbers, self.table.input_channels(index))
            sums = np.abs(numbers.weights.astype(np.int32)).sum(axis=(1, 2, 3))
            if self.table.coded and sums.max(initial=0) > MAX_CODE_SUM:
                raise _refuse(f"|weights| that sum to more than {MAX_CODE_SUM} over codes", index)

    @property
    def scale(self) -> int:
        """HR size / LR size."""
        return self.table.scale

    @property
    def inputs(self) -> tuple[str, ...]:
        """The planes the plan wants, in order."""
        return self.table.inputs

    @property
    def radius(self) -> int:
        """See `PlanTable.radius`."""
        return self.table.radius

    @cached_property
    def taps(self) -> int:
        """Present taps, each shared by a block of output channels."""
        return sum(int(numbers.taps.sum()) for numbers in self.numbers)

    @cached_property
    def weights(self) -> int:
        """Weights under present taps."""
        return sum(self._layer_weights)

    @cached_property
    def multiplications(self) -> int:
        """Per LR pixel: weights under present taps of the layers that are computed."""
        layers = zip(self._layer_weights, self.table.live, strict=True)
        return sum(weights for weights, live in layers if live)

    @cached_property
    def _layer_weights(self) -> tuple[int, ...]:
        pairs = zip(self.table.layers, self.numbers, strict=True)
        return tuple(int(spread(n.taps, s.block, s.cout).sum()) for s, n in pairs)

    @property
    def density(self) -> float:
        """Share of the dense weights that is left."""
        return self.weights / self.table.dense_weights


def spread(taps: Bool, block: int, cout: int) -> Bool:
    """Taps of blocks [blocks, cin, k, k] as taps of channels [cout, cin, k, k]."""
    return np.asarray(np.repeat(taps, block, axis=0)[:cout])


def scale_values() -> Float:
    """f32 [256]: the weight scale of each code, 2^-24 … 2^7.875 in eighths of an octave."""
    codes = np.arange(256)
    mantissa = np.float32(2.0) ** (np.arange(8, dtype=np.float64) / 8)
    powers = np.ldexp(np.ones(256, np.float32), (codes >> 3) - 24)
    return np.asarray(mantissa.astype(np.float32)[codes & 7] * powers, dtype=np.float32)


def check_numbers(index: int, layer: LayerSpec, numbers: LayerNumbers, cin: int) -> None:
    """Raise PlanError unless `numbers` fit row `layer`, number `index`, with `cin` inputs."""
    shape = (cin, layer.kernel, layer.kernel)
    wanted = {
        "scales": (layer.cout,),
        "bias": (layer.cout,),
        "activation": (layer.activation_numbers,),
        "taps": (layer.blocks, *shape),
        "weights": (layer.cout, *shape),
    }
    for name, dimensions in wanted.items():
        if getattr(numbers, name).shape != dimensions:
            found = getattr(numbers, name).shape
            raise _refuse(f"{name} of shape {found}, not {dimensions}", index)
    if not (np.isfinite(numbers.bias).all() and np.isfinite(numbers.activation).all()):
        raise _refuse("a bias, slope or bound that is not finite", index)
    if layer.activation is Activation.CLIP and numbers.activation[0] > numbers.activation[1]:
        raise _refuse(f"a clip from {numbers.activation[0]} to {numbers.activation[1]}", index)
    if layer.dense and not numbers.taps.all():
        raise _refuse("called dense, but taps are missing", index)
    highest = 2 ** (layer.bits - 1) - 1
    if numbers.weights.size and np.abs(numbers.weights.astype(np.int16)).max() > highest:
        raise _refuse(f"a weight beyond {layer.bits} bits", index)
    if numbers.weights[~spread(numbers.taps, layer.block, layer.cout)].any():
        raise _refuse("a weight where there is no tap", index)
