"""What a session asks of its app: assets by HTTP, by the channel, from a cache; not too many."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from client_sdk.contract.asset_frames import frames_of
from client_sdk.contract.plate import decode_plate
from client_sdk.core import Delivery, Session, Task, TaskKind, sentence
from kernels.compiler import base_of
from kernels.errors import PackageError, StreamError
from kernels.runtime import available_isas
from tests.conformance.core_face import planes_of
from tests.conformance.package import FRAMES, HEIGHT, PACKAGE_ID, WIDTH, Drawn, draw, frame, sha

PATIENCE_MS = 4000  # of silence until a channel counts as stuck


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw()


def tasks_of(session: Session, now_ms: int = 0) -> Iterator[Task]:
    while (task := session.next_task(now_ms)) is not None:
        yield task


def kinds(tasks: list[Task]) -> list[TaskKind]:
    return [TaskKind(task.kind) for task in tasks]


def lr(drawn: Drawn, number: int, rung: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    facts = drawn.manifest.rungs[rung]
    return planes_of(frame(number, facts.width, facts.height), facts.width, facts.height)


def answer(session: Session, drawn: Drawn, task: Task) -> None:
    """What an app with the whole package does."""
    if task.kind in (TaskKind.FETCH, TaskKind.LOOK):
        session.asset(task.sha256, drawn.assets[task.sha256])
    if task.kind == TaskKind.DECODE:
        session.picture(task.sha256, decode_plate(task.data, task.width, task.height))


def open_with(drawn: Drawn, **options: int) -> Session:
    session = Session(threads=1, isa="portable", **options)  # type: ignore[arg-type]
    session.manifest(drawn.manifest_bytes)
    return session


def sent(tasks: list[Task]) -> list[dict[str, object]]:
    return [json.loads(task.data) for task in tasks if task.kind == TaskKind.SEND]


def test_without_a_channel_every_asset_is_fetched_by_deadline(drawn: Drawn) -> None:
    session = open_with(drawn)
    tasks = list(tasks_of(session))
    assert kinds(tasks[:1]) == [TaskKind.MANIFEST]
    fetched = tasks[1:]
    assert {task.kind for task in fetched} == {TaskKind.FETCH}
    rung = drawn.manifest.rungs[0]
    wanted = [name for segment in range(3) for name in rung.assets_of(segment)]
    assert [task.sha256 for task in fetched] == list(dict.fromkeys(wanted))
    assert [task.frame for task in fetched] == sorted(task.frame for task in fetched)
    assert all(task.total == len(drawn.assets[task.sha256]) for task in fetched)


def test_a_play_by_http_is_ready_and_super_resolved(drawn: Drawn) -> None:
    session = open_with(drawn)
    told = []
    for task in tasks_of(session):
        answer(session, drawn, task)
        told.append(task)
    assert TaskKind.READY in kinds(told)
    assert all(session.ready(0, segment) for segment in range(3))
    for number in range(FRAMES):
        made = session.upscale(lr(drawn, number), number=number)
        assert made.super_resolved
        assert not made.late
        assert made.follows == (number not in (0, 8, 16))
        assert made.planes is not None
        assert made.planes[0].shape == (HEIGHT, WIDTH)
    assert session.figures()["frames_sr"] == FRAMES


def test_pieces_of_http_go_on_where_they_stopped(drawn: Drawn) -> None:
    session = open_with(drawn)
    task = next(task for task in tasks_of(session) if task.kind == TaskKind.FETCH)
    data = drawn.assets[task.sha256]
    session.piece(task.sha256, 0, data[:5])
    with pytest.raises(StreamError, match="has a hole at 5"):
        session.piece(task.sha256, 7, data[7:])
    again = [at for at in tasks_of(session) if at.sha256 == task.sha256]
    assert [at.offset for at in again] == [5]
    session.piece(task.sha256, 5, data[5:])
    assert task.sha256 not in [at.sha256 for at in tasks_of(session)]


def test_what_http_lacks_is_asked_of_the_channel_and_then_given_up(drawn: Drawn) -> None:
    session = Session(threads=1, delivery=Delivery.HTTP)
    session.connected()
    session.manifest(drawn.manifest_bytes)
    tasks = list(tasks_of(session))
    assert sent(tasks)[0]["type"] == "hello"
    name = next(task.sha256 for task in tasks if task.kind == TaskKind.FETCH)
    session.lacks(name)
    (want,) = sent(list(tasks_of(session)))
    assert want == {"type": "want", "assets": [{"sha256": name, "offset": 0}]}
    # Without a channel there is no other way.
    alone = open_with(drawn)
    list(tasks_of(alone))
    alone.lacks(name)
    (refused,) = tasks_of(alone)
    assert (refused.kind, refused.sha256) == (TaskKind.REFUSED, name)
    assert refused.text == sentence(refused.status)
    assert "neither by the channel nor by HTTP" in refused.text


def test_a_channel_that_is_silent_is_left_for_http(drawn: Drawn) -> None:
    session = Session(threads=1)
    session.connected()
    session.manifest(drawn.manifest_bytes)
    assert TaskKind.FETCH not in kinds(list(tasks_of(session, 100)))
    assert list(tasks_of(session, 200)) == []
    assert list(tasks_of(session, 100 + PATIENCE_MS - 1)) == []
    stuck = list(tasks_of(session, 100 + PATIENCE_MS))
    assert set(kinds(stuck)) == {TaskKind.FETCH}


def test_a_cache_is_looked_into_and_filled(drawn: Drawn) -> None:
    session = open_with(drawn, cache=True)
    tasks = [task for task in tasks_of(session) if task.kind != TaskKind.MANIFEST]
    assert {task.kind for task in tasks} == {TaskKind.LOOK}
    held, damaged, absent = (task.sha256 for task in tasks[:3])
    session.asset(held, drawn.assets[held])
    with pytest.raises(StreamError, match="is damaged"):
        session.asset(damaged, drawn.assets[damaged] + b"!")
    session.lacks(absent)
    fetched = list(tasks_of(session))
    assert [task.sha256 for task in fetched] == [damaged, absent]
    assert {task.kind for task in fetched} == {TaskKind.FETCH}
    session.piece(absent, 0, drawn.assets[absent])
    (store,) = tasks_of(session)
    assert (store.kind, store.sha256) == (TaskKind.STORE, absent)
    assert store.data == drawn.assets[absent]


def test_a_memory_limit_is_kept_and_costs_quality_alone(drawn: Drawn) -> None:
    limit = 400 << 10  # two plans and some pictures
    session = open_with(drawn, memory_limit=limit)
    told = []
    for task in tasks_of(session):
        answer(session, drawn, task)
        told.append(task)
    rung = drawn.manifest.rungs[0]
    fetched = {task.sha256 for task in told if task.kind == TaskKind.FETCH}
    assert set(rung.segments[0].experts) <= fetched
    assert not set(rung.segments[1].experts[1:]) & fetched
    for number in range(FRAMES):
        session.upscale(lr(drawn, number), number=number)
        for task in tasks_of(session):
            answer(session, drawn, task)
            told.append(task)
        assert session.figures()["memory_bytes"] <= limit
    assert session.figures()["frames_sr"] >= 8
    # The segment at hand has three plans, and says which it does without.
    refused = [task for task in told if task.kind == TaskKind.REFUSED]
    assert {task.segment for task in refused} == {1}
    assert "memory" in refused[0].text


def test_what_lies_behind_is_let_go_of_and_found_again(drawn: Drawn) -> None:
    session = open_with(drawn)
    for task in tasks_of(session):
        answer(session, drawn, task)
    before = session.figures()["memory_bytes"]
    session.upscale(lr(drawn, 16), number=16)
    assert session.figures()["memory_bytes"] < before
    assert not session.ready(0, 0)
    session.seek(0)
    for task in tasks_of(session):
        answer(session, drawn, task)
    assert session.upscale(lr(drawn, 0), number=0).super_resolved


def test_a_session_of_a_package_on_disk_asks_for_nothing(drawn: Drawn) -> None:
    session = open_with(drawn, offline=True)
    assert kinds(list(tasks_of(session))) == [TaskKind.MANIFEST]
    for name, data in drawn.assets.items():
        session.asset(name, data)
        for task in tasks_of(session):
            answer(session, drawn, task)
    for number in (20, 0, 12):
        assert session.upscale(lr(drawn, number), number=number).super_resolved


def test_a_plain_session_asks_for_nothing_and_interpolates(drawn: Drawn) -> None:
    session = Session(threads=1, plain=True)
    session.connected()
    session.manifest(drawn.manifest_bytes)
    assert [says["type"] for says in sent(list(tasks_of(session)))] == ["hello", "resume"]
    made = session.upscale(lr(drawn, 0), number=0)
    assert not made.super_resolved
    assert made.planes is not None


def test_what_an_app_says_goes_to_the_server(drawn: Drawn) -> None:
    session = Session(threads=1, delivery=Delivery.CHANNEL)
    session.connected()
    session.manifest(drawn.manifest_bytes)
    list(tasks_of(session))
    session.pause(True)
    session.pause(False)
    session.loop(True)
    session.seek(9)
    session.choose_rung(0)
    session.choose_rung(None)
    session.report(12.3456, 24.5, False)
    session.leave()
    says = [message for message in sent(list(tasks_of(session))) if message["type"] != "want"]
    assert says[:6] == [
        {"type": "pause"},
        {"type": "resume"},
        {"type": "loop", "on": True},
        {"type": "seek", "frame": 9},
        {"type": "rung", "rung": 0},
        {"type": "rung", "rung": None},
    ]
    assert says[6]["upscale_ms"] == 12.346
    assert says[6]["fps"] == 24.5
    assert says[7] == {"type": "bye", "reason": "leaving"}


def test_what_cannot_be_is_refused_in_a_sentence(drawn: Drawn) -> None:
    early = Session(threads=1)
    with pytest.raises(StreamError, match="manifest is not here"):
        early.seek(0)
    session = open_with(drawn)
    with pytest.raises(PackageError, match="outside the video"):
        session.seek(FRAMES)
    with pytest.raises(PackageError, match="no such rung"):
        session.choose_rung(1)
    with pytest.raises(StreamError, match="another video"):
        session.manifest(drawn.manifest_bytes)
    with pytest.raises(StreamError, match="belongs to no segment"):
        session.asset("e" * 64, b"")
    with pytest.raises(PackageError, match="for rung x2 of 24x16"):
        session.upscale(planes_of(frame(0, 16, 24), 16, 24), number=0)
    session.close()
    with pytest.raises(StreamError, match="no such session"):
        session.upscale(lr(drawn, 0), number=0)


@pytest.mark.parametrize("letter", ["ж", "字", "😀"])
@pytest.mark.parametrize("before", range(4))
def test_what_a_server_says_is_cut_between_characters(letter: str, before: int) -> None:
    session = Session(threads=1)
    message = "a" * before + letter * (300 - before)
    session.message(json.dumps({"type": "bye", "reason": "error", "message": message}).encode())
    (failed,) = tasks_of(session)
    whole = f"the server ended the play: {message}"
    assert whole.startswith(failed.text)
    assert 396 <= len(failed.text.encode()) <= 399


@pytest.mark.parametrize("letter", ["ж", "字", "😀"])
@pytest.mark.parametrize("before", range(4))
def test_what_has_a_long_key_in_any_letters_is_passed_over(letter: str, before: int) -> None:
    session = Session(threads=1)
    key = "a" * before + letter * 40
    for more in (1, {key: "\n"}):
        text = json.dumps({"type": "bye", "reason": "error", key: more}, ensure_ascii=False)
        with pytest.raises(StreamError, match=f"{key[:7]}.*: "):
            session.message(text.replace("\\n", "\n").encode())
    version = json.dumps({"format": "crispcast", "version": key}, ensure_ascii=False)
    with pytest.raises(PackageError, match=f"has version {key[:4]}[^�]*; this program"):
        session.manifest(version.encode())
    unknown = json.dumps({"format": "crispcast", "version": "1.2", key: 1}, ensure_ascii=False)
    with pytest.raises(PackageError, match=f"{key[:7]}[^�]*: "):
        session.manifest(unknown.encode())


def head(drawn: Drawn, name: str = "", **more: int) -> bytes:
    """The message that announces a manifest."""
    body = drawn.manifest_bytes
    fields = {"package": PACKAGE_ID, "rung": 0, "sha256": name or sha(body), "bytes": len(body)}
    return json.dumps({"type": "manifest", "version": "1.1", **fields, **more}).encode()


def say_manifest(session: Session, drawn: Drawn) -> None:
    body = drawn.manifest_bytes
    for message in frames_of(sha(body), body):
        session.frame_bytes(message)


def test_a_manifest_may_be_here_before_the_server_plays_it() -> None:
    ladder = draw(rungs=(2, 4))
    session = open_with(ladder, delivery=Delivery.CHANNEL)
    session.connected()
    session.message(head(ladder, rung=1))
    say_manifest(session, ladder)  # passed over
    (want,) = [says for says in sent(list(tasks_of(session))) if says["type"] == "want"]
    asked = [asset["sha256"] for asset in want["assets"]]  # type: ignore[attr-defined]
    assert set(ladder.manifest.rungs[1].assets_of(0)) <= set(asked)
    assert session.upscale(lr(ladder, 0, 1), rtp_time=5).rung == 1


def test_another_connection_hears_what_was_chosen_and_where_the_play_is(drawn: Drawn) -> None:
    session = Session(threads=1, delivery=Delivery.CHANNEL)
    session.connected()
    session.message(head(drawn))
    with pytest.raises(StreamError, match="announced twice"):
        session.message(head(drawn))
    say_manifest(session, drawn)
    session.choose_rung(0)
    session.loop(True)
    session.upscale(lr(drawn, 10), number=10)
    list(tasks_of(session))
    session.connected()
    session.message(head(drawn))
    said = sent(list(tasks_of(session)))
    assert said[:4] == [
        {"type": "hello", "version": "1.2", "sr": True},
        {"type": "rung", "rung": 0},
        {"type": "loop", "on": True},
        {"type": "seek", "frame": 11},
    ]
    assert said[4]["type"] == "want"


def test_in_a_channel_what_comes_before_the_place_is_not_shown(drawn: Drawn) -> None:
    session = Session(threads=1)
    session.connected()
    session.message(head(drawn, live=9))
    # The place is told before all of the manifest is here.
    session.message(b'{"type":"sought","rtp_time":7200,"rung":0,"frame":10}')
    say_manifest(session, drawn)
    assert not session.upscale(lr(drawn, 8), rtp_time=0).shown
    assert not session.upscale(lr(drawn, 9), rtp_time=3600).shown
    made = session.upscale(lr(drawn, 10), rtp_time=7200)
    assert (made.shown, made.landed, made.frame) == (True, True, 10)
    with pytest.raises(StreamError, match="no seeking"):
        session.seek(0)


def test_another_video_ends_the_play(drawn: Drawn) -> None:
    session = Session(threads=1)
    session.connected()
    session.message(head(drawn))
    say_manifest(session, drawn)
    assert TaskKind.MANIFEST in kinds(list(tasks_of(session)))
    with pytest.raises(StreamError, match="another video by now"):
        session.message(head(drawn, "e" * 64))
    assert kinds(list(tasks_of(session))) == [TaskKind.FAILED]
    with pytest.raises(StreamError, match="has failed"):
        session.seek(0)
    # The video goes on all the same.
    assert session.upscale(lr(drawn, 0), number=0).planes is not None


def test_an_app_may_say_what_is_large(drawn: Drawn) -> None:
    sizes = {name: len(data) for name, data in drawn.assets.items()}
    limit = sorted(sizes.values())[len(sizes) // 2]
    session = Session(threads=1, http_from=limit)
    session.connected()
    session.manifest(drawn.manifest_bytes)
    fetched = {task.sha256 for task in tasks_of(session) if task.kind == TaskKind.FETCH}
    wanted = set(drawn.manifest.size_of(0))
    assert fetched == {name for name in wanted if sizes[name] >= limit}
    assert fetched < wanted


def test_a_way_is_changed_twice_at_most(drawn: Drawn) -> None:
    session = Session(threads=1, delivery=Delivery.HTTP)
    session.connected()
    session.manifest(drawn.manifest_bytes)
    name = next(task.sha256 for task in tasks_of(session) if task.kind == TaskKind.FETCH)
    session.lacks(name)
    assert [says["type"] for says in sent(list(tasks_of(session, 100)))] == ["want"]
    (stuck,) = tasks_of(session, 100 + PATIENCE_MS)
    assert (stuck.kind, stuck.sha256) == (TaskKind.FETCH, name)
    session.lacks(name)
    (refused,) = tasks_of(session, 100 + PATIENCE_MS)
    assert (refused.kind, refused.sha256) == (TaskKind.REFUSED, name)


def test_what_was_asked_for_is_asked_of_another_connection_too(drawn: Drawn) -> None:
    session = Session(threads=1, delivery=Delivery.HTTP)
    session.connected()
    session.message(head(drawn))
    say_manifest(session, drawn)
    first = [task for task in tasks_of(session) if task.kind == TaskKind.FETCH]
    name = first[0].sha256
    session.piece(name, 0, drawn.assets[name][:5])
    assert not session.disconnected()
    session.connected()
    session.message(head(drawn))
    told = list(tasks_of(session))
    again = [task for task in told if task.kind == TaskKind.FETCH]
    assert {task.sha256 for task in again} == {task.sha256 for task in first}
    assert next(task.offset for task in again if task.sha256 == name) == 5
    (joined,) = (task for task in told if task.kind == TaskKind.JOINED)
    assert joined.frame == -1


def test_another_connection_hears_of_a_pause_at_once(drawn: Drawn) -> None:
    session = Session(threads=1, delivery=Delivery.CHANNEL)
    session.connected()
    session.message(head(drawn))
    say_manifest(session, drawn)
    list(tasks_of(session))
    session.pause(True)
    list(tasks_of(session))
    session.disconnected()
    session.connected()
    session.message(head(drawn))
    said = [says["type"] for says in sent(list(tasks_of(session)))]
    assert said == ["hello", "pause", "want"]
    for name in drawn.manifest.rungs[0].assets_of(0):
        for message in frames_of(name, drawn.assets[name]):
            session.frame_bytes(message)
    told = list(tasks_of(session))
    assert kinds(told) == [TaskKind.READY]  # and the server goes on in its pause
    session.pause(False)
    assert [says["type"] for says in sent(list(tasks_of(session)))] == ["resume"]


def base_in(drawn: Drawn, segment: int) -> str:
    """The plan to which another one of that segment is a difference."""
    experts = drawn.manifest.rungs[0].segments[segment].experts
    (base,) = filter(None, (base_of(drawn.assets[name]) for name in experts))
    return next(name for name in experts if bytes.fromhex(name).startswith(base))


@pytest.mark.parametrize("base_first", [False, True])
def test_a_difference_whose_base_is_refused_is_not_waited_for(
    drawn: Drawn, base_first: bool
) -> None:
    base = base_in(drawn, 1)
    session = Session(threads=1, delivery=Delivery.HTTP)
    session.connected()
    session.message(head(drawn, live=8))
    say_manifest(session, drawn)
    list(tasks_of(session))
    told = given_up(session, base) if base_first else []
    for name in drawn.manifest.rungs[0].assets_of(1):
        if name != base:
            session.asset(name, drawn.assets[name])
    for task in tasks_of(session):
        answer(session, drawn, task)
        told.append(task)
    assert session.ready(0, 1) == base_first
    if not base_first:
        told += given_up(session, base)
    assert session.ready(0, 1)
    assert TaskKind.READY in kinds(told)
    made = session.upscale(lr(drawn, 8), number=8)
    assert (made.super_resolved, made.missing) == (False, 0)
    assert TaskKind.LATE not in kinds(list(tasks_of(session)))
    # Where the base comes after all, the difference is there.
    session.piece(base, 0, drawn.assets[base])
    assert session.upscale(lr(drawn, 9), number=9).super_resolved


def joined(drawn: Drawn) -> tuple[Session, str]:
    """A session whose server is there, and an asset that it fetches."""
    session = Session(threads=1, delivery=Delivery.HTTP)
    session.connected()
    session.message(head(drawn))
    say_manifest(session, drawn)
    return session, next(t.sha256 for t in tasks_of(session) if t.kind == TaskKind.FETCH)


def given_up(session: Session, name: str) -> list[Task]:
    """It comes neither way; what is told then."""
    session.lacks(name)
    list(tasks_of(session, 100))
    list(tasks_of(session, 100 + PATIENCE_MS))
    session.lacks(name)
    told = list(tasks_of(session, 200 + PATIENCE_MS))
    assert TaskKind.REFUSED in kinds(told)
    return told


def test_what_was_given_up_is_taken_when_it_comes_after_all(drawn: Drawn) -> None:
    session, name = joined(drawn)
    session.piece(name, 0, drawn.assets[name][:5])
    given_up(session, name)
    session.piece(name, 5, drawn.assets[name][5:])
    for other, data in drawn.assets.items():
        if other != name:
            session.asset(other, data)
    for task in tasks_of(session):
        answer(session, drawn, task)
    assert session.upscale(lr(drawn, 0), number=0).super_resolved


def test_what_was_given_up_is_asked_of_another_connection(drawn: Drawn) -> None:
    session, name = joined(drawn)
    given_up(session, name)
    session.disconnected()
    session.connected()
    session.message(head(drawn))
    again = [task.sha256 for task in tasks_of(session) if task.kind == TaskKind.FETCH]
    assert name in again


def test_what_fails_while_there_is_no_connection_is_asked_of_the_next(drawn: Drawn) -> None:
    session, name = joined(drawn)
    session.disconnected()
    session.lacks(name)
    assert TaskKind.REFUSED not in kinds(list(tasks_of(session)))
    session.connected()
    session.message(head(drawn))
    assert name in [task.sha256 for task in tasks_of(session) if task.kind == TaskKind.FETCH]


def test_what_failed_before_another_connection_is_none_of_its_failures(drawn: Drawn) -> None:
    session, name = joined(drawn)
    session.disconnected()
    session.connected()
    session.message(head(drawn))
    session.lacks(name)
    tasks = list(tasks_of(session))
    assert name in [task.sha256 for task in tasks if task.kind == TaskKind.FETCH]
    assert "want" not in [says["type"] for says in sent(tasks)]


def test_the_manifest_is_handed_out_as_it_came(drawn: Drawn) -> None:
    session = Session(threads=1)
    session.connected()
    session.message(head(drawn, live=9))
    say_manifest(session, drawn)
    told = {task.kind: task for task in tasks_of(session)}
    assert told[TaskKind.MANIFEST].data == drawn.manifest_bytes
    assert told[TaskKind.JOINED].frame == 9
    assert session.isa() == available_isas()[-1]
