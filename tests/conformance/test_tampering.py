"""Nothing is shown that is not of the manifest, whatever becomes of it on its way; a short form.

`python -m benchmarks.reliability --only tampering` plays ten thousand.
"""

from __future__ import annotations

import pytest

from benchmarks.reliability_tampering import Shown, blind, in_python
from tests.conformance.core_face import CoreFace
from tests.conformance.tampering import Tamperer

PLAYS = 60


@pytest.fixture(scope="module")
def tamperer(tmp_path_factory: pytest.TempPathFactory) -> Tamperer:
    return Tamperer(tmp_path_factory.mktemp("tampering"))


def test_nothing_of_others_is_shown(tamperer: Tamperer) -> None:
    shown = Shown(tamperer, in_python(CoreFace))
    assert shown.own > 50
    assert shown.wrong([tamperer.tampered(seed) for seed in range(PLAYS)]) == []


def test_a_forged_manifest_is_not_played_by_who_trusts_a_key(tamperer: Tamperer) -> None:
    player = in_python(CoreFace)
    shown = Shown(tamperer, player)
    forged = [tamperer.forged(seed) for seed in range(20)]
    assert shown.wrong(forged) == []
    # Plays like these are interpolated; signed by the owner, they are not.
    pictures = {*player(forged)} - {""}
    assert len(pictures) == 1
    assert pictures.isdisjoint(player([tamperer.signed()]))


def test_a_client_that_believed_anything_would_show_it(tamperer: Tamperer) -> None:
    shown = Shown(tamperer, in_python(CoreFace))
    plays = [tamperer.tampered(seed) for seed in range(PLAYS)]
    assert shown.wrong(plays, blind)


def test_a_seed_is_a_play(tamperer: Tamperer) -> None:
    assert tamperer.tampered(7) == tamperer.tampered(7)
    assert len({tamperer.tampered(seed).kind for seed in range(40)}) > 10
