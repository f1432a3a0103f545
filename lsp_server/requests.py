"""Completion requests from documents on disk."""

from __future__ import annotations

import os
from pathlib import Path

from indexer.languages import language_of
from lsp_server.completer import CompletionRequest, Retrieve
from lsp_server.document import Document


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
