"""Markdown, reStructuredText and plain text, cut into sections by their headings.

Headings are found by text alone: a heading's section reaches to the next heading, and a long section is cut
at empty lines. This file does not know how a section is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MAX_SECTION_LINES = 60
_MAX_HEADING_CHARS = 120
_ATX_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+:.<>_])\1{2,}[ \t]*$")
_SETEXT_UNDERLINE = re.compile(r" {0,3}([=-])\1{2,}[ \t]*$")


@dataclass(frozen=True, slots=True)
class Section:
    """Lines of a document under one heading."""

    title: str
    trail: tuple[str, ...]
    """The titles of the headings above it, outermost first, and its own."""
    start_line: int
    end_line: int
    """The first line after it."""


def sections(language: str, lines: Sequence[str], fallback_title: str) -> Iterator[Section]:
    """Yield the sections of a document in order; they do not overlap, and empty ones are left out.

    Args:
        language: `markdown`, `rst` or `text`.
        lines: The document's lines.
        fallback_title: The title of what stands before the first heading.
    """
    headings = list(_markdown_headings(lines) if language == "markdown" else _underlined_headings(lines))
    trail: list[tuple[int, str]] = []
    starts = [(0, 0, fallback_title), *headings]
    for index, (start, level, title) in enumerate(starts):
        end = starts[index + 1][0] if index + 1 < len(starts) else len(lines)
        while trail and trail[-1][0] >= level:
            trail.pop()
        if level:
            trail.append((level, title))
        titles = tuple(name for _, name in trail) or (title,)
        for part_start, part_end in _parts(lines, start, end):
            yield Section(title, titles, part_start, part_end)


def _markdown_headings(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield (line, level, title), outside of fenced code."""
    fence = ""
    for row, line in enumerate(lines):
        if match := _FENCE.match(line):
            if not fence:
                fence = match[1]
            elif match[1].startswith(fence):
                fence = ""
        elif fence:
            continue
        elif match := _ATX_HEADING.match(line):
            yield row, len(match[1]), _title(_without_closing_marks(match[2] or ""))
        elif row and (match := _SETEXT_UNDERLINE.match(line)) and _is_title(lines, row - 1):
            yield row - 1, 1 if match[1] == "=" else 2, _title(lines[row - 1])


def _underlined_headings(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield (line, level, title); a style of underline gets its level when it is first met."""
    levels: dict[tuple[str, bool], int] = {}
    for row in range(1, len(lines)):
        match = _UNDERLINE.match(lines[row])
        if match is None or not _is_title(lines, row - 1):
            continue
        if len(lines[row].rstrip()) < len(lines[row - 1].rstrip()):
            continue
        overlined = row >= 2 and lines[row - 2].rstrip() == lines[row].rstrip()
        level = levels.setdefault((match[1], overlined), len(levels) + 1)
        yield row - 1 - overlined, level, _title(lines[row - 1])


def _is_title(lines: Sequence[str], row: int) -> bool:
    line = lines[row].strip()
    above_is_free = row == 0 or not lines[row - 1].strip() or _UNDERLINE.match(lines[row - 1]) is not None
    return bool(line) and len(line) <= _MAX_HEADING_CHARS and above_is_free and not _UNDERLINE.match(line)


def _without_closing_marks(title: str) -> str:
    """Return an ATX heading's text without the `#` that may close it, which a space must precede."""
    title = title.strip()
    bare = title.rstrip("#")
    return bare if not bare or bare[-1] in " \t" else title


def _title(text: str) -> str:
    return text.strip()[:_MAX_HEADING_CHARS] or "untitled"


def _parts(lines: Sequence[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a range at empty lines so that no part is much longer than it should be; trim empty lines."""
    while start < end:
        while start < end and not lines[start].strip():
            start += 1
        stop = min(end, start + _MAX_SECTION_LINES)
        if stop < end:
            # At the last empty line of the second half, or else anywhere.
            gaps = (row for row in range(stop, start + _MAX_SECTION_LINES // 2, -1) if not lines[row].strip())
            stop = next(gaps, stop)
        last = stop
        while last > start and not lines[last - 1].strip():
            last -= 1
        if last > start:
            yield start, last
        start = stop
