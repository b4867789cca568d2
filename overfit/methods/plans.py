"""Plans of experts that share a network: as differences, where that is smaller."""

from __future__ import annotations

from collections.abc import Sequence

from kernels.compiler import base_id, base_of, compile_module, decode_plan
from kernels.plan import PlanIR
from overfit.networks import Expert


def family_plans(
    networks: Sequence[Expert], bits: int, shipped: bytes | None = None
) -> list[bytes]:
    """The wire plans of experts that share a network, in the form that is smallest altogether.

    One of: full plans, with their channels in the best order; a full plan and differences to it (or
    full plans, where those are smaller); differences to `shipped`, a base that every client has.
    `bits`: what the weights were rounded to.
    """
    scale = networks[0].config.scale
    whole = [compile_module(network, scale, bits) for network in networks]
    first = compile_module(networks[0], scale, bits, reorder=False)
    rest = [compile_module(network, scale, bits, base=first) for network in networks[1:]]
    forms = [whole, [first, *(min(pair, key=len) for pair in zip(rest, whole[1:], strict=True))]]
    if shipped is not None:
        forms.append([compile_module(network, scale, bits, base=shipped) for network in networks])
    return min(forms, key=lambda form: sum(map(len, form)))


def decoded(plans: Sequence[bytes]) -> list[PlanIR]:
    """The plans in memory; differences are to each other or to shipped bases."""
    by_id = {base_id(plan): plan for plan in plans}
    found = []
    for plan in plans:
        identity = base_of(plan)
        found.append(decode_plan(plan, None if identity is None else by_id.get(identity)))
    return found


def base_among(plan: bytes, plans: Sequence[bytes]) -> bytes | None:
    """Which of `plans` a plan is a difference to; None where it is to none of them."""
    identity = base_of(plan)
    if identity is None:
        return None
    return next((other for other in plans if base_id(other) == identity), None)
