"""A shorter plan in the shape of a longer one, so that it can be a difference to it.

    base    head ─ a ─ b ─ c ─ d ─ tail            head ─ a ─ b ─────────── tail
                                          becomes              └ c ─ d
    plan    head ─ a ─ b ─ tail

A difference has as many layers as its base. Layers that the plan lacks are put in as they are in
the base, which costs next to no bytes; as nothing reads what they make, nobody computes them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kernels.plan import LayerNumbers, LayerSpec, PlanIR, PlanTable

_FAR = 1e9


def embedded(plan: PlanIR, base: PlanIR) -> PlanIR | None:
    """`plan` with the layers of `base` that it lacks; None where it does not fit in."""
    if plan.inputs != base.inputs or plan.table.coded != base.table.coded:
        return None
    places = _places(plan, base)
    if places is None:
        return None
    inputs = len(plan.inputs)
    value_of = [*range(inputs), *(inputs + place for place in places)]
    specs: list[LayerSpec] = list(base.table.layers)
    numbers: list[LayerNumbers] = list(base.numbers)
    for layer, found, place in zip(plan.table.layers, plan.numbers, places, strict=True):
        specs[place] = replace(
            layer,
            sources=tuple(value_of[value] for value in layer.sources),
            residual=None if layer.residual is None else value_of[layer.residual],
        )
        numbers[place] = found
    table = PlanTable(plan.scale, plan.inputs, plan.table.bicubic, tuple(specs))
    return PlanIR(table, tuple(numbers))


def _places(plan: PlanIR, base: PlanIR) -> list[int] | None:
    """Which layer of `base` stands for each of the plan's: in order, the last for the last.

    Of all ways, the one in which they are most alike.
    """
    rows, columns = len(plan.numbers), len(base.numbers)
    if rows > columns:
        return None
    best = np.full((rows + 1, columns + 1), _FAR)
    best[0] = 0
    for row in range(1, rows + 1):
        for column in range(row, columns + 1):
            matched = best[row - 1, column - 1] + _distance(plan, row - 1, base, column - 1)
            best[row, column] = min(matched, best[row, column - 1] if row < rows else _FAR)
    if best[rows, columns] >= _FAR:
        return None
    places, column = [], columns
    for row in range(rows, 0, -1):
        while row < rows and best[row, column] == best[row, column - 1]:
            column -= 1
        column -= 1
        places.append(column)
    return places[::-1]


def _distance(plan: PlanIR, row: int, base: PlanIR, column: int) -> float:
    """Share of the weights that differ; `_FAR` where the shapes do."""
    ours, theirs = plan.numbers[row], base.numbers[column]
    if ours.weights.shape != theirs.weights.shape:
        return _FAR
    return float((ours.weights != theirs.weights).mean())
