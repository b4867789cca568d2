"""The browser player's modules show nothing that is not of the manifest; in Node."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reliability_tampering import Shown, in_node
from tests.conformance.tampering import Tamperer

PLAYS = 60


def test_nothing_of_others_is_shown(node: list[str], modules: Path, tmp_path: Path) -> None:
    tamperer = Tamperer(tmp_path)
    shown = Shown(tamperer, in_node(node[0], modules))
    assert shown.own > 50
    assert shown.wrong([tamperer.tampered(seed) for seed in range(PLAYS)]) == []
