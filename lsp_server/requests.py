"""What a completion is asked for with, and how requests are made from documents on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from indexer.languages import language_of
from indexer.types import RetrievalQuery, RetrievalResult
from lsp_server.document import Document

__all__ = ["CompletionRequest", "Retrieve", "make_request"]

Retrieve = Callable[[RetrievalQuery], RetrievalResult]


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What to complete, and from what."""

    repo_name: str
    path: str
    """Relative to the repository, POSIX."""
    language: str | None
    prefix: str
    suffix: str
    multi_line: bool | None = None
    """None lets the syntax at the cursor decide."""
    retrieve: Retrieve | None = None
    """Asks the repository's index; None completes from the file alone."""
    encode_ms: float | None = None
    """How long the completion may wait for definitions to be encoded that no memory is kept of, where they
    matter; the rest is left out. None: as long as all of them take."""
    recent_edits: tuple[str, ...] = ()
    """What was edited last in the repository's other files, the latest first: may be written alike here."""
    enough_ms: int | None = None
    """After so long a time of writing, what is written is enough; None writes all that there is time for."""
    n_edits_elsewhere: int = 0
    """How often the repository's other unsaved buffers have changed: what was found out at another count may
    be out of date."""


def make_request(
    document: Document, repository: Path | None, retrieve: Retrieve | None, *, multi_line: bool | None
) -> CompletionRequest:
    """Return the request for a document's cursor.

    Args:
        document: The file, split at the cursor.
        repository: Its root; None for a file outside of any.
        retrieve: Asks the repository's index; None completes from the file alone.
        multi_line: None lets the syntax decide.
    """
    file = Path(os.path.abspath(document.file))  # noqa: PTH100 - resolve() would leave the tree by symlinks
    root = repository.absolute() if repository else file.parent
    inside = file.is_relative_to(root)
    spec = language_of(file.name, document.prefix[:200].encode())

    return CompletionRequest(
        repo_name=root.name,
        path=file.relative_to(root).as_posix() if inside else file.name,
        language=spec.name if spec else None,
        prefix=document.prefix,
        suffix=document.suffix,
        multi_line=multi_line,
        retrieve=retrieve,
    )
