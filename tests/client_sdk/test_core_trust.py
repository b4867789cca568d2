"""A session that is told whom to trust uses nothing before it knows whose the manifest is."""

from __future__ import annotations

import json

import pytest

from client_sdk.contract.asset_frames import frames_of
from client_sdk.contract.signing import is_signed, key_text, signature_text, signed_message
from client_sdk.core import Delivery, Session, Task, TaskKind
from kernels.errors import StreamError
from tests.client_sdk.test_core_session import (
    answer,
    drawn,
    head,
    kinds,
    lr,
    say_manifest,
    sent,
    tasks_of,
)
from tests.client_sdk.test_signing import owner, public
from tests.conformance.package import Drawn, draw, sha

__all__ = ["drawn"]


def signed_by(number: int, drawn: Drawn) -> str:
    return signature_text(owner(number).sign(signed_message(sha(drawn.manifest_bytes))))


def trusting(*numbers: int, **options: int) -> Session:
    trust = " ".join(key_text(public(number)) for number in numbers)
    return Session(threads=1, isa="portable", trust=trust, **options)  # type: ignore[arg-type]


def join(session: Session, drawn: Drawn, signature: str | None) -> list[Task]:
    """A server announces the manifest and sends it; what is to be done then."""
    session.connected()
    said = json.loads(head(drawn)) | ({} if signature is None else {"signature": signature})
    session.message(json.dumps(said).encode())
    say_manifest(session, drawn)
    return list(tasks_of(session))


def verify(session: Session, tasks: list[Task]) -> list[Task]:
    """As an app with a library answers, until nothing more is asked; what is to be done then."""
    while asked := [task for task in tasks if task.kind == TaskKind.VERIFY]:
        for task in asked:
            data = task.data
            session.verified(task.count, is_signed(data[:32], data[32:96], data[96:]))
        tasks = list(tasks_of(session))
    return tasks


def push(session: Session, drawn: Drawn, segment: int = 0) -> None:
    """The server sends what the segment needs, whether it was asked for or not."""
    for name in drawn.manifest.rungs[0].assets_of(segment):
        for message in frames_of(name, drawn.assets[name]):
            session.frame_bytes(message)


def networks(session: Session, drawn: Drawn, number: int = 0) -> bool:
    return session.upscale(lr(drawn, number), number=number).super_resolved


def wants(tasks: list[Task]) -> list[str]:
    return [str(says["type"]) for says in sent(tasks) if says["type"] in ("want", "resume")]


def test_nothing_is_asked_for_taken_or_used_before_the_answer(drawn: Drawn) -> None:
    session = trusting(1, delivery=Delivery.CHANNEL)
    tasks = join(session, drawn, signed_by(1, drawn))
    assert kinds(tasks).count(TaskKind.VERIFY) == 1
    assert wants(tasks) == []
    assert TaskKind.READY not in kinds(tasks)
    push(session, drawn)
    with pytest.raises(StreamError, match="nobody who is trusted"):
        session.asset(sha(b""), b"")
    assert list(tasks_of(session)) == []
    assert not networks(session, drawn)
    assert wants(verify(session, tasks)) == ["want"]
    push(session, drawn)
    done = list(tasks_of(session))
    for task in done:
        answer(session, drawn, task)
    assert networks(session, drawn)


def test_what_is_verified_is_key_signature_and_message(drawn: Drawn) -> None:
    signature = signed_by(1, drawn)
    [task] = [t for t in join(trusting(1), drawn, signature) if t.kind == TaskKind.VERIFY]
    message = signed_message(sha(drawn.manifest_bytes))
    assert task.data == public(1) + bytes.fromhex(signature[8:]) + message


def test_the_keys_are_tried_in_turn(drawn: Drawn) -> None:
    session = trusting(1, 2, 3)
    tasks = join(session, drawn, signed_by(3, drawn))
    tried = []
    while asked := [task for task in tasks if task.kind == TaskKind.VERIFY]:
        [task] = asked
        tried.append(task.data[:32])
        right = is_signed(task.data[:32], task.data[32:96], task.data[96:])
        session.verified(task.count, right)
        tasks = list(tasks_of(session))
    assert tried == [public(1), public(2), public(3)]
    assert TaskKind.UNTRUSTED not in kinds(tasks)


@pytest.mark.parametrize(
    "signer, able, why",
    [
        (None, True, "not signed"),
        (9, True, "none of the trusted keys"),
        (1, False, "cannot check"),
    ],
)
def test_what_is_not_trusted_plays_interpolated_and_is_told_once(
    drawn: Drawn, signer: int | None, able: bool, why: str
) -> None:
    session = trusting(1, 2)
    tasks = join(session, drawn, None if signer is None else signed_by(signer, drawn))
    if not able:
        [task] = [task for task in tasks if task.kind == TaskKind.VERIFY]
        session.verified(task.count, None)
    elif signer is not None:
        tasks += verify(session, tasks)
    tasks += list(tasks_of(session))
    told = [task.text for task in tasks if task.kind == TaskKind.UNTRUSTED]
    assert len(told) == 1
    assert why in told[0]
    assert wants(tasks) == ["resume"]
    assert TaskKind.READY in kinds(tasks)
    push(session, drawn)
    assert list(tasks_of(session)) == []
    assert session.upscale(lr(drawn, 0), number=0).planes is not None
    assert not networks(session, drawn, 1)
    session.seek(17)
    assert wants(list(tasks_of(session))) == []


def test_a_rung_that_was_announced_meanwhile_is_asked_for_after_the_answer() -> None:
    ladder = draw(rungs=(2, 4))
    session = trusting(1, delivery=Delivery.CHANNEL)
    tasks = join(session, ladder, signed_by(1, ladder))
    session.message(b'{"type":"switch","rung":1,"frame":8}')
    assert list(tasks_of(session)) == []
    (want,) = [s for s in sent(verify(session, tasks)) if s["type"] == "want"]
    asked = {asset["sha256"] for asset in want["assets"]}  # type: ignore[attr-defined]
    assert set(ladder.manifest.rungs[1].assets_of(1)) <= asked


def test_an_answer_that_comes_too_late_counts_for_nothing(drawn: Drawn) -> None:
    session = trusting(1)
    session.connected()
    said = {**json.loads(head(drawn, "e" * 64)), "signature": signed_by(1, drawn)}
    session.message(json.dumps(said).encode())
    [old] = [task for task in tasks_of(session) if task.kind == TaskKind.VERIFY]
    # The connection is lost, and the next server plays another manifest.
    tasks = join(session, drawn, signed_by(9, drawn))
    session.verified(old.count, True)
    assert wants(list(tasks_of(session))) == []
    assert TaskKind.UNTRUSTED in kinds(verify(session, tasks))
    assert not networks(session, drawn)


def test_a_signature_that_is_announced_is_of_no_other_manifest(drawn: Drawn) -> None:
    session = trusting(1)
    session.connected()
    said = {**json.loads(head(drawn, sha(b"{}")))}
    made = owner(1).sign(signed_message(sha(b"{}")))
    session.message(json.dumps({**said, "signature": signature_text(made)}).encode())
    verify(session, list(tasks_of(session)))
    session.manifest(drawn.manifest_bytes)
    assert TaskKind.UNTRUSTED in kinds(list(tasks_of(session)))
    push(session, drawn)
    assert not networks(session, drawn)


def test_a_manifest_without_a_channel_has_its_signature_beside_it(drawn: Drawn) -> None:
    session = trusting(1, offline=True)
    session.manifest(drawn.manifest_bytes, signature=signed_by(1, drawn))
    name = drawn.manifest.rungs[0].assets_of(0)[0]
    with pytest.raises(StreamError, match="nobody who is trusted"):
        session.asset(name, drawn.assets[name])
    verify(session, list(tasks_of(session)))
    for name in drawn.manifest.rungs[0].assets_of(0):
        session.asset(name, drawn.assets[name])
    for task in tasks_of(session):
        answer(session, drawn, task)
    assert networks(session, drawn)


@pytest.mark.parametrize("first", [None, 9])
def test_a_manifest_given_ahead_is_trusted_by_the_signature_that_a_server_announces(
    drawn: Drawn, first: int | None
) -> None:
    session = trusting(1, delivery=Delivery.CHANNEL)
    given = None if first is None else signed_by(first, drawn)
    session.manifest(drawn.manifest_bytes, signature=given)
    tasks = list(tasks_of(session))
    tasks += verify(session, tasks)
    assert TaskKind.UNTRUSTED in kinds(tasks)
    tasks = join(session, drawn, signed_by(1, drawn))
    assert wants(tasks) == []
    assert wants(verify(session, tasks)) == ["want"]
    push(session, drawn)
    for task in tasks_of(session):
        answer(session, drawn, task)
    assert networks(session, drawn)


@pytest.mark.parametrize("again", [None, 1, 9])
def test_a_manifest_that_is_trusted_stays_so(drawn: Drawn, again: int | None) -> None:
    session = trusting(1)
    session.manifest(drawn.manifest_bytes, signature=signed_by(1, drawn))
    verify(session, list(tasks_of(session)))
    tasks = join(session, drawn, None if again is None else signed_by(again, drawn))
    assert not {TaskKind.VERIFY, TaskKind.UNTRUSTED} & set(kinds(tasks))
    push(session, drawn)
    for task in tasks_of(session):
        answer(session, drawn, task)
    assert networks(session, drawn)


@pytest.mark.parametrize("signer", [None, 9])
def test_another_connection_asks_and_tells_nothing_that_is_known(
    drawn: Drawn, signer: int | None
) -> None:
    session = trusting(1, 2)
    signature = None if signer is None else signed_by(signer, drawn)
    verify(session, join(session, drawn, signature))
    tasks = join(session, drawn, signature)
    assert not {TaskKind.VERIFY, TaskKind.UNTRUSTED} & set(kinds(tasks))
    assert wants(tasks) == ["resume"]


def test_without_keys_signatures_are_not_looked_at(drawn: Drawn) -> None:
    session = Session(threads=1, isa="portable")
    assert TaskKind.VERIFY not in kinds(join(session, drawn, signed_by(9, drawn)))


@pytest.mark.parametrize(
    "trust", ["", " ", "ed25519:", "0" * 64, key_text(bytes(31)), key_text(bytes(32)) + ",x",
              " ".join(key_text(bytes([n]) * 32) for n in range(9))],
)  # fmt: skip
def test_keys_that_are_none_make_no_session(trust: str) -> None:
    with pytest.raises(StreamError, match="1 to 8, each ed25519"):
        Session(threads=1, trust=trust)


def test_keys_may_have_commas_and_line_breaks_between(drawn: Drawn) -> None:
    keys = [key_text(public(number)) for number in range(8)]
    trust = f"\n{keys[0]},{keys[1]}, {keys[2]}\r\n" + "\t".join(keys[3:]) + " "
    for number in range(8):
        session = Session(threads=1, isa="portable", trust=trust, delivery=Delivery.CHANNEL)
        tasks = verify(session, join(session, drawn, signed_by(number, drawn)))
        assert wants(tasks) == ["want"]
