"""Compiling as a whole: small plans, the same bytes every time, and no torch without need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kernels.compiler import compile_graph, decode_plan
from kernels.errors import PlanError
from tests.kernels.networks import default_network


def test_a_pruned_default_network_takes_at_most_eight_kilobytes() -> None:
    # Gaussian weights are the worst case: they hold about 7.6 bits each at the 8 they have.
    wire = compile_graph(default_network(density=0.25))
    assert decode_plan(wire).weights == pytest.approx(28_512 * 0.25, rel=0.02)
    assert len(wire) <= 8192


def test_fewer_bits_take_fewer_bytes() -> None:
    graph = default_network()
    sizes = [len(compile_graph(graph, bits=bits)) for bits in (8, 6, 4)]
    assert sizes[0] > sizes[1] * 1.2 > sizes[2] * 1.2**2


def test_the_same_network_gives_the_same_bytes() -> None:
    assert compile_graph(default_network()) == compile_graph(default_network())


def test_blocks_that_the_format_lacks_are_refused() -> None:
    with pytest.raises(PlanError, match="choose one of"):
        compile_graph(default_network(), block=0)


def test_importing_the_compiler_does_not_import_torch() -> None:
    script = (
        "import sys, kernels.compiler, kernels.reference, kernels.range_coder\n"
        "ours = ('client_sdk', 'overfit', 'server', 'mobile_export', 'torch')\n"
        "sys.exit(' '.join(name for name in ours if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
