"""docs/embed-web.md, done as it says: its commands, headers and snippets, in headless Chromium."""

from __future__ import annotations

import asyncio
import base64
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from typer.main import get_command

import crispcast
from benchmarks.page import chromium
from client_sdk.contract import asset_file, open_package
from kernels import runtime
from server.pages import player_files
from server.settings import Settings
from server.settings_sources import load_settings
from tests.client_sdk.tiny import LR_HEIGHT, LR_WIDTH, SCALE, SEGMENTS, write_tiny
from tests.server.serving import serving

needs_browser = [
    pytest.mark.skipif(chromium() is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None,
        reason="needs playwright: pip install playwright",
    ),
]
if importlib.util.find_spec("playwright") is not None:
    from playwright.async_api import Page, Route

    from tests.server.chromium import browsing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embed-web.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "web-player.md").read_text(encoding="utf-8")
PLAYER = (ROOT / "client_sdk/web/player/crispcast-player.js").read_text(encoding="utf-8")
SERVER, SITE = "https://video.example.org", "https://www.example.org"
TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}
CODE_VALUES = 2  # relaxed SIMD rounds otherwise than the native kernels
AT_PLAYER = "const player = document.querySelector('crispcast-player');"


def blocks(language: str) -> list[str]:
    """The page's blocks of that language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


THREE_LINES, OWN_HOST, BUTTONS = blocks("html")
EVENTS, METHODS, TOKEN, WORKER, DRAW = blocks("js")
SERVE, COPY, GUARD = blocks("sh")
ISOLATION, POLICY = (
    dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks("http")
)

SOURCES = [
    (directive, source)
    for directive, *sources in (part.split() for part in "".join(POLICY.values()).split(";"))
    for source in sources
    if directive != "default-src"
]


def policy_without(directive: str, source: str) -> dict[str, str]:
    """The page's policy, less one source of one directive."""
    (name,) = POLICY
    parts = [part.split() for part in POLICY[name].split(";")]
    left = [[word for word in part if part[0] != directive or word != source] for part in parts]
    return {name: "; ".join(" ".join(part) for part in left)}


def settings_of(block: str) -> Settings:
    """What the block's `crispcast serve` sets, by the command line's own reading."""
    (line,) = [line for line in block.splitlines() if line.startswith("crispcast ")]
    _, name, *words = shlex.split(line)
    group: Any = get_command(crispcast.app)
    context = group.make_context("crispcast", [], resilient_parsing=True)
    command = group.get_command(context, name)
    assert command is not None
    meta = command.make_context(name, list(words), parent=context).meta
    return load_settings(None, {}, meta)


def a_page(body: str, script: str = "") -> str:
    module = f'<script type="module">{script}</script>' if script else ""
    return f"<!doctype html><title>Elsewhere</title>\n{body}\n{module}"


def on_a_site(
    folder: Path,
    files: Mapping[str, str | bytes],
    scenario: Callable[[Page, str], Awaitable[None]],
    *,
    settings: Settings | None = None,
    headers: Mapping[str, str] | None = None,
    site: str = SITE,
    scripts: str = "",
) -> None:
    """`scenario(page, server)` on a site of these files, whose texts name the guide's server.

    `scripts` run before the page's own, and in the player's worker.
    """
    path = write_tiny(folder, name="holiday", segments=SEGMENTS * 8)

    async def run() -> None:
        async with serving(path, settings or settings_of(SERVE)) as served, browsing() as browser:
            page = await browser.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))

            async def add(route: Route) -> None:
                reply = await route.fetch()
                await route.fulfill(response=reply, body=scripts + await reply.text())

            if scripts:
                await page.add_init_script(scripts)
                await page.route("**/play-worker.js", add)

            async def answer(route: Route) -> None:
                name = route.request.url.removeprefix(site)
                if name not in files:
                    return await route.fulfill(status=404)
                body = files[name]
                if isinstance(body, str):
                    body = body.replace(SERVER, served.url).encode()
                kind = TYPES.get(Path(name).suffix, "text/html")
                told = {k: v.replace(SERVER, served.url) for k, v in (headers or {}).items()}
                return await route.fulfill(body=body, headers={**told, "Content-Type": kind})

            await page.route(f"{site}/**", answer)
            await page.goto(f"{site}/")
            await scenario(page, served.url)
            assert not errors

    asyncio.run(run())


async def until(page: Page, condition: str) -> None:
    await page.wait_for_function(f"() => {{ {AT_PLAYER} return {condition}; }}")


async def ask(page: Page, expression: str) -> Any:
    return await page.evaluate(f"() => {{ {AT_PLAYER} return {expression}; }}")


async def plays(page: Page) -> None:
    await until(page, "player?.figures?.superResolved > 3")
    assert await ask(page, "player.figures.plain") is None
    assert await ask(page, "player.figures.refused") == 0


# -- commands and words -----------------------------------------------------------------------


def test_commands_are_those_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install, serve = SERVE.splitlines()
    extra = re.fullmatch(r"pip install 'crispcast\[(\w+)\]'", install)
    assert extra is not None
    extras = importlib.metadata.metadata("crispcast").get_all("Provides-Extra") or []
    assert extra.group(1) in extras
    settings = settings_of(serve)
    assert (settings.host, settings.cors_origins) == ("0.0.0.0", (SITE,))
    make, copy = COPY.splitlines()
    dry = subprocess.run([*make.split(), "-n"], cwd=ROOT, capture_output=True, text=True)
    assert "kernels/runtime/wasm" in dry.stdout
    project = (ROOT / "kernels/runtime/wasm/CMakeLists.txt").read_text()
    assert "client_sdk/web" in project  # where it builds to
    assert copy.split()[:3] == ["cp", "-r", "client_sdk/web"]


def test_a_token_is_made_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = guarded(tmp_path, monkeypatch)
    (token,) = settings.tokens
    assert re.fullmatch("holiday=[0-9a-f]{48}", token.get_secret_value())


def guarded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The server's settings after the commands of the page's section on tokens."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here: apt-get install openssl")
    make, serve = GUARD.splitlines()
    monkeypatch.chdir(folder)
    subprocess.run(make, shell=True, check=True)
    return settings_of(serve)


def attributes() -> set[str]:
    observed = re.search(r"observedAttributes = \[(.*?)\]", PLAYER)
    assert observed is not None
    read = re.findall(r"(?:hasAttribute|getAttribute|number)\('([a-z-]+)'\)", PLAYER)
    return ({*read} | {*re.findall(r"'([a-z]+)'", observed.group(1))}) - {"tabindex"}


def members() -> set[str]:
    return {*re.findall(r"^  (?:get |set |async )?(\w+)\([^)]*\) \{$", PLAYER, re.MULTILINE)}


def events() -> set[str]:
    mapped = re.search(r"const event = \{ (.*?) \}", PLAYER)
    assert mapped is not None
    return {
        *re.findall(r"CustomEvent\('(\w+)'", PLAYER),
        *re.findall(r": '(\w+)'", mapped.group(1)),
    }


def figures() -> set[str]:
    body = re.search(r"get figures\(\) \{.*?return \{(.*?)\};", PLAYER, re.DOTALL)
    assert body is not None
    return {*re.findall(r"^      (\w+):", body.group(1), re.MULTILINE)}


def test_what_the_page_names_of_the_element_is_there() -> None:
    assert attributes() >= {"src", "autoplay", "token", "cache-limit", "plain"}
    assert not attributes() & {"controls", "toggle"}
    assert members() >= {"play", "currentTime", "split", "figures"}
    assert events() == {"play", "pause", "ended", "timeupdate", "error"}
    for element in re.findall(r"<crispcast-player ([^>]*)>", PAGE):
        assert {*re.findall(r"([a-z-]+)(?:=\"[^\"]*\")?", re.sub(r'"[^"]*"', "", element))} <= (
            attributes()
        )
    assert {*re.findall(r"setAttribute\('([a-z-]+)'", PAGE)} <= attributes()
    assert {*re.findall(r"addEventListener\('(\w+)'", PAGE)} == events()
    used = {*re.findall(r"\bplayer\.(?!js|md)(\w+)", PAGE)}
    assert used - members() == {"addEventListener", "setAttribute"}
    named = {*re.findall(r"player\.figures\.(\w+)", PAGE)}
    (taken,) = re.findall(r"const \{ (.*?) \} = player\.figures", PAGE)
    assert named | {*taken.split(", ")} <= figures()
    prose = {*re.findall(r"`([a-z-]+)(?:=\"\d+\")?`", PAGE)}
    mentioned = {"src", "muted", "autoplay", "threads", "reconnect", "token-origins"}
    assert mentioned <= prose & attributes()
    assert "state" in prose & members()


def test_the_reference_names_what_the_element_has() -> None:
    listed, methods = (
        {*re.findall(r"`([A-Za-z-]+)(?:\([a-z]*\))?`", "\n".join(cells))}
        for cells in (
            re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
            for table in re.findall(r"(?:^\|.*\n)+", REFERENCE, re.MULTILINE)
        )
    )
    assert listed == attributes()
    assert members() - {"constructor", "refresh", "canCompare"} - methods == {
        "connectedCallback",
        "disconnectedCallback",
        "attributeChangedCallback",
    }
    assert methods <= members()
    (told,) = re.findall(r"^Events: (.*)$", REFERENCE, re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", told)} - {"detail"} == events()


def test_links_lead_somewhere() -> None:
    for target, place in re.findall(r"\]\((?!https?:)([^)#]+)#?([^)]*)\)", PAGE):
        file = ROOT / "docs" / target
        assert file.exists(), target
        heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
        assert not place or place in anchors, place


# -- pages ------------------------------------------------------------------------------------


class TestInChromium:
    pytestmark = needs_browser

    def test_three_lines_play(self, tmp_path: Path) -> None:
        lines = THREE_LINES.strip().splitlines()
        assert len(lines) == 3

        async def scenario(page: Page, _: str) -> None:
            await plays(page)
            assert not await page.evaluate("() => crossOriginIsolated")
            assert (await ask(page, "player.figures.engine")).endswith("× 1")
            shape = await ask(page, "player.getBoundingClientRect().width")
            assert 0 < shape <= 960

        on_a_site(tmp_path, {"/": a_page(THREE_LINES)}, scenario)

    def test_a_site_that_is_not_listed_gets_one_sentence(self, tmp_path: Path) -> None:
        """Its own SDK, for the server's it may not even load."""
        copied = copy_of_the_sdk(tmp_path)
        page_ = a_page(
            "<script>window.said = []; addEventListener('error', (e) => said.push(e.detail), true)"
            f"</script>{OWN_HOST}"
        )

        async def scenario(page: Page, url: str) -> None:
            await until(page, "player.state === 'failed'")
            (sentence,) = await page.evaluate("() => said")
            assert sentence.startswith(f"{url}/whep/holiday does not answer")
            assert sentence == await page.get_by_role("status").inner_text()

        on_a_site(tmp_path, {"/": page_, **copied}, scenario, site="https://other.example.org")

    def test_the_sdk_plays_from_ones_own_host(self, tmp_path: Path) -> None:
        copied = copy_of_the_sdk(tmp_path)

        async def scenario(page: Page, url: str) -> None:
            async def no(route: Route) -> None:
                await route.abort()

            await page.route(f"{url}/sdk/**", no)
            await plays(page)

        on_a_site(tmp_path, {"/": a_page(OWN_HOST), **copied}, scenario)

    def test_it_plays_with_threads_under_the_policy(self, tmp_path: Path) -> None:
        blocked: list[str] = []

        async def scenario(page: Page, _: str) -> None:
            page.on("console", lambda message: blocked.append(message.text))
            await page.reload()
            await plays(page)
            assert await page.evaluate("() => crossOriginIsolated")
            cores = await page.evaluate("() => navigator.hardwareConcurrency")
            assert (await ask(page, "player.figures.engine")).endswith(f"× {cores}")
            assert cores == (os.cpu_count() or 1)
            poster = f"{AT_PLAYER} return player.shadowRoot.querySelector('video').poster"
            loaded = """async (poster) => {
              const image = new Image(); image.src = poster; await image.decode();
              return image.naturalWidth;
            }"""
            assert await page.evaluate(loaded, await page.evaluate(f"() => {{ {poster} }}")) > 0

        on_a_site(tmp_path, {"/": a_page(THREE_LINES)}, scenario, headers={**ISOLATION, **POLICY})
        assert not [text for text in blocked if "Content Security Policy" in text]

    @pytest.mark.parametrize(("directive", "source"), SOURCES)
    def test_nothing_of_the_policy_is_too_much(
        self, tmp_path: Path, directive: str, source: str
    ) -> None:
        """Without it, the browser says so, or the player that it does without its networks."""

        async def scenario(page: Page, _: str) -> None:
            async def heard() -> None:
                async with page.expect_console_message(
                    lambda message: "Content Security Policy" in message.text
                ):
                    await page.reload()

            plain = until(page, "player?.figures?.plain")
            both = [asyncio.ensure_future(each) for each in (heard(), plain)]
            done, left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for each in left:
                each.cancel()
            for each in done:
                each.result()
            await asyncio.gather(*left, return_exceptions=True)
            if directive == "worker-src":
                await until(page, "player?.state === 'playing'")
                video = "player.shadowRoot.querySelector('video')"
                await until(page, f"{video}.videoWidth > 0 && {video}.currentTime > 0")

        headers = policy_without(directive, source)
        on_a_site(tmp_path, {"/": a_page(THREE_LINES)}, scenario, headers=headers)

    def test_buttons_of_ones_own(self, tmp_path: Path) -> None:
        again = f"window.again = async () => {{ {METHODS}\nreturn {{ frames, superResolved, "
        again += "latePlans, engine, plain }; };"

        async def scenario(page: Page, _: str) -> None:
            await page.wait_for_function("() => window.again")
            go, said = page.locator("#go"), page.locator("#said")
            assert await go.inner_text() == "Play"
            await go.click()
            await page.wait_for_function("() => document.querySelector('#go').textContent=='Pause'")
            await plays(page)
            assert re.fullmatch(r"\d+\.\d\d s", await said.inner_text())
            told = await page.evaluate("() => window.again()")
            assert {*told} == {"frames", "superResolved", "latePlans", "engine", "plain"}
            assert told["frames"] >= told["superResolved"] > 0
            assert told["plain"] is None
            assert await ask(page, "[player.loop, player.comparing, player.split]") == [
                True,
                True,
                0.3,
            ]
            await until(page, "player.figures.seekMs !== null && player.currentTime >= 0.4")
            await go.click()
            await page.wait_for_function("() => document.querySelector('#go').textContent=='Play'")
            assert await ask(page, "player.state") == "paused"

        on_a_site(tmp_path, {"/": a_page(BUTTONS, EVENTS + again)}, scenario)

    def test_a_token_that_the_site_gives(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = guarded(tmp_path, monkeypatch)
        token = settings.tokens[0].get_secret_value().partition("=")[2]
        script = f'import "{SERVER}/sdk/player/crispcast-player.js";\n{TOKEN}'

        async def scenario(page: Page, _: str) -> None:
            await plays(page)
            wrong = "player.setAttribute('token', 'x'.repeat(16))"
            heard = "new Promise((done) => player.addEventListener('error', (e) => done(e.detail)))"
            again = "player.setAttribute('src', player.getAttribute('src') + '?')"
            sentence = await page.evaluate(
                f"async () => {{ {AT_PLAYER} const heard = {heard}; {wrong}; {again}; "
                "return await heard; }"
            )
            assert sentence == "the token is not known"

        files = {"/": a_page("", script), "/video-token": f"{token}\n"}
        on_a_site(tmp_path, files, scenario, settings=settings)

    @pytest.mark.parametrize("isolated", [False, True])
    def test_the_runtime_alone_in_a_worker(self, tmp_path: Path, isolated: bool) -> None:
        rng = np.random.default_rng(5)
        halves = LR_HEIGHT // 2, LR_WIDTH // 2
        lr = [
            rng.integers(0, 256, size, np.uint8) for size in ((LR_HEIGHT, LR_WIDTH), halves, halves)
        ]
        small = base64.b64encode(b"".join(plane.tobytes() for plane in lr)).decode()
        script = f"""
          const bytes = Uint8Array.from(atob('{small}'), (letter) => letter.charCodeAt(0));
          const small = new VideoFrame(bytes, {{ format: 'I420', timestamp: 7,
            codedWidth: {LR_WIDTH}, codedHeight: {LR_HEIGHT} }});
          const canvas = {{ getContext: () => ({{ drawImage: (frame) => take(frame.clone()) }}) }};
          async function take(frame) {{
            const planes = new Uint8Array(frame.allocationSize());
            await frame.copyTo(planes);
            const text = Array.from(planes, (byte) => String.fromCharCode(byte)).join('');
            window.drawn = {{ planes: btoa(text),
              width: frame.codedWidth, height: frame.codedHeight, timestamp: frame.timestamp }};
          }}
          {DRAW}"""
        found: dict[str, Any] = {}

        async def scenario(page: Page, _: str) -> None:
            await page.wait_for_function("() => window.drawn")
            assert await page.evaluate("() => crossOriginIsolated") == isolated
            found.update(await page.evaluate("() => window.drawn"))

        files = {"/": a_page("", script), "/upscale-worker.js": WORKER}
        on_a_site(tmp_path, files, scenario, headers=ISOLATION if isolated else {})
        package = open_package(tmp_path / "holiday.crisp")
        expert = package.manifest.rungs[0].segments[0].experts[0]
        plan = runtime.Plan((package.path / asset_file(expert, "plan")).read_bytes())
        wanted = runtime.Engine(1).upscale(lr, SCALE, plans=[plan])
        size = found["height"], found["width"]
        assert (size, found["timestamp"]) == ((SCALE * LR_HEIGHT, SCALE * LR_WIDTH), 7)
        assert furthest(base64.b64decode(found["planes"]), wanted) <= CODE_VALUES
        plain = runtime.Engine(1).upscale(lr, SCALE)
        assert furthest(base64.b64decode(found["planes"]), plain) > CODE_VALUES

    @pytest.mark.parametrize(
        ("lacks", "where"),
        [
            ("RTCPeerConnection", "failed"),
            ("VideoFrame", "plain"),
            ("OffscreenCanvas", "plain"),
            ("MediaStreamTrackGenerator", "plays"),
            ("indexedDB", "plays"),
        ],
    )
    def test_what_a_browser_lacks(self, tmp_path: Path, lacks: str, where: str) -> None:
        assert lacks.lower() in PAGE.lower()

        async def scenario(page: Page, _: str) -> None:
            assert not await page.evaluate(f"() => '{lacks}' in globalThis")
            if where == "plays":
                await plays(page)
                there = f"() => '{lacks}' in globalThis"
                assert not all([await worker.evaluate(there) for worker in page.workers])
            elif where == "failed":
                await until(page, "player.state === 'failed'")
            else:
                await until(page, "player?.figures?.plain")
                await until(page, "player.shadowRoot.querySelector('.small').currentTime > 0.2")

        # Workers have what all of them have from a prototype.
        scripts = (
            f"delete globalThis.{lacks};"
            f"if (globalThis.WorkerGlobalScope) delete WorkerGlobalScope.prototype.{lacks};"
        )
        on_a_site(tmp_path, {"/": a_page(THREE_LINES)}, scenario, scripts=scripts)


def copy_of_the_sdk(folder: Path) -> dict[str, bytes]:
    """What the page's `cp` copies, from a checkout in which `make wasm` was done, by its paths."""
    checkout = folder / "checkout"
    for source in player_files().all_directories:
        shutil.copytree(source, checkout / "client_sdk" / "web", dirs_exist_ok=True)
    (checkout / "public").mkdir()
    subprocess.run(COPY.splitlines()[1], shell=True, check=True, cwd=checkout)
    public = checkout / "public"
    files = (path for path in public.rglob("*") if path.is_file())
    return {f"/{path.relative_to(public).as_posix()}": path.read_bytes() for path in files}


def furthest(data: bytes, planes: tuple[npt.NDArray[np.uint8], ...]) -> int:
    wanted = np.concatenate([plane.ravel() for plane in planes])
    found = np.frombuffer(data, np.uint8)
    assert found.size == wanted.size
    return int(np.abs(found.astype(np.int16) - wanted).max())
