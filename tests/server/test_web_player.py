"""The web player in headless Chromium, on the pages that the server gives."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from benchmarks.page import chromium
from client_sdk.contract import (
    MANIFEST_FILE,
    Package,
    asset_file,
    open_package,
    parse_manifest,
)
from client_sdk.contract.control import Stats
from client_sdk.picture import fill, planes_of
from client_sdk.upscaler import Planes, Upscaler
from kernels import bases
from kernels.compiler import base_id
from server.feedback import Feedback
from server.steering import Steering
from tests.client_sdk.ladder import write_ladder
from tests.client_sdk.test_canvas import CANVAS, MOTION, PLATED, tree_of
from tests.client_sdk.test_upscaler import difference_in
from tests.client_sdk.tiny import (
    HEIGHT,
    LR_HEIGHT,
    LR_WIDTH,
    SCALE,
    SEGMENTS,
    WIDTH,
    add_chroma,
    sha,
    write_tiny,
)
from tests.server.serving import serving

pytestmark = [
    pytest.mark.skipif(chromium() is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None,
        reason="needs playwright: pip install playwright",
    ),
]
if importlib.util.find_spec("playwright") is not None:
    from playwright.async_api import Page

    from tests.server.chromium import browsing, keep

FRAMES = sum(SEGMENTS) * 8
CODE_VALUES = 2  # relaxed SIMD rounds otherwise than the native kernels
NO_TRACK_PROCESSOR = "delete globalThis.MediaStreamTrackProcessor;"
NO_TRANSFORM = "delete globalThis.RTCRtpScriptTransform;"
NO_TRACK_GENERATOR = "delete globalThis.MediaStreamTrackGenerator;"
LATE_CALLBACKS = """
{
  let calls = 0;
  const request = HTMLVideoElement.prototype.requestVideoFrameCallback;
  HTMLVideoElement.prototype.requestVideoFrameCallback = function (callback) {
    return request.call(this, (now, metadata) => {
      const until = performance.now() + (++calls % 4 ? 0 : 60);
      while (performance.now() < until);
      callback(now, metadata);
    });
  };
}
"""
NO_SHARED_FRAMES = """
globalThis.VideoFrame = class extends VideoFrame {
  constructor(source, init) {
    if (source.buffer instanceof SharedArrayBuffer) throw new TypeError('shared memory');
    super(source, init);
  }
};
"""
NO_SIMD = "WebAssembly.validate = () => false;"
PLAYER = "const player = document.querySelector('crispcast-player');"
CAPTURE = """async (count) => {
  const text = (bytes) => bytes && btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(''));
  const frames = await document.querySelector('crispcast-player').capture(count);
  const planes = ({ y, u, v }) => [y, u, v].map(text);
  return frames.map(({ lr, hr, previous, ...more }) => (
    { ...more, lr: planes(lr), hr: planes(hr), previous: text(previous) }
  ));
}"""
Plane = npt.NDArray[np.uint8]


def tiny(folder: Path, **options: Any) -> Path:
    return write_tiny(folder, segments=SEGMENTS * 8, **options)


def with_two_rungs(path: Path) -> Path:
    """The package, with its rung once more under another name."""
    manifest = parse_manifest((path / MANIFEST_FILE).read_bytes())
    rung = manifest.rungs[0]
    two = (rung, rung.model_copy(update={"name": "other"}))
    (path / MANIFEST_FILE).write_bytes(manifest.model_copy(update={"rungs": two}).to_bytes())
    return path


def play(
    path: Path,
    scenario: Callable[[Page, str], Awaitable[None]],
    scripts: str = "",
    **context: Any,
) -> Package:
    """Serve a package and run `scenario(page, url)` in a browser; the page must throw nothing."""

    async def run() -> None:
        async with serving(path) as served, browsing(**context) as browser:
            page = await browser.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            if scripts:
                await page.add_init_script(scripts)
            await scenario(page, served.url)
            assert not errors

    asyncio.run(run())
    return open_package(path)


async def watching(page: Page, url: str) -> None:
    """Open the player page and press play, as people do."""
    await page.goto(f"{url}/watch/tiny")
    await page.get_by_role("button", name="Play", exact=True).first.click()
    await until(page, "player.figures.frames > 3")


async def until(page: Page, condition: str) -> None:
    await page.wait_for_function(f"() => {{ {PLAYER} return {condition}; }}")


async def ask(page: Page, expression: str) -> Any:
    return await page.evaluate(f"() => {{ {PLAYER} return {expression}; }}")


def plane(text: str, height: int, width: int) -> Plane:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width)


def lr_of(frame: dict[str, Any]) -> Planes:
    half = LR_HEIGHT // 2, LR_WIDTH // 2
    y, u, v = frame["lr"]
    return plane(y, LR_HEIGHT, LR_WIDTH), plane(u, *half), plane(v, *half)


def hr_of(frame: dict[str, Any]) -> Planes:
    height, width = LR_HEIGHT * SCALE, LR_WIDTH * SCALE
    y, u, v = frame["hr"]
    half = (HEIGHT + 1) // 2, (WIDTH + 1) // 2
    luma = plane(y, height, width)[:HEIGHT, :WIDTH]
    u, v = (plane(text, height // 2, width // 2)[: half[0], : half[1]] for text in (u, v))
    return luma, u, v


def decoded(package: Package) -> list[Planes]:
    with av.open(str(package.video_path(0))) as container:
        return [
            tuple(np.array(plane) for plane in planes_of(frame))  # type: ignore[misc]
            for frame in container.decode(video=0)
        ]


def reference(upscaler: Upscaler, frame: dict[str, Any]) -> Planes:
    """What the reference client makes of the same LR frame, with the same frame before it."""
    number, lr = frame["frame"], lr_of(frame)
    upscaler.upscale(None, lr)  # forgets the frame before
    if frame["previous"] is not None:
        upscaler.upscale(number - 1, (plane(frame["previous"], LR_HEIGHT, LR_WIDTH), *lr[1:]))
    return tuple(np.array(part) for part in upscaler.upscale(number, lr).planes)  # type: ignore[return-value]


def rgb_of(planes: Planes) -> npt.NDArray[np.uint8]:
    """[h, w, 3] of limited-range BT.709, by swscale."""
    frame = av.VideoFrame(WIDTH + WIDTH % 2, HEIGHT + HEIGHT % 2, "yuv420p")
    fill(frame, planes)
    frame.colorspace, frame.color_range = 1, 1
    rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return rgb[:HEIGHT, :WIDTH]


def furthest(a: Planes, b: Planes) -> int:
    return max(int(np.abs(x.astype(np.int16) - y).max()) for x, y in zip(a, b, strict=True))


def check_frames(package: Package, frames: list[dict[str, Any]]) -> None:
    """The right number on the right picture, and the reference client's pixels."""
    pictures, upscaler = decoded(package), Upscaler.of_package(package, threads=1)
    numbers = [frame["frame"] for frame in frames]
    assert None not in numbers
    for frame in frames:
        assert np.array_equal(lr_of(frame)[0], pictures[frame["frame"]][0])
        assert furthest(hr_of(frame), reference(upscaler, frame)) <= CODE_VALUES
        assert frame["superResolved"]
    segments = {package.manifest.segment_of(number) % 3 for number in numbers}
    assert len(segments) > 1  # plans and plates changed under way
    assert any(frame["previous"] is not None for frame in frames)


def captured(path: Path) -> tuple[Package, list[dict[str, Any]]]:
    """A package as the player shows it: frames that are those of the reference client."""
    found: list[dict[str, Any]] = []

    async def scenario(page: Page, url: str) -> None:
        await watching(page, url)
        found.extend(await page.evaluate(CAPTURE, 24))
        assert await ask(page, "player.figures.refused") == 0

    package = play(path, scenario)
    check_frames(package, found)
    return package, found


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_frames_are_those_of_the_reference_client(tmp_path: Path, codec: Any) -> None:
    found: list[dict[str, Any]] = []

    async def scenario(page: Page, url: str) -> None:
        await watching(page, url)
        found.extend(await page.evaluate(CAPTURE, 24))
        assert await ask(page, "crossOriginIsolated")
        controls = await page.get_by_role("group", name="Controls").bounding_box()
        assert controls is not None
        assert controls["y"] + controls["height"] <= 720  # all of it in a window of usual size
        figures = await ask(page, "player.figures")
        assert figures["latePlans"] == 0
        assert figures["refused"] == 0
        assert figures["planBytes"] > 0

    package = play(tiny(tmp_path, codec=codec), scenario)
    check_frames(package, found)


def test_without_track_processor_and_transform_anchors_number_the_frames(tmp_path: Path) -> None:
    found: list[dict[str, Any]] = []

    async def scenario(page: Page, url: str) -> None:
        await watching(page, url)
        await until(page, "player.currentTime > 0.5")
        found.extend(await page.evaluate(CAPTURE, 48))

    package = play(tiny(tmp_path), scenario, scripts=NO_TRACK_PROCESSOR + NO_TRANSFORM)
    known = [frame for frame in found if frame["frame"] is not None]
    assert len(known) >= 12  # not before its segment's anchor, nor where the page was too slow
    check_frames(package, known)


def test_a_picture_that_came_after_the_one_that_was_told_of_has_no_number(tmp_path: Path) -> None:
    """Elements go on while a page is busy; the picture taken is not the one of the callback."""
    found: list[dict[str, Any]] = []

    async def scenario(page: Page, url: str) -> None:
        await watching(page, url)
        await until(page, "player.currentTime > 0.5")
        found.extend(await page.evaluate(CAPTURE, 60))

    scripts = NO_TRACK_PROCESSOR + NO_TRANSFORM + LATE_CALLBACKS
    package = play(tiny(tmp_path), scenario, scripts=scripts)
    known = [frame for frame in found if frame["frame"] is not None]
    assert len(known) >= 12
    pictures = decoded(package)
    for frame in known:
        assert np.array_equal(lr_of(frame)[0], pictures[frame["frame"]][0])


def test_people_find_play_compare_seek_and_pause(tmp_path: Path) -> None:
    halves: list[dict[str, Any]] = []

    async def scenario(page: Page, url: str) -> None:
        await page.goto(url)
        await page.wait_for_function("() => document.images[0].naturalWidth > 0")
        await keep(page, "index")
        await page.get_by_role("link", name="tiny").click()
        await page.get_by_role("button", name="Play", exact=True).first.click()
        await until(page, "player.figures.superResolved > 3")

        await page.get_by_role("button", name="Live figures").click()
        await page.get_by_role("button", name="Compare with interpolation").click()
        assert await ask(page, "player.comparing")
        slider = page.get_by_role("slider", name="Before and after")
        await slider.fill("50")
        assert await ask(page, "player.split") == 0.5
        halves.extend((await page.evaluate(CAPTURE, 4))[-2:])
        await keep(page, "player")
        await slider.press("ArrowLeft")
        assert await ask(page, "player.split") < 0.5
        await page.keyboard.press("c")
        assert not await ask(page, "player.comparing")

        await page.get_by_role("slider", name="Position").fill("5")
        assert await ask(page, "player.currentTime") > 4
        await until(page, "player.currentTime > 5 && player.figures.fps > 5")

        await page.keyboard.press("Home")  # of the position
        await until(page, "player.currentTime < 1")
        again = await page.evaluate(CAPTURE, 12)
        assert again[-1]["superResolved"]  # what was let go of was fetched again
        assert again[-1]["frame"] < FRAMES / 2

        await page.get_by_role("button", name="Pause", exact=True).click()
        assert await ask(page, "player.state") == "paused"
        await asyncio.sleep(0.5)  # what was on its way
        frames = await ask(page, "player.figures.frames")
        await asyncio.sleep(0.5)
        assert await ask(page, "player.figures.frames") == frames
        await page.keyboard.press("k")
        await until(page, f"player.state === 'playing' && player.figures.frames > {frames + 3}")
        await page.keyboard.press("m")
        assert await ask(page, "player.muted")
        await page.keyboard.press("i")  # the panel would cover the picture
        await until(page, "player.state === 'ended'")
        assert round(await ask(page, "player.currentTime * 25")) == FRAMES - 1

    package = play(tiny(tmp_path), scenario, viewport={"width": 900, "height": 800})
    upscaler = Upscaler.of_package(package, threads=1)
    middle = LR_WIDTH // 2 * SCALE
    for frame in halves:
        full = reference(upscaler, frame)
        plain = upscaler.upscale(None, lr_of(frame)).planes
        luma = hr_of(frame)[0].astype(np.int16)
        assert np.abs(luma - plain[0])[:, :middle].max() <= CODE_VALUES
        assert np.abs(luma - full[0])[:, middle:].max() <= CODE_VALUES
        assert np.abs(luma - full[0])[:, :middle].max() > CODE_VALUES


@pytest.mark.parametrize("element", ["video", "canvas"])
def test_the_screen_shows_the_pictures_in_their_colours(tmp_path: Path, element: str) -> None:
    """Also where the browser takes neither a page's frames as a track nor shared memory."""
    shots: list[bytes] = []

    async def without_sharing(route: Any) -> None:
        reply = await route.fetch()
        await route.fulfill(response=reply, body=NO_SHARED_FRAMES + await reply.text())

    async def scenario(page: Page, url: str) -> None:
        if element == "canvas":
            await page.route("**/player/screen.js", without_sharing)
        await watching(page, url)
        await ask(page, "player.currentTime = player.duration - 0.5")
        await until(page, "player.state === 'ended'")
        assert round(await ask(page, "player.currentTime * 25")) == FRAMES - 1
        assert await ask(page, "player.figures.refused") == 0
        place = f"position: fixed; left: 0; top: 0; width: {WIDTH}px"  # on whole pixels
        await ask(page, f"player.setAttribute('style', '{place}')")
        shots.append(await page.locator(f"crispcast-player .screen {element}").screenshot())

    scripts = NO_TRACK_GENERATOR if element == "canvas" else ""
    package = play(tiny(tmp_path), scenario, scripts=scripts)
    upscaler = Upscaler.of_package(package, threads=1)
    *_, before, end = decoded(package)
    upscaler.upscale(FRAMES - 2, before)
    expected = rgb_of(upscaler.upscale(FRAMES - 1, end).planes)
    shown = np.asarray(Image.open(io.BytesIO(shots[0])).convert("RGB"))
    difference = np.abs(shown[:HEIGHT, :WIDTH].astype(np.int16) - expected)
    assert difference.mean() < 2


def test_canvases_are_seen_through_each_frames_view(tmp_path: Path) -> None:
    """The second segment's plate becomes a canvas, as in tests/client_sdk/test_canvas.py."""
    path = tiny(tmp_path)
    tree = tree_of(open_package(path))
    records = path / "maps" / "lr.maps"
    tree["rungs"][0]["segments"][PLATED]["motion"]["offset"] = len(records.read_bytes())
    records.write_bytes(records.read_bytes() + MOTION)
    (path / "plates" / f"{sha(CANVAS)}.avif").write_bytes(CANVAS)
    (path / MANIFEST_FILE).write_text(json.dumps(tree))
    package, found = captured(path)
    segment = package.manifest.segments[PLATED]
    assert any(segment.start <= frame["frame"] < segment.end for frame in found)


def test_chroma_of_plates_is_shown(tmp_path: Path) -> None:
    path = tiny(tmp_path)
    plain = open_package(path)
    add_chroma(path)
    package, found = captured(path)
    # It is not what interpolation shows.
    segment = package.manifest.segments[PLATED]
    shown = next(f for f in found if segment.start < f["frame"] < segment.end)
    grey = reference(Upscaler.of_package(plain, threads=1), shown)
    assert furthest(hr_of(shown), grey) > 10 * CODE_VALUES


def test_frames_do_not_wait_for_a_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny(tmp_path)
    manifest, sha256, wire, base = difference_in(open_package(path))
    (path / asset_file(sha256, "plan")).write_bytes(wire)
    tree = json.loads(manifest.to_bytes())
    tree["assets"][sha256]["bytes"] = len(wire)
    (path / MANIFEST_FILE).write_text(json.dumps(tree))
    monkeypatch.setattr(bases, "find", {base_id(base): base}.get)
    found: list[dict[str, Any]] = []

    async def scenario(page: Page, url: str) -> None:
        shown = asyncio.Event()

        async def held(route: Any) -> None:
            await shown.wait()
            await route.continue_()

        await page.route("**/bases/*", held)
        await watching(page, url)
        assert await ask(page, "player.figures.latePlans") > 0
        shown.set()
        before = await ask(page, "player.figures.superResolved")
        await until(page, f"player.figures.superResolved > {before + 3}")
        found.extend(await page.evaluate(CAPTURE, 24))
        assert await ask(page, "player.figures.refused") == 0

    check_frames(play(path, scenario), found)


def test_the_quality_menu_changes_the_rung(tmp_path: Path) -> None:
    async def scenario(page: Page, url: str) -> None:
        await watching(page, url)
        menu = page.get_by_role("combobox", name="Quality")
        assert await menu.inner_text() == "Auto\nlr (96×62)\nother (96×62)"
        await menu.select_option("1")
        await until(page, "player.figures.rung === 'other'")
        frames = await page.evaluate(CAPTURE, 6)
        assert all(frame["superResolved"] for frame in frames)
        assert await ask(page, "player.figures.refused") == 0

    play(with_two_rungs(tiny(tmp_path)), scenario)


def test_it_follows_the_server_to_another_rung_and_a_choice_overrides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reports say that a third of the packets are lost, once it plays."""
    path = write_ladder(tmp_path, segments=SEGMENTS * 12)
    heard: list[Feedback] = []
    lost: list[float] = []
    take = Feedback._take_report

    def lossy(self: Feedback, report: Any) -> None:
        take(self, report)
        heard.append(self)
        self.lost = lost[-1] if lost else self.lost

    monkeypatch.setattr(Feedback, "_take_report", lossy)

    async def scenario(page: Page, url: str) -> None:
        await watching(page, url)
        assert await ask(page, "player.figures.rung") == "lr"
        lost.append(0.33)
        await until(page, "player.figures.rung === 'small'")
        # The change waits for no plans: its first segment may begin before they are there, two
        # experts, a plate and a map. Those of the segments after it are there in time.
        at_change = await ask(page, "player.figures.latePlans")
        assert at_change <= 4
        frames = await page.evaluate(CAPTURE, 2 * max(SEGMENTS))
        assert all(frame["superResolved"] for frame in frames[max(SEGMENTS) :])
        figures = await ask(page, "player.figures")
        assert (figures["latePlans"], figures["refused"]) == (at_change, 0)
        assert figures["planBytes"] <= sum(sizes.values())  # what rungs share came once
        menu = page.get_by_role("combobox", name="Quality")
        assert await menu.input_value() == "auto"
        await menu.select_option("0")
        await until(page, "player.figures.rung === 'lr'")
        await menu.select_option("auto")
        await until(page, "player.figures.rung === 'small'")

    manifest = open_package(path).manifest
    sizes = manifest.size_of(0) | manifest.size_of(1)
    play(path, scenario)
    # What a browser tells a sender that offers goog-remb and no transport-cc.
    assert max(feedback._estimate[1] for feedback in heard if feedback._estimate) > 10_000
    assert any(feedback.round_trip is not None for feedback in heard)


def test_a_page_that_is_too_slow_rests_and_gets_the_rung_with_the_cheaper_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server hears nothing of its times before it rests, by which it may act sooner."""
    told = Steering.told
    rested: list[Stats] = []

    def late(self: Steering, stats: Stats) -> None:
        if stats.interpolating or rested:
            rested.append(stats)
            told(self, stats)

    monkeypatch.setattr(Steering, "told", late)
    slow = """
      const upscale = Session.prototype.upscale;
      Session.prototype.upscale = function (picture, options) {
        const until = performance.now() + (picture.width > 60 && options.networks ? 110 : 0);
        while (performance.now() < until);
        return upscale.call(this, picture, options);
      };"""

    async def scenario(page: Page, url: str) -> None:
        async def add(route: Any) -> None:
            reply = await route.fetch()
            await route.fulfill(response=reply, body=await reply.text() + slow)

        await page.route("**/sdk/session.js", add)
        await watching(page, url)
        await until(page, "player.figures.resting")
        await until(page, "player.figures.rung === 'small' && !player.figures.resting")
        frames = await page.evaluate(CAPTURE, 12)
        assert all(frame["superResolved"] for frame in frames)

    play(write_ladder(tmp_path, segments=SEGMENTS * 12), scenario)


def test_another_site_embeds_it_with_three_lines(tmp_path: Path) -> None:
    async def scenario(page: Page, url: str) -> None:
        lines = [
            "<!doctype html><title>elsewhere</title>",
            f'<script type="module" src="{url}/sdk/player/crispcast-player.js"></script>',
            f'<crispcast-player src="{url}/whep/tiny" autoplay muted></crispcast-player>',
        ]
        site = "http://localhost/elsewhere.html"
        body = "\n".join(lines)
        await page.route(site, lambda route: route.fulfill(body=body, content_type="text/html"))
        await page.goto(site)
        await until(page, "player.figures?.superResolved > 3")
        assert not await ask(page, "crossOriginIsolated")
        assert (await ask(page, "player.figures.engine")).endswith("× 1")

    play(tiny(tmp_path), scenario)


@pytest.mark.parametrize(
    ("scripts", "reason"), [(NO_SIMD, "no WebAssembly SIMD"), ("", "cannot load")]
)
def test_where_the_engine_does_not_run_plain_video_is_shown_and_says_so(
    tmp_path: Path, scripts: str, reason: str
) -> None:
    async def scenario(page: Page, url: str) -> None:
        await page.route("**/*.wasm", lambda route: route.fulfill(status=404))
        await page.goto(f"{url}/watch/tiny")
        await page.get_by_role("button", name="Play", exact=True).first.click()
        await until(page, "player.figures.plain")
        await until(page, "player.shadowRoot.querySelector('.small').currentTime > 0.5")
        assert await ask(page, "player.state") == "playing"
        assert await page.locator("crispcast-player .small").is_visible()
        assert await page.locator("crispcast-player .screen").is_hidden()
        notice = await page.get_by_role("status").inner_text()
        assert reason in notice
        assert "plain video" in notice
        assert await ask(page, "player.figures.superResolved") == 0
        assert await page.get_by_role("button", name="Compare with interpolation").is_disabled()
        await keep(page, "plain")

    play(tiny(tmp_path), scenario, scripts=scripts)


def test_it_fits_a_phone_and_obeys_a_finger(tmp_path: Path) -> None:
    async def scenario(page: Page, url: str) -> None:
        await page.goto(f"{url}/watch/tiny")
        await page.get_by_role("button", name="Play", exact=True).first.tap()
        await until(page, "player.figures.superResolved > 3")
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= 360
        await keep(page, "phone")
        await page.get_by_role("button", name="Pause", exact=True).tap()
        assert await ask(page, "player.state") == "paused"

    play(
        tiny(tmp_path),
        scenario,
        viewport={"width": 360, "height": 640},
        has_touch=True,
        is_mobile=True,
    )
