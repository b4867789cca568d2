"""Rivals of plates: learned planes are coded to the bit, and compared at equal bytes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from benchmarks.learned_planes import LearnedPlanes, LearningConfig, decode_plate, learn
from benchmarks.plane_coder import (
    FACTS,
    HIDDEN,
    LARGEST,
    NETWORKS,
    Contexts,
    Ints,
    decode_planes,
    encode_planes,
)
from benchmarks.plate_rivals import figures, margins, measure
from benchmarks.plate_rivals_clip import MOVING, STILL, Case, Effort, Point
from kernels.errors import CrispcastError
from overfit.inference import to_codes
from overfit.metrics import psnr_y
from overfit.training_data import to_domain
from overfit.video.frames import U8


def pyramid(seed: int = 0) -> tuple[Ints, list[Ints]]:
    """A top of 3x5 and two levels, with samples that no table holds."""
    random = np.random.default_rng(seed)
    top = random.integers(1 - LARGEST, LARGEST, (3, 5))
    levels = [
        np.rint(random.laplace(0, scale, (3, 3 << up, 5 << up))).astype(np.int64)
        for scale, up in ((0.4, 1), (20.0, 0))
    ]
    return top, levels


def networks(seed: int = 0) -> list[Contexts]:
    random = np.random.default_rng(seed)
    shapes = (HIDDEN, FACTS + 1), (HIDDEN + 1,)
    return [
        Contexts.rounded(*(random.normal(0, 0.2, shape) for shape in shapes))
        for _ in range(NETWORKS)
    ]


def picture(height: int = 72, width: int = 100) -> U8:
    """Waves, edges and a little noise."""
    y, x = np.mgrid[:height, :width]
    made = 128 + 60 * np.sin(x / 6 + y / 11) + 40 * ((x // 20 + y // 17) % 2)
    return np.clip(made + np.random.default_rng(1).normal(0, 3, made.shape), 0, 255).astype(
        np.uint8
    )


def fitted(price: float, rounds: int = 10) -> LearnedPlanes:
    """Planes fitted to the picture at this price of a bit."""
    torch.set_num_threads(1)
    target = to_domain(picture()[None, None])
    planes = LearnedPlanes(picture(), 8.0)
    config = LearningConfig(rounds, price, warm=30)
    learn(planes, lambda plate, _: (plate - target).square().mean() * 128**2, config)
    return planes


def test_planes_come_back_as_they_were_from_their_bytes() -> None:
    top, levels = pyramid()
    again, others = decode_planes(encode_planes(top, levels, networks()))
    assert np.array_equal(top, again)
    assert all(np.array_equal(a, b) for a, b in zip(levels, others, strict=True))


def test_bytes_that_end_too_soon_are_refused() -> None:
    data = encode_planes(*pyramid(), networks())
    with pytest.raises(CrispcastError, match="damaged"):
        decode_planes(data[:-40])


def test_samples_that_no_escape_holds_are_refused() -> None:
    top, levels = pyramid()
    top[0, 0] = LARGEST
    with pytest.raises(CrispcastError, match="larger steps"):
        encode_planes(top, levels, networks())


def test_the_bits_that_training_sees_are_those_that_are_written() -> None:
    planes = fitted(4.0)
    with torch.no_grad():
        seen = float(planes.bits(*planes.sampled(None))) / 8
    written = len(planes.encode())
    weights = NETWORKS * (HIDDEN * (FACTS + 1) + HIDDEN + 1) * 2
    assert seen < written < 1.05 * seen + weights


def test_what_is_decoded_is_the_plate_that_training_saw() -> None:
    planes = fitted(4.0)
    with torch.no_grad():
        seen = to_codes(planes.render(*planes.sampled(None))[0, 0])
    assert np.array_equal(decode_plate(planes.encode()), seen)
    assert psnr_y(picture(), seen) > 35


def test_dearer_bits_give_fewer_bytes_and_a_poorer_plate() -> None:
    cheap, dear = (fitted(price, 20).encode() for price in (2.0, 60.0))
    assert len(dear) < len(cheap)
    assert psnr_y(picture(), decode_plate(dear)) < psnr_y(picture(), decode_plate(cheap))


def test_rivals_are_compared_with_references_at_equal_bytes() -> None:
    still = [
        Point("plate", 40, 1000, 0, 0, 30.0),
        Point("refined plate", 60, 1000, 1000, 0, 32.0),
        Point("learned planes", 9, 1000, 414, 0, 31.25),
        Point("learned planes", 1, 1000, 9000, 0, 40.0),
    ]
    [(way, setting, gain)] = margins(STILL, still)
    assert (way, setting) == ("learned planes", 9)
    assert gain == pytest.approx(0.25, abs=0.01)
    moving = [
        Point("video in its own size", 50, 1000, 0, 0, 30.0),
        Point("video in its own size", 40, 4000, 0, 0, 34.0),
        Point("key frames", 40, 1500, 500, 0, 31.5),
    ]
    [(_, _, loss)] = margins(MOVING, moving)
    assert loss == pytest.approx(-0.5, abs=0.01)
    told = figures(
        {
            "a": {"kind": STILL, "margins": margins(STILL, still)},
            "b": {"kind": MOVING, "margins": margins(MOVING, moving)},
        }
    )
    assert told["learned_over_plate_db"] == pytest.approx(gain)
    assert told["key_pictures_over_decision_db"] == pytest.approx(loss)
    assert figures({})["learned_over_plate_db"] is None


def test_every_way_of_a_small_clip_is_measured(tmp_path: Path) -> None:
    clip = tmp_path / "small.mp4"
    still = picture(96, 128)
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"crf": "8"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(36):
            luma = still.copy()
            luma[20:60, 3 * number : 3 * number + 20] = 240
            grey = np.full((48, 128), 128, np.uint8)
            shown = av.VideoFrame.from_ndarray(np.concatenate([luma, grey]), format="yuv420p")
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    effort = Effort(60.0, 8, 4, 3, 1)
    case = Case("small", STILL, 50, (40, 70), (16.0,), (40,), (50,))
    made = measure(clip, case, effort)
    points = [Point(**point) for point in made["points"]]
    assert [point.way for point in points if point.way != "key medians that pay"] == [
        *["plate", "refined plate"] * 2,
        "learned planes",
        "video in its own size",
        "key frames",
    ]
    assert all(point.psnr_y > 15 and point.video > 0 for point in points)
    learned = points[4]
    assert 0 < learned.plates < learned.total
    assert points[3].plates <= points[2].plates
