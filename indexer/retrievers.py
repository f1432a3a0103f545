"""The three retrievers: each answers alone, with ranked definitions and the detail that people are shown.

They do not know each other, deadlines, or how their answers are joined; that is `retrieve.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from indexer.buffer import imports_of_buffer
from indexer.candidates import find_candidates
from indexer.resolve import DefinitionSource
from indexer.standing import Document
from indexer.symbols import read_surroundings
from indexer.terms import split_identifiers
from indexer.types import Definition, Embedder, RetrievalQuery

N_PER_RETRIEVER = 40
"""How many definitions one retriever gives at most; fusion sees no more."""

TERM_LINES = (3, 1)
"""Lines before and after the cursor whose terms BM25 searches for; measured by `bench/retrieval.py`."""
TEXT_LINES = (2, 0)
"""Lines before and after the cursor that are embedded; measured by `bench/embedders.py`."""
_MAX_WINDOW_CHARACTERS = 4_000
_N_SHOWN_TERMS = 4
_EXPLAINED_CHARACTERS = 1_000
"""Of a definition, in search of shared terms to show."""


class VectorQuery(Protocol):
    """What retrieval asks of a vector store; `vectors.py` answers it."""

    def query(
        self, vector: npt.NDArray[np.float32], n: int, exclude_path: str | None = None
    ) -> list[tuple[str, float]]:
        """Return (definition id, cosine), nearest first."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """One row of a retriever's answer; rows come best first."""

    definition: Definition
    detail: str


def by_symbols(
    query: RetrievalQuery,
    catalogue: DefinitionSource,
    document: Document,
    own: Sequence[Definition] = (),
    n_overlaid: int = 0,
) -> list[Hit]:
    """Return the definitions that names near the cursor may mean.

    Args:
        query: The cursor.
        catalogue: With the buffers over it.
        document: What is kept of this one.
        own: What its buffer defines.
        n_overlaid: How often other buffers have changed.
    """
    around = read_surroundings(query.prefix, query.suffix, document.reader)
    imports = imports_of_buffer(query.prefix, query.path, around.n_uses, catalogue)
    inference = document.inference(query.path, catalogue, imports, own, n_overlaid)
    found = find_candidates(around, path=query.path, inference=inference, source=catalogue)
    return [
        Hit(document.current(candidate.definition), candidate.detail) for candidate in found[:N_PER_RETRIEVER]
    ]


def by_terms(text: str, catalogue: DefinitionSource, n: int = N_PER_RETRIEVER) -> list[Hit]:
    """Return the definitions that share rare terms with a text."""
    terms = list(dict.fromkeys(split_identifiers(text)))
    ids = [id_ for id_, _ in catalogue.bm25(terms, n)]
    return [Hit(definition, _shared_terms(terms, definition)) for definition in catalogue.definitions(ids)]


def by_vector(  # noqa: PLR0913 - the last two are how much of it is wanted
    text: str,
    catalogue: DefinitionSource,
    vectors: VectorQuery,
    embedder: Embedder,
    n: int = N_PER_RETRIEVER,
    *,
    least_cosine: float = -1.0,
) -> list[Hit]:
    """Return the definitions whose vectors are nearest to a text's, those that are as near as is wanted."""
    vector = embedder.embed([text])[0]
    if not vector.any():
        return []  # a text without words is equally far from everything
    cosines = {id_: cosine for id_, cosine in vectors.query(vector, n) if cosine >= least_cosine}
    return [
        Hit(definition, f"cosine {cosines[definition.id]:.2f}")
        for definition in catalogue.definitions(list(cosines))
    ]


def lines_around(prefix: str, suffix: str, n_before: int, n_after: int) -> str:
    """Return the last lines before a cursor, its own among them, and the first ones after it."""
    before = prefix[-_MAX_WINDOW_CHARACTERS:].split("\n")[-n_before:]
    after = suffix[:_MAX_WINDOW_CHARACTERS].split("\n")[: n_after + 1]
    return "\n".join(before) + "\n".join(after)


def _shared_terms(terms: Sequence[str], definition: Definition) -> str:
    """Return the longest terms that stand in a definition: length goes with rarity.

    Splitting all of 40 texts into terms would take longer than finding them.
    """
    read = f"{definition.name} {definition.signature} {definition.text[:_EXPLAINED_CHARACTERS]}".lower()
    shared = sorted((term for term in terms if term in read), key=lambda term: (-len(term), term))
    return f"terms: {', '.join(shared[:_N_SHOWN_TERMS])}" if shared else "terms in its later lines"
