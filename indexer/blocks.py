"""Which block a cursor stands in: what opened it, and whether it is closed below.

Answers come from lexemes and indentation, so that they hold in code that does not parse.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from indexer.lexemes import CLOSERS, Lexeme, indentation

__all__ = [
    "Bracket",
    "Opener",
    "Reading",
    "Shape",
    "closes",
    "indentation_unit",
    "is_only_closers",
    "next_line",
    "read",
    "shape_of",
    "split_rest",
]

Shape = Literal["indented", "braced", "worded"]
"""How a language delimits blocks: by indentation, by braces, by words such as `end`."""

_BRACED = frozenset(
    {"javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp", "csharp", "php"},
)
_WORDED = frozenset({"ruby", "bash"})

_PYTHON_OPENERS = frozenset(
    b"def class if elif else for while with try except finally async match case".split()
)
_RESETTING = frozenset(b"def class return import while try raise with".split())
"""Words that begin a line of Python only outside of brackets: a bracket still open there was forgotten."""
_RUBY_OPENERS = frozenset(
    b"def class module if unless while until case for begin else elsif when rescue ensure".split()
)
_TYPE_WORDS = frozenset(
    b"class interface struct impl trait enum namespace module extends implements union record".split()
)
_NO_BLOCK = frozenset(b"import use export from".split())
_RUBY_LAST = frozenset(b"do then {".split())
_BASH_LAST = frozenset(b"then do else { in".split())
_USUAL_STEPS = (2, 4, 8)
_USUAL_UNITS = {"go": b"\t", **dict.fromkeys(("javascript", "typescript", "tsx", "ruby"), b"  ")}
"""One step of indentation in most code of a language; four spaces in the others'."""
_CLOSING_WORDS = {
    "ruby": re.compile(rb"(?:end|else|elsif|when|in|rescue|ensure)\b|\}"),
    "bash": re.compile(rb"(?:fi|done|esac|else|elif)\b|;;|\}"),
}
_CLOSING_BRACE = re.compile(rb"\}")
_CLOSERS_ONLY = re.compile(rb"[)\]}\"'`:;, \t\r]*\Z")


@dataclass(frozen=True, slots=True)
class Bracket:
    """An opening bracket that is not closed."""

    text: bytes
    line: int


@dataclass(frozen=True, slots=True)
class Opener:
    """A line that opens a block, right before the cursor."""

    indentation: int
    """Of the line on which its statement starts, in columns."""
    margin: bytes
    """That line's white space."""
    is_type: bool
    """Whether the block is the body of a class or the like, whose members are definitions."""
    line: int
    """On which it ends."""
    end_line: int
    """On which the docstring below it ends, if there is one that is closed; else the same line."""
    body_margin: bytes | None
    """The white space before that docstring, which is the body's; None without one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a stretch of source before a cursor says about it."""

    brackets: tuple[Bracket, ...]
    """Still open, innermost last."""
    opener: Opener | None
    """Given if nothing but comments, or a docstring, stands between it and the cursor."""
    in_type: bool
    """Whether the innermost brace around the cursor belongs to a class or the like."""


def shape_of(language: str | None) -> Shape:
    """Return how a language delimits blocks; by indentation if it is not known."""
    if language in _BRACED:
        return "braced"
    return "worded" if language in _WORDED else "indented"


def read(language: str | None, source: bytes, found: Sequence[Lexeme]) -> Reading:
    """Read the lexemes of `source`, all of which stand before the cursor."""
    return _Reader(language, source, found).reading()


def closes(language: str | None, line: bytes) -> bool:
    """Return whether a line begins with what ends a block: `}`, `end`, `fi`, or a sibling clause's word."""
    pattern = _CLOSING_WORDS.get(language or "", _CLOSING_BRACE)
    return shape_of(language) != "indented" and bool(pattern.match(line.lstrip()))


def split_rest(suffix: bytes) -> tuple[bytes, bytes]:
    """Split a suffix into the rest of the cursor's line, without white space at its end, and what follows."""
    rest, _, below = suffix.partition(b"\n")
    return rest.rstrip(), below


def is_only_closers(rest: bytes) -> bool:
    """Return whether a rest of line holds only what editors insert by themselves."""
    return bool(_CLOSERS_ONLY.match(rest))


def next_line(below: bytes) -> bytes:
    """Return the first line of `below` that is not blank; empty if there is none."""
    match = re.compile(rb"^[ \t]*\S[^\n]*", re.MULTILINE).search(below)
    return match[0] if match else b""


def indentation_unit(source: bytes, language: str | None = None) -> bytes:
    """Return one step of a file's indentation: a tab, or the most frequent step in spaces.

    Where the file shows none it is what most code of the language has.
    """
    lines = [line for line in source.split(b"\n") if line.strip()]
    n_tabs = sum(line.startswith(b"\t") for line in lines)
    if n_tabs > sum(line.startswith(b"  ") for line in lines):
        return b"\t"
    columns = [indentation(line) for line in lines]
    steps = Counter(below - above for above, below in pairwise(columns) if below - above in _USUAL_STEPS)
    return b" " * steps.most_common(1)[0][0] if steps else _USUAL_UNITS.get(language or "", b" " * 4)


class _Reader:
    """One reading, lexeme by lexeme.

    A line's anchor is the line on which its statement starts: `):` at the end of a parameter list of several
    lines belongs to the line of the `def`.
    """

    def __init__(self, language: str | None, source: bytes, found: Sequence[Lexeme]) -> None:
        self._language = language
        self._shape = shape_of(language)
        self._lines = source.split(b"\n")
        self._code = [lexeme for lexeme in found if lexeme.kind != "comment"]
        self._brackets: list[Bracket] = []
        self._anchors: dict[int, int] = {}
        for number, line in enumerate(self._lines):
            if line.endswith(b"\\"):
                self._anchors[number + 1] = self._anchor(number)
        self._first_of: dict[int, bytes] = {}
        self._type_lines: set[int] = set()

    def reading(self) -> Reading:
        for lexeme in self._code:
            is_first = lexeme.line not in self._first_of
            self._first_of.setdefault(lexeme.line, lexeme.text)
            if lexeme.kind == "code":
                self._read(lexeme, is_first=is_first)
        braces = [bracket.line for bracket in self._brackets if bracket.text == b"{"]
        return Reading(
            brackets=tuple(self._brackets),
            opener=self._opener(),
            in_type=bool(braces) and self._is_type(braces[-1]),
        )

    def _read(self, lexeme: Lexeme, *, is_first: bool) -> None:
        if is_first and self._language == "python" and lexeme.text in _RESETTING:
            self._brackets.clear()
        if lexeme.text in _TYPE_WORDS:
            self._type_lines.add(lexeme.line)
        # The closing bracket of a case's pattern in bash has no opening one.
        if self._language == "bash" and lexeme.text in b"()[]":
            return
        if lexeme.text in CLOSERS.values():
            self._brackets.append(Bracket(lexeme.text, lexeme.line))
        elif lexeme.text in CLOSERS:
            self._close(lexeme)

    def _close(self, lexeme: Lexeme) -> None:
        """Close the nearest bracket of the kind; those inside of it were forgotten."""
        for index in range(len(self._brackets) - 1, -1, -1):
            if self._brackets[index].text == CLOSERS[lexeme.text]:
                opened = self._brackets[index].line
                self._anchors[lexeme.line] = min(self._anchor(lexeme.line), self._anchor(opened))
                del self._brackets[index:]
                return

    def _anchor(self, line: int) -> int:
        return self._anchors.get(line, line)

    def _is_type(self, line: int) -> bool:
        return any(one in self._type_lines for one in range(self._anchor(line), line + 1))

    def _opener(self) -> Opener | None:
        code = self._code
        docstring = None
        if self._language == "python" and len(code) > 1 and code[-1].kind == "string":
            code, docstring = code[:-1], code[-1]  # no body; any other string does not follow a colon
        if not code or code[-1].kind == "string":
            return None
        last, before = code[-1], code[-2].text if len(code) > 1 else b""
        if not self._opens(last, before) or (docstring and docstring.line == last.line):
            return None
        line = self._lines[self._anchor(last.line)]
        is_closed = docstring is not None and _is_closed(docstring.text)
        return Opener(
            indentation=indentation(line),
            margin=_margin(line),
            is_type=self._is_type(last.line),
            line=last.line,
            end_line=docstring.end_line if docstring and is_closed else last.line,
            body_margin=_margin(self._lines[docstring.line]) if docstring and is_closed else None,
        )

    def _opens(self, last: Lexeme, before: bytes) -> bool:
        """Whether the last lexeme before the cursor, on its line, opens a block."""
        first = self._first_of[self._anchor(last.line)]
        if self._shape == "braced":
            return last.text == b"{" and first not in {b"import", b"use"} and before not in _NO_BLOCK
        if self._language == "bash":
            return last.text in _BASH_LAST
        if self._language == "ruby":
            line_is_over = last.line < len(self._lines) - 1
            header = line_is_over and first in _RUBY_OPENERS and last.text != b"end"
            return header or last.text in _RUBY_LAST or (last.text == b"|" and before != b"=")
        if self._language != "python":
            return last.text in {b":", b"{"}
        in_bracket = any(bracket.line >= self._anchor(last.line) for bracket in self._brackets)
        return last.text == b":" and first in _PYTHON_OPENERS and not in_bracket


def _margin(line: bytes) -> bytes:
    """The white space at a line's start."""
    return line[: len(line) - len(line.lstrip())]


def _is_closed(string: bytes) -> bool:
    """Whether a string of Python ends with the quotes that it begins with."""
    text = string.lstrip(b"rRuUbBfF")
    quotes = text[:3] if text.startswith((b'"""', b"'''")) else text[:1]
    return len(text) >= 2 * len(quotes) and text.endswith(quotes)
