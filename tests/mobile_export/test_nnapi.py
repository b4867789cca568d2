"""ONNX models under ONNX Runtime's CPU, and the gate that keeps out what NNAPI does not take."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.errors import CrispcastError
from kernels.reference import run_plan, shuffle
from tests.kernels.plans import codes_everywhere, every_branch, plan_for, spec, tables
from tests.mobile_export.real import (
    HEIGHT,
    WIDTH,
    codes,
    expert,
    match_db,
    planes_for,
    real_planes,
    trained,
)

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'crispcast[export]'")
ort = pytest.importorskip("onnxruntime", reason="needs onnxruntime: 'crispcast[export]'")

from mobile_export.nnapi import write_nnapi  # noqa: E402
from mobile_export.nnapi_gate import (  # noqa: E402
    check_nnapi,
    problems,
    supported_ops,
    usability,
)
from mobile_export.onnx_model import dcr_order, onnx_model  # noqa: E402


def feeds(plan, planes: dict[str, np.ndarray], int8: bool = False) -> dict[str, np.ndarray]:
    """The inputs of a model, as its README tells an app to make them."""
    made = {}
    for name in plan.inputs:
        plane = planes[name]
        factor = plan.scale if name == "plate" else 1
        height, width = plane.shape[0] // factor, plane.shape[1] // factor
        parts = plane.reshape(height, factor, width, factor).transpose(1, 3, 0, 2)
        stacked = parts.reshape(1, factor**2, height, width)
        made[name] = stacked.astype(np.uint8 if int8 else np.float32)
    return made


def run(model, plan, planes: dict[str, np.ndarray], int8: bool = False) -> np.ndarray:
    data = model if isinstance(model, str) else model.SerializeToString()
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, feeds(plan, planes, int8))[0][0, 0]


def noise(plan, width: int = 40, height: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    large = (plan.scale * height, plan.scale * width)
    sizes = {"luma": (height, width), "previous": (height, width), "plate": large}
    return {n: rng.integers(90, 160, sizes[n], dtype=np.uint8) for n in plan.inputs}


@pytest.mark.parametrize("name", ["x2", "x2-plate"])
def test_models_match_the_runtime_on_real_frames(clips, name: str) -> None:
    plan, planes = trained(name), real_planes(clips)
    model = onnx_model(plan, (WIDTH, HEIGHT), int8=False, facts={})
    assert match_db(run(model, plan, planes_for(plan, planes)), codes(plan, planes)) >= 60


@pytest.mark.parametrize("plan", [every_branch(), codes_everywhere()], ids=["plain", "codes"])
def test_every_op_of_plans_is_there_and_nnapi_takes_it(plan, tmp_path) -> None:
    model = onnx_model(plan, (40, 30), int8=False, facts={"plan": "x"})
    planes = noise(plan)
    assert match_db(run(model, plan, planes), codes(plan, planes)) >= 60
    assert problems(model) == []
    onnx.save(model, tmp_path / "a.onnx")
    assert usability(tmp_path / "a.onnx")


@settings(max_examples=30, deadline=None)
@given(tables(), st.sampled_from([0.0, 0.1, 0.5]))
def test_any_plan_becomes_a_model_that_nnapi_takes(table, density: float) -> None:
    plan = plan_for(table, seed=5, density=density)
    planes = noise(plan, 11, 9)
    model = onnx_model(plan, (11, 9), int8=False, facts={})
    # A rounded code that falls the other way is one step, and random weights may make much of it.
    wanted = codes(plan, planes)
    assert match_db(run(model, plan, planes), wanted) >= (50 if table.coded else 100)
    assert problems(model) == []
    if table.coded:
        bytewise = onnx_model(plan, (11, 9), int8=True, facts={})
        assert problems(bytewise) == []
        assert run(bytewise, plan, planes, int8=True).shape == wanted.shape


def test_fp32_models_keep_their_weights_when_they_are_optimised() -> None:
    """ONNX Runtime makes a convolution between DequantizeLinear and QuantizeLinear an int8 one."""
    plan = codes_everywhere()
    model = onnx_model(plan, (40, 30), int8=False, facts={})
    planes = noise(plan)
    assert np.array_equal(
        np.clip(np.floor(run(model, plan, planes) + 0.5), 0, 255), run_plan(plan, **planes)
    )


@pytest.mark.parametrize("scale", [1, 3, 4])
@pytest.mark.parametrize("bicubic", [True, False])
@pytest.mark.parametrize("activation", [0, 1, 3])
def test_other_scales_and_last_layers(scale: int, bicubic: bool, activation: int) -> None:
    from kernels.plan import Activation, PlanTable

    last = spec(scale**2, 2, activation=Activation(activation), residual=1)
    table = PlanTable(scale, ("luma", "plate"), bicubic, (spec(scale**2, 0, 1), last))
    plan = plan_for(table, seed=4)
    planes = noise(plan)
    model = onnx_model(plan, (40, 30), int8=False, facts={})
    assert match_db(run(model, plan, planes), codes(plan, planes)) >= 80
    assert problems(model) == []


def test_int8_models_hold_the_plans_own_integers() -> None:
    plan = codes_everywhere()
    model = onnx_model(plan, (40, 30), int8=True, facts={})
    planes = noise(plan)
    assert match_db(run(model, plan, planes, int8=True), codes(plan, planes)) > 40
    stored = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    bytewise = [t for t in stored if t.dtype == np.int8 and t.ndim == 4]
    rows = [n.weights for n in plan.numbers]
    assert bytewise
    assert all(any(np.array_equal(t, row) for row in rows) for t in bytewise)
    assert problems(model) == []
    assert {i.type.tensor_type.elem_type for i in model.graph.input} == {onnx.TensorProto.UINT8}


def test_a_plan_without_codes_has_no_int8_form() -> None:
    with pytest.raises(CrispcastError, match="--precision int8"):
        onnx_model(every_branch(), (40, 30), int8=True, facts={})


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_channels_in_dcr_order_make_a_dcr_shuffle_what_crd_is(planes: int) -> None:
    """DepthToSpace in DCR mode, by its definition in the ONNX operators' documentation."""
    from onnx.reference import ReferenceEvaluator

    block = 2
    values = np.random.default_rng(0).random((planes * block**2, 3, 5), np.float32)
    wanted = shuffle(values, block)
    ordered = values[dcr_order(block, planes)]
    node = onnx.helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=block, mode="DCR")
    (found,) = ReferenceEvaluator(node).run(None, {"x": ordered[None]})
    assert np.array_equal(np.asarray(found)[0], wanted)
    assert (dcr_order(block, planes) == list(range(len(values)))) == (planes == 1)


def small_model():
    return onnx_model(every_branch(), (40, 30), int8=False, facts={})


def test_the_gate_refuses_a_shuffle_that_the_runtimes_checker_lets_pass(tmp_path) -> None:
    model = small_model()
    for node in model.graph.node:
        if node.op_type == "DepthToSpace":
            mode = next(a for a in node.attribute if a.name == "mode")
            mode.s = b"CRD"
    onnx.save(model, tmp_path / "crd.onnx")
    assert usability(tmp_path / "crd.onnx")
    with pytest.raises(CrispcastError, match="DepthToSpace in CRD mode") as refused:
        check_nnapi(model)
    assert ort.__version__ in str(refused.value)


def test_the_gate_refuses_what_is_not_on_the_list() -> None:
    assert {"Conv", "DepthToSpace", "QuantizeLinear"} <= supported_ops()
    assert "Erf" not in supported_ops()
    model = small_model()
    next(n for n in model.graph.node if n.op_type == "Relu").op_type = "Erf"
    assert problems(model) == ["it has no Erf"]


def test_the_gate_refuses_other_domains_shapes_that_vary_and_weights_that_do() -> None:
    model = small_model()
    model.graph.node[0].domain = "com.example"
    assert "it has no Sub" in problems(model)

    model = small_model()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "rows"
    assert problems(model) == ["luma has no fixed shape"]

    model = small_model()
    conv = next(n for n in model.graph.node if n.op_type == "Conv")
    conv.input[1] = conv.input[0]
    assert problems(model) == ["input 1 of a Conv is not constant"]


def test_the_gate_lets_pass_the_two_clips_that_nnapi_has() -> None:
    for limits, fine in (((0, 6), True), ((-1, 1), True), ((-0.5, 0.75), False)):
        model = copy.deepcopy(small_model())
        names = []
        for value in limits:
            names.append(f"limit{value}")
            tensor = onnx.numpy_helper.from_array(np.array(value, np.float32), names[-1])
            model.graph.initializer.append(tensor)
        relu = next(n for n in model.graph.node if n.op_type == "Relu")
        relu.op_type = "Clip"
        relu.input.extend(names)
        assert (problems(model) == []) == fine


def test_files_of_both_formats_give_the_same_picture(tmp_path) -> None:
    plan = codes_everywhere()
    (tmp_path / "models").mkdir()
    one = expert(plan, sizes=((40, 30), (24, 20)))
    entries = write_nnapi((one,), tmp_path, {"package": "p"})
    assert [(e["form"], e["shape"]) for e in entries] == [
        ("fp32", [40, 30]),
        ("int8", [40, 30]),
        ("fp32", [24, 20]),
        ("int8", [24, 20]),
    ]
    for entry in entries:
        int8 = entry["form"] == "int8"
        planes = noise(plan, *entry["shape"])
        first = run(str(tmp_path / entry["file"]), plan, planes, int8)
        second = run(str(tmp_path / entry["ort"]), plan, planes, int8)
        assert match_db(first, second) >= 50
        told = {p.key: p.value for p in onnx.load(tmp_path / entry["file"]).metadata_props}
        assert told == {"package": "p", "plan": one.sha256, "scale": "2"}
