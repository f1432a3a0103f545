"""One repository's index, opened by its owner: written by one run at a time, asked while that goes on.

This file joins catalogue, vector store and embedder, and mends what is damaged. It does not know about
processes or connections.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Self, TypeVar

import numpy as np

from indexer.build import Vectors, build_index, update_files
from indexer.cached_reader import CachedReader
from indexer.catalogue import Catalogue, Changes
from indexer.embed import repair, vectors_name
from indexer.errors import DamagedStoreError, DiskSpaceError, LockedError, StoreError
from indexer.overlays import Overlays
from indexer.own_file import OwnFiles
from indexer.related import related
from indexer.report import VECTORS_TO_BE_MADE, IndexProgress, IndexStatus, IndexSummary
from indexer.repository import IndexFolder
from indexer.retrieve import retrieve, search
from indexer.schema import move_aside
from indexer.standing import Standing
from indexer.storage import checked_root
from indexer.types import Definition, Embedder, RelatedQuery, RetrievalQuery, RetrievalResult, Retrieved
from indexer.vectors import ChromaServer, VectorStore
from indexer.walk import could_be_indexed

_T = TypeVar("_T")

_SECONDS_BETWEEN_LOOKS = 0.2


class EmbedderSource:
    """Makes the embedder when it is first needed, and again after it could not be made."""

    def __init__(self, make: Callable[[], Embedder | None]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None

    def get(self) -> Embedder | str:
        """Return the embedder, or why there is none."""
        with self._lock:
            if self._embedder is None:
                try:
                    self._embedder = self._make()
                except Exception as error:  # noqa: BLE001 - anyone's, and the index works without it
                    return f"the embedder cannot be loaded: {error}"
            return self._embedder or "no model is installed under the name in the settings (`model.name`)"


class OpenIndex:
    """The index of one repository, owned by this process; its methods may be called from any thread."""

    def __init__(self, index: IndexFolder, embedders: EmbedderSource, server: ChromaServer | None) -> None:
        """Own the index and open its catalogue.

        Raises:
            LockedError: Another process owns it.
            StoreError: It cannot be opened or written.
            DiskSpaceError: The disk is full.
        """
        self.index = index
        self._embedders = embedders
        self._server = server
        self._write_lock = threading.Lock()  # one run at a time
        self._read_lock = threading.Lock()  # one question at a time on the reading connection
        self._own_files = OwnFiles()  # under the same lock
        self._standing = Standing()  # likewise
        self._overlays = Overlays()
        self._vectors_lock = threading.Lock()
        self._vectors: Vectors | None = None
        self._no_vectors = "they are being opened"
        self._are_vectors_repaired = False
        self._notes: list[str] = []
        self._stack = ExitStack()
        with self._stack:
            self._stack.enter_context(index.locked())
            self._open_catalogue()
            self._stack = self._stack.pop_all()

    def close(self) -> None:
        """Close everything and give the index up, when nobody uses it any more."""
        with self._write_lock, self._vectors_lock, self._read_lock:  # in the order of all other methods
            self._close_vectors()
            self._writer.close()
            self._reader.close()
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def build(
        self,
        *,
        on_progress: Callable[[IndexProgress], None],
        cancelled: Callable[[], bool],
        force: bool = False,
    ) -> IndexSummary:
        """Bring the index up to date; waits for a run in progress, and says so. See `build_index`.

        Raises:
            LockedError: It was cancelled while it waited.
        """
        root = checked_root(self.index.root)

        def run() -> IndexSummary:
            return build_index(
                root,
                catalogue=self._writer,
                open_vectors=self._repaired_vectors,
                on_progress=on_progress,
                cancelled=cancelled,
                force=force,
            )

        with self._turn(on_progress, cancelled):
            summary = self._mending(run)
            notes, self._notes = (*self._notes, *summary.notes), []
            return replace(summary, notes=notes, disk_bytes=self.index.disk_bytes())

    def update(self, paths: Collection[str]) -> Changes:
        """Bring the index up to date with a few files; waits for a run in progress. See `update_files`."""

        def run() -> Changes:
            return update_files(
                self.index.root, paths, catalogue=self._writer, open_vectors=self._repaired_vectors
            )

        with self._write_lock:
            return self._mending(run)

    def retrieve(self, query: RetrievalQuery) -> RetrievalResult:
        """Return what the cursor needs; goes without vectors until they are open."""
        with self._read_lock:
            vectors = self._vectors  # not closed while the lock is held
            self._refresh()
            result = retrieve(
                query,
                catalogue=self._cached,
                vectors=vectors.store if vectors else None,
                embedder=vectors.embedder if vectors else None,
                clock=time.perf_counter,
                own_files=self._own_files,
                overlays=self._overlays,
                standing=self._standing,
            )
        if vectors is None and "vector" in query.retrievers:
            return replace(result, unavailable={**result.unavailable, "vector": self._no_vectors})
        return result

    def overlay(self, path: str, text: str | None) -> None:
        """Take a buffer's text for its file's in retrieval; None gives the file back to the disk.

        A file that is not saved yet is as good as any, but none that would not be indexed.
        """
        if text is not None and not could_be_indexed(self.index.root, path, text.encode("utf-8", "replace")):
            text = None
        self._overlays.put(path, text)

    def related(self, query: RelatedQuery) -> tuple[Definition, ...]:
        """Return the definitions that an open file is likely to need soon; see `related`."""
        with self._read_lock:
            self._refresh()
            return related(query, catalogue=self._cached, own_files=self._own_files)

    def search(self, text: str, n: int) -> tuple[Retrieved, ...]:
        """Return the definitions that a text describes; opens the vectors first, if there are any."""
        self.open_vectors()
        with self._read_lock:
            vectors = self._vectors
            return search(
                text,
                n=n,
                catalogue=self._reader,
                vectors=vectors.store if vectors else None,
                embedder=vectors.embedder if vectors else None,
            )

    def status(self) -> IndexStatus:
        """Return what the index holds, and whether retrieval has vectors."""
        with self._read_lock:
            statistics = self._reader.statistics()
        return IndexStatus(
            root=str(self.index.root),
            folder=str(self.index.folder),
            exists=True,
            n_files=statistics.n_files,
            n_lines=statistics.n_lines,
            n_definitions=statistics.n_definitions,
            n_embedded=statistics.n_embedded,
            embedder=statistics.embedder,
            files_by_language=statistics.files_by_language,
            disk_bytes=self.index.disk_bytes(),
            is_indexing=self._write_lock.locked(),
            no_vectors=None if self._vectors else self._no_vectors,
        )

    def open_vectors(self) -> None:
        """Make vectors ready for retrieval, if the catalogue says that there are some; takes a second.

        Loads whatever the first query would load otherwise. Whatever fails is left to the next run.
        """
        with self._vectors_lock:
            if self._vectors is not None:
                return
            with self._read_lock:
                statistics = self._reader.statistics()
            embedder = self._embedders.get()
            if isinstance(embedder, str):
                self._no_vectors = embedder
            elif statistics.n_embedded == 0 or statistics.embedder != vectors_name(embedder):
                self._no_vectors = VECTORS_TO_BE_MADE
            else:
                with contextlib.suppress(StoreError, DiskSpaceError):  # opening writes a little
                    self._open_vectors(embedder)

    @contextlib.contextmanager
    def _turn(
        self, on_progress: Callable[[IndexProgress], None], cancelled: Callable[[], bool]
    ) -> Iterator[None]:
        """Be the one run for the length of the block."""
        if not self._write_lock.acquire(blocking=False):
            on_progress(IndexProgress("wait", 0, 0, 0.0, 0))
            while not self._write_lock.acquire(timeout=_SECONDS_BETWEEN_LOOKS):
                if cancelled():
                    raise LockedError(f"another run of {self.index.root} went on, and was not waited for")
        try:
            yield
        finally:
            self._write_lock.release()

    def _open_vectors(self, embedder: Embedder) -> Vectors:
        try:
            store = VectorStore.open(
                self._server or self.index.vectors_folder,
                collection=self.index.collection,
                embedder=vectors_name(embedder),
            )
            store.query(np.ones(embedder.n_dimensions, dtype=np.float32), 1)
        except StoreError as error:
            self._no_vectors = str(error)
            raise
        self._vectors = Vectors(store, embedder)
        return self._vectors

    def _repaired_vectors(self) -> Vectors | str:
        """Return the vectors in agreement with the catalogue, or why there are none; for the writer."""
        with self._vectors_lock:
            embedder = self._embedders.get()
            if isinstance(embedder, str):
                self._no_vectors = embedder
                return embedder
            vectors = self._vectors or self._open_vectors(embedder)
            if not self._are_vectors_repaired:
                repair(self._writer, vectors.store, embedder)
                self._are_vectors_repaired = True
            return vectors

    def _refresh(self) -> None:
        if self._cached.refresh():
            self._standing.forget()

    def _close_vectors(self) -> None:
        self._are_vectors_repaired = False
        if self._vectors is not None:
            self._vectors.store.close()
            self._vectors = None
            self._no_vectors = "they are being made anew"

    def _open_catalogue(self) -> None:
        self._writer = Catalogue.open(self.index.catalogue_file)
        self._reader = Catalogue.open(self.index.catalogue_file, read_only=True)
        self._cached = CachedReader(self._reader)  # its first refresh has all forgotten
        if self._writer.rebuilt_because:
            self._notes.append(f"the index was made anew: {self._writer.rebuilt_because}")

    def _mending(self, run: Callable[[], _T]) -> _T:
        """Return what `run` does; if it meets damage, make the damaged part anew and let it run once more."""
        try:
            return run()
        except DamagedStoreError as error:
            self._notes.append(f"the index was made anew: {error}")
            with self._vectors_lock, self._read_lock:
                if error.path == self.index.vectors_folder:
                    self._close_vectors()
                    VectorStore.destroy(self.index.vectors_folder)
                else:
                    self._writer.close()
                    self._reader.close()
                    move_aside(self.index.catalogue_file)
                    self._open_catalogue()
                    self._are_vectors_repaired = False
        return run()
