"""The prediction of `benchmarks.arm64`, on a small frame; its library: test_android_library.py."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from benchmarks import arm64
from benchmarks.neon import find_mca
from benchmarks.networks import SHAPES, network
from kernels.errors import CrispcastError

needs_mca = pytest.mark.skipif(find_mca() is None, reason="llvm-mca: apt-get install llvm-19")


@needs_mca
def test_llvm_mca_says_how_long_instructions_take() -> None:
    chain = ["fadd v0.4s, v0.4s, v1.4s"] * 400
    apart = [f"fadd v{i % 16}.4s, v30.4s, v31.4s" for i in range(400)]
    slow, fast = arm64.cycles([chain, apart])
    assert slow / 400 == pytest.approx(2, abs=0.1)  # the latency
    assert fast / 400 == pytest.approx(1 / 4, abs=0.05)  # four pipes


@needs_mca
def test_an_instruction_that_is_not_known_is_an_error() -> None:
    with pytest.raises(CrispcastError, match="cannot read"):
        arm64.cycles([["frobnicate v0"]])
    lines = ["1000 2", "-", "total 2"]
    with pytest.raises(CrispcastError, match="does not know"):
        list(arm64.samples(lines, {0x1000: "nop", 0x1004: ""}))


def test_samples_are_instructions_in_their_order_and_lead_nowhere() -> None:
    text = {0x1000: "add\tx0, x0, #1", 0x1004: "b.ne\t0x1000", 0x1008: "ret"}
    lines = ["1000 2", "1000 2", "1008 1", "-", "1000 1", "-", "total 99"]
    first, second = arm64.samples(lines, text)
    assert first == ["add\tx0, x0, #1", "b.ne\t0"] * 2 + ["b 0"]
    assert second == ["add\tx0, x0, #1"]
    assert arm64.total(lines) == 99


@needs_mca
@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="apt-get install qemu-user")
@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="pip install ziglang")
def test_a_plan_of_twice_the_work_takes_longer(tmp_path: Path, monkeypatch) -> None:
    for name, value in {"WIDTH": 96, "HEIGHT": 54, "LENGTH": 1000}.items():
        monkeypatch.setattr(arm64, name, value)
    path = arm64.program(tmp_path)
    light, heavy = (
        arm64.predict(path, network(shape, 2, 0.25, coded=True), 8)
        for shape in (SHAPES[2], SHAPES[3])
    )
    assert 1.4 < heavy.instructions / light.instructions < 2.2
    assert heavy.ms > 1.3 * light.ms
    assert 0.125 <= light.cycles_per_instruction < 1
