"""The contract of all methods: one suite, then what is special of each."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from kernels.compiler import base_id, base_of
from kernels.errors import CrispcastError
from kernels.runtime import Engine, Plan, Plate
from overfit.chunking import Segment
from overfit.inference import upscale
from overfit.methods import (
    METHODS,
    Division,
    Dydca,
    Jstdo,
    Method,
    Run,
    Scene,
    choose_method,
    find_method,
    run_method,
)
from overfit.methods.auto import Tried, best_of
from overfit.methods.dydca import gated
from overfit.methods.gate import train_gate
from overfit.methods.plans import base_among, decoded
from overfit.networks import NetworkConfig
from overfit.pruning import PruningConfig
from overfit.training import train
from overfit.training_config import TrainingConfig
from overfit.training_data import TrainingData
from server.encoding.config import METHODS as FACTS
from tests.overfit.making import texture

CHUNKS = {"awdnn": 1, "nas": 2, "cafm": 2, "stdo": 2, "jstdo": 3, "dydca": 1}
TRAINING = TrainingConfig(
    steps=60,
    batch=1,
    tile=24,
    pruning=PruningConfig(density=0.5),
    round_begin=0.8,
    seed=3,
    threads=1,
)


def scene(scale: int, plates: bool = False, segments: int = 2) -> Scene:
    """Half of each picture is detailed, half is soft; it shifts from frame to frame."""
    width, height = 48 * scale, 32 * scale
    world = texture(1, width + 40, height).copy()
    world[:, : width // 2] = cv2.GaussianBlur(world, (0, 0), 6)[:, : width // 2]
    frames = 4 * segments
    hr = np.stack([world[:, 2 * n : 2 * n + width] for n in range(frames)])
    lr = np.stack([cv2.resize(frame, (48, 32), interpolation=cv2.INTER_AREA) for frame in hr])
    found = Scene.of(lr, hr, tuple(Segment(4 * n, 4) for n in range(segments)))
    found = replace(found, patch=(16, 16))
    if not plates:
        return found
    plate_of = np.full(frames, 0, np.int32)
    plate_of[-4:] = -1  # the last segment has none
    return replace(found, plates=(hr[0],), plate_of=plate_of)


@cache
def run_of(name: str, scale: int = 2, plates: bool = False) -> Run:
    inputs = ("luma", "previous", "plate") if plates else ("luma", "previous")
    network = NetworkConfig(scale=scale, units=8, blocks=2, inputs=inputs)
    work = scene(scale, plates)
    return run_method(METHODS[name], work, network, TRAINING, CHUNKS[name])


CASES = [
    *((name, scale, False) for name in METHODS for scale in (2, 3, 4)),
    *((name, 2, True) for name in METHODS),
]


@pytest.mark.parametrize(("name", "scale", "plates"), CASES)
def test_every_patch_has_an_expert_that_was_trained(name: str, scale: int, plates: bool) -> None:
    run, work = run_of(name, scale, plates), scene(scale, plates)
    division = run.outcome.division
    assert division.expert_of.shape[:2] == (2, len(work.grid.rectangles()))
    assert set(division.experts()) <= set(range(len(run.plans)))
    assert len(run.outcome.experts) == len(run.plans) == METHODS[name].experts(CHUNKS[name])
    assert run.bytes < 20_000
    assert math.isfinite(run.psnr_y)
    assert 0 < run.macs <= max(plan.weights for plan in decoded(run.plans))


@pytest.mark.parametrize(("name", "scale", "plates"), CASES)
def test_the_runtime_makes_of_a_plan_what_training_made(
    name: str, scale: int, plates: bool
) -> None:
    run, work = run_of(name, scale, plates), scene(scale, plates)
    luma, previous = work.lr[1], work.lr[0]
    chroma = np.full((16, 24), 128, np.uint8)
    picture = work.data_of(work.everything, 0).plate_of_frame(1)
    plate = None if picture is None else Plate(picture, scale)
    for expert, wire in zip(run.outcome.experts, run.plans, strict=True):
        plan = Plan(wire, base_among(wire, run.plans))
        made = Engine(1).upscale(
            (luma, chroma, chroma), scale, previous=previous, plans=[plan], plate=plate
        )
        wanted = upscale(expert, luma, previous, picture)
        assert np.abs(made[0].astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_training_is_worth_something(name: str) -> None:
    work = scene(2)
    plain = np.mean(
        [
            (cv2.resize(lr, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).astype(float) - hr)
            ** 2
            for lr, hr in zip(work.lr, work.hr, strict=True)
        ]
    )
    assert run_of(name).errors.mean() < 0.9 * plain


def test_stdo_trains_longest_what_is_hardest_and_no_longer_in_all() -> None:
    method, work = METHODS["stdo"], scene(2)
    ranks = np.arange(12.0).reshape(2, 6)
    division = method.divide(work, 3, ranks)
    brief = replace(TRAINING, steps=4)
    network = NetworkConfig(units=8, blocks=1)
    steps = [t.steps for t in method.train(work, division, [0, 1, 2], network, brief).trained]
    assert steps == [6, 4, 2]
    [alone] = method.train(work, division, [2], network, brief).trained  # a job of its own
    assert alone.steps == 2
    by_time = METHODS["nas"].train(
        work, METHODS["nas"].divide(work, 2, None), [0, 1], network, brief
    )
    assert [t.steps for t in by_time.trained] == [4, 4]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_the_same_every_time(name: str) -> None:
    again, twin = (
        run_method(
            METHODS[name],
            scene(2),
            NetworkConfig(units=8, blocks=2),
            replace(TRAINING, steps=12),
            CHUNKS[name],
        )
        for _ in range(2)
    )
    assert again.plans == twin.plans
    assert np.array_equal(again.outcome.division.expert_of, twin.outcome.division.expert_of)


def test_an_encode_knows_of_every_method_what_it_must() -> None:
    assert set(FACTS) == {*METHODS, "none", "auto"}
    for name, method in METHODS.items():
        facts = FACTS[name]
        assert facts.together == method.together, name
        assert (facts.chunks > 0) == method.chunked, name
        assert method.experts(7) == (7 if facts.experts is None else facts.experts), name
        assert method.ranked == (facts.ranked or name == "stdo")


@pytest.mark.parametrize("name", ["cafm", "dydca"])
def test_experts_of_one_network_are_sent_as_differences(name: str) -> None:
    first, second = run_of(name).plans
    assert base_of(first) is None
    assert base_of(second) == base_id(first)
    assert len(second) < 0.5 * len(first)


def test_the_shallow_path_is_the_deep_one_without_some_blocks() -> None:
    deep, shallow = decoded(run_of("dydca").plans)
    assert len(deep.table.layers) == len(shallow.table.layers)
    assert shallow.multiplications < 0.8 * deep.multiplications
    assert not all(shallow.table.live)
    for ours, theirs in zip(deep.numbers, shallow.numbers, strict=True):
        assert np.array_equal(ours.weights, theirs.weights)


def test_dydca_splits_hard_patches_and_sends_their_hard_parts_deep() -> None:
    difficulty = np.full((1, 6, 4), 40.0)
    difficulty[0, 2] = (20, 21, 22, 50)
    division = Dydca(deep_share=0.125).divide(scene(2, segments=1), 1, difficulty)
    assert division.cells(0)[2] == (0, 0, 0, 1)
    assert [cell for place, cell in enumerate(division.cells(0)) if place != 2] == [1] * 5


def test_a_gate_learns_where_the_deep_path_pays() -> None:
    work = scene(2)
    boxes = np.array(work.quarters)
    detailed = boxes[:, 0] >= 24
    errors = np.zeros((2, len(boxes), 2))
    errors[..., 1] = np.where(detailed, 50, 1)
    deep = train_gate(work, errors, 0.5, seed=0).deep(work)
    assert (deep == detailed).mean() > 0.9


def test_a_gate_that_picks_one_path_falls_back_and_says_so() -> None:
    work, run = scene(2), run_of("dydca")
    errors = np.zeros((2, len(work.quarters), 2))
    errors[..., 0] = 10  # the deep path is worse everywhere
    outcome = replace(run.outcome, note="")
    found = gated(outcome, work, train_gate(work, errors, 0.3, seed=0))
    assert "shallow path" in found.note
    assert np.array_equal(found.division.expert_of, outcome.division.expert_of)


def test_jstdo_learns_from_what_is_hard() -> None:
    difficulty = np.arange(12, dtype=float).reshape(2, 6)
    division = Jstdo(hardest=1, middle=0.5, easiest=0).divide(scene(2), 3, difficulty)
    taught = division.taught
    assert taught is not None
    assert taught.ravel()[:4].all()
    assert not taught.ravel()[8:].any()
    assert division.experts() == [0]
    assert {row[0] // 4 for row in division.samples(scene(2), 0).tolist()} <= {0, 1}
    everything = Jstdo(middle=1, easiest=1).divide(scene(2), 3, difficulty).taught
    assert everything is not None
    assert everything.all()


@pytest.mark.parametrize(
    ("lengths", "chunks", "wanted"),
    [
        ((4, 4, 4, 4), 2, [0, 0, 1, 1]),
        ((10, 1, 1), 3, [0, 1, 2]),
        ((1, 1, 10), 2, [0, 0, 1]),
        ((4, 4), 1, [0, 0]),
    ],
)
def test_nas_cuts_by_time(lengths: tuple[int, ...], chunks: int, wanted: list[int]) -> None:
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    segments = tuple(Segment(a, n) for a, n in zip(starts, lengths, strict=True))
    frames = sum(lengths)
    work = Scene.of(
        np.zeros((frames, 16, 16), np.uint8), np.zeros((frames, 32, 32), np.uint8), segments
    )
    assert METHODS["nas"].divide(work, chunks, None).expert_of[:, 0].tolist() == wanted


def test_a_division_is_stored_whole(tmp_path: Path) -> None:
    for division in (
        run_of("dydca").outcome.division,
        Division(np.zeros((2, 6), np.int32), np.eye(2, 6, dtype=np.bool_)),
    ):
        folder = tmp_path / str(division.expert_of.ndim)
        folder.mkdir()
        division.save(folder)
        found = Division.load(folder)
        assert np.array_equal(found.expert_of, division.expert_of)
        assert (found.taught is None) == (division.taught is None)


def test_auto_takes_what_is_best_for_its_bytes() -> None:
    def tried(name: str, score: float, macs: float) -> Tried:
        return Tried(name, 1, 30, 1000, macs, score)

    assert best_of([tried("a", 30.0, 10), tried("b", 31.0, 20)]).method == "b"
    assert best_of([tried("a", 30.0, 10), tried("b", 30.01, 20)]).method == "a"
    work = scene(2)
    training = replace(TRAINING, steps=12)
    candidates = [(find_method("awdnn"), 1), (find_method("stdo"), 2), (find_method("stdo"), 50)]
    # Bytes are dear where the rest of the package is small: one network rather than two.
    best, each = choose_method(work, NetworkConfig(units=8, blocks=2), training, 500, candidates)
    assert [found.chunks for found in each] == [1, 2]
    assert best.method == "awdnn"
    assert each[1].bytes > each[0].bytes


@pytest.mark.parametrize(
    ("method", "chunks", "sentence"),
    [
        (METHODS["stdo"], 13, "13 chunks of 12 patches"),
        (METHODS["stdo"], 7, "chunks of one patch"),
        (METHODS["jstdo"], 1, "awdnn"),
        (METHODS["jstdo"], 20, "20 chunks"),
        (METHODS["nas"], 3, "2 segments"),
        (METHODS["cafm"], 3, "2 segments"),
        (METHODS["awdnn"], 2, "one network"),
        (METHODS["dydca"], 2, "two paths"),
        (METHODS["stdo"], 0, "at least one"),
    ],
)
def test_impossible_chunks_are_refused_before_training(
    method: Method, chunks: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("overfit.methods.interface.train", nobody)
    with pytest.raises(CrispcastError, match=sentence) as refused:
        run_method(method, scene(2), NetworkConfig(units=8, blocks=2), TRAINING, chunks)
    assert "\n" not in str(refused.value)


def test_other_bad_input_is_refused() -> None:
    work = scene(2)
    with pytest.raises(CrispcastError, match="one size"):
        Scene.of(work.lr, work.hr[:, :-2], work.segments)
    with pytest.raises(CrispcastError, match="as many"):
        Scene.of(work.lr[1:], work.hr, work.segments)
    with pytest.raises(CrispcastError, match="2 blocks or more"):
        run_method(METHODS["dydca"], work, NetworkConfig(units=8, blocks=1), TRAINING)
    with pytest.raises(CrispcastError, match="network of wdsr or edsr"):
        run_method(METHODS["dydca"], work, NetworkConfig().shaped("espcn"), TRAINING)
    with pytest.raises(CrispcastError, match="above 0"):
        Jstdo(hardest=0.0)
    with pytest.raises(CrispcastError, match="0 to 1"):
        Jstdo(middle=1.5)
    with pytest.raises(CrispcastError):
        Dydca(deep_share=1.0)
    with pytest.raises(CrispcastError, match="choose from awdnn"):
        find_method("magic")


def test_experts_of_one_network_need_frames_of_one_size() -> None:
    works = scene(2), scene(3)
    datas: list[TrainingData] = [work.data_of(work.everything, 0) for work in works]
    network = NetworkConfig(units=8, blocks=2)
    sharing = METHODS["cafm"].sharing(network, 2)
    with pytest.raises(CrispcastError, match="one size and scale"):
        train(datas, network, TRAINING, sharing=sharing)
    with pytest.raises(CrispcastError, match="data of 1 experts for 2"):
        train(datas[0], network, TRAINING, sharing=sharing)
