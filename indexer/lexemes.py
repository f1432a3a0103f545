"""The lexemes of a stretch of source, read off a syntax tree's leaves.

Code between two keystrokes is broken by nature. A parser's structure over broken code is a guess, but its
leaves rarely are: keywords, brackets, strings and comments come out right. So what is asked of code that is
being typed is answered from its lexemes and its indentation, not from its tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from indexer.languages import LANGUAGES, Node, parse_tree

__all__ = [
    "CLOSERS",
    "WINDOW_BYTES",
    "Lexeme",
    "has_grammar",
    "indentation",
    "lexemes",
    "source_after",
    "source_before",
    "tagged",
]

WINDOW_BYTES = 8 * 1024
"""Before a cursor; some 200 lines, parsed in 1 to 2 ms."""

CLOSERS = {b")": b"(", b"]": b"[", b"}": b"{"}
"""Closing bracket -> opening bracket."""

_ATOMS = ("string", "template", "heredoc", "regex", "char_literal", "character_literal", "rune_literal")
_NOT_ATOMS = ("template_declaration", "template_parameter", "template_argument", "template_type")
"""C++ templates are code; a JavaScript template is a string."""
_UNENDED = frozenset({b'"""', b"'''", b"`"})
"""Delimiters that, standing as a leaf by themselves, begin a string that is not ended yet."""
_SURVEYED_CHARACTERS = 64 * 1024
_TOP_LEVEL = re.compile(
    rb"^(?:@\w|#include|(?:async )?def \w+\(|class \w+[(:\s{]|from \S+ import |import [\w.]+$|export |public "
    rb"|function \w|(?:const|let|var) \w+ =|func [\w(]|(?:pub )?(?:fn|struct|impl|trait|mod) \w"
    rb"|module \w|namespace \w)",
    re.MULTILINE,
)
"""Where text is not surveyed from its start: lines that are hardly ever prose."""
_PHP_TAG = b"<?php\n"
_FALLBACK = re.compile(rb'"(?:\\.|[^"\\\n])*"|[\w.]+|[^\s\w]')


@dataclass(frozen=True, slots=True)
class Lexeme:
    """One word, mark, string or comment."""

    kind: Literal["code", "string", "comment"]
    text: bytes
    start: int
    """Byte offset in the source that was read."""
    line: int
    """The line on which it starts, from 0."""
    end_line: int


def has_grammar(language: str | None) -> bool:
    """Return whether trees can be made of this language."""
    return language in LANGUAGES and LANGUAGES[language].wheel is not None


def lexemes(language: str | None, source: bytes, start: int = 0) -> list[Lexeme]:
    """Return the lexemes of `source` that end after byte `start`, in order.

    Of a language without a grammar, words, marks and strings in double quotes.
    """
    if language is None or not has_grammar(language):
        return list(_without_grammar(source, start))
    found = list(_leaves(parse_tree(language, source).root_node, start))
    for index, lexeme in enumerate(found):
        if lexeme.kind == "code" and lexeme.text in _UNENDED:
            text = source[lexeme.start :]
            rest = Lexeme("string", text, lexeme.start, lexeme.line, lexeme.line + text.count(b"\n"))
            return [*found[:index], rest]
    return found


def indentation(line: bytes) -> int:
    """Return the columns of white space at a line's start; a tab goes to the next multiple of 8."""
    column = 0
    for byte in line:
        if byte == 0x20:
            column += 1
        elif byte == 0x09:
            column += 8 - column % 8
        else:
            break
    return column


def source_before(language: str | None, prefix: str) -> bytes:
    """Return the end of the text before a cursor, in UTF-8, from where reading is safe.

    A tree of much more text is made once, to find a node that starts some `WINDOW_BYTES` before the cursor:
    a stretch that began inside of a docstring would be read inside out.
    """
    truncated = len(prefix) > _SURVEYED_CHARACTERS
    source = prefix[-_SURVEYED_CHARACTERS:].encode("utf-8", "replace")
    if truncated:
        top = _TOP_LEVEL.search(source, 0, source.rfind(b"\n") + 1)
        source = source[top.start() if top else source.find(b"\n") + 1 :]
    source = tagged(language, source)
    target = len(source) - WINDOW_BYTES
    if target <= 0:
        return source
    if language is None or not has_grammar(language):
        return source[source.find(b"\n", target) + 1 :]
    return tagged(language, source[_node_start(parse_tree(language, source).root_node, source, target) :])


def tagged(language: str | None, source: bytes) -> bytes:
    """Return `source`, for PHP with the tag without which its grammar sees plain text."""
    return _PHP_TAG + source if language == "php" and b"<?" not in source else source


def source_after(suffix: str) -> bytes:
    """Return the first lines after a cursor, as many as anything here asks about."""
    return suffix[:WINDOW_BYTES].encode("utf-8", "replace")


def _node_start(node: Node, source: bytes, target: int) -> int:
    """Where the line of a node starts that begins at most two windows before the end, and before `target`."""
    while True:
        child = next((one for one in reversed(node.children) if one.start_byte <= target), None)
        if child is None:
            return source.rfind(b"\n", 0, node.start_byte) + 1
        if (
            target - child.start_byte <= WINDOW_BYTES
            or child.end_byte <= target
            or _kind(child.type) != "code"
        ):
            return source.rfind(b"\n", 0, child.start_byte) + 1
        node = child


def _leaves(root: Node, start: int) -> Iterator[Lexeme]:
    pending = [root]
    while pending:
        node = pending.pop()
        if node.end_byte <= start:
            continue
        kind = _kind(node.type)
        if kind == "code" and node.child_count:
            pending.extend(reversed(node.children))
        elif node.end_byte > node.start_byte and node.type != "line_continuation":
            text = node.text or b""
            yield Lexeme(kind, text, node.start_byte, node.start_point[0], node.end_point[0])


def _kind(node_type: str) -> Literal["code", "string", "comment"]:
    if "comment" in node_type:
        return "comment"
    if node_type in {"string_start", "string_end"} or node_type.startswith(_NOT_ATOMS):
        return "code"
    return "string" if any(atom in node_type for atom in _ATOMS) else "code"


def _without_grammar(source: bytes, start: int) -> Iterator[Lexeme]:
    line, at = source.count(b"\n", 0, start), start
    for match in _FALLBACK.finditer(source, start):
        line += source.count(b"\n", at, match.start())
        at = match.start()
        kind: Literal["code", "string"] = "string" if match[0].startswith(b'"') and match[0][1:] else "code"
        yield Lexeme(kind, match[0], at, line, line)
