"""Maps over a frame, to be switched: experts, difficulty, gain, plate; and the plates alone."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from client_sdk.contract import Manifest, Package
from client_sdk.contract.plate import compose, decode_plate
from kernels.runtime import Canvas
from overfit.measurement import Picture
from overfit.metrics import U8, RgbConversion
from overfit.patch_quality import SegmentPatches
from overfit.report_page.charts import legend
from overfit.report_page.markup import jpeg, signed

_EXPERTS = ("#c2255c", "#f08c00", "#2f9e44", "#1971c2", "#7048e8", "#0c8599")
"""Of experts 1, 2, …, which go round; expert 0 stays clear."""
_RAMP = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
_NOTHING = "#f8f9fa"
_MOST_PLATES = 8
_VIEWS = 3
"""Of a canvas, drawn for each of its segments."""


@dataclass(frozen=True)
class Assets:
    """The plates of one rung of a package, decoded when they are asked for."""

    package: Package
    rung_index: int

    def canvas_of(self, plate: int) -> tuple[int, int] | None:
        """Width and height of one of the rung's plates, if it is a canvas."""
        manifest = self.package.manifest
        return manifest.assets[manifest.rungs[self.rung_index].plates[plate][0].sha256].canvas

    def plate(self, plate: int) -> U8:
        """The luma of one of the rung's plates, all pieces of it, or of a canvas, [h, w]."""
        rung = self.package.manifest.rungs[self.rung_index]
        canvas = self.canvas_of(plate)
        size = canvas or (rung.width * rung.scale, rung.height * rung.scale)
        pieces = []
        for piece in rung.plates[plate]:
            own = size if piece.region is None else piece.region[2:]
            pieces.append((piece.region, decode_plate(self.package.asset(piece.sha256), *own)))
        return compose(pieces, *size)

    def seen_by(self, frame_number: int) -> U8 | None:
        """What of its plate a frame sees, [h, w] of the source; None where it has none."""
        manifest = self.package.manifest
        rung, segment = manifest.rungs[self.rung_index], manifest.segment_of(frame_number)
        plate = rung.segments[segment].plate
        if plate is None:
            return None
        luma = self.plate(plate)
        views = self.package.motion(self.rung_index, segment)
        if views is not None:
            view = views[frame_number - manifest.segments[segment].start]
            size = rung.width * rung.scale, rung.height * rung.scale
            luma = Canvas(luma).render(view, *size)
        return luma[: manifest.source.height, : manifest.source.width]


def frame_maps(
    assets: Assets, picture: Picture, patches: SegmentPatches, to_rgb: RgbConversion
) -> str:
    """One frame, its patches over it, and a choice of what they show."""
    frame, scale = picture.frame_number, assets.package.manifest.rungs[assets.rung_index].scale
    segment = assets.package.manifest.segment_of(frame)
    height, width = picture.truth[0].shape
    size = f'width="{width}" height="{height}"'
    boxes = [_Box(*(int(n) * scale for n in row[:4])) for row in patches.boxes]
    numbers = patches.boxes[:, 4].tolist()
    figures = zip(numbers, patches.bicubic.tolist(), patches.gain.tolist(), strict=True)
    told = [
        f"{_who(number)}: {plain:.2f} dB by bicubic, {signed(gain)}"
        for number, plain, gain in figures
    ]
    layers = {
        "experts": (
            _rectangles(boxes, [_expert(number) for number in numbers], told),
            _expert_legend(patches),
        ),
        "difficulty": (
            _rectangles(boxes, _ramp(patches.bicubic), told),
            _scale(patches.bicubic, "PSNR-Y by bicubic over the segment; low is hard"),
        ),
        "gain": (
            _rectangles(boxes, _ramp(patches.gain), told),
            _scale(patches.gain, "gain over bicubic of what a viewer sees, over the segment"),
        ),
    }
    plate = assets.seen_by(frame)
    if plate is not None:
        unread = [box for box, number in zip(boxes, numbers, strict=True) if not number]
        covers = "".join(box.svg("#f8f9fae0", "interpolation: no plate is read") for box in unread)
        layers["plate"] = (
            f'<image href="{jpeg(Image.fromarray(plate))}" {size}/>{covers}',
            "<p>The plate as this frame sees it; pale where no network reads it.</p>",
        )
    else:
        layers["plate"] = ("", "<p>This segment has no plate.</p>")
    choices = "".join(
        f'<label><input type="radio" name="maps-{frame}" value="{name}"'
        f"{' checked' if name == 'experts' else ''}>{name}</label>"
        for name in ("frame", *layers)
    )
    groups = "".join(f'<g class="of-{name}">{inner}</g>' for name, (inner, _) in layers.items())
    notes = "".join(f'<div class="of-{name}">{note}</div>' for name, (_, note) in layers.items())
    return (
        f'<figure class="maps"><fieldset><legend>Segment {segment}, frame {frame}</legend>{choices}'
        f'</fieldset><svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Frame {frame} with its patches; the text below tells what they show">'
        f'<image href="{jpeg(Image.fromarray(to_rgb(picture.truth)))}" {size}/>{groups}</svg>'
        f"<figcaption>{notes}</figcaption></figure>"
    )


@dataclass(frozen=True)
class _Box:
    x: int
    y: int
    width: int
    height: int

    def svg(self, fill: str, title: str) -> str:
        return (
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" '
            f'fill="{fill}"><title>{title}</title></rect>'
        )


def _rectangles(boxes: list[_Box], fills: list[str], titles: list[str]) -> str:
    parts = zip(boxes, fills, titles, strict=True)
    return "".join(box.svg(fill, title) for box, fill, title in parts)


def _expert(number: int) -> str:
    return _EXPERTS[(number - 1) % len(_EXPERTS)] + "50" if number else "#ffffff00"


def _who(number: int) -> str:
    return f"expert {number}" if number else "interpolation"


def _expert_legend(patches: SegmentPatches) -> str:
    numbers = patches.boxes[:, 4]
    area = patches.boxes[:, 2].astype(np.int64) * patches.boxes[:, 3]
    colours = {}
    for number in np.unique(numbers).tolist():
        share = 100 * area[numbers == number].sum() / area.sum()
        count = int((numbers == number).sum())
        colours[
            f"{_who(number)}: {count} of {len(numbers)} patches, {share:.0f} % of the frame"
        ] = _expert(number)[:7] if number else _NOTHING
    return legend(colours)


def _ramp(values: npt.NDArray[np.float64]) -> list[str]:
    span = float(np.ptp(values)) or 1.0
    at = (values - values.min()) / span * (len(_RAMP) - 1)
    rgb = np.stack([np.interp(at, range(len(_RAMP)), _RAMP[:, c]) for c in range(3)], axis=1)
    return [f"#{r:02x}{g:02x}{b:02x}a0" for r, g, b in rgb.astype(int).tolist()]


def _scale(values: npt.NDArray[np.float64], what: str) -> str:
    colours = ",".join(f"rgb({r},{g},{b})" for r, g, b in _RAMP.tolist())
    ramp = f'<i class="ramp" style="background:linear-gradient(90deg,{colours})"></i>'
    return f"<p>{values.min():.2f} {ramp} {values.max():.2f} dB: {what}</p>"


def plates(assets: Assets) -> str:
    """Every plate by itself: where it applies, and the views that frames have of a canvas."""
    rung = assets.package.manifest.rungs[assets.rung_index]
    users: dict[int, list[int]] = {}
    for index, segment in enumerate(rung.segments):
        if segment.plate is not None:
            users.setdefault(segment.plate, []).append(index)
    if not users:
        return "<p>This package has no plates.</p>"
    shown = "".join(_plate(assets, plate, users[plate]) for plate in [*users][:_MOST_PLATES])
    more = len(users) - _MOST_PLATES
    return shown + (f"<p>And {more} more.</p>" if more > 0 else "")


def _plate(assets: Assets, plate: int, segments: list[int]) -> str:
    manifest = assets.package.manifest
    luma = assets.plate(plate)
    height, width = luma.shape
    outlines = "".join(_outlines(assets, segment) for segment in segments)
    pieces = manifest.rungs[assets.rung_index].plates[plate]
    size = _bytes(manifest, (piece.sha256 for piece in pieces))
    colour = _bytes(manifest, (piece.chroma for piece in pieces if piece.chroma is not None))
    more = f" and {colour} of chroma" if colour else ""
    where = _ranges(segments)
    kind = "canvas" if assets.canvas_of(plate) else "plate"
    views = "; outlined: what its segments' frames see" if outlines else ""
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{kind}, segments '
        f'{where}"><image href="{jpeg(Image.fromarray(luma))}" width="{width}" height="{height}"/>'
        f"{outlines}</svg><figcaption>{kind} of {width}×{height}, {size} bytes{more}, for segments "
        f"{where}{views}</figcaption></figure>"
    )


def _bytes(manifest: Manifest, hashes: Iterable[str]) -> int:
    return sum(manifest.assets[sha256].bytes for sha256 in {*hashes})


def _outlines(assets: Assets, segment: int) -> str:
    views = assets.package.motion(assets.rung_index, segment)
    if views is None:
        return ""
    chosen = np.linspace(0, len(views) - 1, min(_VIEWS, len(views))).round().astype(int)
    corners = [(views[number].reshape(4, 2) / 16).tolist() for number in sorted({*chosen.tolist()})]
    return "".join(
        '<polygon class="view" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in four) + '"/>'
        for four in corners
    )


def _ranges(numbers: list[int]) -> str:
    """`0–3, 7` of 0, 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
