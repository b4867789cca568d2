"""The C++ that SDKs are built from comes with an installed Crispcast."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from mobile_export.ios_package import SWIFT
from mobile_export.native_sources import core_sources, headers, runtime_sources

ROOT = Path(__file__).parents[2]


def needed() -> list[str]:
    swift = [path for path in SWIFT.rglob("*") if path.is_file()]
    files = [*headers(), *runtime_sources(), *core_sources(), *swift]
    return [path.relative_to(ROOT).as_posix() for path in files]


def test_a_wheel_leaves_nothing_out_that_an_export_needs() -> None:
    pathspec = pytest.importorskip("pathspec")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["scikit-build"]
    left_out = pathspec.GitIgnoreSpec.from_lines(settings["wheel"]["exclude"])
    assert left_out.match_file("kernels/runtime/wasm/libc.cpp")
    for name in needed():
        assert name.split("/")[0] in settings["wheel"]["packages"]
        assert not left_out.match_file(name), name


def test_git_ignores_none_of_it() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    found = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        input="\n".join(needed()),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert found.stdout == ""


def test_the_sources_are_those_that_cmake_builds() -> None:
    for sources, cmake in (
        (runtime_sources(), ROOT / "kernels" / "CMakeLists.txt"),
        (core_sources(), ROOT / "client_sdk" / "core" / "CMakeLists.txt"),
    ):
        built = set(re.findall(r"\$\{core\}/(\w+\.cpp)", cmake.read_text()))
        assert {path.name for path in sources if path.suffix == ".cpp"} == built
