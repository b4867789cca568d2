"""The chroma of plates: made where it saves more than its bytes would as video.

    U and V of frames with a plate --median--> pieces --AVIF of some qualities--> bytes
    each tolerance, frames mended as clients do (docs/chroma.md) --> squared error saved
    the tolerance that saves most; of each piece the quality that does --pays?--no--> none

A chroma sample colours four pixels, so its error counts four times beside the luma's: nearly what
it counts for in RGB. The price of a byte is the plates' own (overfit.plate_pieces.Market), with the
error of luma and chroma together, for both gain where the video has more bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from client_sdk.contract.plate import Region, compose_chroma, decode_chroma
from kernels.runtime import ChromaPlate, Engine
from overfit.avif import encode_avif
from overfit.plate_pieces import F64, Market
from overfit.plates import temporal_median
from overfit.video.frames import U8

PIXELS = 4
"""That a chroma sample colours."""

Key = tuple[Region, str]
"""What makes a piece of a plate: its region and the SHA-256 of its luma."""


@dataclass(frozen=True)
class ChromaConfig:
    """What is tried: AVIF qualities, and tolerances in ninths of a code.

    db_per_doubling: dB that twice the video's bytes would gain, as for plates. speed: AVIF's.
    """

    qualities: tuple[int, ...] = (40, 60, 80)
    tolerances: tuple[int, ...] = (9, 14, 20, 28, 40, 56)
    db_per_doubling: float = 2.0
    speed: int = 4


@dataclass(frozen=True, eq=False)
class Coloured:
    """What is known of the frames that have a plate.

    pieces: of the plate. samples: U and V of some frames, u8 [n, 2, H / 2, W / 2]; truth, low:
    those of the frames that are tried, u8 [m, 2, …], low of the decoded LR. luma_left: squared
    error of their luma with the plate. frames: how many have the plate; bytes: of their video.
    """

    pieces: tuple[Key, ...]
    samples: U8
    truth: U8
    low: U8
    luma_left: float
    frames: int
    bytes: float


@dataclass(frozen=True)
class Chroma:
    """AVIF by piece, where that pays, and the tolerance for all."""

    tolerance: int
    pieces: Mapping[Key, bytes]


@dataclass
class _Offer:
    """What a piece may be: `coded`, by quality; `saved` squared error [tolerance, quality]."""

    coded: list[bytes]
    planes: list[U8]
    saved: F64
    error: float = 0.0
    bytes: float = 0.0


@dataclass
class _Offers:
    config: ChromaConfig
    scale: int
    engine: Engine
    of_piece: dict[Key, _Offer] = field(default_factory=dict)

    def add(self, plate: Coloured) -> None:
        """Try the chroma of a plate's pieces; those that an earlier plate had stay as they are."""
        height, width = (2 * side for side in plate.truth.shape[2:])
        for key in plate.pieces:
            if key not in self.of_piece:
                self.of_piece[key] = self._coded(key[0], plate.samples)
        offers = [self.of_piece[key] for key in plate.pieces]
        share = plate.frames / len(plate.truth)
        plain = self._errors(plate, None)
        for tried in range(len(self.config.qualities)):
            regions = [key[0] for key in plate.pieces]
            planes = [offer.planes[tried] for offer in offers]
            u, v = compose_chroma(zip(regions, planes, strict=True), width, height)
            for index, tolerance in enumerate(self.config.tolerances):
                made = self._errors(plate, ChromaPlate(u, v, self.scale, tolerance))
                for region, offer in zip(regions, offers, strict=True):
                    saved = _within(plain, region) - _within(made, region)
                    offer.saved[index, tried] += share * PIXELS * saved
        error = share * (plate.luma_left + PIXELS * float(plain.sum()))
        for offer in offers:
            offer.error += error
            offer.bytes += plate.bytes

    def best(self) -> Chroma | None:
        """The pieces that pay at the tolerance that saves most; None where none does."""
        chosen: list[tuple[float, Chroma]] = []
        for index, tolerance in enumerate(self.config.tolerances):
            pieces, total = {}, 0.0
            for key, offer in self.of_piece.items():
                market = Market(offer.error, offer.bytes, self.config.db_per_doubling)
                gains = [
                    offer.saved[index, tried] - market.worth(len(data))
                    for tried, data in enumerate(offer.coded)
                ]
                best = int(np.argmax(gains))
                if gains[best] > 0:
                    pieces[key] = offer.coded[best]
                    total += gains[best]
            chosen.append((total, Chroma(tolerance, pieces)))
        total, chroma = max(chosen, key=lambda one: one[0])
        return chroma if total > 0 else None

    def _coded(self, region: Region, samples: U8) -> _Offer:
        x, y, width, height = (side // 2 for side in region)
        part = samples[:, :, y : y + height, x : x + width]
        numbers = range(len(part))
        # U above V.
        stacked = np.concatenate([temporal_median(part[:, c], numbers) for c in range(2)])
        speed = self.config.speed
        coded = [encode_avif(stacked, quality, speed) for quality in self.config.qualities]
        planes = [decode_chroma(data, *region[2:]) for data in coded]
        shape = len(self.config.tolerances), len(self.config.qualities)
        return _Offer(coded, planes, np.zeros(shape))

    def _errors(self, plate: Coloured, chroma: ChromaPlate | None) -> NDArray[np.int64]:
        """Squared errors of all tried frames, int64 [H / 2, W / 2], mended or as interpolated."""
        height, width = plate.low.shape[2:]
        luma = np.zeros((2 * height, 2 * width), np.uint8)
        total = np.zeros(plate.truth.shape[2:], np.int64)
        for truth, low in zip(plate.truth, plate.low, strict=True):
            made = self.engine.upscale((luma, low[0], low[1]), self.scale, chroma=chroma)
            for c in range(2):
                difference = made[c + 1].astype(np.int32) - truth[c]
                total += difference * difference
        return total


def make_chroma(
    plates: Iterable[Coloured], scale: int, config: ChromaConfig, threads: int = 1
) -> Chroma | None:
    """The chroma of plates, where it pays; None where it does nowhere.

    `plates` are taken one at a time, so that their frames need not be in memory together.
    """
    offers = _Offers(config, scale, Engine(threads))
    for plate in plates:
        offers.add(plate)
    return offers.best()


def _within(errors: NDArray[np.int64], region: Sequence[int]) -> float:
    x, y, width, height = (side // 2 for side in region)
    return float(errors[y : y + height, x : x + width].sum())
