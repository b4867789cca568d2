"""Trained plans and real frames: what exports are compared on."""

from __future__ import annotations

import numpy as np

from kernels import bases
from kernels.compiler import decode_plan
from kernels.plan import PlanIR
from kernels.reference import run_plan_float
from mobile_export.selection import Expert, Use
from overfit.video import probe, read_frames

CLIP = "sam2_05_default_juggle_720p.mp4"
WIDTH, HEIGHT = 160, 96
"""Of the LR, scale 2."""


def real_planes(clips) -> dict[str, np.ndarray]:
    """Luma, previous luma and a plate (half a second older) from the middle of a real clip."""
    source = clips / CLIP
    lumas = []
    for number, frame in enumerate(read_frames(source, probe(source))):
        if number in (0, 12, 13):
            y, x = 200, 400
            lumas.append(frame.y[y : y + 2 * HEIGHT, x : x + 2 * WIDTH].astype(np.float64))
        if number == 13:
            break
    plate, previous, luma = lumas
    return {"luma": small(luma), "previous": small(previous), "plate": plate.astype(np.uint8)}


def small(plane: np.ndarray) -> np.ndarray:
    parts = plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2)
    return np.rint(parts.mean((1, 3))).astype(np.uint8)


def trained(name: str) -> PlanIR:
    """A shipped base: trained, without codes."""
    return decode_plan(next(p for p in bases.shipped() if p.stem == name).read_bytes())


def expert(plan: PlanIR, sha256: str = "ab" * 32, sizes=((WIDTH, HEIGHT),)) -> Expert:
    return Expert(sha256, plan, (Use("lr", ((0, 1),), sizes[0], tuple(sizes[1:])),))


def planes_for(plan: PlanIR, planes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: planes[name] for name in plan.inputs}


def codes(plan: PlanIR, planes: dict[str, np.ndarray]) -> np.ndarray:
    """What the reference gives in codes, not rounded."""
    return np.asarray(128 * run_plan_float(plan, **planes_for(plan, planes)) + 128)


def match_db(found: np.ndarray, wanted: np.ndarray) -> float:
    """PSNR of one picture in codes against another, both clamped to bytes' range."""
    off = np.clip(found, 0, 255).astype(np.float64) - np.clip(wanted, 0, 255)
    return float(10 * np.log10(255**2 / max(np.mean(off**2), 1e-12)))
