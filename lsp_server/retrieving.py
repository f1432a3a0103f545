"""What a completion is given from the repository: asks the index, chooses, and remembers what was given.

Retrieval that fails or is late degrades to completing without, and says why. Knows neither the decoder nor
how definitions reach it; the policy is `choice.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass
from typing import Final, TypeVar

from indexer.errors import IndexerError
from indexer.types import RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.choice import Candidate, Choice, DefinitionKeeper, Place
from lsp_server.config import RetrievalSettings
from lsp_server.feeding import Fed, Feeding
from lsp_server.requests import CompletionRequest
from model.prompt import Prompt, PromptDefinition, definition_ids
from model.types import TokenCodec

__all__ = ["Decided", "DefinitionSource", "in_background"]

_ASKED_FOR: Final = 2
"""Times as many definitions are retrieved as there are places: spare ones, and those to encode ahead."""
_EXAMPLES: Final = 36
"""More that are retrieved: other uses of the same names, to draft from. The index finds them anyway."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decided:
    """What retrieval came to."""

    choice: Choice
    missed: tuple[Retrieved, ...] = ()
    """Of `choice.left_out`, those that there were places for."""
    notes: tuple[str, ...] = ()
    """Retrievers that were late or could not answer, with the reason."""
    examples: tuple[str, ...] = ()
    """The text of what was retrieved and not chosen, best first."""
    is_stopgap: bool = False
    """Whether the index failed or was late, so that asking again may come to something else."""


class DefinitionSource:
    """Where completions get their definitions from."""

    def __init__(self, codec: TokenCodec, feeding: Feeding, settings: RetrievalSettings) -> None:
        """Remember nothing yet.

        Args:
            codec: The model's; best one that keeps what it encoded.
            feeding: Knows which definitions are at hand.
            settings: How many definitions a completion is given, and by when.
        """
        self._codec = codec
        self._feeding = feeding
        self._settings = settings
        self._keeper = DefinitionKeeper()

    def forget(self) -> None:
        """Forget what was given."""
        self._keeper.forget()

    def doubt(self) -> None:
        """Give nothing again that the index does not return any more: it has changed."""
        self._keeper.doubt()

    def aside(self) -> DefinitionSource:
        """Return another one that remembers the same, and goes its own way from now on."""
        twin = copy(self)
        twin._keeper = copy(self._keeper)  # noqa: SLF001 - it is this very class
        return twin

    def given_to(self, request: CompletionRequest, window: Prompt) -> tuple[Retrieved, ...] | None:
        """Return what the cursor's line was given last, if all of it is at hand.

        Args:
            request: The cursor.
            window: Its prompt without definitions.

        Returns:
            None if the line was not completed just before, or if something has to be encoded again.
        """
        given = self._keeper.given_on(_place(request))
        if given is None or any(self._feeding.cost_ms(window.sink, self._ids(row)) for row in given):
            return None
        return given

    def decide(self, request: CompletionRequest, window: Prompt) -> Decided:
        """Ask the index, and choose; remembers nothing. For any thread, while nothing is kept.

        Args:
            request: The cursor.
            window: Its prompt without definitions.
        """
        settings = self._settings
        if request.retrieve is None or settings.definitions == 0:
            return Decided(Choice(()))
        query = RetrievalQuery(
            path=request.path,
            prefix=request.prefix,
            suffix=request.suffix,
            n=_ASKED_FOR * settings.definitions + _EXAMPLES,
            deadline_ms=settings.deadline_ms,
            visible_lines_before=window.n_lines_before,
            visible_lines_after=window.n_lines_after,
        )
        try:
            result = request.retrieve(query)
        except IndexerError as error:
            return Decided(Choice(()), notes=(f"completed without retrieval: {error}",), is_stopgap=True)
        n = settings.definitions
        rows = result.retrieved[: _ASKED_FOR * n]
        costs_ms = [self._feeding.cost_ms(window.sink, self._ids(row)) for row in rows]
        candidates = list(map(Candidate, rows, costs_ms))
        choice = self._keeper.choose(_place(request), candidates, n=n, encode_ms=request.encode_ms)
        missed = tuple(row for row in result.retrieved[:n] if row in choice.left_out)
        chosen = {row.definition.id for row in choice.rows}
        others = [row.definition for row in result.retrieved if row.definition.id not in chosen]
        examples = tuple(definition.text for definition in others)
        return Decided(choice, missed, _notes(result, settings.deadline_ms), examples)

    def keep(self, request: CompletionRequest, decided: Decided, prompt: Prompt, fed: Fed) -> None:
        """Remember what a completion was given, and have encoded behind it what was not at hand.

        Args:
            request: The cursor.
            decided: For it.
            prompt: With the definitions that were chosen.
            fed: How they reached the decoder.
        """
        rows = decided.choice.rows
        pairs = zip(prompt.definition_ranks, fed.temperatures, strict=True)
        late = {rank for rank, temperature in pairs if temperature == "left out"}
        given = [row for rank, row in enumerate(rows) if rank not in late]
        missing = [*(rows[rank] for rank in sorted(late)), *decided.choice.left_out]
        self._keeper.keep(_place(request), given, missing)
        self._feeding.leave(prompt.sink, [self._ids(row) for row in missing])

    def _ids(self, row: Retrieved) -> tuple[int, ...]:
        """Return a definition as the model reads it."""
        source = PromptDefinition(row.definition.path, row.definition.text)
        return definition_ids(self._codec, source, self._settings.definition_tokens)


def in_background(work: Callable[[], T]) -> Future[T]:
    """Return what `work` will have returned, or raised, in a thread of its own."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits for the result is told
            future.set_exception(error)

    threading.Thread(target=run, name="retrieval", daemon=True).start()
    return future


def _place(request: CompletionRequest) -> Place:
    before = request.prefix[request.prefix.rfind("\n") + 1 :]
    line = request.prefix.count("\n")
    return Place(request.repo_name, request.path, line, before, request.n_edits_elsewhere)


def _notes(result: RetrievalResult, deadline_ms: int) -> tuple[str, ...]:
    late = [f"{name}: left out, retrieval had taken {deadline_ms} ms already" for name in result.late]
    return (*late, *(f"{name}: {why}" for name, why in result.unavailable.items()))
