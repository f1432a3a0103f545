"""Keeps the vector store in step with the catalogue, which says what is missing there and what is stale."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from indexer.catalogue import Catalogue
from indexer.types import Definition, Embedder, Span
from indexer.vectors import VectorStore

_Embedded = tuple[list[Definition], npt.NDArray[np.float32]]

BATCH_DEFINITIONS = 256
"""Chroma holds the interpreter's lock while it adds a batch, 0.1 s for this many; others wait as long."""


def embedding_text(definition: Definition) -> str:
    """Return what stands for a definition in the vector space: its name above all, and how it begins.

    A vector is a mean of tokens, so that a long body would drown the name that a cursor asks for.
    """
    name, signature = definition.qualified_name, definition.signature
    return f"{name} {name}\n{signature}\n{definition.docstring[:200]}\n{definition.text[:400]}"


def vectors_name(embedder: Embedder) -> str:
    """Return what vectors are kept under: the embedder's name, and what it is given of a definition.

    Vectors of another embedder or of another `embedding_text` cannot be compared with a query's, so that a
    change of either makes all of them anew. What the text is made of is told from an example, which no change
    can forget to count up.
    """
    recipe = hashlib.blake2b(embedding_text(_EXAMPLE).encode(), digest_size=4).hexdigest()
    return f"{embedder.name}-{recipe}"


_EXAMPLE = Definition(
    id="0",
    path="billing/invoice.py",
    language="python",
    kind="method",
    role="source",
    name="total",
    qualified_name="Invoice.total",
    signature="def total(self) -> Money",
    docstring="".join(f"Sentence {n}. " for n in range(500)),
    span=Span(0, 1, 0, 1),
    text="".join(f"line({n})\n" for n in range(1_000)),
    content_hash="0",
)
"""Longer than whatever is cut."""


def repair(catalogue: Catalogue, vectors: VectorStore, embedder: Embedder) -> None:
    """Make the catalogue's account of the vector store true again.

    Rows that the store lost count as missing from now on, rows that it should not have are deleted. Cheap
    enough for each start: two lists of ids are compared.
    """
    catalogue.set_embedder(vectors_name(embedder))
    if vectors.was_emptied:
        catalogue.forget_vectors()
    present, expected = vectors.ids(), catalogue.embedded_ids()
    catalogue.mark_unembedded(expected - present)
    # What the catalogue is yet to embed is replaced then; this is only what nobody would ever look at again.
    unknown = sorted(present - expected - set(catalogue.unembedded_ids()))
    for start in range(0, len(unknown), BATCH_DEFINITIONS):
        vectors.delete(unknown[start : start + BATCH_DEFINITIONS])


class VectorWriter:
    """Makes the vectors that are missing, a batch at a time; one is embedded while another is stored.

    The catalogue notes a batch when the vector store has acknowledged it, so that whenever this ends, by a
    kill as well, the next writer goes on with what is left. `advance` may be called between writes of
    files to the catalogue, by the same thread.
    """

    def __init__(self, catalogue: Catalogue, vectors: VectorStore, embedder: Embedder) -> None:
        self._catalogue = catalogue
        self._vectors = vectors
        self._embedder = embedder
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._pending: Future[_Embedded] | None = None
        self._last_number = -1
        """Of the definitions that were taken from the catalogue so far."""

    def close(self) -> None:
        """End the thread that embeds."""
        self._ahead.shutdown(wait=True, cancel_futures=True)

    def advance(self, *, to_the_end: bool = False) -> int:
        """Take the next definitions without a vector if they fill a batch, and store the batch before.

        Args:
            to_the_end: Take what is left, however little; the caller goes on until nothing is stored.

        Returns:
            How many vectors were stored.
        """
        rows = self._catalogue.unembedded_after(self._last_number, BATCH_DEFINITIONS)
        if len(rows) < BATCH_DEFINITIONS and not to_the_end:
            return 0
        following = None
        if rows:
            self._last_number = rows[-1][0]
            batch = self._catalogue.definitions([id_ for _, id_ in rows])
            following = self._ahead.submit(_embed, self._embedder, batch)
        pending, self._pending = self._pending, following
        return self._store(pending.result()) if pending is not None else 0

    def finish(self, *, on_progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """Delete the vectors that are stale and make all that are missing, until `cancelled` says so.

        Args:
            on_progress: Gets (definitions done, definitions to do).
            cancelled: Asked between batches.
        """
        if self._pending is not None:
            self._store(self._pending.result())
            self._pending = None
        while (stale := self._catalogue.stale_vectors(BATCH_DEFINITIONS)) and not cancelled():
            self._vectors.delete(stale)
            self._catalogue.clear_stale(stale)
        self._last_number = -1  # what changed meanwhile keeps its number
        n_done, n_total = 0, self._catalogue.count_unembedded()
        while not cancelled():
            n_stored = self.advance(to_the_end=True)
            if n_stored == 0 and self._pending is None:
                return
            n_done += n_stored
            if n_stored:
                on_progress(n_done, n_total)

    def _store(self, embedded: _Embedded) -> int:
        definitions, rows = embedded
        self._vectors.put([one.id for one in definitions], rows, [one.path for one in definitions])
        self._catalogue.mark_embedded(definitions)
        return len(definitions)


def _embed(embedder: Embedder, definitions: list[Definition]) -> _Embedded:
    return definitions, embedder.embed([embedding_text(definition) for definition in definitions])
