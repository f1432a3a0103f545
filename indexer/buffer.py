"""The imports of an unsaved buffer.

The catalogue knows the imports of the file as it was saved. The user may have typed others since, above all
those of the very names that are about to be used; so the buffer's import statements are read at each
retrieval, and only they: parsing the whole buffer would cost more than the rest of retrieval.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from indexer.imports import RepoFiles, resolve_import
from indexer.languages import TooSlowError, language_of
from indexer.parse import parse_file
from indexer.resolve import DefinitionSource
from indexer.types import Import

_MAX_HEAD_CHARACTERS = 64_000
_MAX_TAIL_CHARACTERS = 16_000
_MAX_STATEMENT_LINES = 80
_STATEMENT = re.compile(
    r"^[ \t]*(?:from\s+\S+\s+import\b|import\b|export\b.*\bfrom\b|(?:pub\s+)?use\s|using\s|#\s*include\b"
    r"|require|package\s|namespace\s|(?:const|let|var)\b.*\brequire\s*\(|source\s|\.\s)"
)
_OPEN = re.compile(r"[(\[{]")
_CLOSE = re.compile(r"[)\]}]")


@lru_cache(maxsize=8)
def _imports_in(statements: str, path: str) -> tuple[Import, ...]:
    if not statements:
        return ()
    try:
        return parse_file(path, statements.encode("utf-8", "replace")).imports
    except TooSlowError:  # what was saved still answers
        return ()


def imports_of_buffer(
    prefix: str, path: str | None, n_uses: Mapping[str, int], source: DefinitionSource
) -> list[tuple[Import, tuple[str, ...]]]:
    """Return the imports of a buffer with the repository's files they may mean, best first.

    Args:
        prefix: The text before the cursor.
        path: The file, None for one outside of the repository; then there are none.
        n_uses: How often each name stands in the buffer: an import that is saved but no longer in the buffer
            is left out.
        source: The catalogue, whose resolutions are taken over where the statement is the same.
    """
    language = language_of(path) if path is not None else None
    if path is None or language is None:
        return []
    saved = source.imports_of(path)
    targets = {(imp.module, imp.name): found for imp, found in saved}
    present: list[tuple[Import, tuple[str, ...]]] = []
    statements = import_statements(prefix)
    typed = _imports_in(statements, path)
    files: RepoFiles | None = None
    for imp in typed:
        found = targets.get((imp.module, imp.name))
        if found is None:
            files = _arranged(source.files()) if files is None else files
            found = resolve_import(imp, path=path, language=language.name, files=files)
        present.append((imp, found))
    known = {imp.local_name for imp in typed}
    present += [row for row in saved if row[0].local_name not in known and n_uses.get(row[0].local_name)]
    return present


def _arranged(files: Collection[str]) -> RepoFiles:
    return files if isinstance(files, RepoFiles) else RepoFiles(files)


def import_statements(prefix: str) -> str:
    """Return the lines of a buffer that look like import statements, whole ones over several lines too."""
    line_start = prefix.rfind("\n") + 1
    if len(prefix) <= _MAX_HEAD_CHARACTERS and not _STATEMENT.match(prefix[line_start : line_start + 400]):
        found, is_open = _statements_of(prefix[:line_start])  # the same at the next keystroke
        if not is_open:
            return found
    head = prefix[:_MAX_HEAD_CHARACTERS]
    tail = prefix[max(len(head), len(prefix) - _MAX_TAIL_CHARACTERS) :]
    return _statements(f"{head}\n{tail}")[0]


def _statements(text: str) -> tuple[str, bool]:
    """Return the lines of import statements, and whether one is still open at the end."""
    kept: list[str] = []
    depth = n_lines = 0
    for line in text.split("\n"):
        if depth <= 0 and not _STATEMENT.match(line[:400]):
            continue
        kept.append(line if depth > 0 else line.lstrip(" \t"))
        n_lines = n_lines + 1 if depth > 0 else 1
        depth = max(0, depth) + len(_OPEN.findall(line)) - len(_CLOSE.findall(line))
        if n_lines >= _MAX_STATEMENT_LINES or len(line) > 1_000:  # not an import after all
            depth = 0
    return "\n".join(kept), depth > 0


_statements_of = lru_cache(maxsize=4)(_statements)
