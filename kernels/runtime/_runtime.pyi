from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
View = Sequence[int] | npt.NDArray[np.int32]
"""x and y of the HR frame's corners in a canvas, in 1/16 samples, clockwise from the top left."""

class Plan:
    """A wire plan, checked and prepared. Immutable; threads and engines may share it."""

    def __init__(self, wire: bytes, base: bytes | None = None) -> None:
        """base: the wire plan that a difference is to; a full plan ignores it.

        Raises PlanError for any bytes that docs/plan-format.md refuses.
        """

    @property
    def scale(self) -> int:
        """HR size / LR size: 1, 2, 3 or 4."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Those of "luma", "previous", "plate" that the plan takes, in this order."""

    @property
    def radius(self) -> int:
        """Receptive radius in LR pixels, without the 2 of the bicubic base."""

    @property
    def layers(self) -> int:
        """Convolutions."""

    @property
    def taps(self) -> int:
        """Surviving taps, each shared by a block of output channels."""

    @property
    def weights(self) -> int:
        """Weights of the surviving taps."""

    @property
    def density(self) -> float:
        """weights / weights without pruning."""

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-adds for each LR pixel, on surviving taps."""

    @property
    def working_bytes(self) -> int:
        """Memory for rows that each thread of an engine holds for this plan."""

class Plate:
    """A still high-resolution picture of the place, unshuffled once into scale^2 LR planes."""

    def __init__(self, luma: Plane, scale: int) -> None:
        """luma: u8 [scale * LR height, scale * LR width], copied. Raises PlanError."""

    @property
    def scale(self) -> int:
        """HR size / LR size."""

    @property
    def width(self) -> int:
        """LR width."""

    @property
    def height(self) -> int:
        """LR height."""

class ChromaPlate:
    """The chroma of a plate (docs/chroma.md). Immutable; threads may share it."""

    def __init__(self, u: Plane, v: Plane, scale: int, tolerance: int) -> None:
        """u, v: u8 [scale * LR chroma height, scale * LR chroma width], copied.

        Code 0 of U: no plate there. tolerance: 1 to 2295, how far the sum of nine LR samples may be
        off for the plate to be taken whole. Raises PlanError.
        """

    @property
    def scale(self) -> int:
        """HR size / LR size."""

    @property
    def width(self) -> int:
        """Of the LR's chroma."""

    @property
    def height(self) -> int:
        """Of the LR's chroma."""

class Canvas:
    """A plate larger than the frame (docs/canvas.md). Immutable; threads may share it."""

    def __init__(self, luma: Plane) -> None:
        """luma: u8 [height, width], up to 16384 a side, copied. Raises PlanError."""

    @property
    def width(self) -> int:
        """In samples."""

    @property
    def height(self) -> int:
        """In samples."""

    def render(
        self,
        view: View,
        frame_width: int,
        frame_height: int,
        x: int = 0,
        y: int = 0,
        width: int | None = None,
        height: int | None = None,
    ) -> Plane:
        """The plate that an HR frame sees through `view`, or a rectangle of it: u8 [height, width].

        Raises PlanError where the view or the rectangle is refused.
        """

class Engine:
    """Threads and their row memory for one instruction set.

    Calls from several threads are safe and run one after the other.
    """

    def __init__(self, threads: int = 0, isa: str = "auto") -> None:
        """threads: 0 for all usable cores, up to 256. isa: "auto" or one of available_isas().

        Raises PlanError.
        """

    @property
    def isa(self) -> str:
        """The instruction set in use."""

    @property
    def threads(self) -> int:
        """Threads in use, the caller's among them."""

    @property
    def bytes(self) -> int:
        """Memory held now, all threads."""

    def upscale(
        self,
        lr: Sequence[Plane],
        scale: int,
        *,
        previous: Plane | None = None,
        patches: npt.NDArray[np.int32] | None = None,
        plans: Sequence[Plan | None] = (),
        plate: Plate | None = None,
        canvas: Canvas | None = None,
        view: View | None = None,
        chroma: ChromaPlate | None = None,
        out: Sequence[Plane] | None = None,
    ) -> Planes:
        """Upscale one frame; the GIL is released meanwhile.

        lr: Y u8 [h, w], U and V u8 [ceil(h/2), ceil(w/2)]; rows may be strided, not copied.
        previous: luma of the frame before, u8 [h, w]; None: the frame's own.
        patches: i32 [n, 5] of x, y, width, height in LR luma pixels and the expert; they must tile
        the frame. None: the whole frame by expert 1, or by 0 without plans.
        plans: plans[i] is expert i + 1; expert 0 and None are bicubic interpolation.
        plate: of the same LR size and scale; None: code 128.
        canvas, view: both or neither, instead of a plate.
        chroma: of the same LR size and scale; None: chroma is interpolated.
        out: planes to write and return, else new ones: Y u8 [scale*h, scale*w], U and V u8
        [ceil(scale*h/2), ceil(scale*w/2)]. They must not overlap the inputs.
        Raises PlanError where a size, type, stride, patch or plan does not fit.
        """

def available_isas() -> tuple[str, ...]:
    """Instruction sets of this build and machine, slowest first; "portable" is always there."""

def decode_patch_map(
    record: bytes, width: int, height: int, max_expert: int
) -> npt.NDArray[np.int32]:
    """The patches of a record of a patch map (docs/patch-maps.md), as `Engine.upscale` takes them.

    width, height: luma of the LR frame. max_expert: the number of experts of the segment, up to 64.
    Returns i32 [n, 5] of x, y, width, height, expert. Raises PlanError for any bytes that the
    format refuses.
    """

compiler: str
"""Name and version of the compiler that built the runtime."""

def version() -> str:
    """The runtime's version."""
