"""What may be retrieved for a case: never the case's own file in a version that contains the target.

The index holds the file as its author wrote it. So whatever is retrieved of that file is taken from the text
around the cursor instead, parsed anew: what is not in there is dropped. Nothing of the file's version on disk
is ever passed on, so no special case (an enclosing function, a class's skeleton, a constant) can be missed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from indexer.languages import TooSlowError
from indexer.parse import parse_file
from indexer.types import Definition, RetrievalQuery, RetrievalResult
from lsp_server.completer import Retrieve
from lsp_server.evaluation.cases import Case

__all__ = ["without_own_target"]

_N_MORE = 8
"""Asked for in place of those that may be dropped."""


def without_own_target(case: Case, retrieve: Retrieve) -> Retrieve:
    """Return `retrieve` with the definitions of the case's own file as they stand around the cursor."""
    own = _Lazily(lambda: _definitions_around(case))

    def ask(query: RetrievalQuery) -> RetrievalResult:
        result = retrieve(replace(query, n=query.n + _N_MORE))
        kept = []
        for row in result.retrieved:
            if row.definition.path != case.path:
                kept.append(row)
            elif (definition := own.get().get(row.definition.id)) is not None:
                kept.append(replace(row, definition=definition))
        return replace(result, retrieved=tuple(kept[: query.n]))

    return ask


class _Lazily:
    """Most cases retrieve nothing of their own file, which then need not be parsed."""

    def __init__(self, make: Callable[[], dict[str, Definition]]) -> None:
        self._make = make
        self._made: dict[str, Definition] | None = None

    def get(self) -> dict[str, Definition]:
        if self._made is None:
            self._made = self._make()
        return self._made


def _definitions_around(case: Case) -> dict[str, Definition]:
    source = (case.prefix + case.suffix).encode("utf-8", "replace")
    try:
        return {definition.id: definition for definition in parse_file(case.path, source).definitions}
    except TooSlowError:
        return {}
