"""The contract of all networks: they train, compile, and run as they were trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kernels.compiler import compile_module, decode_plan
from kernels.errors import CrispcastError, PlanError
from kernels.plan import PlanIR
from kernels.runtime import Engine, Plan
from overfit.inference import upscale
from overfit.networks import (
    NETWORKS,
    Expert,
    Interpolation,
    Modulation,
    NetworkConfig,
    Paths,
    Sharing,
    add_branches,
    build,
    fold_branches,
    settling,
)
from overfit.networks.branches import Branches
from overfit.pruning import PrunedWeights, PruningConfig, begin_rounding, end_rounding
from overfit.training import _Run, train
from overfit.training_config import TrainingConfig
from overfit.training_data import TrainingData, previous_frames
from tests.overfit.making import texture
from tests.overfit.test_training import KilledError, make_data

MOBILE = [name for name in NETWORKS if NETWORKS[name].blocks <= 6]
PAPERS = ["vdsr", "edsr", "wdsr"]
LUMA, PREVIOUS = (
    np.random.default_rng(seed).integers(0, 256, (21, 30), np.uint8) for seed in (1, 2)
)


def rounded(expert: Expert, *, codes: bool, density: float = 1.0) -> Expert:
    """As after training: weights that are no multiples of anything, pruned, rounded."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in expert.parameters():
            weight.add_(0.003 * torch.randn_like(weight))
    fold_branches(expert)
    if density < 1:
        PrunedWeights(expert, PruningConfig(density=density)).tighten(density)
    begin_rounding(expert, 8)
    if codes:
        with settling(expert), torch.no_grad():
            upscale(expert, LUMA, PREVIOUS)
    end_rounding(expert)
    return expert.eval()


def differences(expert: Expert) -> tuple[int, PlanIR]:
    """The most that the runtime differs from torch, in code values, and the plan."""
    scale = expert.config.scale
    wire = compile_module(expert, scale, 8)
    chroma = np.full((11, 15), 128, np.uint8)
    planes = (LUMA, chroma, chroma)
    made = Engine(1).upscale(planes, scale, previous=PREVIOUS, plans=[Plan(wire)])[0]
    most = np.abs(made.astype(int) - upscale(expert, LUMA, PREVIOUS)).max()
    return int(most), decode_plan(wire)


@pytest.mark.parametrize(("scale", "codes"), [(2, True), (3, False), (4, True)])
@pytest.mark.parametrize("name", MOBILE)
def test_a_network_runs_as_it_was_trained(name: str, scale: int, codes: bool) -> None:
    config = NetworkConfig(scale=scale).shaped(name)
    most, plan = differences(rounded(build(config), codes=codes, density=0.2))
    assert most <= 1
    assert plan.table.coded == codes
    assert plan.radius == config.radius


@pytest.mark.parametrize("name", ["espcn-mobile", "vdsr-mobile"])
def test_a_network_may_keep_the_size_of_the_picture(name: str) -> None:
    most, plan = differences(rounded(build(NetworkConfig(scale=1).shaped(name)), codes=True))
    assert most <= 1
    assert plan.table.scale == 1


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_sizes_are_plans_too(name: str) -> None:
    config = NetworkConfig(scale=4).shaped(name)
    # Nearly all taps are pruned, as coding a million weights takes half a minute.
    most, plan = differences(rounded(build(config), codes=False, density=0.02))
    assert most <= 1
    assert plan.table.dense_weights > 300_000
    assert plan.radius == config.radius


@pytest.mark.parametrize("inputs", [("luma",), ("luma", "previous", "plate")])
@pytest.mark.parametrize("name", MOBILE)
def test_any_network_reads_any_planes(name: str, inputs: tuple[str, ...]) -> None:
    expert = build(replace(NetworkConfig().shaped(name), inputs=inputs))
    planes = {"luma": 1, "previous": 1, "plate": 4}
    made = expert(**{plane: torch.rand(2, planes[plane], 8, 10) for plane in inputs})
    assert made.shape == (2, 1, 16, 20)


@pytest.mark.parametrize("name", ["default", "ecbsr", "espcn-mobile+branches"])
def test_networks_learn_and_are_pruned(name: str) -> None:
    hr = np.stack([texture(3)[:, n : n + 64] for n in range(4)])
    lr = np.ascontiguousarray(hr[:, ::2, ::2])
    samples = np.array([[n, 0, 0, 32, 32] for n in range(4)], np.int32)
    data = TrainingData(lr, hr, 2, previous_frames(4, (0,)), samples)
    network = NetworkConfig(units=8, blocks=2)
    network = network if name == "default" else network.shaped(name)
    config = TrainingConfig(
        steps=80,
        batch=2,
        tile=16,
        pruning=PruningConfig(density=0.5),
        threads=1,
        learning_rate=4e-3,
        warmup=10,
    )
    trained = train(data, network, config.with_branches() if network.branches else config)
    plain = float(((Interpolation(2)(_domain(lr)) - _domain(hr)) ** 2).mean())
    with torch.no_grad():
        made = trained.network(_domain(lr), _domain(lr[[0, 0, 1, 2]]))
    assert float(((made - _domain(hr)) ** 2).mean()) < 0.8 * plain
    assert 0.4 < trained.density < 0.6
    assert not any("parametrizations" in key for key in trained.network.state_dict())


@pytest.mark.parametrize(
    ("pattern", "allocation", "sharing", "stop"),  # with branches until update 5
    [
        ("taps", "rate-distortion", None, 3),
        ("channels", None, None, 8),
        ("taps", "rate-distortion", Modulation(2), 8),
        ("channels", None, Paths((2, 1)), 8),
        ("regrouped", "rate-distortion", Paths((2, 1)), 3),
    ],
)
def test_branches_and_sharing_go_with_any_pruning_and_are_resumed(
    pattern: str,
    allocation: str | None,
    sharing: Sharing | None,
    stop: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    data = make_data()
    datas = [data] * (1 if sharing is None else sharing.experts)
    network = NetworkConfig(units=8, blocks=2, branches=True)
    pruning = PruningConfig(pattern, "grow", allocation, 0.25, begin=0.3, end=0.7, every=2)
    config = TrainingConfig(steps=16, batch=1, tile=16, threads=1, warmup=2, pruning=pruning)
    whole = train(datas, network, config, sharing=sharing)

    update = _Run._update
    done: list[bool] = []

    def killed(run: _Run) -> None:
        if len(done) == stop:
            raise KilledError
        done.append(run.branches)
        update(run)

    checkpoint = tmp_path / "expert.pt"
    monkeypatch.setattr(_Run, "_update", killed)
    with pytest.raises(KilledError):
        train(datas, network, config, sharing=sharing, checkpoint=checkpoint)
    assert done[-1] == (stop == 3)
    monkeypatch.setattr(_Run, "_update", update)
    resumed = train(datas, network, config, sharing=sharing, checkpoint=checkpoint)
    state = resumed.network.state_dict()
    assert not any("parametrizations" in key for key in state)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert 0.15 < whole.density < 0.4
    parts = 1 if sharing is None else sharing.experts
    for index in range(parts):
        part = whole.network if sharing is None else sharing.part(whole.network, index)
        plan = decode_plan(compile_module(part, 2, whole.bits))
        if pattern == "channels":
            assert all(layer.cout < 16 for layer in plan.table.layers[1:-1:2])


def _domain(codes: np.ndarray) -> torch.Tensor:
    return (torch.from_numpy(codes).float()[:, None] - 128) / 128


def test_branches_begin_as_nothing_and_end_as_one_kernel() -> None:
    torch.manual_seed(1)
    expert = build(NetworkConfig(units=8, blocks=1, expansion=1))
    planes = torch.rand(1, 1, 9, 9), torch.rand(1, 1, 9, 9)
    before = expert(*planes)
    add_branches(expert)
    count = sum(weight.numel() for weight in expert.parameters())
    assert torch.allclose(expert(*planes), before, atol=1e-6)
    with torch.no_grad():
        for weight in expert.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    spread = expert(*planes)
    assert not torch.allclose(spread, before, atol=1e-3)
    fold_branches(expert)
    assert torch.allclose(expert(*planes), spread, atol=1e-5)
    assert sum(weight.numel() for weight in expert.parameters()) < 0.5 * count


def test_the_sum_of_branches_is_that_of_their_pictures() -> None:
    torch.manual_seed(2)
    layer = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    plain = layer.weight.detach().clone()
    add_branches(layer)
    branches = layer.get_submodule("parametrizations.weight.0")
    assert isinstance(branches, Branches)
    assert branches.through is not None
    with torch.no_grad():
        for weight in branches.parameters():
            weight.normal_()
    x = torch.rand(1, 4, 7, 8)
    wanted = nn.functional.conv2d(x, plain, padding=1)
    inner = nn.functional.conv2d(x, branches.first[:, :, None, None])
    wanted = wanted + nn.functional.conv2d(inner, branches.second, padding=1)
    kinds = zip(branches.edges, branches.edge_first, branches.edge_gain, strict=True)
    for edge, mix, gain in kinds:
        inner = nn.functional.conv2d(x, mix[:, :, None, None])
        kernel = edge[None, None].repeat(4, 1, 1, 1)
        found = nn.functional.conv2d(inner, kernel, padding=1, groups=4)
        wanted = wanted + gain[:, None, None] * found
    wanted = wanted + branches.through[:, None, None] * x
    assert torch.allclose(layer(x), wanted, atol=1e-4)


def test_a_modulated_part_is_the_network_as_it_was_chosen() -> None:
    torch.manual_seed(3)
    expert, sharing = build(NetworkConfig(units=8, blocks=2)), Modulation(3)
    choose = sharing.join(expert)
    with torch.no_grad():
        for weight in expert.modulation.parameters():  # type: ignore[union-attr]
            weight.normal_(std=0.3)
    planes = torch.rand(1, 1, 9, 9), torch.rand(1, 1, 9, 9)
    seen = []
    for index in range(3):
        choose(index)
        part = sharing.part(expert, index)
        assert type(part) is type(build(expert.config))
        assert torch.allclose(part(*planes), expert(*planes), atol=1e-5)
        seen.append(part(*planes))
    assert not torch.allclose(seen[0], seen[1], atol=1e-2)


def test_a_path_is_the_network_as_it_was_chosen() -> None:
    torch.manual_seed(4)
    for kind in ("wdsr-mobile", "edsr-mobile"):
        config = NetworkConfig().shaped(kind)
        expert, sharing = build(config), Paths((config.blocks, 1))
        choose = sharing.join(expert)
        planes = torch.rand(1, 1, 9, 9), torch.rand(1, 1, 9, 9)
        for index in range(2):
            choose(index)
            assert torch.allclose(sharing.part(expert, index)(*planes), expert(*planes), atol=1e-6)
        assert sharing.part(expert, 1).config.blocks == 1


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(CrispcastError, match="choose from default, espcn"):
        NetworkConfig().shaped("resnet")
    with pytest.raises(CrispcastError, match="no 3 blocks"):
        Paths((3, 1)).join(build(NetworkConfig(blocks=2)))
    with pytest.raises(CrispcastError, match="shorter"):
        Paths((2, 2))
    with pytest.raises(CrispcastError, match="choose 1 to 30"):
        NetworkConfig(kind="edsr", blocks=31)


def test_a_network_of_colours_is_refused() -> None:
    class Colours(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tail = nn.Conv2d(1, 12, 3, padding=1)
            self.shuffle = nn.PixelShuffle(2)

        def forward(self, luma: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.shuffle(self.tail(luma))
            return made

    with pytest.raises(PlanError, match="luma"):
        compile_module(Colours(), 2)
