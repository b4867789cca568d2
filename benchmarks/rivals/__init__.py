"""The dense engines that the runtime is measured against, one file each.

A rival gets the *same network*, its weights dequantised and dense, and is timed on less work than
ours: convolutions, activations, residuals and pixel shuffle in floating point, without the
interpolation base, the conversion from and to u8, and chroma. Whatever a rival can do to be
faster (threads, precision, layout, ahead-of-time compilation) it is told to do.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kernels.plan import PlanIR

Float = npt.NDArray[np.float32]
Run = Callable[[], Float]
"""One inference on the planes given at preparation; returns f32 [scale·h, scale·w]."""


class Rival(Protocol):
    """What a rival's module offers."""

    NAME: str
    PRECISIONS: tuple[str, ...]

    def version(self) -> str:
        """The version that is installed. Raises ImportError when none is."""
        ...

    def prepare(self, network: PlanIR, planes: Float, threads: int, precision: str) -> Run:
        """Make the engine ready for `planes`, f32 [channels, h, w] in the normalised domain."""
        ...


MODULES = ("onnxruntime_rival", "openvino_rival", "mnn_rival", "ncnn_rival", "litert_rival",
           "torch_rival")  # fmt: skip


@dataclass(frozen=True)
class Missing:
    """A rival that is not here, and why: said in the table, not hidden."""

    name: str
    reason: str


def rivals() -> dict[str, Rival]:
    """All of them by module, installed or not: none imports its engine before it is asked to."""
    return {module: importlib.import_module(f"benchmarks.rivals.{module}") for module in MODULES}


def reads_single_planes(network: PlanIR) -> bool:
    """Whether any layer reads one input plane apart from the others (most read them all)."""
    inputs = tuple(range(len(network.table.inputs)))
    return any(
        (layer.sources != inputs and any(value in inputs for value in layer.sources))
        or layer.residual in inputs
        for layer in network.table.layers
    )
