"""Keeps the vector store in step with the catalogue, which says what is missing there and what is stale."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from indexer.catalogue import Catalogue
from indexer.types import Definition, Embedder, Span
from indexer.vectors import VectorStore

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


def synchronize(
    catalogue: Catalogue,
    vectors: VectorStore,
    embedder: Embedder,
    *,
    on_progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> int:
    """Delete the vectors that are stale and make those that are missing, until `cancelled` says so.

    The catalogue notes a batch when the vector store has acknowledged it, so that whenever this ends, by a
    kill as well, the next call goes on with what is left.

    Args:
        catalogue: Written to.
        vectors: Written to.
        embedder: The one that `vectors` was opened for.
        on_progress: Gets (definitions done, definitions to do).
        cancelled: Asked between batches.

    Returns:
        How many vectors were made.
    """
    while (stale := catalogue.stale_vectors(BATCH_DEFINITIONS)) and not cancelled():
        vectors.delete(stale)
        catalogue.clear_stale(stale)
    ids = catalogue.unembedded_ids()
    n_done = 0
    with ThreadPoolExecutor(
        1, thread_name_prefix="embed"
    ) as ahead:  # the next batch while this one is stored
        pending = None
        for start in range(0, len(ids) + BATCH_DEFINITIONS, BATCH_DEFINITIONS):
            if cancelled():
                break
            batch = catalogue.definitions(ids[start : start + BATCH_DEFINITIONS])
            following = ahead.submit(_embed, embedder, batch) if batch else None
            if pending is not None:
                definitions, embedded = pending.result()
                vectors.put([d.id for d in definitions], embedded, [d.path for d in definitions])
                catalogue.mark_embedded(definitions)
                n_done += len(definitions)
                on_progress(n_done, len(ids))
            pending = following
    return n_done


def _embed(
    embedder: Embedder, definitions: list[Definition]
) -> tuple[list[Definition], npt.NDArray[np.float32]]:
    return definitions, embedder.embed([embedding_text(definition) for definition in definitions])
