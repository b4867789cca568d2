"""What an encode made, for people and as JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from client_sdk.contract import Manifest
from overfit.package import Ledger
from overfit.trial import Quality


@dataclass(frozen=True)
class RungResult:
    """One rung: its name, what it gains on every frame, the bytes of a viewer of it."""

    name: str
    quality: Quality
    sizes: Ledger


@dataclass(frozen=True)
class EncodeResult:
    """What an encode made, rung by rung; `seconds` is the time it took."""

    package: Path
    manifest: Manifest
    rungs: tuple[RungResult, ...]
    seconds: float
    reused: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Sentences about what did not go as it was meant."""

    @property
    def quality(self) -> Quality:
        """Of the first rung."""
        return self.rungs[0].quality

    @property
    def sizes(self) -> Ledger:
        """Of the first rung."""
        return self.rungs[0].sizes

    @property
    def minutes_per_minute(self) -> float:
        """Minutes that a minute of video took; jobs that were found done took none."""
        source = self.manifest.source
        return float(self.seconds * source.rate / source.frames)

    def to_json(self) -> dict[str, Any]:
        """The figures, as `crispcast encode --json` prints them."""
        manifest = self.manifest
        kinds = [asset.kind for asset in manifest.assets.values()]
        return {
            "package": str(self.package),
            "id": manifest.id,
            "frames": manifest.source.frames,
            "segments": len(manifest.segments),
            "experts": kinds.count("plan"),
            "plates": kinds.count("plate"),
            "chroma_plates": kinds.count("chroma"),
            "canvases": sum(asset.canvas is not None for asset in manifest.assets.values()),
            "psnr_y": self.quality.psnr_y,
            "psnr_y_bicubic": self.quality.psnr_y_bicubic,
            "psnr_y_lanczos": self.quality.psnr_y_lanczos,
            "kbps_video": self.sizes.kbps(self.sizes.video, manifest),
            "kbps_total": self.sizes.kbps(self.sizes.total, manifest),
            "bytes": asdict(self.sizes),
            "rungs": [self._rung_json(rung) for rung in self.rungs],
            "seconds": round(self.seconds, 2),
            "minutes_per_minute": round(self.minutes_per_minute, 3),
            "jobs_reused": list(self.reused),
            "method": manifest.method.name,
            "notes": list(self.notes),
        }

    def _rung_json(self, rung: RungResult) -> dict[str, Any]:
        return {
            "name": rung.name,
            "psnr_y": rung.quality.psnr_y,
            "psnr_y_bicubic": rung.quality.psnr_y_bicubic,
            "kbps_video": rung.sizes.kbps(rung.sizes.video, self.manifest),
            "kbps_total": rung.sizes.kbps(rung.sizes.total, self.manifest),
        }

    def summary(self) -> str:
        """A line of the whole and one for each rung, for people."""
        found = f", {len(self.reused)} jobs found done" if self.reused else ""
        whole = (
            f"{self.package}: {self.manifest.source.frames} frames in {self.seconds:.0f} s, "
            f"{self.minutes_per_minute:.3g} minutes a minute of video{found}"
        )
        return "\n".join([whole, *(self._line(rung) for rung in self.rungs), *self.notes])

    def _line(self, rung: RungResult) -> str:
        quality, sizes = rung.quality, rung.sizes
        total = sizes.kbps(sizes.total, self.manifest)
        name = f"{rung.name}: " if len(self.rungs) > 1 else ""
        return (
            f"{name}PSNR-Y {quality.psnr_y:.2f} dB (bicubic {quality.psnr_y_bicubic:.2f}, Lanczos "
            f"{quality.psnr_y_lanczos:.2f}) at {total:.0f} kb/s: {sizes.video} bytes of video, "
            f"{sizes.total - sizes.video} of plans, plates and maps"
        )
