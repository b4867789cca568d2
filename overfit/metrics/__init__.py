"""The one place that measures quality: PSNR of luma and RGB, SSIM, XPSNR, seams, flicker, BD-rate.

Our protocol: whole frames, every frame, nothing shaved, on the 8-bit 4:2:0 source; the rate counts
everything a viewer downloads. A clip's PSNR is the mean of its frames' (what codec papers print);
the pooled one, from the mean squared error of all frames, is given beside it because a few easy
frames lift the mean. `protocols` has the protocols of STDO and CaFM beside ours. VMAF-NEG is
`overfit.vmaf`'s.
"""

from overfit.metrics.bd_rate import RatePoint, bd_quality, bd_rate, pareto, quality_at
from overfit.metrics.flicker import FlickerReference, video_flicker
from overfit.metrics.interpolation import lanczos, lanczos_planes
from overfit.metrics.protocols import PROTOCOLS, Errors, Protocol, squares
from overfit.metrics.psnr import (
    LOSSLESS_DB,
    PEAK,
    U8,
    Planes,
    pooled_psnr,
    psnr_of,
    psnr_y,
    squared_error,
)
from overfit.metrics.rgb import RgbConversion, psnr_rgb
from overfit.metrics.seams import VERSION as SEAMS_VERSION
from overfit.metrics.seams import SeamErrors, SeamGrid
from overfit.metrics.ssim import SsimReference, ssim
from overfit.metrics.xpsnr import XpsnrReference, video_xpsnr, xpsnr_of

__all__ = [
    "LOSSLESS_DB",
    "PEAK",
    "PROTOCOLS",
    "SEAMS_VERSION",
    "U8",
    "Errors",
    "FlickerReference",
    "Planes",
    "Protocol",
    "RatePoint",
    "RgbConversion",
    "SeamErrors",
    "SeamGrid",
    "SsimReference",
    "XpsnrReference",
    "bd_quality",
    "bd_rate",
    "lanczos",
    "lanczos_planes",
    "pareto",
    "pooled_psnr",
    "psnr_of",
    "psnr_rgb",
    "psnr_y",
    "quality_at",
    "squared_error",
    "squares",
    "ssim",
    "video_flicker",
    "video_xpsnr",
    "xpsnr_of",
]
