"""The fp32 peak of one core, measured: what a share of peak is a share of."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

_SOURCE = Path(__file__).with_name("peak.cpp")


@functools.cache
def fma_peak() -> float:
    """FLOP/s of one core in fp32 fused multiply-adds, the best of several runs.

    Compiles a loop of independent chains for the processor at hand with PyPI's ziglang.
    Raises ImportError without ziglang.
    """
    compiler = files("ziglang") / "zig"
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        # Without the width, clang splits 512-bit vectors in two on server processors.
        flags = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast"]
        subprocess.run(
            [str(compiler), "c++", *flags, "-shared", "-fPIC", "-o", str(library), str(_SOURCE)],
            check=True,
            capture_output=True,
        )
        measure = ctypes.CDLL(str(library)).fma_peak
        measure.restype = ctypes.c_double
        return max(float(measure(10_000_000)) for _ in range(7))
