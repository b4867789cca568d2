"""What `GET /openapi.json` tells beyond the routes themselves: each answer, with its headers.

One table; `tests/server` checks every answer that it gets against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from client_sdk.contract.signing import SIGNATURE_HEADER

_SDP, _FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
_BYTES, _JSON = "application/octet-stream", "application/json"
_TEXT = {"schema": {"type": "string"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_OBJECT = {"schema": {"type": "object"}}

_HEADERS = {
    "Location": "The session: its URL is a secret.",
    "ETag": "The entity's, or the ICE session's.",
    "Link": "The manifest, as an extension of WHEP; and STUN and TURN servers.",
    "Accept-Post": "What a POST takes.",
    "Accept-Patch": "What a PATCH takes.",
    "Allow": "The methods that are taken.",
    "Retry-After": "Seconds to wait.",
    "WWW-Authenticate": "Which token is wanted (RFC 6750).",
    "Content-Range": "Which part this is (RFC 9110).",
    "Cache-Control": "How long it may be kept.",
    SIGNATURE_HEADER: "Of a package that is signed: the signature of its manifest.",
}

_REFUSED: dict[int, tuple[str, tuple[str, ...]]] = {
    400: ("The body cannot be read or not be answered.", ()),
    401: ("No bearer token, or a bad one.", ("WWW-Authenticate",)),
    403: ("The token is for other packages.", ("WWW-Authenticate",)),
    404: ("There is no such thing.", ()),
    408: ("The body took too long.", ()),
    409: ("The package is damaged and cannot be played now.", ("Retry-After",)),
    412: ("The ETag is not this session's.", ()),
    413: ("The body is too long.", ()),
    415: ("The body is of another type.", ()),
    422: ("An ICE restart, which is not done.", ()),
    428: ("If-Match is missing.", ()),
    429: ("Too many requests of this address.", ("Retry-After",)),
    500: ("It is damaged on the server.", ()),
    503: ("All places are taken, there is nothing to play, or the server is about to stop.", ()),
}


@dataclass(frozen=True)
class _Operation:
    """What an operation answers. `content`: of the 200 or 201; `refused`: the statuses."""

    status: int
    what: str
    content: dict[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    refused: tuple[int, ...] = ()
    body: str | None = None
    asks: tuple[str, ...] = ()
    others: dict[int, str] = field(default_factory=dict)


_WATCH = (401, 403, 404, 409)
_RANGED = {206: "The range that was asked for.", 304: "It has not changed.", 416: "No such range."}
_CACHED = ("ETag", "Cache-Control", "Content-Range")
_IF_RANGE = ("Range", "If-Range", "If-None-Match")

_OPERATIONS: dict[tuple[str, str], _Operation] = {
    ("post", "/whep/{name}"): _Operation(
        201,
        "The answer. The session is at Location.",
        {_SDP: _TEXT},
        ("Location", "ETag", "Link", "Cache-Control"),
        (400, *_WATCH, 408, 413, 415, 429, 500, 503),
        _SDP,
        others={307: "All places are taken, or the server is about to stop; Location has room."},
    ),
    ("get", "/whep/{name}"): _Operation(204, "Empty.", {}, ("Accept-Post",), _WATCH),
    ("head", "/whep/{name}"): _Operation(200, "Empty.", {}, ("Accept-Post",), _WATCH),
    ("options", "/whep/{name}"): _Operation(
        204,
        "What may be sent.",
        {},
        ("Accept-Post", "Allow", "Link"),
        _WATCH,
        others={200: "The answer to a page's preflight (CORS)."},
    ),
    ("options", "/whep/{name}/{session}"): _Operation(
        204,
        "What may be sent.",
        {},
        ("Accept-Patch", "Allow"),
        others={200: "The answer to a page's preflight (CORS)."},
    ),
    ("delete", "/whep/{name}/{session}"): _Operation(
        200, "The session is over.", {}, (), (404, 429)
    ),
    ("patch", "/whep/{name}/{session}"): _Operation(
        204,
        "The candidates are taken.",
        {},
        (),
        (400, 404, 408, 412, 413, 415, 422, 428, 429),
        _FRAGMENT,
        ("If-Match",),
    ),
    ("get", "/packages"): _Operation(
        200,
        "What can be watched with the token that was sent.",
        {_JSON: {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Entry"}}}},
        (),
        (401,),
    ),
    ("get", "/packages/{name}/manifest.json"): _Operation(
        200,
        "The manifest.",
        {_JSON: _OBJECT},
        (*_CACHED, SIGNATURE_HEADER),
        (401, 403, 404),
        asks=_IF_RANGE,
        others=_RANGED,
    ),
    **{
        (method, "/assets/{sha256}"): _Operation(
            200,
            "The asset; what it is, the manifest says.",
            {_BYTES: _BINARY},
            _CACHED,
            (401, 403, 404, 429, 500),
            asks=_IF_RANGE,
            others=_RANGED,
        )
        for method in ("get", "head")
    },
    ("get", "/bases/{identity}"): _Operation(
        200, "The base.", {_BYTES: _BINARY}, _CACHED, (404,), asks=_IF_RANGE, others=_RANGED
    ),
    ("get", "/"): _Operation(200, "A page.", {"text/html": _TEXT}, (), (401,)),
    ("get", "/healthz"): _Operation(200, "The process lives.", {_JSON: _OBJECT}),
    ("get", "/readyz"): _Operation(200, "New viewers are taken.", {_JSON: _OBJECT}, refused=(503,)),
    ("get", "/metrics"): _Operation(
        200, "Prometheus' text format.", {"text/plain": _TEXT}, refused=(401,)
    ),
}

_ENTRY: dict[str, Any] = {
    "type": "object",
    "description": "A package that can be watched.",
    "properties": {
        "name": {"type": "string", "description": "Its name in URLs."},
        "title": {"type": "string"},
        "id": {"type": "string", "description": "16 hexadecimal digits."},
        "width": {"type": "integer", "description": "Of the picture super-resolved, in pixels."},
        "height": {"type": "integer"},
        "seconds": {"type": "number"},
        "fps": {"type": "number"},
        "audio": {"type": "boolean"},
        "channel": {"type": "boolean", "description": "It plays for ever, for all at once."},
        "rungs": {"type": "array", "items": {"type": "string"}},
        "video_kbps": {"type": "number", "description": "Of the small video."},
        "sr_kbps": {"type": "number", "description": "Of networks, plates and maps."},
        "poster": {"type": "string", "description": "Path of a JPEG."},
        "whep": {"type": "string", "description": "Path of its WHEP endpoint."},
        "manifest": {"type": "string", "description": "Path of its manifest."},
    },
}
_REFUSAL: dict[str, Any] = {
    "type": "object",
    "properties": {"detail": {"type": "string", "description": "Why, in one sentence."}},
    "required": ["detail"],
}


def describe(app: FastAPI) -> None:
    """Let `app` tell all of that as its OpenAPI document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    told = get_openapi(title=app.title, version=app.version, routes=app.routes, tags=_TAGS)
    told["components"] = {
        "schemas": {"Entry": _ENTRY, "Refusal": _REFUSAL},
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    }
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            known = _OPERATIONS.get((method, path))
            if known is not None:
                _tell(operation, known)
    return told


_TAGS = [
    {"name": "WHEP", "description": "draft-ietf-wish-whep-03: watch over WebRTC."},
    {"name": "packages", "description": "What can be watched, and what it is made of."},
    {"name": "operations", "description": "Health and figures."},
]


def _tell(operation: dict[str, Any], known: _Operation) -> None:
    responses: dict[str, Any] = {
        str(known.status): {"description": known.what, "headers": _headers(known.headers)}
    }
    if known.content:
        responses[str(known.status)]["content"] = known.content
    for status, what in known.others.items():
        responses[str(status)] = {"description": what}
    for status in known.refused:
        what, headers = _REFUSED[status]
        responses[str(status)] = {
            "description": what,
            "headers": _headers(headers),
            "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
    operation["responses"] = responses
    operation.setdefault("tags", ["packages"])
    if 401 in known.refused:
        # Without one where everybody may watch.
        operation["security"] = [{}, {"token": []}]
    if known.body is not None:
        operation["requestBody"] = {"required": True, "content": {known.body: _TEXT}}
    for header in known.asks:
        operation.setdefault("parameters", []).append(
            {
                "name": header,
                "in": "header",
                "required": header == "If-Match",
                "schema": {"type": "string"},
            }
        )


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"description": _HEADERS[name], **_TEXT} for name in names}
