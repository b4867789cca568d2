"""Canvases: the plate of a shot whose camera moves, larger than the frame.

    HR frames ──follow──► frame to frame ──chained──► views of the middle frame's plane
        │                                                │
        └──────────► median of frames in that plane ◄────┘ aligned to it again, thrice
                                  │
              views rounded to 1/16 sample · canvas sharpened · AVIF · decoded again
                                  │
               a gain worth its bytes on every tested frame's blocks? ──no──► no canvas

A projective map per frame is exact for a camera that turns or zooms, and for a flat place. Where
near things pass far ones it is wrong for one of them: the canvas then explains less than plain
interpolation does, and is refused by its gain. What moves is taken away by the median.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from client_sdk.contract.bounds import MAX_CANVAS_FRAMES, MAX_SIDE
from kernels.canvas import UNITS, check_view
from kernels.errors import CrispcastError, PlanError
from kernels.runtime import Canvas as Renderer
from overfit.plates import Plate, PlateConfig, encode_plate, promise
from overfit.video.frames import U8

Map = NDArray[np.float64]
"""Projective map, float64 [3, 3], of points (x, y, 1): from a frame's samples to the canvas's."""
Views = NDArray[np.int32]

_FEWEST_POINTS = 24
_STRIPE = 256
"""Rows of the canvas that are made at once."""


@dataclass(frozen=True)
class CanvasConfig:
    """When a canvas is made, and how.

    samples: frames that it is the median of. points: most that are followed from frame to frame.
    agreeing: least share of them that one projective map must explain. largest:
    area of the canvas in frames. alignments: times the frames are aligned to the canvas.
    sharpenings: times what the canvas misses of its frames is added to it.
    """

    samples: int = 31
    points: int = 1500
    agreeing: float = 0.3
    largest: float = MAX_CANVAS_FRAMES
    alignments: int = 3
    sharpenings: int = 1

    def __post_init__(self) -> None:
        if self.samples < 3 or self.points < _FEWEST_POINTS:
            raise CrispcastError(
                f"a canvas needs at least 3 samples and {_FEWEST_POINTS} points to follow"
            )
        if not 1 <= self.largest <= MAX_CANVAS_FRAMES:
            raise CrispcastError(
                f"a canvas of {self.largest:g} frames: choose 1 to {MAX_CANVAS_FRAMES}"
            )


@dataclass(frozen=True)
class CanvasShot:
    """What was decided for frames start … stop − 1.

    plate: the coded canvas, None where there is none, and `refused` says why; `too_long`: less of
    the shot might do. views: int32 [stop - start, 8], see `kernels.canvas`. gain: dB over
    interpolation that it promises.
    """

    start: int
    stop: int
    plate: Plate | None
    views: Views | None
    gain: float
    refused: str = ""
    too_long: bool = False


def make_canvases(
    hr: U8,
    lr: U8,
    scale: int,
    shot: tuple[int, int],
    starts: Sequence[int],
    config: CanvasConfig,
    plate_config: PlateConfig,
    *,
    video_bytes: int,
) -> list[CanvasShot]:
    """Canvases of a shot, as `make_canvas`: where one cannot hold it, its halves are tried.

    `starts` are the segments' first frames: only there a canvas begins.
    """
    made = make_canvas(hr, lr, scale, shot, config, plate_config, video_bytes=video_bytes)
    inside = [start for start in starts if shot[0] < start < shot[1]]
    if made.plate is not None or not made.too_long or not inside:
        return [made]
    middle = min(inside, key=lambda start: abs(2 * start - shot[0] - shot[1]))
    return [
        part
        for half in ((shot[0], middle), (middle, shot[1]))
        for part in make_canvases(
            hr, lr, scale, half, starts, config, plate_config, video_bytes=video_bytes
        )
    ]


def make_canvas(
    hr: U8,
    lr: U8,
    scale: int,
    shot: tuple[int, int],
    config: CanvasConfig,
    plate_config: PlateConfig,
    *,
    video_bytes: int,
) -> CanvasShot:
    """The canvas of frames start … stop − 1, where one pays.

    `hr` u8 [T, s*h, s*w] and `lr` u8 [T, h, w] are luma (may be memory maps); `video_bytes` is the
    size of the rung for all T frames, for the decision.
    """
    start, stop = shot

    def refused(why: str, gain: float = 0.0, *, too_long: bool = False) -> CanvasShot:
        return CanvasShot(start, stop, None, None, gain, why, too_long)

    frames = hr[start:stop]
    maps = follow(frames, config)
    if maps is None:
        return refused("the camera cannot be followed", too_long=True)
    height, width = frames.shape[1:]
    for lost in (10, 50):
        size, level = _enclose(_levelled(maps, width, height, lost), width, height)
        unfit = _unfit(size, level, width, height, config)
        if not unfit:
            break
    else:
        return refused(unfit, too_long=True)
    maps = level
    numbers = _spread(len(frames), config.samples)

    def promised(luma: U8, views: Views) -> float:
        renderer = Renderer(luma)
        gains = [
            promise(hr, lr, scale, [start + n], renderer.render(views[n], width, height)).gain
            for n in _spread(len(frames), 7)
        ]
        return float(np.mean(gains))

    for done in range(config.alignments):
        # Half as many samples do for this.
        rough = blend(frames, maps, numbers[::2], size)
        if done == 1:
            # What is hopeless by now is not worth the rest of the work.
            gain = promised(rough, views_of(maps, width, height))
            if gain < plate_config.least_gain / 2:
                return refused(f"it promises {gain:.2f} dB", gain)
        aligned = align(frames, maps, rough, config)
        if aligned is None:
            return refused("the frames do not fit one canvas", too_long=True)
        size, maps = _enclose(aligned, width, height)
        # One frame that was fitted wrongly may ask for any size.
        if unfit := _unfit(size, maps, width, height, config):
            return refused(unfit, too_long=True)
    views = views_of(maps, width, height)
    rounded = [map_of(view, width, height) for view in views]
    luma = blend(frames, rounded, numbers, size)
    for _ in range(config.sharpenings):
        luma = sharpen(frames, rounded, numbers, luma)
    plate = encode_plate(luma, plate_config)
    gain = promised(plate.luma, views)
    share = video_bytes * (stop - start) / len(lr)
    price = plate_config.db_per_doubling * math.log2(1 + plate.size / max(share, 1))
    if gain < max(plate_config.least_gain, price):
        return refused(f"a gain of {gain:.2f} dB is not worth {plate.size} bytes", gain)
    return CanvasShot(start, stop, plate, views, gain)


def follow(frames: U8, config: CanvasConfig) -> list[Map] | None:
    """Maps of all frames u8 [T, H, W] into the plane of the middle one; None where one is lost.

    Corners are followed from frame to frame and back (pyramidal Lucas-Kanade, forward-backward
    check of Kalal et al. 2010) at about half of HR, and most must agree on one map (RANSAC).
    """
    factor = 2 if frames.shape[2] > 960 else 1
    steps: list[Map] = []
    before = _smaller(frames[0], factor)
    # A sample of the small picture lies in the middle of those it is the mean of.
    shift = (factor - 1) / 2
    grow = np.array([(factor, 0, shift), (0, factor, shift), (0, 0, 1)])
    for number in range(1, len(frames)):
        here = _smaller(frames[number], factor)
        step = _fit(before, here, config, 0.6)
        if step is None:
            return None
        steps.append(grow @ step @ np.linalg.inv(grow))
        before = here
    middle = len(frames) // 2
    maps: list[Map] = [np.eye(3)] * len(frames)
    for number in range(middle + 1, len(frames)):
        maps[number] = _normal(maps[number - 1] @ np.linalg.inv(steps[number - 1]))
    for number in range(middle - 1, -1, -1):
        maps[number] = _normal(maps[number + 1] @ steps[number])
    return maps


def align(frames: U8, maps: Sequence[Map], luma: U8, config: CanvasConfig) -> list[Map] | None:
    """The maps again, each frame fitted to what it should see of the canvas: no drift adds up."""
    height, width = frames.shape[1:]
    aligned = []
    for frame, there in zip(frames, maps, strict=True):
        seen = cv2.warpPerspective(
            luma, there, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        )
        off = _fit(np.asarray(seen, np.uint8), np.ascontiguousarray(frame), config, 0.5)
        if off is None:
            return None
        aligned.append(_normal(there @ np.linalg.inv(off)))
    return aligned


def blend(frames: U8, maps: Sequence[Map], numbers: Sequence[int], size: tuple[int, int]) -> U8:
    """Per-sample median of the frames `numbers` in the plane of a canvas of size (width, height).

    What no frame sees is filled smoothly, which costs few bytes.
    """

    def warped(number: int, top: int, rows: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        return _into(frames[number], maps[number], size[0], top, rows)

    middle, seen = _median(warped, numbers, size)
    return _filled(np.clip(middle, 0, 255).astype(np.uint8), seen)


def sharpen(frames: U8, maps: Sequence[Map], numbers: Sequence[int], luma: U8) -> U8:
    """The canvas with the median of what it misses of its frames added (back-projection).

    Warping blurs; M. Irani and S. Peleg, Improving resolution by image registration, 1991.
    """
    size = (luma.shape[1], luma.shape[0])
    shape = (frames.shape[2], frames.shape[1])
    missed = {}
    for number in numbers:
        seen = cv2.warpPerspective(
            luma, maps[number], shape, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        )
        missed[number] = frames[number].astype(np.int16) - seen

    def warped(number: int, top: int, rows: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        return _into(missed[number], maps[number], size[0], top, rows)

    middle, _ = _median(warped, numbers, size)
    sharp: U8 = np.clip(luma + middle, 0, 255).astype(np.uint8)
    return sharp


def views_of(maps: Sequence[Map], width: int, height: int) -> Views:
    """The views int32 [T, 8] of frames of width x height, rounded to what is sent."""
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    return np.stack([np.rint(_moved(there, corners) * UNITS).ravel() for there in maps]).astype(
        np.int32
    )


def map_of(view: NDArray[np.int32], width: int, height: int) -> Map:
    """The map of a view, of a frame of width x height."""
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    seen = (view.reshape(4, 2) / UNITS).astype(np.float32)
    return np.asarray(cv2.getPerspectiveTransform(corners, seen), np.float64)


def _fit(before: U8, here: U8, config: CanvasConfig, tolerance: float) -> Map | None:
    """The map from points of `before` to where they are `here`; None where too few agree."""
    found_corners = cv2.goodFeaturesToTrack(before, config.points, 0.005, 5)
    if found_corners is None or len(found_corners) < _FEWEST_POINTS:
        return None
    corners: NDArray[np.float32] = np.array(found_corners, np.float32)
    there, found = _tracked(before, here, corners)
    back, again = _tracked(here, before, there)
    returned = np.abs(back - corners).max(axis=(1, 2)) < 0.5
    good = found & again & returned
    if good.sum() < _FEWEST_POINTS:
        return None
    cv2.setRNGSeed(1)
    fit, inliers = cv2.findHomography(corners[good], there[good], cv2.RANSAC, tolerance)
    if fit is None or inliers.sum() < max(_FEWEST_POINTS, config.agreeing * good.sum()):
        return None
    return np.asarray(fit, np.float64)


def _tracked(
    before: U8, here: U8, points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points float32 [n, 1, 2] went, and which of them were found."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, here, points, points.copy(), winSize=(17, 17), maxLevel=4
    )
    return np.asarray(there, np.float32), np.asarray(found).ravel() == 1


def _into(
    picture: NDArray[np.generic], there: Map, width: int, top: int, rows: int
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Rows top … top + rows − 1 of a canvas as a frame shows them, and where it does."""
    lifted = np.array([(1, 0, 0), (0, 1, -top), (0, 0, 1)], np.float64) @ there
    source = np.ascontiguousarray(picture)
    made = cv2.warpPerspective(source, lifted, (width, rows), flags=cv2.INTER_CUBIC)
    # A ring of two samples is left out: there the filter looks beyond the frame.
    whole = np.zeros(picture.shape, np.uint8)
    whole[2:-2, 2:-2] = 255
    seen = cv2.warpPerspective(whole, lifted, (width, rows), flags=cv2.INTER_LINEAR) == 255
    return np.asarray(made, np.int16), seen


def _median(
    warped: Callable[[int, int, int], tuple[NDArray[np.int16], NDArray[np.bool_]]],
    numbers: Sequence[int],
    size: tuple[int, int],
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Per-sample median of warped(number, top, rows) where it shows, and where any shows."""
    width, height = size
    result = np.zeros((height, width), np.int16)
    anywhere = np.zeros((height, width), np.bool_)
    for top in range(0, height, _STRIPE):
        rows = min(_STRIPE, height - top)
        pairs = [warped(number, top, rows) for number in numbers]
        counts = np.sum([seen for _, seen in pairs], axis=0, dtype=np.int32)
        # What a frame does not show sorts behind all that others do.
        stack = np.stack([np.where(seen, made, 32767) for made, seen in pairs])
        stack.sort(axis=0)
        middle = np.maximum(counts - 1, 0)[None] // 2
        result[top : top + rows] = np.take_along_axis(stack, middle, axis=0)[0]
        anywhere[top : top + rows] = counts > 0
    result[~anywhere] = 0
    return result, anywhere


def _filled(luma: U8, seen: NDArray[np.bool_]) -> U8:
    """The canvas with what no frame sees blurred in from around it."""
    if seen.all():
        return luma
    picture, weight = np.where(seen, luma, 0).astype(np.float32), seen.astype(np.float32)
    filled, missing = luma.copy(), ~seen
    for side in (9, 33, 129, 513):
        around = cv2.boxFilter(picture, -1, (side, side), borderType=cv2.BORDER_REPLICATE)
        share = cv2.boxFilter(weight, -1, (side, side), borderType=cv2.BORDER_REPLICATE)
        now = missing & (share > 1e-3)
        filled[now] = np.clip(around[now] / share[now], 0, 255).astype(np.uint8)
        missing &= ~now
    filled[missing] = 128
    return filled


def _enclose(maps: Sequence[Map], width: int, height: int) -> tuple[tuple[int, int], list[Map]]:
    """Size (width, height) of the canvas that all frames lie in, and the maps moved into it."""
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    points = np.concatenate([_moved(there, corners) for there in maps])
    if not np.abs(points).max() < 1e6:  # or not a number
        points = np.array([(0.0, 0.0), (1e6, 1e6)])
    low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
    moved = np.array([(1, 0, -low[0]), (0, 1, -low[1]), (0, 0, 1)])
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    return size, [_normal(moved @ there) for there in maps]


def _unfit(
    size: tuple[int, int], maps: Sequence[Map], width: int, height: int, config: CanvasConfig
) -> str:
    """Why there cannot be a canvas of this size with these views; empty where there can."""
    if max(size) > MAX_SIDE or size[0] * size[1] > config.largest * width * height:
        return f"the canvas would be {size[0]}x{size[1]}"
    try:
        for view in views_of(maps, width, height):
            check_view(view)
    except PlanError as error:
        return str(error)
    return ""


def _levelled(maps: Sequence[Map], width: int, height: int, lost: float) -> list[Map]:
    """The maps into a plane in which `lost` percent of the frames lose samples, the nearest."""
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    areas = [cv2.contourArea(_moved(there, corners).astype(np.float32)) for there in maps]
    grow = math.sqrt(width * height / max(float(np.percentile(areas, lost)), 1.0))
    return [np.diag([grow, grow, 1.0]) @ there for there in maps]


def _moved(there: Map, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [n, 2] through a map."""
    ends = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ there.T
    moved: NDArray[np.float64] = ends[:, :2] / ends[:, 2:]
    return moved


def _normal(there: Map) -> Map:
    normal: Map = there / there[2, 2]
    return normal


def _smaller(frame: U8, factor: int) -> U8:
    if factor == 1:
        return np.ascontiguousarray(frame)
    size = (frame.shape[1] // factor, frame.shape[0] // factor)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _spread(count: int, most: int) -> list[int]:
    """Up to `most` numbers of 0 … count − 1, evenly."""
    numbers: NDArray[np.float64] = np.linspace(0, count - 1, min(most, count))
    return sorted(set(numbers.round().astype(int).tolist()))
