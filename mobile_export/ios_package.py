"""A Swift package for iOS and macOS: the engine, the SDK and the networks of one video.

    mobile_export/ios ─ as it is ──────────────┐
    kernels/runtime, client_sdk/core ─ C++ ────┼─► NAME/ with Package.swift
    experts ─ coreml ─► .mlpackage ─┐          │
    plans, bases ───────────────────┴─ Resources

NAME/
  Package.swift, Sources/{Crispcast,CrispcastWebRTC}, Tests, Example   Swift
  Sources/CCrispcast/{include,runtime,isa,core,apple}                  C++ behind a module map
  Sources/CrispcastModels/Resources/
    index.json                       experts, models by plan and shape, the hash of every file
    models/…mlpackage                mobile_export.coreml
    plans/SHA256.plan, bases/ID.plan what a session need not fetch

`isa` holds the kernels of each instruction set, which `apple` compiles with that switched on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from client_sdk.contract import Package
from kernels import bases
from mobile_export.coreml import write_coreml
from mobile_export.folder import hashes_of
from mobile_export.native_sources import copy_sources, core_sources, headers, runtime_sources
from mobile_export.selection import Expert

SWIFT = Path(__file__).parent / "ios"
RESOURCES = Path("Sources", "CrispcastModels", "Resources")
_NATIVE = Path("Sources", "CCrispcast")


def write_ios(
    package: Package,
    experts: tuple[Expert, ...],
    folder: Path,
    facts: dict[str, str],
    index: dict[str, Any],
) -> list[dict[str, Any]]:
    """Write the Swift package into `folder`; the models' entries of the index.

    `facts` go into every model's metadata, `index` into the bundled one beside `models`. Raises
    CrispcastError where sources or coremltools are not installed.
    """
    shutil.copytree(SWIFT, folder, dirs_exist_ok=True)
    write_native(folder / _NATIVE)
    resources = folder / RESOURCES
    models = write_coreml(experts, resources, facts, image=True)
    plans = resources / "plans"
    plans.mkdir()
    for sha256, asset in package.manifest.assets.items():
        if asset.kind == "plan":
            (plans / f"{sha256}.plan").write_bytes(package.asset(sha256))
    shipped = resources / "bases"
    shipped.mkdir()
    for path in bases.shipped():
        wire = path.read_bytes()
        (shipped / f"{hashlib.sha256(wire).hexdigest()[:32]}.plan").write_bytes(wire)
    bundled = {**index, "models": models, "files": hashes_of(resources)}
    text = json.dumps(bundled, indent=1) + "\n"
    (resources / "index.json").write_text(text, encoding="utf-8")
    return [{**model, "file": (RESOURCES / model["file"]).as_posix()} for model in models]


def write_native(target: Path) -> None:
    """Write the C++ of the C target `target`, beside what `mobile_export/ios` has of it."""
    copy_sources(headers(), target / "include")
    switched = tuple(path for path in runtime_sources() if _of_one_processor(path))
    copy_sources(switched, target / "isa")
    copy_sources(tuple(p for p in runtime_sources() if p not in switched), target / "runtime")
    copy_sources(core_sources(), target / "core")


def _of_one_processor(path: Path) -> bool:
    kernels = path.name.startswith("kernels_") and path.suffix == ".cpp"
    return kernels and path.name != "kernels_portable.cpp"
