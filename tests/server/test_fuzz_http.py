"""The HTTP face against what schemathesis makes of its own OpenAPI document, on a real socket."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if importlib.util.find_spec("schemathesis") is None:
    pytest.skip("needs schemathesis: pip install schemathesis", allow_module_level=True)

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from client_sdk.contract import Package
from server.settings import Settings
from tests.server.serving import serving


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(ctx: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


EXAMPLES = int(os.environ.get("CRISPCAST_FUZZ_EXAMPLES", "10"))
"""Requests of each operation, with a token and without."""
TOKEN = "a-token-of-some-length"
HELD = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def url(tiny_path: Path) -> Iterator[str]:
    """A server in a thread of its own, since the fuzzer does not wait for a loop."""
    limits = Settings.model_validate({"tokens": f"tiny={TOKEN}", "requests_per_minute": 0})
    ready = threading.Event()
    begun: list[Any] = []

    async def run() -> None:
        over = asyncio.Event()
        async with serving(tiny_path, limits) as served:
            begun[:] = [served.url, asyncio.get_running_loop(), over]
            ready.set()
            await over.wait()
            # Nothing that was sent has left anybody behind.
            assert served.viewers.count == 0

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    yield begun[0]
    begun[1].call_soon_threadsafe(begun[2].set)
    thread.join()


def test_every_request_is_answered_as_the_document_says(url: str, tiny: Package) -> None:
    there = {"name": "tiny", "sha256": next(iter(tiny.places))}
    # Its pytest plug-in does not go with pytest 9.2 (schemathesis 4.32): operations by hand.
    api = schemathesis.openapi.from_url(f"{url}/openapi.json")
    seen: dict[str, int] = {}
    paths: set[str] = set()
    for found in api.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(), st.booleans())
        def fuzz(case: schemathesis.Case, known: bool) -> None:
            if known:  # what is there is asked for as often as what is not
                for name in case.path_parameters.keys() & there.keys():
                    case.path_parameters[name] = there[name]
            for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}):
                response = case.call(headers=headers, timeout=20)
                case.validate_response(response, checks=list(HELD))
                if response.status_code >= 400 and response.content:
                    assert json.loads(response.content)["detail"]
                seen[case.path] = seen.get(case.path, 0) + 1

        paths.add(operation.path)
        fuzz()
    assert seen.keys() == paths
    assert sum(seen.values()) > 100


def test_the_server_lives_after_it_all(url: str) -> None:
    with urllib.request.urlopen(f"{url}/readyz", timeout=20) as answer:
        assert json.load(answer)["packages"] == 1
