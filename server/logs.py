"""Logs: a line an event, as text or as JSON, with the id of the viewer that it is about.

A viewer's id in the logs is not its session's: that one is a secret, for whoever has it may end
the session.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.settings import Settings

log = logging.getLogger("crispcast.server")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OURS = ("crispcast", "uvicorn")
_FIELDS = ("viewer", "package")
"""What a record may have beside its message."""


class ViewerLog(logging.LoggerAdapter[logging.Logger]):
    """The server's log for one viewer of a package."""

    def __init__(self, viewer: str, package: str) -> None:
        super().__init__(log, {"viewer": viewer, "package": package})

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


class JsonLines(logging.Formatter):
    """A JSON object a line: time (UTC, RFC 3339), level, logger, message, what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, str] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _about(record)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextLines(logging.Formatter):
    """The same for people: level, message, and what it is about in brackets."""

    def format(self, record: logging.LogRecord) -> str:
        said = " ".join(f"{key}={value}" for key, value in _about(record).items())
        # What comes from the network must not begin a line of its own, nor paint the terminal.
        message = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", record.getMessage())
        line = f"{record.levelname.lower()}: {message}"
        line += f" [{said}]" if said else ""
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _about(record: logging.LogRecord) -> dict[str, str]:
    return {field: str(value) for field in _FIELDS if (value := getattr(record, field, None))}


def set_up_logs(settings: Settings) -> None:
    """Let this process log to stderr as `settings` want it; libraries' warnings too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
