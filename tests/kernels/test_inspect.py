"""`crispcast inspect`: what a plan holds, and what it costs on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import crispcast
from kernels.compiler.wire import encode_plan
from kernels.inspect import PlanReport, inspect_plan
from kernels.plan import PlanTable
from kernels.runtime import Plan
from tests.kernels.plans import every_branch, plan_for, spec


@pytest.fixture(scope="module")
def report() -> PlanReport:
    return inspect_plan(encode_plan(every_branch()))


def test_the_report_agrees_with_the_runtime(report: PlanReport) -> None:
    wire = encode_plan(every_branch())
    plan = Plan(wire)
    assert report.bytes == len(wire)
    assert (report.scale, report.inputs, report.base) == (plan.scale, plan.inputs, "bicubic")
    assert report.macs_per_pixel == plan.macs_per_pixel
    assert sum(layer.taps for layer in report.layers) == plan.taps
    assert sum(layer.macs_per_pixel for layer in report.layers) == plan.weights
    assert report.density == pytest.approx(plan.density)


def test_values_are_numbered_from_the_inputs_on(report: PlanReport) -> None:
    assert [layer.value for layer in report.layers] == [3, 4, 5, 6, 7]
    assert report.layers[1].sources == (3,)
    assert report.layers[1].residual == 3


def test_the_bytes_of_the_layers_are_the_plans(report: PlanReport) -> None:
    # The rest is the header, the op table and the coder's last four bytes.
    rest = report.bytes - sum(layer.bytes for layer in report.layers)
    assert 12 + 4 <= rest < 80


def test_the_prediction_is_near_the_measurement() -> None:
    layers = tuple(spec(16 if index < 3 else 4, index) for index in range(4))
    wire = encode_plan(plan_for(PlanTable(2, ("luma",), True, layers), 1))
    found = inspect_plan(wire)
    assert found.predicted_ms > found.interpolation_ms > 0
    # Both are measured on a machine that may be busy: a factor of four is a broken model.
    assert 0.25 < found.predicted_ms / found.measured_ms < 4


def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    path = tmp_path / "expert.plan"
    path.write_bytes(encode_plan(every_branch()))
    shown = CliRunner().invoke(crispcast.app, ["inspect", str(path)])
    assert shown.exit_code == 0, shown.output
    assert "6→6 5×5" in shown.output
    found = CliRunner().invoke(crispcast.app, ["inspect", str(path), "--json"])
    data = json.loads(found.output.splitlines()[-1])
    assert data["layers"][0]["density"] > 0
    assert data["measured_ms"] > 0
    assert data["frame"] == [480, 270]


@pytest.mark.parametrize("content, sentence", [(b"PNG" * 9, "not a plan"), (None, "cannot read")])
def test_what_is_no_plan_is_refused(
    content: bytes | None, sentence: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "expert.plan"
    if content is not None:
        path.write_bytes(content)
    done = CliRunner().invoke(crispcast.app, ["inspect", str(path)])
    assert done.exit_code == 1
    assert sentence in done.output + capfd.readouterr().err
