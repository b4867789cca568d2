"""What C headers declare, as Swift sees it: functions with their arity, structs, constants."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_FUNCTION = re.compile(r"\b(crispcast_\w+)\s*\(([^()]*)\)\s*;")
_STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\} \1;", re.S)
_OPAQUE = re.compile(r"typedef struct (\w+) \1;")
_ENUM = re.compile(r"(?:typedef )?enum\s*(\w*)\s*\{(.*?)\}\s*(\w*)\s*;", re.S)
_ALIAS = re.compile(r"typedef (?!struct|enum)[\w ]+\b(\w+);")
_DEFINE = re.compile(r"^#define (CRISPCAST_\w+)[ \t]+\S", re.M)


@dataclass
class Headers:
    """Names: `functions` by arity, `structs` by fields in order, `types`, `constants`."""

    functions: dict[str, int] = field(default_factory=dict)
    structs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)
    constants: set[str] = field(default_factory=set)


def read_headers(*paths: Path) -> Headers:
    found = Headers()
    for path in paths:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.S)
        found.constants |= set(_DEFINE.findall(text))
        text = re.sub(r"^#.*$", "", text, flags=re.M)
        for name, body in _STRUCT.findall(text):
            found.structs[name] = tuple(_fields(body))
        for before, body, after in _ENUM.findall(text):
            found.types |= {before, after} - {""}
            found.constants |= set(re.findall(r"\b(CRISPCAST_\w+)\b", body))
        found.types |= set(_OPAQUE.findall(text)) | set(_ALIAS.findall(text)) | set(found.structs)
        for name, parameters in _FUNCTION.findall(_STRUCT.sub("", text)):
            given = parameters.strip()
            found.functions[name] = 0 if given in ("", "void") else given.count(",") + 1
    return found


def _fields(body: str) -> list[str]:
    names = []
    for statement in body.split(";"):
        for part in statement.split(","):
            found = re.search(r"(\w+)\s*(?:\[\w+\])?\s*$", part.strip())
            if found:
                names.append(found.group(1))
    return names
