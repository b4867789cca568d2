"""An expert is sent in the form that costs less, and never so that a client cannot read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kernels import bases
from kernels.compiler import base_id, base_of, compile_module, decode_plan
from kernels.errors import CrispcastError
from overfit.networks import Expert, NetworkConfig, build, start_from
from overfit.pruning import PrunedWeights, PruningConfig
from server.encoding import EncodeConfig
from server.encoding.config import PRESETS
from server.encoding.experts import base_for, choose_plan, with_fitting_base
from server.encoding.graph import Job
from server.encoding.ladder import Plan, PlannedRung
from server.encoding.learning_jobs import find_chunks
from server.encoding.pipeline import _baseless
from tests.kernels.plans import same

SHAPE = NetworkConfig(units=16, blocks=1)


def pruned(seed: int) -> Expert:
    torch.manual_seed(seed)
    expert = build(SHAPE)
    PrunedWeights(expert, PruningConfig()).tighten(0.25)
    return expert


@pytest.fixture
def base() -> bytes:
    return compile_module(pruned(1), 2, reorder=False)


@pytest.fixture
def shipped(base: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(bases, "find", lambda identity: base if identity == base_id(base) else None)
    return base


def near(base: bytes) -> Expert:
    expert = build(SHAPE)
    start_from(expert, decode_plan(base))
    with torch.no_grad():
        for weight in expert.parameters():
            weight.mul_(1 + 0.01 * torch.randn_like(weight))
    return expert


def test_what_stayed_near_a_shipped_base_is_sent_as_a_difference(shipped: bytes) -> None:
    expert = near(shipped)
    chosen = choose_plan(expert, 8, shipped)
    assert chosen.form == "difference"
    assert base_of(chosen.wire) == base_id(shipped)
    whole = compile_module(expert, 2, reorder=False)
    assert len(chosen.wire) < 0.7 * len(whole)
    assert same(decode_plan(chosen.wire, shipped), decode_plan(whole))


def test_what_is_far_from_it_is_sent_whole(shipped: bytes) -> None:
    chosen = choose_plan(pruned(2), 8, shipped)
    assert chosen.form == "full"
    assert base_of(chosen.wire) is None


def test_fewer_bits_are_fewer_bytes(shipped: bytes) -> None:
    sizes = [len(choose_plan(pruned(2), bits, shipped).wire) for bits in (8, 6, 4)]
    assert sizes[1] < 0.8 * sizes[0]
    assert sizes[2] < 0.75 * sizes[1]


def test_no_difference_is_to_a_base_that_clients_lack(base: bytes) -> None:
    assert choose_plan(near(base), 8, base).form == "full"
    assert choose_plan(near(base), 8, None).form == "full"


def test_long_training_begins_at_random_weights_unless_told_otherwise(tmp_path: Path) -> None:
    def config(**settings: Any) -> EncodeConfig:
        return EncodeConfig(tmp_path / "a.mp4", tmp_path / "a.crisp", **settings)

    assert config(steps=500).bases == bases.shipped() != ()
    assert config(steps=1000, chunks=2).bases == bases.shipped()
    assert config(steps=501).bases == config(steps=100, base="none").bases == ()
    file = bases.shipped()[0]
    assert config(base=str(file)).bases == (file,)
    with pytest.raises(CrispcastError, match="no such file"):
        config(base=str(tmp_path / "missing.plan"))


def encode_config(base: Path, **settings: Any) -> EncodeConfig:
    sizes = replace(PRESETS["fast"], units=16, plate_units=8, blocks=1, density=0.25)
    return EncodeConfig(
        base.with_name("a.mp4"),
        base.with_name("a.crisp"),
        **{"sizes": sizes, "scale": 2, "base": str(base), **settings},
    )


def test_a_named_base_that_fits_no_expert_is_refused_before_training(
    base: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "mine.plan"
    file.write_bytes(base)
    fits = encode_config(file)
    assert with_fitting_base([fits]) == [fits]
    with pytest.raises(CrispcastError, match=r"mine.plan: the base is for scale 2.* for scale 3"):
        with_fitting_base([replace(fits, scale=3)])
    with pytest.raises(CrispcastError, match=r"31% of the base's taps .* keep 60%; choose a lower"):
        with_fitting_base([replace(fits, density=0.6)])
    plain = replace(fits, scale=3, method="none")
    assert with_fitting_base([plain]) == [plain], "where nothing is trained, nothing is to fit"
    file.write_bytes(base[:-1])
    with pytest.raises(CrispcastError, match=r"mine.plan: "):
        with_fitting_base([fits])


def test_a_named_base_is_for_those_rungs_of_a_ladder_that_it_fits(
    base: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "mine.plan"
    file.write_bytes(base)
    rungs = [encode_config(file, scale=scale) for scale in (3, 2)]
    settled = with_fitting_base(rungs)
    assert [config.base for config in settled] == ["none", str(file)]
    plan = Plan(
        tuple(
            PlannedRung(label, config, Job("trial", find_chunks), leads=False)
            for label, config in zip(("120k", "360k"), settled, strict=True)
        ),
        None,
        frozenset(),
    )
    [note] = _baseless(rungs[0], plan)
    assert note == f"the base {file} fits no expert of rung 120k: they began at random weights"


def test_a_named_base_that_plates_made_unfit_ends_the_job_before_training(
    base: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "mine.plan"
    file.write_bytes(base)
    plated = replace(SHAPE, inputs=("luma", "previous", "plate"))
    with pytest.raises(CrispcastError, match=r"mine.plan: the base .* another base, or use none"):
        base_for(plated, 0.25, {"base": file})
    assert base_for(plated, 0.25, {"base-0": file}) is None
    assert base_for(SHAPE, 0.25, {"base": file}) == base


def test_a_base_is_taken_for_its_own_shape_only(base: bytes, tmp_path: Path) -> None:
    other = compile_module(build(NetworkConfig(units=8, blocks=1)), 2, reorder=False)
    files = {"base-0": tmp_path / "0", "base-1": tmp_path / "1", "chunks": tmp_path}
    files["base-0"].write_bytes(other)
    files["base-1"].write_bytes(base)
    assert base_for(SHAPE, 0.25, files) == base
    assert base_for(NetworkConfig(units=8, blocks=1), 0.25, files) == other
    assert base_for(NetworkConfig(units=24), 0.25, files) is None
    assert base_for(SHAPE, 0.6, files) is None, "taps that are gone do not come back"
