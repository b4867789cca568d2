"""From the artefacts of an encode to the parts of its package."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from client_sdk.contract import Colour, Grid, PatchMap, SegmentQuality, Source
from client_sdk.contract.bounds import MAX_EXPERTS
from client_sdk.contract.patch_map import Cell
from overfit.chunking import choose_patch_size
from overfit.methods.plans import base_among
from overfit.methods.scene import Division
from overfit.package import (
    AudioParts,
    PackageParts,
    PlateParts,
    RungParts,
    SegmentParts,
    segments_of,
)
from overfit.trial import SegmentTrial, quality_of
from server.encoding.chroma_job import chroma_of
from server.encoding.graph import Json, hash_file
from server.encoding.jobs import load_info, read_json

_TRIAL = tuple(field.name for field in fields(SegmentTrial))


def save_trials(folder: Path, trials: Sequence[SegmentTrial]) -> None:
    """Leave what the `trial` job found, one of each segment, in `folder`."""
    arrays = {
        f"{name}-{index}": getattr(trial, name)
        for index, trial in enumerate(trials)
        for name in _TRIAL
    }
    np.savez_compressed(folder / "trial.npz", **arrays)


def load_trials(folder: Path) -> list[SegmentTrial]:
    """What `save_trials` left in `folder`."""
    with np.load(folder / "trial.npz") as arrays:
        return [
            SegmentTrial(**{name: arrays[f"{name}-{index}"] for name in _TRIAL})
            for index in range(len(arrays.files) // len(_TRIAL))
        ]


def assemble(
    inputs: Mapping[str, Path], config: Json, trials: Sequence[SegmentTrial] | None
) -> PackageParts:
    """The parts of a package.

    Without `trials`, every patch has the expert of its chunk; with them, only where it pays.
    `inputs` are the folders of the jobs by name, and the source file; `config` is the canonical
    encode configuration with the package's `name`.
    """
    info = load_info(inputs["probe"], inputs["source"])
    starts: list[int] = read_json(inputs["segments"] / "starts.json")
    segments = segments_of(starts, info.frames)
    rung = read_json(inputs["rung"] / "rung.json")
    scale = config["scale"]
    samples = info.width * info.height
    parts = _segment_parts(inputs, rung["width"], rung["height"], len(segments), trials)
    coloured = any(piece.chroma is not None for part in parts for piece in part.plate)
    audio = read_json(inputs["audio"] / "audio.json")
    quality = None
    if trials is not None:
        each = [quality_of([trial], samples) for trial in trials]
        quality = tuple(SegmentQuality.of(q.psnr_y, q.psnr_y_bicubic) for q in each)
    canonical = {key: config[key] for key in config if key not in ("name", "threads")}
    return PackageParts(
        name=config["name"],
        source=Source(
            sha256=hash_file(inputs["source"]),
            width=info.width,
            height=info.height,
            frames=info.frames,
            fps=(info.fps.numerator, info.fps.denominator),
            colour=Colour(
                range=info.colour.range,
                primaries=info.colour.primaries,
                transfer=info.colour.transfer,
                matrix=info.colour.matrix,
            ),
            audio=audio is not None,
        ),
        config=canonical,
        method=config["method"],
        segments=segments,
        rungs=(
            RungParts(
                name=f"{rung['height']}p",
                width=rung["width"],
                height=rung["height"],
                scale=scale,
                codec=rung["codec"],
                profile=rung["profile"],
                video=inputs["rung"] / "rung.mp4",
                sha256=rung["sha256"],
                bytes=rung["bytes"],
                segments=parts,
                chroma_tolerance=chroma_of(inputs["chroma"])[0] if coloured else None,
            ),
        ),
        audio=None
        if audio is None
        else AudioParts(
            inputs["audio"] / "track.ogg", audio["sha256"], audio["bytes"], audio["channels"]
        ),
        quality=quality,
    )


def _segment_parts(
    inputs: Mapping[str, Path],
    width: int,
    height: int,
    count: int,
    trials: Sequence[SegmentTrial] | None,
) -> tuple[SegmentParts, ...]:
    """Map, plans and plate of every segment."""
    if "chunks" not in inputs:
        return (SegmentParts(PatchMap.uniform(width, height, 0)),) * count
    kept: list[int] = read_json(inputs["truth"] / "frames.json")["segments"]
    division = Division.load(inputs.get("experts", inputs["chunks"]))
    pictures = inputs.get("refined", inputs["plates"])
    plates = read_json(pictures / "plates.json")
    grid = Grid(width, height, *choose_patch_size(width, height))
    plans = {expert: plan_of(inputs, expert) for expert in division.experts()}
    chroma = _chroma(inputs)
    parts = []
    for index in range(count):
        # The nearest training segment: itself, unless the video is long.
        right = min(bisect_left(kept, index), len(kept) - 1)
        nearest = min(max(right - 1, 0), right, key=lambda place: abs(index - kept[place]))
        cells = [_raised(cell) for cell in division.cells(nearest)]
        if trials is not None:
            cells = _paying(cells, trials[index].pays.tolist())
        used = [expert - 1 for expert in sorted(set(_flat(cells))) if expert > 0]
        named = _with_bases(used, plans)
        # Experts are numbered anew in each segment, so that it names no plan it does not need.
        local = {expert + 1: number for number, expert in enumerate(named, start=1)} | {0: 0}
        plate = plates["of_segment"][nearest] if used and plates["files"] else -1
        canvas = plates["canvases"][plate] if plate >= 0 else None
        if canvas is not None and kept[nearest] != index:
            plate, canvas = -1, None  # nobody knows where its frames lie in the canvas
        parts.append(
            SegmentParts(
                PatchMap(grid, tuple(_renamed(cell, local) for cell in cells)),
                tuple(plans[expert] for expert in named),
                ()
                if plate < 0
                else _pieces(pictures, plates["files"][plate], canvas, chroma[plate]),
                None if canvas is None else np.array(plates["views"][nearest], np.int32),
            )
        )
    return tuple(parts)


def plan_of(inputs: Mapping[str, Path], expert: int) -> bytes:
    """The plan of an expert, from 0."""
    if "experts" in inputs:
        return (inputs["experts"] / f"expert-{expert}.plan").read_bytes()
    return (inputs[f"expert-{expert}"] / "expert.plan").read_bytes()


def _with_bases(used: Sequence[int], plans: Mapping[int, bytes]) -> list[int]:
    """Experts with those whose plans theirs are differences to: a client must have both."""
    by_plan = {plan: expert for expert, plan in plans.items()}
    bases = {base_among(plans[expert], list(by_plan)) for expert in used}
    return sorted({*used, *(by_plan[base] for base in bases if base is not None)})


def _flat(cells: Sequence[Cell]) -> list[int]:
    """The experts of all patches and quarters, in the order of `PatchMap.patches`."""
    return [each for cell in cells for each in (cell if isinstance(cell, tuple) else (cell,))]


def _raised(cell: Cell) -> Cell:
    """From experts that count from 0 to those of a map, where 0 is interpolation."""
    return _renamed(cell, range(1, MAX_EXPERTS + 1))


def _renamed(cell: Cell, names: Mapping[int, int] | Sequence[int]) -> Cell:
    """A cell with other numbers; four quarters that are alike are whole."""
    if not isinstance(cell, tuple):
        return names[cell]
    a, b, c, d = (names[expert] for expert in cell)
    return a if a == b == c == d else (a, b, c, d)


def _paying(cells: Sequence[Cell], pays: Sequence[bool]) -> list[Cell]:
    """The cells with interpolation where an expert does not pay; `pays` is as `_flat`."""
    verdicts = iter(pays)
    found: list[Cell] = []
    for cell in cells:
        if isinstance(cell, tuple):
            a, b, c, d = (expert if next(verdicts) else 0 for expert in cell)
            found.append((a, b, c, d))
        else:
            found.append(cell if next(verdicts) else 0)
    return found


def _chroma(inputs: Mapping[str, Path]) -> list[list[bytes | None]]:
    """The chroma of every plate's pieces, which stay in their order when they are refined."""
    found = chroma_of(inputs["chroma"])[1] if "chroma" in inputs else {}
    return [
        [found.get((tuple(file["region"]), Path(file["name"]).stem)) for file in files]
        for files in read_json(inputs["plates"] / "plates.json")["files"]
    ]


def _pieces(
    folder: Path,
    files: Sequence[Mapping[str, Any]],
    canvas: Sequence[int] | None,
    chroma: Sequence[bytes | None],
) -> tuple[PlateParts, ...]:
    if canvas is not None:
        return (PlateParts((folder / files[0]["name"]).read_bytes(), None, (canvas[0], canvas[1])),)
    pieces = []
    for file, colours in zip(files, chroma, strict=True):
        luma = (folder / file["name"]).read_bytes()
        pieces.append(PlateParts(luma, tuple(file["region"]), chroma=colours))
    return tuple(pieces)
