"""ONNX models of a package's experts for NNAPI, through ONNX Runtime's execution provider.

    plan ─ onnx_model ─ our gate ─► models/PLAN.WxH.fp32.onnx ─► …fp32.ort
                                └─► models/PLAN.WxH.int8.onnx ─► …int8.ort  if the plan has codes

One model a shape: NNAPI compiles for fixed shapes. The `.ort` files are ONNX Runtime's own format,
which its smaller builds for phones read too. They hold basic rewrites only: what comes after those
is for the CPU at hand, and fuses what NNAPI would have taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kernels.errors import CrispcastError
from mobile_export.folder import MODELS, size_of
from mobile_export.selection import Expert, Size


def write_nnapi(
    experts: tuple[Expert, ...], folder: Path, facts: dict[str, str]
) -> list[dict[str, Any]]:
    """Write the models of all experts into `folder`; their entries of the index.

    Raises CrispcastError where onnx or ONNX Runtime is missing, or NNAPI lacks what a plan needs.
    """
    (folder / MODELS).mkdir(parents=True, exist_ok=True)
    entries = []
    for expert in experts:
        for size in expert.shapes:
            forms = ("fp32", "int8") if expert.plan.table.coded else ("fp32",)
            entries += [_write(expert, size, form, folder, facts) for form in forms]
    return entries


def _write(
    expert: Expert, size: Size, form: str, folder: Path, facts: dict[str, str]
) -> dict[str, Any]:
    try:
        import onnx
        import onnxruntime

        from mobile_export.nnapi_gate import check_nnapi, usability
        from mobile_export.onnx_model import onnx_model
    except ModuleNotFoundError as error:
        raise CrispcastError(
            f"NNAPI export needs {error.name}: pip install 'crispcast[export]'"
        ) from None
    about = {**facts, "plan": expert.sha256, "scale": str(expert.plan.scale)}
    model = onnx_model(expert.plan, size, int8=form == "int8", facts=about)
    check_nnapi(model)
    stem = f"{expert.short}.{size[0]}x{size[1]}.{form}"
    file = folder / MODELS / f"{stem}.onnx"
    onnx.save(model, str(file))
    if not usability(file):
        raise CrispcastError(
            f"ONNX Runtime {onnxruntime.__version__} would not try NNAPI on {file.name}"
        )
    ort = file.with_suffix(".ort")
    _save_ort(file, ort)
    return {
        "file": file.relative_to(folder).as_posix(),
        "ort": ort.relative_to(folder).as_posix(),
        "form": form,
        "plan": expert.sha256,
        "shape": list(size),
        "bytes": size_of(file),
        "ort_bytes": size_of(ort),
    }


def _save_ort(source: Path, target: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
