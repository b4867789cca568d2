"""Adaptive binary range coder: the entropy coder of wire plans and of patch maps.

The carry-propagating range coder of LZMA (I. Pavlov, LZMA SDK) without its leading zero byte. The
probability of a context is the mean of a fast and a slow estimate (window 2^4 and 2^7), the
two-speed model of VVC's CABAC (ITU-T H.266, section 9.3.4.3.2). `docs/plan-format.md` fixes every
bit; the C++ runtime decodes the same stream.

    bits ──► Encoder ── contexts adapt ──► bytes ──► Decoder ── contexts adapt alike ──► bits
"""

from __future__ import annotations

from kernels.errors import PlanError

_MASK = 0xFFFF_FFFF
_TOP = 1 << 24
_FAST, _SLOW = 4, 7
_HALF, _ONE = 1 << 15, 1 << 16
_LOWEST, _HIGHEST = 64, 32704  # of 32768: no bit ever costs more than nine bits


class Contexts:
    """`size` adaptive estimates of the probability of a 0, all at one half at the start."""

    __slots__ = ("fast", "slow")

    def __init__(self, size: int) -> None:
        self.fast = [_HALF] * size
        self.slow = [_HALF] * size

    def __len__(self) -> int:
        return len(self.fast)

    def probability(self, index: int) -> int:
        """The probability of a 0 in context `index`, in 1/32768."""
        return min(max((self.fast[index] + self.slow[index]) >> 2, _LOWEST), _HIGHEST)

    def update(self, index: int, bit: int) -> None:
        """Move both estimates of context `index` towards `bit`."""
        fast, slow = self.fast[index], self.slow[index]
        if bit:
            self.fast[index] = fast - (fast >> _FAST)
            self.slow[index] = slow - (slow >> _SLOW)
        else:
            self.fast[index] = fast + ((_ONE - fast) >> _FAST)
            self.slow[index] = slow + ((_ONE - slow) >> _SLOW)


class Encoder:
    """Turns bits into bytes; `finish` returns them and ends the encoder's life."""

    def __init__(self) -> None:
        self._low = 0
        self._range = _MASK
        self._out = bytearray()

    def encode(self, bit: int, contexts: Contexts, index: int) -> None:
        """Code `bit` (0 or 1) with context `index`, which then adapts."""
        bound = (self._range >> 15) * contexts.probability(index)
        if bit:
            self._add(bound)
            self._range -= bound
        else:
            self._range = bound
        contexts.update(index, bit)
        if self._range < _TOP:
            self._normalise()

    def bypass(self, bit: int) -> None:
        """Code `bit` at one half, without a context."""
        self._range >>= 1
        if bit:
            self._add(self._range)
        self._normalise()

    def bit_tree(self, value: int, contexts: Contexts, bits: int) -> None:
        """Code `value`, of `bits` bits, from the highest down; needs `1 << bits` contexts.

        Raises ValueError where `value` does not fit.
        """
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{value} does not fit a bit tree of {bits} bits")
        node = 1
        for shift in range(bits - 1, -1, -1):
            bit = value >> shift & 1
            self.encode(bit, contexts, node)
            node = node * 2 + bit

    def __len__(self) -> int:
        """Bytes written so far; the bits of up to four more are still on their way."""
        return len(self._out)

    def finish(self) -> bytes:
        """The whole stream: what was coded so far and a flush of four bytes."""
        return bytes(self._out) + self._low.to_bytes(4, "big")

    def _add(self, amount: int) -> None:
        self._low += amount
        if self._low > _MASK:
            self._low &= _MASK
            place = len(self._out) - 1
            # low + range never exceeds 2^32 before the first byte, so the carry always lands.
            while self._out[place] == 0xFF:
                self._out[place] = 0
                place -= 1
            self._out[place] += 1

    def _normalise(self) -> None:
        while self._range < _TOP:
            self._out.append(self._low >> 24)
            self._low = self._low << 8 & _MASK
            self._range <<= 8


class Decoder:
    """Reads the bits of a finished `Encoder` back, given the same contexts in the same order.

    Raises PlanError where the stream ends too early, and in `finish` where bytes are left over.
    Arithmetic is modulo 2^32 as in the C++ runtime, so that both read garbage alike.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytes(data)
        if len(self._data) < 4:
            raise PlanError(
                f"the range-coded stream has {len(self._data)} bytes and needs at least 4: "
                "fetch it again"
            )
        self._code = int.from_bytes(self._data[:4], "big")
        self._range = _MASK
        self._next = 4

    def decode(self, contexts: Contexts, index: int) -> int:
        """The next bit, coded with context `index`, which then adapts."""
        # `Contexts.probability` and `update`, written out: most of the time of a plan is here.
        fasts, slows = contexts.fast, contexts.slow
        fast, slow = fasts[index], slows[index]
        probability = fast + slow >> 2
        if probability < _LOWEST:
            probability = _LOWEST
        elif probability > _HIGHEST:
            probability = _HIGHEST
        bound = (self._range >> 15) * probability
        if self._code < bound:
            self._range = bound
            fasts[index] = fast + (_ONE - fast >> _FAST)
            slows[index] = slow + (_ONE - slow >> _SLOW)
            bit = 0
        else:
            self._code -= bound
            self._range -= bound
            fasts[index] = fast - (fast >> _FAST)
            slows[index] = slow - (slow >> _SLOW)
            bit = 1
        if self._range < _TOP:
            self._normalise()
        return bit

    def bypass(self) -> int:
        """The next bit, coded without a context."""
        self._range >>= 1
        bit = 0
        if self._code >= self._range:
            self._code -= self._range
            bit = 1
        self._normalise()
        return bit

    def bit_tree(self, contexts: Contexts, bits: int) -> int:
        """The next value of `bits` bits; needs `1 << bits` contexts."""
        node = 1
        for _ in range(bits):
            node = node * 2 + self.decode(contexts, node)
        return node - (1 << bits)

    def finish(self) -> None:
        """Check that every byte was used; raises PlanError where some are left over."""
        left = len(self._data) - self._next
        if left:
            raise PlanError(
                f"the range-coded stream ends {left} bytes before its data does: fetch it again"
            )

    def _normalise(self) -> None:
        while self._range < _TOP:
            if self._next == len(self._data):
                raise PlanError(
                    f"the range-coded stream ends too early, after {self._next} bytes: "
                    "fetch it again"
                )
            self._range <<= 8
            self._code = (self._code << 8 | self._data[self._next]) & _MASK
            self._next += 1
