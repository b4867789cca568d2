"""What operators ask of a server: health, figures, logs, and an end that hurts nobody."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from server.logs import JsonLines, TextLines, ViewerLog, set_up_logs
from server.settings import Settings
from tests.server.serving import Reply, serving
from tests.server.test_http import SDP_HEADERS, get, offer

ROOT = Path(__file__).parents[2]


def figures(reply: Reply) -> dict[str, float]:
    """Prometheus' text format, by name and labels."""
    lines = [line for line in reply.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_tell_what_was_played(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served, asyncio.timeout(60):
            stats = await Session(f"{served.url}/whep/tiny", PlayOptions()).run()
            await served.viewers.all_gone.wait()
            told = figures(await served.ask("GET", "/metrics"))
            assert told["crispcast_sessions_total"] == 1
            assert told["crispcast_frames_sent_total"] == stats.frames
            assert told["crispcast_asset_bytes_sent_total"] >= stats.plan_bytes > 0
            assert told["crispcast_viewers"] == 0
            assert told["crispcast_connect_seconds_count"] == 1
            assert told["process_open_fds"] > 0
            ends = {name for name in told if name.startswith("crispcast_sessions_ended_total")}
            assert ends == {'crispcast_sessions_ended_total{reason="left"}'}

    asyncio.run(run())


def test_metrics_have_no_series_for_a_viewer_or_a_path(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            answer = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            session = answer.headers["Location"]
            for path in ("/whep/tiny", "/whep/other", "/nowhere/secret", session):
                await served.ask("GET", path)
            await served.ask("BREW", "/whep/tiny")
            reply = await served.ask("GET", "/metrics")
            await served.ask("DELETE", session)
        text = reply.body.decode()
        assert session.rsplit("/", 1)[1] not in text
        assert "tiny" not in text
        assert "secret" not in text
        assert "BREW" not in text
        told = figures(reply)
        post = 'crispcast_http_requests_total{method="POST",route="/whep/{name}",status="201"}'
        assert told[post] == 1
        assert told["crispcast_viewers"] == 1

    asyncio.run(run())


def test_metrics_can_be_switched_off(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(metrics=False)) as served:
            assert (await served.ask("GET", "/metrics")).status == 404

    asyncio.run(run())
    assert get(tiny_path, "/metrics").headers["Content-Type"].startswith("text/plain; version=")


def test_while_draining_nobody_new_is_taken_and_those_here_may_finish(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            answer = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            draining = asyncio.create_task(served.viewers.drain(30))
            await asyncio.sleep(0)
            assert (await served.ask("GET", "/readyz")).status == 503
            assert (await served.ask("GET", "/healthz")).status == 200
            refused = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            assert refused.status == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert "about to stop" in json.loads(refused.body)["detail"]
            assert not draining.done()
            await served.ask("DELETE", answer.headers["Location"])
            await asyncio.wait_for(draining, 5)

    asyncio.run(run())


def test_draining_ends_though_a_viewer_stays(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            await asyncio.wait_for(served.viewers.drain(0.05), 5)
            assert served.viewers.count == 1
        assert served.viewers.count == 0

    asyncio.run(run())


def test_sigterm_drains_the_process_and_ends_it_well(tiny_path: Path) -> None:
    command = [sys.executable, "-m", "crispcast", "serve", str(tiny_path), "--port", "0"]
    environment = {**os.environ, "CRISPCAST_LOG_FORMAT": "json", "CRISPCAST_LOG_LEVEL": "info"}
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().decode().strip()
        sdp = asyncio.run(offer())
        with urllib.request.urlopen(
            urllib.request.Request(url, sdp, SDP_HEADERS, method="POST"), timeout=20
        ) as answer:
            session = url.removesuffix("/whep/tiny") + answer.headers["Location"]
        process.send_signal(signal.SIGTERM)
        lines = iter(process.stderr)
        begun = next(line for line in logged(lines) if "draining" in line["message"])
        assert "1 viewers" in begun["message"]
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(url.removesuffix("/whep/tiny") + "/readyz", timeout=20)
        urllib.request.urlopen(urllib.request.Request(session, method="DELETE"), timeout=20)
        assert process.wait(20) == 0
        left = next(line for line in logged(lines) if "over" in line["message"])
        assert left["package"] == "tiny"
        assert len(left["viewer"]) == 8
        assert left["viewer"] not in session
    finally:
        process.kill()
        process.communicate()


def logged(lines: Iterator[bytes]) -> Iterator[dict[str, str]]:
    """The JSON objects of a log; what the command line says for people is passed over."""
    return (json.loads(line) for line in lines if line.startswith(b"{"))


@pytest.fixture
def log_text() -> Iterator[tuple[io.StringIO, logging.Handler]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("crispcast.server")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream, handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_log_line_is_one_line_and_names_its_viewer(
    log_text: tuple[io.StringIO, logging.Handler],
) -> None:
    stream, handler = log_text
    viewer = ViewerLog("0a1b2c3d", "holiday")
    handler.setFormatter(JsonLines())
    viewer.warning("said %s", "one\ntwo \x1b[31m")
    line = json.loads(stream.getvalue())
    assert stream.getvalue().count("\n") == 1
    assert (line["viewer"], line["package"], line["level"]) == ("0a1b2c3d", "holiday", "warning")
    assert line["message"].startswith("said one\ntwo")
    assert line["time"].endswith("Z")
    stream.seek(0)
    stream.truncate()
    handler.setFormatter(TextLines())
    viewer.warning("said %s", "one\ntwo")
    assert stream.getvalue() == "warning: said one\\x0atwo [viewer=0a1b2c3d package=holiday]\n"


def test_a_fault_is_logged_with_where_it_was(
    log_text: tuple[io.StringIO, logging.Handler],
) -> None:
    stream, handler = log_text
    handler.setFormatter(JsonLines())
    try:
        raise ValueError("bad")
    except ValueError:
        ViewerLog("0a1b2c3d", "holiday").exception("it failed")
    assert "ValueError: bad" in json.loads(stream.getvalue())["error"]


def test_the_level_is_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    monkeypatch.setattr(root, "level", root.level)
    for name in ("crispcast", "uvicorn"):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "level", logger.level)
    set_up_logs(Settings(log_level="info", log_format="json"))
    assert logging.getLogger("crispcast.server").isEnabledFor(logging.INFO)
    assert not logging.getLogger("aioice").isEnabledFor(logging.INFO)
    assert isinstance(root.handlers[0].formatter, JsonLines)
