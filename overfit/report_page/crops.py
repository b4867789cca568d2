"""Patches at full resolution: the truth, and bicubic against the network under a slider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from overfit.measurement import Picture
from overfit.metrics import U8, RgbConversion
from overfit.patch_quality import SegmentPatches
from overfit.report_page.markup import png, signed

BEST = 3
"""Patches shown of those that gain most; one that gains least comes after them."""
SIDE = 192
"""Least width and height of a crop in samples: around a smaller patch more of the frame shows."""
_LARGER = 3
"""Under the slider."""


@dataclass(frozen=True)
class Chosen:
    """A patch of a picture: x, y, width, height in HR samples, and its PSNR-Y in the segment."""

    picture: Picture
    box: tuple[int, int, int, int]
    network: float
    bicubic: float

    @property
    def gain(self) -> float:
        """dB over bicubic."""
        return self.network - self.bicubic


def choose(
    pictures: Sequence[Picture], patches: Sequence[SegmentPatches], scale: int
) -> list[Chosen]:
    """The `BEST` patches with networks that gain most, then the one that gains least.

    `patches` are those of each picture's segment. A place is shown once.
    """
    candidates = [
        Chosen(picture, (x * scale, y * scale, w * scale, h * scale), network, bicubic)
        for picture, segment in zip(pictures, patches, strict=True)
        for (x, y, w, h, expert), network, bicubic in zip(
            segment.boxes.tolist(), segment.network.tolist(), segment.bicubic.tolist(), strict=True
        )
        if expert
    ]
    ordered = sorted(candidates, key=lambda patch: -patch.gain)
    found: list[Chosen] = []
    for patch in ordered:
        if len(found) < BEST and not _shown(patch, found):
            found.append(patch)
    least = next((patch for patch in reversed(ordered) if not _shown(patch, found)), None)
    return found if least is None else [*found, least]


def _shown(patch: Chosen, found: Sequence[Chosen]) -> bool:
    return any(patch.box == other.box for other in found)


def crops(chosen: Sequence[Chosen], to_rgb: RgbConversion) -> str:
    """A row for each patch: truth, network, bicubic, and the last two under a slider."""
    if not chosen:
        return "<p>No patch of the frames shown has a network: there is nothing to compare.</p>"
    rgb: dict[int, Mapping[str, U8]] = {}
    rows = []
    for patch in chosen:
        frame = patch.picture.frame_number
        if frame not in rgb:
            made = patch.picture.made
            rgb[frame] = {
                "truth": to_rgb(patch.picture.truth),
                "network": to_rgb(made["network"]),
                "bicubic": to_rgb(made["bicubic"]),
            }
        rows.append(_row(patch, rgb[frame]))
    return "".join(rows)


def _row(patch: Chosen, pictures: Mapping[str, U8]) -> str:
    height, width = pictures["truth"].shape[:2]
    x, y, w, h = patch.box
    left, right = _around(x, min(w, width - x), width)
    top, bottom = _around(y, min(h, height - y), height)
    address = {
        name: png(Image.fromarray(picture[top:bottom, left:right]))
        for name, picture in pictures.items()
    }

    def still(name: str) -> str:
        return (
            f'<figure><img src="{address[name]}" width="{right - left}" alt="{name}">'
            f"<figcaption>{name}</figcaption></figure>"
        )

    where = f"patch at {x}, {y} of frame {patch.picture.frame_number}"
    figures = f"bicubic {patch.bicubic:.2f} dB, network {patch.network:.2f} dB over its segment"
    return (
        f"<h3>{signed(patch.gain)}: {where}</h3><p>{figures}</p>"
        f'<figure class="compare" style="width:{_LARGER * (right - left)}px"><div>'
        f'<img src="{address["network"]}" alt="network">'
        f'<img class="before" src="{address["bicubic"]}" alt="bicubic"></div>'
        f'<label>bicubic <input type="range" min="0" max="100" value="50" '
        f'aria-label="Share of bicubic, from the left, {where}"> network</label></figure>'
        f'<div class="stills">{still("truth")}{still("network")}{still("bicubic")}</div>'
    )


def _around(start: int, length: int, size: int) -> tuple[int, int]:
    """First and last + 1 of a range of at least `SIDE` samples around a patch, inside the frame."""
    wanted = min(max(length, SIDE), size)
    first = min(max(0, start + length // 2 - wanted // 2), size - wanted)
    return first, first + wanted
