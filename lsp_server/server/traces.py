"""The traces of one editor's last completions, to be explained when somebody asks."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from lsp_server.trace import CompletionTrace

__all__ = ["Traces"]

_MOST_KEPT: Final = 8


class Traces:
    """The last completion, and the last few of which something may be shown."""

    def __init__(self) -> None:
        """Know of none."""
        self._last: CompletionTrace | None = None
        self._kept: OrderedDict[str, CompletionTrace] = OrderedDict()  # made or shown last: last
        self._shown_last = ""

    def note(self, trace: CompletionTrace, id_: str | None) -> None:
        """Remember a completion, under its suggestion's id if something of it may be shown."""
        self._last = trace
        if id_ is not None:
            self._kept[id_] = trace
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def shown(self, id_: str) -> None:
        """Note that a suggestion, or what is left of it, was shown; one that was superseded never is."""
        if id_ in self._kept:
            self._kept.move_to_end(id_)
            self._shown_last = id_

    def find(self, id_: str | None = None) -> CompletionTrace | None:
        """Return a suggestion's trace, None if it was made too long ago.

        Without an id that is the one that was shown last: behind an accepted suggestion editors ask at once
        for more, and nobody wants that explained. Where none was shown, the last completion.
        """
        if id_ is not None:
            return self._kept.get(id_)
        return self._kept.get(self._shown_last, self._last)
