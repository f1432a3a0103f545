"""Packages as a user would meet them: a copy without the function that is about to be written, indexed.

The index worker is the product's own, with folders of its own, so that neither the user's indexes nor what
other runs left behind matter.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from latency.session import Moment, Session

from indexer.catalogue_reader import CatalogueReader
from indexer.repository import IndexFolder
from indexer.types import Definition, RelatedQuery, RetrievalQuery, Retrieved
from lsp_server import assemble
from lsp_server.completer import Retrieve
from lsp_server.paths import Folders
from model.types import TokenCodec

__all__ = ["IndexRun", "Workspace", "Workspaces", "definition_sets", "environment"]

_MOST_TOKENS = 160
"""Of a definition in a set, so that none is cut whatever stands around it."""
_UNHURRIED_MS = 60_000


@dataclass(frozen=True, slots=True)
class IndexRun:
    """How a package was indexed, from nothing."""

    package: str
    n_lines: int
    n_definitions: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Workspace:
    """One package without one function."""

    root: Path
    retrieve: Retrieve
    """Asks the index worker."""
    related: Callable[[RelatedQuery], tuple[Definition, ...]]
    """Asks the index worker."""
    index: IndexRun

    def held(self, session: Session, moment: Moment, n: int) -> tuple[Retrieved, ...]:
        """Return what is retrieved at one moment of a session."""
        query = RetrievalQuery(
            path=session.path, prefix=moment.prefix, suffix=moment.suffix, n=n, deadline_ms=_UNHURRIED_MS
        )
        return self.retrieve(query).retrieved


class Workspaces:
    """Makes workspaces in a scratch folder; use it as a context manager, which ends the worker."""

    def __init__(self, sources: Path, scratch: Path) -> None:
        """Start an index worker.

        Args:
            sources: Holds the packages' folders.
            scratch: Everything is written here. A folder of the user's alone, with a short path: a socket
                lies in it.
        """
        self._sources = sources
        self._scratch = scratch
        self._n_made = 0
        self._stack = ExitStack()
        # The worker reads from its environment where indexes and sockets are.
        self._stack.enter_context(environment(XDG_CACHE_HOME=str(scratch), XDG_RUNTIME_DIR=str(scratch)))
        with self._stack:
            self._folders = Folders.of_user()
            self._client = self._stack.enter_context(assemble.connect_index(self._folders))
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()
        self._stack.close()

    def make(self, session: Session) -> Workspace:
        """Return the session's package without what the session writes, indexed."""
        self._n_made += 1
        root = self._scratch / str(self._n_made) / session.package
        shutil.copytree(self._sources / session.package, root)
        (root / session.path).write_text(session.initial, "utf-8")
        started = time.perf_counter()
        summary = self._client.index(root)
        seconds = time.perf_counter() - started
        self._client.open(root)
        run = IndexRun(session.package, summary.n_lines, summary.n_definitions, seconds)
        ask = self._client
        return Workspace(root, partial(ask.retrieve, root), partial(ask.related, root), run)

    def definitions(self, workspace: Workspace, session: Session) -> list[Definition]:
        """Return the definitions of all files but the edited one, in an order that repeats."""
        index = IndexFolder.of(self._folders.index, workspace.root)
        with CatalogueReader(index.catalogue_file) as catalogue:
            found = catalogue.recent(1_000_000)
        return sorted(
            (one for one in found if one.path != session.path and one.role == "source"),
            key=lambda one: one.id,
        )


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Have other environment variables, for this process and those that it starts meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def definition_sets(
    definitions: Sequence[Definition], sizes: Sequence[int], codec: TokenCodec, seed: int
) -> list[tuple[Retrieved, ...]]:
    """Return sets of definitions of so many tokens together, no definition in two of them.

    The last sets are smaller than asked for if there are not enough definitions.

    Args:
        definitions: To choose from.
        sizes: Tokens of each set, with each definition's path; a set has at most as many.
        codec: Counts them.
        seed: Draws.
    """
    left = list(definitions)
    random.Random(seed).shuffle(left)
    counted = [(one, len(codec.encode(f"{one.path}\n{one.text.rstrip()}\n")) + 1) for one in left]
    counted = [(one, n_tokens) for one, n_tokens in counted if n_tokens <= _MOST_TOKENS]
    sets = []
    for size in sizes:
        chosen: list[Retrieved] = []
        room, rest = size, []
        for one, n_tokens in counted:
            if n_tokens <= room:
                chosen.append(Retrieved(one, 1.0, ()))
                room -= n_tokens
            else:
                rest.append((one, n_tokens))
        counted = rest
        sets.append(tuple(chosen))
    return sets
