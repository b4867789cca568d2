"""What the benchmark of reliability makes of its parts."""

from __future__ import annotations

from benchmarks.reliability import PARTS, part_named, told


def test_a_figure_beyond_its_bound_is_told_as_missed() -> None:
    targets = {"lost_seconds": ("<=", 20.0), "local_scaling": (">=", 1.8)}
    lines = told({"lost_seconds": 21.5, "local_scaling": 1.9, "clip": "juggle", "runs": 3}, targets)
    assert lines == [
        "lost_seconds: 21.5  (aim: <= 20, MISSED)",
        "local_scaling: 1.9  (aim: >= 1.8)",
        "runs: 3",
    ]


def test_every_part_says_what_it_aims_at_and_no_two_the_same() -> None:
    parts = [part_named(name) for name in PARTS]
    aims = [aim for part in parts for aim in part.TARGETS]
    assert all(callable(part.measure) for part in parts)
    assert len(aims) == len(set(aims))
