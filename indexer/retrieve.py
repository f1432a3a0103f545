"""Retrieval: the definitions that a cursor, or a person's question, is about.

Three retrievers look independently: symbols named near the cursor and resolved through imports, BM25 over
split identifiers, and vectors. Their ranks are joined by weighted reciprocal rank (Cormack et al. 2009) over
the union, so what one alone finds is not lost. A retriever that fails or is late costs its share of the
ranking, never the retrieval.

These are pure functions over what they are given; they hold no state and open nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.errors import IndexerError
from indexer.languages import language_of
from indexer.overlays import Overlays
from indexer.own_file import OwnFiles, StampedSource, WithBuffer, header_line, visible_lines
from indexer.resolve import DefinitionSource
from indexer.retrievers import (
    TERM_LINES,
    TEXT_LINES,
    Hit,
    VectorQuery,
    by_symbols,
    by_terms,
    by_vector,
    lines_around,
)
from indexer.standing import Document, Standing
from indexer.types import (
    Definition,
    Embedder,
    Reason,
    RetrievalQuery,
    RetrievalResult,
    Retrieved,
    Retriever,
    Role,
)
from indexer.window import names_in

RETRIEVER_WEIGHTS: Mapping[Retriever, float] = {"symbol": 1.0, "bm25": 0.2, "vector": 0.2}
"""A hit of rank r adds weight / (RANK_CONSTANT + r); measured by `bench/retrieval.py`."""
RANK_CONSTANT = 10.0
SEARCH_WEIGHTS: Mapping[Retriever, float] = {"symbol": 3.0, "bm25": 1.0, "vector": 1.0}
"""For people's questions: a definition of exactly the name that was asked for comes first."""
_LEAST_COSINE = 0.33
"""What is farther away does not answer a person's question, though something is always the nearest: of 48
questions that had nothing to do with their repository the nearest one lay below it in 47 (the other one was
made of stop words); of 29 that had, 27 kept their first answer when this was brought in, and all had some."""
ROLE_FACTORS: Mapping[Role, float] = {"source": 1.0, "test": 0.5, "documentation": 0.4}
"""What a file is for: code seldom calls a test. In a test, tests count in full."""
RECENT_FACTOR = 1.08
"""Decides between neighbours from the fourth rank on, never over the best three of one retriever."""


_FAMILIES: Mapping[str, str] = {
    **dict.fromkeys(("javascript", "typescript", "tsx"), "ecmascript"),
    **dict.fromkeys(("c", "cpp"), "c"),
}
"""Languages that call each other by name, so that a definition of one helps in the other."""


@dataclass(slots=True)
class _Run:
    """What was found so far, and how it went."""

    hits: dict[Retriever, Sequence[Hit]] = field(default_factory=dict)
    late: list[Retriever] = field(default_factory=list)
    unavailable: dict[Retriever, str] = field(default_factory=dict)
    elapsed_ms: dict[str, float] = field(default_factory=dict)


def retrieve(  # noqa: PLR0913 - the query, and each thing that it is answered from
    query: RetrievalQuery,
    *,
    catalogue: StampedSource,
    vectors: VectorQuery | None,
    embedder: Embedder | None,
    clock: Callable[[], float],
    own_files: OwnFiles | None = None,
    overlays: Overlays | None = None,
    standing: Standing | None = None,
) -> RetrievalResult:
    """Return the definitions that the text at a cursor is likely to need, best first.

    The file's own definitions are as its buffer has them; those that the prompt shows anyway are left out.

    Args:
        query: The cursor, how many definitions are wanted, by when, and by which retrievers.
        catalogue: The truth about the repository.
        vectors: None while there are none.
        embedder: The one that made the vectors; None without an installed model.
        clock: Seconds, monotonic.
        own_files: The buffers that were read before; without them each retrieval reads its own anew.
        overlays: Other buffers that were not saved.
        standing: What was worked out for the last documents; without it all is worked out anew.
    """
    document = Document() if standing is None else standing.document(query.path)
    run = _Run()
    deadline = _Deadline(clock, query.deadline_ms)
    with_vectors = (vectors, embedder) if vectors is not None and embedder is not None else None
    source: DefinitionSource = catalogue
    n_overlaid = 0
    if overlays is not None:
        n_overlaid = overlays.n_changes  # before they are read: a change meanwhile counts for the next time
        with contextlib.suppress(IndexerError):  # likewise
            source = overlays.over(source, query.path)
    own: Sequence[Definition] = ()
    if query.path is not None:
        with contextlib.suppress(IndexerError):  # whoever asks the catalogue next says so
            own = (own_files or OwnFiles()).definitions(query, catalogue)
        source = WithBuffer(source, query.path, own)
        run.elapsed_ms["own_file"] = deadline.elapsed_ms()
    ask: dict[Retriever, Callable[[], Sequence[Hit]]] = {
        "symbol": lambda: by_symbols(query, source, document, own, n_overlaid),
        "bm25": lambda: by_terms(lines_around(query.prefix, query.suffix, *TERM_LINES), source),
    }
    if with_vectors is None:
        run.unavailable["vector"] = (
            "no embedder: no model installed" if embedder is None else "no vectors yet"
        )
    else:
        text = lines_around(query.prefix, query.suffix, *TEXT_LINES)
        ask["vector"] = lambda: by_vector(text, source, *with_vectors)
    for retriever in query.retrievers:
        if retriever in ask:
            _run_retriever(retriever, ask[retriever], run, deadline)
    hits = {
        name: [
            hit
            for hit in found
            if not _is_shown(hit.definition, query) and can_be_used(hit.definition, query.path)
        ]
        for name, found in run.hits.items()
    }
    factors = {**ROLE_FACTORS, "test": 1.0} if query.path and "test" in query.path.lower() else ROLE_FACTORS
    paths, names = frozenset(query.recent_paths), frozenset(query.recent_names)
    retrieved = fuse(
        hits,
        query.n,
        weights=RETRIEVER_WEIGHTS,
        role_factors=factors,
        is_recent=lambda definition: definition.path in paths or definition.name in names,
    )
    run.elapsed_ms["total"] = deadline.elapsed_ms()
    return RetrievalResult(retrieved, tuple(run.late), run.unavailable, run.elapsed_ms)


def search(
    text: str,
    *,
    catalogue: DefinitionSource,
    vectors: VectorQuery | None,
    embedder: Embedder | None,
    n: int,
) -> tuple[Retrieved, ...]:
    """Return the definitions that match a person's question, best first: exact names before all others."""
    hits: dict[Retriever, Sequence[Hit]] = {
        "symbol": _by_name(text, catalogue),
        "bm25": by_terms(text, catalogue),
    }
    if vectors is not None and embedder is not None and text.strip():
        try:
            hits["vector"] = by_vector(text, catalogue, vectors, embedder, least_cosine=_LEAST_COSINE)
        except IndexerError:  # the vector store is a convenience here, and the other two answer
            hits["vector"] = ()
    return fuse(hits, n, weights=SEARCH_WEIGHTS, role_factors=ROLE_FACTORS)


def fuse(
    hits: Mapping[Retriever, Sequence[Hit]],
    n: int,
    *,
    weights: Mapping[Retriever, float],
    role_factors: Mapping[Role, float],
    is_recent: Callable[[Definition], bool] = lambda _: False,
) -> tuple[Retrieved, ...]:
    """Join ranked answers by weighted reciprocal rank over their union.

    What was worked in or named lately comes before what is about as good.

    Definitions of the same text (vendored copies, overloads) count once. Ties are broken by place, so that
    the same answers always give the same order.
    """
    scores: dict[str, float] = {}
    reasons: dict[str, list[Reason]] = {}
    definitions: dict[str, Definition] = {}
    for retriever, found in hits.items():
        for rank, hit in enumerate(found, start=1):
            id_ = hit.definition.id
            definitions[id_] = hit.definition
            scores[id_] = scores.get(id_, 0.0) + weights[retriever] / (RANK_CONSTANT + rank)
            reasons.setdefault(id_, []).append(Reason(retriever, rank, hit.detail))
    joined = [
        Retrieved(
            definition,
            scores[id_] * role_factors[definition.role] * (RECENT_FACTOR if is_recent(definition) else 1.0),
            tuple(reasons[id_]),
        )
        for id_, definition in definitions.items()
    ]
    joined.sort(key=lambda row: (-row.score, row.definition.path, row.definition.span.start_byte))
    unique: dict[tuple[str, str], Retrieved] = {}
    for row in joined:
        unique.setdefault((row.definition.name, row.definition.text), row)
    return tuple(unique.values())[: max(0, n)]


def can_be_used(definition: Definition, path: str | None) -> bool:
    """Return whether a file's code can use a definition; documents may speak of any language."""
    user = language_of(path) if path else None
    if user is None or user.family == "document" or definition.role == "documentation":
        return True
    return _FAMILIES.get(user.name, user.name) == _FAMILIES.get(definition.language, definition.language)


class _Deadline:
    """The time since a retrieval began, against the time it may take."""

    def __init__(self, clock: Callable[[], float], deadline_ms: float) -> None:
        self._clock = clock
        self._started = clock()
        self._deadline_ms = deadline_ms

    def elapsed_ms(self) -> float:
        return (self._clock() - self._started) * 1000.0

    def is_over(self) -> bool:
        return self.elapsed_ms() > self._deadline_ms


def _run_retriever(
    retriever: Retriever, ask: Callable[[], Sequence[Hit]], run: _Run, deadline: _Deadline
) -> None:
    """Ask one retriever unless time is up, and note its answer or its failure.

    An answer that comes after the deadline has cost its time already, so it counts; who was not asked by
    then is late.
    """
    if deadline.is_over():
        run.late.append(retriever)
        return
    before_ms = deadline.elapsed_ms()
    try:
        found = ask()
    except IndexerError as error:  # the others still answer; the reason is shown and counted
        run.unavailable[retriever] = str(error)
        return
    run.elapsed_ms[retriever] = deadline.elapsed_ms() - before_ms
    run.hits[retriever] = found


def _is_shown(definition: Definition, query: RetrievalQuery) -> bool:
    """Return whether the prompt shows a definition anyway: its header, as part of the file.

    Of a class or function around the cursor whose header stands too far above, the beginning is retrieved.
    """
    return definition.path == query.path and header_line(definition) in visible_lines(query)


def _by_name(text: str, catalogue: DefinitionSource) -> list[Hit]:
    """Return the definitions whose name stands in a question, those that match more of it first."""
    words = names_in(text)
    named = catalogue.definitions_named({word for word in words if catalogue.count_named([word])})
    whole = text.strip()

    def closeness(definition: Definition) -> tuple[bool, bool, int, str, int]:
        qualified = definition.qualified_name
        exact = whole in {definition.name, qualified}
        n_words = sum(word in qualified.split(".") for word in words)
        return not exact, qualified != whole, -n_words, definition.path, definition.span.start_byte

    return [Hit(definition, f"named {definition.name}") for definition in sorted(named, key=closeness)]
