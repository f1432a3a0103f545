"""The real model as a server asks it: a completer, what it does ahead of the user, and its warmer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from indexer.types import Definition
from lsp_server.ahead import Ahead
from lsp_server.completer import Completer, RunningModel
from lsp_server.config import Settings
from lsp_server.feeding import Concatenated, Feeding, Memories
from lsp_server.power import PowerWatch
from lsp_server.requests import CompletionRequest
from lsp_server.trace import CompletionTrace
from lsp_server.warmer import Warmer
from model.errors import Cancelled

__all__ = ["LoadedModel"]


class LoadedModel:
    """A running model, its completer and its warmer; for one thread, but for `cancel`."""

    def __init__(self, model: RunningModel, settings: Settings) -> None:
        self._model = model
        self._power = PowerWatch(settings.completion.ahead)
        self._warmer: Warmer | None = None
        feeding: Feeding = Concatenated()
        if model.bank is not None:
            tokens = settings.retrieval.definition_tokens
            self._warmer = Warmer(model.bank, model.codec, tokens)
            feeding = Memories(model.bank, tokens, self._warmer.expect)
        self._completer = Completer(model, settings, feeding)
        self._ahead = Ahead(self._completer)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def provider(self) -> str:
        """What it runs on."""
        return self._model.provider

    def complete(self, request: CompletionRequest) -> CompletionTrace:
        """Return the completion at a cursor, the foreseen one if there is.

        Raises:
            Cancelled: Another thread called `cancel`.
        """
        trace = self._ahead.complete(request)
        if trace.stop_reason == "cancelled":
            raise Cancelled
        return trace

    def work_ahead(self, request: CompletionRequest, shown: CompletionTrace | None) -> None:
        """Compute what the user may ask for next, as far as the power supply allows.

        Args:
            request: The last one.
            shown: Its completion, if that was shown.
        """
        if not self._power.may_work_ahead():
            return
        if shown is None or self._ahead.suggestion_shown(request, shown):
            self._ahead.cursor_rests(request)

    def explain(self, trace: CompletionTrace) -> CompletionTrace | None:
        """Return one of the last completions with the shares of its definitions, None if it is forgotten."""
        return self._completer.explain(trace)

    def expect(self, file: str, repo_name: str, related: Callable[[], Sequence[Definition]]) -> None:
        """Encode what a file that was opened is likely to need, while nobody completes."""
        if self._warmer is not None and self._power.may_work_ahead():
            self._warmer.open(file, repo_name, related)

    def definitions_changed(self) -> None:
        """Foresee nothing any more that was made of what an index held before, nor give any of it again."""
        self._ahead.forget()
        self._completer.definitions_changed()

    def forget(self) -> None:
        """Drop what is kept of the last completions, and what definitions were encoded, on the disk too."""
        self._ahead.forget()
        self._completer.forget()
        self._model.forget_memories()

    def cancel(self) -> None:
        """End what runs in another thread; of no effect where nothing does."""
        self._ahead.cancel()

    def close(self) -> None:
        """Write what waits to be written, and end the warmer."""
        if self._warmer is not None:
            self._warmer.close()
        self._model.close()
