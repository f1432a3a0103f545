"""What a server asks of a loaded model; `loaded.LoadedModel` is the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from indexer.types import Definition
from lsp_server.requests import CompletionRequest
from lsp_server.trace import CompletionTrace

__all__ = ["CompletingModel"]


class CompletingModel(Protocol):
    """A loaded model and all that is kept beside it; used by one thread, but for `cancel`."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def provider(self) -> str:
        """What it runs on."""
        ...

    def complete(self, request: CompletionRequest) -> CompletionTrace:
        """Return the completion at a cursor.

        Raises:
            Cancelled: Another thread called `cancel`.
        """
        ...

    def work_ahead(self, request: CompletionRequest, shown: CompletionTrace | None) -> None:
        """Compute what the user may ask for next, given what was shown for the last request, if anything.

        Ends early when another thread calls `cancel`.
        """
        ...

    def definitions_changed(self) -> None:
        """Drop what was made of definitions ahead of the user."""
        ...

    def explain(self, trace: CompletionTrace) -> CompletionTrace | None:
        """Return one of the last completions with the shares of its definitions, None if it is forgotten."""
        ...

    def expect(self, file: str, repo_name: str, related: Callable[[], Sequence[Definition]]) -> None:
        """Prepare for completions in a file that was opened, while nobody completes."""
        ...

    def forget(self) -> None:
        """Drop whatever is kept of completions and definitions, on the disk too."""
        ...

    def cancel(self) -> None:
        """End what runs in another thread; of no effect where nothing does."""
        ...

    def close(self) -> None:
        """Write what waits to be written, and end every thread."""
        ...
