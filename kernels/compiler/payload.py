"""The range-coded part of a wire plan: scales, biases, taps and weights of every layer.

Section "Payload" of `docs/plan-format.md`. Encoding and decoding are one walk, `_Walk`, over a
coder that either writes the bit it is given or reads the bit that comes, so the two cannot drift.
A difference is the same walk: what is coded are differences from what the base predicts, in
contexts of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from kernels.errors import PlanError
from kernels.plan import (
    Bool,
    Half,
    Int8,
    LayerNumbers,
    LayerSpec,
    PlanIR,
    PlanTable,
    Uint8,
    check_numbers,
    scale_values,
)
from kernels.range_coder import Contexts, Decoder, Encoder

_BIAS_BITS = 17
_GROUPS = (0,) * 6 + (1,) * 3 + (2,) * 2 + (3,) * (2 * _BIAS_BITS - 10)
"""Contexts of a weight by the bit lengths, in sum, of its two neighbours."""


class _Coder(Protocol):
    """Codes a bit: takes it when writing (and returns it), returns it when reading."""

    def bit(self, bit: int, contexts: Contexts, index: int) -> int: ...

    def bypass(self, bit: int) -> int: ...

    def tree(self, value: int, contexts: Contexts) -> int: ...


class _Writer:
    def __init__(self) -> None:
        self.encoder = Encoder()

    def bit(self, bit: int, contexts: Contexts, index: int) -> int:
        self.encoder.encode(bit, contexts, index)
        return bit

    def bypass(self, bit: int) -> int:
        self.encoder.bypass(bit)
        return bit

    def tree(self, value: int, contexts: Contexts) -> int:
        self.encoder.bit_tree(value, contexts, 8)
        return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.decoder = Decoder(data)

    def bit(self, bit: int, contexts: Contexts, index: int) -> int:
        return self.decoder.decode(contexts, index)

    def bypass(self, bit: int) -> int:
        return self.decoder.bypass()

    def tree(self, value: int, contexts: Contexts) -> int:
        return self.decoder.bit_tree(contexts, 8)


def encode_payload(
    table: PlanTable, numbers: tuple[LayerNumbers, ...], base: PlanIR | None = None
) -> bytes:
    """The range-coded stream of a valid plan, as a difference where there is a base."""
    writer = _Writer()
    walk = _Walk(writer)
    for spec, given, by in zip(table.layers, numbers, _layers_of(base, table), strict=True):
        walk.layer(spec, given, by)
    return writer.encoder.finish()


def layer_bytes(
    table: PlanTable, numbers: tuple[LayerNumbers, ...], base: PlanIR | None = None
) -> list[int]:
    """Bytes of the stream that each layer takes, to within one at each end."""
    writer = _Writer()
    walk = _Walk(writer)
    sizes, before = [], 0
    for spec, given, by in zip(table.layers, numbers, _layers_of(base, table), strict=True):
        walk.layer(spec, given, by)
        sizes.append(len(writer.encoder) - before)
        before = len(writer.encoder)
    return sizes


def layer_bytes_alone(spec: LayerSpec, numbers: LayerNumbers) -> int:
    """Bytes of a layer's stream were it the only one, of a full plan."""
    writer = _Writer()
    _Walk(writer).layer(spec, numbers, None)
    return len(writer.encoder.finish())


def decode_payload(
    table: PlanTable, data: bytes, base: PlanIR | None = None
) -> tuple[LayerNumbers, ...]:
    """The numbers of all layers; raises PlanError where the stream is not exactly theirs."""
    reader = _Reader(data)
    walk = _Walk(reader)
    numbers = []
    for index, (spec, by) in enumerate(zip(table.layers, _layers_of(base, table), strict=True)):
        cin = table.input_channels(index)
        found = walk.layer(spec, _blank(spec, cin), by)
        check_numbers(index, spec, found, cin)
        numbers.append(found)
    reader.decoder.finish()
    return tuple(numbers)


def _layers_of(base: PlanIR | None, table: PlanTable) -> Sequence[LayerNumbers | None]:
    return [None] * len(table.layers) if base is None else base.numbers


def _blank(spec: LayerSpec, cin: int) -> LayerNumbers:
    shape = (cin, spec.kernel, spec.kernel)
    return LayerNumbers(
        scales=np.zeros(spec.cout, np.uint8),
        bias=np.zeros(spec.cout, np.float16),
        activation=np.zeros(spec.activation_numbers, np.float16),
        taps=np.zeros((spec.blocks, *shape), np.bool_),
        weights=np.zeros((spec.cout, *shape), np.int8),
    )


def _position_classes(kernel: int) -> list[int]:
    """Mask context of each place of a kernel: 0 centre, 1 edge, 2 corner (5×5: by ring)."""
    if kernel == 1:
        return [0]
    if kernel == 3:
        return [2, 1, 2, 1, 0, 1, 2, 1, 2]
    rings = [[max(abs(y), abs(x)) for x in range(-2, 3)] for y in range(-2, 3)]
    return [ring for row in rings for ring in row]


class _Walk:
    """One pass over a plan's numbers in the order of the wire, contexts kept across layers."""

    def __init__(self, coder: _Coder) -> None:
        self._coder = coder
        self._scales = Contexts(256)
        self._half_high = Contexts(256)
        self._half_low = Contexts(256)
        self._bias = _Sizes(coder, 1)
        self._taps = Contexts(27)
        self._taps_of_base = Contexts(72)
        self._full = _Sizes(coder, 4)
        self._differences = _Sizes(coder, 8)

    def layer(
        self, spec: LayerSpec, given: LayerNumbers, base: LayerNumbers | None = None
    ) -> LayerNumbers:
        """Code one layer; what comes back is `given` when writing, the layer when reading."""
        expected = [0] * spec.cout if base is None else base.scales.tolist()
        codes = np.array(
            [
                (self._coder.tree((int(code) - by) & 255, self._scales) + by) & 255
                for code, by in zip(given.scales, expected, strict=True)
            ],
            np.uint8,
        )
        bias = self._halves(given.bias) if base is None else self._moved(given.bias, base.bias)
        activation = self._halves(given.activation)
        predicted = None if base is None else predict(spec, base, codes)
        taps, weights = self._blocks(spec, given, predicted)
        return LayerNumbers(codes, bias, activation, taps, weights)

    def _halves(self, given: Half) -> Half:
        found = []
        for bits in given.view(np.uint16).tolist():
            high = self._coder.tree(bits >> 8, self._half_high)
            found.append(high << 8 | self._coder.tree(bits & 255, self._half_low))
        return np.array(found, np.uint16).view(np.float16)

    def _moved(self, given: Half, base: Half) -> Half:
        """Halves as differences between their places in the order of all halves."""
        found = []
        pairs = zip(given.view(np.uint16).tolist(), base.view(np.uint16).tolist(), strict=True)
        for bits, by in pairs:
            place = _place(by) + self._bias.code(_place(bits) - _place(by), 0, _BIAS_BITS)
            if abs(place) > 0x7FFF:
                raise PlanError("a bias beyond half precision in the plan: compile it again")
            found.append(place if place >= 0 else 0x8000 - place)
        return np.array(found, np.uint16).view(np.float16)

    def _blocks(
        self, spec: LayerSpec, given: LayerNumbers, predicted: Int8 | None
    ) -> tuple[Bool, Int8]:
        cin = given.taps.shape[1]
        places = _position_classes(spec.kernel) * cin
        masks: list[list[int]] = []
        weights = np.zeros((spec.cout, cin * spec.kernel**2), np.int8)
        given_weights = given.weights.reshape(weights.shape)
        for number in range(spec.blocks):
            rows = slice(number * spec.block, min((number + 1) * spec.block, spec.cout))
            before = masks[-1] if masks else [2] * len(places)
            by = None if predicted is None else predicted[rows]
            if spec.dense:
                mask = [1] * len(places)
            else:
                bits = given.taps[number].reshape(-1).tolist()
                mask = self._mask(bits, before, places if by is None else _strengths(by), by)
            masks.append(mask)
            present = np.flatnonzero(mask)
            expected = (
                np.zeros((len(given_weights[rows]), len(places)), np.int8) if by is None else by
            )
            coded = self._weights(
                given_weights[rows, present].T.tolist(),
                expected[:, present].T.tolist(),
                spec.bits,
                by is not None,
            )
            if coded:
                weights[rows, present] = np.array(coded, np.int8).T
        taps = np.array(masks, np.bool_).reshape(given.taps.shape)
        return taps, weights.reshape(given.weights.shape)

    def _mask(
        self, given: list[bool], before: list[int], kinds: list[int], base: Int8 | None
    ) -> list[int]:
        """Code a block's mask; `kinds` are its taps' places, or what a base has there."""
        contexts = self._taps if base is None else self._taps_of_base
        mask: list[int] = []
        last = last_but_one = 0
        for bit, above, kind in zip(given, before, kinds, strict=True):
            context = (kind * 3 + above) * 3 + last + last_but_one
            last_but_one, last = last, self._coder.bit(int(bit), contexts, context)
            mask.append(last)
        return mask

    def _weights(
        self, block: list[list[int]], expected: list[list[int]], bits: int, moved: bool
    ) -> list[list[int]]:
        """Code the weights of one block, [present taps][channels].

        With `moved` as differences from what a base lets expect.
        """
        found: list[list[int]] = []
        highest = 2 ** (bits - 1) - 1
        tap_before = [0] * (len(block[0]) if block else 0)
        for tap, by in zip(block, expected, strict=True):
            before = 0
            lengths, row = [], []
            for weight, start, above in zip(tap, by, tap_before, strict=True):
                group = _GROUPS[before + above]
                if moved:
                    group += 0 if start else 4
                    coded = self._differences.code(weight - start, group, bits)
                else:
                    coded = self._full.code(weight, group, bits - 1)
                before = abs(coded).bit_length()
                lengths.append(before)
                if abs(start + coded) > highest:
                    raise PlanError(f"a weight beyond {bits} bits in the plan: compile it again")
                row.append(start + coded)
            tap_before = lengths
            found.append(row)
        return found


class _Sizes:
    """Codes whole numbers of either sign: a zero flag, the sign, the bit length, the bits."""

    def __init__(self, coder: _Coder, groups: int) -> None:
        self._coder = coder
        self._zero = Contexts(groups)
        self._unary = [Contexts(_BIAS_BITS) for _ in range(groups)]
        self._first = Contexts(_BIAS_BITS + 1)
        self._second = Contexts(2 * _BIAS_BITS + 2)

    def code(self, number: int, group: int, bits: int) -> int:
        """A number of at most `bits` bits and a sign, in the contexts of `group`."""
        coder = self._coder
        if coder.bit(int(number == 0), self._zero, group):
            return 0
        negative = coder.bypass(int(number < 0))
        size = abs(number)
        ones = 0
        while ones < bits - 1:
            if not coder.bit(int(size.bit_length() - 1 > ones), self._unary[group], ones):
                break
            ones += 1
        found = 1
        for place in range(ones - 1, -1, -1):
            bit = size >> place & 1
            if place == ones - 1:
                bit = coder.bit(bit, self._first, ones + 1)
                second = (ones + 1) * 2 + bit
            elif place == ones - 2:
                bit = coder.bit(bit, self._second, second)
            else:
                bit = coder.bypass(bit)
            found = found << 1 | bit
        return -found if negative else found


def predict(spec: LayerSpec, base: LayerNumbers, scales: Uint8) -> Int8:
    """What the base says the layer's integers are, i8 [cout, cin·k·k].

    Its weights in units of the layer's own scales u8 [cout], rounded, halves to even, and cut off
    at the layer's bits.
    """
    highest = 2 ** (spec.bits - 1) - 1
    units = scale_values()[scales].reshape(-1, 1)
    weights = base.dequantised().reshape(spec.cout, -1)
    whole = np.clip(np.rint(weights / units), -highest, highest)
    return np.asarray(whole, np.int8)


def _strengths(predicted: Int8) -> list[int]:
    """Bit length of the largest |prediction| of each tap of a block [channels, taps]."""
    largest = np.abs(predicted.astype(np.int16)).max(axis=0)
    return [int(size).bit_length() for size in largest]


def _place(half: int) -> int:
    """Where a half stands in the order of all halves, by its bits; both zeros are 0."""
    return half if half < 0x8000 else 0x8000 - half
