"""Hostile inputs out of good ones: of bytes, of JSON by its parts, of text by its lines.

All of a generator's choices come from the `random.Random` that is given, so a seed is an input.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

Mutator: TypeAlias = Callable[[bytes, Random], bytes]

_NUMBERS = (0, 1, -1, 2, 7, 255, 256, 16_384, 65_535, 65_536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
_VALUES: tuple[Any, ...] = (
    *_NUMBERS,
    1 << 32,
    1 << 53,
    -(1 << 63),
    10**40,
    0.5,
    1e300,
    float("nan"),
    float("inf"),
    True,
    False,
    None,
    "",
    "0",
    "\ud800",
    "../../etc/passwd",
    "a" * 400,
    "ab" * 32,
    [],
    [[]],
    {},
    {"a": {}},
)
_MOST_TOLD = 12  # levels of a tree that are gone into


def of_bytes(data: bytes, rng: Random) -> bytes:
    """A few flips, cuts, doubled or moved parts, and numbers that often break things."""
    out = bytearray(data)
    for _ in range(1 + rng.getrandbits(2)):
        place = rng.randrange(len(out) + 1)
        size = 1 << rng.randrange(6)
        kind = rng.randrange(7)
        if kind == 0 and place < len(out):
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[place : place + size]
        elif kind == 2:
            out[place:place] = rng.randbytes(size)
        elif kind == 3:
            out[place:place] = out[place : place + size]
        elif kind == 4:
            del out[place:]
        elif kind == 5:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(_NUMBERS) % (1 << 8 * width)
            out[place : place + width] = number.to_bytes(width, rng.choice(("little", "big")))
        else:
            other = rng.randrange(len(out) + 1)
            out[place : place + size] = out[other : other + size]
    return bytes(out)


def of_json(data: bytes, rng: Random) -> bytes:
    """A tree with parts replaced, taken away, doubled or exchanged; bytes where it is no JSON."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return of_bytes(data, rng)
    for _ in range(1 + rng.getrandbits(1)):
        tree = _changed(tree, rng, tree)
    return json.dumps(tree).encode("utf-8", "replace")


def _changed(tree: Any, rng: Random, whole: Any, depth: int = 0) -> Any:
    inner = isinstance(tree, dict | list) and len(tree) > 0 and depth < _MOST_TOLD
    if not inner or rng.random() < 0.1:
        return rng.choice(_VALUES) if rng.random() < 0.7 else _near(tree, rng)
    keys: list[Any] = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = rng.choice(keys)
    copy: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    kind = rng.random()
    if kind < 0.1:
        del copy[key]
    elif kind < 0.2 and isinstance(copy, list):
        copy[key:key] = [copy[key]] * rng.choice((1, 1, 2, 70))
    elif kind < 0.2:
        copy[rng.choice(("x", "__proto__", key + "x", ""))] = copy[key]
    elif kind < 0.3:
        copy[key] = _some(whole, rng)
    else:
        copy[key] = _changed(copy[key], rng, whole, depth + 1)
    return copy


def _near(value: Any, rng: Random) -> Any:
    """Something like it."""
    if isinstance(value, int):
        return value + rng.choice((-1, 1, value, 1 << 31))
    if isinstance(value, str):
        return of_bytes(value.encode("utf-8", "replace"), rng).decode("latin-1")
    return [value]


def _some(tree: Any, rng: Random) -> Any:
    """Some part of the tree."""
    while isinstance(tree, dict | list) and tree and rng.random() < 0.8:
        tree = rng.choice(list(tree.values()) if isinstance(tree, dict) else tree)
    return tree


def of_lines(data: bytes, rng: Random) -> bytes:
    """Text with lines taken away, doubled, exchanged or changed."""
    lines = data.split(b"\n")
    for _ in range(1 + rng.getrandbits(2)):
        place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        kind = rng.randrange(6)
        if kind == 0 and len(lines) > 1:
            del lines[place]
        elif kind == 1:
            lines[place:place] = [lines[other]] * rng.choice((1, 1, 2, 70))
        elif kind == 2:
            lines[place], lines[other] = lines[other], lines[place]
        elif kind == 3:
            words = lines[place].split(b" ")
            words[rng.randrange(len(words))] = str(rng.choice(_NUMBERS)).encode()
            lines[place] = b" ".join(words)
        else:
            lines[place] = of_bytes(lines[place], rng)
    return b"\n".join(lines)


MUTATORS: dict[str, Mutator] = {"": of_bytes, "json": of_json, "lines": of_lines}
"""By what the bytes mean."""
