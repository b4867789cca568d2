"""What viewers fetch over HTTP, through a real nginx that caches as a CDN does."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client_sdk.contract import Package
from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from kernels import bases
from kernels.compiler import base_id
from server.settings import Settings
from tests.client_sdk.tiny import SEGMENTS
from tests.server.serving import Served, serving
from tests.server.test_operations import figures
from tests.server.test_reconnect import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
PATIENCE = 60.0
TOKEN = "a-token-of-some-length"
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")

# `add_header` shows what the cache did; everything else is as in docs/scaling.md.
CONFIG = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
{user}
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache keys_zone=crispcast:1m;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {origin}; proxy_redirect {origin}/ /; }}
    location ~ ^/(assets|bases|packages|sdk)/ {{
      proxy_pass {origin};
      proxy_cache crispcast; proxy_cache_revalidate on; proxy_cache_lock on;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}
}}
"""


@contextlib.asynccontextmanager
async def cached(origin: Served, folder: Path) -> AsyncIterator[Served]:
    """nginx before a server, from when it answers."""
    port, config = free_port(), folder / "nginx.conf"
    user = "user root;" if Path(folder).owner() == "root" else ""
    config.write_text(CONFIG.format(folder=folder, port=port, origin=origin.url, user=user))
    assert NGINX is not None
    nginx = subprocess.Popen([NGINX, "-e", f"{folder}/error.log", "-c", str(config)])
    front = Served(f"http://127.0.0.1:{port}", origin.viewers, origin.openapi)
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(OSError):
                    await front.ask("GET", "/healthz")
                    break
                assert nginx.poll() is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.02)
        yield front
    finally:
        nginx.terminate()
        nginx.wait()


async def answers(origin: Served, route: str) -> int:
    """How many requests of that route the server itself has answered."""
    told = figures(await origin.ask("GET", "/metrics"))
    name = f'crispcast_http_requests_total{{method="GET",route="{route}"'
    return int(sum(value for key, value in told.items() if key.startswith(name)))


def test_an_asset_is_asked_of_the_server_once_whoever_wants_which_part(
    tiny: Package, tiny_path: Path, tmp_path: Path
) -> None:
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]
    path, whole = f"/assets/{sha256}", tiny.asset(sha256)

    async def run() -> None:
        async with serving(tiny_path) as origin, cached(origin, tmp_path) as front:
            part = await front.ask("GET", path, headers={"Range": "bytes=10-19"})
            assert (part.status, part.body, part.headers["X-Cache"]) == (206, whole[10:20], "MISS")
            page = {"Origin": "https://page.example.org"}
            again = await front.ask("GET", path, headers=page)
            assert (again.status, again.body, again.headers["X-Cache"]) == (200, whole, "HIT")
            # It was cached for one who is no page, and a page may read it all the same.
            assert again.headers["Access-Control-Allow-Origin"] == "*"
            assert "ETag" in again.headers["Access-Control-Expose-Headers"]
            assert again.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            rest = await front.ask("GET", path, headers={"Range": "bytes=100-"})
            assert (rest.status, rest.body, rest.headers["X-Cache"]) == (206, whole[100:], "HIT")
            range_ = f"bytes 100-{len(whole) - 1}/{len(whole)}"
            assert rest.headers["Content-Range"] == range_
            tag = {"If-None-Match": again.headers["ETag"]}
            known = await front.ask("GET", path, headers=tag)
            assert (known.status, known.body) == (304, b"")
            assert await answers(origin, "/assets/{sha256}") == 1

    asyncio.run(run())


def test_bases_are_cached_and_manifests_too_until_they_may_have_changed(
    tiny: Package, tiny_path: Path, tmp_path: Path
) -> None:
    wire = bases.shipped()[0].read_bytes()

    async def run() -> None:
        async with serving(tiny_path) as origin, cached(origin, tmp_path) as front:
            for cache in ("MISS", "HIT"):
                base = await front.ask("GET", f"/bases/{base_id(wire).hex()}")
                assert (base.body, base.headers["X-Cache"]) == (wire, cache)
            path, said = "/packages/tiny/manifest.json", "MISS"
            async with asyncio.timeout(PATIENCE):
                while said != "REVALIDATED":
                    manifest = await front.ask("GET", path)
                    assert manifest.body == tiny.manifest_bytes
                    said = manifest.headers["X-Cache"]
                    await asyncio.sleep(0.1)
            told = figures(await origin.ask("GET", "/metrics"))
            name = (
                'crispcast_http_requests_total{method="GET",route="/packages/{name}/manifest.json"'
            )
            assert {told[f'{name},status="{status}"}}'] for status in (200, 304)} == {1}

    asyncio.run(run())


def test_what_wants_a_token_is_kept_from_the_cache(
    tiny: Package, tiny_path: Path, tmp_path: Path
) -> None:
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]

    async def run() -> None:
        settings = Settings.model_validate({"tokens": f"tiny={TOKEN}"})
        async with serving(tiny_path, settings) as origin, cached(origin, tmp_path) as front:
            bearer = {"Authorization": f"Bearer {TOKEN}"}
            for path in (f"/assets/{sha256}", "/packages/tiny/manifest.json"):
                assert (await front.ask("GET", path, headers=bearer)).status == 200
                assert (await front.ask("GET", path)).status == 401

    asyncio.run(run())


def test_a_play_through_the_cache_takes_its_assets_from_it(tiny_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as origin, cached(origin, tmp_path) as front:
            url, options = f"{front.url}/whep/tiny", PlayOptions(delivery="http")
            first = await Session(url, options).run()
            asked = await answers(origin, "/assets/{sha256}")
            second = await Session(url, options).run()
            assert (first.frames, second.frames) == (sum(SEGMENTS),) * 2
            assert first.http_bytes == second.http_bytes > 0
            assert await answers(origin, "/assets/{sha256}") == asked > 0

    asyncio.run(run())


def test_a_part_of_what_was_replaced_is_not_taken_for_one_of_what_is_there(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            path = "/packages/tiny/manifest.json"
            whole = await served.ask("GET", path)
            part = {"Range": "bytes=0-9", "If-Range": whole.headers["ETag"]}
            assert (await served.ask("GET", path, headers=part)).status == 206
            other = await served.ask("GET", path, headers=part | {"If-Range": '"another"'})
            assert (other.status, other.body) == (200, whole.body)

    asyncio.run(run())
