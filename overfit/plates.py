"""Plates: the still picture of a place, with everything that moves taken away.

For each shot (a range of frames between scene cuts):

    LR frames --global motion--> does the camera stand still? --no--> no plate
    HR luma --temporal median--> the place --AVIF--> bytes --decoded--> what experts train with
    interpolation, or plate where the LR agrees --> a gain worth its bytes? --no--> no plate,
                                                    or not that piece of it (plate_pieces.py)
    an earlier plate of the same place --> reused, the same bytes (of the few most alike, so that
                                           the work does not grow with the square of the shots)

The median of 47 samples of a shot is a fair clean plate for what covers a place less than half the
time. Plates are monochrome full-range AVIF: every browser and phone decodes it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from client_sdk.contract.plate import Region, decode_plate
from kernels.errors import CrispcastError
from overfit.avif import encode_avif
from overfit.inference import interpolate
from overfit.plate_pieces import F64, Market, Piece, composed, regions, sum_over
from overfit.training_data import Int
from overfit.video.frames import U8

_STRIPE = 64
"""Rows of HR whose median is taken at once: 47 x 64 x 7680 samples are 23 MB."""
_FEWEST_CORNERS = 12
"""With fewer a fit says nothing."""
_ALIKE = 2
"""Earlier plates that a shot tries: those whose thumbnails are nearest to its own."""
_THUMBNAIL = (32, 18)
"""Width and height of what plates are compared by."""
_BLOCK = 24
"""Side in HR pixels of the blocks that choose; every scale divides it."""


@dataclass(frozen=True)
class PlateConfig:
    """When plates are made, and how.

    quality: AVIF quality, 1-100. samples: frames of a shot the median is taken of (odd: the median
    is then one of them). still: largest shift of the picture, in LR pixels at its corners, of a
    camera that stands still. least_gain: dB a plate must promise. db_per_doubling: dB that twice
    the video's bytes would gain; a plate must promise more than its own bytes would. span: frames
    after which the place is looked at again.
    """

    quality: int = 70
    samples: int = 47
    still: float = 0.5
    least_gain: float = 0.7
    db_per_doubling: float = 2.0
    speed: int = 4
    span: int = 600

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise CrispcastError(f"plate quality {self.quality} is not from 1 to 100")
        if self.samples < 3 or self.samples % 2 == 0:
            raise CrispcastError("a plate needs an odd number of samples, at least 3")
        if self.span < 1:
            raise CrispcastError("a plate must be good for a frame at least")
        if not 0 <= self.speed <= 10:
            raise CrispcastError(f"AVIF speed {self.speed} is not from 0 to 10")


@dataclass(frozen=True, eq=False)
class Plate:
    """A coded plate: its pieces, the most useful first, and the decoded luma u8 [H, W]."""

    pieces: tuple[Piece, ...]
    luma: U8

    @property
    def size(self) -> int:
        """Bytes of all pieces."""
        return sum(len(piece.data) for piece in self.pieces)


@dataclass(frozen=True)
class Shot:
    """What was decided for frames start .. stop - 1, a shot or a span of one.

    plate: index into `Plates.plates`, or -1. motion: measured shift of the picture in LR pixels
    (infinite where it cannot be followed). gain: dB the plate promises over interpolation.
    """

    start: int
    stop: int
    plate: int
    motion: float
    gain: float


@dataclass(frozen=True)
class Plates:
    """The plates of a video and which frame has which."""

    plates: tuple[Plate, ...]
    shots: tuple[Shot, ...]

    def of_frames(self, frames: int) -> Int:
        """Index of each frame's plate, -1 where it has none; int32 [frames]."""
        index = np.full(frames, -1, np.int32)
        for shot in self.shots:
            index[shot.start : shot.stop] = shot.plate
        return index


def make_plates(
    hr: U8,
    lr: U8,
    scale: int,
    shots: Sequence[tuple[int, int]],
    motions: Sequence[float],
    config: PlateConfig,
    *,
    video_bytes: int,
) -> Plates:
    """Plates for the shots whose camera stands still, where they pay, piece by piece.

    `hr` u8 [T, s*h, s*w] and `lr` u8 [T, h, w] are luma (may be memory maps); `shots` are (start,
    stop) frame numbers and `motions` their `shot_motion`; `video_bytes` is the size of the rung,
    for the decision. A shot longer than `config.span` frames gets plates of its spans: pieces whose
    light has changed are sent anew, the others stay.
    """
    plates: list[Plate] = []
    thumbnails: list[NDArray[np.float32]] = []
    decided: list[Shot] = []
    for (start, stop), motion in zip(shots, motions, strict=True):
        if motion > config.still:
            decided.append(Shot(start, stop, -1, motion, 0.0))
            continue
        count = max(1, round((stop - start) / config.span))
        edges = np.linspace(start, stop, count + 1).round().astype(int).tolist()
        for first, last in itertools.pairwise(edges):
            share = video_bytes * (last - first) / len(lr)
            median = temporal_median(hr, spread(first, last, config.samples))
            thumbnail = _thumbnail(median)
            alike = [plates[index] for index in _most_alike(thumbnail, thumbnails)]
            footage = (hr, lr, scale, (first, last))
            plate, gain = _plate_of_span(*footage, median, alike, config, share)
            index = -1
            if plate is not None:
                if plate not in plates:
                    plates.append(plate)
                    thumbnails.append(thumbnail)
                index = plates.index(plate)
            decided.append(Shot(first, last, index, motion, gain))
    return Plates(tuple(plates), tuple(decided))


def _plate_of_span(
    hr: U8,
    lr: U8,
    scale: int,
    span: tuple[int, int],
    median: U8,
    plates: Sequence[Plate],
    config: PlateConfig,
    video_bytes: float,
) -> tuple[Plate | None, float]:
    """The plate of a span of frames and the dB it promises; None where none pays.

    `plates` are earlier ones: pieces of the one that suits best cost nothing.
    """
    tested = spread(*span, 5)
    offers = [promise(hr, lr, scale, tested, plate.luma) for plate in plates]
    earlier = max(range(len(plates)), key=lambda index: offers[index].gain, default=-1)
    height, width = hr.shape[1:]
    kept: dict[Region, Piece] = {}
    if earlier >= 0 and offers[earlier].gain >= config.least_gain:
        kept = {piece.region: piece for piece in plates[earlier].pieces}
    fresh = [_encode_piece(median, region, config) for region in regions(width, height)]
    offer = promise(hr, lr, scale, tested, composed(fresh, width, height))
    if offer.gain < config.least_gain and not kept:
        return None, offer.gain
    held = offers[earlier].saved if kept else np.zeros_like(offer.saved)
    market = Market(offer.left, video_bytes, config.db_per_doubling)
    chosen: list[tuple[float, Piece]] = []
    for piece in fresh:
        saves, had = (sum_over(saved, piece.region, _BLOCK) for saved in (offer.saved, held))
        if saves - had > market.worth(len(piece.data)):
            chosen.append((saves / len(piece.data), piece))
        elif piece.region in kept and had > 0:
            chosen.append((math.inf, kept[piece.region]))
    if not chosen:
        return None, offer.gain
    pieces = tuple(piece for _, piece in sorted(chosen, key=lambda c: -c[0]))
    if kept and {piece.key for piece in pieces} == {piece.key for piece in kept.values()}:
        return plates[earlier], offers[earlier].gain
    plate = Plate(pieces, composed(pieces, width, height))
    gain = promise(hr, lr, scale, tested, plate.luma).gain
    known = {piece.sha256 for other in plates for piece in other.pieces}
    new = sum(len(piece.data) for piece in pieces if piece.sha256 not in known)
    free = offers[earlier].gain if kept else 0.0
    price = config.db_per_doubling * math.log2(1 + new / max(video_bytes, 1))
    if gain - free >= price and gain >= config.least_gain:
        return plate, gain
    return (plates[earlier], free) if kept else (None, gain)


def _thumbnail(luma: U8) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(luma, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)


def _most_alike(
    thumbnail: NDArray[np.float32], others: Sequence[NDArray[np.float32]]
) -> Sequence[int]:
    """Indices of up to `_ALIKE` of the others, in order."""
    if len(others) <= _ALIKE:
        return range(len(others))
    distances = np.abs(np.stack(others) - thumbnail).mean(axis=(1, 2))
    return sorted(np.argsort(distances, kind="stable")[:_ALIKE].tolist())


def shot_motion(hr: U8, scale: int, start: int, stop: int, config: PlateConfig) -> float:
    """`global_motion` of a shot of u8 [T, s*h, s*w], in LR pixels."""
    return global_motion(_shrunk(hr, scale, spread(start, stop, config.samples)))


def stillness(hr: U8, scale: int, start: int, stop: int, config: PlateConfig) -> float:
    """dB that the shot's median promises beside its LR before that is coded."""
    numbers = spread(start, stop, config.samples)
    tested = spread(start, stop, 5)
    median = temporal_median(hr, numbers)
    low = _shrunk(hr, scale, tested)
    return promise(hr[tested], low, scale, range(len(tested)), median).gain


def _shrunk(hr: U8, scale: int, numbers: Sequence[int]) -> U8:
    """Some frames of u8 [T, s*h, s*w] at the LR's size, u8 [n, h, w]."""
    size = (hr.shape[2] // scale, hr.shape[1] // scale)
    area = cv2.INTER_AREA
    return np.stack([np.asarray(cv2.resize(hr[n], size, interpolation=area)) for n in numbers])


def temporal_median(frames: U8, numbers: Sequence[int]) -> U8:
    """Per-pixel median u8 [H, W] of the frames `numbers` of u8 [T, H, W], stripe by stripe."""
    odd = list(numbers) if len(numbers) % 2 else list(numbers)[:-1]
    middle = len(odd) // 2
    result = np.empty(frames.shape[1:], np.uint8)
    for top in range(0, frames.shape[1], _STRIPE):
        rows = slice(top, top + _STRIPE)
        stack = np.stack([frames[number, rows] for number in odd])
        result[rows] = np.partition(stack, middle, axis=0)[middle]
    return result


def global_motion(frames: U8) -> float:
    """How far the camera moves over these samples of a shot, u8 [n, h, w], in pixels.

    Corners of the temporal median (where the camera stands still, a picture without what moves) are
    followed into nine frames and back (pyramidal Lucas-Kanade, forward-backward check of Kalal et
    al. 2010), and a similarity is fitted that most agree with (RANSAC). The answer is the 80th
    percentile over frames of the largest shift at the corners of the picture; infinite where too
    little can be followed to tell, as in the blurred median of a pan.
    """
    reference = temporal_median(frames, range(len(frames)))
    height, width = reference.shape
    corners = cv2.goodFeaturesToTrack(reference, 400, 0.01, 7)
    if corners is None or len(corners) < _FEWEST_CORNERS:
        return math.inf
    ends = np.array([(0, 0), (width, 0), (0, height), (width, height)], np.float64)
    shifts = []
    for index in spread(0, len(frames), 9):
        frame = np.ascontiguousarray(frames[index])
        there, found, _ = cv2.calcOpticalFlowPyrLK(reference, frame, corners, corners.copy())
        back, again, _ = cv2.calcOpticalFlowPyrLK(frame, reference, there, there.copy())
        returned = np.abs(back - corners).max(axis=(1, 2)) < 0.5
        good = (found.ravel() == 1) & (again.ravel() == 1) & returned
        if good.sum() < _FEWEST_CORNERS:
            return math.inf
        cv2.setRNGSeed(1)
        fit, inliers = cv2.estimateAffinePartial2D(
            corners[good], there[good], ransacReprojThreshold=1.0
        )
        if fit is None or inliers.sum() < max(_FEWEST_CORNERS, 0.3 * good.sum()):
            return math.inf
        moved = ends @ fit[:, :2].T + fit[:, 2]
        shifts.append(float(np.abs(moved - ends).max()))
    return float(np.percentile(shifts, 80))


@dataclass(frozen=True)
class Promise:
    """What a plate promises for some frames: dB, and squared error in code values.

    saved: float64 [rows, columns] of blocks of the frame, those cut at its edges too; left: what is
    left of all.
    """

    gain: float
    saved: F64
    left: float


def promise(hr: U8, lr: U8, scale: int, numbers: Sequence[int], plate: U8) -> Promise:
    """What is gained over interpolation if blocks took the plate where the LR agrees with it.

    What a client's network can see is the difference of the LR from the shrunk plate: each block
    takes the plate where that is below a threshold, the one threshold that serves all best.
    """
    small = _shrunk(plate[None], scale, [0])[0].astype(np.float32)
    plain, pasted, seen = [], [], []
    for number in numbers:
        truth = hr[number].astype(np.float32)
        low = np.asarray(lr[number])
        plain.append(_blocks((interpolate(low, scale) - truth) ** 2, _BLOCK))
        pasted.append(_blocks((plate - truth) ** 2, _BLOCK))
        seen.append(_blocks((low - small) ** 2, _BLOCK // scale))
    without = np.stack(plain).astype(np.float64)
    saves = without - np.stack(pasted)
    order = np.argsort(np.stack(seen), axis=None, kind="stable")
    sums = np.cumsum(saves.ravel()[order])
    best = int(np.argmax(sums))
    taken = np.zeros(saves.size, np.bool_)
    if sums[best] > 0:
        taken[order[: best + 1]] = True
    saved = (saves * taken.reshape(saves.shape)).sum(axis=0)
    before = max(float(without.sum()), 1e-9)
    left = max(before - float(saved.sum()), 1e-9)
    return Promise(10 * math.log10(before / left), saved, left)


def encode_plate(luma: U8, config: PlateConfig) -> Plate:
    """The plate in one piece, with what every client will decode from it."""
    height, width = luma.shape
    return encode_pieces(luma, [(0, 0, width, height)], config)


def encode_pieces(luma: U8, parts: Sequence[Region], config: PlateConfig) -> Plate:
    """The plate in these pieces, in their order."""
    height, width = luma.shape
    pieces = tuple(_encode_piece(luma, part, config) for part in parts)
    return Plate(pieces, composed(pieces, width, height))


def _encode_piece(luma: U8, region: Region, config: PlateConfig) -> Piece:
    """A region of a plate, coded."""
    x, y, width, height = region
    part = luma[y : y + height, x : x + width]
    data = encode_avif(part, config.quality, config.speed)
    return Piece.of(region, data, decode_plate(data, width, height))


def spread(start: int, stop: int, count: int) -> list[int]:
    """Up to `count` frame numbers from start to stop - 1, evenly."""
    numbers: NDArray[np.float64] = np.linspace(start, stop - 1, min(count, stop - start))
    return sorted(set(numbers.round().astype(int).tolist()))


def _blocks(squares: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Sums over square blocks of a picture, smaller ones at its right and lower edges."""
    height, width = squares.shape
    padded = np.pad(squares, ((0, -height % side), (0, -width % side)))
    blocks = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side)
    sums: NDArray[np.float32] = blocks.sum((1, 3))
    return sums
