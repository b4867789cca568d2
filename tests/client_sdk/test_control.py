"""Control messages survive the round trip; anything else is refused in one sentence."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract import control
from kernels.errors import StreamError

hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
frames = st.integers(0, 0xFFFF_FFFF)
rungs = st.integers(0, 15)
client_messages = st.one_of(
    st.builds(control.Hello, sr=st.booleans()),
    st.builds(
        control.Want,
        assets=st.lists(
            st.builds(control.Wanted, sha256=hashes, offset=st.integers(0, 1 << 32)),
            min_size=1,
            max_size=control.MAX_WANTED,
        ).map(tuple),
    ),
    st.just(control.Pause()),
    st.just(control.Resume()),
    st.builds(control.Seek, frame=frames),
    st.builds(control.ChooseRung, rung=st.none() | rungs),
    st.builds(
        control.Stats,
        frames=st.integers(0, 1 << 50),
        fps=st.floats(0, 1000),
        interpolating=st.booleans(),
    ),
)
byes = st.builds(
    control.Bye,
    reason=st.sampled_from(["end", "leaving", "error", "shutdown"]),
    message=st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    frames=st.none() | st.integers(0, 1 << 40),
)
server_messages = st.one_of(
    st.builds(
        control.ManifestHead,
        package=st.binary(min_size=8, max_size=8).map(bytes.hex),
        rung=rungs,
        sha256=hashes,
        bytes=st.integers(1, 1 << 20),
    ),
    st.builds(control.Anchor, rtp_time=frames, rung=rungs, frame=frames),
    st.builds(control.Switch, rung=rungs, frame=frames),
)


@given(client_messages | byes)
def test_what_a_client_says_survives(message: control.ClientMessage) -> None:
    assert control.decode_client_message(control.encode_message(message)) == message


@given(server_messages | byes)
def test_what_a_server_says_survives(message: control.ServerMessage) -> None:
    assert control.decode_server_message(control.encode_message(message)) == message


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(StreamError):
        control.decode_client_message(text)


@given(
    st.dictionaries(
        st.sampled_from(["type", "frame", "rung", "assets", "sr", "version", "x"]),
        st.one_of(
            st.none(),
            st.integers(),
            st.floats(allow_nan=False),
            st.sampled_from(["hello", "want", "seek", "rung", "1.0", "2.0"]),
            st.lists(st.dictionaries(st.sampled_from(["sha256", "offset"]), st.integers())),
        ),
    )
)
def test_any_object_is_a_message_or_refused(tree: object) -> None:
    for decode in (control.decode_client_message, control.decode_server_message):
        with contextlib.suppress(StreamError):
            message = decode(json.dumps(tree))
            assert decode(control.encode_message(message)) == message


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"hello","version":"2.0"}',
        '{"type":"hello","version":"1.0","extra":1}',
        '{"type":"seek","frame":-1}',
        '{"type":"seek","frame":4294967296}',
        '{"type":"seek"}',
        '{"type":"want","assets":[]}',
        '{"type":"want","assets":[{"sha256":"../../etc/passwd"}]}',
        '{"type":"stats","fps":1e999}',
        '{"type":"rung"}',
        '{"type":"rung","rung":16}',
        '{"type":"switch","rung":0,"frame":0}',
        '{"type":"anchor","rtp_time":0,"rung":0,"frame":0}',
        "[" * 10_000,
        "\ud800",
    ],
)
def test_a_hostile_message_is_refused(text: str) -> None:
    with pytest.raises(StreamError):
        control.decode_client_message(text)


def test_a_huge_message_is_refused_unread() -> None:
    with pytest.raises(StreamError, match="passes"):
        control.decode_client_message('{"type":"pause"' + " " * control.MAX_CONTROL_BYTES + "}")


def test_the_longest_want_fits() -> None:
    wanted = control.Wanted(sha256="f" * 64, offset=1 << 32)
    text = control.encode_message(control.Want(assets=(wanted,) * control.MAX_WANTED))
    assert len(text) <= control.MAX_CONTROL_BYTES


def test_what_1_1_added_is_not_said_unasked() -> None:
    # A server of 1.0 refuses fields that it does not know.
    assert "interpolating" not in control.encode_message(control.Stats(frames=3))
    assert "interpolating" in control.encode_message(control.Stats(interpolating=True))
    assert [control.minor_of(version) for version in ("1.0", "1.1", "1.12")] == [0, 1, 12]


def test_another_major_version_is_named() -> None:
    with pytest.raises(StreamError, match=r"version 3\.1"):
        control.decode_client_message('{"type":"hello","version":"3.1"}')
