"""A chroma plate mends what stands still, to the same bits in numpy and in the runtime."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kernels import runtime
from kernels.chroma import FULL, MAX_TOLERANCE, Pair, mend, shrink, spread, weigh
from kernels.compiler import encode_plan
from kernels.errors import PlanError
from tests.kernels.test_runtime import equal, frame, network

SIZES = [(1, 40, 24), (2, 67, 41), (3, 33, 50), (4, 64, 45), (2, 1, 1), (4, 300, 9)]


def place(height: int, width: int, seed: int = 0) -> Pair:
    """Blocks of colour with edges between, as screens have, no code 0."""
    rng = np.random.default_rng(seed)
    small = rng.integers(1, 256, (2, -(-height // 3), -(-width // 3)), np.uint8)
    u, v = small.repeat(3, 1).repeat(3, 2)[:, :height, :width]
    return u, v


def seen(plate: Pair, scale: int, noise: int, seed: int = 1) -> Pair:
    """The LR of a place, with coding noise."""
    rng = np.random.default_rng(seed)

    def low(plane: np.ndarray) -> np.ndarray:
        small = shrink(plane, scale).astype(int)
        return np.clip(small + rng.integers(-noise, noise + 1, small.shape), 0, 255).astype("u1")

    return low(plate[0]), low(plate[1])


def test_a_plane_is_brought_down_as_the_encoder_does() -> None:
    for scale in (1, 2, 3, 4):
        plane = np.random.default_rng(scale).integers(0, 256, (60 * scale, 80 * scale), np.uint8)
        wanted = Image.fromarray(plane).resize((80, 60), Image.Resampling.BICUBIC)
        difference = np.abs(shrink(plane, scale).astype(int) - np.asarray(wanted))
        # Pillow rounds once between the axes, and cuts the kernel off at the edges.
        assert difference[2:-2, 2:-2].max() <= 1


def test_what_stands_still_becomes_the_plate_and_what_moved_does_not() -> None:
    plate = place(120, 160)
    low = seen(plate, 2, noise=1)
    moved = low[0].copy(), low[1].copy()
    moved[1][20:40, 30:60] ^= 64  # something of another V in front
    plain = tuple(np.asarray(Image.fromarray(p).resize((160, 120))) for p in moved)
    made = mend((plain[0], plain[1]), moved, plate, 2, tolerance=18)
    still = np.ones((120, 160), bool)
    still[2 * 17 : 2 * 43, 2 * 27 : 2 * 63] = False
    for made_plane, there, interpolated in zip(made, plate, plain, strict=True):
        assert np.array_equal(made_plane[still], there[still])
        assert np.array_equal(made_plane[44:76, 64:116], interpolated[44:76, 64:116])


def test_weights_fall_from_the_tolerance_to_twice_of_it() -> None:
    plate = np.full((40, 40), 100, np.uint8), np.full((40, 40), 90, np.uint8)
    for off, wanted in ((0, FULL), (2, FULL), (3, FULL // 2), (4, 0), (-4, 0), (-2, FULL)):
        low = np.full((20, 20), 100, np.uint8), np.full((20, 20), 90 + off, np.uint8)
        assert np.all(weigh(low, plate, 2, tolerance=18) == wanted)


def test_where_no_plate_is_nothing_is_mended() -> None:
    u, v = place(60, 60)
    u[20:41, 30:] = 0
    low = seen((u, v), 2, 0)
    wide = spread(weigh(low, (u, v), 2, MAX_TOLERANCE), 2)
    assert wide[20:42, 30:].max() == 0
    assert wide[:16].min() == FULL
    made = mend((u * 0, v * 0), low, (u, v), 2, MAX_TOLERANCE)
    assert np.array_equal(made[1][:16], v[:16])
    assert made[1][20:42, 30:].max() == 0


@pytest.mark.parametrize("isa", runtime.available_isas())
@pytest.mark.parametrize(("scale", "width", "height"), SIZES)
def test_the_runtime_gives_the_bits_of_the_reference(
    isa: str, scale: int, width: int, height: int
) -> None:
    half = -(-height // 2), -(-width // 2)
    u, v = place(scale * half[0], scale * half[1], seed=scale)
    u[: scale * half[0] // 4, : scale * half[1] // 3] = 0
    low = seen((u, v), scale, noise=4)
    low[1][half[0] // 2 :, half[1] // 2 :] ^= 16
    lr = (frame(width, height)[0], *low)
    plans = [runtime.Plan(encode_plan(network(scale)))] if scale > 1 else []
    for tolerance in (1, 20, 45, MAX_TOLERANCE):
        plate = runtime.ChromaPlate(u, v, scale, tolerance)
        for threads in (1, 3):
            engine = runtime.Engine(threads, isa)
            plain = engine.upscale(lr, scale, plans=plans)
            made = engine.upscale(lr, scale, plans=plans, chroma=plate)
            wanted = mend((plain[1], plain[2]), low, (u, v), scale, tolerance)
            assert equal(made, (plain[0], *wanted))


def test_planes_with_gaps_are_read_as_such() -> None:
    u, v = place(48, 64)
    lr = (frame(64, 48)[0], *seen((u, v), 2, 2))
    wide_u, wide_v = (np.pad(plane, ((0, 0), (0, 5)))[:, :64] for plane in (u, v))
    engine = runtime.Engine(1)
    plates = (runtime.ChromaPlate(u, v, 2, 30), runtime.ChromaPlate(wide_u, wide_v, 2, 30))
    made = [engine.upscale(lr, 2, chroma=plate) for plate in plates]
    assert equal(made[0], made[1])


def test_nothing_is_allocated_for_the_next_frame() -> None:
    u, v = place(48, 64)
    lr = (frame(64, 48)[0], *seen((u, v), 2, 2))
    engine, plate = runtime.Engine(2), runtime.ChromaPlate(u, v, 2, 30)
    engine.upscale(lr, 2, chroma=plate)
    held = engine.bytes
    engine.upscale(lr, 2, chroma=plate)
    assert engine.bytes == held


def test_wrong_chroma_plates_are_refused() -> None:
    u, v = place(48, 64)
    for (plate_u, plate_v), scale, tolerance, sentence in (
        ((u, v[:-2]), 2, 9, "V"),
        ((u, v), 5, 9, "multiple"),
        ((u[:, :63], v[:, :63]), 2, 9, "multiple"),
        ((u, v), 2, 0, "tolerance is 0"),
        ((u, v), 2, MAX_TOLERANCE + 1, "tolerance"),
        ((u.astype(float), v), 2, 9, "U"),
    ):
        with pytest.raises(PlanError, match=sentence):
            runtime.ChromaPlate(plate_u, plate_v, scale, tolerance)
    lr = frame(64, 50)
    with pytest.raises(PlanError, match="chroma plate is for 32x24"):
        runtime.Engine(1).upscale(lr, 2, chroma=runtime.ChromaPlate(u, v, 2, 9))
