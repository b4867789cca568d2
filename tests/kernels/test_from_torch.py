"""Torch networks come in as graphs and go out as plans that compute the same."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from kernels import reference
from kernels.compiler import compile_module, decode_plan, from_torch, simplify
from kernels.errors import PlanError
from kernels.graph import Conv
from kernels.plan import PLANES, Activation, Float, Uint8

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.utils import parametrizations, prune, weight_norm  # noqa: E402


def _batch(values: Float) -> Tensor:
    return cast(Tensor, torch.from_numpy(values)[None])


class Bicubic(nn.Module):
    """The base, as the reference executor has it; the importer must not look inside."""

    crispcast_op = "interpolation"

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, luma: Tensor) -> Tensor:
        """[1, 1, h, w] -> [1, 1, s·h, s·w]."""
        return _batch(reference.enlarge(luma[0].numpy(), self.scale))


class Wdsr(nn.Module):
    """Concatenated planes, a head, residual blocks, a tail; `forward` is given by subclasses."""

    def __init__(self, scale: int, planes: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.head = nn.Conv2d(planes, 8, 3, padding=1)
        self.widen = nn.ModuleList(nn.Conv2d(8, 16, 3, padding=1) for _ in range(2))
        self.act = activation or nn.ReLU()
        self.narrow = nn.ModuleList(nn.Conv2d(16, 8, 3, padding="same") for _ in range(2))
        self.tail = nn.Conv2d(8, scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        self.base = Bicubic(scale)

    def run(self, *planes: Tensor) -> Tensor:
        x = self.head(torch.cat(planes, 1))
        for widen, narrow in zip(self.widen, self.narrow, strict=True):
            x = x + narrow(self.act(widen(x)))
        return cast(Tensor, self.shuffle(self.tail(x)) + self.base(planes[0]))


class OneFrame(Wdsr):
    def forward(self, luma: Tensor) -> Tensor:
        return self.run(luma)


class TwoFrames(Wdsr):
    def forward(self, luma: Tensor, previous: Tensor) -> Tensor:
        return self.run(luma, previous)


class WithPlate(Wdsr):
    def forward(self, luma: Tensor, plate: Tensor) -> Tensor:
        return self.run(luma, plate)


class Everything(Wdsr):
    def forward(self, luma: Tensor, previous: Tensor, plate: Tensor) -> Tensor:
        return self.run(luma, previous, plate)


def frames(scale: int) -> dict[str, Uint8]:
    rng = np.random.default_rng(scale)
    sizes = {"luma": (13, 18), "previous": (13, 18), "plate": (13 * scale, 18 * scale)}
    return {name: rng.integers(0, 256, size).astype(np.uint8) for name, size in sizes.items()}


def torch_values(name: str, plane: Uint8, scale: int) -> Tensor:
    values = reference.to_values(plane)[None]
    return _batch(reference.unshuffle(plane, scale) if name == "plate" else values)


def run_torch(network: nn.Module, scale: int, names: tuple[str, ...]) -> Float:
    planes = frames(scale)
    with torch.no_grad():
        out = network(*(torch_values(name, planes[name], scale) for name in names))
    return np.asarray(out[0, 0].numpy(), dtype=np.float32)


def check(network: nn.Module, scale: int, names: tuple[str, ...] = ("luma",)) -> None:
    """The imported graph equals the network; the plan does but for its quantisation."""
    wanted = run_torch(network, scale, names)
    graph = from_torch(network, scale)
    np.testing.assert_allclose(reference.run_graph_float(graph, **frames(scale)), wanted, atol=2e-5)
    simple = reference.run_graph_float(simplify(graph), **frames(scale))
    np.testing.assert_allclose(simple, wanted, atol=2e-5)
    plan = decode_plan(compile_module(network, scale))
    assert plan.inputs == names
    coded = reference.run_plan_float(plan, **frames(scale))
    assert np.abs(coded - wanted).mean() < 0.01
    codes = reference.run_plan(plan, **frames(scale)).astype(int)
    assert np.abs(codes - reference.round_codes(wanted)).mean() < 1.3


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    torch.manual_seed(1)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_two_frames_and_residuals(scale: int) -> None:
    check(TwoFrames(scale, 2), scale, ("luma", "previous"))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_plate(scale: int) -> None:
    check(WithPlate(scale, 1 + scale**2), scale, ("luma", "plate"))


def test_a_picture_that_keeps_its_size_needs_no_shuffle() -> None:
    class Plain(OneFrame):
        def run(self, *planes: Tensor) -> Tensor:
            x = self.head(torch.cat(planes, 1))
            sharp, soft = self.tail(x), self.tail(self.act(x))
            return cast(Tensor, sharp + self.base(planes[0]) + soft)

    class WithoutBase(OneFrame):
        def run(self, *planes: Tensor) -> Tensor:
            return cast(Tensor, self.tail(self.act(self.head(planes[0]))))

    for network, base in ((Plain(1, 1), True), (WithoutBase(1, 1), False)):
        check(network, 1)
        assert decode_plan(compile_module(network, 1)).table.bicubic == base


def test_all_planes() -> None:
    check(Everything(2, 6), 2, PLANES)


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        (nn.ReLU(), Activation.RELU),
        (nn.PReLU(16), Activation.PRELU),
        (nn.PReLU(), Activation.PRELU),
        (nn.LeakyReLU(0.1), Activation.PRELU),
        (nn.ReLU6(), Activation.CLIP),
        (nn.Hardtanh(-0.25, 0.5), Activation.CLIP),
    ],
)
def test_activations(activation: nn.Module, kind: Activation) -> None:
    network = OneFrame(2, 1, activation)
    check(network, 2)
    plan = decode_plan(compile_module(network, 2))
    assert [layer.activation for layer in plan.table.layers[1:3]] == [kind, Activation.NONE]


class Functional(OneFrame):
    """The same operations spelt as functions and methods."""

    def forward(self, luma: Tensor) -> Tensor:
        x = F.relu(self.head(luma))
        x = torch.relu(x).clamp(max=0.9)
        x = torch.add(x, self.narrow[0](F.hardtanh(self.widen[0](x), -0.3, 0.4)))
        x += self.narrow[1](F.leaky_relu(self.widen[1](x), 0.2).relu())
        detail: Tensor = F.pixel_shuffle(self.tail(x), 2)
        return cast(Tensor, (detail + self.base(luma)).clamp(-2.0, 2.0))


def test_functions_and_methods() -> None:
    check(Functional(2, 1), 2)


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")  # the old style on purpose
@pytest.mark.parametrize("style", ["hook", "parametrization", "hook, never run"])
def test_weight_normalisation(style: str) -> None:
    network = OneFrame(2, 1)
    for conv in (network.head, *network.widen, network.tail):
        if style == "parametrization":
            parametrizations.weight_norm(conv)
            conv.parametrizations.weight.original0.data *= 1.5
        else:
            weight_norm(conv)
            conv.weight_g.data *= 1.5
            if style == "hook":
                run_torch(network, 2, ("luma",))
    graph = from_torch(network, 2)
    gains = [n.op.gain is not None for n in graph.nodes if isinstance(n.op, Conv)]
    assert gains == [True, True, False, True, False, True]
    check(network, 2)


def test_pruning_masks_that_were_never_run() -> None:
    network = OneFrame(2, 1)
    cast(Any, prune).random_unstructured(network.widen[0], "weight", amount=0.5)
    cast(Tensor, network.widen[0].weight_orig).data.mul_(2)
    plan = decode_plan(compile_module(network, 2))
    check(network, 2)
    assert 0.4 < (plan.numbers[1].weights != 0).mean() < 0.6


class Mask(nn.Module):
    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * cast(Tensor, self.mask)


def test_pruning_by_parametrization_on_top_of_weight_normalisation() -> None:
    network = OneFrame(2, 1)
    conv = network.widen[1]
    parametrizations.weight_norm(conv)
    taps = torch.rand(4, 8, 3, 3) < 0.25
    mask = Mask(taps.repeat_interleave(4, 0).float())
    nn.utils.parametrize.register_parametrization(conv, "weight", mask)
    check(network, 2)
    plan = decode_plan(compile_module(network, 2))
    assert int(plan.numbers[3].taps.sum()) == int(taps.sum())


class Grouped(OneFrame):
    def __init__(self) -> None:
        super().__init__(2, 1)
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
        self.drop = nn.Sequential(nn.Dropout(0.5), nn.Identity())

    def forward(self, luma: Tensor) -> Tensor:
        x = self.drop(self.depthwise(self.head(luma)))
        return cast(Tensor, self.shuffle(self.tail(x)) + self.base(luma))


def test_grouped_convolutions_become_taps_of_single_channels() -> None:
    network = Grouped().eval()
    check(network, 2)
    assert [row.block for row in decode_plan(compile_module(network, 2)).table.layers] == [4, 1, 4]


class Changed(OneFrame):
    """A network with one thing that a plan does not have."""

    def __init__(self, change: str) -> None:
        super().__init__(2, 1)
        self.change = change
        self.norm = nn.BatchNorm2d(8)
        self.strided = nn.Conv2d(8, 8, 3, padding=2, dilation=2)

    def forward(self, luma: Tensor) -> Tensor:
        x = self.head(luma)
        if self.change == "norm":
            x = self.norm(x)
        elif self.change == "sigmoid":
            x = torch.sigmoid(x)
        elif self.change == "dilation":
            x = self.strided(x)
        elif self.change == "constant":
            x = x + 1.0
        elif self.change == "cat":
            x = torch.cat((x, x), 2)
        elif self.change == "control":
            x = x if x.sum() > 0 else self.narrow[0](x)
        return cast(Tensor, self.shuffle(self.tail(x)) + self.base(luma))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("norm", "module 'norm' of Changed: BatchNorm2d"),
        ("sigmoid", "sigmoid"),
        ("dilation", "module 'strided' of Changed: Conv2d.*dilation"),
        ("constant", r"add with 1\.0"),
        ("cat", "cat along dimension 2"),
        ("control", "Changed cannot be traced"),
    ],
)
def test_unsupported_operations_are_named(change: str, complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        from_torch(Changed(change), 2)


def test_planes_are_known_by_the_names_of_arguments() -> None:
    class Misnamed(Wdsr):
        def forward(self, x: Tensor) -> Tensor:
            return self.run(x)

    with pytest.raises(PlanError, match="must be luma"):
        from_torch(Misnamed(2, 1), 2)


def test_a_network_for_another_scale_is_refused() -> None:
    with pytest.raises(PlanError, match="width"):
        from_torch(OneFrame(2, 1), 3)
