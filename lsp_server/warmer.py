"""Encodes definitions ahead of the completions that will want them, in a thread of its own.

What a completion had to leave out comes first, then what the open files are likely to need, the file opened
last before the others. It stops at once when a completion begins (`MemoryBank.prepare`). Knows neither
editors nor how an index is reached.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from indexer.errors import IndexerError
from indexer.types import Definition
from model.background import tell
from model.memory_bank import MemoryBank
from model.prompt import PromptDefinition, definition_ids, sink_ids
from model.types import TokenCodec

__all__ = ["MOST_RELATED", "Warmer"]

MOST_RELATED: Final = 64
"""Definitions of one open file: at 120 tokens each three quarters of the memories that fit in RAM."""
_MOST_LEFT_OUT: Final = 64

Job = tuple[tuple[int, ...], tuple[int, ...]]
"""Sink and definition, as token ids."""


@dataclass(slots=True, eq=False)
class _OpenFile:
    repo_name: str
    related: Callable[[], Sequence[Definition]]
    pending: Iterator[Definition] | None = None
    """What is still to be encoded; None until the index was asked."""


class Warmer:
    """A thread that encodes memories while nobody completes."""

    def __init__(self, bank: MemoryBank, codec: TokenCodec, definition_tokens: int) -> None:
        """Start the thread, which waits for something to do.

        Args:
            bank: Encodes and keeps.
            codec: The model's tokenizer.
            definition_tokens: Of each definition at most, as in completions: others would be other memories.
        """
        self._bank = bank
        self._codec = codec
        self._definition_tokens = definition_tokens
        self._changed = threading.Condition()
        self._left_out: deque[Job] = deque(maxlen=_MOST_LEFT_OUT)
        self._files: OrderedDict[str, _OpenFile] = OrderedDict()  # opened last: last
        self._is_idle = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="warmer", daemon=True)
        self._thread.start()

    def expect(self, sink: tuple[int, ...], definitions: Sequence[tuple[int, ...]]) -> None:
        """Encode soon what a completion went without, before all else.

        Args:
            sink: The repository's, as token ids.
            definitions: Token ids of each, best first.
        """
        with self._changed:
            self._left_out.extendleft((sink, ids) for ids in reversed(definitions))
            self._changed.notify_all()

    def open(self, file: str, repo_name: str, related: Callable[[], Sequence[Definition]]) -> None:
        """Encode what an open file is likely to need, as soon as nothing else is to be done.

        Args:
            file: What tells files apart; opened again, it is asked about again.
            repo_name: As in the completions of the file.
            related: Asks the index, likeliest first; called in the warmer's thread. Where it fails, the file
                goes without.
        """
        with self._changed:
            self._files[file] = _OpenFile(repo_name, related)
            self._files.move_to_end(file)
            self._changed.notify_all()

    def wait_until_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until all is encoded; return whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._is_idle and not self._left_out and not self._files, timeout_s
            )

    def close(self) -> None:
        """End the thread, in the middle of whatever it encodes; a completion that runs is left alone."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._bank.cancel_preparing()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                self._is_idle = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stop.is_set() or self._left_out or self._files)
                self._is_idle = False
                job = self._left_out.popleft() if self._left_out else None
                key = next(reversed(self._files)) if job is None and self._files else None
                file = self._files[key] if key is not None else None
            try:
                if file is not None:
                    job = self._next_of(file)
                if job is not None:
                    self._bank.prepare(*job, stop=self._stop)
            except Exception as error:  # noqa: BLE001 - it costs what was to be encoded, not all that follows
                tell(error)

    def _next_of(self, file: _OpenFile) -> Job | None:
        """Return what of a file is to be encoded next, None if that is all."""
        definition = self._next_definition(file)
        if definition is None:
            self._finish(file)
            return None
        source = PromptDefinition(definition.path, definition.text)
        ids = definition_ids(self._codec, source, self._definition_tokens)
        return sink_ids(self._codec, file.repo_name), ids

    def _next_definition(self, file: _OpenFile) -> Definition | None:
        if file.pending is None:
            file.pending = iter(())  # asked once, whatever comes of it
            with contextlib.suppress(IndexerError):
                file.pending = iter(file.related())
        return next(file.pending, None)

    def _finish(self, file: _OpenFile) -> None:
        with self._changed:
            for key in [key for key, one in self._files.items() if one is file]:  # opened again: another one
                del self._files[key]
