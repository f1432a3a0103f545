"""A document's text as its editor has it: incremental edits, positions in the editor's own units.

The text is kept as a list of lines, each with its line end, so that a position finds its place without an
index, and an edit costs the lines that it touches. Only CR LF, LF and CR end a line, as the protocol says
(LSP 3.18, Text Documents); a form feed or U+2028 is text. Knows neither URIs nor what the text is for.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Encoding", "Position", "TextBuffer", "n_units"]

Encoding = Literal["utf-8", "utf-16", "utf-32"]
"""In what the characters of a position are counted."""

_LAST_BASIC = "\uffff"
"""Characters above it take two units of UTF-16."""
_SURROGATE = re.compile("[\ud800-\udfff]")
"""JSON can say half a character; nothing that reads the text could encode it."""
_END = "\r\n"


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two characters, counted from 0."""

    line: int
    character: int
    """In units of the buffer's encoding."""


class TextBuffer:
    """One document's text; a position that lies outside of it means the nearest place inside."""

    def __init__(self, text: str, encoding: Encoding = "utf-16") -> None:
        self.encoding = encoding
        self._lines: list[str] = _split(_well_formed(text))
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The whole text."""
        if self._text is None:
            self._text = "".join(self._lines)
        return self._text

    @property
    def n_lines(self) -> int:
        """One more than there are line ends."""
        return len(self._lines)

    def replace_all(self, text: str) -> None:
        """Forget the text and take another one."""
        self._lines = _split(_well_formed(text))
        self._text = None

    def replace(self, start: Position, end: Position, text: str) -> None:
        """Put `text` in the place of what lies between two positions.

        An end that comes before the start counts as the start.
        """
        first, column = self.locate(start)
        last, end_column = max(self.locate(end), (first, column))
        head, tail = self._lines[first][:column], self._lines[last][end_column:]
        self._put(first, last + 1, head + _well_formed(text) + tail)

    def split(self, position: Position) -> tuple[str, str]:
        """Return the text before and after a position."""
        line, column = self.locate(position)
        here = self._lines[line]
        before = "".join(self._lines[:line]) + here[:column]
        return before, self.text[len(before) :]

    def line(self, number: int) -> str:
        """Return a line without its end; empty for one that is not there."""
        return self._lines[number].rstrip(_END) if 0 <= number < len(self._lines) else ""

    def locate(self, position: Position) -> tuple[int, int]:
        """Return a position as line and column in characters, at most the line's end."""
        if position.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        if position.line < 0:
            return 0, 0
        return position.line, _column(
            self._lines[position.line].rstrip(_END), position.character, self.encoding
        )

    def position(self, line: int, column: int) -> Position:
        """Return the position of a column in characters; what `locate` was given, within the text."""
        return Position(line, n_units(self.line(line)[:column], self.encoding))

    def _put(self, first: int, end: int, text: str) -> None:
        """Replace whole lines; a CR and an LF that come to stand side by side are one line end."""
        if text.startswith("\n") and first > 0 and self._lines[first - 1].endswith("\r"):
            first -= 1
            text = self._lines[first] + text
        lines = _split(text)
        if not lines[-1] and end < len(self._lines):
            lines.pop()  # the next line goes on where this text ends
        self._lines[first:end] = lines
        self._text = None


def n_units(text: str, encoding: Encoding) -> int:
    """Return how long a text is in units of an encoding."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode())
    return len(text) + sum(character > _LAST_BASIC for character in text)


def _column(line: str, character: int, encoding: Encoding) -> int:
    """Return how many characters of a line lie before a position in it; what cuts one begins before it."""
    reached = line[: max(0, character)]
    if encoding == "utf-32" or reached.isascii():
        return len(reached)
    if encoding == "utf-8":
        return len(reached.encode()[:character].decode(errors="ignore"))
    if max(reached) <= _LAST_BASIC:
        return len(reached)
    units = 0
    for column, one in enumerate(reached):
        units += 2 if one > _LAST_BASIC else 1
        if units > character:
            return column
    return len(reached)


def _split(text: str) -> list[str]:
    """Return lines with their ends; the last one has none, and may be empty."""
    lines = io.StringIO(text, newline="").readlines()
    if not lines or lines[-1].endswith(("\n", "\r")):
        lines.append("")
    return lines


def _well_formed(text: str) -> str:
    """Return a text with U+FFFD for each half of a character, which is as long in UTF-16 and in UTF-8."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
