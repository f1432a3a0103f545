"""The traces of one editor's last completions, to be explained when somebody asks."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from lsp_server.trace import CompletionTrace

__all__ = ["Traces"]

_MOST_SHOWN: Final = 8


class Traces:
    """The last completion, and the last few that were shown."""

    def __init__(self) -> None:
        """Know of none."""
        self._last: CompletionTrace | None = None
        self._shown: OrderedDict[str, CompletionTrace] = OrderedDict()  # shown last: last

    def note(self, trace: CompletionTrace, id_: str | None) -> None:
        """Remember a completion, under its suggestion's id if something of it is shown."""
        self._last = trace
        if id_ is not None:
            self._shown[id_] = trace
            if len(self._shown) > _MOST_SHOWN:
                self._shown.popitem(last=False)

    def shown_again(self, id_: str) -> None:
        """Note that what is left of a suggestion was shown."""
        if id_ in self._shown:
            self._shown.move_to_end(id_)

    def find(self, id_: str | None = None) -> CompletionTrace | None:
        """Return a suggestion's trace, None if it was shown too long ago.

        Without an id that is the one that was shown last: behind an accepted suggestion editors ask at once
        for more, and nobody wants that explained. Where none was shown, the last completion.
        """
        if id_ is not None:
            return self._shown.get(id_)
        return next(reversed(self._shown.values()), self._last)
