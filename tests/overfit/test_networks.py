"""Networks start near the interpolation, and see as far as they say."""

from __future__ import annotations

import pytest
import torch

from kernels.compiler import compile_module, decode_plan
from kernels.errors import CrispcastError
from overfit.networks import Interpolation, NetworkConfig, build, expert_of
from overfit.networks.interpolation import keys


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_interpolation_is_keys_cubic_at_half_pixel_centres(scale: int) -> None:
    torch.manual_seed(0)
    luma = torch.rand(1, 1, 6, 7)
    large = Interpolation(scale)(luma)[0, 0]
    assert large.shape == (6 * scale, 7 * scale)
    for row, column in ((0, 0), (3, 2 * scale), (6 * scale - 1, 7 * scale - 2)):
        y, x = (row + 0.5) / scale - 0.5, (column + 0.5) / scale - 0.5
        wanted = sum(
            keys(y - i) * keys(x - j) * luma[0, 0, min(max(i, 0), 5), min(max(j, 0), 6)]
            for i in range(-3, 10)
            for j in range(-3, 11)
        )
        assert float(large[row, column]) == pytest.approx(float(wanted), abs=1e-5)


@pytest.mark.parametrize(
    "inputs", [("luma",), ("luma", "previous"), ("luma", "plate"), ("luma", "previous", "plate")]
)
@pytest.mark.parametrize("scale", [2, 3])
def test_each_network_takes_the_planes_it_declares(inputs: tuple[str, ...], scale: int) -> None:
    expert = build(NetworkConfig(scale=scale, units=4, blocks=1, inputs=inputs))
    planes = {"luma": 1, "previous": 1, "plate": scale**2}
    values = {name: torch.rand(2, planes[name], 8, 10) for name in inputs}
    assert expert(**values).shape == (2, 1, 8 * scale, 10 * scale)


def test_the_radius_is_how_far_an_output_sees() -> None:
    torch.manual_seed(0)
    config = NetworkConfig(units=8, blocks=2, inputs=("luma",))
    expert = build(config)
    for parameter in expert.parameters():
        torch.nn.init.uniform_(parameter, 0.05, 0.1)
    luma = torch.rand(1, 1, 40, 40)
    changed = luma.clone()
    changed[..., 20, 20] += 1
    rows = (expert(changed) - expert(luma)).abs().amax((0, 1, 3)).nonzero().ravel() // 2
    assert (20 - int(rows.min()), int(rows.max()) - 20) == (config.radius, config.radius)


@pytest.mark.parametrize(
    "wrong",
    [{"scale": 5}, {"units": 6}, {"blocks": 0}, {"expansion": 9}, {"inputs": ("previous",)}],
)
def test_impossible_shapes_are_refused(wrong: dict) -> None:
    with pytest.raises(CrispcastError):
        NetworkConfig(**wrong)


def test_a_plan_that_lost_channels_computes_as_its_expert_did() -> None:
    torch.manual_seed(0)
    config = NetworkConfig(scale=2, units=8, blocks=2, inputs=("luma", "previous", "plate"))
    expert = build(config).eval().requires_grad_(False)
    name = "body.1.widen.weight"
    widen = expert.get_parameter(name)
    widen[3:6] = 0.0  # as pruning leaves three channels
    expert.get_parameter("body.1.widen.bias")[3:6] = 0.0
    plan = decode_plan(compile_module(expert, 2))
    found = expert_of(plan, config)
    assert len(found.get_parameter(name)) == len(widen) - 3
    planes = {each: torch.rand(1, 4 if each == "plate" else 1, 12, 20) for each in config.inputs}
    made, expected = found(**planes), expert(**planes)
    # The plan's weights have 8 bits.
    assert (made - expected).abs().max() < 0.02
    assert (expected - expert(**{**planes, "plate": 0 * planes["plate"]})).abs().max() > 0.02


def test_a_plan_of_another_shape_is_refused() -> None:
    config = NetworkConfig(scale=2, units=4, blocks=1, inputs=("luma",))
    plan = decode_plan(compile_module(build(config), 2))
    for other in (
        NetworkConfig(scale=3, units=4, blocks=1, inputs=("luma",)),
        NetworkConfig(scale=2, units=4, blocks=2, inputs=("luma",)),
        NetworkConfig(scale=2, units=4, blocks=1, inputs=("luma", "previous")),
    ):
        with pytest.raises(CrispcastError, match="a plan for scale 2"):
            expert_of(plan, other)
