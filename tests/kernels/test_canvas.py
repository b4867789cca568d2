"""A view of a canvas is the same plate in numpy, in the runtime and inside an upscaled frame."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import runtime
from kernels.canvas import ABSENT, FARTHEST, UNITS, View, positions, render
from kernels.compiler import encode_plan
from kernels.errors import PlanError
from tests.kernels.test_runtime import equal, frame, grid, network


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def view(*corners: tuple[float, float]) -> View:
    return np.rint(np.array(corners) * UNITS).astype(np.int32).ravel()


def straight(x: float, y: float, width: float, height: float) -> View:
    return view((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def random_view(rng: np.random.Generator, width: int, height: int, wild: float) -> View:
    base = np.array([(0, 0), (width, 0), (width, height), (0, height)]) + rng.uniform(-40, 120, 2)
    return view(*(base + rng.uniform(-wild, wild, (4, 2))))


def test_a_view_of_whole_samples_is_a_cutting() -> None:
    canvas = noise(90, 150)
    seen = render(canvas, straight(17, 23, 100, 60), 100, 60)
    assert np.array_equal(seen, canvas[23:83, 17:117])


def test_beyond_the_canvas_the_plate_is_absent() -> None:
    seen = render(noise(40, 40), straight(-10, 30, 60, 20), 60, 20)
    assert np.all(seen[:, :10] == ABSENT)
    assert np.all(seen[10:] == ABSENT)
    assert np.array_equal(seen[:10, 10:50], noise(40, 40)[30:])


def test_positions_are_those_of_the_projective_map() -> None:
    corners = view((10, 12), (1290, 4), (1305, 770), (3, 705))  # a tenth higher on the right
    u, v = positions(corners, 1280, 704)
    # The map of the four corners, by solving its eight equations.
    rows, right = [], []
    square = [(0, 0), (1280, 0), (1280, 704), (0, 704)]
    for (x, y), (p, q) in zip(square, corners.reshape(4, 2) / UNITS, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -x * p, -y * p), (0, 0, 0, x, y, 1, -x * q, -y * q)]
        right += [p, q]
    a, b, c, d, e, f, g, h = np.linalg.solve(np.array(rows, float), np.array(right))
    y, x = np.mgrid[:704, :1280]
    depth = g * x + h * y + 1
    assert np.abs(u / 32 - (a * x + b * y + c) / depth).max() < 0.05
    assert np.abs(v / 32 - (d * x + e * y + f) / depth).max() < 0.05


def test_a_smooth_picture_is_sampled_between_its_samples() -> None:
    y, x = np.mgrid[:120, :200].astype(float)

    def picture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 128 + 60 * np.sin(x / 6) + 40 * np.cos(y / 5)

    seen = render(picture(x, y).round().astype(np.uint8), straight(20.31, 30.69, 96, 64), 96, 64)
    wanted = picture(x[:64, :96] + 20.31, y[:64, :96] + 30.69)
    assert np.abs(seen - wanted).max() < 4  # steps of 1/32 sample on slopes of 10 codes, rounding
    assert abs(float((seen - wanted).mean())) < 0.2


@pytest.mark.parametrize("wild", [0.0, 3.0, 60.0])
def test_the_runtime_renders_the_reference_to_the_bit(wild: float) -> None:
    rng = np.random.default_rng(int(wild))
    luma = noise(113, 207, 1)
    canvas = runtime.Canvas(luma)
    shown = 0
    for width, height in [(96, 64), (1, 1), (33, 31), (161, 130), (5, 70)] * 3:
        corners = random_view(rng, width, height, min(wild, width / 3, height / 3) if wild else 0)
        wanted = render(luma, corners, width, height)
        seen = canvas.render(corners, width, height)
        assert np.array_equal(seen, wanted)
        x, y = width // 3, height // 2
        part = canvas.render(corners, width, height, x, y, width - x, 1)
        assert np.array_equal(part, wanted[y : y + 1, x:])
        shown += int(np.any(wanted != ABSENT))
    assert shown > 7


@pytest.mark.parametrize("isa", runtime.available_isas())
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_frame_with_a_view_is_one_with_the_plate_that_it_shows(isa: str, scale: int) -> None:
    width, height = 67, 41
    plan = runtime.Plan(encode_plan(network(scale, 1)))
    luma = noise(170, 260, 2)
    canvas = runtime.Canvas(luma)
    corners = view((5.3, 3.1), (190.7, 9.2), (195, 140.4), (-4, 120))
    plate = runtime.Plate(render(luma, corners, scale * width, scale * height), scale)
    lr, patches = frame(width, height), grid(width, height, 9, experts=1)
    engine = runtime.Engine(2, isa)
    for tiles in (None, patches):
        seen = engine.upscale(lr, scale, patches=tiles, plans=[plan], canvas=canvas, view=corners)
        assert equal(seen, engine.upscale(lr, scale, patches=tiles, plans=[plan], plate=plate))
    absent = engine.upscale(lr, scale, plans=[plan])
    assert not equal(seen, absent)
    away = straight(9000, 9000, 100, 60)
    assert equal(engine.upscale(lr, scale, plans=[plan], canvas=canvas, view=away), absent)


@pytest.mark.parametrize(
    "corners",
    [
        [0] * 8,
        [0, 0, 160, 0, 320, 0, 480, 0],  # a line
        [160, 0, 0, 0, 0, 160, 160, 160],  # mirrored
        [FARTHEST + 1, 0, FARTHEST + 160, 0, FARTHEST + 160, 160, FARTHEST + 1, 160],
        [-(2**31), 0, 2**31 - 1, 0, 2**31 - 1, 160, -(2**31), 160],
    ],
)
def test_a_view_that_is_none_is_refused(corners: list[int]) -> None:
    canvas = runtime.Canvas(noise(40, 40))
    with pytest.raises(PlanError):
        render(noise(40, 40), np.array(corners, np.int32), 20, 20)
    with pytest.raises(PlanError, match="view"):
        canvas.render(corners, 20, 20)
    with pytest.raises(PlanError, match="view"):
        runtime.Engine(1).upscale(frame(10, 10), 2, canvas=canvas, view=corners)


def test_absurd_views_are_safe_and_the_same() -> None:
    rng = np.random.default_rng(5)
    luma = noise(37, 53, 3)
    canvas = runtime.Canvas(luma)
    shown = 0
    for _ in range(200):
        reach = int(rng.choice([600, 5000, FARTHEST]))
        corners = rng.integers(-reach, reach, 8).astype(np.int32)
        try:
            wanted = render(luma, corners, 45, 39)
        except PlanError:
            continue
        shown += 1
        assert np.array_equal(canvas.render(corners, 45, 39), wanted)
    assert shown > 20


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    canvas, corners = runtime.Canvas(noise(40, 40)), straight(0, 0, 20, 20)
    plate = runtime.Plate(noise(20, 20), 2)
    with pytest.raises(PlanError, match="eight numbers"):
        canvas.render(corners[:7], 20, 20)
    with pytest.raises(PlanError, match="rectangle"):
        canvas.render(corners, 20, 20, 5, 5, 16, 16)
    with pytest.raises(PlanError, match="rectangle"):
        canvas.render(corners, 20, 20, 25, 0)
    with pytest.raises(PlanError, match="give both"):
        runtime.Engine(1).upscale(frame(10, 10), 2, canvas=canvas)
    with pytest.raises(PlanError, match="give one"):
        runtime.Engine(1).upscale(frame(10, 10), 2, canvas=canvas, view=corners, plate=plate)
    with pytest.raises(PlanError):
        runtime.Canvas(np.zeros((4, 16385), np.uint8))
    with pytest.raises(PlanError):
        runtime.Canvas(np.zeros((0, 5), np.uint8))
