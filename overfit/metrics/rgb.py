"""From Y'CbCr 4:2:0 to R'G'B', for figures in RGB and for showing pictures."""

from dataclasses import dataclass

import numpy as np

from overfit.metrics.psnr import F32, PEAK, U8, Planes, psnr_of, squared_error

# Luma weights (Kr, Kb) by ITU-T H.273 matrix coefficients; 2 is "unspecified".
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}


@dataclass(frozen=True)
class RgbConversion:
    """Y'CbCr 4:2:0 to R'G'B', by the source's own matrix and range.

    Chroma is repeated 2×2, which a viewer's filter only smooths: the same for all that is compared.

    `matrix` is H.273's MatrixCoefficients; an unspecified one is taken as BT.709 from 720 lines up
    and BT.601 below, as players do. `full_range` is VideoFullRangeFlag.
    """

    matrix: int
    full_range: bool

    def __call__(self, planes: Planes) -> U8:
        """R'G'B' code values, u8 `[h, w, 3]`, rounded and clipped."""
        import cv2  # slow to import, and only whole reports need it

        y, u, v = planes
        height, width = y.shape
        big = (u.shape[1] * 2, u.shape[0] * 2)
        cb, cr = (
            cv2.resize(c, big, interpolation=cv2.INTER_NEAREST)[:height, :width] for c in (u, v)
        )
        rgb = cv2.transform(cv2.merge((y, cb, cr)).astype(np.float32), self._matrix(height))
        np.rint(rgb, out=rgb)
        np.clip(rgb, 0, PEAK, out=rgb)
        return np.asarray(rgb, dtype=np.uint8)

    def _matrix(self, height: int) -> F32:
        """[3, 4]: R', G', B' as affine functions of the codes of Y', Cb, Cr."""
        kr, kb = _LUMA_WEIGHTS.get(self.matrix) or _LUMA_WEIGHTS[1 if height >= 720 else 6]
        kg = 1 - kr - kb
        luma, chroma = (1.0, 1.0) if self.full_range else (255 / 219, 255 / 224)
        linear = np.array(
            [
                [luma, 0, chroma * 2 * (1 - kr)],
                [
                    luma,
                    -chroma * 2 * (1 - kb) * kb / kg,
                    -chroma * 2 * (1 - kr) * kr / kg,
                ],
                [luma, chroma * 2 * (1 - kb), 0],
            ]
        )
        black = np.array([0 if self.full_range else 16, 128, 128])
        return np.column_stack((linear, -linear @ black)).astype(np.float32)


def psnr_rgb(a: U8, b: U8) -> float:
    """PSNR in dB of two pictures of one `RgbConversion`, `[h, w, 3]`, pooled over channels."""
    return psnr_of(squared_error(a, b), a.size)
