"""Gradients of our own are those of torch, whatever the shape, and trainings leave none behind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from overfit import gradients
from overfit.gradients import _gradients
from overfit.networks import Expert, NetworkConfig, build
from overfit.training import train
from tests.overfit.test_training import NETWORK, config, make_data

# Where they do not pay, with AVX-512, they are right all the same.
RUN = _gradients.AVAILABLE and bool(torch.cpu.get_capabilities().get("avx2"))
needs_avx2 = pytest.mark.skipif(not RUN, reason="this processor has no AVX2")


def slopes_of(layer: nn.Conv2d, planes: torch.Tensor) -> list[torch.Tensor]:
    """Of the planes, the weights and the bias, for a loss that weighs every value another way."""
    planes = planes.clone(memory_format=torch.preserve_format).requires_grad_()
    values = layer(planes)
    weights = torch.linspace(-1, 1, values.numel()).view_as(values)
    loss = (values * weights).sum()
    assert layer.bias is not None
    return list(torch.autograd.grad(loss, [planes, layer.weight, layer.bias]))


@needs_avx2
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
@pytest.mark.parametrize(
    ("inputs", "outputs", "side", "height", "width"),
    [
        (16, 32, 3, 40, 37),
        (1, 4, 3, 9, 8),
        (2, 7, 5, 11, 6),
        (18, 16, 1, 12, 13),
        (5, 9, 9, 7, 5),  # taps reach beyond both borders
        (3, 6, 3, 1, 1),
    ],
)
def test_they_are_those_of_torch(
    inputs: int,
    outputs: int,
    side: int,
    height: int,
    width: int,
    layout: torch.memory_format,
    threads: int,
) -> None:
    torch.manual_seed(1)
    before = torch.get_num_threads()
    layer = nn.Conv2d(inputs, outputs, side, padding=side // 2)
    planes = torch.randn(2, inputs, height, width).to(memory_format=layout)
    plain = slopes_of(layer, planes)
    gradients.take(layer)
    try:
        torch.set_num_threads(threads)
        own = slopes_of(layer, planes)
    finally:
        torch.set_num_threads(before)
    for ours, theirs in zip(own, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    gradients.leave(layer)
    assert "forward" not in vars(layer)


@needs_avx2
def test_they_are_the_same_each_time() -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(8, 16, 3, padding=1)
    gradients.take(layer)
    planes = torch.randn(3, 8, 50, 60)
    first = slopes_of(layer, planes)
    for _ in range(5):
        again = slopes_of(layer, planes)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@needs_avx2
def test_trainings_use_them_and_leave_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    kernel = _gradients.weight_gradient

    def counted(pictures: np.ndarray, *others: object) -> None:
        calls.append(pictures.shape)
        kernel(pictures, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(_gradients, "weight_gradient", counted)
    monkeypatch.setattr(gradients, "pay", lambda: True)
    trained = train(make_data(), NETWORK, config(steps=10, mixed=False)).network
    layers = sum(isinstance(layer, nn.Conv2d) for layer in trained.modules())
    assert len(calls) == 10 * layers
    assert not any("forward" in vars(layer) for layer in trained.modules())


def learned(monkeypatch: pytest.MonkeyPatch, own: bool) -> Expert:
    monkeypatch.setattr(gradients, "pay", lambda: own)
    return train(make_data(), NETWORK, config(steps=30, mixed=False)).network


@needs_avx2
def test_what_is_learned_is_the_same_but_for_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    own, plain = (learned(monkeypatch, way).state_dict() for way in (True, False))
    for name, value in plain.items():
        if name.endswith(("weight", "bias")):
            assert float((own[name] - value).abs().max()) < 0.05


def test_what_is_no_plain_convolution_stays_torchs() -> None:
    layers = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, (3, 1), padding=(1, 0)),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 4, 2, padding=1),
    )
    gradients.take(layers)
    assert not any("forward" in vars(layer) for layer in layers)


@needs_avx2
def test_what_autocast_shortens_stays_torchs() -> None:
    network = build(NetworkConfig(units=4, blocks=1))
    gradients.take(network)
    luma = torch.rand(1, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        network(luma, luma).square().mean().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize(
    ("pictures", "slopes", "weights", "bias", "threads"),
    [
        ((1, 4, 4, 2), (1, 4, 5, 3), (3, 3, 3, 2), (3,), 1),
        ((1, 4, 4, 2), (1, 4, 4, 3), (3, 2, 2, 2), (3,), 1),
        ((1, 4, 4, 2), (1, 4, 4, 3), (3, 3, 3, 4), (3,), 1),
        ((1, 4, 4, 2), (1, 4, 4, 3), (3, 3, 3, 2), (2,), 1),
        ((1, 4, 4, 2), (1, 4, 4, 3), (3, 3, 3, 2), (3,), 0),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    pictures: tuple[int, ...],
    slopes: tuple[int, ...],
    weights: tuple[int, ...],
    bias: tuple[int, ...],
    threads: int,
) -> None:
    arrays = [np.zeros(shape, np.float32) for shape in (pictures, slopes, weights, bias)]
    with pytest.raises(ValueError, match=r"pictures and gradients|weights are not|threads"):
        _gradients.weight_gradient(arrays[0], arrays[1], threads, arrays[2], arrays[3])


@needs_avx2
def test_the_kernel_stays_within_its_buffers(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is missing: apt-get install g++")
    kernel = Path(gradients.__file__).parent
    sources = [
        Path(__file__).parent / "cpp" / "weight_gradient.cpp",
        kernel / "weight_gradient.cpp",
    ]
    strict = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Werror"]
    command = ["g++", "-std=c++17", "-O1", "-g", *strict, f"-I{kernel}", *map(str, sources)]
    program = tmp_path / "program"
    subprocess.run([*command, "-ldl", "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "ok\n"


@pytest.mark.parametrize(
    ("capabilities", "pays"),
    [
        ({"avx2": True, "fma3": True}, True),
        ({"avx2": True, "fma3": True, "avx512_f": True}, False),
        ({"avx2": False, "fma3": False}, False),
        ({}, False),
    ],
)
def test_they_pay_with_avx2_alone(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], pays: bool
) -> None:
    monkeypatch.setattr(_gradients, "AVAILABLE", True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert gradients.pay() is pays
