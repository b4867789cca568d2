"""The addresses that a player takes: any that HTTP can carry, and a sentence for the others."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from client_sdk.whep import delete_session, post_offer
from kernels.errors import StreamError


@contextlib.contextmanager
def answering(
    location: str | Callable[[int], str],
    seen: list[str],
    status: int = 201,
    tokens: list[str | None] | None = None,
) -> Iterator[str]:
    """A server that takes one POST and says that the session (or more) is at `location`,

    or at what that says of the server's port.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            if tokens is not None:
                tokens.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/sdp")
            said = location if isinstance(location, str) else location(server.server_port)
            self.send_header("Location", said)
            self.end_headers()
            self.wfile.write(b"v=0")

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "ftp://host/whep/x",
        "http://",
        "http://[::1/whep/x",
        "http://host:99999/whep/x",
        "http://host:port/whep/x",
        f"http://{'a' * 300}/whep/x",
        "http://\u2126\udcff/whep/x",
    ],
)
def test_what_is_no_address_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(StreamError, match="is not an http or https address"):
        post_offer(url, "v=0")


def test_a_name_with_spaces_and_any_letters_is_escaped_once() -> None:
    seen: list[str] = []
    for name in ("my ünï 日本", "my%20%C3%BCn%C3%AF%20%E6%97%A5%E6%9C%AC"):
        with answering("/whep/s/1", seen) as server:
            assert post_offer(f"{server}/whep/{name}", "v=0").session == f"{server}/whep/s/1"
    assert seen == ["/whep/my%20%C3%BCn%C3%AF%20%E6%97%A5%E6%9C%AC"] * 2


@pytest.mark.parametrize("location", ["http://[::1", "ftp://host/x", "file:///etc/passwd"])
def test_a_session_that_is_nowhere_is_refused(location: str) -> None:
    with (
        answering(location, []) as server,
        pytest.raises(StreamError, match="is not an http or https address"),
    ):
        post_offer(f"{server}/whep/x", "v=0")


def test_a_token_is_sent_and_another_origin_does_not_get_it() -> None:
    tokens: list[str | None] = []
    with (
        answering("/whep/s/1", [], tokens=tokens) as elsewhere,
        answering(f"{elsewhere}/whep/x", [], 307, tokens) as server,
    ):
        session = post_offer(f"{server}/whep/x", "v=0", token="a-token").session
    assert session == f"{elsewhere}/whep/s/1"
    assert tokens == ["Bearer a-token", None]


def test_an_origin_that_may_see_the_token_gets_it_by_a_redirect() -> None:
    tokens: list[str | None] = []
    with (
        answering("/whep/s/1", [], tokens=tokens) as elsewhere,
        answering(f"{elsewhere}/whep/x?hops=1", [], 307, tokens) as server,
    ):
        origins = ("https://other.example.org", elsewhere)
        answer = post_offer(f"{server}/whep/x", "v=0", token="a-token", token_origins=origins)
        assert answer.endpoint == f"{elsewhere}/whep/x?hops=1"
        assert answer.session == f"{elsewhere}/whep/s/1"
    assert tokens == ["Bearer a-token"] * 2


@pytest.mark.parametrize("token", ["", "two words", "a\r\nX-Evil: 1", "ünï"])
def test_what_is_no_token_is_refused_before_it_is_sent(token: str) -> None:
    with pytest.raises(StreamError, match="no bearer token"):
        post_offer("http://127.0.0.1:1/whep/x", "v=0", token=token)


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.2:{port}/s", "https://127.0.0.1:{port}/s", "//192.168.0.1/s", "http://h@h/s"],
)
def test_a_session_of_another_origin_is_not_contacted(location: str) -> None:
    """Else any server could have every player send a DELETE to a host of its choice."""
    with answering(lambda port: location.format(port=port), []) as server:
        answer = post_offer(f"{server}/whep/x", "v=0", counter_offers=True)
    assert answer.sdp == "v=0"
    assert answer.session is None
    delete_session(answer.session)


def test_a_session_is_where_the_answer_came_from_or_at_a_named_origin() -> None:
    with answering(lambda port: f"HTTP://user@127.0.0.1:{port}/s", []) as server:
        assert post_offer(f"{server}/whep/x", "v=0").session is not None
    with answering("http://b.example:80/s", []) as server:
        answer = post_offer(f"{server}/whep/x", "v=0", token_origins=("http://b.example",))
    assert answer.session == "http://b.example:80/s"


def test_a_counter_offer_of_another_origin_is_refused() -> None:
    with (
        answering("http://b.example/s", [], 406) as server,
        pytest.raises(StreamError, match="answered at another origin, http://b"),
    ):
        post_offer(f"{server}/whep/x", "v=0", counter_offers=True)
