"""What a completion is asked with: the text at a cursor, and what the rest of the session says about it.

Documents that were edited and not saved overlay their files in retrieval; files that were opened or edited
lately are likelier to be wanted, and so is what was named in the lines that were edited there; much of them
may be written alike once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from indexer.types import RetrievalQuery, RetrievalResult
from lsp_server.requests import CompletionRequest
from lsp_server.server.documents import Document, Documents
from lsp_server.server.host import Host
from lsp_server.server.indexing import RepositoryIndex
from lsp_server.server.places import Place

__all__ = ["completion_request", "give_back", "overlay_others"]

_NAME: Final = re.compile(r"[^\W\d]\w{2,}")
_MOST_NAMES: Final = 100


def completion_request(
    host: Host, documents: Documents, document: Document, around: tuple[str, str], *, multi_line: bool | None
) -> CompletionRequest:
    """Return what the model is asked at a cursor.

    Args:
        host: Has the repository's index, if there is one.
        documents: The session's.
        document: The one that is completed; it has a place.
        around: The text before and after the cursor.
        multi_line: None lets the syntax decide.
    """
    place = document.place or Place(None, "untitled", None)
    index = host.index_of(place.root)
    prefix, suffix = around
    recent_edits = documents.edits_elsewhere(document)
    return CompletionRequest(
        repo_name=place.repo_name,
        path=place.path,
        language=document.language,
        prefix=prefix,
        suffix=suffix,
        multi_line=multi_line,
        retrieve=_Asking(index, _recent_paths(documents, document, index.root), _names_in(recent_edits))
        if index
        else None,
        recent_edits=recent_edits,
        encode_ms=host.settings.memory.encode_ms,
        n_edits_elsewhere=index.buffers.n_elsewhere(place.path) if index else 0,
    )


class _Asking:
    """Asks an index, with what was worked in lately; in any thread."""

    def __init__(
        self, index: RepositoryIndex, recent_paths: tuple[str, ...], recent_names: tuple[str, ...]
    ) -> None:
        self._index = index
        self._recent_paths = recent_paths
        self._recent_names = recent_names

    def __call__(self, query: RetrievalQuery) -> RetrievalResult:
        recent = replace(query, recent_paths=self._recent_paths, recent_names=self._recent_names)
        return self._index.retrieve(recent)


def overlay_others(host: Host, documents: Documents, document: Document) -> None:
    """Have retrieval see what is not saved in the other documents of a document's repository."""
    index = host.index_of(document.place.root) if document.place is not None else None
    if index is None:
        return
    for other in documents:
        place = other.place
        if other is document or other.overlaid_version == other.version:
            continue
        if other.language is None:  # a log that is followed, say: of no use to retrieval, and always changing
            continue
        if place is None or place.file is None or place.root != index.root or other.notebook is not None:
            continue
        other.overlaid_version = other.version
        if other.is_changed:
            index.buffers.put(place.path, other.buffer.text, host.aside)
        else:  # also an engine that took another's place is told of buffers as if they were just opened
            index.buffers.put_if_unsaved(place.path, other.buffer.text, place.file, host.aside)


def give_back(host: Host, document: Document) -> None:
    """Have retrieval see a document that was saved or closed as it is on the disk."""
    place = document.place
    index = host.index_of(place.root) if place is not None else None
    if document.overlaid_version is not None and place is not None and index is not None:
        document.overlaid_version = None
        index.buffers.give_back(place.path, host.aside)


def _recent_paths(documents: Documents, document: Document, root: Path) -> tuple[str, ...]:
    files = documents.recent_files(document)
    return tuple(file.relative_to(root).as_posix() for file in files if file.is_relative_to(root))


def _names_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names that stand in texts, each once."""
    return tuple(dict.fromkeys(_NAME.findall("\n".join(texts))))[:_MOST_NAMES]
