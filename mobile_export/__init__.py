"""Exports a package's experts for phones: Core ML for iOS, ONNX for Android's NNAPI, whole SDKs.

    NAME.crisp ─ selection ─► experts, each with the shapes it is used in
                                 ├─ coreml ─► .mlpackage for iOS 16 and iOS 18
                                 ├─ nnapi ──► .onnx and .ort, fp32 and int8
                                 ├─ ios ────► a Swift package: engine, session, Core ML models
                                 └─ android ► a Gradle project: engine, session, NNAPI's models
                              folder ─► models/ or the SDK, export.json, README.md

What the backends have no ops for, patch maps, plates and interpolated patches, stays with the app,
or with the SDK; docs/mobile-export.md says how they fit together. Backends are imported when they
are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernels.errors import CrispcastError

__all__ = ["TARGETS", "Exported", "export"]

TARGETS = ("coreml", "nnapi", "ios", "android")


@dataclass(frozen=True)
class Exported:
    """What an export wrote: the folder, models in it, the experts they are of, bytes of all."""

    folder: Path
    target: str
    models: int
    experts: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """For the command line's --json."""
        return {
            "folder": str(self.folder),
            "target": self.target,
            "models": self.models,
            "experts": self.experts,
            "bytes": self.bytes,
        }

    def summary(self) -> str:
        """One line."""
        return (
            f"{self.folder}: {_count(self.models, 'model')} of "
            f"{_count(self.experts, 'expert')} for {self.target}, "
            f"{self.bytes} bytes; its README.md says how to use them"
        )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def export(
    package: Path, target: str, output: Path, *, image: bool = True, force: bool = False
) -> Exported:
    """Export all experts of a package for `target`, one of TARGETS, into a new folder.

    `image`: of Core ML models: features are grey images, else fp16 arrays; those of "ios" are
    always images. `force`: an existing export is replaced.

    Raises CrispcastError: a package that is damaged or of another version, one without networks, a
    target or an op that there is not, an extra that is not installed, an output folder that exists
    or cannot be written.
    """
    from client_sdk.contract import open_package
    from mobile_export.folder import size_of, whole_folder, write_index
    from mobile_export.index import index_of, model_facts, readme_of
    from mobile_export.selection import experts_of

    if target not in TARGETS:
        raise CrispcastError(f"no export to {target}: choose one of {', '.join(TARGETS)}")
    if target == "ios" and not image:
        raise CrispcastError("the SDK for iOS feeds its models with images: leave --features out")
    opened = open_package(package)
    experts = experts_of(opened)
    features = "image" if target == "ios" or (target == "coreml" and image) else "array"
    with whole_folder(output, force) as folder:
        facts = model_facts(opened)
        index = index_of(opened, target, features, experts)
        if target == "coreml":
            from mobile_export.coreml import write_coreml

            models = write_coreml(experts, folder, facts, image)
        elif target == "ios":
            from mobile_export.ios_package import write_ios

            models = write_ios(opened, experts, folder, facts, index)
        elif target == "android":
            from mobile_export.android_module import write_android

            models = write_android(opened, experts, folder, facts)
        else:
            from mobile_export.nnapi import write_nnapi

            models = write_nnapi(experts, folder, facts)
        write_index(folder, {**index, "models": models}, readme_of(opened, target, features))
    return Exported(output, target, len(models), len(experts), size_of(output))
