"""One file, parsed: its definitions, the names it uses, and what it imports.

Definitions come from the queries of `languages.py`. A definition inside a function is left to that function,
unless it is long enough to be of use by itself. Broken code gives what could be parsed; nothing here raises
because of what a file holds. This file does not know where a module's file lies, nor what is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import cast, get_args

from indexer.documents import sections
from indexer.import_statements import imports_of
from indexer.languages import (
    LANGUAGES,
    DefinitionMatch,
    LanguageSpec,
    Node,
    definition_matches,
    language_of,
    parse_tree,
    used_nodes,
)
from indexer.skeleton import (
    Part,
    Source,
    body_of,
    class_skeleton,
    comment_text,
    constant_text,
    doc_comment_start,
    plain_text,
    signature,
    string_docstring,
)
from indexer.source import decode_source
from indexer.types import Definition, Kind, ParsedFile, Reference, Role, Span

__all__ = ["parse_file", "role_of"]

_HEAD_BYTES = 4096
_NESTED_MIN_LINES = 25
"""A function or class inside a function is a definition of its own from this length on."""
_MAX_NAME_BYTES = 200
_KINDS = frozenset((*get_args(Kind), "scope"))
_CLASS_LIKE = frozenset(("class", "interface", "type", "scope"))
_FUNCTION_LIKE = frozenset(("function", "method"))
_CONSTANT_LIKE = frozenset(("constant", "macro"))
_FRAGMENTS = frozenset(("function_declarator",))
"""Nodes that are definitions only within a wider one: in C, a parameter may be a function declarator too."""
_TEST_FOLDERS = frozenset(("test", "tests", "__tests__", "spec", "specs", "testdata", "e2e"))
_TEST_FILE = re.compile(
    r"(?:test_.*\.py|.*_test\.(?:py|go|rb|cc|cpp|c|rs|php)|conftest\.py|.*\.(?:test|spec)\.[cm]?[jt]sx?"
    r"|.*(?:Test|Tests|TestCase|IT)\.(?:java|cs|php)|.*_spec\.rb|test[-_].*\.(?:sh|rb|c|cc|cpp)|tests?\.rs)\Z"
)
_DUNDER = re.compile(rb"__\w+__\Z")


@dataclass(frozen=True, slots=True)
class _File:
    """What all definitions of a file have in common."""

    path: str
    spec: LanguageSpec
    role: Role
    source: Source
    n_same: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    """How many definitions there were so far of one qualified name and kind; tells overloads apart."""

    def definition(  # noqa: PLR0913 - by keyword only, and each is a field of the result
        self,
        *,
        kind: Kind,
        name: str,
        qualified_name: str,
        signature: str,
        docstring: str,
        span: Span,
        text: str,
    ) -> Definition:
        """Return a definition with its id and its hash."""
        ordinal = self.n_same[qualified_name, kind]
        self.n_same[qualified_name, kind] += 1
        identity = _digest(self.path, qualified_name, kind, str(ordinal))
        return Definition(
            id=identity,
            path=self.path,
            language=self.spec.name,
            kind=kind,
            role=self.role,
            name=name,
            qualified_name=qualified_name,
            signature=signature,
            docstring=docstring,
            span=span,
            text=text,
            content_hash=_digest(self.spec.name, self.role, name, identity, signature, docstring, text),
        )


@dataclass(slots=True)
class _Found:
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
    parent: _Found | None = None
    children: list[_Found] = field(default_factory=list)
    body: Node | None = None

    @property
    def outer(self) -> Node:
        """The widest node."""
        return self.nodes[-1]


def parse_file(path: str, source: bytes) -> ParsedFile:
    """Return what a file defines, uses and imports.

    Args:
        path: POSIX, relative to the repository's root; it decides the language and the role. A file of no
            known language is read as plain text.
        source: As it lies on the disk, in any encoding. Spans count bytes of `decode_source(source)` in
            UTF-8.
    """
    spec = language_of(path, source[:_HEAD_BYTES]) or LANGUAGES["text"]
    text = decode_source(source)
    data = Source.of(text.encode("utf-8", "replace"))
    file = _File(path, spec, role_of(path, spec), data)
    n_lines = len(data.lines) - (not data.lines[-1])
    if spec.wheel is None:
        found_sections = tuple(_document_definitions(file, text))
        return ParsedFile(path, spec.name, file.role, found_sections, (), (), n_lines, has_errors=False)
    tree = parse_tree(spec.name, data.data)
    found = _collect(definition_matches(spec.name, tree), data, spec)
    names, imports = used_nodes(spec.name, tree)
    return ParsedFile(
        path,
        spec.name,
        file.role,
        tuple(_definitions(file, found)),
        _references(names, found),
        imports_of(spec.name, imports),
        n_lines,
        tree.root_node.has_error,
    )


def role_of(path: str, spec: LanguageSpec) -> Role:
    """Return what a file is for, by its language and by the conventions of test files' paths."""
    if spec.family == "document":
        return "documentation"
    parts = PurePosixPath(path).parts
    if any(part in _TEST_FOLDERS for part in parts[:-1]) or _TEST_FILE.match(parts[-1] if parts else ""):
        return "test"
    return "source"


def _collect(matches: Iterable[DefinitionMatch], source: Source, spec: LanguageSpec) -> list[_Found]:
    """Join the matches of each name, order them, and put each under what encloses it."""
    by_name: dict[int, _Found] = {}
    for match in matches:
        if match.kind not in _KINDS:
            continue
        known = by_name.get(match.name.start_byte)
        if known is None:
            name = source.data[match.name.start_byte : match.name.end_byte]
            if 0 < len(name) <= _MAX_NAME_BYTES:
                by_name[match.name.start_byte] = _Found(
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


def _place(one: _Found, source: Source) -> bool:
    """Set a definition's range and body; return False for what is no definition after all."""
    nodes = one.nodes
    if len(nodes) > 1:
        nodes.sort(key=lambda node: node.end_byte - node.start_byte)
    outer = nodes[-1]
    one.start, one.end = outer.start_byte, outer.end_byte
    while one.end > one.start and source.data[one.end - 1] in b" \t\r\n":
        one.end -= 1
    if one.kind not in _CONSTANT_LIKE:
        one.body = body_of(nodes)
    needs_body = one.kind == "module" or outer.type.endswith("_specifier")
    return outer.type not in _FRAGMENTS and not (needs_body and one.body is None)


def _nest(found: Sequence[_Found]) -> None:
    enclosing: list[_Found] = []
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


def _definitions(file: _File, found: Sequence[_Found]) -> Iterator[Definition]:
    seen_constants: set[bytes] = set()
    for one in found:
        if one.kind != "scope" and _is_wanted(one, file, seen_constants):
            yield _definition(file, one)


def _is_wanted(one: _Found, file: _File, seen_constants: set[bytes]) -> bool:
    if one.kind == "constant":
        if one.name in seen_constants or not _is_notable(one, file):
            return False
        seen_constants.add(one.name)
    enclosing = one.parent
    while enclosing is not None:
        if enclosing.kind in _FUNCTION_LIKE:
            n_lines = file.source.data.count(b"\n", one.start, one.end) + 1
            return n_lines >= _NESTED_MIN_LINES
        enclosing = enclosing.parent
    return True


def _is_notable(one: _Found, file: _File) -> bool:
    """Return whether a module-level name is worth a definition: a constant, a type alias, an object."""
    name = one.name.lstrip(b"_$")
    if _DUNDER.match(one.name) or not name:
        return False
    if name[:1].isupper():
        return True
    text, language = file.source.data[one.start : one.end], file.spec.name
    if language == "python":
        # `app = FastAPI()` is what other modules import; `logger = ...` says nothing.
        return b"(" in text and name not in (b"logger", b"log", b"logging")
    if language in ("javascript", "typescript", "tsx"):
        return text.startswith(b"export")
    return language not in ("go", "bash")


def _qualified_name(one: _Found) -> str:
    names = [one.name]
    if one.scope is not None and one.scope.text is not None:
        names.append(one.scope.text.replace(b"::", b"."))
    parent = one.parent
    while parent is not None:
        names.append(parent.name)
        parent = parent.parent
    return b".".join(reversed(names)).decode("utf-8", "replace")


def _definition(file: _File, one: _Found) -> Definition:
    source = file.source
    start = _doc_start(one, source)
    header = one.start
    if one.outer.type == "decorated_definition":
        header = next((node.start_byte for node in one.nodes if node.type != "decorated_definition"), header)
    docstring = string_docstring(one.body)
    comment = source.lines[one.doc_line : one.outer.start_point[0]]
    return file.definition(
        kind=cast("Kind", one.kind),
        name=one.name.decode("utf-8", "replace"),
        qualified_name=_qualified_name(one),
        signature=signature(source, header, one.end, one.body, is_constant=one.kind in _CONSTANT_LIKE),
        docstring=docstring[1] if docstring is not None else comment_text(comment),
        span=Span(start, one.end, one.doc_line, source.line_at(max(one.end - 1, one.start)) + 1),
        text=_text(one, source, start),
    )


def _doc_start(one: _Found, source: Source) -> int:
    if one.doc_line == one.outer.start_point[0]:
        return one.start
    line = source.lines[one.doc_line]
    return source.offsets[one.doc_line] + len(line) - len(line.lstrip())


def _text(one: _Found, source: Source, start: int) -> str:
    if one.kind in _CONSTANT_LIKE:
        return constant_text(source, start, one.end)
    if one.kind in ("class", "interface", "module") or (one.kind == "type" and one.children):
        parts = [
            Part(_doc_start(child, source), child.start, child.name, child.body)
            for child in one.children
            if child.kind != "constant"
        ]
        return class_skeleton(source, Part(start, one.start, one.name, one.body), one.end, parts)
    return plain_text(source, start, one.end)


def _digest(*parts: str) -> str:
    joined = "\0".join(parts).encode("utf-8", "replace")
    return hashlib.blake2b(joined, digest_size=12).hexdigest()


def _references(nodes: Iterable[Node], found: Iterable[_Found]) -> tuple[Reference, ...]:
    """Return each name that is used once a line; where a name is defined is no use of it."""
    defined = {one.name_start for one in found}
    uses: dict[tuple[int, bytes], None] = {}
    for node in nodes:
        if node.start_byte in defined:
            continue
        name = node.text
        if name is not None and 0 < len(name) <= _MAX_NAME_BYTES:
            uses[node.start_point[0], name] = None
    return tuple(Reference(name.decode("utf-8", "replace"), line) for line, name in sorted(uses))


def _document_definitions(file: _File, text: str) -> Iterator[Definition]:
    source = file.source
    lines = [line.rstrip("\r") for line in text.split("\n")]
    for section in sections(file.spec.name, lines, PurePosixPath(file.path).stem):
        start, end = source.offsets[section.start_line], source.offsets[section.end_line] - 1
        yield file.definition(
            kind="section",
            name=section.title,
            qualified_name=".".join(section.trail),
            signature=" > ".join(section.trail),
            docstring="",
            span=Span(start, end, section.start_line, section.end_line),
            text="\n".join(lines[section.start_line : section.end_line]),
        )
