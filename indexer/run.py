"""One indexing run, step by step: its input, what it does to the catalogue and the vectors, what it counts.

This file does not decide which steps a run takes, nor does it know who asks.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from indexer.catalogue import Catalogue, Changes, FileStamp
from indexer.embed import VectorWriter
from indexer.errors import DamagedStoreError, StoreError
from indexer.imports import RepoFiles, resolve_import
from indexer.js_aliases import read_js_aliases
from indexer.parse_pool import Outcome, ParsePool, Task
from indexer.report import IndexProgress, IndexSummary, Phase
from indexer.types import Embedder, Import
from indexer.vectors import VectorStore
from indexer.walk import LeftOut, WalkedFile, WalkOptions, WalkReport, walk

_MIN_FILES_TO_COMPACT = 500
_CONTENT_REASONS = frozenset(("too large", "binary", "generated", "secret", "too slow to parse"))
"""Reasons to leave a file out that hold until it changes."""
_SECONDS_BETWEEN_PROGRESS = 0.1


@dataclass(frozen=True, slots=True)
class Vectors:
    """Where vectors are kept, and what makes them."""

    store: VectorStore
    embedder: Embedder


class _NoVectorsError(Exception):
    """There is nothing to make vectors with, or nowhere to keep them."""


@dataclass(slots=True)
class IndexRun:
    """One run: its input, and what it counted so far."""

    root: Path
    catalogue: Catalogue
    open_vectors: Callable[[], Vectors | str]
    on_progress: Callable[[IndexProgress], None]
    cancelled: Callable[[], bool]
    options: WalkOptions
    report: WalkReport = field(default_factory=WalkReport)
    n_files_written: int = 0
    n_files_removed: int = 0
    changes: dict[str, list[str]] = field(
        default_factory=lambda: {kind: [] for kind in ("added", "changed", "moved", "removed")}
    )
    seconds: dict[Phase, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    writer: VectorWriter | str | None = None
    """None before it is needed, or why there is none."""
    known_left_out: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    last_progress: float = 0.0
    phase_began: float = 0.0

    def scan(self, *, force: bool) -> list[Task]:
        """Return the files to look at, and forget those that went."""
        tasks = []
        with self.timed("scan"):
            known = self.catalogue.files()
            self.known_left_out = self.catalogue.left_out()
            seen = set()
            for file in walk(self.root, self.options, self.report):
                seen.add(file.path)
                stamp = known.get(file.path)
                if not force and (reason := self.reason_known(file)) is not None:
                    self.report.add(reason, file.path)
                elif (
                    force or stamp is None or (stamp.size, stamp.mtime_ns) != (file.size_bytes, file.mtime_ns)
                ):
                    tasks.append(Task(file, stamp.content_hash if stamp and not force else None))
                if len(seen) % 256 == 0:
                    self.tell("scan", len(seen), len(seen))
                    if self.cancelled():
                        return []
            self.remove([path for path in known if path not in seen])
            self.catalogue.forget_left_out(self.known_left_out.keys() - seen)
        return tasks

    def reason_known(self, file: WalkedFile) -> LeftOut | None:
        """Return why a file was left out when it was last looked at, if it did not change since."""
        size, mtime_ns, reason = self.known_left_out.get(file.path, (-1, -1, ""))
        return cast("LeftOut", reason) if (size, mtime_ns) == (file.size_bytes, file.mtime_ns) else None

    def look_for(self, paths: frozenset[str]) -> list[Task]:
        """Return those of `paths` that may be indexed as files to look at, and forget those that went."""
        known = self.catalogue.files()
        self.known_left_out = self.catalogue.left_out()
        found = {path: file for path in paths & known.keys() if (file := _stat(self.root, path))}
        new = [path for path in paths - known.keys() if (self.root / path).is_file()]
        if new:
            found |= {
                file.path: file for file in walk(self.root, self.options, self.report) if file.path in new
            }
        self.remove([path for path in paths & known.keys() if path not in found])
        return [
            Task(file, known[path].content_hash if path in known else None) for path, file in found.items()
        ]

    def remove(self, paths: Collection[str]) -> None:
        """Forget files."""
        if paths:
            self.note_changes(self.catalogue.remove(paths))
            self.n_files_removed += len(paths)

    def parse(self, tasks: Collection[Task], n_processes: int) -> None:
        """Look at files and store what they hold, a transaction a batch.

        While children parse the next files, vectors are made of what is stored.
        """
        n_done = 0
        with self.timed("parse"), ParsePool(n_processes, self.options) as pool:
            for outcomes in pool.outcomes(tasks, self.cancelled):
                with self.catalogue.transaction():
                    self.store(outcomes)
                n_done += len(outcomes)
                self.tell("parse", n_done, len(tasks))
                if n_processes > 0:
                    with self.vectors_at_best():
                        self.made_writer().advance()

    def store(self, outcomes: Iterable[Outcome]) -> None:
        """Write what became of a batch of files."""
        for outcome in outcomes:
            file = outcome.file
            stamp = FileStamp(outcome.content_hash, file.size_bytes, file.mtime_ns)
            if outcome.left_out in _CONTENT_REASONS:
                self.note_changes(self.catalogue.leave_out(file.path, stamp, outcome.left_out))
            elif outcome.left_out is not None:
                self.note_changes(self.catalogue.remove([file.path]))
            elif outcome.parsed is None:
                self.catalogue.touch({file.path: stamp})
            else:
                self.note_changes(self.catalogue.apply(outcome.parsed, stamp))
                self.n_files_written += 1
            if outcome.left_out is not None and outcome.left_out != "gone":
                self.report.add(outcome.left_out, file.path)
            if file.path in self.known_left_out and outcome.left_out not in _CONTENT_REASONS:
                self.catalogue.forget_left_out([file.path])

    def link(self) -> None:
        """Resolve imports, unless the run was cancelled: with half of the files most would lead nowhere."""
        if self.cancelled() or self.catalogue.is_linked():
            return
        with self.timed("link"):
            paths = self.catalogue.paths()
            files = RepoFiles(paths, read_js_aliases(self.root, paths))

            def resolve(imported: Import, path: str, language: str) -> tuple[str, ...]:
                return resolve_import(imported, path=path, language=language, files=files)

            self.catalogue.link_imports(resolve)

    def embed(self) -> None:
        """Make the vectors that are missing."""
        if self.cancelled():
            return
        with self.timed("embed"), self.vectors_at_best():
            self.made_writer().finish(
                on_progress=lambda n_done, n_total: self.tell("embed", n_done, n_total),
                cancelled=self.cancelled,
            )
        if isinstance(self.writer, str):
            self.notes.append(self.writer)

    def made_writer(self) -> VectorWriter:
        """Return what makes vectors; ends `vectors_at_best` where there is none."""
        if self.writer is None:
            vectors = self.open_vectors()
            if isinstance(vectors, str):
                self.writer = f"no vectors: {vectors}"
            else:
                self.writer = VectorWriter(self.catalogue, vectors.store, vectors.embedder)
        if isinstance(self.writer, str):
            raise _NoVectorsError
        return self.writer

    @contextmanager
    def vectors_at_best(self) -> Iterator[None]:
        """Go on without vectors where they cannot be had: all else that retrieval needs is there."""
        try:
            yield
        except _NoVectorsError:
            return
        except DamagedStoreError:
            raise
        except StoreError as error:  # a server that is down
            self.close()
            self.writer = f"vectors are missing: {error}"

    def close(self) -> None:
        """End the thread that embeds."""
        if isinstance(self.writer, VectorWriter):
            self.writer.close()

    def compact(self) -> None:
        """Tidy up after many writes."""
        if self.n_files_written >= _MIN_FILES_TO_COMPACT and not self.cancelled():
            with self.timed("compact"):
                self.catalogue.compact()

    def summary(self) -> IndexSummary:
        """Return what the index holds now, and what this run did."""
        statistics = self.catalogue.statistics()
        left_out = {str(reason): n for reason, n in self.report.counts.most_common()}
        examples = {str(reason): tuple(self.report.examples[reason]) for reason in self.report.counts}
        return IndexSummary(
            root=str(self.root),
            is_complete=not self.cancelled(),
            n_files=statistics.n_files,
            n_lines=statistics.n_lines,
            n_definitions=statistics.n_definitions,
            n_embedded=statistics.n_embedded,
            embedder=statistics.embedder,
            files_by_language=statistics.files_by_language,
            left_out=left_out,
            left_out_examples=examples,
            n_files_written=self.n_files_written,
            n_files_unchanged=max(0, statistics.n_files - self.n_files_written),
            n_files_removed=self.n_files_removed,
            n_definitions_added=len(self.changes["added"]),
            n_definitions_changed=len(self.changes["changed"]),
            n_definitions_moved=len(self.changes["moved"]),
            n_definitions_removed=len(self.changes["removed"]),
            seconds={str(phase): round(seconds, 3) for phase, seconds in self.seconds.items()},
            disk_bytes=0,
            notes=tuple(self.notes),
        )

    def note_changes(self, changes: Changes) -> None:
        """Add to what was changed so far."""
        for kind, ids in self.changes.items():
            ids.extend(getattr(changes, kind))

    def tell(self, phase: Phase, n_done: int, n_total: int) -> None:
        """Report progress, unless the last report is very recent."""
        now = time.monotonic()
        if now - self.last_progress < _SECONDS_BETWEEN_PROGRESS and n_done < n_total:
            return
        self.last_progress = now
        elapsed = now - self.phase_began
        n_definitions = len(self.changes["added"]) + len(self.changes["changed"])
        self.on_progress(IndexProgress(phase, n_done, n_total, n_done / max(elapsed, 1e-3), n_definitions))

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        """Take the time of a phase."""
        self.phase_began = time.monotonic()
        self.last_progress = 0.0
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - self.phase_began


def _stat(root: Path, path: str) -> WalkedFile | None:
    """Return a file that was indexed before, if it is still a file, and no link leads to it."""
    absolute = root / path
    try:
        status = absolute.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or absolute.parent.resolve() != absolute.parent:
        return None
    return WalkedFile(path, str(absolute), status.st_size, status.st_mtime_ns)
