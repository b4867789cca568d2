"""A parser against libFuzzer: `python -m tests.fuzz.fuzzer PARSER [libFuzzer's flags] [CORPUS …]`.

Coverage comes from Atheris, which instruments the functions of the modules that the parser consists
of. Needs it: `pip install atheris`. Findings are written where `-artifact_prefix` says.
"""

from __future__ import annotations

import importlib
import sys
from functools import cached_property
from random import Random
from types import FunctionType, ModuleType
from typing import Any

import atheris

from tests.fuzz.harness import try_one
from tests.fuzz.mutators import MUTATORS
from tests.fuzz.parsers import PARSERS


def _functions(owner: Any, module: str) -> list[FunctionType]:
    """The functions that a module or a class defines, those of its classes too."""
    found: list[FunctionType] = []
    for value in list(vars(owner).values()):
        inner = value.func if isinstance(value, cached_property) else value
        inner = inner.fget if isinstance(inner, property) else inner
        inner = inner.__func__ if isinstance(inner, classmethod | staticmethod) else inner
        if isinstance(inner, FunctionType) and inner.__module__ == module:
            found.append(inner)
        elif isinstance(inner, type) and inner.__module__ == module and inner is not owner:
            found += _functions(inner, module)
    return found


def instrument(module: ModuleType) -> None:
    """Count which branches of a module are taken."""
    for function in _functions(module, module.__name__):
        atheris.instrument_func(function)


def main() -> None:
    name, *flags = sys.argv[1:]
    parser = PARSERS[name]
    for module in parser.code:
        instrument(importlib.import_module(module))
    mutate = MUTATORS[parser.text]

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.25:
            return bytes(atheris.Mutate(data, most))
        return mutate(data, rng)[:most]

    own = {"custom_mutator": mutated} if parser.text else {}
    bounds = [f"-max_len={parser.most}", "-timeout=60", "-rss_limit_mb=2048"]

    def once(data: bytes) -> None:
        try_one(parser, data)

    atheris.Setup([sys.argv[0], *bounds, *flags], once, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
