"""Which modules a function's result depends on, found by reading the sources and not by running.

From a definition (function, class, constant) the names in its body lead to others, through imports
and what packages pass on. Types of arguments and results lead nowhere: who makes such an object is
found anyhow. What is looked up by a string at run time is not found.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOMS = ("kernels", "client_sdk", "overfit", "server")


@dataclass(frozen=True)
class _Module:
    name: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Of each name the module it comes from, and its name there; None: it is the module."""


def definitions_of(
    module: str, name: str, harmless: Collection[tuple[str, str | None]]
) -> set[tuple[str, str]]:
    """The definitions of ours, (module, name), which that of `module` and `name` leads to.

    `harmless` ones, and those of modules that are so with the name None, lead nowhere.
    """
    reached: set[tuple[str, str]] = set()
    waiting = [(module, name)]
    while waiting:
        place = waiting.pop()
        if place in reached or place in harmless or (place[0], None) in harmless:
            continue
        reached.add(place)
        read = _read(place[0])
        assert read is not None
        for statement in read.definitions.get(place[1], []):
            waiting += _uses(read, statement)
    return reached


def _source(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    found = [path / "__init__.py", path.with_suffix(".py"), path.with_suffix(".pyi")]
    if module.split(".")[0] not in ROOMS:
        return None
    return next((each for each in found if each.is_file()), None)


@cache
def _read(module: str) -> _Module | None:
    source = _source(module)
    if source is None:
        return None
    read = _Module(module)
    tree = ast.parse(source.read_text())
    for statement in _statements(tree.body):
        for name in _defined(statement):
            read.definitions.setdefault(name, []).append(statement)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                known = (inner, None) if _source(inner) else (node.module, alias.name)
                read.imports[alias.asname or alias.name] = known
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname is not None:
                    read.imports[alias.asname] = (alias.name, None)
    return read


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            yield from _statements([*statement.body, *statement.orelse])
        else:
            yield statement


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _uses(module: _Module, statement: ast.stmt) -> Iterator[tuple[str, str]]:
    for node in _names(statement):
        if isinstance(node, ast.Name):
            yield from _resolve(module, node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            target, name = module.imports.get(node.value.id, ("", ""))
            inner = _read(target)
            if name is None and inner is not None:
                yield from _resolve(inner, node.attr)


def _names(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        if name == "returns" or (isinstance(node, ast.arg) and name == "annotation"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _names(child)


def _resolve(module: _Module, name: str) -> Iterator[tuple[str, str]]:
    if name in module.definitions:
        yield module.name, name
    elif name in module.imports:
        target, inner = module.imports[name]
        there = _read(target)
        if there is not None and inner is not None:
            yield from _resolve(there, inner)
