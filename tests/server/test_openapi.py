"""The OpenAPI document is complete, and what it says is so.

`Served.ask` checks every answer of every test here against it; this module checks the rest.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_sdk.contract import Package
from server.app import create_app
from server.encoding.signing import SigningKey, sign_package
from server.settings import Settings
from tests.server.serving import Reply, serving
from tests.server.test_http import SDP_HEADERS, offer

METHODS = {"get", "head", "post", "patch", "delete", "options", "put"}


@pytest.fixture(scope="module")
def document(tiny_path: Path) -> dict[str, Any]:
    return create_app(tiny_path).openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_is_told_with_what_it_is_for(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, operation in operations(document):
        assert method in METHODS
        assert operation["description"], path
        assert set(operation["tags"]) <= tags, path
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert set(re.findall(r"\{(\w+)\}", path)) <= names
    told = {(method, path) for method, path, _ in operations(document)}
    assert {
        ("post", "/whep/{name}"),
        ("patch", "/whep/{name}/{session}"),
        ("get", "/metrics"),
    } < told
    assert len({operation["operationId"] for _, _, operation in operations(document)}) == len(told)


def test_every_answer_is_described_and_every_refusal_has_its_sentence(
    document: dict[str, Any],
) -> None:
    for _, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            # FastAPI's own words for what nobody described.
            assert answer["description"] not in ("Successful Response", "Validation Error"), path
            if int(status) >= 400 and status != "416":
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Refusal"}
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


def test_what_is_told_of_headers_is_so(tiny: Package, tiny_copy: Path, tmp_path: Path) -> None:
    sign_package(tiny_copy, SigningKey.new(tmp_path / "my.key"))
    limits = Settings.model_validate({"max_viewers": 1, "ice_servers": "stun:stun.example.org"})

    async def run() -> None:
        async with serving(tiny_copy, limits) as served:
            asset = f"/assets/{next(iter(tiny.places))}"
            part = {"Range": "bytes=0-1"}

            async def check(method: str, path: str, status: int, *body: Any) -> Reply:
                reply = await served.ask(method, path, *body)
                assert reply.status == status
                declared = served.declared(method, path)
                assert declared is not None
                told = declared[str(status)]
                present = {name for name in told.get("headers", {}) if name in reply.headers}
                assert present == set(told.get("headers", {})) - {"Content-Range"}
                if reply.body and method != "HEAD":
                    assert reply.headers.get_content_type() in told["content"]
                return reply

            begun = await check("POST", "/whep/tiny", 201, await offer(), SDP_HEADERS)
            await check("POST", "/whep/tiny", 503, await offer(), SDP_HEADERS)
            await check("OPTIONS", "/whep/tiny", 204)
            await check("GET", "/whep/tiny", 204)
            await check("HEAD", "/whep/tiny", 200)
            await check("OPTIONS", begun.headers["Location"], 204)
            await check("DELETE", begun.headers["Location"], 200)
            await check("GET", "/packages/tiny/manifest.json", 200)
            await check("GET", asset, 200)
            await check("HEAD", asset, 200)
            assert (await served.ask("GET", asset, None, part)).headers["Content-Range"]
            for path in ("/", "/healthz", "/readyz", "/metrics", "/packages"):
                await check("GET", path, 200)
            listed = json.loads((await served.ask("GET", "/packages")).body)
            schemas = served.openapi["components"]["schemas"]
            assert set(listed[0]) == set(schemas["Entry"]["properties"])

    asyncio.run(run())


PIECE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


def test_any_request_is_answered_as_told_and_never_by_a_fault(tiny_path: Path) -> None:
    loop = asyncio.new_event_loop()
    token = "a-token-of-some-length"
    context = serving(tiny_path, Settings.model_validate({"tokens": f"tiny={token}"}))
    served = loop.run_until_complete(context.__aenter__())
    routes = [(method, path) for method, path, _ in operations(served.openapi)]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        method, path = data.draw(st.sampled_from(routes))
        piece = st.one_of(st.sampled_from(["tiny", "..", "%2e%2e", "tiny%00"]), PIECE.map(quote))
        filled = re.sub(r"\{\w+\}", lambda _: data.draw(piece), path)
        headers = {
            name: data.draw(HEADER)
            for name in ("Range", "If-Match", "If-None-Match", "Content-Type", "Origin")
            if data.draw(st.booleans())
        }
        if data.draw(st.booleans()):
            headers["Authorization"] = f"Bearer {token}"
        body = data.draw(st.none() | st.binary(max_size=300))
        reply = loop.run_until_complete(
            served.ask(method.upper(), filled.replace("\\", "%5c"), body, headers)
        )
        assert reply.status < 500
        if reply.status >= 400 and reply.body:
            assert json.loads(reply.body)["detail"]

    try:
        fuzz()
    finally:
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()
