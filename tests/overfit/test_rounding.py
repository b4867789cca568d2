"""Values between layers become codes, and a network learns around them."""

from __future__ import annotations

import numpy as np
import torch

from kernels import reference
from kernels.compiler import compile_module, decode_plan
from kernels.plan import Codes
from overfit.networks import NetworkConfig, Rounding, build, settling


def settled(signed: bool, values: torch.Tensor) -> Rounding:
    rounding = Rounding(signed)
    with settling(torch.nn.Sequential(rounding)):
        rounding(values)
    return rounding


def test_nothing_changes_before_it_has_settled() -> None:
    values = torch.randn(3, 4)
    assert torch.equal(Rounding(signed=True)(values), values)


def test_the_step_gives_up_what_is_rare_for_what_is_common() -> None:
    torch.manual_seed(0)
    values = torch.randn(40_000) * 0.1
    values[7] = 0.9
    codes = settled(True, values).codes
    assert codes is not None
    assert 0.35 < 127 * codes.unit < 0.85


def test_values_become_whole_steps_within_the_range() -> None:
    torch.manual_seed(0)
    for signed in (True, False):
        values = torch.randn(5000) if signed else torch.randn(5000).relu()
        rounding = settled(signed, values)
        assert rounding.codes is not None
        steps = rounding(2 * values) / float(rounding.codes.unit)
        assert torch.allclose(steps, steps.round(), atol=1e-4)
        assert steps.min() >= -rounding.codes.zero
        assert steps.max() <= 255 - rounding.codes.zero
        error = (rounding(values) - values).square().mean() / values.square().mean()
        assert error < 1e-3


def test_the_gradient_passes_inside_and_stops_where_values_are_cut_off() -> None:
    rounding = Rounding(signed=False)
    rounding.codes = Codes(136, signed=False)  # 1/128: up to 1.99
    values = torch.tensor([-1.0, 0.503, 5.0], requires_grad=True)
    rounding(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 1.0, 0.0]


def test_the_step_goes_along_with_the_state() -> None:
    saved = settled(True, torch.randn(100)).state_dict()
    fresh = Rounding(signed=True)
    fresh.load_state_dict(saved)
    assert fresh.codes is not None
    assert fresh.state_dict() == saved


def test_a_settled_network_becomes_a_coded_plan_that_computes_it() -> None:
    torch.manual_seed(0)
    expert = build(NetworkConfig(units=8, blocks=2))
    for parameter in expert.parameters():
        parameter.data *= 1.3
    luma, previous = np.random.default_rng(0).integers(0, 256, (2, 20, 24)).astype(np.uint8)
    planes = [torch.from_numpy(reference.to_values(p))[None, None] for p in (luma, previous)]
    with torch.no_grad(), settling(expert):
        expert(*planes)
    plan = decode_plan(compile_module(expert, 2))
    assert plan.table.coded
    wanted = expert(*planes).detach().numpy()[0, 0]
    found = reference.run_plan_float(plan, luma, previous)
    assert 128 * np.abs(found - wanted).mean() < 0.3
