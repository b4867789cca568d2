"""ONNX Runtime, CPU execution provider: fp32, and int8 as a QDQ model."""

from __future__ import annotations

import tempfile

from benchmarks.rivals import Float, Run
from kernels.plan import PlanIR

NAME = "onnxruntime"
PRECISIONS = ("fp32", "int8")


def version() -> str:
    """The installed version."""
    import onnxruntime

    return str(onnxruntime.__version__)


def prepare(network: PlanIR, planes: Float, threads: int, precision: str) -> Run:
    """A session with every graph optimisation and spinning threads, its input bound once."""
    import onnxruntime as ort

    from benchmarks.rivals.onnx_model import to_onnx, to_onnx_int8

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if precision == "int8":
        with tempfile.TemporaryDirectory() as folder:
            path = to_onnx_int8(network, planes, folder)
            session = ort.InferenceSession(path, options, providers=providers)
    else:
        model = to_onnx(network, planes.shape[2], planes.shape[1])
        session = ort.InferenceSession(model.SerializeToString(), options, providers=providers)
    feed = {"planes": planes[None]}
    return lambda: session.run(["hr"], feed)[0][0, 0]
