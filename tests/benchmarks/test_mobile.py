"""The figures of `benchmarks.mobile` that need no encode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("coremltools", reason="needs coremltools: pip install 'crispcast[export]'")

from benchmarks.mobile import (
    cases,
    example_figures,
    lines_of,
    match_db,
    quarter_network,
    size_figures,
)
from client_sdk.contract import open_package


def test_sparse_model_packages_are_less_than_half_of_dense_ones(tmp_path: Path) -> None:
    assert abs(quarter_network().density - 0.25) < 0.005
    figures = size_figures(tmp_path)
    assert figures["coreml_sparse_ratio"] <= 0.45
    assert figures["coreml_sparse_weights_ratio"] < figures["coreml_sparse_ratio"]


def test_cases_are_frames_with_the_frame_before(small_video: Path, small_package: Path) -> None:
    package = open_package(small_package)
    found = list(cases(package, small_video, 3))
    assert [case.number for case in found] == [1, 15, 29]
    for case in found:
        assert case.truth.shape == (192, 224)
        assert case.planes["luma"] is case.lr[0]
        if "previous" in case.planes:
            assert np.any(case.planes["previous"] != case.planes["luma"])


def test_a_match_is_of_what_bytes_hold() -> None:
    plane = np.array([[0.0, 100.0, 300.0]])
    assert match_db(plane, np.array([[-5.0, 100.0, 255.0]])) > 150
    assert match_db(plane, plane + 255) < 4


def test_lines_of_an_app_are_those_that_its_developer_writes(tmp_path: Path) -> None:
    app = tmp_path / "App.swift"
    app.write_text("// an app\nimport A\n\nstruct B {\n    // why\n    let c = 1\n}\n")
    assert lines_of(app) == 3
    assert example_figures()["example_lines"] <= 40
