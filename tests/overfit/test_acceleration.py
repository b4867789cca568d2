"""Steps in bfloat16 learn what plain ones do, end as plain ones, and are taken where they pay."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch

from overfit import acceleration, training
from overfit.acceleration import COMPILED_FROM, Acceleration, accelerate, acceleration_of, relax
from overfit.inference import interpolate, upscale
from overfit.networks import Modulation, NetworkConfig, Paths, Sharing, add_branches, build
from overfit.training import train
from tests.overfit.test_training import NETWORK, config, make_data, psnr

MIXED = Acceleration(mixed=True)


def quality(network: NetworkConfig = NETWORK, **changes: object) -> float:
    data = make_data()
    trained = train(data, network, config(steps=150, **changes)).network
    return psnr(upscale(trained, data.lr[5], data.lr[4]), data.hr[5])


def gradient_of(layer: torch.nn.Conv2d) -> torch.Tensor:
    """Of its shifts, a copy."""
    assert layer.bias is not None
    assert layer.bias.grad is not None
    return layer.bias.grad.clone()


def use(monkeypatch: pytest.MonkeyPatch, how: Acceleration) -> None:
    monkeypatch.setattr(training, "acceleration_of", lambda device, steps: how)


def test_mixed_steps_learn_what_plain_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = quality(mixed=False)
    use(monkeypatch, MIXED)
    data = make_data()
    assert plain > psnr(interpolate(data.lr[5], 2), data.hr[5]) + 1
    assert quality() == pytest.approx(plain, abs=0.25)


@torch.no_grad()
def test_only_the_detail_is_of_fewer_bits() -> None:
    torch.manual_seed(1)
    network = build(NETWORK)
    luma, previous = torch.rand(2, 1, 1, 20, 24) * 2 - 1
    plain = network(luma, previous)
    accelerate(network, torch.device("cpu"), MIXED)
    mixed = network(luma, previous)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed, plain)
    detail = plain - network.base(luma)
    assert float((mixed - plain).abs().max()) < 0.02 * float(detail.abs().max())
    relax(network)
    assert torch.equal(network(luma, previous), plain)


def test_gradients_and_weights_stay_of_full_precision() -> None:
    network = build(NETWORK)
    accelerate(network, torch.device("cpu"), MIXED)
    network(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)).square().mean().backward()
    for weight in network.parameters():
        assert weight.dtype == torch.float32
        assert weight.grad is not None
        assert weight.grad.dtype == torch.float32


def test_rounding_is_learned_by_plain_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent is rounded to 8 bits, which those of bfloat16 would blur."""
    use(monkeypatch, MIXED)
    kinds: list[tuple[bool, bool]] = []
    update = training._Run._update

    def watched(run: training._Run) -> None:
        kinds.append((run.rounding, "features" in vars(run.expert)))
        update(run)

    monkeypatch.setattr(training._Run, "_update", watched)
    train(make_data(), NETWORK, config(steps=40))
    assert set(kinds) == {(False, True), (True, False)}


@pytest.mark.parametrize("sharing", [Modulation(2), Paths((2, 1))], ids=["modulation", "paths"])
def test_experts_that_share_a_network_are_trained_so_too(
    monkeypatch: pytest.MonkeyPatch, sharing: Sharing
) -> None:
    use(monkeypatch, MIXED)
    data = make_data()
    shape = NetworkConfig(units=8, blocks=2)
    trained = train([data, data], shape, config(steps=100), sharing=sharing)
    bicubic = psnr(interpolate(data.lr[5], 2), data.hr[5])
    for index in range(2):
        part = sharing.part(trained.network, index)
        assert psnr(upscale(part, data.lr[5], data.lr[4]), data.hr[5]) > bicubic + 1


@pytest.mark.parametrize("stop", [20, 36])
def test_a_stopped_mixed_training_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    use(monkeypatch, MIXED)
    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    whole = train(make_data(), NETWORK, config(steps=40)).network

    class StoppedError(Exception):
        pass

    def halt(step: int, progress: float, db: float) -> None:
        if step >= stop:
            raise StoppedError

    for ending in (halt, None):
        try:
            again = train(
                make_data(),
                NETWORK,
                config(steps=40),
                checkpoint=tmp_path / "training",
                on_progress=ending,
            ).network
        except StoppedError:
            continue
    weights = zip(whole.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)


@pytest.mark.parametrize(
    ("capabilities", "mixed"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False)],
)
def test_a_processor_that_multiplies_bfloat16_is_used_so(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], mixed: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert acceleration_of(torch.device("cpu"), 100) == Acceleration(mixed=mixed)


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("triton", [True, False])
def test_a_gpu_compiles_and_mixes_where_it_can(
    monkeypatch: pytest.MonkeyPatch, bfloat16: bool, triton: bool
) -> None:
    def supported(*, including_emulation: bool = True) -> bool:
        return bfloat16 or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(acceleration, "find_spec", lambda name: name if triton else None)
    gpu = torch.device("cuda")
    wanted = Acceleration(mixed=bfloat16, compiled=triton)
    assert acceleration_of(gpu, COMPILED_FROM) == wanted
    assert acceleration_of(gpu, 900) == Acceleration(mixed=bfloat16)


@pytest.mark.parametrize("kind", ["plain", "branches", "modulation", "paths"])
def test_compiled_steps_compute_what_plain_ones_do(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Traced and differentiated by torch's compiler; what it makes for a GPU is not seen here."""
    compiler = functools.partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", compiler)
    torch.manual_seed(1)
    network = build(NetworkConfig(units=8, blocks=2, inputs=("luma",)))
    sharing = {"modulation": Modulation(2), "paths": Paths((2, 1))}.get(kind)
    choose = (lambda _: None) if sharing is None else sharing.join(network)
    if kind == "branches":
        add_branches(network)
    luma = torch.rand(1, 1, 16, 16)

    def step() -> list[torch.Tensor]:
        found = []
        for index in range(2):
            choose(index)
            network.zero_grad()
            made = network(luma)
            made.square().mean().backward()
            found += [made.detach(), gradient_of(network.tail)]
        return found

    plain = step()
    accelerate(network, torch.device("cpu"), Acceleration(compiled=True))
    for _ in range(2):
        torch.testing.assert_close(step(), plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_as_a_cpu_does() -> None:
    assert quality() == pytest.approx(quality(mixed=False), abs=0.5)
