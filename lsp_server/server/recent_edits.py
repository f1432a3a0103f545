"""The lines that were edited last in all documents, as they stood after the edit: what a user is at.

Who adds a parameter to a function goes on to its callers in other files. Knows no positions of any client.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice
from typing import Final

__all__ = ["RecentEdits"]

_MOST_LINES: Final = 32
_MOST_OF_AN_EDIT: Final = 20
"""More lines at once are another version of the file that came from elsewhere."""
_LONGEST_LINE: Final = 400


class RecentEdits:
    """The last lines, the same line once."""

    def __init__(self) -> None:
        """Know of none."""
        self._lines: OrderedDict[tuple[str, int], str] = OrderedDict()  # edited last: last

    def note(self, uri: str, first: int, lines: Iterable[str]) -> None:
        """Remember lines of a document, from one on.

        Numbers are those of the time: lines that moved since may be there twice, and are as good as others.
        """
        edited = list(islice(lines, _MOST_OF_AN_EDIT + 1))
        if len(edited) > _MOST_OF_AN_EDIT:
            return
        for number, line in enumerate(edited, start=first):
            self._lines.pop((uri, number), None)
            if line.strip() and len(line) <= _LONGEST_LINE:
                self._lines[uri, number] = line
        while len(self._lines) > _MOST_LINES:
            self._lines.popitem(last=False)

    def of(self, uri: str) -> str:
        """Return a document's lines, in its order; empty if there are none."""
        numbered = sorted((number, line) for (one, number), line in self._lines.items() if one == uri)
        return "\n".join(line for _, line in numbered)

    def uris(self) -> tuple[str, ...]:
        """Return the documents that were edited, last first."""
        return tuple(dict.fromkeys(uri for uri, _ in reversed(self._lines)))
