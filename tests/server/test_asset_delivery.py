"""Plans and plates by data channel and by HTTP: either brings the same bytes, or the other does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from client_sdk.cache import AssetCache
from client_sdk.contract import MANIFEST_FILE, Package, asset_file, open_package
from client_sdk.contract.asset_frames import AssetFrame
from client_sdk.contract.control import Wanted
from client_sdk.http_assets import HttpAssets
from client_sdk.play_options import PlayOptions, Preference, check_preference
from kernels import bases
from kernels.compiler import base_id, decode_plan, encode_plan
from kernels.errors import StreamError
from server.settings import Settings
from tests.client_sdk.tiny import SEGMENTS, sha, write_tiny
from tests.kernels.plans import moved
from tests.server.test_play import PATIENCE, offline, play

FRAMES = sum(SEGMENTS)
WAYS: tuple[Preference, ...] = ("auto", "channel", "http")
DATA = bytes(range(256)) * 400  # 100 KiB
TOKEN = "t0ken-of-sixteen-letters"


@pytest.mark.parametrize("way", WAYS)
def test_whatever_the_way_the_same_frames_are_played(
    tiny_path: Path, tmp_path: Path, way: Preference
) -> None:
    out = tmp_path / "played.y4m"
    stats = play(tiny_path, PlayOptions(out=out, delivery=way))
    assert out.read_bytes() == offline(open_package(tiny_path), tmp_path / "offline.y4m")
    assert (stats.frames_sr, stats.late_plans, stats.wrong_assets) == (FRAMES, 0, 0)
    size = sum(open_package(tiny_path).manifest.size_of(0).values())
    assert stats.plan_bytes == size
    # The tiny package has no asset that is large.
    assert stats.http_bytes == (size if way == "http" else 0)


def test_large_assets_come_by_http_where_it_is_automatic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client_sdk.playback.HTTP_FROM", 300)
    path = write_tiny(tmp_path, segments=(40, 40))
    sizes = open_package(path).manifest.size_of(0).values()
    stats = play(path, PlayOptions())
    assert stats.http_bytes == sum(size for size in sizes if size >= 300) > 0
    assert stats.plan_bytes == sum(sizes)


def test_a_token_opens_assets_over_http_too(tiny_path: Path) -> None:
    settings = Settings.model_validate({"tokens": (f"tiny={TOKEN}",)})
    stats = play(tiny_path, PlayOptions(delivery="http", token=TOKEN), settings)
    assert stats.http_bytes == stats.plan_bytes > 0


def test_what_http_does_not_give_comes_by_the_channel(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.catalogue.Catalogue.packages_with", lambda self, sha256: [])
    stats = play(tiny_path, PlayOptions(delivery="http"))
    assert (stats.frames, stats.frames_sr, stats.http_bytes) == (FRAMES, FRAMES, 0)


def test_what_the_channel_does_not_bring_comes_by_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.delivery.Delivery.want", lambda self, message: None)
    # Its patience is four seconds of this clock.
    monkeypatch.setattr(
        "client_sdk.upscaling_thread._milliseconds", lambda: int(time.monotonic() * 13_000)
    )
    path = write_tiny(tmp_path, segments=(40, 40))
    stats = play(path, PlayOptions(delivery="channel"))
    assert stats.http_bytes == stats.plan_bytes
    assert stats.frames_sr > 40


@pytest.mark.parametrize("way", WAYS)
def test_a_difference_to_a_shipped_base_is_all_that_is_sent_of_a_plan(
    tiny: Package, tiny_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Preference
) -> None:
    whole = tiny.asset(tiny.manifest.rungs[0].segments[0].experts[0])
    base = encode_plan(moved(decode_plan(whole)))
    wire = encode_plan(decode_plan(whole), base)
    tree = json.loads(tiny.manifest.to_bytes().decode().replace(sha(whole), sha(wire)))
    tree["assets"][sha(wire)]["bytes"] = len(wire)
    (tiny_copy / asset_file(sha(wire), "plan")).write_bytes(wire)
    (tiny_copy / MANIFEST_FILE).write_text(json.dumps(tree))
    monkeypatch.setattr(bases, "find", {base_id(base): base}.get)
    out = tmp_path / "played.y4m"
    name = tiny_copy.name.removesuffix(".crisp")
    stats = play(tiny_copy, PlayOptions(out=out, delivery=way), name=name)
    # What is shown is what the whole plans show.
    assert out.read_bytes() == offline(tiny, tmp_path / "offline.y4m")
    assert stats.frames_sr == FRAMES
    saved = len(whole) - len(wire)
    assert saved > 0
    assert stats.plan_bytes == sum(tiny.manifest.size_of(0).values()) - saved


def test_another_way_is_no_way() -> None:
    with pytest.raises(StreamError, match="none of auto, channel and http"):
        check_preference("pigeon")


@pytest.mark.parametrize("way", WAYS)
def test_the_cache_on_disk_serves_the_next_play_whatever_the_way(
    tiny_path: Path, tmp_path: Path, way: Preference
) -> None:
    first = play(tiny_path, PlayOptions(cache=tmp_path / "cache", delivery=way))
    again = play(tiny_path, PlayOptions(cache=tmp_path / "cache", delivery=way))
    assert (first.cached_bytes, again.plan_bytes) == (0, 0)
    assert again.cached_bytes == first.plan_bytes
    assert again.frames_sr == FRAMES


def test_a_cache_keeps_its_limit_while_it_plays(tiny_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    stats = play(tiny_path, PlayOptions(cache=folder, cache_limit=1500))
    assert stats.frames_sr == FRAMES
    held = [path.stat().st_size for path in folder.iterdir()]
    assert 0 < sum(held) <= 1500 < stats.plan_bytes


def test_what_lies_damaged_in_the_cache_is_fetched_anew(tiny_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    play(tiny_path, PlayOptions(cache=folder))
    for path in folder.iterdir():
        path.write_bytes(b"?" * path.stat().st_size)
    stats = play(tiny_path, PlayOptions(cache=folder))
    assert stats.cached_bytes == 0
    assert stats.frames_sr == FRAMES
    assert all(AssetCache(folder).get(path.name) for path in folder.iterdir())


# -- HTTP alone, against servers that misbehave -----------------------------------------------


class Misbehaving(BaseHTTPRequestHandler):
    """Answers by what its server's `answer` does; notes the ranges and tokens that came."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, self.headers["Range"], self.headers["Authorization"]))
        with contextlib.suppress(OSError):
            server.answer(self, len(server.asked))

    def log_message(self, *arguments: Any) -> None: ...


@contextlib.contextmanager
def http_server(answer: Callable[[Any, int], None]) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    server.answer, server.asked = answer, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def send(handler: Any, start: int, end: int, *, announced: int | None = None) -> None:
    """Bytes `start` to `end` of DATA, as a good server would for a range from `start` on."""
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
    handler.send_header("Content-Length", str(announced or len(DATA) - start))
    handler.end_headers()
    handler.wfile.write(DATA[start:end])


async def fetched(url: str, offset: int = 0, token: str | None = None) -> bytes | None:
    """What HttpAssets makes of DATA's asset there; None where it gives up."""
    parts = bytearray(DATA[:offset])
    over = asyncio.get_running_loop().create_future()

    def take(frame: AssetFrame) -> None:
        assert frame.total == len(DATA)
        parts[frame.offset :] = frame.data
        if len(parts) == len(DATA):
            over.set_result(bytes(parts))

    http = HttpAssets(f"{url}/whep/x", token, take, lambda sha256: over.set_result(None))
    http.fetch(Wanted(sha256=sha(DATA), offset=offset), len(DATA))
    async with asyncio.timeout(PATIENCE):
        result: bytes | None = await over
    http.close()
    return result


def test_a_transfer_that_breaks_off_goes_on_where_it_was() -> None:
    def answer(handler: Any, count: int) -> None:
        start = int((handler.headers["Range"] or "bytes=0-").split("=")[1].rstrip("-"))
        send(handler, start, start + 40_000 if count < 3 else len(DATA))

    with http_server(answer) as server:
        assert asyncio.run(fetched(server.url)) == DATA
        ranges = [asked for _, asked, _ in server.asked]
    assert ranges[0] is None
    assert ranges[1:] == ["bytes=40000-", "bytes=80000-"]


def test_a_server_without_ranges_sends_all_of_it_again() -> None:
    with http_server(lambda handler, _: send(handler, 0, len(DATA))) as server:
        assert asyncio.run(fetched(server.url, offset=70_000)) == DATA


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_will_not_give_it_is_left(status: int) -> None:
    def answer(handler: Any, count: int) -> None:
        handler.send_error(status)

    with http_server(answer) as server:
        assert asyncio.run(fetched(server.url)) is None
        assert len(server.asked) == (3 if status == 500 else 1)


def test_what_is_closed_fails_at_nothing() -> None:
    asked, closed = threading.Event(), threading.Event()

    def answer(handler: Any, count: int) -> None:
        asked.set()
        closed.wait(PATIENCE)
        handler.send_error(404)

    async def close_while_it_waits(url: str) -> list[str]:
        failed: list[str] = []
        before = set(threading.enumerate())
        http = HttpAssets(f"{url}/whep/x", None, lambda frame: None, failed.append)
        http.fetch(Wanted(sha256=sha(DATA), offset=0), len(DATA))
        assert await asyncio.to_thread(asked.wait, PATIENCE)
        mine = [t for t in set(threading.enumerate()) - before if t.name == "assets"]
        http.close()
        closed.set()
        for thread in mine:
            await asyncio.to_thread(thread.join, PATIENCE)
        await asyncio.sleep(0)  # what the thread told is heard
        return failed

    with http_server(answer) as server:
        assert asyncio.run(close_while_it_waits(server.url)) == []


def test_a_redirect_is_followed_and_another_origin_gets_no_token() -> None:
    with http_server(lambda handler, _: send(handler, 0, len(DATA))) as elsewhere:

        def answer(handler: Any, count: int) -> None:
            handler.send_response(302)
            handler.send_header("Location", f"{elsewhere.url}/cdn/x")
            handler.end_headers()

        with http_server(answer) as server:
            assert asyncio.run(fetched(server.url, token=TOKEN)) == DATA
            assert server.asked[0][2] == f"Bearer {TOKEN}"
        assert elsewhere.asked == [("/cdn/x", None, None)]


def test_an_answer_for_another_range_is_not_believed() -> None:
    def answer(handler: Any, count: int) -> None:
        send(handler, 50, len(DATA))

    with http_server(answer) as server:
        assert asyncio.run(fetched(server.url, offset=70)) is None
