"""The runtime: low-resolution I420 frames in, high-resolution ones out, through compiled experts.

A thin face over the C core of `include/crispcast.h`; `docs/runtime.md` says how it works.
Everything that it refuses raises `kernels.errors.PlanError` with a sentence that says what to do.
"""

from kernels.runtime._runtime import (
    Canvas,
    ChromaPlate,
    Engine,
    Plan,
    Plate,
    available_isas,
    compiler,
    decode_patch_map,
    version,
)

__all__ = [
    "Canvas",
    "ChromaPlate",
    "Engine",
    "Plan",
    "Plate",
    "available_isas",
    "compiler",
    "decode_patch_map",
    "version",
]
