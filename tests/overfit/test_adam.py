"""Adam is torch's to the last bit, and a process that trains does without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import torch

from overfit.adam import Adam

TRAIN = """
import sys
from overfit.training import train
from tests.overfit.test_training import NETWORK, config, make_data

train(make_data(), NETWORK, config(steps=2))
print(*(name for name in sys.modules if name in ("torch._dynamo", "sympy")), "trained")
"""


def some_weights() -> list[torch.nn.Parameter]:
    random = torch.Generator().manual_seed(1)
    shapes = ((8, 1, 5, 5), (8, 8, 3, 3), (8, 1, 1, 1), (8,), (1,))
    return [torch.nn.Parameter(torch.randn(shape, generator=random)) for shape in shapes]


def one_step(weights: list[torch.nn.Parameter], number: int) -> None:
    """Gradients of any size, as a training has them."""
    random = torch.Generator().manual_seed(number)
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=random) * 10.0 ** (number % 7 - 4)


def test_every_step_is_that_of_torch() -> None:
    ours, theirs = some_weights(), some_weights()
    mine, other = Adam(ours), torch.optim.Adam(theirs)
    for number in range(300):
        rate = 2e-3 / (1 + number)
        one_step(ours, number)
        one_step(theirs, number)
        mine.step(rate)
        other.param_groups[0]["lr"] = rate
        other.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), number


def test_a_weight_without_a_gradient_stays_and_loses_no_step() -> None:
    ours, theirs = some_weights(), some_weights()
    mine, other = Adam(ours), torch.optim.Adam(theirs, lr=1e-3)
    for number in range(40):
        for weights in (ours, theirs):
            one_step(weights, number)
            if number % 3:
                weights[1].grad = weights[3].grad = None
        mine.step(1e-3)
        other.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), number


def test_what_is_kept_goes_on_and_the_rest_stays() -> None:
    all_of_them, some = some_weights(), some_weights()
    whole, part = Adam(all_of_them), Adam(some)
    for number in range(20):
        if number == 10:
            part.keep([some[4], some[2], torch.nn.Parameter(torch.zeros(3))])
            left = [weight.detach().clone() for weight in some]
            fresh = Adam([some[2], some[4]])
            fresh.restore(part.state())  # the state is that of what is kept
        one_step(all_of_them, number)
        one_step(some, number)
        whole.step(1e-3)
        part.step(1e-3)
    for place in range(5):
        wanted = all_of_them if place in (2, 4) else left
        assert torch.equal(some[place], wanted[place]), place


def test_training_does_not_import_the_compiler() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "trained\n", done.stdout + done.stderr
