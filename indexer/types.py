"""Value types and protocols that the files of `indexer` share.

This file imports the standard library and numpy only. Lines are counted from 0 and bytes are UTF-8 bytes
everywhere inside; people are shown lines counted from 1. Paths of indexed files are POSIX paths relative to
the repository's root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Kind = Literal["function", "method", "class", "interface", "type", "constant", "module", "macro", "section"]
"""What a definition is; `section` is a heading of a document with the text under it."""

Role = Literal["source", "test", "documentation"]
"""What a file is for; retrieval may weigh roles differently."""

Retriever = Literal["symbol", "bm25", "vector"]


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of a file, in bytes and in lines (the last line is `end_line - 1`)."""

    start_byte: int
    end_byte: int
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Definition:
    """The source of one symbol, the chunk that is indexed, retrieved and shown to the model."""

    id: str
    """Stable across moves of the definition within its file and across unchanged re-indexing; two
    definitions of one repository never share it."""
    path: str
    language: str
    kind: Kind
    role: Role
    name: str
    """`total`"""
    qualified_name: str
    """`Invoice.total`: the enclosing definitions' names and its own, joined by dots, without the module."""
    signature: str
    """The header on one line, for people and for ranking: `def total(self, currency: str) -> Money`."""
    docstring: str
    span: Span
    text: str
    """What the model reads: the source, dedented; for a class its skeleton (header, fields, signatures)."""
    content_hash: str
    """Of everything but the span."""


def is_same_but_for_span(one: Definition, other: Definition) -> bool:
    """Return whether two definitions differ at most in where they stand.

    Of a definition that is being edited, the text is less than what its hash was made of.
    """
    return one is other or (
        one.id == other.id and one.content_hash == other.content_hash and one.text == other.text
    )


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of a name."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, or one imported module when `name` is None."""

    local_name: str
    """What the importing file calls it (after `as`)."""
    module: str
    """As written: `..billing.invoice`, `./invoice`, `com.acme.Invoice`."""
    name: str | None
    line: int


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """All that parsing one file gives; broken code gives what could be parsed."""

    path: str
    language: str
    role: Role
    definitions: tuple[Definition, ...]
    references: tuple[Reference, ...]
    imports: tuple[Import, ...]
    n_lines: int
    has_errors: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one retriever returned a definition."""

    retriever: Retriever
    rank: int
    """From 1, best first, within that retriever."""
    detail: str
    """For people: `imported as Invoice`, `named 2 lines above`, `terms: invoice, total`, `cosine 0.71`."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One retrieved definition."""

    definition: Definition
    score: float
    """Fused score by reciprocal rank; higher is better, comparable within one retrieval only."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class RetrievalQuery:
    """What is known at the cursor."""

    path: str | None
    """The file being edited, None when it lies outside of the repository."""
    prefix: str
    """Text before the cursor; the whole file's, not a window."""
    suffix: str
    n: int
    deadline_ms: float
    """Retrievers that were not asked by then are left out and named in `RetrievalResult.late`."""
    retrievers: tuple[Retriever, ...] = ("symbol", "bm25", "vector")
    visible_lines_before: int = 150
    """How many lines the prompt shows up to the cursor, the cursor's own among them: the file's own
    definitions whose headers stand there are not retrieved, all others are."""
    visible_lines_after: int = 50
    """The same from the cursor on, the rest of its line being the first."""
    recent_paths: tuple[str, ...] = ()
    """Other files that were opened or edited lately: what is defined there is likelier to be wanted."""
    recent_names: tuple[str, ...] = ()
    """Names in the lines of other files that were edited lately: what is called so is, too."""


@dataclass(frozen=True, slots=True)
class RelatedQuery:
    """An open file, and how much of what it may need is wanted."""

    path: str
    n: int
    prefix: str | None = None
    """The buffer up to the cursor, or all of it; None for the file as it was saved."""
    suffix: str = ""
    visible_lines_before: int = 0
    visible_lines_after: int = 0
    """As in `RetrievalQuery`: what stands there is not wanted. By default all of the file's own definitions
    are."""


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """Retrieved definitions, best first, and how the retrieval went."""

    retrieved: tuple[Retrieved, ...]
    late: tuple[Retriever, ...]
    unavailable: Mapping[Retriever, str]
    """Retriever -> why it could not answer (`no vectors yet`, `no embedder: no model installed`)."""
    elapsed_ms: Mapping[str, float]
    """Phase -> wall time."""


class Embedder(Protocol):
    """Turns texts into vectors; whoever builds the index passes one in."""

    @property
    def name(self) -> str:
        """Identifies the vectors: an index made under another name is embedded anew."""
        ...

    @property
    def n_dimensions(self) -> int:
        """The length of each vector."""
        ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return vectors of unit length, shape (len(texts), n_dimensions)."""
        ...
