"""MNN, CPU backend: fp32, and its low-precision mode where the processor has one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.rivals import Float, Run
from kernels.plan import PlanIR

NAME = "MNN"
PRECISIONS = ("fp32", "low")

# The `mnnconvert` script installs and calls a logging service; its converter proper is `_tools`.
_CONVERT = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"


def version() -> str:
    """The installed version."""
    import importlib.metadata

    return importlib.metadata.version("mnn")


def prepare(network: PlanIR, planes: Float, threads: int, precision: str) -> Run:
    """A module converted from ONNX by MNN's own converter, its input in MNN's packed layout."""
    from MNN import expr, nn

    from benchmarks.rivals.onnx_model import to_onnx

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "net.onnx", Path(folder) / "net.mnn"
        source.write_bytes(to_onnx(network, planes.shape[2], planes.shape[1]).SerializeToString())
        files = ["--modelFile", str(source), "--MNNModel", str(target)]
        subprocess.run(
            [sys.executable, "-c", _CONVERT, "-f", "ONNX", *files, "--bizCode", "crispcast"],
            check=True,
            capture_output=True,
        )
        options = {
            "backend": "CPU",
            "numThread": threads,
            "precision": "low" if precision == "low" else "high",
            "power": "high",
        }
        manager = nn.create_runtime_manager((options,))
        module = nn.load_module_from_file(str(target), ["planes"], ["hr"], runtime_manager=manager)
    batch = np.ascontiguousarray(planes[None])
    packed = expr.convert(expr.const(batch, list(batch.shape), expr.NCHW), expr.NC4HW4)
    packed.fix_as_const()

    def run() -> Float:
        output = expr.convert(module.forward([packed])[0], expr.NCHW)
        return np.asarray(output.read(), dtype=np.float32)[0, 0]  # type: ignore[no-any-return]

    # The module borrows the manager and the batch: they live as long as the runner.
    run.keep = (manager, module, batch)  # type: ignore[attr-defined]
    return run
