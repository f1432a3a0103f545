"""Crosslight as a contender: once as users have it, with memories, and once with definitions concatenated.

What follows a suggestion is completed ahead, and memories are encoded ahead, by the product's own means, but
only in the pauses of the session: while another contender is timed, nothing of ours may run.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from latency.contenders import OpenedFile, Request, Timing, n_written

from indexer.types import Retrieved
from lsp_server.ahead import Ahead
from lsp_server.completer import Completer, CompletionRequest, RunningModel
from lsp_server.config import Settings
from lsp_server.feeding import Concatenated, Memories
from lsp_server.trace import CompletionTrace
from lsp_server.warmer import Warmer
from model.memory_bank import MemoryBank, Place
from model.memory_store import MemoryStore
from model.prompt import PromptDefinition, definition_ids, sink_ids
from model.types import Memory, TokenCodec

_ASK_AGAIN_S = 0.002

__all__ = ["CoolableStore", "OursConcatenated", "OursWithMemories"]


class OursConcatenated:
    """Crosslight with definitions in the prompt, as every other local completer has them."""

    name = "ours: concatenated"

    def __init__(self, model: RunningModel, settings: Settings) -> None:
        """Make a contender.

        Args:
            model: With room for the longest prompt that the settings allow; its decoder is not shared.
            settings: How much is read and written; deadlines hold here too.
        """
        self._codec = model.codec
        self._completer = Completer(model, settings, Concatenated())

    def open(self, file: OpenedFile) -> None:  # noqa: ARG002 - any file
        """See `Contender`: nothing can be read before there is a cursor."""
        self._completer.forget()

    def idle(self, pause_ms: float) -> None:
        """See `Contender`: nothing is done ahead."""

    def warm(self, definitions: Sequence[Retrieved], request: Request) -> None:
        """See `Contender`: definitions are read with the prompt that they stand in."""

    def complete(self, request: Request) -> Timing:
        """See `Contender`."""
        return _timing(self._codec, self._completer.complete(_completion_request(request)))


class OursWithMemories:
    """Crosslight with memories, and what users have around it: kept memories, and what works ahead."""

    name = "ours: memories"

    def __init__(self, model: RunningModel, bank: MemoryBank, settings: Settings) -> None:
        """Start the warmer.

        Args:
            model: With room for the longest prompt that the settings allow; its decoder is not shared.
            bank: The model's.
            settings: How much is read and written; deadlines hold here too.
        """
        self._codec = model.codec
        self._bank = bank
        self._definition_tokens = settings.retrieval.definition_tokens
        self._warmer = Warmer(bank, model.codec, self._definition_tokens)
        feeding = Memories(bank, self._definition_tokens, on_left_out=self._warmer.expect)
        self._completer = Completer(model, settings, feeding)
        self._ahead = Ahead(self._completer)
        self._shown: tuple[CompletionRequest, CompletionTrace] | None = None
        self._held = ExitStack()
        """While it holds the bank, the warmer waits."""
        self._held.enter_context(bank.foreground())

    def close(self) -> None:
        """End the warmer."""
        self._held.close()
        self._warmer.close()

    def open(self, file: OpenedFile) -> None:
        """See `Contender`: the warmer is told of the file, whose text stays unread: a cold file."""
        self._completer.forget()
        self._ahead.forget()
        self._shown = None
        self._warmer.open(file.path, file.repo_name, file.related)

    def idle(self, pause_ms: float) -> None:
        """See `Contender`: what follows the suggestion is completed, then the warmer may work."""
        self._held.close()
        ends = time.perf_counter() + pause_ms / 1e3
        if self._shown is not None:
            worker = threading.Thread(target=self._ahead.suggestion_shown, args=self._shown)
            worker.start()
            worker.join(pause_ms / 1e3)
            while worker.is_alive():  # it may be between two completions, which nothing cancels
                self._ahead.cancel()
                worker.join(_ASK_AGAIN_S)
        self._warmer.wait_until_idle(max(0.0, ends - time.perf_counter()))
        self._held.enter_context(self._bank.foreground())

    def warm(self, definitions: Sequence[Retrieved], request: Request) -> None:
        """See `Contender`: all are encoded, or read from the disk."""
        sink = sink_ids(self._codec, request.repo_name)
        ids = [
            definition_ids(
                self._codec,
                PromptDefinition(row.definition.path, row.definition.text),
                self._definition_tokens,
            )
            for row in definitions
        ]
        self._bank.recall(sink, ids, encode_ms=None)

    def complete(self, request: Request) -> Timing:
        """See `Contender`; a warmer that was at work is interrupted within the time."""
        self._held.close()
        ours = _completion_request(request)
        trace = self._ahead.complete(ours)
        self._held.enter_context(self._bank.foreground())
        self._shown = ours, trace
        return _timing(self._codec, trace)


class CoolableStore:
    """A store of memories that can be made as cold as a user may meet it."""

    def __init__(self, make: Callable[[Path], MemoryStore], folder: Path) -> None:
        """Begin with nothing.

        Args:
            make: Returns a store over a folder, with nothing in RAM.
            folder: Each time that nothing is to be kept, a new one is made in it.
        """
        self._make = make
        self._folder = folder
        self._n_folders = 0
        self._store = make(self._current())

    def cool(self, to: Literal["disk", "nothing"]) -> None:
        """Leave memories on the disk alone, without the system's copies of their files, or nowhere."""
        self._store.flush()
        self._store.close()
        if to == "nothing":
            self._n_folders += 1
        else:
            _drop_from_page_cache(self._current())
        self._store = self._make(self._current())

    def get(self, key: str) -> Memory | None:
        """See `memory_bank.Store`."""
        return self._store.get(key)

    def locate(self, key: str) -> Place | None:
        """See `memory_bank.Store`."""
        return self._store.locate(key)

    def put(self, memory: Memory) -> None:
        """See `memory_bank.Store`."""
        self._store.put(memory)

    def close(self) -> None:
        """See `memory_bank.Store`."""
        self._store.close()

    def _current(self) -> Path:
        return self._folder / str(self._n_folders)


def _drop_from_page_cache(folder: Path) -> None:
    """Have the next read of each file below a folder come from the disk (Linux)."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)  # only what was written can be dropped
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def _completion_request(request: Request) -> CompletionRequest:
    return CompletionRequest(
        repo_name=request.repo_name,
        path=request.path,
        language=request.language,
        prefix=request.prefix,
        suffix=request.suffix,
        multi_line=False,
        retrieve=request.retrieve,
        encode_ms=request.encode_ms,
    )


def _timing(codec: TokenCodec, trace: CompletionTrace) -> Timing:
    phases, segments = trace.phases_ms, trace.tokens.values()
    temperatures = {one.memory for one in trace.retrieved if one.memory}
    after_first_ms = phases["decode"] + phases["finish"]
    if after_first_ms >= phases["total"]:
        after_first_ms = 0.0  # foreseen: the phases were over before it was asked for
    return Timing(
        first_token_ms=phases["total"] - after_first_ms,
        line_ms=phases["total"],
        n_written=n_written(codec, trace.text),
        prompt_tokens=sum(part.computed + part.reused + part.copied for part in segments),
        computed_tokens=sum(part.computed for part in segments),
        definition_tokens=sum(one.n_tokens for one in trace.retrieved),
        text=trace.text,
        is_warm=temperatures == {"warm"} if temperatures else None,
    )
