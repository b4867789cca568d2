"""A clock that jumps while a stream is played, under the server and the client alike."""

from __future__ import annotations

import asyncio
import datetime
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiortc import clock

from client_sdk.contract import open_package
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayStats
from client_sdk.session import Session
from tests.client_sdk.tiny import write_tiny
from tests.server.serving import serving
from tests.server.test_play import offline
from tests.server.test_playback_control import Shown

PATIENCE = 60.0
DAY = 86_400.0


class Clock:
    """What `time.time` and aiortc's clock say: the time of day, by as much beside it as is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        told = time.time
        monkeypatch.setattr(time, "time", lambda: told() + self.ahead)

        class Dated(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> Dated:
                return cls.fromtimestamp(time.time(), tz)

        named = {**vars(datetime), "datetime": Dated}
        monkeypatch.setattr(clock, "datetime", SimpleNamespace(**named))

    def jump(self, seconds: float) -> None:
        self.ahead += seconds


def test_a_clock_that_jumps_disturbs_no_play(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = write_tiny(tmp_path, segments=(40, 40, 40)), tmp_path / "played.y4m"
    now, shown = Clock(monkeypatch), Shown(monkeypatch)
    shown.then(20, lambda: now.jump(400 * DAY))
    shown.then(80, lambda: now.jump(-800 * DAY))

    async def run() -> PlayStats:
        async with serving(path) as served, asyncio.timeout(PATIENCE):
            return await Session(f"{served.url}/whep/tiny", PlayOptions(out=out)).run()

    stats = asyncio.run(run())
    assert (stats.ended, stats.reconnects, stats.frames_lost) == ("end", 0, 0)
    assert shown.numbers() == list(range(120))
    assert out.read_bytes() == offline(open_package(path), tmp_path / "offline.y4m")
    assert "exception was never retrieved" not in caplog.text
