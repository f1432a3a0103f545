"""One file, parsed: its definitions, the names it uses, and what it imports.

Broken code gives what could be parsed; what a file holds raises nothing but TooSlowError. This file does not
know where a module's file lies, nor what is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import cast

from indexer.documents import sections
from indexer.import_statements import imports_of
from indexer.languages import (
    LANGUAGES,
    LanguageSpec,
    Node,
    definition_matches,
    is_garbage,
    language_of,
    parse_tree_within,
    used_nodes,
)
from indexer.outline import CONSTANT_LIKE, Found, chosen, outline
from indexer.skeleton import (
    Part,
    Source,
    class_skeleton,
    comment_text,
    constant_text,
    plain_text,
    signature,
    string_docstring,
)
from indexer.source import decode_source
from indexer.types import Definition, Kind, ParsedFile, Reference, Role, Span

__all__ = ["parse_definitions", "parse_file", "role_of"]

_HEAD_BYTES = 4096
_MAX_NAME_BYTES = 200
_MAX_PARSE_S = 5.0
"""Ten times what a megabyte of the slowest grammar's real code takes."""
_IMPORT_COMMANDS = frozenset((b"require", b"require_relative", b"load", b"source", b"."))
_TEST_FOLDERS = frozenset(("test", "tests", "__tests__", "spec", "specs", "testdata", "e2e"))
_TEST_FILE = re.compile(
    r"(?:test_.*\.py|.*_test\.(?:py|go|rb|cc|cpp|c|rs|php)|conftest\.py|.*\.(?:test|spec)\.[cm]?[jt]sx?"
    r"|.*(?:Test|Tests|TestCase|IT)\.(?:java|cs|php)|.*_spec\.rb|test[-_].*\.(?:sh|rb|c|cc|cpp)|tests?\.rs)\Z"
)


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


def parse_file(path: str, source: bytes) -> ParsedFile:
    """Return what a file defines, uses and imports.

    Args:
        path: POSIX, relative to the repository's root; it decides the language and the role. A file of no
            known language is read as plain text.
        source: As it lies on the disk, in any encoding. Spans count bytes of `decode_source(source)` in
            UTF-8.

    Raises:
        TooSlowError: The grammar takes too long over it.
    """
    file, text = _file(path, source)
    spec, data = file.spec, file.source
    n_lines = len(data.lines) - (not data.lines[-1])
    if spec.wheel is None:
        found_sections = tuple(_document_definitions(file, text))
        return ParsedFile(path, spec.name, file.role, found_sections, (), (), n_lines, has_errors=False)
    tree = parse_tree_within(spec.name, data.data, _MAX_PARSE_S)
    if is_garbage(tree):
        return ParsedFile(path, spec.name, file.role, (), (), (), n_lines, has_errors=True)
    found = outline(definition_matches(spec.name, tree), data, spec)
    names, imports = used_nodes(spec.name, tree)
    return ParsedFile(
        path,
        spec.name,
        file.role,
        tuple(_definition(file, one) for one in chosen(found, spec.name, data)),
        _references(names, found),
        imports_of(spec.name, imports),
        n_lines,
        tree.root_node.has_error,
    )


def parse_definitions(path: str, source: bytes, *, max_parse_s: float) -> tuple[Definition, ...]:
    """Return only what a file defines, as `parse_file` would; takes half as long.

    Args:
        path: As for `parse_file`.
        source: The same.
        max_parse_s: Of processor time that the grammar may take.

    Raises:
        TooSlowError: The grammar takes longer.
    """
    file, text = _file(path, source)
    spec = file.spec
    if spec.wheel is None:
        return tuple(_document_definitions(file, text))
    tree = parse_tree_within(spec.name, file.source.data, max_parse_s)
    if is_garbage(tree):
        return ()
    found = outline(definition_matches(spec.name, tree), file.source, spec)
    return tuple(_definition(file, one) for one in chosen(found, spec.name, file.source))


def _file(path: str, source: bytes) -> tuple[_File, str]:
    spec = language_of(path, source[:_HEAD_BYTES]) or LANGUAGES["text"]
    text = decode_source(source)
    return _File(path, spec, role_of(path, spec), Source.of(text.encode("utf-8", "replace"))), text


def role_of(path: str, spec: LanguageSpec) -> Role:
    """Return what a file is for, by its language and by the conventions of test files' paths."""
    if spec.family == "document":
        return "documentation"
    parts = PurePosixPath(path).parts
    if any(part in _TEST_FOLDERS for part in parts[:-1]) or _TEST_FILE.match(parts[-1] if parts else ""):
        return "test"
    return "source"


def _definition(file: _File, one: Found) -> Definition:
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
        qualified_name=one.qualified_name,
        signature=signature(source, header, one.end, one.body, is_constant=one.kind in CONSTANT_LIKE),
        docstring=docstring[1] if docstring is not None else comment_text(comment),
        span=Span(start, one.end, one.doc_line, source.line_at(max(one.end - 1, one.start)) + 1),
        text=_text(one, source, start),
    )


def _doc_start(one: Found, source: Source) -> int:
    if one.doc_line == one.outer.start_point[0]:
        return one.start
    line = source.lines[one.doc_line]
    return source.offsets[one.doc_line] + len(line) - len(line.lstrip())


def _text(one: Found, source: Source, start: int) -> str:
    if one.kind in CONSTANT_LIKE:
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


def _references(nodes: Iterable[Node], found: Iterable[Found]) -> tuple[Reference, ...]:
    """Return each name that is used once a line; where a name is defined is no use of it."""
    defined = {one.name_start for one in found}
    uses: dict[tuple[int, bytes], None] = {}
    for node in nodes:
        if node.start_byte in defined:
            continue
        name = node.text
        if name and len(name) <= _MAX_NAME_BYTES and name not in _IMPORT_COMMANDS:
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
