"""The range-coded part of a wire plan: scales, biases, taps and weights of every layer.

Section "Payload" of `docs/plan-format.md`. Encoding and decoding are one walk, `_Walk`, over a
coder that either writes the bit it is given or reads the bit that comes, so the two cannot drift.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kernels.plan import (
    Bool,
    Half,
    Int8,
    LayerNumbers,
    LayerSpec,
    PlanTable,
    check_numbers,
)
from kernels.range_coder import Contexts, Decoder, Encoder

_CLASSES = ((6, 0), (9, 1), (11, 2))


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


def encode_payload(table: PlanTable, numbers: tuple[LayerNumbers, ...]) -> bytes:
    """The range-coded stream of a valid plan."""
    writer = _Writer()
    walk = _Walk(writer)
    for spec, given in zip(table.layers, numbers, strict=True):
        walk.layer(spec, given)
    return writer.encoder.finish()


def layer_bytes(table: PlanTable, numbers: tuple[LayerNumbers, ...]) -> list[int]:
    """Bytes of the stream that each layer takes, to within one at each end."""
    writer = _Writer()
    walk = _Walk(writer)
    sizes, before = [], 0
    for spec, given in zip(table.layers, numbers, strict=True):
        walk.layer(spec, given)
        sizes.append(len(writer.encoder) - before)
        before = len(writer.encoder)
    return sizes


def decode_payload(table: PlanTable, data: bytes) -> tuple[LayerNumbers, ...]:
    """The numbers of all layers; raises PlanError where the stream is not exactly theirs."""
    reader = _Reader(data)
    walk = _Walk(reader)
    numbers = []
    for index, spec in enumerate(table.layers):
        cin = table.input_channels(index)
        found = walk.layer(spec, _blank(spec, cin))
        check_numbers(index, spec, found, cin)
        numbers.append(found)
    reader.decoder.finish()
    return tuple(numbers)


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
        self._taps = Contexts(27)
        self._zero = Contexts(4)
        self._unary = [Contexts(6) for _ in range(4)]
        self._first = Contexts(8)
        self._second = Contexts(16)

    def layer(self, spec: LayerSpec, given: LayerNumbers) -> LayerNumbers:
        """Code one layer; what comes back is `given` when writing, the layer when reading."""
        codes = [self._coder.tree(int(code), self._scales) for code in given.scales]
        bias = self._halves(given.bias)
        activation = self._halves(given.activation)
        taps, weights = self._blocks(spec, given)
        return LayerNumbers(np.array(codes, np.uint8), bias, activation, taps, weights)

    def _halves(self, given: Half) -> Half:
        found = []
        for bits in given.view(np.uint16).tolist():
            high = self._coder.tree(bits >> 8, self._half_high)
            found.append(high << 8 | self._coder.tree(bits & 255, self._half_low))
        return np.array(found, np.uint16).view(np.float16)

    def _blocks(self, spec: LayerSpec, given: LayerNumbers) -> tuple[Bool, Int8]:
        cin = given.taps.shape[1]
        places = _position_classes(spec.kernel) * cin
        masks: list[list[int]] = []
        weights = np.zeros((spec.cout, cin * spec.kernel**2), np.int8)
        given_weights = given.weights.reshape(weights.shape)
        for number in range(spec.blocks):
            if spec.dense:
                mask = [1] * len(places)
            else:
                before = masks[-1] if masks else [2] * len(places)
                mask = self._mask(given.taps[number].reshape(-1).tolist(), before, places)
            masks.append(mask)
            rows = slice(number * spec.block, min((number + 1) * spec.block, spec.cout))
            present = np.flatnonzero(mask)
            block = given_weights[rows, present].T.tolist()
            coded = self._weights(block, spec.bits)
            if coded:
                weights[rows, present] = np.array(coded, np.int8).T
        taps = np.array(masks, np.bool_).reshape(given.taps.shape)
        return taps, weights.reshape(given.weights.shape)

    def _mask(self, given: list[bool], before: list[int], places: list[int]) -> list[int]:
        mask: list[int] = []
        last = last_but_one = 0
        for bit, above, place in zip(given, before, places, strict=True):
            context = (place * 3 + above) * 3 + last + last_but_one
            last_but_one, last = last, self._coder.bit(int(bit), self._taps, context)
            mask.append(last)
        return mask

    def _weights(self, block: list[list[int]], bits: int) -> list[list[int]]:
        """Code the weights of one block, [present taps][channels]."""
        found: list[list[int]] = []
        tap_before = [0] * (len(block[0]) if block else 0)
        for tap in block:
            before = 0
            lengths, row = [], []
            for weight, above in zip(tap, tap_before, strict=True):
                coded = self._weight(weight, before + above, bits)
                before = abs(coded).bit_length()
                lengths.append(before)
                row.append(coded)
            tap_before = lengths
            found.append(row)
        return found

    def _weight(self, weight: int, neighbours: int, bits: int) -> int:
        coder = self._coder
        group = next((group for limit, group in _CLASSES if neighbours < limit), 3)
        if coder.bit(int(weight == 0), self._zero, group):
            return 0
        negative = coder.bypass(int(weight < 0))
        size = abs(weight)
        ones = 0
        while ones < bits - 2:
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
