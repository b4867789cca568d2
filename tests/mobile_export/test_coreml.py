"""Core ML packages, read back and run op by op (`mil_interpreter`), against the runtime."""

from __future__ import annotations

import dataclasses
import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.mil_interpreter import SENTINEL, ModelPackage
from kernels.plan import PlanIR
from kernels.reference import run_plan
from mobile_export.coreml import PREFIX, write_coreml
from mobile_export.coreml_program import Form, Target, model_of
from mobile_export.folder import size_of
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

pytest.importorskip("coremltools", reason="needs coremltools: pip install 'crispcast[export]'")

MAGIC = struct.pack("<I", SENTINEL)
VERSIONS = {Target.IOS16: 7, Target.IOS18: 9}
"""Specification versions (coremltools.SPECIFICATION_VERSION)."""


def written(plan: PlanIR, path, form: Form, shapes=((40, 30),)) -> ModelPackage:
    model_of(plan, shapes, form).save(str(path))
    return ModelPackage(path)


def noise(plan: PlanIR, width: int = 40, height: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    large = (plan.scale * height, plan.scale * width)
    sizes = {"luma": (height, width), "previous": (height, width), "plate": large}
    return {n: rng.integers(90, 160, sizes[n], dtype=np.uint8) for n in plan.inputs}


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("name", ["x2", "x2-plate"])
def test_what_is_read_back_matches_the_runtime_on_real_frames(
    clips, tmp_path, target: Target, name: str
) -> None:
    plan, planes = trained(name), real_planes(clips)
    package = written(plan, tmp_path / "a.mlpackage", Form(target, image=False), ((WIDTH, HEIGHT),))
    found = package.run(planes_for(plan, planes))
    assert match_db(found, codes(plan, planes)) >= 60
    # It is not the interpolation alone that is compared.
    assert match_db(codes(plan, planes), np.repeat(np.repeat(planes["luma"], 2, 0), 2, 1)) < 40


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("image", [True, False])
def test_every_op_of_plans_is_there(tmp_path, target: Target, image: bool) -> None:
    plan = every_branch()
    package = written(plan, tmp_path / "a.mlpackage", Form(target, image))
    planes = noise(plan)
    found = package.run(planes)
    if image:
        assert match_db(found, run_plan(plan, **planes)) >= 60
        assert np.array_equal(found, np.rint(found))
    else:
        assert match_db(found, codes(plan, planes)) >= 60
    assert {"conv", "prelu", "clip", "concat", "pad", "pixel_shuffle"} <= package.ops_run


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tables(), st.sampled_from(Target), st.sampled_from([0.0, 0.1, 0.5]))
def test_any_plan_becomes_a_model(tmp_path_factory, table, target: Target, density: float) -> None:
    """Layers with no weight, with one, that nothing reads; sources named twice; any scale."""
    plan = plan_for(table, seed=5, density=density)
    planes = noise(plan, 11, 9)
    path = tmp_path_factory.mktemp("any") / "a.mlpackage"
    found = written(plan, path, Form(target, image=False), ((11, 9),)).run(planes)
    # A rounded code that falls the other way is one step, and random weights may make much of it.
    assert match_db(found, codes(plan, planes)) >= (40 if table.coded else 60)


@pytest.mark.parametrize("target", Target)
def test_codes_between_layers_are_the_plans(tmp_path, target: Target) -> None:
    plan = codes_everywhere()
    plain = PlanIR(
        dataclasses.replace(
            plan.table,
            layers=tuple(dataclasses.replace(row, codes=None) for row in plan.table.layers),
        ),
        plan.numbers,
    )
    planes = noise(plan)
    package = written(plan, tmp_path / "a.mlpackage", Form(target, image=False))
    wanted = codes(plan, planes)
    found = match_db(package.run(planes), wanted)
    # Random weights make much of one code more or less; without codes it would be another picture.
    assert found > match_db(codes(plain, planes), wanted) + 6
    assert found > 55
    assert ("quantize" if target is Target.IOS18 else "round") in package.ops_run


@pytest.mark.parametrize("scale", [1, 3, 4])
def test_other_scales(tmp_path, scale: int) -> None:
    from kernels.plan import Activation, PlanTable

    table = PlanTable(
        scale,
        ("luma", "plate"),
        scale != 3,
        (spec(8, 0, 1, activation=Activation.RELU), spec(scale**2, 2)),
    )
    plan = plan_for(table, seed=4)
    planes = noise(plan)
    package = written(plan, tmp_path / "a.mlpackage", Form(Target.IOS16))
    assert match_db(package.run(planes), run_plan(plan, **planes)) >= 60


@pytest.mark.parametrize("target", Target)
def test_pruned_weights_are_stored_sparse(tmp_path, target: Target) -> None:
    plan = trained("x2")
    package = written(plan, tmp_path / "a.mlpackage", Form(target))
    written(plan, tmp_path / "dense.mlpackage", Form(target, sparse=False))
    assert "constexpr_sparse_to_dense" in package.ops()
    joint = "constexpr_sparse_blockwise_shift_scale" in package.ops()
    assert joint == (target is Target.IOS18)
    blob = "Data/com.apple.CoreML/weights/weight.bin"
    sparse, dense = (size_of(tmp_path / f"{n}.mlpackage" / blob) for n in ("a", "dense"))
    assert sparse <= 0.45 * dense


@pytest.mark.parametrize("target", Target)
def test_both_targets_load_as_specs_with_every_shape(tmp_path, target: Target) -> None:
    plan = trained("x2-plate")
    sizes = ((80, 60), (48, 40))
    (tmp_path / "models").mkdir()
    one = expert(plan, sizes=sizes)
    entries = write_coreml((one,), tmp_path, {"version": "9"}, image=True)
    seen = []
    for entry in (e for e in entries if e["target"] == target.value):
        package = ModelPackage(tmp_path / entry["file"])
        assert package.spec.specificationVersion == VERSIONS[target]
        assert entry["bytes"] == size_of(tmp_path / entry["file"])
        inputs = package.spec.description.input
        assert [feature.name for feature in inputs] == ["luma", "previous", "plate"]
        sides = {f.name: enumerated(f.type.imageType) for f in inputs}
        assert sides["plate"] == [(2 * w, 2 * h) for w, h in sides["luma"]]
        seen += sides["luma"]
        told = package.spec.description.metadata.userDefined
        (about,) = json.loads(told[PREFIX + "experts"])
        assert about["plan"] == one.sha256
        assert about["scale"] == 2
        assert about["segments"] == {"lr": [[0, 1]]}
        assert told[PREFIX + "version"] == "9"
    assert sorted(seen) == sorted(sizes)


def enumerated(image) -> list[tuple[int, int]]:
    sizes = [(size.width, size.height) for size in image.enumeratedSizes.sizes]
    return sizes or [(image.width, image.height)]


def test_a_model_of_several_shapes_runs_in_each(tmp_path) -> None:
    plan = trained("x2-plate")
    shapes = ((80, 60), (48, 40))
    package = written(plan, tmp_path / "a.mlpackage", Form(Target.IOS18), shapes)
    for width, height in shapes:
        planes = noise(plan, width, height)
        assert match_db(package.run(planes), run_plan(plan, **planes)) >= 60


def test_experts_that_share_weights_are_functions_of_one_model(tmp_path) -> None:
    deep = trained("x2")
    rows = list(deep.table.layers)
    rows[-1] = dataclasses.replace(rows[-1], sources=(6,))
    shallow = PlanIR(dataclasses.replace(deep.table, layers=tuple(rows)), deep.numbers)
    other = plan_for(deep.table, seed=8)
    plans = {"a" * 64: deep, "b" * 64: shallow, "c" * 64: other}
    (tmp_path / "models").mkdir()
    experts = tuple(expert(plan, sha, ((40, 30),)) for sha, plan in plans.items())
    entries = write_coreml(experts, tmp_path, {}, image=True)

    functions: dict[str, list[list[str]]] = {e["target"]: [] for e in entries}
    for entry in entries:
        functions[entry["target"]].append([f["plan"][0] for f in entry["functions"]])
    assert functions == {"iOS16": [["a"], ["b"], ["c"]], "iOS18": [["a", "b"], ["c"]]}

    shared = next(e for e in entries if len(e["functions"]) == 2)
    alone = size_of(tmp_path / "models" / f"{'c' * 16}.ios18.mlpackage")
    package = ModelPackage(tmp_path / shared["file"])
    blob = len(package.blob)
    single = len(ModelPackage(tmp_path / "models" / f"{'c' * 16}.ios18.mlpackage").blob)
    assert blob < 1.3 * single
    assert shared["bytes"] < 2 * alone
    for function in shared["functions"]:
        plan = plans[function["plan"]]
        planes = noise(plan)
        found = package.run(planes, function["name"])
        assert match_db(found, run_plan(plan, **planes)) >= 60


def test_what_runs_is_what_the_package_holds(tmp_path) -> None:
    """Weights turned round in the blob turn the network's part of the picture round."""
    plan = trained("x2")
    package = written(plan, tmp_path / "a.mlpackage", Form(Target.IOS16, image=False))
    planes = noise(plan)
    before = package.run(planes)
    blob = np.frombuffer(package.blob, np.uint8).copy()
    records = [at for at in range(64, len(blob), 64) if blob[at : at + 4].tobytes() == MAGIC]
    for at in records:
        code, size, start = struct.unpack_from("<IQQ", package.blob, at + 4)
        if code == 1:  # fp16
            blob[start + 1 : start + size : 2] ^= 0x80
    package.blob = blob.tobytes()
    after = package.run(planes)
    assert len(records) >= 16
    assert np.isfinite(after).all()
    assert match_db(after, before) < 40


def test_before_ios_18_a_plan_of_one_input_has_one_model_of_all_shapes(tmp_path) -> None:
    from kernels.plan import PlanTable

    (tmp_path / "models").mkdir()
    plan = plan_for(PlanTable(2, ("luma",), True, (spec(8, 0), spec(4, 1))), seed=4)
    sizes = ((40, 30), (24, 20))
    entries = write_coreml((expert(plan, sizes=sizes),), tmp_path, {}, image=True)
    assert [e["target"] for e in entries] == ["iOS16", "iOS18"]
    for entry in entries:
        (feature,) = ModelPackage(tmp_path / entry["file"]).spec.description.input
        assert enumerated(feature.type.imageType) == list(sizes)
