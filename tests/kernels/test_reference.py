"""The reference executor computes what the documents say, checked by slower, plainer sums."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import reference
from kernels.errors import PlanError
from kernels.plan import Activation, Float, PlanIR, PlanTable, Uint8
from tests.kernels.plans import every_branch, plan_for, spec


def noise(height: int, width: int, seed: int = 0) -> Uint8:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_convolution_is_cross_correlation_with_zeros_around(kernel: int) -> None:
    rng = np.random.default_rng(kernel)
    source = rng.normal(size=(3, 6, 7)).astype(np.float32)
    weight = rng.normal(size=(2, 3, kernel, kernel)).astype(np.float32)
    radius = kernel // 2
    found = reference.convolve(source, weight)
    for y in range(6):
        for x in range(7):
            wanted = np.zeros(2)
            for ky in range(kernel):
                for kx in range(kernel):
                    row, column = y + ky - radius, x + kx - radius
                    if 0 <= row < 6 and 0 <= column < 7:
                        wanted += weight[:, :, ky, kx] @ source[:, row, column]
            np.testing.assert_allclose(found[:, y, x], wanted, atol=1e-5)


def _keys(x: float) -> float:
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_interpolation_is_keys_cubic_with_half_pixel_centres(scale: int) -> None:
    plane = noise(5, 4)
    found = reference.enlarge(reference.to_values(plane)[None], scale)[0]
    for y in range(5 * scale):
        for x in range(4 * scale):
            v, u = (y + 0.5) / scale - 0.5, (x + 0.5) / scale - 0.5
            wanted = 0.0
            for i in range(int(np.floor(v)) - 1, int(np.floor(v)) + 3):
                for j in range(int(np.floor(u)) - 1, int(np.floor(u)) + 3):
                    sample = (float(plane[min(max(i, 0), 4), min(max(j, 0), 3)]) - 128) / 128
                    wanted += _keys(v - i) * _keys(u - j) * sample
            assert found[y, x] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_flat_plane_stays_flat(level: int) -> None:
    plane = np.full((3, 2), level, np.uint8)
    assert (reference.interpolate(plane, 3) == level).all()
    assert reference.interpolate(plane, 3).shape == (9, 6)


def test_rounding_is_half_up_and_clamped() -> None:
    values = np.array([-1.5, -1.0, 0.0, 0.5 / 128, 0.499 / 128, 127 / 128, 1.5], np.float32)
    assert reference.round_codes(values).tolist() == [0, 0, 128, 129, 128, 255, 255]


def test_unshuffling_a_plate_is_undone_by_the_shuffle() -> None:
    plate = noise(6, 9)
    channels = reference.unshuffle(plate, 3)
    assert channels.shape == (9, 2, 3)
    assert channels[1 * 3 + 2, 1, 0] == (float(plate[3 * 1 + 1, 2]) - 128) / 128
    np.testing.assert_array_equal(reference.shuffle(channels, 3)[0], reference.to_values(plate))


def test_absent_planes_are_the_luma_and_grey() -> None:
    plan, luma = every_branch(), noise(5, 7)
    alone = reference.run_plan_float(plan, luma)
    grey = np.full((10, 14), 128, np.uint8)
    np.testing.assert_array_equal(alone, reference.run_plan_float(plan, luma, luma, grey))
    assert not np.array_equal(alone, reference.run_plan_float(plan, luma, noise(5, 7, 1), grey))


def test_planes_of_other_sizes_are_refused() -> None:
    plan, luma = every_branch(), noise(5, 7)
    with pytest.raises(PlanError, match="previous luma"):
        reference.run_plan(plan, luma, noise(5, 8))
    with pytest.raises(PlanError, match="plate"):
        reference.run_plan(plan, luma, None, noise(10, 15))
    with pytest.raises(PlanError, match="luma plane"):
        reference.run_plan(plan, np.zeros((0, 4), np.uint8))


def _one_pixel(plan: PlanIR, values: list[Float]) -> Float:
    """The plan on a frame of one pixel by hand: only centre taps see anything."""
    for row, numbers in zip(plan.table.layers, plan.numbers, strict=True):
        centre = row.kernel // 2
        source = np.concatenate([values[value] for value in row.sources])
        sums = numbers.dequantised()[:, :, centre, centre] @ source + numbers.bias
        if row.residual is not None and not row.residual_after:
            sums = sums + values[row.residual]
        if row.activation is Activation.RELU:
            sums = np.maximum(sums, 0)
        elif row.activation is Activation.PRELU:
            sums = np.where(sums < 0, sums * numbers.activation, sums)
        elif row.activation is Activation.CLIP:
            sums = np.clip(sums, *numbers.activation)
        if row.residual is not None and row.residual_after:
            sums = sums + values[row.residual]
        values.append(sums.astype(np.float32))
    return values[-1]


def test_layers_do_what_their_row_says() -> None:
    plan = every_branch()
    luma, previous = np.array([[200]], np.uint8), np.array([[31]], np.uint8)
    plate = np.array([[1, 90], [130, 255]], np.uint8)
    values = [reference.to_values(np.ravel(each)) for each in (luma, previous, plate)]
    wanted = _one_pixel(plan, values).reshape(2, 2) + (200 - 128) / 128
    found = reference.run_plan_float(plan, luma, previous, plate)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_plan_without_a_base_gives_only_its_last_layer() -> None:
    layers = (spec(4, 0),)
    luma = noise(4, 4)
    with_base = plan_for(PlanTable(2, ("luma",), True, layers), seed=3)
    without = PlanIR(PlanTable(2, ("luma",), False, layers), with_base.numbers)
    difference = reference.run_plan_float(with_base, luma) - reference.run_plan_float(without, luma)
    base = reference.enlarge(reference.to_values(luma)[None], 2)[0]
    np.testing.assert_allclose(difference, base, atol=1e-5)
