"""The Swift of the SDK for iOS, as far as it can be held to anything without a Swift compiler."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from mobile_export.ios_package import SWIFT
from mobile_export.native_sources import headers
from tests.mobile_export.c_headers import read_headers
from tests.mobile_export.swift_sources import faults, named_of_c, nodes, parse, swift_files

HEADERS = read_headers(*headers(), SWIFT / "Sources" / "CCrispcast" / "include/crispcast_planes.h")
SOURCES = {path.relative_to(SWIFT).as_posix(): path.read_text() for path in swift_files()}


def wrong(source: str) -> list[str]:
    return named_of_c({"a.swift": source}, HEADERS).wrong


@pytest.mark.parametrize("name", SOURCES)
def test_every_file_is_swift(name: str) -> None:
    assert faults(SOURCES[name]) == []


def test_what_is_no_swift_is_seen() -> None:
    assert faults("func f() -> Int { 1 }") == []
    assert faults("func f( -> Int { 1 }") != []
    assert faults("let x = [1, 2") != []


def test_all_that_swift_names_of_c_is_in_the_headers() -> None:
    found = named_of_c(SOURCES, HEADERS)
    assert found.wrong == []
    assert found.calls >= 50
    assert found.fields >= 60
    assert found.names >= 100


def test_the_headers_are_read_whole() -> None:
    assert HEADERS.functions["crispcast_version"] == 0
    assert HEADERS.functions["crispcast_canvas_render"] == 10
    assert HEADERS.functions["crispcast_session_report"] == 4
    assert HEADERS.structs["crispcast_patch"] == ("x", "y", "width", "height", "expert")
    assert "previous" in HEADERS.structs["crispcast_frame_job"]
    assert {"CRISPCAST_OK", "CRISPCAST_MAX_SIDE", "CRISPCAST_TASK_LATE"} <= HEADERS.constants
    assert {"crispcast_session", "crispcast_engine", "crispcast_task_kind"} <= HEADERS.types


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("func f() { crispcast_upscal(engine, &job) }", "crispcast_upscal is in no header"),
        ("func f() { crispcast_upscale(engine) }", "takes 2 arguments, not 1"),
        ("let x = CRISPCAST_TASK_SENT", "CRISPCAST_TASK_SENT is in no header"),
        ("func f(_ task: crispcast_tusk) {}", "crispcast_tusk is in no header"),
        ("func f() { var job = crispcast_frame_job()\n job.widht = 1 }", "no field widht"),
        ("func f(_ t: crispcast_task) -> Int32 { t.knid }", "no field knid"),
        ("let p = crispcast_plane(data: a, strides: 3)", "crispcast_plane has"),
        ("struct A { let facts: crispcast_session_result }\nlet y = made.facts.shwon", "shwon"),
    ],
)
def test_a_misspelt_name_is_seen(source: str, words: str) -> None:
    assert len(wrong(source)) == 1
    assert words in wrong(source)[0]


def test_names_that_are_right_are_left_alone() -> None:
    assert wrong("func f() { var j = crispcast_frame_job()\n j.`in` = x\n j.width = 1 }") == []
    assert wrong("func f(_ job: Other) { job.widht = 1 }") == []


def test_every_task_of_the_session_is_done() -> None:
    kinds = {name for name in HEADERS.constants if name.startswith("CRISPCAST_TASK_")}
    done = SOURCES["Sources/Crispcast/StreamTasks.swift"]
    assert kinds - set(re.findall(r"\bCRISPCAST_TASK_\w+", done)) == {"CRISPCAST_TASK_NONE"}


def functions(room: str) -> dict[str, str]:
    """Functions of a room's files by name; those of one name, one after the other."""
    found: dict[str, str] = {}
    for name, source in SOURCES.items():
        if name.startswith(f"Sources/{room}/"):
            for node in nodes(parse(source)):
                if node.type == "function_declaration":
                    called = node.child_by_field_name("name").text.decode()
                    found[called] = found.get(called, "") + node.text.decode()
    return found


def test_a_token_goes_only_where_its_origin_was_compared() -> None:
    ours = functions("Crispcast")
    senders = {name for name, text in ours.items() if '"Authorization"' in text}
    assert senders == {"send", "authorize"}
    everything = "".join(SOURCES[name] for name in SOURCES if name.startswith("Sources/"))
    assert everything.count('"Authorization"') == 2
    assert "if let token = self.token(for: url) {" in ours["send"]
    assert "{ trusts(url) ? token : nil }" in ours["token"]
    assert "{ trusted.contains(origin(url)) }" in ours["trusts"]
    assert "{ bearer.token(for: url) }" in ours["token"]
    assert ours["origin"].count("lowercased()") == 2  # scheme and host
    assert "origin($0) == origin(endpoint)" in ours["authorize"]
    assert "authorize(&request)" in ours["begin"]
    redirected = ours["urlSession"].split("willPerformHTTPRedirection")[1]
    assert "authorize(&next)\n        completionHandler(next)" in redirected


def test_assets_after_a_redirect_get_the_token_that_the_given_origin_may_see() -> None:
    connecting = functions("CrispcastWebRTC")["connect"]
    given = re.findall(r"core\.connected\(endpoint: endpoint, token: ([^{]+)\)", connecting)
    assert given == ["client.token(for: endpoint)"]


def test_nothing_is_heard_of_a_fetcher_whose_connection_is_over() -> None:
    """The session asks the next one for the same assets, and would take it for its answer."""
    fetcher = SOURCES["Sources/Crispcast/AssetFetcher.swift"]
    closing = fetcher.split("func close()")[1].split("private func begin")[0]
    assert "failed()" not in closing
    assert "guard !closed else { return }" in fetcher
    ours = functions("Crispcast")
    assert ours["fetch"].count("self?.hear(fetcher)") == 2  # pieces and failures
    assert "if let fetcher, fetcher === self.fetcher { answer(self) }" in ours["hear"]
    assert "guard let fetcher else { return }" in ours["fetch"]


def test_a_loss_after_the_last_frame_is_the_end() -> None:
    """The core is asked once all pictures were given, before the server is looked for."""
    told = functions("Crispcast")["disconnected"]
    assert "crispcast_session_disconnected(self.session, &over)" in told
    assert "self.end(frames: nil)" in told
    looking = functions("CrispcastWebRTC")["search"]
    way = [
        "hangUp(connection)",
        "if await core.disconnected() { over = true }",
        "if closed || over { return }",
        "outlet.tell(.lost(why))",
        "connect(to: places[0])",
    ]
    assert sorted(way, key=looking.index) == way
    assert "old.close()" in functions("CrispcastWebRTC")["hangUp"]
    assert "await old" not in functions("CrispcastWebRTC")["hangUp"].split("Task {")[0]


def test_a_stream_that_falls_silent_while_it_plays_is_lost() -> None:
    """Every half second; SilenceTests.swift has when it counts as silent."""
    ours = functions("Crispcast")
    assert "if silence.lasts(since: waiting.last, at: now()) {" in ours["tick"]
    assert "onEvent(.lost(" in ours["tick"]
    assert "latest = now()" in ours["enter"]  # before any picture is refused
    assert ours["enter"].index("latest = now()") < ours["enter"].index("return nil")
    assert "silence.begin(at: now())" in ours["connected"]
    assert "silence.hold(on, at: now())" in ours["pause"]
    for over in ("disconnected", "end"):
        assert "silence.end()" in ours[over]
    assert "static let patience = 4.0" in SOURCES["Sources/Crispcast/Silence.swift"]


def test_a_lost_server_is_looked_for_where_the_app_said_and_where_that_led_in_turn() -> None:
    ours = functions("CrispcastWebRTC")
    assert "answered = try await fresh.open()" in ours["connect"]
    assert "return answer.place" in ours["open"]
    looking = ours["search"]
    assert "var places = [client.endpoint, answered]" in looking
    assert "connect(to: places[0])" in looking
    assert looking.index("connect(to: places[0])") < looking.index("places.reverse()")
    assert "[400, 401, 403, 404].contains(status)" in looking


def test_core_ml_leaves_all_but_the_luma_of_networks_to_the_session() -> None:
    """So chroma plates are in its pictures as in the sparse backend's (docs/chroma.md)."""
    coreml = SOURCES["Sources/Crispcast/CoreMLBackend.swift"]
    making = coreml.split("func upscale(")[1].split("/// Runs the networks")[0]
    assert "record.flags |= Int32(bitPattern: CRISPCAST_FRAME_FOR_BACKEND.rawValue)" in making
    assert "crispcast_session_upscale(session, &record, &facts)" in making
    written = re.findall(r"large\.(\w+)\.data", coreml)
    assert set(written) == {"y"}


def test_answers_at_once_do_not_nest_the_loop_of_tasks() -> None:
    ours = functions("Crispcast")
    way = ["doTasks", "perform", "look", "lacks", "told", "doTasks"]
    for caller, called in pairwise(way):
        assert re.search(rf"\b{called}\(", ours[caller]), f"{caller} does not call {called}"
    body = [line.strip() for line in ours["doTasks"].splitlines()[1:]]
    assert body[:3] == ["guard !doing else { return }", "doing = true", "defer { doing = false }"]


def package_targets() -> dict[str, str]:
    """Targets of Package.swift with what stands in their parentheses."""
    text = SOURCES["Package.swift"]
    found = {}
    for start in re.finditer(r"\.(target|testTarget)\(\s*name: \"(\w+)\"", text):
        depth = 1
        end = start.start() + text[start.start() :].index("(") + 1
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        found[start.group(2)] = text[start.start() : end]
    return found


def test_package_swift_describes_the_folders_that_are_there() -> None:
    folders = {path.name for path in (SWIFT / "Sources").iterdir()}
    tests = {path.name for path in (SWIFT / "Tests").iterdir()}
    assert set(package_targets()) == folders | tests
    assert {path.name for path in SWIFT.iterdir()} == {
        "Package.swift",
        "Sources",
        "Tests",
        "Example",
    }
    products = re.findall(r"targets: \[([^\]]+)\]\)", SOURCES["Package.swift"])
    for names in products:
        assert set(re.findall(r'"(\w+)"', names)) <= folders


def imports_of(source: str) -> set[str]:
    return set(re.findall(r"^\s*(?:@testable )?import (\w+)$", source, re.M))


def test_targets_depend_on_what_their_files_import_and_no_more() -> None:
    targets = package_targets()
    ours = {*targets, "WebRTC"}
    for name, described in targets.items():
        folder = next(p for p in (SWIFT / "Sources" / name, SWIFT / "Tests" / name) if p.is_dir())
        imported = set()
        for path in folder.rglob("*.swift"):
            imported |= imports_of(path.read_text()) & ours
        depends = set(re.findall(r'"(\w+)"', described)) & ours - {name}
        assert imported - {name} == depends, name


def test_only_the_player_needs_webrtc() -> None:
    for name, source in SOURCES.items():
        if not name.startswith("Sources/CrispcastWebRTC/"):
            assert "WebRTC" not in imports_of(source), name


def example_lines() -> int:
    from benchmarks.mobile import lines_of

    return lines_of(SWIFT / "Example" / "StreamApp.swift")


def test_the_example_is_a_whole_app_in_forty_lines() -> None:
    example = SOURCES["Example/StreamApp.swift"]
    assert "@main" in example
    assert imports_of(example) == {"Crispcast", "CrispcastModels", "CrispcastWebRTC", "SwiftUI"}
    assert 20 <= example_lines() <= 40


def public_names(room: str) -> set[str]:
    """Types, functions, variables and enum cases that apps may use."""
    text = "".join(s for name, s in SOURCES.items() if name.startswith(f"Sources/{room}/"))
    declared = re.findall(
        r"public (?:nonisolated |static |final |weak )*(?:class|struct|enum|actor|protocol|func|var"
        r"|let) (\w+)",
        text,
    )
    cases = re.findall(r"^    case (\w+)", text, re.M)
    return set(declared) | set(cases)


ROOMS = ("Crispcast", "CrispcastModels", "CrispcastWebRTC")


def test_the_example_uses_only_what_is_public() -> None:
    example = SOURCES["Example/StreamApp.swift"]
    known = set().union(*(public_names(room) for room in ROOMS))
    ours = set(re.findall(r"\b(Crispcast\w+|Stream(?!App|Screen)\w+|ModelBundle)\b", example))
    assert ours - {"CrispcastWebRTC"} - {"Crispcast"} <= known
    members = set(re.findall(r"(?:session|options|CrispcastModels)\.(\w+)", example))
    members |= set(re.findall(r"if case \.(\w+)", example))
    assert members >= {"play", "events", "pictures", "models", "resources", "close", "opened"}
    assert members <= known


@pytest.mark.parametrize("path", swift_files(), ids=lambda p: p.name)
def test_files_hold_one_idea_each(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    assert max(len(line) for line in path.read_text().splitlines()) <= 110
