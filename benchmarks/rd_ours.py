"""Our side: operating points, each encoded whole, measured as a viewer sees it.

    clip, OperatingPoint ──encode, jobs kept in a store──► package ──measure──► OursPoint
                                                              └─ same bytes as before? kept figures

Encodes are never kept by name: the store finds what is unchanged, so a change of the encoder shows.
Figures are kept by the package's content.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.rd_cache import Cache, Clip, Json
from benchmarks.rd_point import RdPoint, clip_figures
from client_sdk.contract import open_package
from client_sdk.contract.package import MANIFEST_FILE
from kernels.plan import PlanIR
from overfit.measurement import METHODS, Measurement, measure
from overfit.methods.plans import decoded
from overfit.metrics import SEAMS_VERSION, RatePoint
from overfit.networks import NetworkConfig, build
from overfit.package import ledger, read_settings
from overfit.scoring import VERSION as SCORES_VERSION
from overfit.video import LARGEST_CRF, Codec
from server.encoding import EncodeConfig, EncodeResult, encode
from server.encoding.graph import hash_file

PLAIN_CRFS: dict[Codec, tuple[int, int]] = {"h264": (33, 3), "av1": (50, 6)}
"""Where a curve of plain interpolation begins, and its steps."""
FINEST_PLAIN_CRF = 11


@dataclass(frozen=True)
class OperatingPoint:
    """One way to encode a clip: what is set in `EncodeConfig`, apart from files and threads."""

    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`lr_crf 33, scale 2`."""
        return ", ".join(f"{key} {value}" for key, value in self.settings.items())

    def but(self, **settings: Any) -> "OperatingPoint":
        """The same with other settings."""
        return OperatingPoint({**self.settings, **settings})


def ladder(crfs: Sequence[int], **settings: Any) -> tuple[OperatingPoint, ...]:
    """Points that differ in the rung's CRF."""
    return tuple(OperatingPoint({"lr_crf": crf, **settings}) for crf in crfs)


@dataclass(frozen=True)
class OursPoint:
    """One encode of ours.

    `total` counts all that a viewer downloads for the picture; `video` is its rung alone, with
    the PSNR-Y of the better of bicubic and Lanczos. `dense_bytes` are those of the
    networks' weights in fp32 as their training began, none pruned. `seconds` is what the encode
    took from nothing, None where any of its training was found in the store.
    """

    point: OperatingPoint
    total: RdPoint
    codec: Codec
    scale: int
    video: RatePoint
    plates: int
    plan_bytes: int
    dense_bytes: int
    seam_gap: float | None
    still_share: float
    seconds: float | None


@dataclass(frozen=True)
class Bench:
    """Where encodes and figures are kept, and how much of the machine they take."""

    cache: Cache
    store: Path
    threads: int = 0

    def ours(self, clip: Clip, point: OperatingPoint, *, vmaf: bool = True) -> OursPoint:
        """Encode and measure one point, or find what has not changed."""
        result, seconds = self._encode(clip, point)
        package = result.package
        facts = {
            "clip": clip.sha256,
            "manifest": hash_file(package / MANIFEST_FILE),
            "scores": SCORES_VERSION,
            "seams": SEAMS_VERSION,
            "vmaf": vmaf,
        }

        def make() -> Json:
            opened = open_package(package)
            return _figures(measure(opened, clip.path, vmaf=vmaf, threads=self.threads or 2))

        kept = self.cache.get("ours", facts, make)
        sizes, settings = ledger(result.manifest), read_settings(package)
        plans = [
            package / "plans" / f"{sha}.plan"
            for sha, asset in result.manifest.assets.items()
            if asset.kind == "plan"
        ]
        return OursPoint(
            point=point,
            total=RdPoint.of(clip, point.name, sizes.total, kept["network"]),
            codec=result.manifest.rungs[0].codec,
            scale=result.manifest.rungs[0].scale,
            video=RatePoint(sizes.video, max(kept[m]["psnr_y"] for m in ("bicubic", "lanczos"))),
            plates=sum(asset.kind == "plate" for asset in result.manifest.assets.values()),
            plan_bytes=sizes.plans,
            dense_bytes=sum(
                dense_bytes(settings, plan)
                for plan in decoded([plan.read_bytes() for plan in plans])
            ),
            seam_gap=kept["seam_gap"],
            still_share=kept["still_share"],
            seconds=seconds,
        )

    def _encode(self, clip: Clip, point: OperatingPoint) -> tuple[EncodeResult, float | None]:
        """The encode, and the seconds of one from nothing."""
        facts = {"clip": clip.sha256, "settings": point.settings}
        output = self.cache.path("packages", facts, ".crisp")
        # A killed encode goes on from its checkpoint: the time of the rest is not that of all.
        begun = output.with_suffix(".begun")
        resumed = begun.exists()
        begun.touch()
        config = EncodeConfig(
            clip.path,
            output,
            store=self.store,
            threads=self.threads,
            force=True,
            chroma="off",  # what is measured is luma, which no byte of chroma serves
            **point.settings,
        )
        started = time.monotonic()
        result = encode(config)
        seconds = time.monotonic() - started
        begun.unlink()
        learned = {"rung", "trial", *(f"expert-{index}" for index in range(config.experts))}
        timed = {**facts, "manifest": hash_file(output / MANIFEST_FILE)}
        if not resumed and not learned & set(result.reused):
            kept = self.cache.get("seconds", timed, lambda: {"seconds": seconds})
        else:
            kept = self.cache.find("seconds", timed) or {"seconds": None}
        return result, kept["seconds"]

    def plain_curve(self, clip: Clip, points: Sequence[OursPoint]) -> list[RatePoint]:
        """The small video with the best interpolation and no network, around all our totals.

        It pays for its video alone. Beside the rungs of our own points that are small it has more;
        a video of its own size is none of it, and is measured against it as others are.
        """
        curve = [point.video for point in points if point.scale > 1]
        first, step = PLAIN_CRFS[points[0].codec]
        crf = min(point.point.settings.get("lr_crf", first) for point in points)
        alike = {k: v for k, v in points[0].point.settings.items() if k == "preset"}
        alike["scale"] = max(2, points[0].point.settings.get("scale", 2))
        alike["codec"] = points[0].codec

        def plain(crf: float) -> RatePoint:
            found = OperatingPoint({**alike, "method": "none", "lr_crf": crf})
            return self.ours(clip, found, vmaf=False).video

        if not curve:
            curve.append(plain(crf))
        totals = [point.total.size for point in points]
        finer, coarser = crf - step, crf + step
        while max(p.rate for p in curve) < max(totals) and finer >= FINEST_PLAIN_CRF:
            curve.append(plain(finer))
            finer -= step
        while min(p.rate for p in curve) > min(totals) and coarser <= LARGEST_CRF[points[0].codec]:
            curve.append(plain(coarser))
            coarser += step
        return curve


def _figures(measured: Measurement) -> Json:
    scores = measured.scores
    seams = scores.seams.get("network")
    return {
        **{method: clip_figures(scores, method) for method in METHODS},
        "seam_gap": seams.gap if seams else None,
        "still_share": scores.still_share,
    }


def dense_bytes(settings: Mapping[str, Any], plan: PlanIR) -> int:
    """Of an expert's weights in fp32 before pruning, which took whole channels from its plan.

    `settings` are those of the encode.
    """
    inputs = plan.table.inputs
    network = NetworkConfig(
        scale=plan.table.scale,
        units=settings["plate_units" if "plate" in inputs else "units"],
        blocks=settings["blocks"],
        inputs=inputs,
    ).shaped(settings.get("network", "default"))
    layers = [layer for layer in build(network).modules() if isinstance(layer, nn.Conv2d)]
    return 4 * sum(layer.weight.numel() for layer in layers)
