"""What was done is found again only as long as the code that did it is the same."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import server.encoding
from server.encoding import graph
from server.encoding.graph import JobFunction, code_hash
from tests.server.encoding.code_use import definitions_of

HARMLESS = {
    # how jobs run, and what is said of failures
    ("server.encoding.graph", None),
    ("kernels.errors", None),
    # where memory lies
    ("overfit.freed_memory", None),
    # how jobs read what others left, whose hash counts by itself
    ("server.encoding.jobs", "load_info"),
    ("server.encoding.jobs", "read_json"),
    ("server.encoding.jobs", "write_json"),
    # threads, which are a setting
    ("server.encoding.jobs", "cores"),
    # what is refused
    ("client_sdk.contract.manifest", "MAX_PLATE_BYTES"),
    ("client_sdk.contract.manifest", "MAX_SIDE"),
    # types and records
    ("overfit.plates", "Plate"),
    ("overfit.training_data", "Int"),
    ("overfit.video.frames", "U8"),
}
"""Definitions that no result depends on, and modules of nothing else."""


def job_functions() -> Iterator[JobFunction]:
    for found in pkgutil.iter_modules(server.encoding.__path__, "server.encoding."):
        for value in vars(importlib.import_module(found.name)).values():
            if isinstance(value, JobFunction) and value.run.__module__ == found.name:
                yield value


@pytest.mark.parametrize("function", job_functions(), ids=lambda function: function.run.__name__)
def test_a_job_names_all_code_that_does_its_work(function: JobFunction) -> None:
    used = definitions_of(function.run.__module__, function.run.__name__, HARMLESS)
    missing = {
        module
        for module, _ in used
        if not any(module == named or module.startswith(f"{named}.") for named in function.code)
    }
    assert sorted(missing) == []


def test_imports_are_followed_to_definitions() -> None:
    used = definitions_of("server.encoding.training_jobs", "try_all", set())
    assert ("overfit.metrics.psnr", "psnr_of") in used  # through what a package passes on
    assert ("overfit.trial", "SegmentErrors") in used
    assert ("overfit.training", "train") not in used


@pytest.mark.parametrize("package", ["kernels", "client_sdk"])
def test_another_build_of_compiled_code_is_other_code(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code_hash.cache_clear()
    before = code_hash((package,))
    find = graph._machine_code

    def newer(module: str) -> Path:
        built = tmp_path / module
        built.write_bytes(find(module).read_bytes() + b"newer")
        return built

    monkeypatch.setattr(graph, "_machine_code", newer)
    code_hash.cache_clear()
    assert code_hash((package,)) != before
    assert len(list(tmp_path.iterdir())) == 1
    code_hash.cache_clear()
