"""Media from one place and all else from another: what is asked of whom, and what goes wrong.

The media comes from a channel of a server of ours, to which this client is a stock WHEP player.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response
from typer.testing import CliRunner

import crispcast
from client_sdk import sfu_connection
from client_sdk.contract import MANIFEST_FILE, Package, open_package
from client_sdk.contract.signing import (
    SIGNATURE_FILE,
    SIGNATURE_HEADER,
    parse_trust,
    why_untrusted,
)
from client_sdk.origin import Described, fetch_manifest, package_url
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayStats
from client_sdk.session import Session
from kernels import bases
from kernels.compiler import base_id
from kernels.errors import CrispcastError, StreamError
from server.encoding.signing import SigningKey, sign_package
from server.origin_files import write_origin
from server.settings import Settings
from tests.client_sdk.tiny import SEGMENTS
from tests.server.asgi import served_app
from tests.server.serving import Served, serving
from tests.server.test_play import offline
from tests.server.test_playback_control import Shown, frames_of

FRAMES = sum(SEGMENTS)
PATIENCE = 40.0
CHANNEL = Settings(channels=("tiny",))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


class Files:
    """An origin of plain files. `answers`: said instead, once each, by a path's beginning."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.url = ""
        self.answers: dict[str, list[Response]] = {}
        self.asked: list[tuple[str, str | None]] = []  # paths and tokens
        self.news = asyncio.Event()

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/packages/tiny/manifest.json")
        async def manifest(request: Request) -> Response:
            return self._note(request) or Response((self.package.path / MANIFEST_FILE).read_bytes())

        @app.get("/packages/tiny/manifest.sig")
        async def signature(request: Request) -> Response:
            told = self.package.signature
            return self._note(request) or Response(told, 404 if told is None else 200)

        @app.get("/assets/{sha256}")
        async def asset(sha256: str, request: Request) -> Response:
            return self._note(request) or Response(self.package.asset(sha256))

        return app

    def _note(self, request: Request) -> Response | None:
        path = request.url.path
        self.asked.append((path, request.headers.get("authorization")))
        self.news.set()
        for start, waiting in self.answers.items():
            if path.startswith(start) and waiting:
                return waiting.pop(0)
        return None


@contextlib.asynccontextmanager
async def files(package: Package) -> AsyncIterator[Files]:
    origin = Files(package)
    async with served_app(origin.app()) as origin.url:
        yield origin


async def played(
    origin: str, media: str, shown: Shown, frames: int, **options: object
) -> tuple[list[int | None], PlayStats]:
    """Play until so many frames were put out; their numbers, and the figures."""
    session = Session(
        f"{origin}/packages/tiny",
        PlayOptions(media=media, **options),  # type: ignore[arg-type]
    )
    playing = asyncio.create_task(session.run())
    enough = asyncio.create_task(
        shown.until(lambda: bool(shown.by) and len(shown.numbers()) >= frames)
    )
    await asyncio.wait({playing, enough}, return_when=asyncio.FIRST_COMPLETED)
    enough.cancel()
    session.stop()
    return shown.numbers() if shown.by else [], await playing


def test_assets_come_from_plain_files_and_media_from_elsewhere(
    tiny: Package, tiny_path: Path, tmp_path: Path, shown: Shown
) -> None:
    right = frames_of(offline(tiny, tmp_path / "right.y4m"))
    out = tmp_path / "played.y4m"

    async def run() -> tuple[list[int | None], PlayStats, Files]:
        async with (
            asyncio.timeout(PATIENCE),
            serving(tiny_path, CHANNEL) as media,
            files(tiny) as origin,
        ):
            numbers, stats = await played(
                origin.url, f"{media.url}/whep/tiny", shown, 2 * FRAMES, out=out, token="origins"
            )
            await media.viewers.all_gone.wait()
            return numbers, stats, origin

    numbers, stats, origin = asyncio.run(run())
    made = [f == right[n or 0] for n, f in zip(numbers, frames_of(out.read_bytes()), strict=False)]
    assert all(made[FRAMES:])  # in the second round all assets are here
    assert len(made) >= 2 * FRAMES
    assert stats.http_bytes == sum(tiny.manifest.size_of(0).values())
    assert {token for _, token in origin.asked} == {"Bearer origins"}


def test_a_plain_web_server_of_written_files_is_an_origin(
    tiny: Package, tiny_path: Path, tmp_path: Path, shown: Shown
) -> None:
    folder = tmp_path / "files"
    for _ in range(2):  # the second time all is there
        done = CliRunner().invoke(crispcast.app, ["origin", str(tiny_path), "-o", str(folder)])
        assert (done.exit_code, done.output) == (0, "packages/tiny\n")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assets = tiny.manifest.size_of(0)
    assert names == {
        "packages/tiny/manifest.json",
        *(f"assets/{sha256}" for sha256 in assets),
        *(f"bases/{base_id(path.read_bytes()).hex()}" for path in bases.shipped()),
    }
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))

    async def run(origin: str) -> PlayStats:
        async with asyncio.timeout(PATIENCE), serving(tiny_path, CHANNEL) as media:
            _, stats = await played(origin, f"{media.url}/whep/tiny", shown, 2 * FRAMES)
            return stats

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            stats = asyncio.run(run(f"http://127.0.0.1:{server.server_port}"))
        finally:
            server.shutdown()
            thread.join()
    assert stats.http_bytes == sum(assets.values())
    assert stats.frames_sr > FRAMES


@pytest.mark.parametrize("by_header", [True, False], ids=["by a header", "beside it"])
def test_a_signature_comes_with_the_manifest(
    tiny_copy: Path, tmp_path: Path, by_header: bool
) -> None:
    key = SigningKey.new(tmp_path / "my.key")
    sign_package(tiny_copy, key)
    package = open_package(tiny_copy)

    async def run() -> Described:
        async with asyncio.timeout(PATIENCE), files(package) as origin:
            if by_header:
                told = {SIGNATURE_HEADER: package.signature or ""}
                origin.answers["/packages/"] = [Response(package.manifest_bytes, headers=told)]
            url = f"{origin.url}/packages/tiny"
            found = await asyncio.to_thread(fetch_manifest, url, signed=True)
            assert len(origin.asked) == (1 if by_header else 2)
            return found

    found = asyncio.run(run())
    assert found.signature == package.signature
    assert why_untrusted(parse_trust([key.public]), found.sha256, found.signature) is None
    write_origin(tiny_copy, tmp_path / "files")
    beside = tmp_path / "files" / "packages" / "tiny" / SIGNATURE_FILE
    assert beside.read_text() == package.signature


def test_an_origin_that_cannot_be_written_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    (tmp_path / "assets").write_text("a file")
    with pytest.raises(CrispcastError, match="cannot be written"):
        write_origin(tiny_path, tmp_path)
    assert not (tmp_path / "packages").exists()


def test_an_asset_that_the_origin_lacks_for_a_while_comes_when_it_is_there(
    tiny: Package, tiny_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client_sdk.origin._AGAIN", 0.1)

    async def run() -> PlayStats:
        async with (
            asyncio.timeout(PATIENCE),
            serving(tiny_path, CHANNEL) as media,
            files(tiny) as origin,
        ):
            origin.answers["/assets/"] = [Response(status_code=404) for _ in range(30)]
            _, stats = await played(origin.url, f"{media.url}/whep/tiny", shown, 5 * FRAMES)
            return stats

    stats = asyncio.run(run())
    assert stats.frames_sr > 0
    assert stats.plan_bytes == sum(tiny.manifest.size_of(0).values())


def test_a_manifest_that_was_there_counts_when_the_origin_is_away(
    tiny: Package, tiny_path: Path, shown: Shown
) -> None:
    async def run() -> PlayStats:
        async with (
            asyncio.timeout(PATIENCE),
            serving(tiny_path, CHANNEL) as media,
            files(tiny) as origin,
        ):
            session = Session(
                f"{origin.url}/packages/tiny", PlayOptions(media=f"{media.url}/whep/tiny")
            )
            playing = asyncio.create_task(session.run())
            await shown.until(lambda: bool(shown.by) and len(shown.numbers()) > FRAMES)
            origin.answers["/packages/"] = [
                Response(status_code=302, headers={"Location": "http://127.0.0.1:1/"})
            ]
            await media.viewers.only().close("lost")
            before = len(shown.numbers())
            await shown.until(lambda: len(shown.numbers()) > before + FRAMES)
            session.stop()
            return await playing

    stats = asyncio.run(run())
    assert stats.reconnects == 1
    assert stats.frames_sr > FRAMES


def test_it_is_a_channel_without_seeking_that_is_joined_again_after_a_pause(
    tiny_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    come: asyncio.Queue[None] = asyncio.Queue()
    hear = sfu_connection.SfuConnection._on_frame

    def noted(self: sfu_connection.SfuConnection, frame: object) -> None:
        hear(self, frame)  # type: ignore[arg-type]
        come.put_nowait(None)

    monkeypatch.setattr(sfu_connection.SfuConnection, "_on_frame", noted)

    async def run() -> None:
        async with asyncio.timeout(PATIENCE), serving(tiny_path, CHANNEL) as served:
            session = Session(
                f"{served.url}/packages/tiny", PlayOptions(media=f"{served.url}/whep/tiny")
            )
            playing = asyncio.create_task(session.run())
            await shown.until(lambda: bool(shown.by) and len(shown.numbers()) > 5)
            with pytest.raises(StreamError, match="is a channel"):
                session.seek(3)
            session.pause()
            before = len(shown.numbers())
            while not come.empty():
                come.get_nowait()
            for _ in range(FRAMES):
                await come.get()
            assert len(shown.numbers()) == before
            session.resume()
            await shown.until(lambda: len(shown.numbers()) > before + FRAMES)
            session.stop()
            await playing
            assert None not in shown.numbers()

    asyncio.run(run())


def test_video_that_names_no_frames_is_shown_with_a_reason(
    tiny_path: Path,
    shown: Shown,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sfu_connection, "UNNAMED", 0.5)
    monkeypatch.setattr(sfu_connection, "NAMED", 0.5)
    monkeypatch.setattr(sfu_connection, "identity_of", lambda frame: None)
    monkeypatch.setattr("client_sdk.upscaling_thread.user_data_of", lambda frame: [])

    async def run() -> PlayStats:
        async with asyncio.timeout(PATIENCE), serving(tiny_path, CHANNEL) as served:
            _, stats = await played(served.url, f"{served.url}/whep/tiny", shown, FRAMES)
            return stats

    stats = asyncio.run(run())
    assert (stats.frames_sr, stats.frames_interpolated) == (0, stats.frames)
    assert "names no frames" in caplog.text


@pytest.mark.parametrize(
    ("media", "sentence"),
    [
        ("/whep/none", r"there is no package none.*is anything published there\?"),
        ("/packages", r"status 40[45]"),
        ("/nothing", "status 404"),
    ],
)
def test_where_nothing_is_published_a_sentence_says_so(
    tiny_path: Path, media: str, sentence: str
) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE), serving(tiny_path) as served:
            options = PlayOptions(media=served.url + media, reconnect=0)
            await Session(f"{served.url}/packages/tiny", options).run()

    with pytest.raises(StreamError, match=sentence):
        asyncio.run(run())


async def refusal(served: Served, path: str) -> str:
    options = PlayOptions(media=f"{served.url}/whep/tiny")
    with pytest.raises(CrispcastError) as caught:
        await Session(served.url + path, options).run()
    return str(caught.value)


def test_an_origin_without_the_package_is_refused_in_a_sentence(tiny_path: Path) -> None:
    async def run() -> list[str]:
        async with asyncio.timeout(PATIENCE), serving(tiny_path) as served:
            said = [await refusal(served, path) for path in ("/packages/none", "/whep/tiny")]
            assert served.viewers.count == 0  # nobody was asked for media yet
            return said

    missing, other = asyncio.run(run())
    assert missing.endswith("/packages/none/manifest.json: Not Found (status 404)")
    assert "/whep/tiny/manifest.json" in other


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Response("{"), "manifest.json"),
        (Response(b"x" * 100), "manifest.json"),
        (Response(status_code=500), "status 500"),
        (Response(status_code=301, headers={"Location": "ftp://elsewhere/"}), "not an http"),
        (Response(status_code=302, headers={"Location": "/packages/tiny"}), "status 404"),
    ],
)
def test_what_is_no_manifest_is_refused(tiny: Package, answer: Response, sentence: str) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE), files(tiny) as origin:
            origin.answers["/packages/"] = [answer]
            await asyncio.to_thread(fetch_manifest, f"{origin.url}/packages/tiny")

    with pytest.raises(CrispcastError, match=sentence):
        asyncio.run(run())


def test_a_token_stays_with_its_origin(tiny: Package) -> None:
    async def run() -> list[tuple[str, str | None]]:
        async with asyncio.timeout(PATIENCE), files(tiny) as origin, files(tiny) as elsewhere:
            there = f"{elsewhere.url}/packages/tiny/manifest.json"
            origin.answers["/packages/"] = [Response(status_code=307, headers={"Location": there})]
            found = await asyncio.to_thread(fetch_manifest, f"{origin.url}/packages/tiny", "secret")
            assert found.manifest == tiny.manifest
            return [*origin.asked, *elsewhere.asked]

    path = "/packages/tiny/manifest.json"
    assert asyncio.run(run()) == [(path, "Bearer secret"), (path, None)]


@pytest.mark.parametrize("after", ["", "/", "/manifest.json", "/manifest.json?x=1"])
def test_the_url_of_a_package_is_found_in_what_follows_it(after: str) -> None:
    assert package_url(f"https://o.example/packages/tiny{after}") == (
        "https://o.example/packages/tiny"
    )
