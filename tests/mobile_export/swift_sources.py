"""Swift as tree-sitter reads it: faults of syntax, and what it names of the C headers."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobile_export.ios_package import SWIFT
from tests.mobile_export.c_headers import Headers

tree_sitter = pytest.importorskip("tree_sitter", reason="needs tree-sitter: pip install '.[dev]'")
grammar = pytest.importorskip("tree_sitter_swift", reason="needs tree-sitter-swift")

_FUNCTIONS = ("function_declaration", "init_declaration", "lambda_literal", "computed_property")


def swift_files() -> list[Path]:
    return sorted(SWIFT.rglob("*.swift"))


@functools.cache
def _parser():
    return tree_sitter.Parser(tree_sitter.Language(grammar.language()))


def parse(source: str):
    return _parser().parse(source.encode()).root_node


def nodes(node) -> Iterator:
    yield node
    for child in node.children:
        yield from nodes(child)


def faults(source: str) -> list[str]:
    """What is no Swift, by line."""
    return [
        f"line {node.start_point[0] + 1}: {node.type} {node.text.decode()[:40]!r}"
        for node in nodes(parse(source))
        if node.type == "ERROR" or node.is_missing
    ]


@dataclass
class Named:
    """What was looked up: `wrong` names what the headers have not, the rest counts."""

    wrong: list[str]
    calls: int = 0
    fields: int = 0
    names: int = 0


def named_of_c(sources: dict[str, str], headers: Headers) -> Named:
    """Looks up all that Swift files name of C: functions by arity, fields, types, constants.

    A variable's fields are looked up where its type is written, or is that of its first value; a
    property's in all files.
    """
    found = Named([])
    trees = {name: parse(source) for name, source in sources.items()}
    members: dict[str, set[str]] = {}
    for tree in trees.values():
        for name, kind in _declared(tree, members=True):
            members.setdefault(name, set()).add(kind)
    for file, tree in trees.items():
        for node in nodes(tree):
            place = f"{file}:{node.start_point[0] + 1}"
            if node.type in ("simple_identifier", "type_identifier"):
                _look_up(node.text.decode(), place, headers, found)
            elif node.type == "call_expression":
                _check_call(node, place, headers, found)
            elif node.type == "navigation_expression":
                _check_field(node, place, headers, members, found)
    return found


def _look_up(name: str, place: str, headers: Headers, found: Named) -> None:
    if name.startswith("CRISPCAST_"):
        known = name in headers.constants
    elif name.startswith("crispcast_"):
        known = name in headers.functions or name in headers.types
    else:
        return
    found.names += 1
    if not known:
        found.wrong.append(f"{place}: {name} is in no header")


def _arguments(call) -> list | None:
    suffix = next((c for c in call.children if c.type == "call_suffix"), None)
    values = [c for c in suffix.children if c.type == "value_arguments"] if suffix else []
    return [c for c in values[0].children if c.type == "value_argument"] if values else None


def _check_call(node, place: str, headers: Headers, found: Named) -> None:
    name = node.children[0].text.decode()
    arguments = _arguments(node)
    if not name.startswith("crispcast_") or arguments is None:
        return
    found.calls += 1
    if name in headers.functions:
        if len(arguments) != headers.functions[name]:
            wanted = headers.functions[name]
            found.wrong.append(f"{place}: {name} takes {wanted} arguments, not {len(arguments)}")
    elif name in headers.structs:
        labels = [a.children[0].text.decode() for a in arguments]
        if labels and labels != list(headers.structs[name]):
            found.wrong.append(f"{place}: {name} has {headers.structs[name]}, not {labels}")


def _check_field(node, place: str, headers: Headers, members, found: Named) -> None:
    target, suffix = node.children[0], node.children[-1]
    if target.type == "navigation_expression":
        kinds = members.get(_last(target), set())
    elif target.type == "simple_identifier":
        kinds = _kinds_here(node, target.text.decode()) or members.get(target.text.decode(), set())
    else:
        return
    if not kinds or not all(kind in headers.structs for kind in kinds):
        return
    name = _last(node)
    found.fields += 1
    if not any(name in headers.structs[kind] for kind in kinds):
        found.wrong.append(f"{place}: no field {name} in {', '.join(sorted(kinds))}")
    assert suffix.type == "navigation_suffix"


def _last(navigation) -> str:
    return navigation.children[-1].text.decode().lstrip(".").strip("`")


def _kinds_here(node, name: str) -> set[str]:
    """Types that `name` is declared with in the nearest function around `node` that does."""
    while node.parent is not None:
        node = node.parent
        if node.type in _FUNCTIONS:
            kinds = {kind for found, kind in _declared(node, members=False) if found == name}
            if kinds:
                return kinds
    return set()


def _declared(scope, *, members: bool) -> Iterator[tuple[str, str]]:
    """(name, type) of parameters and variables in a function, or of types' members in a file."""
    for node in nodes(scope):
        if members and _inside_function(node):
            continue
        if node.type in ("parameter", "lambda_parameter"):
            names = [c.text.decode() for c in node.children if c.type == "simple_identifier"]
            kind = next((c.text.decode() for c in node.children if c.type == "user_type"), "")
            if names and not members:
                yield names[-1], kind
        elif node.type == "property_declaration":
            pattern = next((c for c in node.children if c.type == "pattern"), None)
            if pattern is not None:
                yield pattern.text.decode(), _kind(node)


def _kind(declaration) -> str:
    for child in declaration.children:
        if child.type == "type_annotation":
            return child.text.decode().lstrip(": ")
        if child.type == "call_expression":
            return child.children[0].text.decode()
    return ""


def _inside_function(node) -> bool:
    while node.parent is not None:
        node = node.parent
        if node.type in _FUNCTIONS:
            return True
    return False
