"""Has the index and the model work at the same time, so that a keystroke waits for neither.

With the definitions that the line had before, which are most often those that it will have, the model begins
at once. If the index knows better, that is ended in the middle of a pass and done anew; if all is written and
the index is late, that is it. On a new line the model reads what it will have to read anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

from indexer.types import Retrieved
from lsp_server.choice import Choice
from lsp_server.phases import PhaseClock
from lsp_server.requests import CompletionRequest
from lsp_server.retrieving import Decided, DefinitionSource, in_background
from lsp_server.writing import Window, Writer, Written
from model.turns import Awaiting

__all__ = ["Overlap"]

_PATIENCE_MS: Final = 500
"""How long somebody who types waits for an index that has said nothing about the line yet: one that is being
made, say. Of new lines meanwhile so many had their definitions within 100, 300, 500 and 1,000 ms: 53, 97, 97,
97 %, and on a machine with four times as much to do as it can 50, 71, 86, 93 %. Whoever waits for all
definitions to be encoded waits for the index as well."""


class Overlap:
    """An index and a model that work for one completion at a time."""

    def __init__(self, writer: Writer, awaiting: Awaiting, deadline_ms: int) -> None:
        """Join them.

        Args:
            writer: Whoever calls has its model in turn.
            awaiting: Waits in that turn.
            deadline_ms: After which what is written does not wait for the index any more.
        """
        self._writer = writer
        self._awaiting = awaiting
        self._deadline_ms = deadline_ms

    def write(
        self, request: CompletionRequest, window: Window, definitions: DefinitionSource, clock: PhaseClock
    ) -> tuple[Decided, Written]:
        """Return what was decided on, and what the model wrote with it.

        Args:
            request: The cursor.
            window: What is seen of its file.
            definitions: Asks the index; nothing is kept in it meanwhile.
            clock: Of the completion; counts what is waited for beyond the model's work as `retrieval`.

        Raises:
            Cancelled: The turn was.
        """
        given = definitions.given_to(request, window.prompt)
        trial = self._writer.trial()

        def decide() -> Decided:
            decided = definitions.decide(request, window.prompt)
            if given is not None and decided.choice.rows != given:
                trial.end()
            return decided

        with clock.phase("retrieval"):
            asked = in_background(decide)
            try:
                if given is None:
                    n_held = self._writer.read_ahead(window, lambda: not asked.done())
                    written, decided = None, self._first_decided(asked, request)
                else:
                    written = self._writer.write(
                        window,
                        given,
                        encode_ms=0.0,
                        enough_ms=request.enough_ms,
                        cancelled=trial.is_over,
                    )
                    n_held = written.n_reused
                    if "left out" in written.fed.temperatures:
                        written = None  # what seemed to be at hand was damaged
                    decided = (
                        self._first_decided(asked, request)
                        if written is None
                        else self._decided(asked, request, given, clock.phases_ms()["total"])
                    )
            finally:
                trial.close()
        self._writer.note_examples((*decided.examples, *request.recent_edits))
        if written is not None and not trial.is_over():
            clock.take(written.elapsed_ms, out_of="retrieval")
            return decided, written
        written = self._writer.write(
            window, decided.choice.rows, encode_ms=request.encode_ms, enough_ms=request.enough_ms
        )
        clock.add(written.elapsed_ms)
        return decided, replace(written, n_reused=min(n_held, written.n_reused))

    def _first_decided(self, asked: Future[Decided], request: CompletionRequest) -> Decided:
        """Return what the index came to, or that the line goes without."""
        patience_ms = max(_PATIENCE_MS, self._deadline_ms)
        try:
            return self._awaiting.result(asked, None if request.encode_ms is None else patience_ms / 1e3)
        except TimeoutError:
            why = f"completed without retrieval: the index had not answered after {patience_ms} ms"
            return Decided(Choice(()), notes=(why,), is_stopgap=True)

    def _decided(
        self,
        asked: Future[Decided],
        request: CompletionRequest,
        given: Sequence[Retrieved],
        elapsed_ms: float,
    ) -> Decided:
        """Return what the index came to, or that the line keeps what it had."""
        left_s = max(0.0, self._deadline_ms - elapsed_ms) / 1e3
        try:
            return self._awaiting.result(asked, None if request.encode_ms is None else left_s)
        except TimeoutError:
            why = f"the index had not answered after {self._deadline_ms} ms: the line kept its definitions"
            return Decided(Choice(tuple(given)), notes=(why,), is_stopgap=True)
