"""A file's own indentation and line breaks, found in its text and applied to generated lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["FileStyle"]

_INDENTATION = re.compile(r"[ \t]*")
_USUAL_WIDTHS = (2, 4, 8)
_TABBED = frozenset({"go"})
_FEWEST_STEPS = 2
"""Steps into a deeper line that must be seen before a width is believed."""


@dataclass(frozen=True, slots=True)
class FileStyle:
    """How a file indents and ends its lines."""

    tabs: bool
    width: int | None
    """Columns of one step in spaces; None where the text shows too few steps to tell."""
    line_break: str

    @classmethod
    def of(cls, prefix: str, suffix: str, language: str | None = None) -> FileStyle:
        """Return the style of the text around a cursor; of its language where no line is indented."""
        text = prefix + suffix
        n_crlf = text.count("\r\n")
        lines = [line for line in text.splitlines() if line.strip()]
        n_tabs = sum(line.startswith("\t") for line in lines)
        n_spaces = sum(line.startswith("  ") for line in lines)
        return cls(
            tabs=n_tabs > n_spaces or (n_tabs == n_spaces == 0 and language in _TABBED),
            width=_width(lines),
            line_break="\r\n" if n_crlf > text.count("\n") - n_crlf else "\n",
        )

    def apply(self, text: str, *, line: str, keep_end: bool) -> str:
        """Return `text` with this style, without white space at the ends of its lines.

        Args:
            text: Generated after the cursor, with line feeds.
            line: The cursor's line up to the cursor; a first line of the text is indented only if this is
                empty.
            keep_end: Whether something follows the text on its last line; its end is left as it is then.
        """
        first, *others = text.split("\n")
        base = len(_indentation(line))
        lines = [first, *self._indented(others, base)]
        if not line:
            lines[0] = self._indented([first], 0)[0]
        last = lines[-1]
        lines = [one.rstrip() for one in lines]
        if keep_end:
            lines[-1] = last
            return self.line_break.join(lines)
        return self.line_break.join(lines).rstrip()

    def _indented(self, lines: list[str], base: int) -> list[str]:
        step = _step(lines, base)
        return [self._indentation(line, step) + line.lstrip(" \t") for line in lines]

    def _indentation(self, line: str, step: int) -> str:
        found = _indentation(line)
        if self.tabs:
            if " " not in found:
                return found
            # Leading tabs are the file's own; spaces after them are steps, and what is left aligns.
            n_tabs, spaces = found.count("\t"), found.count(" ")
            return "\t" * (n_tabs + spaces // step) + " " * (spaces % step)
        return found.replace("\t", " " * (self.width or 4))


def _indentation(line: str) -> str:
    match = _INDENTATION.match(line)
    return match[0] if match else ""


def _width(lines: Iterable[str]) -> int | None:
    """The most frequent step from a line that ends in `:` or `{` or alike to a deeper one."""
    steps: Counter[int] = Counter()
    for above, below in pairwise(lines):
        step = len(_indentation(below)) - len(_indentation(above))
        if step > 0 and "\t" not in _indentation(below) and above.rstrip().endswith((":", "{", "do", "then")):
            steps[step] += 1
    if not steps:
        return None
    width, n = steps.most_common(1)[0]
    return width if n >= _FEWEST_STEPS and width in _USUAL_WIDTHS else None


def _step(lines: Iterable[str], base: int) -> int:
    """The width of one step in generated lines: 2, 4 or 8, if all deeper lines are whole steps, else 4."""
    extras = [
        len(indentation) - base
        for line in lines
        if line.strip() and len(indentation := _indentation(line).replace("\t", "")) > base
    ]
    smallest = min(extras, default=4)
    whole = smallest in _USUAL_WIDTHS and all(extra % smallest == 0 for extra in extras)
    return smallest if whole else 4
