"""Segments: time ranges of one scene, short enough to seek to and to recover at.

Cuts come from PySceneDetect's adaptive detector, which compares a frame's change with that of its
neighbours, so that fast motion is no cut. Scenes are then made to last as a segment may.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from kernels.errors import CrispcastError
from overfit.video.frames import U8

_DETECTION_WIDTH = 160
"""Cuts show at any size; this one costs little."""


@dataclass(frozen=True)
class Segment:
    """Frame numbers start .. start + frames - 1."""

    start: int
    frames: int

    @property
    def stop(self) -> int:
        """The frame number after the last."""
        return self.start + self.frames


@dataclass(frozen=True)
class SegmentConfig:
    """How long segments last, in seconds, and what is a cut.

    `longest` is how long a viewer who lost a packet waits for an IDR: 2 s rather than the 4 s the
    design allows, as most WebRTC senders of stored video cannot answer a picture loss.
    `threshold` is how many times the change of its neighbours a cut's change must be, and
    `least_change` its least mean change, in code values.
    """

    shortest: float = 1.0
    longest: float = 2.0
    threshold: float = 3.0
    least_change: float = 15.0

    def __post_init__(self) -> None:
        if not 0 < self.shortest <= self.longest:
            raise CrispcastError("the shortest segment must last above 0 s, up to the longest")
        if self.longest < 2 * self.shortest:
            raise CrispcastError("the longest segment must last twice the shortest, or more")


def find_cuts(lumas: Iterable[U8], config: SegmentConfig) -> list[int]:
    """Frame numbers, above 0 and rising, at which a new scene starts.

    `lumas`: luma planes [h, w] of every frame in order.
    """
    detector = AdaptiveDetector(
        adaptive_threshold=config.threshold,
        min_scene_len=1,
        min_content_val=config.least_change,
        luma_only=True,
    )
    cuts: list[int] = []
    # The detector counts frames; any rate serves.
    time = FrameTimecode(0, 25.0)
    last = time
    for number, luma in enumerate(lumas):
        height, width = luma.shape
        size = (_DETECTION_WIDTH, max(8, round(height * _DETECTION_WIDTH / width)))
        small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        last = FrameTimecode(number, 25.0)
        image = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
        cuts.extend(int(cut.frame_num) for cut in detector.process_frame(last, image))
    cuts.extend(int(cut.frame_num) for cut in detector.post_process(last))
    return sorted({cut for cut in cuts if cut > 0})


def make_segments(
    frames: int, cuts: Sequence[int], fps: Fraction, config: SegmentConfig
) -> list[Segment]:
    """Contiguous segments of `frames` frames: cut at scene changes, none too short or too long.

    A cut that would leave less than `shortest` on either side is dropped (a flash is no scene);
    a scene longer than `longest`, to the nearest frame, is split evenly.
    """
    shortest = max(1, math.ceil(config.shortest * fps))
    longest = max(shortest, round(config.longest * fps))
    kept = [0]
    for cut in sorted(set(cuts)):
        if cut - kept[-1] >= shortest and frames - cut >= shortest:
            kept.append(cut)
    kept.append(frames)
    segments: list[Segment] = []
    for start, stop in itertools.pairwise(kept):
        parts = max(1, math.ceil((stop - start) / longest))
        edges = np.linspace(start, stop, parts + 1).round().astype(int).tolist()
        segments.extend(Segment(a, b - a) for a, b in itertools.pairwise(edges))
    return segments
