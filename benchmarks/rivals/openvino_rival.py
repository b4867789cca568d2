"""OpenVINO's CPU plugin: fp32, int8 from the same QDQ model, bf16 where the processor has it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.rivals import Float, Run
from kernels.plan import PlanIR

NAME = "OpenVINO"
PRECISIONS = ("fp32", "bf16", "int8")


def version() -> str:
    """The installed version."""
    import openvino

    return str(openvino.__version__).split("-")[0]


def prepare(network: PlanIR, planes: Float, threads: int, precision: str) -> Run:
    """A latency-tuned compiled model with its input bound once.

    Raises RuntimeError where the processor lacks the precision.
    """
    import openvino as ov

    from benchmarks.rivals.onnx_model import to_onnx, to_onnx_int8

    core = ov.Core()
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in capabilities:
        raise RuntimeError("this processor has no bf16")
    with tempfile.TemporaryDirectory() as folder:
        if precision == "int8":
            model = core.read_model(to_onnx_int8(network, planes, folder))
        else:
            path = Path(folder) / "fp32.onnx"
            path.write_bytes(to_onnx(network, planes.shape[2], planes.shape[1]).SerializeToString())
            model = core.read_model(path)
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": {"bf16": "bf16"}.get(precision, "f32"),
            },
        )
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(planes[None]))

    def run() -> Float:
        request.infer()
        return request.get_output_tensor().data[0, 0]  # type: ignore[no-any-return]

    return run
