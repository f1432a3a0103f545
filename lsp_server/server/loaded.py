"""The real model as a server asks it: a completer, and what encodes definitions ahead of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from indexer.types import Definition
from lsp_server.completer import Completer, CompletionRequest, RunningModel
from lsp_server.config import Settings
from lsp_server.feeding import Concatenated, Feeding, Memories
from lsp_server.trace import CompletionTrace
from lsp_server.warmer import Warmer
from model.errors import Cancelled

__all__ = ["LoadedModel"]


class LoadedModel:
    """A running model, its completer and its warmer; for one thread, but for `cancel`."""

    def __init__(self, model: RunningModel, settings: Settings) -> None:
        self._model = model
        self._warmer: Warmer | None = None
        feeding: Feeding = Concatenated()
        if model.bank is not None:
            tokens = settings.retrieval.definition_tokens
            self._warmer = Warmer(model.bank, model.codec, tokens)
            feeding = Memories(model.bank, tokens, self._warmer.expect)
        self._completer = Completer(model, settings, feeding)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def provider(self) -> str:
        """What it runs on."""
        return self._model.provider

    def complete(self, request: CompletionRequest) -> CompletionTrace:
        """Return the completion at a cursor.

        Raises:
            Cancelled: Another thread called `cancel`.
        """
        trace = self._completer.complete(request)
        if trace.stop_reason == "cancelled":
            raise Cancelled
        return trace

    def explain_last(self) -> CompletionTrace | None:
        """Return the last completion with the shares of its definitions, None before the first one."""
        return self._completer.explain_last()

    def expect(self, file: str, repo_name: str, related: Callable[[], Sequence[Definition]]) -> None:
        """Encode what a file that was opened is likely to need, while nobody completes."""
        if self._warmer is not None:
            self._warmer.open(file, repo_name, related)

    def forget(self) -> None:
        """Drop what is kept of the last completion; definitions that were encoded are kept by content."""
        self._completer.forget()

    def cancel(self) -> None:
        """End what runs in another thread; of no effect where nothing does."""
        self._completer.cancel()

    def close(self) -> None:
        """Write what waits to be written, and end the warmer."""
        if self._warmer is not None:
            self._warmer.close()
        self._model.close()
