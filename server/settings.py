"""The server's settings: the one definition of names, defaults, bounds and what each is for.

The flags of `crispcast serve`, the environment variables and the commented file are all made from
it (`server.settings_sources`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _listed(value: Any) -> Any:
    """A list may be written as one string with commas, as flags and variables must be."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Settings(BaseModel):
    """What an operator may set. Frozen; every limit has a safe default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every one of this machine's."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port to listen on; 0 takes a free one."""
    cors_origins: Names = ("*",)
    """Web origins whose pages may play from here, as https://example.org; * for all."""
    max_viewers: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Connected viewers at once; one more gets 503 with Retry-After."""
    max_offer_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 64 << 10
    """Longest body of a POST or PATCH."""
    offer_timeout: Seconds = 5.0
    """How many seconds that body may take to come."""
    retry_after: Annotated[int, Field(ge=1, le=3600)] = 5
    """Seconds that a refused viewer is asked to wait."""
    start_delay: Seconds = 0.5
    """Seconds that media waits for a viewer that still fetches its first segment's plans."""
    connect_timeout: Seconds = 20.0
    """A viewer that is not connected after so many seconds is dropped."""
    leave_timeout: Seconds = 5.0
    """How many seconds after the end a viewer may stay to collect what was lost."""
    high_water: Annotated[int, Field(ge=1 << 14, le=1 << 28)] = 1 << 20
    """Bytes buffered on a data channel at which delivery pauses."""
    low_water: Annotated[int, Field(ge=1 << 10, le=1 << 28)] = 256 << 10
    """Bytes buffered on a data channel at which delivery goes on."""
    drain_timeout: Seconds = 30.0
    """After SIGTERM no new viewer is taken, and those that are here have so many seconds."""
    metrics: bool = True
    """Whether GET /metrics has figures for Prometheus."""
    log_format: Literal["text", "json"] = "text"
    """Of the log on stderr: text for people, json for machines, an object a line."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """The least that is logged: debug, info (sessions), warning or error."""
