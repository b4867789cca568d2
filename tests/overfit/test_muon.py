"""Muon moves kernels by about as much in every direction, all else by Adam, and can be resumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from overfit.adam import Adam
from overfit.muon import Muon, orthogonal
from overfit.networks import NetworkConfig, build

NETWORK = NetworkConfig(units=8, blocks=2)


def a_network() -> nn.Module:
    torch.manual_seed(1)
    return build(NETWORK)


def one_step(network: nn.Module, number: int) -> None:
    """Gradients of any size, as a training has them."""
    random = torch.Generator().manual_seed(number)
    for weight in network.parameters():
        weight.grad = torch.randn(weight.shape, generator=random) * 10.0 ** (number % 7 - 4)


def values(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


@pytest.mark.parametrize("shape", [(32, 72), (8, 144), (72, 32), (1, 9), (9, 1)])
def test_singular_values_become_about_one_and_directions_stay(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    matrices *= torch.tensor([1e-6, 1.0, 1e4]).reshape(3, 1, 1)
    made = orthogonal(matrices)
    assert torch.linalg.svdvals(made).min() > 0.6
    assert torch.linalg.svdvals(made).max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    cosine = (made * (left @ right)).sum((1, 2)) / min(shape) ** 0.5 / made.norm(dim=(1, 2))
    assert cosine.min() > 0.97


def test_nothing_is_moved_by_nothing() -> None:
    assert not orthogonal(torch.zeros(2, 4, 36)).any()


def test_kernels_move_along_their_momentum_made_orthogonal() -> None:
    network = a_network()
    optimiser, momenta = Muon(network), dict.fromkeys(values(network), torch.zeros(()))
    for number in range(5):
        one_step(network, number)
        before = values(network)
        optimiser.step(1e-2)
        for name, weight in network.named_parameters():
            gradient = cast(Tensor, weight.grad)
            momenta[name] = 0.95 * momenta[name] + 0.05 * gradient
            if weight.ndim != 4 or name == "tail.weight":
                continue
            ahead = 0.05 * gradient + 0.95 * momenta[name]
            left, _, right = torch.linalg.svd(ahead.flatten(1), full_matrices=False)
            moved = (weight.detach() - before[name]).flatten(1)
            wanted = -1e-2 * 0.2 * max(moved.shape) ** 0.5 * (left @ right)
            assert (moved - wanted).norm() < 0.3 * wanted.norm(), name


@pytest.mark.parametrize("left", [0.25, 1.0])
def test_a_pruned_kernel_moves_as_far_by_what_is_left(left: float) -> None:
    network = a_network()
    [kernel] = [w for name, w in network.named_parameters() if name == "body.0.widen.weight"]
    mask = torch.rand(kernel.shape, generator=torch.Generator().manual_seed(2)) < left
    with torch.no_grad():
        kernel.mul_(mask)
    before = kernel.detach().clone()
    one_step(network, 1)
    Muon(network).step(1e-2)
    moved = ((kernel.detach() - before) * mask).norm()
    rows, columns = kernel.flatten(1).shape
    wanted = 1e-2 * 0.2 * max(rows, columns) ** 0.5 * min(rows, columns) ** 0.5
    assert 0.7 * wanted < moved < 1.2 * wanted


def test_kernels_of_zeros_move_as_others_do() -> None:
    network = a_network()
    [kernel] = [w for name, w in network.named_parameters() if name == "body.0.widen.weight"]
    with torch.no_grad():
        kernel.zero_()
    one_step(network, 1)
    Muon(network).step(1e-2)
    assert kernel.isfinite().all()
    assert kernel.any()


def test_kernels_of_deep_and_wide_networks_move_less() -> None:
    def moved(network: nn.Module) -> float:
        before = values(network)
        one_step(network, 1)
        Muon(network).step(1e-2)
        after = values(network)
        return max(
            float((after[name] - before[name]).norm(2) / before[name].numel() ** 0.5)
            for name in before
            if name.endswith("widen.weight")
        )

    default = moved(build(NetworkConfig()))
    assert default == pytest.approx(moved(build(NetworkConfig(blocks=2))), rel=0.2)
    assert moved(build(NetworkConfig(units=32, blocks=16, expansion=4))) < 0.3 * default


def test_the_last_layer_and_what_is_no_kernel_are_moved_by_adam_at_half_the_rate() -> None:
    ours, theirs = a_network(), a_network()
    optimiser, adam = Muon(ours), Adam(theirs.parameters())
    for number in range(20):
        one_step(ours, number)
        one_step(theirs, number)
        optimiser.step(1e-2)
        adam.step(5e-3)
    mine, other = values(ours), values(theirs)
    same = {name for name in mine if torch.equal(mine[name], other[name])}
    assert same == {name for name in mine if name.endswith("bias")} | {"tail.weight"}


@pytest.mark.parametrize("made", [Muon, lambda network: Adam(network.parameters())])
def test_it_goes_on_from_its_state_as_adam_does(made: Callable[[nn.Module], Muon | Adam]) -> None:
    whole, halves = a_network(), a_network()
    straight, first, second = made(whole), made(halves), made(halves)
    for number in range(20):
        if number == 10:
            second.restore(first.state())
        one_step(whole, number)
        one_step(halves, number)
        straight.step(1e-3)
        (first if number < 10 else second).step(1e-3)
    assert all(map(torch.equal, values(whole).values(), values(halves).values()))


def test_a_weight_without_a_gradient_stays_and_forgets_nothing() -> None:
    network, alone = a_network(), a_network()
    optimiser, without = Muon(network), Muon(alone)
    for number in range(9):
        one_step(network, number)
        one_step(alone, number)
        if number % 3:
            for weight in network.parameters():
                weight.grad = None
            before = values(network)
        optimiser.step(1e-3)
        if number % 3:
            assert all(map(torch.equal, before.values(), values(network).values()))
        else:
            without.step(1e-3)
    assert all(map(torch.equal, values(network).values(), values(alone).values()))


def test_what_is_kept_goes_on_and_the_rest_stays() -> None:
    whole, part = a_network(), a_network()
    optimiser, partly = Muon(whole), Muon(part)
    weights = dict(part.named_parameters())
    kept = {"tail.weight", "body.1.widen.weight", "head.bias"}
    for number in range(20):
        if number == 10:
            partly.keep([weights[name] for name in sorted(kept)])
            left = values(part)
        one_step(whole, number)
        one_step(part, number)
        optimiser.step(1e-3)
        partly.step(1e-3)
    for name, value in values(part).items():
        wanted = values(whole) if name in kept else left
        # One kernel alone is multiplied by other instructions than three of its shape.
        torch.testing.assert_close(value, wanted[name], rtol=0, atol=1e-6)
