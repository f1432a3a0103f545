"""Brings a repository's index up to date with its files.

A run looks for files that changed (by size and time, then by hash), parses those, writes what differs, and
makes the vectors that are missing. It can end after any batch, by a kill as well: what is written stays, and
the next run does the rest. This file does not know who asks, nor in which process it runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

from indexer.catalogue import Catalogue, Changes
from indexer.report import IndexProgress, IndexSummary
from indexer.run import IndexRun, Vectors
from indexer.walk import WalkOptions

__all__ = ["Vectors", "build_index", "update_files"]

_MIN_FILES_FOR_POOL = 48
"""Fewer are parsed before the first child process is up."""


def build_index(  # noqa: PLR0913 - each is a choice of the owner's
    root: Path,
    *,
    catalogue: Catalogue,
    open_vectors: Callable[[], Vectors | str],
    on_progress: Callable[[IndexProgress], None],
    cancelled: Callable[[], bool],
    force: bool = False,
    n_processes: int | None = None,
    options: WalkOptions | None = None,
) -> IndexSummary:
    """Index the repository at `root`, or what changed in it since the last run.

    Args:
        root: The repository's folder.
        catalogue: Written to; its owner holds the index's lock.
        open_vectors: Gives the vector store and the embedder, already in agreement with the catalogue, or
            says why there are none; the index is then built without vectors.
        on_progress: Called some ten times a second.
        cancelled: Asked between batches.
        force: Parse every file, changed or not.
        n_processes: How many child processes parse; by default one a core but the first, four at most.
        options: What the walk leaves out.

    Raises:
        RootError: `root` is missing, not a folder, or not readable.
        StoreError: The index cannot be written.
        DiskSpaceError: The disk is full.
    """
    run = IndexRun(root, catalogue, open_vectors, on_progress, cancelled, options or WalkOptions())
    with closing(run):
        tasks = run.scan(force=force)
        run.parse(tasks, _n_processes(len(tasks), n_processes))
        run.link()
        run.embed()
        run.compact()
        return run.summary()


def update_files(
    root: Path,
    paths: Collection[str],
    *,
    catalogue: Catalogue,
    open_vectors: Callable[[], Vectors | str],
    options: WalkOptions | None = None,
) -> Changes:
    """Bring the index up to date with a few files that are said to have changed, appeared or gone.

    The rest of the repository is not looked at, unless a path is new: then the walk decides whether it may
    be indexed.

    Args:
        root: The repository's folder.
        paths: POSIX, relative to `root`.
        catalogue: Written to; its owner holds the index's lock.
        open_vectors: As in `build_index`; without vectors, the next full run makes them.
        options: What the walk leaves out.

    Raises:
        StoreError: The index cannot be written.
        DiskSpaceError: The disk is full.
    """
    run = IndexRun(root, catalogue, open_vectors, _no_progress, _never, options or WalkOptions())
    with closing(run):
        run.parse(run.look_for(frozenset(paths)), 0)
        run.link()
        run.embed()
    return Changes(*(tuple(run.changes[kind]) for kind in ("added", "changed", "moved", "removed")))


def _n_processes(n_files: int, wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # One core is left to the process that stores what they find.
    return max(1, min(n_cores - 1, 4)) if n_files >= _MIN_FILES_FOR_POOL else 0


def _no_progress(_: IndexProgress) -> None:
    return


def _never() -> bool:
    return False
