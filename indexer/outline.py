"""The definitions of one file as its syntax tree shows them: joined, ordered, nested, and chosen.

A name may match several patterns, once with its decorators, its `export`, its template: the widest node is
the definition. Some matches are none (a function that is a parameter, a forward declaration), some are left
out (small functions inside functions, plain variables). This file does not know how a definition is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import get_args

from indexer.languages import DefinitionMatch, LanguageSpec, Node
from indexer.skeleton import Source, body_of, doc_comment_start
from indexer.types import Kind

_NESTED_MIN_LINES = 25
"""A function or class inside a function is a definition of its own from this length on."""
_MAX_NAME_BYTES = 200
_KINDS = frozenset((*get_args(Kind), "scope"))
CONSTANT_LIKE = frozenset(("constant", "macro"))
"""Kinds that have no body."""
_CLASS_LIKE = frozenset(("class", "interface", "type", "scope"))
_FUNCTION_LIKE = frozenset(("function", "method"))
_FRAGMENTS = frozenset(("function_declarator",))
"""Nodes that are definitions only within a wider one: in C, a parameter may be a function declarator too."""
_ECMASCRIPT = frozenset(("javascript", "typescript", "tsx"))
_DUNDER = re.compile(rb"__\w+__\Z")


@dataclass(slots=True)
class Found:
    """A definition while the file is being read."""

    kind: str
    pattern: int
    nodes: list[Node]
    """All that patterns matched for this name; once placed, the narrowest first."""
    name: bytes
    name_start: int
    scope: Node | None
    start: int = 0
    """Of the widest node, in bytes."""
    end: int = 0
    doc_line: int = 0
    parent: Found | None = None
    children: list[Found] = field(default_factory=list)
    body: Node | None = None

    @property
    def qualified_name(self) -> str:
        """The names of what encloses it, and its own, joined by dots."""
        names = [self.name]
        if self.scope is not None and self.scope.text is not None:
            names.append(self.scope.text.replace(b"::", b"."))
        parent = self.parent
        while parent is not None:
            names.append(parent.name)
            parent = parent.parent
        return b".".join(reversed(names)).decode("utf-8", "replace")

    @property
    def outer(self) -> Node:
        """The widest node."""
        return self.nodes[-1]


def outline(matches: Iterable[DefinitionMatch], source: Source, spec: LanguageSpec) -> list[Found]:
    """Return all that the matches amount to, outer before inner, each under what encloses it."""
    by_name: dict[int, Found] = {}
    for match in matches:
        if match.kind not in _KINDS:
            continue
        known = by_name.get(match.name.start_byte)
        if known is None:
            name = source.data[match.name.start_byte : match.name.end_byte]
            if 0 < len(name) <= _MAX_NAME_BYTES:
                by_name[match.name.start_byte] = Found(
                    match.kind, match.pattern, [match.node], name, match.name.start_byte, match.scope
                )
            continue
        known.nodes.append(match.node)
        known.scope = match.scope or known.scope
        # Later patterns are more exact, but a constant that is a function is a function.
        if known.kind == "constant" or (match.pattern > known.pattern and match.kind != "constant"):
            known.kind, known.pattern = match.kind, match.pattern
    found = [one for one in by_name.values() if _place(one, source)]
    found.sort(key=lambda one: (one.start, -one.end))
    _nest(found)
    for one in found:
        row = one.outer.start_point[0]
        starts_line = not source.data[source.offsets[row] : one.start].strip()
        one.doc_line = doc_comment_start(source, row, spec) if starts_line else row
    return found


def chosen(found: Iterable[Found], language: str, source: Source) -> Iterator[Found]:
    """Yield those that are to be definitions of their own, in their order."""
    seen_constants: set[bytes] = set()
    for one in found:
        if one.kind != "scope" and _is_wanted(one, language, source, seen_constants):
            yield one


def _place(one: Found, source: Source) -> bool:
    """Set a definition's range and body; return False for what is no definition after all."""
    nodes = one.nodes
    if len(nodes) > 1:
        nodes.sort(key=lambda node: node.end_byte - node.start_byte)
    outer = nodes[-1]
    one.start, one.end = outer.start_byte, outer.end_byte
    while one.end > one.start and source.data[one.end - 1] in b" \t\r\n":
        one.end -= 1
    if one.kind not in CONSTANT_LIKE:
        one.body = body_of(nodes)
    needs_body = one.kind == "module" or outer.type.endswith("_specifier")
    return outer.type not in _FRAGMENTS and not (needs_body and one.body is None)


def _nest(found: Sequence[Found]) -> None:
    enclosing: list[Found] = []
    for one in found:
        while enclosing and enclosing[-1].end < one.end:
            enclosing.pop()
        while enclosing and (enclosing[-1].start, enclosing[-1].end) == (one.start, one.end):
            enclosing.pop()
        if enclosing:
            one.parent = enclosing[-1]
            one.parent.children.append(one)
        if one.kind in _FUNCTION_LIKE and one.parent is not None:
            if one.parent.kind in _CLASS_LIKE:
                one.kind = "method"
            elif one.parent.kind == "module" and one.scope is None:
                one.kind = "function"
        enclosing.append(one)


def _is_wanted(one: Found, language: str, source: Source, seen: set[bytes]) -> bool:
    if one.kind == "constant":
        if one.name in seen or not _is_notable(one, language, source):
            return False
        seen.add(one.name)
    n_functions = 0
    enclosing = one.parent
    while enclosing is not None:
        n_functions += enclosing.kind in _FUNCTION_LIKE
        enclosing = enclosing.parent
    if n_functions == 0:
        return True
    # One level only: each level would hold the text of all below it once more.
    return n_functions == 1 and source.data.count(b"\n", one.start, one.end) + 1 >= _NESTED_MIN_LINES


def _is_notable(one: Found, language: str, source: Source) -> bool:
    """Return whether a module-level name is worth a definition: a constant, a type alias, an object."""
    name = one.name.lstrip(b"_$")
    if _DUNDER.match(one.name) or not name:
        return False
    text = source.data[one.start : one.end]
    if language in _ECMASCRIPT and b"require(" in text:
        return False  # an import
    if name[:1].isupper():
        return True
    if language == "python":
        # `app = FastAPI()` is what other modules import; `logger = ...` says nothing.
        return b"(" in text and name not in (b"logger", b"log", b"logging")
    if language in _ECMASCRIPT:
        return text.startswith(b"export")  # what is not exported is seen with its own file
    return language not in ("go", "bash")
