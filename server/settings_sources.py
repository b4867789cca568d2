"""Where settings come from: a file, the environment, flags; each overrides those before.

Settings ─┬─► commented_file()    what `crispcast settings` prints
          ├─► variable(name)      CRISPCAST_MAX_VIEWERS
          └─► flag(name)          --max-viewers
file (TOML), environment, flags ─► load_settings() ─► Settings
"""

from __future__ import annotations

import difflib
import json
import os
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from kernels.errors import CrispcastError
from server.settings import Settings

PREFIX = "CRISPCAST_"
_MAX_FILE_BYTES = 1 << 20


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The flag of a setting, in `crispcast serve`."""
    return "--" + name.replace("_", "-")


def load_settings(
    file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Settings:
    """The settings from a TOML file, then the environment, then flags; the last one counts.

    `flags` holds values by the names of the settings. Raises CrispcastError that names the
    setting, where it came from, and what to do.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if file is not None:
        values = _read(Path(file))
        origins = dict.fromkeys(values, f"in {file}")
    for name in Settings.model_fields:
        if (said := (environment or {}).get(variable(name))) is not None:
            values[name], origins[name] = said, f"in the environment as {variable(name)}"
        if (said := (flags or {}).get(name)) is not None:
            values[name], origins[name] = said, f"as {flag(name)}"
    try:
        return Settings(**values)
    except ValidationError as error:
        raise CrispcastError(_fault(error, origins)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise CrispcastError(f"{path} is too long to be a settings file")
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise CrispcastError(
            f"cannot read the settings file {path}: {error.strerror}; "
            "`crispcast settings` prints one to begin with"
        ) from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise CrispcastError(f"the settings file {path} is not TOML: {error}") from None
    for name in values:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, 1)
            hint = f"did you mean {near[0]}?" if near else "`crispcast settings` prints them all"
            raise CrispcastError(f"{path}: there is no setting {name[:60]}; {hint}")
    return values


def _fault(error: ValidationError, origins: Mapping[str, str]) -> str:
    """The first thing wrong, as a sentence; what was said is not repeated: it may be a secret."""
    fault = error.errors()[0]
    why = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return f"the settings do not go together: {why}"
    name = str(fault["loc"][0])
    why = why[:1].lower() + why[1:]
    return f"the setting {name}, given {origins.get(name, 'nowhere')}, is refused: {why}"


def commented_file() -> str:
    """A settings file (TOML) with every setting, commented out at its default."""
    lines = [
        "# Settings of `crispcast serve --settings FILE`. Every one is a flag and an environment",
        "# variable too; a flag overrides the environment, and that this file. Where a list is",
        "# wanted, flags and variables take it with commas.",
    ]
    for name, field in Settings.model_fields.items():
        lines += ["", *_commented(name, field)]
    return "\n".join(lines) + "\n"


def _commented(name: str, field: FieldInfo) -> Iterator[str]:
    bounds = _bounds(field)
    said = f"{field.description} {bounds}" if bounds else str(field.description)
    for line in textwrap.wrap(" ".join(said.split()), 97):
        yield f"# {line}"
    yield f"# {flag(name)}, {variable(name)}"
    yield f"#{name} = {_toml(field.get_default())}"


def _bounds(field: FieldInfo) -> str:
    least, most = (
        next((getattr(rule, side) for rule in field.metadata if hasattr(rule, side)), None)
        for side in ("ge", "le")
    )
    return "" if least is None or most is None else f"({least} to {most})"


def flag_value(value: Any) -> str:
    """A default as a flag or a variable takes it."""
    return ",".join(value) if isinstance(value, tuple) else _toml(value).strip('"')


def _toml(value: Any) -> str:
    # JSON's strings, numbers, booleans and arrays are TOML's, which has no null.
    return json.dumps("" if value is None else value)
