"""Which frame is which, and which are shown: what recordings of plays do not tell by themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_sdk.contract.sei import FrameIdentity, build_payload
from client_sdk.core import Result, Session
from tests.conformance.core_face import planes_of
from tests.conformance.package import PACKAGE_ID, Drawn, draw, frame

TICKS = 3600  # of a frame at 25 a second
RATES = st.sampled_from([(24, 1), (25, 1), (30000, 1001), (60000, 1001), (120, 1), (25, 2)])


class Play:
    """Frames of a play, by the number of each among those that came."""

    def __init__(self, drawn: Drawn) -> None:
        rung = drawn.manifest.rungs[0]
        self._lr = planes_of(frame(0, rung.width, rung.height), rung.width, rung.height)
        self.session = Session(threads=1, plain=True)
        self.session.connected()
        self.session.manifest(drawn.manifest_bytes)

    def come(self, at: float, number: int | None = None) -> Result:
        """A frame comes, `at` frames of time after the first; with its identity, if given."""
        time = round(at * TICKS)
        if number is not None:
            self.session.identify(time, build_payload(FrameIdentity(PACKAGE_ID, 0, number)))
        return self.session.upscale(self._lr, rtp_time=time)

    def sought(self, at: float, number: int) -> None:
        """The server says where a seek lands."""
        said = {"type": "sought", "rtp_time": round(at * TICKS), "rung": 0, "frame": number}
        self.session.message(json.dumps(said).encode())


@pytest.fixture
def play() -> Play:
    play = Play(draw(fps=(25, 1)))
    assert all(play.come(n, n).shown for n in range(5))
    return play


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw()


@settings(deadline=None)
@given(RATES, st.integers(0, 30), st.integers(0, 400), st.integers(0, (1 << 32) - 1))
def test_floored_ticks_still_give_the_right_frame(
    drawn: Drawn, rate: tuple[int, int], anchor: int, step: int, origin: int
) -> None:
    tree = json.loads(drawn.manifest_bytes)
    tree["source"]["fps"] = rate
    tree["source"]["frames"] = 500
    tree["segments"] = [{"start": 0, "frames": 500}]
    rung = tree["rungs"][0]
    rung["segments"] = rung["segments"][:1]
    session = Session(threads=1, plain=True)
    session.manifest(json.dumps(tree).encode())
    facts = drawn.manifest.rungs[0]
    half = np.zeros((facts.height // 2, facts.width // 2), np.uint8)
    lr = np.zeros((facts.height, facts.width), np.uint8), half, half

    def ticks(number: int) -> int:
        return (origin + int(number * 90_000 * rate[1] / rate[0])) % (1 << 32)

    session.identify(ticks(anchor), build_payload(FrameIdentity(PACKAGE_ID, 0, anchor)))
    assert session.upscale(lr, rtp_time=ticks(anchor + step)).frame == anchor + step


def test_the_answer_to_a_seek_before_is_passed_over(play: Play) -> None:
    play.session.seek(20)
    play.session.seek(14)
    play.sought(6, 20)
    assert not play.come(6, 20).shown
    play.sought(9, 14)
    made = play.come(9, 14)
    assert (made.shown, made.landed) == (True, True)


def test_the_sought_frame_of_the_play_before_the_jump_is_not_the_one(play: Play) -> None:
    play.session.seek(6)
    assert not any(play.come(n, n).shown for n in (5, 6))
    burst = [play.come(8 + n / 16, n).shown for n in range(7)]
    assert burst == [False] * 6 + [True]


def test_a_lost_frame_does_not_hold_the_others_back(play: Play) -> None:
    play.session.seek(20)
    play.sought(10 + 4 / 16, 20)
    assert not any(play.come(10 + n / 16, 16 + n).shown for n in range(4))
    assert play.come(11, 21).landed


def test_unknown_frames_are_held_back_too_but_not_for_ever(play: Play) -> None:
    play.session.seek(20)
    shown = [play.come(5 + n).shown for n in range(300)]
    assert not any(shown[:200])
    assert shown[-1]


@pytest.mark.parametrize("paused", [0.2, 1, 2, 40])
def test_a_frame_still_on_its_way_through_a_pause_is_known_and_none_is_taken_for_another(
    paused: float,
) -> None:
    play = Play(draw(fps=(25, 1)))
    assert play.come(0, 0).frame == 0
    assert play.come(1).frame == 1
    play.session.pause(True)
    play.session.pause(False)
    assert [play.come(n).frame for n in (2, 3)] == [2, 3]
    # What comes after the pause names itself; until then nothing is guessed.
    assert play.come(4 + paused).frame == (4 if paused < 0.5 else -1)
    assert play.come(6 + paused, 6).frame == 6
    assert play.come(7 + paused).frame == 7


def test_frames_of_before_a_pause_that_were_lost_are_not_guessed(play: Play) -> None:
    play.session.pause(True)
    play.session.pause(False)
    assert play.come(6).frame == -1  # it may be 6, or 5 after a pause of one frame


def test_lost_frames_are_counted_and_seeks_are_not_losses(play: Play) -> None:
    play.come(7, 7)
    play.session.seek(16)
    play.sought(20, 16)
    play.come(20, 16)
    play.come(23, 19)
    assert play.session.figures()["frames_lost"] == 2 + 2
    said = []
    play.session.report(1.0, 25.0, False)
    while (task := play.session.next_task(0)) is not None:
        said.append(task.data)
    assert json.loads(said[-1])["frames_lost"] == 4


def test_who_is_disconnected_knows_whether_the_play_is_over(play: Play) -> None:
    assert not play.session.disconnected()
    play.session.connected()
    # Not of this play, until the server has said where it goes on.
    assert not play.come(100, 0).shown
    over = Play(draw(fps=(25, 1)))
    over.come(23, 23)
    assert over.session.disconnected()
