"""Overfits one expert: Muon, warm-up and cosine, gradual pruning, int8 rounding at the end.

A pure function of its data and its frozen config: the same on the same machine, wherever it was
interrupted. `train` writes a checkpoint every few seconds and goes on from it. Processors that
multiply bfloat16 take half the time (`overfit.acceleration`), those with AVX2 alone have gradients
of our own (`overfit.gradients`); either gives other last digits.

Rate, pruning and rounding follow the *progress*, 0 to 1: the share of the steps that is done, or of
the seconds where there is a budget and they go faster. So a training always ends in time, as the
same kind of network; with a budget it depends on the machine how good a one. A training that has
nothing more to learn (`overfit.convergence`) goes through what is left five times as fast.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from kernels.errors import CrispcastError
from kernels.plan import PlanIR
from overfit import checkpoint as checkpoints
from overfit import gradients
from overfit.acceleration import accelerate, acceleration_of, relax
from overfit.adam import Adam
from overfit.convergence import HASTE, Convergence
from overfit.freed_memory import keep_freed_memory
from overfit.muon import Muon
from overfit.networks import (
    Expert,
    NetworkConfig,
    Sharing,
    add_branches,
    build,
    fold_branches,
    settling,
    start_from,
)
from overfit.pruning import Pruner, begin_rounding, end_rounding
from overfit.training_config import TrainingConfig
from overfit.training_data import Batch, TrainingData, WindowSampler

_SETTLING_BATCHES = 8
_CALIBRATION_BATCHES = 4
_KEEP = 0.98
"""How much of the running error a step keeps."""

OnStep = Callable[[int, float, float], None]
"""Called with the steps done, the progress, and the running PSNR-Y in dB of what is trained on."""


class DivergedError(CrispcastError):
    """A training gave numbers that are none, and did so again at a lower rate."""


@dataclass(frozen=True)
class Trained:
    """A trained expert on the CPU, its weights pruned and rounded.

    `psnr_y` is the running figure of training in dB, `density` that of the prunable layers, `steps`
    the updates and `seconds` the time spent, over all interruptions, `bits` what its weights were
    rounded to.
    """

    network: Expert
    psnr_y: float
    density: float
    steps: int
    seconds: float
    bits: int


def device() -> torch.device:
    """The GPU where torch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    data: TrainingData | Sequence[TrainingData],
    network: NetworkConfig,
    config: TrainingConfig,
    *,
    sharing: Sharing | None = None,
    base: PlanIR | None = None,
    checkpoint: Path | None = None,
    on_progress: OnStep | None = None,
) -> Trained:
    """Trains one expert on `data`, from the weights of `base` where one is given.

    With `sharing`, several that share a network: `data` is then that of each, of the same frames.
    Each step is one of theirs, by lot; `sharing.part` takes them out of the trained network.

    `checkpoint` is a file this run may write, and goes on from if an equal run left it; the caller
    removes it. A training that diverges starts again at a third of the learning rate, once.

    Raises DivergedError where it diverges twice, CrispcastError where `base` is of another shape,
    or where experts that share a network have frames of different sizes.
    """
    groups = (data,) if isinstance(data, TrainingData) else tuple(data)
    if len(groups) != (1 if sharing is None else sharing.experts):
        raise CrispcastError(
            f"data of {len(groups)} experts for {1 if sharing is None else sharing.experts}: give "
            "each expert that shares the network its own"
        )
    if len({(group.lr.shape, group.scale) for group in groups}) > 1:
        raise CrispcastError(
            "experts that share a network must be trained on frames of one size and scale"
        )
    run = _Run(groups, network, config, sharing, base, checkpoint, on_progress)
    try:
        return run.finish()
    except FloatingPointError as error:
        if run.calm:
            raise _diverged(run) from error
        spent = run.seconds
    # Seen at rates of 4e-3 on wide networks: a calmer start is worth one retry.
    run = _Run(
        groups, network, config, sharing, base, checkpoint, on_progress, calm=True, spent=spent
    )
    try:
        return run.finish()
    except FloatingPointError as error:
        raise _diverged(run) from error


def _diverged(run: _Run) -> DivergedError:
    return DivergedError(
        f"training diverged twice, at last at a learning rate of {run.rate:.2g}; "
        "another --seed, fewer --steps or --method none may help"
    )


class _Run:
    """The state of one training, and how it is stored and restored."""

    def __init__(
        self,
        groups: tuple[TrainingData, ...],
        network: NetworkConfig,
        config: TrainingConfig,
        sharing: Sharing | None,
        base: PlanIR | None,
        checkpoint: Path | None,
        on_progress: OnStep | None,
        *,
        calm: bool = False,
        spent: float = 0.0,
    ) -> None:
        """`calm`: the second attempt, at a lower rate, after `spent` seconds."""
        torch.set_num_threads(config.threads)
        keep_freed_memory()
        torch.manual_seed(config.seed)
        self.config = config
        self.checkpoint = checkpoint
        self.on_progress = on_progress
        self.device = device()
        sampler = WindowSampler(
            groups[0], network.inputs, network.radius, config.tile, config.plate_dropout
        )
        self.samplers = [sampler, *(sampler.of(group) for group in groups[1:])]
        self.random = np.random.default_rng(config.seed)
        # With so few channels, channels last is 1.3 to 1.5 times as fast on a CPU
        # (benchmarks/training_layout.py).
        self.expert = build(network).to(self.device)
        if base is not None:
            start_from(self.expert, base)
        self.expert.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # It sees the plain network: what is shared and what has branches keeps these parameters.
        self.pruner = Pruner(
            self.expert,
            config.pruning,
            on_begin=self._fold,
            loss=self._calibration_loss,
            bits=config.bits,
        )
        self._calibration: list[tuple[int, Batch]] = []
        self.choose = (lambda _: None) if sharing is None else sharing.join(self.expert)
        self.branches = network.branches
        if self.branches:
            add_branches(self.expert)
        adam = config.optimiser == "adam"
        self.optimiser = Adam(self.expert.parameters()) if adam else Muon(self.expert)
        if config.mixed:
            accelerate(self.expert, self.device, acceleration_of(self.device, config.steps))
        if self.device.type == "cpu" and gradients.pay():
            gradients.take(self.expert)
        self.convergence = Convergence(config.steps, config.settled)
        self.calm = calm
        self.step = 0
        self.skipped = 0
        self.error = 0.0
        self.seconds = spent
        self.rounding = False
        key = hashlib.sha256(
            repr((asdict(network), asdict(config), groups[0].lr.shape)).encode()
            + repr((sharing, [len(group.samples) for group in groups])).encode()
        )
        if base is not None:
            for numbers in base.numbers:
                key.update(numbers.dequantised().tobytes())
        self.key = key.hexdigest()
        self._restore()
        if calm and checkpoint is not None:
            self._save(checkpoint)  # or the first attempt would be made again

    @property
    def rate(self) -> float:
        """The learning rate at its highest."""
        return self.config.rate / (3 if self.calm else 1)

    @property
    def progress(self) -> float:
        """0 to 1: the share of the steps, or of the seconds where that is larger."""
        share = (self.step + self.skipped) / self.config.steps
        if self.config.budget is not None:
            share = max(share, self.seconds / self.config.budget)
        return min(share, 1.0)

    def finish(self) -> Trained:
        config = self.config
        saved = time.monotonic()
        origin = saved - self.seconds
        while self.step == 0 or self.progress < 1:
            if not self.rounding and self.progress >= config.round_begin:
                self._begin_rounding()
            self._update()
            self.step += 1
            if self.convergence.reached:
                self.skipped += HASTE - 1
            elif not self.rounding and self.convergence.due(self.step):
                self.convergence.see(self._calibrated()[1])
            now = time.monotonic()
            self.seconds = now - origin
            if not self.rounding:  # from then on, what was cut rounds to zero
                self.pruner.after_update(self.step, self.progress)
            if self.on_progress is not None and (self.step % 20 == 0 or self.progress == 1):
                self.on_progress(self.step, self.progress, self.psnr())
            if self.checkpoint is not None and now - saved > checkpoints.SECONDS:
                self._save(self.checkpoint)
                saved = now
        if not self.rounding:
            self._begin_rounding()
        end_rounding(self.expert)
        self.pruner.apply()
        self._check()
        gradients.leave(self.expert)
        network = self.expert.cpu().eval().requires_grad_(False)
        density = self.pruner.density()
        return Trained(network, self.psnr(), density, self.step, self.seconds, config.bits)

    def psnr(self) -> float:
        """Running PSNR-Y in dB; an error of 1 in the networks' domain is 128 codes."""
        weight = 1 - _KEEP**self.step if self.step else 1.0
        return 10 * math.log10((255 / 128) ** 2 / max(self.error / weight, 1e-10))

    def _rate(self) -> float:
        config = self.config
        warmup = max(1, min(config.warmup, config.steps // 4))
        warm = min(1.0, max((self.step + 1) / warmup, 4 * self.progress))
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        return self.rate * warm * max(cosine, 0.002)

    def _update(self) -> None:
        batch = self._draw(self._group(), self.random)
        self.expert.zero_grad()
        loss, squares = self._loss(batch)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.expert.parameters(), self.config.clip)
        self.pruner.before_update(self.progress)
        self.optimiser.step(self._rate())
        error = float(squares.detach())
        if not math.isfinite(error):
            raise FloatingPointError
        self.error = _KEEP * self.error + (1 - _KEEP) * error

    def _loss(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """What is minimised, and the mean squared error, of what the network makes of a batch."""
        difference = (self.expert(**batch.inputs) - batch.target) * batch.mask
        seen = batch.mask.sum()
        squares = difference.square()
        if self.config.loss == "l2":
            loss = squares.sum() / seen
        elif self.config.loss == "l1":
            loss = difference.abs().sum() / seen
        else:
            # Charbonnier with half a code value: L1 that rests near zero.
            loss = ((squares + 4e-3**2).sqrt() * batch.mask).sum() / seen
        return loss, squares.detach().sum() / seen

    def _calibration_loss(self) -> float:
        """The loss on the calibration batches."""
        return self._calibrated()[0]

    @torch.no_grad()
    def _calibrated(self) -> tuple[float, float]:
        """Means of the loss and of the squared error of some batches.

        They are the same every time, and not those of training.
        """
        if not self._calibration:
            random = np.random.default_rng((self.config.seed, 1))
            turns = self._turns(_CALIBRATION_BATCHES)
            self._calibration = [(group, self._draw(group, random)) for group in turns]
        total = np.zeros(2)
        for group, batch in self._calibration:
            self.choose(group)
            total += [float(value) for value in self._loss(batch)]
        loss, error = total / len(self._calibration)
        return float(loss), float(error)

    def _check(self) -> None:
        """Raises FloatingPointError where a weight is no number, which no later step repairs."""
        if not all(bool(weight.isfinite().all()) for weight in self.expert.parameters()):
            raise FloatingPointError

    def _fold(self) -> None:
        """From here on branches are one kernel, which can be pruned and rounded."""
        if self.branches:
            fold_branches(self.expert)
            self.optimiser.keep(self.expert.parameters())
            self.branches = False

    def _begin_rounding(self) -> None:
        self._fold()
        relax(self.expert)
        begin_rounding(self.expert, self.config.bits)
        self.rounding = True
        if self.config.codes:
            self._settle()

    @torch.no_grad()
    def _settle(self) -> None:
        """Choose the steps of the values between layers by what some batches give."""
        with settling(self.expert):
            for group in self._turns(_SETTLING_BATCHES):
                self.expert(**self._draw(group, self.random).inputs)

    def _group(self) -> int:
        """Whose turn it is, of the experts that share the network."""
        return int(self.random.integers(len(self.samplers))) if len(self.samplers) > 1 else 0

    def _turns(self, least: int) -> list[int]:
        """Every expert that shares the network in turn, `least` of them or more."""
        count = len(self.samplers)
        return [index % count for index in range(max(least, count))]

    def _draw(self, group: int, random: np.random.Generator) -> Batch:
        """A batch of an expert, which the network is then."""
        self.choose(group)
        batch = self.samplers[group].draw(self.config.batch, random)
        return Batch(
            {name: plane.to(self.device) for name, plane in batch.inputs.items()},
            batch.target.to(self.device),
            batch.mask.to(self.device),
        )

    def _save(self, path: Path) -> None:
        self._check()
        state = {
            "key": self.key,
            "expert": self.expert.state_dict(),
            "optimiser": self.optimiser.state(),
            "pruner": self.pruner.state(),
            "random": self.random.bit_generator.state,
            "step": self.step,
            "skipped": self.skipped,
            "convergence": self.convergence.state(),
            "error": self.error,
            "seconds": self.seconds,
            "calm": self.calm,
            "branches": self.branches,
            "rounding": self.rounding,
        }
        checkpoints.save(path, state)

    def _restore(self) -> None:
        state = checkpoints.load(self.checkpoint, self.key, self.device)
        if state is None or (self.calm and not state["calm"]):
            return
        if not state["branches"]:
            self._fold()
        if state["rounding"]:
            relax(self.expert)
            begin_rounding(self.expert, self.config.bits)
        self.expert.load_state_dict(state["expert"])
        self.optimiser.restore(state["optimiser"])
        self.pruner.restore(state["pruner"])
        self.random.bit_generator.state = state["random"]
        self.step, self.error = state["step"], state["error"]
        self.skipped = state["skipped"]
        self.convergence.restore(state["convergence"])
        self.seconds = state["seconds"]
        self.calm = state["calm"]
        self.rounding = state["rounding"]
