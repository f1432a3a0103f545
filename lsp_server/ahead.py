"""Works ahead of the user while nobody waits, and hands over what was foreseen.

A server asks here instead of the completer, in the thread that completes, and calls, when nothing else is to
be done,

- `suggestion_shown` after it showed a suggestion: what follows its acceptance is completed, and what follows
  that and Enter, so that a request for exactly such a text is answered at once;
- `cursor_rests` when the cursor entered a line, and when the user pauses: the prompt is read, definitions are
  encoded, and the frame is cut anew where that will pay.

Both take as long as a completion, and end within a node of the graph when another thread begins to complete
or calls `cancel`: whoever has only one thread calls that, and then completes in it. Whether any of this is
done at all, on battery say, is the caller's choice. Knows neither editors nor when it is their turn.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from indexer.at_cursor import AtCursor
from indexer.syntax import block_opening
from lsp_server.completer import Completer, CompletionRequest, Foreseen
from lsp_server.trace import CompletionTrace

__all__ = ["Ahead", "after_acceptance", "after_enter"]

_MOST_KEPT: Final = 4
"""What follows two suggestions. Each holds its file's text and the memories that it attended to, which can be
50 MB that the store has let go of."""

_Key = tuple[str, str, str | None, bool | None, int, str, str]


class Ahead:
    """A completer, and what was foreseen with it; for one thread, but for `cancel`."""

    def __init__(self, completer: Completer) -> None:
        """Foresee nothing yet."""
        self._completer = completer
        self._foreseen: OrderedDict[_Key, Foreseen] = OrderedDict()

    def complete(self, request: CompletionRequest) -> CompletionTrace:
        """Return the completion at a cursor: the foreseen one if there is, else see `Completer.complete`.

        One that was foreseen says what it would have taken in the phases but the total.
        """
        started = time.perf_counter()
        foreseen = self._foreseen.pop(_key(request), None)
        if foreseen is None:
            return self._completer.complete(request)
        trace = self._completer.adopt(request, foreseen)
        total_ms = (time.perf_counter() - started) * 1e3
        return replace(trace, phases_ms={**trace.phases_ms, "total": total_ms}, is_foreseen=True)

    def suggestion_shown(self, request: CompletionRequest, trace: CompletionTrace) -> bool:
        """Foresee what follows the acceptance of a suggestion, and of that and Enter.

        Args:
            request: It was made for this one.
            trace: With the suggestion as it was shown.

        Returns:
            Whether all of it was foreseen; not if something more urgent came, or the index failed.
        """
        if not trace.text:
            return True
        accepted = after_acceptance(request, trace)
        return self._foresee(accepted) and self._foresee(after_enter(accepted))

    def cursor_rests(self, request: CompletionRequest) -> bool:
        """Read what a completion at a cursor will read: see `Completer.prepare`."""
        return self._completer.prepare(request)

    def cancel(self) -> None:
        """End whatever is in progress, from any thread: see `Completer.cancel`."""
        self._completer.cancel()

    def forget(self) -> None:
        """Foresee nothing any more: to be called when definitions that may have been used have changed."""
        self._foreseen.clear()

    def _foresee(self, request: CompletionRequest) -> bool:
        key = _key(request)
        if key in self._foreseen:
            return True
        foreseen = self._completer.foresee(replace(request, encode_ms=None, enough_ms=None))
        if foreseen is None or foreseen.trace.is_stopgap:
            return False  # one without the index would be kept when there is one again
        self._foreseen[key] = foreseen
        if len(self._foreseen) > _MOST_KEPT:
            self._foreseen.popitem(last=False)
        return True


def after_acceptance(request: CompletionRequest, trace: CompletionTrace) -> CompletionRequest:
    """Return the request at the end of a suggestion that was accepted."""
    return replace(request, prefix=request.prefix + trace.text, suffix=request.suffix[trace.replaces :])


def after_enter(request: CompletionRequest) -> CompletionRequest:
    """Return the request on the line that Enter opens below the cursor's, indented as editors do it."""
    opening = block_opening(AtCursor(request.language, request.prefix, request.suffix))
    line = request.prefix.rpartition("\n")[2]
    if not opening.startswith("\n"):
        opening = "\n" + line[: len(line) - len(line.lstrip())]
    if request.prefix.endswith("\r\n" + line):
        opening = "\r" + opening
    return replace(request, prefix=request.prefix + opening)


def _key(request: CompletionRequest) -> _Key:
    """What two requests have in common that have the same answer."""
    return (
        request.repo_name,
        request.path,
        request.language,
        request.multi_line,
        request.n_edits_elsewhere,
        request.prefix,
        request.suffix,
    )
