"""How a piece of code declares a name: the types written for it, and the expressions it was set to.

Read off the text line by line, since the code around a cursor seldom parses. What is found is only as good as
its look: several answers may be given, the one nearest to the cursor first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from indexer.window import MAX_LINE_CHARACTERS, names_in

Chain = tuple[str, ...]
"""A value as it is written, cut at its dots, with `()` for a call and `[]` for an element:
`("self", "client", "fetch()")`."""

_MAX_LINES = 40
"""How many lines that declare a name are read, the last ones of the text."""
_MAX_CHAIN = 6
MAX_HEADER_LINES = 30

_MAX_NESTING = 8

# While groups are reduced from the inside out, a control character stands for one that was.
_MARK_OF = {"(": "\x01", "[": "\x02", "{": "\x03"}
_BRACKETS_OF = {1: "()", 2: "[]", 3: "{}"}
_GROUP = re.compile(r"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}")
_STRING = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""")
_WORD = r"[^\W\d]\w*"
_DOT = r"(?:\?\.|\.|::|->)"
_VALUE = rf"{_WORD}(?:\(\)|\[\])*(?:{_DOT}{_WORD}(?:\(\)|\[\])*)*"
_AT_END = re.compile(rf"((?:{_WORD}(?:\(\)|\[\])*\s*{_DOT}\s*)*)({_WORD})?$")
_AT_START = re.compile(rf"\s*(?:await\s+|new\s+|&|\*|\(\s*)*({_VALUE})([({{\[])?")
_PART = re.compile(rf"{_WORD}(?:\(\)|\[\])*")

_MARK = "\x04"
"""Stands for the name that is asked about."""
_ANNOTATED = re.compile(rf"{_MARK}\s*\??:(?![=:])\s*([^=;{{]+)")
_ISINSTANCE = re.compile(rf"\bisinstance\(\s*{_MARK}\s*,\s*([^)]+)")
_TYPE_FIRST = re.compile(rf"\b([A-Z]\w*)(?:<[^<>]*>)?(?:[&*\s]|\[\])+{_MARK}\s*[=;,)]")
_AFTER_TYPE = frozenset("&*] \t")
_ASSIGNED = re.compile(rf"{_MARK}\s*(?::[^=]*)?:?=(?!=)(.*)")
_LOOPED = re.compile(rf"\bfor\b[^=]*?{_MARK}.*?\b(?:in|of|range)\b(.*)")
_BOUND = re.compile(rf"({_VALUE})\s+as\s+{_MARK}")
_RETURNS = re.compile(r"(?:->|\)\s*:)\s*([^\n{]+)")
_FUNCTION_WORDS = ("def", "function", "func", "fn", "fun")


@dataclass(frozen=True, slots=True)
class Declared:
    """What is known of a name."""

    types: tuple[str, ...]
    """Names written where its type is written, the nearest to the text's end first."""
    values: tuple[Chain, ...]
    """Expressions that it was set to."""


def chain_at_end(text: str) -> tuple[Chain, str]:
    """Return what stands before the last dot, and the name begun after it.

    `print(self.client.get(1).na` gives `(("self", "client", "get()"), "na")`.
    """
    match = _AT_END.search(_collapsed(text[-MAX_LINE_CHARACTERS:]))
    if match is None:
        return (), ""
    return tuple(_PART.findall(match[1]))[-_MAX_CHAIN:], match[2] or ""


def declared(name: str, text: str) -> Declared:
    """Return how `text` declares a name.

    It reads `name: Type`, `Type name`, `isinstance(name, Type)`, `name = value`, `name := value`,
    `for name in values` and `with value as name`.

    Args:
        name: An identifier, or a chain such as `self.client`.
        text: Code; for a name in scope, the text before the cursor, for a field, the class's skeleton.
    """
    types: list[str] = []
    values: list[Chain] = []
    for line in _lines_with(name, text):
        found = _read(line)
        types += found.types
        values += found.values
    return Declared(tuple(dict.fromkeys(types)), tuple(dict.fromkeys(values)))


@lru_cache(maxsize=4_096)
def _read(line: str) -> Declared:
    """Return how one line declares the name that is marked in it; most lines are those of a keystroke ago."""
    has_values = "=" in line or "for" in line or "as" in line
    return Declared(tuple(_types(line)), tuple(_values(_collapsed(line))) if has_values else ())


def _lines_with(name: str, text: str) -> Iterator[str]:
    """Yield the last lines that hold a name, the last one first, with a mark in the name's place.

    Patterns that look for the mark are compiled once; patterns with the name in them would cost a compilation
    for each name, which is most of the time of a retrieval.
    """
    end = len(text)
    for _ in range(_MAX_LINES if name else 0):
        at = text.rfind(name, 0, end)
        if at < 0:
            return
        start, stop = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        line = text[start : stop if stop >= 0 else len(text)]
        if len(line) <= MAX_LINE_CHARACTERS and _MARK in (marked := _marked(name, line)):
            yield marked
        end = max(0, start - 1)
        if start == 0:
            return


def _marked(name: str, line: str) -> str:
    """Return a line with a mark for each use of `name` that is neither a part of a name nor after a dot."""
    pieces = line.split(name)
    marked = pieces[0]
    for piece in pieces[1:]:
        before, after = marked[-1:], piece[:1]
        is_part = before in {".", "_", _MARK} or before.isalnum() or after == "_" or after.isalnum()
        marked += (name if is_part else _MARK) + piece
    return marked


def returned(name: str, text: str) -> tuple[str, ...]:
    """Return the names in the return type of a function that `text` defines."""
    for word in _FUNCTION_WORDS:
        at = text.rfind(f"{word} {name}(")
        if at >= 0:
            header = "\n".join(text[at : at + 3_000].split("\n", MAX_HEADER_LINES)[:MAX_HEADER_LINES])
            return return_type(_collapsed(header).split("\n")[0])
    return ()


def return_type(signature: str) -> tuple[str, ...]:
    """Return the names in the return type of a header: after `->`, or after `):`."""
    match = _RETURNS.search(signature)
    return names_in(match[1]) if match else ()


def _types(line: str) -> Iterator[str]:
    # Most lines hold none of these; looking for a character costs a tenth of a pattern that fails.
    if ":" in line:
        for match in _ANNOTATED.finditer(line):
            yield from names_in(_first_type(match[1]))
    if "isinstance" in line:
        for match in _ISINSTANCE.finditer(line):
            yield from names_in(match[1])
    if line[line.find(_MARK) - 1 :][:1] in _AFTER_TYPE:
        for match in _TYPE_FIRST.finditer(line):
            yield from names_in(match[1])


def _first_type(annotation: str) -> str:
    """Return an annotation up to the comma or parenthesis that ends it, when others follow on the line."""
    depth = 0
    for at, character in enumerate(annotation):
        depth += (character in "[(<") - (character in "])>")
        if depth < 0 or (depth == 0 and character == ","):
            return annotation[:at]
    return annotation


def _values(line: str) -> Iterator[Chain]:
    if "=" in line and (match := _ASSIGNED.search(line)):
        yield from _chain_at_start(match[1])
    if "for" in line and (match := _LOOPED.search(line)):
        yield from _chain_at_start(match[1], "[]")
    if "as" in line and (match := _BOUND.search(line)):
        yield tuple(_PART.findall(match[1]))[:_MAX_CHAIN]


def _chain_at_start(text: str, suffix: str = "") -> Iterator[Chain]:
    match = _AT_START.match(text)
    if match is None:
        return
    parts = _PART.findall(match[1])[:_MAX_CHAIN]
    opened = {"(": "()", "{": "()", "[": "[]"}.get(match[2] or "", "")
    yield (*parts[:-1], parts[-1] + opened + suffix)


def _collapsed(text: str) -> str:
    """Return code with its strings emptied and each bracketed group reduced to its brackets."""
    text = _STRING.sub('""', text)
    for _ in range(_MAX_NESTING):
        shorter = _GROUP.sub(lambda match: _MARK_OF[match[0][0]], text)
        if shorter == text:
            break
        text = shorter
    return text.translate(_BRACKETS_OF)
