"""Core ML model packages of a package's experts, for iOS 16 and iOS 18.

    plan ─ coreml_program ─► one model a plan ─┬─► models/PLAN.ios16.mlpackage
                                               └─► models/PLAN.ios18.mlpackage
    plans that share weights ─ functions of one model ─► models/shared-PLAN.ios18.mlpackage

A model has the shapes of `mobile_export.selection`. Before iOS 18 only one input of a model may
have several shapes; a plan of several inputs then has a model for each, `PLAN.WxH.ios16.mlpackage`.
A model with several functions, each an expert with inputs of its own, needs iOS 18 too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernels.plan import PlanIR
from mobile_export.coreml_program import Form, Target, model_of
from mobile_export.coreml_tools import coremltools, quietly
from mobile_export.folder import MODELS, size_of
from mobile_export.selection import Expert, Size

MAIN = "main"
WORTH_SHARING = 64
"""Weights of a layer from which on two plans that have it in common are put into one model."""
PREFIX = "org.crispcast."
"""Of the keys of a model's metadata."""


@dataclass(frozen=True)
class _Written:
    file: Path
    target: Target
    shapes: tuple[Size, ...] | None  # None: each expert's own
    functions: tuple[tuple[str, Expert], ...]


def write_coreml(
    experts: tuple[Expert, ...], folder: Path, facts: dict[str, str], image: bool
) -> list[dict[str, Any]]:
    """Write the models of all experts for both targets into `folder`; their entries of the index.

    `facts` go into every model's metadata. `image`: features are grey images, else fp16 arrays.
    """
    (folder / MODELS).mkdir(parents=True, exist_ok=True)
    entries = []
    for target in Target:
        form = Form(target, image)
        for group in _groups(experts) if target is Target.IOS18 else [(e,) for e in experts]:
            for written in _write_group(group, folder / MODELS, form, facts):
                entries.append(_entry(written, folder))
    return entries


def _groups(experts: tuple[Expert, ...]) -> list[tuple[Expert, ...]]:
    """Experts that have a layer's weights in common, directly or by way of others."""
    groups: list[tuple[list[Expert], set[bytes]]] = []
    for expert in experts:
        layers = _layer_hashes(expert.plan)
        joined, apart = [expert], []
        for members, known in groups:
            if known & layers:
                joined = members + joined
                layers |= known
            else:
                apart.append((members, known))
        groups = [*apart, (joined, layers)]
    order = {expert.sha256: place for place, expert in enumerate(experts)}
    sorted_groups = [sorted(members, key=lambda e: order[e.sha256]) for members, _ in groups]
    return [tuple(members) for members in sorted(sorted_groups, key=lambda m: order[m[0].sha256])]


def _layer_hashes(plan: PlanIR) -> set[bytes]:
    layers = zip(plan.table.live, plan.numbers, strict=True)
    return {
        hashlib.sha256(
            np.array(numbers.weights.shape, np.int32).tobytes()
            + numbers.weights.tobytes()
            + numbers.scales.tobytes()
        ).digest()
        for live, numbers in layers
        if live and np.count_nonzero(numbers.weights) >= WORTH_SHARING
    }


def _write_group(
    group: tuple[Expert, ...], folder: Path, form: Form, facts: dict[str, str]
) -> Iterator[_Written]:
    name = form.target.value.lower()
    if len(group) > 1:
        file = folder / f"shared-{group[0].short}.{name}.mlpackage"
        yield _write_shared(group, file, form, facts)
        return
    (expert,) = group
    one_input = len(expert.plan.inputs) == 1
    together = one_input or form.target is Target.IOS18 or len(expert.shapes) == 1
    for shapes in [expert.shapes] if together else [(shape,) for shape in expert.shapes]:
        size = "" if together else f".{shapes[0][0]}x{shapes[0][1]}"
        file = folder / f"{expert.short}{size}.{name}.mlpackage"
        model = model_of(expert.plan, shapes, form)
        _save(model, file, [(MAIN, expert)], facts)
        yield _Written(file, form.target, shapes, ((MAIN, expert),))


def _write_shared(
    group: tuple[Expert, ...], file: Path, form: Form, facts: dict[str, str]
) -> _Written:
    """One model with a function for each expert; equal weights are stored once."""
    ct = coremltools()
    functions = [(f"expert_{expert.short}", expert) for expert in group]
    with tempfile.TemporaryDirectory() as name:
        described = ct.utils.MultiFunctionDescriptor()
        for function, expert in functions:
            single = str(Path(name) / f"{function}.mlpackage")
            model_of(expert.plan, expert.shapes, form).save(single)
            described.add_function(single, src_function_name=MAIN, target_function_name=function)
        described.default_function_name = functions[0][0]
        merged = str(Path(name) / "shared.mlpackage")
        with quietly():
            ct.utils.save_multifunction(described, merged)
        _save(ct.models.MLModel(merged, skip_model_load=True), file, functions, facts)
    return _Written(file, form.target, None, tuple(functions))


def _save(
    model: Any, file: Path, functions: list[tuple[str, Expert]], facts: dict[str, str]
) -> None:
    """Write a model with its metadata: a JSON list of its functions beside `facts`."""
    about = [
        {
            "function": function,
            "plan": expert.sha256,
            "scale": expert.plan.scale,
            "inputs": list(expert.plan.inputs),
            "segments": {use.rung: use.segments for use in expert.uses},
        }
        for function, expert in functions
    ]
    metadata = {**facts, "experts": json.dumps(about, separators=(",", ":"))}
    for key, value in metadata.items():
        model.user_defined_metadata[PREFIX + key] = value
    model.short_description = "Upscales the luma of one video: made by Crispcast for it alone."
    shutil.rmtree(file, ignore_errors=True)
    model.save(str(file))


def _entry(written: _Written, folder: Path) -> dict[str, Any]:
    return {
        "file": written.file.relative_to(folder).as_posix(),
        "target": written.target.value,
        "bytes": size_of(written.file),
        "functions": [
            {"name": name, "plan": expert.sha256, "shapes": written.shapes or expert.shapes}
            for name, expert in written.functions
        ],
    }
