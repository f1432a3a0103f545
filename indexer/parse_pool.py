"""Reads and parses files in child processes, so that indexing uses all cores and survives what a file may do.

A file may crash a parser, or keep it busy for very long; that costs the child, and this one file.

A child is this very interpreter running `serve` between its standard input and output. It ends when its
input does, so none outlives its parent, however the parent dies. This file does not know the catalogue.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, Literal, Self

from indexer.languages import TooSlowError
from indexer.parse import parse_file
from indexer.source import hash_of
from indexer.types import ParsedFile
from indexer.walk import LeftOut, WalkedFile, WalkOptions, WalkReport, read_source

BATCH_FILES = 24
"""Small enough that a cancelled run ends soon, large enough that passing it costs nothing."""

_MAX_FILE_S = 20.0
"""Of a child's processor time for one file, should it hang where the parser's own limit does not reach."""

_CHILD_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from indexer.parse_pool import serve; serve()"
)


@dataclass(frozen=True, slots=True)
class Task:
    """A file to look at, and the hash of what the catalogue knows of it."""

    file: WalkedFile
    known_hash: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: parsed, or unchanged (neither parsed nor left out), or left out."""

    file: WalkedFile
    content_hash: str = ""
    parsed: ParsedFile | None = None
    left_out: LeftOut | Literal["gone"] | None = None


def look_at(task: Task, options: WalkOptions) -> Outcome:
    """Read one file, and parse it unless it holds what the catalogue knows."""
    report = WalkReport()
    source = read_source(task.file, report, options)
    if source is None:
        return Outcome(task.file, left_out=next(iter(report.counts), "gone"))
    content_hash = hash_of(source)
    if content_hash == task.known_hash:
        return Outcome(task.file, content_hash)
    try:
        parsed = parse_file(task.file.path, source)
    except TooSlowError:
        return Outcome(task.file, content_hash, left_out="too slow to parse")
    except Exception:  # noqa: BLE001 - one odd file must not cost the index of all others; it is reported
        return Outcome(task.file, content_hash, left_out="crashed the parser")
    return Outcome(task.file, content_hash, parsed)


_OUT_OF_TIME = None if sys.platform == "win32" else -signal.SIGPROF
"""The exit status of a child whose timer ran out: nobody handles that signal."""


class ParsePool:
    """Child processes that look at files; with none, the caller's thread does it."""

    def __init__(self, n_processes: int, options: WalkOptions, *, max_file_s: float = _MAX_FILE_S) -> None:
        self._options = options
        self._max_file_s = max_file_s
        self._children: SimpleQueue[_Child] = SimpleQueue()
        self._n = n_processes
        for _ in range(n_processes):
            self._children.put(_Child())
        self._threads = ThreadPoolExecutor(max(1, n_processes), thread_name_prefix="parse")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for _ in range(self._n):
            self._children.get().close()

    def outcomes(self, tasks: Iterable[Task], cancelled: Callable[[], bool]) -> Iterator[list[Outcome]]:
        """Yield what became of the files, a batch at a time and in order, until `cancelled` says so.

        No more than a few batches are ahead of the caller.
        """
        pending: deque[Future[list[Outcome]]] = deque()
        for batch in _batches(tasks):
            if cancelled():
                break
            if self._n == 0:
                yield [look_at(task, self._options) for task in batch]
                continue
            pending.append(self._threads.submit(self._ask, batch))
            while len(pending) > 2 * self._n:
                yield pending.popleft().result()
        while pending and not cancelled():
            yield pending.popleft().result()

    def _ask(self, batch: Sequence[Task]) -> list[Outcome]:
        child = self._children.get()
        try:
            answer = child.ask(batch, self._options, self._max_file_s)
            if isinstance(answer, list):
                return answer
            child = _Child()
        finally:
            self._children.put(child)
        if len(batch) == 1:
            return [Outcome(batch[0].file, left_out=answer)]
        return [outcome for task in batch for outcome in self._ask([task])]


class _Child:
    """One child process, started by the first question."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, batch: Sequence[Task], options: WalkOptions, max_file_s: float) -> list[Outcome] | LeftOut:
        """Return what became of the files, or how the child died over them."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CHILD_PROGRAM, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        try:
            _send(_pipe(self._process.stdin), (batch, options, max_file_s))
            outcomes: list[Outcome] = pickle.load(_pipe(self._process.stdout))  # noqa: S301 - our own child
        except (EOFError, OSError, pickle.UnpicklingError):
            return "too slow to parse" if self.close() == _OUT_OF_TIME else "crashed the parser"
        return outcomes

    def close(self) -> int | None:
        """End the process, wait until it has, and return its exit status if it was started."""
        if self._process is None:
            return None
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()
        self._process.kill()  # it may be in the middle of a batch that nobody waits for
        return self._process.wait()


def serve() -> None:
    """Answer batches on standard output as they come on standard input, until that ends."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints must not mix with the answers
    while True:
        try:
            batch, options, max_file_s = pickle.load(requests)  # noqa: S301 - our own parent
        except EOFError:
            return
        try:
            _send(answers, [_look_in_time(task, options, max_file_s) for task in batch])
        except BrokenPipeError:
            return


def _look_in_time(task: Task, options: WalkOptions, max_s: float) -> Outcome:
    """Look at one file; the system ends the process when that takes too long, wherever it hangs."""
    if sys.platform == "win32":
        return look_at(task, options)
    signal.setitimer(signal.ITIMER_PROF, max_s)
    outcome = look_at(task, options)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return outcome


def _send(stream: IO[bytes], value: object) -> None:
    pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - made with PIPE
    return stream


def _batches(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    batch: list[Task] = []
    for task in tasks:
        batch.append(task)
        if len(batch) == BATCH_FILES:
            yield batch
            batch = []
    if batch:
        yield batch
