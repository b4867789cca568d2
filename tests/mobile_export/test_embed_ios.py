"""docs/embed-ios.md says what is so: its commands run, its Swift is the example's or is checked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import crispcast
from mobile_export import TARGETS
from mobile_export.ios_package import SWIFT
from tests.mobile_export.swift_sources import faults, nodes, parse
from tests.mobile_export.test_ios_swift import ROOMS, example_lines, public_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embed-ios.md").read_text(encoding="utf-8")
SWIFT_BLOCKS = re.findall(r"```swift\n(.*?)```", PAGE, re.S)
SHELL_LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()
]
# What the page takes from the app around its snippets, and from Apple.
APPS = {"draw", "show", "print", "channel", "send", "Data", "map", "localizedDescription"}


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def is_of_the_example(block: str) -> bool:
    example = lines((SWIFT / "Example" / "StreamApp.swift").read_text())
    wanted = lines(block)
    starts = range(len(example) - len(wanted) + 1)
    return any(example[start : start + len(wanted)] == wanted for start in starts)


def test_the_heart_of_the_example_is_shown_as_it_is() -> None:
    assert [is_of_the_example(block) for block in SWIFT_BLOCKS[:2]] == [True, True]


@pytest.mark.parametrize("number", range(len(SWIFT_BLOCKS)))
def test_snippets_are_swift_that_names_what_is_public(number: int) -> None:
    block = SWIFT_BLOCKS[number]
    wrapped = f"func app() async throws {{\n{block}\n}}"
    assert faults(wrapped) == []
    known = set().union(*(public_names(room) for room in ROOMS)) | APPS
    used = set()
    for node in nodes(parse(wrapped)):
        if node.type == "navigation_expression":
            used.add(node.children[-1].text.decode().lstrip("."))
        elif node.type == "call_expression" and node.children[0].type == "simple_identifier":
            used.add(node.children[0].text.decode())
    assert used
    assert used - known == set()


def test_a_name_that_is_not_public_is_seen() -> None:
    known = set().union(*(public_names(room) for room in ROOMS))
    assert {"play", "figures", "Upscaler", "StreamCore", "framesSuperResolved"} <= known
    assert not {"perform", "doTasks", "SparseBackend"} & known


def test_options_errors_and_events_of_the_page_are_there() -> None:
    known = set().union(*(public_names(room) for room in ROOMS))
    tables = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    named = {
        word
        for cell in re.findall(r"`([^`]+)`", tables)
        for word in re.findall(r"^\.?([a-z]\w+)(?:\(\))?$", cell)
    }
    assert {"models", "backends", "withoutCoreML", "shownSmall", "closed", "coreML"} <= named
    assert named - known == set()


def test_commands_are_those_that_there_are() -> None:
    commands = [shlex.split(line) for line in SHELL_LINES]
    assert ["crispcast", "export", "holiday.crisp", "--target", "ios", "-o", "holiday-ios"] in (
        commands
    )
    assert "ios" in TARGETS
    group: Any = get_command(crispcast.app)
    for words in commands:
        if words[0] != "crispcast":
            assert words == ["pip", "install", "crispcast[export]"]
            continue
        context = group.make_context("crispcast", [], resilient_parsing=True)
        command = group.get_command(context, words[1])
        assert command is not None
        options = {name for param in command.get_params(context) for name in param.opts}
        assert {word for word in words if word.startswith("-")} <= options


def test_figures_of_the_page_are_those_of_the_code() -> None:
    sources = {p.name: p.read_text() for p in (SWIFT / "Sources").rglob("*.swift")}

    def value(file: str, name: str) -> float:
        found = re.search(rf"static let {name} = ([\d.]+)", sources[file])
        assert found is not None, name
        return float(found.group(1))

    counted, warming = (value("BackendChoice.swift", name) for name in ("counted", "warming"))
    assert f"each makes {counted + warming:.0f} frames, of which the last {counted:.0f} c" in PAGE
    assert f"at most {value('ModelBundle.swift', 'mostModels'):.0f} networks" in PAGE
    assert f"beyond {value('StreamCore.swift', 'hurry'):.0f} waiting pictures" in PAGE
    assert f"interpolated for {value('Pace.swift', 'rest'):.0f} s" in PAGE
    assert f"{example_lines()} lines" in PAGE
    assert "limit: Int = 256 << 20" in sources["AssetCache.swift"]
    assert "256 MiB" in PAGE
    package = (SWIFT / "Package.swift").read_text()
    assert "platforms: [.iOS(.v16), .macOS(.v13)]" in package
    assert "iOS 16 or macOS 13" in PAGE


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
