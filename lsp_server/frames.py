"""Where a document's frame ends: kept over keystrokes and finished lines, so that it is not computed anew.

The frame is what the decoder reads of the file before the live segment. While the user goes on writing below
it, finished lines stay in the live segment, which grows; only when it has grown long, or the text changed
elsewhere, is the frame cut again. Knows text alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from model.postprocess import split_closers

__all__ = ["FrameKeeper"]

_MOST_LIVE_LINES: Final = 24
_MOST_LIVE_CHARACTERS: Final = 1_600
"""Some 400 tokens: a changed set of memories computes the live segment anew."""


@dataclass(frozen=True, slots=True)
class _Frame:
    document: tuple[str, str]
    before: str
    after: str


class FrameKeeper:
    """The frame of the document that was completed last."""

    def __init__(self) -> None:
        self._frame: _Frame | None = None

    def forget(self) -> None:
        """Cut the frame anew next time."""
        self._frame = None

    def n_characters(self, document: tuple[str, str], prefix: str, suffix: str) -> int:
        """Return how many characters of the prefix belong to the frame: whole lines.

        Args:
            document: What tells documents apart.
            prefix: Text before the cursor; the whole file's.
            suffix: Text after it.
        """
        line_start = prefix.rfind("\n") + 1
        after = split_closers(suffix)[1]
        frame = self._frame
        if frame is not None and frame.document == document and frame.after == after:
            n_kept = len(frame.before)
            is_short = 0 <= line_start - n_kept <= _MOST_LIVE_CHARACTERS
            is_short = is_short and prefix.count("\n", n_kept) <= _MOST_LIVE_LINES
            if is_short and prefix.startswith(frame.before):
                return n_kept
        self._frame = _Frame(document, prefix[:line_start], after)
        return line_start
