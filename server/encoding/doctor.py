"""`crispcast doctor`: what this machine has, what is missing, and how to get it."""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One line: what was looked for, what was found, and how to get it where it is missing."""

    name: str
    found: str | None
    remedy: str = ""


@dataclass(frozen=True)
class Findings:
    """All that `examine` found."""

    lines: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """`{found: {name: what}, missing: {name: remedy}}`."""
        return {
            "found": {line.name: line.found for line in self.lines if line.found is not None},
            "missing": {line.name: line.remedy for line in self.lines if line.found is None},
        }

    def summary(self) -> str:
        """A table for people."""
        width = max(len(line.name) for line in self.lines)
        rows = []
        for line in self.lines:
            text = line.found if line.found is not None else f"missing: {line.remedy}"
            rows.append(f"{line.name:<{width}}  {text}")
        return "\n".join(rows)


def examine() -> Findings:
    """Look at this machine; never fails, whatever is missing."""
    extras = "pip install 'crispcast[{}]'"
    return Findings(
        (
            Finding("python", platform.python_version()),
            _finding("crispcast", _version, "install the package"),
            Finding("cpu", f"{platform.machine()}, {_cores()} cores for this process"),
            _finding("runtime", _runtime, "build it: pip install . (or make setup)"),
            _finding("H.264 encoder", lambda: _codec("libx264", "w"), extras.format("encode")),
            _finding("H.264 decoder", lambda: _codec("h264", "r"), extras.format("client")),
            _finding("AV1 encoder", lambda: _codec("libsvtav1", "w"), extras.format("encode")),
            _finding("AV1 decoder", lambda: _codec("libdav1d", "r"), extras.format("client")),
            _finding("Opus encoder", lambda: _codec("libopus", "w"), extras.format("encode")),
            _finding("AVIF (plates)", _avif, extras.format("client")),
            _finding("WebRTC", lambda: _package("aiortc"), extras.format("client")),
            _finding("HTTP server", lambda: _package("fastapi"), extras.format("server")),
            _finding("torch (training)", lambda: _package("torch"), extras.format("encode")),
            _finding("GPU", _gpu, "none that torch sees; training runs on the CPU"),
            _finding(
                "scene cuts",
                _scenedetect,
                extras.format("encode"),
            ),
            _finding("libvmaf", _vmaf, "install imageio-ffmpeg, or an ffmpeg with libvmaf"),
            _finding("ONNX export", lambda: _package("onnx"), extras.format("export")),
            _finding("Core ML export", lambda: _package("coremltools"), extras.format("export")),
        )
    )


def _finding(name: str, look: Callable[[], str | None], remedy: str) -> Finding:
    try:
        return Finding(name, look(), remedy)
    except Exception:  # whatever a half-installed package throws, the answer is "missing"
        return Finding(name, None, remedy)


def _version() -> str:
    return importlib.metadata.version("crispcast")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _runtime() -> str:
    runtime = importlib.import_module("kernels.runtime")
    isas: tuple[str, ...] = runtime.available_isas()
    compiler = " ".join(runtime.compiler.split()[:2])
    return f"{runtime.version()} by {compiler}, uses {isas[-1]} of {', '.join(isas)}"


def _codec(name: str, mode: str) -> str:
    codec = importlib.import_module("av").Codec(name, mode)
    return str(codec.long_name)


def _avif() -> str | None:
    features = importlib.import_module("PIL.features")
    return f"Pillow {importlib.metadata.version('pillow')}" if features.check("avif") else None


def _package(name: str, distribution: str | None = None) -> str | None:
    if importlib.util.find_spec(name) is None:
        return None
    return f"{name} {importlib.metadata.version(distribution or name)}"


def _scenedetect() -> str | None:
    return _package("scenedetect", "scenedetect-headless")


def _gpu() -> str | None:
    cuda = importlib.import_module("torch").cuda
    if not cuda.is_available():
        return None
    return ", ".join(cuda.get_device_name(index) for index in range(cuda.device_count()))


def _vmaf() -> str | None:
    found = importlib.import_module("overfit.vmaf").find_ffmpeg()
    return "in ffmpeg" if found.path else None
