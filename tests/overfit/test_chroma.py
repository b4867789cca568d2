"""Chroma is made for the pieces of plates where it pays, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from client_sdk.contract.plate import decode_chroma
from kernels.chroma import shrink
from overfit.chroma import ChromaConfig, Coloured, make_chroma
from overfit.plate_pieces import regions

SCALE, WIDTH, HEIGHT = 2, 576, 288
CONFIG = ChromaConfig(qualities=(40, 70), tolerances=(9, 27, 60))
PIECES = tuple((region, f"{index}" * 64) for index, region in enumerate(regions(WIDTH, HEIGHT)))


def coloured(chroma: np.ndarray, noise: float = 0.0, frames: int = 3) -> Coloured:
    """Frames of this chroma, u8 [frames or 1, 2, HEIGHT / 2, WIDTH / 2], their LR with noise."""
    truth = np.broadcast_to(chroma, (frames, *chroma.shape[1:])).copy()
    rng = np.random.default_rng(4)
    small = np.stack([[shrink(plane, SCALE) for plane in pair] for pair in truth]).astype(float)
    low = np.clip(small + rng.normal(0, noise, small.shape), 0, 255).round().astype(np.uint8)
    return Coloured(PIECES, truth, truth, low, 40.0 * frames * WIDTH * HEIGHT, 250, 300_000)


def place() -> np.ndarray:
    """Colours a sample wide in the left piece, none in the right, u8 [1, 2, h, w]."""
    rng = np.random.default_rng(1)
    chroma = np.full((1, 2, HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    chroma[..., : WIDTH // 4] = rng.choice([70, 128, 180], (1, 2, HEIGHT // 2, WIDTH // 4))
    return chroma


def test_it_is_made_where_the_colour_is() -> None:
    made = make_chroma([coloured(place())], SCALE, CONFIG)
    assert made is not None
    assert len(PIECES) == 2
    assert list(made.pieces) == [PIECES[0]]
    (x, y, width, height), _ = PIECES[0]
    planes = decode_chroma(made.pieces[PIECES[0]], width, height)
    wanted = place()[0, :, y : y + height // 2, x : x + width // 2]
    assert np.abs(planes.astype(int) - wanted).mean() < 12


def test_more_noise_asks_for_more_tolerance() -> None:
    found = [make_chroma([coloured(place(), noise)], SCALE, CONFIG) for noise in (0.0, 12.0)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].tolerance < found[1].tolerance


def test_grey_and_what_moves_get_none() -> None:
    grey = np.full((1, 2, HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    assert make_chroma([coloured(grey)], SCALE, CONFIG) is None
    gone = np.random.default_rng(2).integers(40, 216, (1, 2, HEIGHT // 48, WIDTH // 48))
    left = gone.astype(np.uint8).repeat(24, 2).repeat(24, 3)  # the plate's, and no frame's
    assert make_chroma([replace(coloured(place()), samples=left)], SCALE, CONFIG) is None


def test_bytes_that_the_video_could_use_better_are_not_spent() -> None:
    plate = coloured(place())
    assert make_chroma([plate], SCALE, CONFIG) is not None
    # A video of few bytes, whose luma is poor, gains more by them.
    poor = replace(plate, bytes=300, luma_left=100 * plate.luma_left)
    assert make_chroma([poor], SCALE, CONFIG) is None


def test_a_piece_of_an_earlier_plate_is_not_coded_again() -> None:
    other = coloured(np.clip(place().astype(int) + 5, 0, 255).astype(np.uint8))
    own = ((PIECES[0][0], "f" * 64), PIECES[1])

    def both(second: Coloured) -> Iterator[Coloured]:
        yield coloured(place())
        yield second

    shared = make_chroma(both(other), SCALE, CONFIG)
    apart = make_chroma(both(replace(other, pieces=own)), SCALE, CONFIG)
    assert shared is not None
    assert apart is not None
    assert list(shared.pieces) == [PIECES[0]]
    assert set(apart.pieces) == {PIECES[0], own[0]}


@pytest.mark.parametrize("scale", [1, 3])
def test_every_scale_has_it(scale: int) -> None:
    plate = coloured(place())
    low = np.stack([[shrink(plane, scale) for plane in pair] for pair in plate.truth])
    made = make_chroma([replace(plate, low=low)], scale, CONFIG)
    # At scale 1 there is no detail to win, only noise, of which there is none.
    assert (made is None) == (scale == 1)
