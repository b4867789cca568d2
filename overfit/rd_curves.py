"""Rate-distortion curves of a clip, as `python -m benchmarks.rd` measured or a survey expected."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from kernels.errors import CrispcastError
from overfit.metrics import RatePoint, pareto
from overfit.survey_point import SurveyPoint

OURS, PLAIN = "Crispcast", "interpolated"

_MAX_BYTES = 64 << 20
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Point(BaseModel):
    kbps: _Positive
    figures: dict[str, _Finite | None]


class _Ours(BaseModel):
    total: _Point


class _Plain(BaseModel):
    bytes: _Positive
    psnr_y: _Finite


class _Clip(BaseModel):
    ours: list[_Ours]
    natives: dict[str, list[_Point]]
    plain: list[_Plain]


class _Figures(BaseModel):
    curves: dict[str, _Clip]


class _Surveyed(BaseModel):
    curves: dict[str, list[tuple[_Positive, _Finite]]] = Field(max_length=1000)


@dataclass(frozen=True)
class Curve:
    """One way to code a clip: points (kb/s, PSNR-Y in dB), least rate first."""

    name: str
    points: tuple[tuple[float, float], ...]


def read_curves(path: Path, clip: str, duration: Fraction) -> tuple[Curve, ...]:
    """The curves of the clip of this name, which lasts `duration` seconds; ours come first.

    Points that another one of the same curve beats are left out. Raises CrispcastError where the
    file cannot be read, holds something else, or no curves of this clip.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CrispcastError(f"{path} is too large for curves; give what benchmarks.rd wrote")
        found = _Figures.model_validate_json(path.read_bytes()).curves
    except OSError as error:
        raise CrispcastError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in fault["loc"][:4])
        raise CrispcastError(
            f"{path} is not what `python -m benchmarks.rd --json` writes"
            f"{f' ({place})' if place else ''}; give such a file"
        ) from None
    if clip not in found:
        names = ", ".join(found) or "no clip"
        raise CrispcastError(f"{path} has curves of {names[:200]}, not of {clip}")
    curves = found[clip]
    named = {
        OURS: _psnr(point.total for point in curves.ours),
        PLAIN: [(float(Fraction(p.bytes) * 8 / 1000 / duration), p.psnr_y) for p in curves.plain],
        **{name: _psnr(points) for name, points in curves.natives.items()},
    }
    return tuple(Curve(name, _front(points)) for name, points in named.items() if points)


def surveyed(points: Sequence[SurveyPoint], seconds: float) -> bytes:
    """What a survey expected, for the report of its package: a curve for each scale and quality."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        name = f"scale {point.scale}" + (f", plates {point.quality}" if point.quality else "")
        total = max(1, point.video_bytes + point.plate_bytes)
        curves.setdefault(name, []).append((total * 8 / 1000 / seconds, point.psnr_y))
    return json.dumps({"curves": curves}).encode()


def read_survey(path: Path) -> tuple[Curve, ...]:
    """The curves that `surveyed` wrote; none where there is no such file.

    Raises CrispcastError where it holds something else.
    """
    if not path.is_file():
        return ()
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CrispcastError(f"{path} is too large for a survey; delete it")
        found = _Surveyed.model_validate_json(path.read_bytes()).curves
    except OSError as error:
        raise CrispcastError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError:
        raise CrispcastError(f"{path} is no survey of an encode; delete it") from None
    return tuple(Curve(name, _front(points)) for name, points in found.items() if points)


def _psnr(points: Iterable[_Point]) -> list[tuple[float, float]]:
    measured = ((point.kbps, point.figures.get("psnr_y")) for point in points)
    return [(kbps, psnr) for kbps, psnr in measured if psnr is not None]


def _front(points: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    front = pareto([RatePoint(kbps, psnr) for kbps, psnr in points])
    return tuple((point.rate, point.quality) for point in front)
