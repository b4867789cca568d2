"""The server's settings and their defaults, in one place."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, le=3600)]


class Settings(BaseModel):
    """What an operator may set. Frozen; every limit has a safe default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_viewers: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Connected viewers at once; one more gets 503 with Retry-After."""
    cors_origins: tuple[str, ...] = ("*",)
    """Web origins whose pages may play from here."""
    max_offer_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 64 << 10
    """Longest body of a POST."""
    offer_timeout: Seconds = 5.0
    """How long that body may take to come."""
    start_delay: Seconds = 0.5
    """How long media waits for a viewer that still fetches its first segment's plans."""
    connect_timeout: Seconds = 20.0
    """A viewer that is not connected by then is dropped."""
    leave_timeout: Seconds = 5.0
    """How long after the end a viewer may stay to collect what was lost."""
    high_water: Annotated[int, Field(ge=1 << 14, le=1 << 28)] = 1 << 20
    """Bytes buffered on a data channel at which delivery pauses ..."""
    low_water: Annotated[int, Field(ge=1 << 10, le=1 << 28)] = 256 << 10
    """... and at which it goes on."""
    retry_after: Annotated[int, Field(ge=1, le=3600)] = 5
    """Seconds that a refused viewer is asked to wait."""
