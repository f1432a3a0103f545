"""Where documents' frames begin and end: kept over keystrokes, finished lines and visits elsewhere.

The frame is what the decoder reads of the file before the live segment. It is computed from its first token
on, so what it costs is what follows the first difference to one that was computed before. Hence:

- while the user writes on below it, finished lines stay in the live segment, up to a number;
- a place that was left is cut as it was before, so that all of it is at hand;
- where a frame has to be cut anew, at the cursor's line, it begins where an earlier one did that shows much
  of the same text, so that the text above the cursor, or above an edit, is not computed again;
- closing brackets that an editor puts on a line of their own are no change of what follows the cursor.

Knows text alone, and where an earlier frame began or ended may be wrong for any other one: that costs time,
never a token of the prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from indexer.affixes import n_common_at_start
from model.postprocess import split_closers

__all__ = ["Cut", "Document", "FrameKeeper"]

_MOST_LIVE_CHARACTERS: Final = 1_600
_MOST_LIVE_LINES: Final = (24, 8)
"""While somebody waits, and while nobody does: then a frame may be cut anew for free."""
_FEWEST_CHARACTERS: Final = (1_000, 1_800)
"""That a frame shows which begins where an earlier one did, in the same two cases: a quarter of a prompt, and
half of one. Fewer would save time, and cost what the model knows."""
_FEWEST_IN_COMMON: Final = 400
"""Characters, for which a frame begins where an earlier one did."""
_MOST_VISIBLE_AFTER: Final = 1_600
"""Characters after the cursor: text further down is hardly ever in a prompt."""
_CLOSING_LINE: Final = re.compile(r"\r?\n[ \t]*[)\]}]+[;,]?[ \t]*(?=\r?\n)")
_MOST_KEPT: Final = 12
_HEAD_CHARACTERS: Final = 120
"""By which the beginning of an earlier frame is found again."""

Document = tuple[str, str]
"""What tells documents apart."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of the text before the cursor is the frame's: whole lines."""

    start: int | None
    """Characters that it leaves out; None: as many lines as there is room for are shown."""
    end: int
    """Characters up to its end."""
    n_hidden: int
    """Characters after the cursor that it leaves out: closing brackets and the like."""


@dataclass(frozen=True, slots=True)
class _Frame:
    document: Document
    above: str
    """What it shows of the text before the cursor."""
    after: str
    """What can be visible after the cursor."""
    is_from_top: bool
    """Whether nothing is left out."""


class FrameKeeper:
    """The frames of the places that were completed last."""

    def __init__(self) -> None:
        self._frames: tuple[_Frame, ...] = ()  # the last one last

    def forget(self) -> None:
        """Cut all frames anew."""
        self._frames = ()

    def cut(self, document: Document, prefix: str, suffix: str, *, is_idle: bool = False) -> Cut:
        """Return where a frame is to begin and end.

        Args:
            document: What tells documents apart.
            prefix: Text before the cursor; the whole file's.
            suffix: Text after it.
            is_idle: Nobody waits: rather a frame that is good for long than one that is at hand.
        """
        line_start = prefix.rfind("\n") + 1
        n_closers = len(split_closers(suffix)[0])
        n_hidden = (n_closers,) if is_idle else (n_closers, n_closers + _n_closing_line(suffix[n_closers:]))
        frames = [frame for frame in self._frames if frame.document == document]
        kept = []
        for frame in reversed(frames):
            n = next((n for n in n_hidden if suffix[n : n + _MOST_VISIBLE_AFTER] == frame.after), None)
            start = _found(frame, prefix, line_start, _MOST_LIVE_LINES[is_idle])
            if n is not None and start is not None:
                kept.append(Cut(start, start + len(frame.above), n))
        if kept:  # what is nearest is what was here; the last one of equals
            return max(kept, key=lambda cut: cut.end)
        return Cut(_start(frames, prefix, line_start, _FEWEST_CHARACTERS[is_idle]), line_start, n_closers)

    def keep(self, document: Document, prefix: str, suffix: str, cut: Cut) -> None:
        """Remember a frame that was computed, and where it really begins."""
        start = cut.start or 0
        after = suffix[cut.n_hidden :][:_MOST_VISIBLE_AFTER]
        frame = _Frame(document, prefix[start : cut.end], after, start == 0)
        others = tuple(one for one in self._frames if one != frame)
        self._frames = (*others, frame)[-_MOST_KEPT:]


def _n_closing_line(after: str) -> int:
    """The length of the line that a text begins with behind its line break, if it only closes brackets."""
    match = _CLOSING_LINE.match(after)
    return match.end() if match else 0


def _found(frame: _Frame, prefix: str, line_start: int, most_lines: int) -> int | None:
    """Return where a frame's text begins in a prefix, not far above its last line; None if it does not."""
    above = frame.above
    if frame.is_from_top:
        start = 0 if prefix.startswith(above) else -1
    else:
        start = prefix.rfind(above, max(0, line_start - _MOST_LIVE_CHARACTERS - len(above)), line_start)
    if start < 0 or (start and prefix[start - 1] != "\n"):
        return None
    n_left = line_start - start - len(above)
    is_near = 0 <= n_left <= _MOST_LIVE_CHARACTERS
    return start if is_near and prefix.count("\n", start + len(above), line_start) <= most_lines else None


def _start(frames: list[_Frame], prefix: str, line_start: int, fewest: int) -> int | None:
    """Return where a frame that ends at a line is to begin, to have much in common with an earlier one."""
    best, best_common = None, _FEWEST_IN_COMMON - 1
    for frame in reversed(frames):
        start = 0 if frame.is_from_top else prefix.rfind(frame.above[:_HEAD_CHARACTERS], 0, line_start)
        is_line = start == 0 or (start > 0 and prefix[start - 1] == "\n")
        if not is_line or (start and line_start - start < fewest):
            continue
        n_common = n_common_at_start(prefix[start:line_start], frame.above)
        if n_common > best_common:
            best, best_common = start, n_common
    return best
