"""Learned planes: a plate as a pyramid of integers, trained for bytes and for what experts make.

    integers x step ── inverse wavelet ─► plate ─► expert ─► squared error ───┐
       ▲   └── context networks ─► bits ─────────────────────────── x price ──┤
       └────────────────────────── Adam on all of it ◄────────────────────────┘
    rounded ─► benchmarks.plane_coder ─► bytes

The rival of an AVIF of the shot's median, after COOL-CHIC (arXiv 2212.05458: planes of several
sizes and the networks that code them, overfitted together) and C3 (arXiv 2312.02753: soft rounding
with noise, then rounding with straight-through gradients). Theirs begin at nothing and take 10^4
to 10^5 updates; these begin as the wavelets (CDF 9/7) of the median, so hundreds have to do. The
plate that comes out is a picture like any other, and the expert is the rest of the synthesis.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.plane_coder import (
    FACTS,
    HIDDEN,
    NEAR,
    NETWORKS,
    SCALES,
    STEPS_OF_SCALE,
    Contexts,
    decode_planes,
    encode_planes,
    network_of,
)
from overfit.adam import Adam
from overfit.inference import to_codes
from overfit.training_data import to_domain
from overfit.video.frames import U8

LEVELS = 6
_LIFT = (-1.586134342, -0.05298011854, 0.8829110762, 0.4435068522)
_GAIN = 1.149604398
"""CDF 9/7 by lifting, bands scaled to about unit norm: Daubechies and Sweldens 1998."""
_SOFT, _HARD = 0.4, 0.15
"""Temperature of soft rounding, first and last."""
_HEADER = struct.Struct("<HHf")


@dataclass(frozen=True)
class LearningConfig:
    """How planes are learned.

    rounds: updates, each of all planes. price: what a bit for each sample of the plate counts, in
    squared codes. rate: of the planes, in steps, at first; it falls to nothing. network_rate: of
    the context networks. other_rate: of weights behind the plate. straight: progress from which
    integers are integers, with straight-through gradients. warm: updates before of the context
    networks alone.
    """

    rounds: int = 150
    price: float = 12.0
    rate: float = 0.08
    network_rate: float = 3e-2
    other_rate: float = 5e-4
    straight: float = 0.85
    warm: int = 120
    seed: int = 0


class LearnedPlanes(nn.Module):
    """A plate in the making: planes in steps, and their context networks before rounding."""

    def __init__(self, picture: U8, step: float) -> None:
        """The wavelets of a picture u8 [H, W], in steps of so many codes."""
        super().__init__()
        torch.manual_seed(0)
        self.size = picture.shape
        self.step = step
        height, width = picture.shape
        whole = to_domain(picture[None, None])
        pad = (0, -width % (1 << LEVELS), 0, -height % (1 << LEVELS))
        top = functional.pad(whole, pad, "replicate") * (128 / step)
        levels = []
        for _ in range(LEVELS):
            top, level = _split(top)
            levels.append(nn.Parameter(level))
        self.top = nn.Parameter(top)
        self.levels = nn.ParameterList(levels)
        """[3, 1, h, w] each, the finest first."""
        self.networks = nn.ModuleList(_Context() for _ in range(NETWORKS))

    def render(self, top: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """The plate [1, 1, H, W] in the networks' domain."""
        for level in reversed(levels):
            top = _merge(top, level)
        return top[..., : self.size[0], : self.size[1]] * (self.step / 128)

    def bits(self, top: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """What planes take, by the context networks."""
        total: Tensor = self.networks[-1](top, top.new_zeros(1, 4, *top.shape[2:]))
        for number, level in enumerate(levels):
            sizes, coarser = level.abs(), None
            if number + 1 < len(levels):
                coarser = _around(levels[number + 1].abs())
                coarser = coarser.repeat_interleave(2, 2).repeat_interleave(2, 3)
            for band in range(3):
                nothing = level.new_zeros(1, 2, *level.shape[2:])
                above = nothing if coarser is None else coarser[band : band + 1]
                beside = _around(sizes[:band].sum(0, keepdim=True)) if band else nothing
                network = self.networks[network_of(number, band)]
                total = total + network(level[band : band + 1], torch.cat((above, beside), 1))
        return total

    def sampled(self, heat: float | None) -> tuple[Tensor, list[Tensor]]:
        """Top and levels nearly rounded, with noise, at this heat; rounded where there is none."""
        if heat is None:
            made = [plane + (plane.round() - plane).detach() for plane in (self.top, *self.levels)]
        else:
            made = [
                _soft(_soft(plane, heat) + torch.rand_like(plane) - 0.5, heat)
                for plane in (self.top, *self.levels)
            ]
        return made[0], made[1:]

    def encode(self) -> bytes:
        """All that a client needs to make the plate of it."""
        top, *levels = (plane.detach().round().long().numpy() for plane in (self.top, *self.levels))
        networks = [network.rounded() for network in self.networks]  # type: ignore[operator]
        coded = encode_planes(top[0, 0], [level[:, 0] for level in levels], networks)
        return _HEADER.pack(*self.size, self.step) + coded


@torch.no_grad()
def decode_plate(data: bytes) -> U8:
    """The plate u8 [H, W] of `LearnedPlanes.encode`."""
    height, width, step = _HEADER.unpack_from(data)
    first, levels = decode_planes(data[_HEADER.size :])
    top = torch.from_numpy(first).float()[None, None]
    for level in reversed(levels):
        top = _merge(top, torch.from_numpy(level).float()[:, None])
    return to_codes(top[0, 0, :height, :width] * (step / 128))


def learn(
    planes: LearnedPlanes,
    error: Callable[[Tensor, int], Tensor],
    config: LearningConfig,
    others: Sequence[nn.Parameter] = (),
) -> None:
    """Trains planes, in place, for the least of `error` + price x bits.

    `error` gives squared codes, a mean, of a plate [1, 1, H, W] in the networks' domain in a round;
    `others` are weights that it depends on, trained too.
    """
    torch.manual_seed(config.seed)
    integers, networks = [planes.top, *planes.levels], list(planes.networks.parameters())
    groups = (
        (Adam(integers), integers, config.rate),
        (Adam(networks), networks, config.network_rate),
        (Adam(others), list(others), config.other_rate),
    )
    samples = math.prod(planes.size)
    for done in range(-config.warm, config.rounds):
        for _, weights, _ in groups:
            for weight in weights:
                weight.grad = None
        progress = max(0, done) / config.rounds
        if done < 0:
            fixed = [plane.detach().round() for plane in integers]
            torch.autograd.backward(planes.bits(fixed[0], fixed[1:]) * (config.price / samples))
        else:
            cooled = progress / config.straight if config.straight else 1.0
            heat = _SOFT + (_HARD - _SOFT) * cooled if cooled < 1 else None
            top, levels = planes.sampled(heat)
            rate = planes.bits(top, levels) / samples
            loss = error(planes.render(top, levels), done) + config.price * rate
            torch.autograd.backward(loss)
        fall = 0.5 * (1 + math.cos(math.pi * progress))
        for optimizer, weights, rate_of in groups:
            if weights:
                optimizer.step(rate_of * fall)


class _Context(nn.Module):
    """A context network before it is rounded; the same sums as `Contexts`."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.rand(HIDDEN, FACTS + 1) * 0.2)
        self.second = nn.Parameter(torch.rand(HIDDEN + 1) * 0.2)

    def forward(self, plane: Tensor, others: Tensor) -> Tensor:
        """Bits of a plane [1, 1, h, w] of any numbers beside the facts [1, 4, h, w] of others."""
        height, width = plane.shape[2:]
        ring = functional.pad(plane.abs(), (2, 1, 2, 0))
        near = [
            sum(
                (ring[..., 2 + y : 2 + y + height, 2 + x : 2 + x + width] for y, x in group),
                start=plane.new_zeros(()),
            )
            for group in NEAR
        ]
        facts = torch.log2(1 + torch.cat((*near, others), 1))[0].flatten(1)
        hidden = functional.relu(torch.addmm(self.first[:, -1:], self.first[:, :-1], facts))
        octaves = self.second[:-1] @ hidden + self.second[-1]
        limit = SCALES / 2 / STEPS_OF_SCALE
        per = torch.exp2(-octaves.clamp(-limit, limit))
        away = plane.flatten().abs()
        # The bin of a sample has its zero inside or not: two ways that are exact in both.
        outer = torch.exp(-(away + 0.5) * per) / 2
        inner = torch.exp(-(away - 0.5).abs() * per) / 2
        share = torch.where(away < 0.5, 1 - inner, inner) - outer
        return -torch.log2(share.clamp_min(2.0**-16)).sum()

    def rounded(self) -> Contexts:
        """As it is sent."""
        first, second = (w.detach().double().numpy() for w in (self.first, self.second))
        return Contexts.rounded(first, second)


def _around(plane: Tensor) -> Tensor:
    """[N, 1, h, w] and the sums over the 3x3 around, as [N, 2, h, w]."""
    return torch.cat((plane, functional.avg_pool2d(plane, 3, 1, 1) * 9), 1)


def _soft(value: Tensor, heat: float) -> Tensor:
    """Rounding that has a gradient: C3's, of this temperature."""
    floor = value.detach().floor()
    part = value - floor - 0.5
    return floor + 0.5 + torch.tanh(part / heat) / (2 * math.tanh(0.5 / heat))


def _split(plane: Tensor) -> tuple[Tensor, Tensor]:
    """One step of the wavelet: [1, 1, h, w] to [1, 1, h/2, w/2] and bands [3, 1, h/2, w/2]."""
    low, high = _apart(plane)
    (corner, right), (below, rest) = (
        [part.transpose(2, 3) for part in _apart(half.transpose(2, 3))] for half in (low, high)
    )
    return corner, torch.cat((right, below, rest))


def _merge(low: Tensor, bands: Tensor) -> Tensor:
    """What `_split` took apart."""
    right, below, rest = bands[:1], bands[1:2], bands[2:]
    halves = [_joined(*(p.transpose(2, 3) for p in pair)) for pair in ((low, right), (below, rest))]
    return _joined(*(half.transpose(2, 3) for half in halves))


def _apart(plane: Tensor) -> tuple[Tensor, Tensor]:
    """Low and high band along the last axis, mirrored at its ends."""
    even, odd = plane[..., ::2], plane[..., 1::2]
    for first, second in (_LIFT[:2], _LIFT[2:]):
        odd = odd + first * (even + _next(even))
        even = even + second * (odd + _last(odd))
    return even * _GAIN, odd / _GAIN


def _joined(low: Tensor, high: Tensor) -> Tensor:
    """What `_apart` took apart."""
    even, odd = low / _GAIN, high * _GAIN
    for first, second in (_LIFT[2:], _LIFT[:2]):
        even = even - second * (odd + _last(odd))
        odd = odd - first * (even + _next(even))
    return torch.stack((even, odd), -1).flatten(-2)


def _next(plane: Tensor) -> Tensor:
    return torch.cat((plane[..., 1:], plane[..., -1:]), -1)


def _last(plane: Tensor) -> Tensor:
    return torch.cat((plane[..., :1], plane[..., :-1]), -1)
