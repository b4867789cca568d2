"""What the exports for phones lose and weigh, on a real clip: `python -m benchmarks.mobile`.

    a still-camera clip ─ encode ─ crispcast export ─┬─ Core ML packages, read back and run op by op
                                                     └─ ONNX models under ONNX Runtime's CPU

    python -m benchmarks.mobile [--quick] [--package NAME.crisp --source VIDEO] [--json FILE]

`coreml_match_db` and `nnapi_match_db` (must be 60 or more) are PSNR of what the exported files give
against `kernels.reference`, which defines what the runtime computes, before either is rounded to
bytes; the lowest of all frames, targets and forms. `…_match_u8_db` is the same of bytes against the
runtime's own: a difference of a twentieth of a code then counts as a whole one in one sample of
twenty. `int8_loss_db` (0.1 or less): mean PSNR of the runtime's luma against the source less that
of the int8 models'. `coreml_sparse_ratio` (0.45 or less): bytes of whole model packages of the
default network with a quarter of its weights left, over those with dense fp16 weights; the worse of
iOS 16 and iOS 18. `arm64_lib_bytes` (400 000 or less) and `arm64_predicted_ms` (16 or less):
`benchmarks.arm64`. `example_lines` (40 or less): lines that an app developer writes to show a
stream, in the longest of the example apps. The clip is looked for where CRISPCAST_CLIPS points
(../shared/clips).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from benchmarks import arm64
from benchmarks.mil_interpreter import ModelPackage
from benchmarks.networks import SHAPES, network
from client_sdk.contract import Package, open_package
from client_sdk.contract.plate import compose, decode_plate
from kernels.compiler import encode_plan
from kernels.plan import PlanIR
from kernels.reference import round_codes, run_plan_float
from kernels.runtime import Engine, Plan, Plate
from mobile_export import export
from mobile_export.android_module import MODULE
from mobile_export.coreml_program import Form, Target, model_of
from mobile_export.folder import size_of
from mobile_export.ios_package import SWIFT
from mobile_export.selection import Expert, experts_of
from overfit.metrics.psnr import psnr_y
from overfit.video import probe, read_frames, read_rung

Plane = npt.NDArray[np.uint8]
CLIP = "sam2_05_default_juggle_720p.mp4"
QUARTER = 0.25


@dataclass(frozen=True)
class Case:
    """A frame of a segment that one expert may upscale whole, and what it should be."""

    number: int
    expert: Expert
    planes: dict[str, Plane]
    lr: tuple[Plane, Plane, Plane]
    truth: Plane


def plate_of(package: Package, segment_index: int) -> Plane | None:
    """The luma of a segment's plate; None where it has none, or a canvas."""
    rung = package.manifest.rungs[0]
    size = (rung.width * rung.scale, rung.height * rung.scale)
    pieces = rung.pieces_of(segment_index)
    if not pieces or rung.segments[segment_index].motion is not None:
        return None
    lumas = []
    for piece in pieces:
        side = size if piece.region is None else piece.region[2:]
        lumas.append((piece.region, decode_plate(package.asset(piece.sha256), *side)))
    return compose(lumas, *size)


def cases(package: Package, source: Path, count: int) -> Iterator[Case]:
    """`count` frames evenly spread over the video, each with the first expert of its segment."""
    manifest, rung = package.manifest, package.manifest.rungs[0]
    experts = {expert.sha256: expert for expert in experts_of(package)}
    wanted = set(np.linspace(1, manifest.source.frames - 1, count).astype(int).tolist())
    before: Plane | None = None
    pairs = zip(read_rung(package.video_path(0)), read_frames(source, probe(source)), strict=False)
    for number, (frame, truth) in enumerate(pairs):
        y, u, v = (np.array(plane) for plane in frame.planes)
        index = manifest.segment_of(number)
        segment = rung.segments[index]
        if number in wanted and segment.experts:
            previous = y
            if before is not None and number != manifest.segments[index].start:
                previous = before
            plate = plate_of(package, index)
            if plate is None:
                plate = np.full((rung.height * rung.scale, rung.width * rung.scale), 128, np.uint8)
            given = {"luma": y, "previous": previous, "plate": plate}
            expert = experts[segment.experts[0]]
            planes = {name: given[name] for name in expert.plan.inputs}
            yield Case(number, expert, planes, (y, u, v), np.array(truth.y))
        before = y


def match_db(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """PSNR of luma in codes, both clamped to what bytes hold."""
    off = np.clip(found, 0, 255).astype(np.float64) - np.clip(wanted, 0, 255)
    return float(10 * np.log10(255**2 / max(float(np.mean(off**2)), 1e-12)))


def runtime_luma(case: Case, engine: Engine) -> Plane:
    """What the runtime makes of a frame by the case's expert alone."""
    scale, planes = case.expert.plan.scale, case.planes
    plate = Plate(planes["plate"], scale) if "plate" in planes else None
    previous = planes.get("previous")
    return engine.upscale(
        case.lr, scale, previous=previous, plans=(Plan(encode_plan(case.expert.plan)),), plate=plate
    )[0]


def feeds(case: Case, int8: bool) -> dict[str, npt.NDArray[Any]]:
    """The inputs of an ONNX model: planes, the plate's unshuffled."""
    made = {}
    for name, plane in case.planes.items():
        factor = case.expert.plan.scale if name == "plate" else 1
        height, width = plane.shape[0] // factor, plane.shape[1] // factor
        parts = plane.reshape(height, factor, width, factor).transpose(1, 3, 0, 2)
        stacked = np.ascontiguousarray(parts).reshape(1, factor**2, height, width)
        made[name] = stacked if int8 else stacked.astype(np.float32)
    return made


def coreml_figures(package: Package, all_cases: list[Case], folder: Path) -> dict[str, Any]:
    """How near the read-back Core ML packages come, in both kinds of features."""
    engine, matches, in_bytes = Engine(1), [], []
    for image in (True, False):
        output = folder / f"coreml-{image}"
        export(package.path, "coreml", output, image=image)
        index = json.loads((output / "export.json").read_text())
        for case in all_cases:
            frame = list(case.expert.shapes[0])
            for model in index["models"]:
                for function in model["functions"]:
                    if function["plan"] != case.expert.sha256 or frame not in function["shapes"]:
                        continue
                    read = ModelPackage(output / model["file"])
                    found = read.run(case.planes, function["name"])
                    if image:
                        in_bytes.append(match_db(found, runtime_luma(case, engine)))
                    else:
                        exact = 128 * run_plan_float(case.expert.plan, **case.planes) + 128
                        matches.append(match_db(found, exact))
                    print(f"frame {case.number} {model['file']} image={image}", flush=True)
    return {
        "coreml_match_db": min(matches),
        "coreml_match_u8_db": min(in_bytes),
        "coreml_models_compared": len(matches) + len(in_bytes),
        "coreml_export_bytes": size_of(folder / "coreml-True"),
    }


def nnapi_figures(package: Package, all_cases: list[Case], folder: Path) -> dict[str, Any]:
    """How near the `.onnx` and `.ort` files come, and what int8 costs against the source."""
    import onnxruntime

    engine, output = Engine(1), folder / "nnapi"
    # As phones run it: beyond that, int8 convolutions of x86 without VNNI saturate (docs).
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    export(package.path, "nnapi", output)
    index = json.loads((output / "export.json").read_text())
    matches, in_bytes, int8_matches, losses = [], [], [], []
    for case in all_cases:
        exact = 128 * run_plan_float(case.expert.plan, **case.planes) + 128
        ours = runtime_luma(case, engine)
        for model in index["models"]:
            if model["plan"] != case.expert.sha256 or model["shape"] != list(case.expert.shapes[0]):
                continue
            for file in (model["file"], model["ort"]):
                session = onnxruntime.InferenceSession(
                    str(output / file), options, providers=["CPUExecutionProvider"]
                )
                int8 = model["form"] == "int8"
                found = session.run(None, feeds(case, int8))[0][0, 0]
                stored = round_codes((found - 128) / 128)
                if int8:
                    int8_matches.append(match_db(found, exact))
                    size = case.truth.shape
                    both = (plane[: size[0], : size[1]] for plane in (ours, stored))
                    runtime, bytewise = (psnr_y(case.truth, plane) for plane in both)
                    losses.append(runtime - bytewise)
                else:
                    matches.append(match_db(found, exact))
                    in_bytes.append(match_db(stored, ours))
                print(f"frame {case.number} {file}", flush=True)
    figures: dict[str, Any] = {
        "nnapi_match_db": min(matches),
        "nnapi_match_u8_db": min(in_bytes),
        "nnapi_export_bytes": size_of(output),
    }
    if losses:
        figures |= {
            "int8_loss_db": float(np.mean(losses)),
            "int8_worst_frame_db": max(losses),
            "int8_match_db": min(int8_matches),
        }
    return figures


def quarter_network() -> PlanIR:
    """The default network with a quarter of all its weights left; first and last layer dense."""
    low, high = 0.1, QUARTER
    for _ in range(12):
        middle = (low + high) / 2
        plan = network(SHAPES[1], 2, middle, coded=True)
        low, high = (middle, high) if plan.density < QUARTER else (low, middle)
    return network(SHAPES[1], 2, high, coded=True)


def size_figures(folder: Path) -> dict[str, Any]:
    """Bytes of sparse model packages over those of dense ones."""
    plan = quarter_network()
    sizes: dict[str, dict[str, int]] = {}
    for target in Target:
        for sparse in (True, False):
            name = f"{target.value} {'sparse' if sparse else 'dense'}"
            path = folder / f"{name}.mlpackage"
            model_of(plan, ((640, 360),), Form(target, sparse=sparse)).save(str(path))
            weights = path / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
            sizes[name] = {"package": size_of(path), "weights": size_of(weights)}

    def ratio(part: str) -> float:
        return max(
            sizes[f"{t.value} sparse"][part] / sizes[f"{t.value} dense"][part] for t in Target
        )

    return {
        "coreml_sparse_ratio": ratio("package"),
        "coreml_sparse_weights_ratio": ratio("weights"),
        "coreml_density": plan.density,
        "coreml_bytes": sizes,
    }


def lines_of(source: Path) -> int:
    """Lines of an app, without those that are empty, comments or imports."""
    lines = (line.strip() for line in source.read_text(encoding="utf-8").splitlines())
    return sum(bool(line) and not line.startswith(("//", "/**", "import ")) for line in lines)


def example_figures() -> dict[str, Any]:
    """Lines of the example apps."""
    kotlin = MODULE / "example/src/main/kotlin/org/crispcast/example/PlayerActivity.kt"
    swift = SWIFT / "Example" / "StreamApp.swift"
    lines = {"ios": lines_of(swift), "android": lines_of(kotlin)}
    return {"example_lines": max(lines.values()), "example_lines_by_target": lines}


def encoded(folder: Path, clip: Path, steps: int) -> Path:
    """A package of the clip."""
    from server.encoding import EncodeConfig, encode

    config = EncodeConfig(
        clip, folder / "clip.crisp", preset="fast", steps=steps, lr_crf=33, chroma="off", threads=1
    )
    encode(config)
    return folder / "clip.crisp"


def main(
    package: Annotated[Path | None, typer.Option(help="A package instead of an encode.")] = None,
    source: Annotated[Path | None, typer.Option(help="The video that it is of.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer steps, one frame.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.")
    ] = None,
) -> None:
    """Print and write the figures."""
    if (package is None) != (source is None):
        raise typer.BadParameter("--package and --source go together")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if source is None:
            source = Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips")) / CLIP
        if package is None:
            package = encoded(folder, source, 100 if quick else 400)
        opened = open_package(package)
        chosen = list(cases(opened, source, 1 if quick else 4))
        figures = example_figures()
        figures |= arm64.figures(folder, quick)
        figures |= size_figures(folder)
        figures |= nnapi_figures(opened, chosen, folder)
        figures |= coreml_figures(opened, chosen, folder)
        figures["frames"] = [case.number for case in chosen]
    print(json.dumps(figures, indent=2))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    typer.run(main)
