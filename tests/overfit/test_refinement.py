"""A refined plate is better for what reads it, and takes no more bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from overfit import checkpoint as checkpoints
from overfit.chunking import Segment
from overfit.methods import Division, Scene
from overfit.networks import Expert, NetworkConfig, build
from overfit.plates import Plate, PlateConfig, encode_pieces
from overfit.refinement import RefinementConfig, Refiner
from tests.overfit.test_plates import place

CODING = PlateConfig(quality=70, samples=5)
CONFIG = RefinementConfig(rounds=12, tile=40, compared=4, threads=1)
PARTS = [(0, 0, 96, 96), (96, 0, 48, 96)]


def scene() -> Scene:
    """Twelve frames of a still place, 144x96, and an LR that says little of it."""
    still = place(3, 96, 144)
    hr = np.stack([still] * 12)
    lr = np.ascontiguousarray(hr[:, ::2, ::2]) // 32 * 32 + 16
    cut = Scene.of(lr, hr, (Segment(0, 6), Segment(6, 6)))
    return replace(cut, plate_of=np.zeros(12, np.int32))


def adding(weight: float) -> Expert:
    """An expert that adds so much of the plate to the interpolation."""
    expert = build(NetworkConfig(scale=2, units=4, blocks=1, inputs=("luma", "previous", "plate")))
    for layer in expert.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            torch.nn.init.zeros_(layer.bias)
    with torch.no_grad():
        for plane in range(4):  # after luma and previous
            expert.head.weight[plane, 2 + plane, 1, 1] = weight
            expert.tail.weight[plane, plane, 1, 1] = 1.0
    return expert.eval().requires_grad_(False)


def refiner(
    of: Scene, experts: dict[int, Expert], division: Division | None = None, **more: int
) -> Refiner:
    return Refiner(of, division or of.everything, experts, replace(CONFIG, **more))


def plate_of(of: Scene) -> Plate:
    return encode_pieces(of.hr[0], PARTS, CODING)


def test_a_plate_makes_up_for_what_its_expert_does_with_it() -> None:
    subject = scene()
    before = plate_of(subject)
    made = refiner(subject, {0: adding(0.9)}).refine(0, before, CODING)
    assert made is not None
    assert made.size <= before.size
    assert [piece.region for piece in made.pieces] == PARTS
    judge = refiner(subject, {0: adding(0.9)})
    assert judge.quality([0, 7], made.luma) > judge.quality([0, 7], before.luma) + 0.05


def test_what_no_expert_reads_stays_as_it_is() -> None:
    subject = scene()
    assert refiner(subject, {0: adding(0.0)}).refine(0, plate_of(subject), CODING) is None


def test_tiles_are_what_the_whole_frame_is() -> None:
    subject = scene()
    expert = build(NetworkConfig(scale=2, units=4, blocks=2, inputs=("luma", "previous", "plate")))
    expert.requires_grad_(False)
    planes = torch.rand(1, 4, 48, 72)
    made = refiner(subject, {0: expert})
    whole = made._shown(3, (0, 0, 72, 48), planes)
    for x, y, width, height in made._tiles():
        part = whole[:, :, 2 * y : 2 * (y + height), 2 * x : 2 * (x + width)]
        torch.testing.assert_close(made._shown(3, (x, y, width, height), planes), part)
    assert len(made._tiles()) == 4


def test_every_patch_is_its_own_experts() -> None:
    subject = scene()
    owners = np.zeros((2, len(subject.grid.rectangles())), np.int32)
    owners[1, -1] = 1
    plain, strong = adding(0.0), adding(0.5)
    made = refiner(subject, {0: plain, 1: strong}, Division(owners))
    planes = torch.ones(1, 4, 48, 72)
    shown = made._shown(8, (0, 0, 72, 48), planes)
    alone = refiner(subject, {0: plain})._shown(8, (0, 0, 72, 48), planes)
    x, y, width, height = subject.grid.rectangles()[-1]
    where = torch.zeros(1, 1, 96, 144, dtype=torch.bool)
    where[..., 2 * y : 2 * (y + height), 2 * x : 2 * (x + width)] = True
    assert torch.equal(shown != alone, where)


def test_a_killed_refinement_goes_on_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    subject, file = scene(), tmp_path / "0.pt"
    whole = refiner(subject, {0: adding(0.9)}).refine(0, plate_of(subject), CODING)
    assert whole is not None
    rounds: list[int] = []
    save = checkpoints.save

    def killed(path: Path, state: dict[str, object]) -> None:
        save(path, state)
        rounds.append(int(str(state["round"])))
        if state["round"] == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("overfit.checkpoint.save", killed)
    with pytest.raises(KeyboardInterrupt):
        refiner(subject, {0: adding(0.9)}).refine(0, plate_of(subject), CODING, checkpoint=file)
    again = refiner(subject, {0: adding(0.9)}).refine(0, plate_of(subject), CODING, checkpoint=file)
    assert rounds == [*range(1, 6), *range(6, 13)]
    assert again is not None
    assert [piece.sha256 for piece in again.pieces] == [piece.sha256 for piece in whole.pieces]
