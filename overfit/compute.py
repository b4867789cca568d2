"""What a rung asks of a client: the multiply-adds of a frame, by its plans and patch maps."""

from collections.abc import Sequence
from functools import cache

from overfit.methods.plans import decoded
from overfit.package import SegmentParts


def multiply_adds(segments: Sequence[SegmentParts]) -> int:
    """Multiply-adds that a frame of the dearest segment takes; 0 where all is interpolated.

    A patch costs its area in LR samples times what its expert takes for each.
    """

    @cache
    def costs(plans: tuple[bytes, ...]) -> tuple[int, ...]:
        return (0, *(plan.multiplications for plan in decoded(plans)))

    totals = []
    for segment in segments:
        each = costs(segment.experts)
        patches = segment.patch_map.patches().tolist()
        totals.append(sum(w * h * each[expert] for _, _, w, h, expert in patches))
    return max(totals, default=0)
