"""What benches that complete cases of the development set one after the other have in common."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "quality"))

from run import Indexes

from indexer.open_index import EmbedderSource
from lsp_server import assemble
from lsp_server.completer import CompletionRequest, RunningModel
from lsp_server.config import Settings
from lsp_server.evaluation.arms import unhurried
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.evaluation.subject import language_in
from lsp_server.paths import Folders

__all__ = ["Opened", "opened", "options_for", "request_of"]

_NICENESS = 10


def options_for(doc: str | None, *, n: int, n_help: str, kinds: tuple[str, ...] = ()) -> argparse.Namespace:
    """Return `n`, `cache`, `models` and, where there is a choice, `kind`, as they were asked for.

    The process works at low priority from now on.

    Args:
        doc: The bench's own text.
        n: Cases by default.
        n_help: What is counted.
        kinds: That may be chosen from.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    folders = Folders.of_user()
    parser.add_argument("--n", type=int, default=n, help=n_help)
    if kinds:
        parser.add_argument("--kind", action="append", choices=kinds, help="all if left out")
    parser.add_argument("--cache", type=Path, default=folders.index.parent / "bench")
    parser.add_argument("--models", type=Path, default=folders.models, help="where models are installed")
    options = parser.parse_args()
    os.nice(_NICENESS)
    return options


@dataclass(frozen=True, slots=True)
class Opened:
    """The installed model, and the indexes that cases are retrieved from; deadlines are off."""

    settings: Settings
    model: RunningModel
    indexes: Indexes


@contextmanager
def opened(folders: Folders, indexes: Path) -> Iterator[Opened]:
    """Open the model and the indexes for a while.

    Args:
        folders: Where the model is installed, and memories are kept.
        indexes: The folder that indexes are kept in.
    """
    settings = unhurried(Settings())
    with ExitStack() as stack:
        model = assemble.start_model(folders, settings)
        stack.callback(model.close)
        embedders = EmbedderSource(lambda: assemble.make_embedder(folders, settings))
        opened_indexes = Indexes(indexes, embedders)
        stack.callback(opened_indexes.close)
        yield Opened(settings, model, opened_indexes)


def request_of(case: Case, indexes: Indexes) -> CompletionRequest:
    """Return the request at a case's cursor, as a user would make it."""
    return CompletionRequest(
        repo_name=case.repo.name,
        path=case.path,
        language=language_in(case),
        prefix=case.prefix,
        suffix=case.suffix,
        retrieve=without_own_target(case, indexes.retrieve_for(case)),
    )
