"""What `benchmarks.quality` reads off its rows: the keys of its JSON, and why one is null.

Rows are compared with rows of the same clip, LR, scale, network and steps.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.quality_recipe import cost_of
from benchmarks.quality_rows import Row

PAPERS = "stdo"
"""The protocol that methods of the papers are compared by, of luma."""
Pair = tuple[Row, Row]
_DYDCA_MACS = 0.6


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """All keys; `why` says of those that are null what was not measured."""
    clean = [row for row in rows if row.lr == "clean" and row.case.steps is not None]
    found: dict[str, Any] = {}
    for scale in (2, 3, 4):
        found |= _gain(rows, scale)
    found["methods_at_equal_bytes"] = by_method = equal_bytes(rows)
    found["winner"] = max(by_method, key=lambda name: by_method[name]) if by_method else None
    longest = _longest(pairs(clean, "stdo", "nas"))
    found["stdo_over_nas"] = _mean(longest, lambda stdo, nas: _papers(stdo) - _papers(nas))
    found["stdo_over_nas_curve"] = curve(clean)
    joint = pairs(clean, "stdo", "jstdo")
    found["jstdo_loss"] = _mean(joint, lambda stdo, own: _papers(stdo) - _papers(own))
    found["jstdo_bytes"] = _mean(joint, lambda stdo, own: own.plans / stdo.plans)
    found |= _dydca(clean)
    found |= training(rows)
    found["why"] = {key: _WHY[key] for key in _WHY if found.get(key) is None}
    return found


_WHY = {
    "gain_decoded_x2": "no row of decoded LR at scale 2: run --part decoded --scales 2",
    "gain_decoded_x3": "no row of decoded LR at scale 3: run --part decoded --scales 3",
    "gain_decoded_x4": "no row of decoded LR at scale 4: run --part decoded --scales 4",
    "winner": "methods were not compared on decoded LR: run --part decoded without --quick",
    "stdo_over_nas": "no pair of stdo and nas: run --part papers",
    "jstdo_loss": "no pair of stdo and jstdo: run --part papers",
    "dydca_loss": "no pair of stdo and dydca: run --part papers with a network of blocks",
    "dydca_macs": "no pair of stdo and dydca: run --part papers with a network of blocks",
    "train_flops_ratio": "the recipe was not trained, or no training of ours reached it: run "
    "--part training",
}


def _papers(row: Row) -> float:
    return row.psnr_of(PAPERS)


def _subject(row: Row) -> tuple[object, ...]:
    return row.clip, row.lr, row.scale, row.case.network


def pairs(rows: Sequence[Row], one: str, other: str) -> list[Pair]:
    """Rows of two methods that differ in nothing else; chunks only where both have some."""
    found = []
    for row in rows:
        if row.case.method != one:
            continue
        found += [
            (row, twin)
            for twin in rows
            if twin.case.method == other
            and _subject(twin) == _subject(row)
            and twin.case.steps == row.case.steps
            and (row.case.chunks == twin.case.chunks or 1 in (row.case.chunks, twin.case.chunks))
        ]
    return found


def _longest(found: Sequence[Pair]) -> list[Pair]:
    """Of each subject the pair of most steps."""
    best: dict[tuple[object, ...], Pair] = {}
    for pair in sorted(found, key=lambda pair: pair[0].case.steps or 0):
        best[_subject(pair[0])] = pair
    return list(best.values())


def _mean(found: Sequence[Pair], of: Callable[[Row, Row], float]) -> float | None:
    return statistics.fmean(of(*pair) for pair in found) if found else None


def curve(clean: Sequence[Row]) -> list[dict[str, Any]]:
    """dB of stdo over nas by network and steps: the means over what has that many steps."""
    groups: dict[tuple[str, int], list[Pair]] = {}
    for pair in pairs(clean, "stdo", "nas"):
        steps = pair[0].case.steps
        assert steps is not None
        groups.setdefault((pair[0].case.network, steps), []).append(pair)
    return [
        {
            "network": network,
            "steps": steps,
            "db": _mean(group, lambda stdo, nas: _papers(stdo) - _papers(nas)),
            "by_scale": {
                scale: _mean(
                    [pair for pair in group if pair[0].scale == scale],
                    lambda stdo, nas: _papers(stdo) - _papers(nas),
                )
                for scale in sorted({pair[0].scale for pair in group})
            },
            "of": len(group),
        }
        for (network, steps), group in sorted(groups.items())
    ]


def _dydca(clean: Sequence[Row]) -> dict[str, Any]:
    """The variant of dydca of the least loss among those with few enough multiplications."""
    variants = sorted({row.case.method for row in clean if row.case.method.startswith("dydca")})
    found = []
    for name in variants:
        both = pairs(clean, "stdo", name)
        if both:
            loss = statistics.fmean(_papers(stdo) - _papers(own) for stdo, own in both)
            macs = statistics.fmean(own.macs / stdo.macs for stdo, own in both)
            found.append((name, loss, macs))
    few = [each for each in found if each[2] <= _DYDCA_MACS]
    best = min(few or found, key=lambda each: each[1 if few else 2], default=None)
    return {
        "dydca_of": best and best[0],
        "dydca_loss": best and best[1],
        "dydca_macs": best and best[2],
        "dydca_variants": {name: {"loss": loss, "macs": macs} for name, loss, macs in found},
    }


def _gain(rows: Sequence[Row], scale: int) -> dict[str, Any]:
    """The best setting, of those that were trained on all clips."""
    key = f"gain_decoded_x{scale}"
    own = [row for row in rows if row.gain is not None and row.scale == scale]
    settings = _by(own, lambda row: f"{row.case.network} {row.case.method} {row.case.chunks}")
    best = max(settings, key=lambda name: settings[name][0], default=None)
    if best is None:
        return {key: None}
    gain, used = settings[best]
    steps = sorted({row.case.steps or 0 for row in used})
    return {
        key: gain,
        f"{key}_of": best,
        f"{key}_steps": steps,
        f"{key}_clips": {row.clip: row.gain for row in used},
        f"{key}_kbps": {row.clip: row.kbps for row in used},
    }


def equal_bytes(rows: Sequence[Row]) -> dict[str, float]:
    """dB over interpolation at equal bytes by method, of the network and steps all methods had."""
    own = [row for row in rows if row.gain is not None]
    shared: dict[tuple[str, int | None], list[Row]] = {}
    for row in own:
        shared.setdefault((row.case.network, row.case.steps), []).append(row)
    if not shared:
        return {}
    most = max(shared.values(), key=lambda group: len({row.case.method for row in group}))
    found = _by(most, lambda row: row.case.method, by_scale=True)
    return {name: gain for name, (gain, _) in found.items()} if len(found) > 1 else {}


def _by(
    rows: Iterable[Row], name_of: Callable[[Row], str], *, by_scale: bool = False
) -> dict[str, tuple[float, list[Row]]]:
    """Mean gain by name, of names that have every clip: of a clip's rows the one of most steps."""
    groups: dict[str, dict[tuple[object, ...], Row]] = {}
    for row in sorted(rows, key=lambda row: row.case.steps or 0):
        place = (row.clip, row.scale) if by_scale else (row.clip,)
        groups.setdefault(name_of(row), {})[place] = row
    places = set().union(*groups.values()) if groups else set()
    return {
        name: (statistics.fmean(row.gain or 0.0 for row in group.values()), list(group.values()))
        for name, group in groups.items()
        if set(group) == places
    }


def training(rows: Sequence[Row]) -> dict[str, Any]:
    """FLOPs of the papers' recipe by those of ours at its PSNR, for each subject and in the mean.

    The mean is geometric; a subject that ours did not reach is told and left out.
    """
    found = []
    for row in rows:
        if row.case.steps is not None or row.case.method != "awdnn":
            continue
        ladder = [
            (other.flops, _papers(other))
            for other in rows
            if _subject(other) == _subject(row)
            and other.case.steps is not None
            and other.case.method == row.case.method
        ]
        cost = cost_of(_papers(row), ladder)
        found.append(
            {
                "clip": row.clip,
                "scale": row.scale,
                "network": row.case.network,
                "recipe_db": _papers(row),
                "recipe_tflop": row.flops / 1e12,
                "ours_tflop": None if cost is None else cost / 1e12,
                "ratio": None if cost is None else row.flops / cost,
                "ladder": [{"tflop": cost / 1e12, "db": db} for cost, db in sorted(ladder)],
            }
        )
    ratios = [each["ratio"] for each in found if isinstance(each["ratio"], float)]
    return {
        "train_flops_ratio": statistics.geometric_mean(ratios) if ratios else None,
        "train_flops": found,
    }
