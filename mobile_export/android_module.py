"""A Gradle project for Android: the engine, the SDK and the networks of one video.

    mobile_export/android ─ as it is ────────────────┐
    kernels/runtime, client_sdk/core ─ C++ ──────────┼─► NAME/ with settings.gradle.kts
    experts ─ nnapi ─► .ort ──┐                      │
    experts, bases ─ plans ───┴─ assets, models.tsv ─┘

NAME/
  settings.gradle.kts, …     a project of the two below; open it in Android Studio, or
  crispcast/                 the library module: put this folder into an app's own project
    src/main/cpp             CMakeLists.txt, jni, runtime, core
    src/main/java            org.crispcast
    src/main/assets/crispcast
      models.tsv             the package's id; of each model plan, form, file, shape, scale, reach
                             and inputs, tabs between (ModelIndex.java reads it)
      models/…ort            mobile_export.nnapi
      plans/SHA256.plan      the experts, whole: the choice of a backend compares with them
      bases/ID.plan          what plans of a stream may be differences to
  example/                   an app of one activity, in Kotlin
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from client_sdk.contract import Package
from kernels import bases
from kernels.compiler import encode_plan
from kernels.errors import CrispcastError
from mobile_export.native_sources import copy_sources, core_sources, headers, runtime_sources
from mobile_export.nnapi import write_nnapi
from mobile_export.selection import Expert, reach

MODULE = Path(__file__).parent / "android"
ASSETS = Path("crispcast", "src", "main", "assets", "crispcast")
_CPP = Path("crispcast", "src", "main", "cpp")


def write_android(
    package: Package, experts: tuple[Expert, ...], folder: Path, facts: dict[str, str]
) -> list[dict[str, Any]]:
    """Write the project into `folder`; the models' entries of the index.

    `facts` go into every model's metadata. Raises CrispcastError where sources, onnx or ONNX
    Runtime are not installed, or NNAPI lacks what a plan needs.
    """
    if not (MODULE / "settings.gradle.kts").exists():
        raise CrispcastError(f"{MODULE} is missing: install Crispcast again")
    shutil.copytree(MODULE, folder, dirs_exist_ok=True)
    write_native(folder / _CPP)
    assets = folder / ASSETS
    models = write_nnapi(experts, assets, facts)
    both = {(model["plan"], *model["shape"]) for model in models if model["form"] == "int8"}
    for model in models:
        (assets / model["file"]).unlink()  # the .ort says the same
        if model["form"] == "fp32" and (model["plan"], *model["shape"]) in both:
            (assets / model["ort"]).unlink()  # int8 is what would be taken
    models = [model for model in models if (assets / model["ort"]).exists()]
    reaches = {expert.sha256: expert for expert in experts}
    lines = [f"package\t{package.manifest.id}"]
    lines += [_line(model, reaches[model["plan"]]) for model in models]
    (assets / "models.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    plans = assets / "plans"
    plans.mkdir()
    for expert in experts:
        (plans / f"{expert.sha256}.plan").write_bytes(encode_plan(expert.plan))
    shipped = assets / "bases"
    shipped.mkdir()
    for path in bases.shipped():
        wire = path.read_bytes()
        (shipped / f"{hashlib.sha256(wire).hexdigest()[:32]}.plan").write_bytes(wire)
    return [
        {key: value for key, value in model.items() if key not in ("ort", "ort_bytes")}
        | {"file": (ASSETS / model["ort"]).as_posix(), "bytes": model["ort_bytes"]}
        for model in models
    ]


def write_native(cpp: Path) -> None:
    """Write the runtime and the core beside the JNI that `mobile_export/android` has."""
    session, runtime = (next(p for p in headers() if p.stem == n) for n in _HEADERS)
    copy_sources((runtime,), cpp / "runtime" / "include")
    copy_sources(runtime_sources(), cpp / "runtime" / "src")
    copy_sources((session,), cpp / "core" / "include")
    copy_sources(core_sources(), cpp / "core" / "src")


_HEADERS = ("crispcast_session", "crispcast")


def _line(model: dict[str, Any], expert: Expert) -> str:
    columns, rows = model["shape"]
    fields = (
        *("model", model["plan"], model["form"], model["ort"], columns, rows),
        *(expert.plan.scale, reach(expert.plan), ",".join(expert.plan.inputs)),
    )
    return "\t".join(map(str, fields))
