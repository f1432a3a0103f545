"""Which definitions a completion is given: what matters most, and of the rest what costs nothing.

Each keystroke is retrieved for anew, and what comes back changes nearly each time, while another set costs a
pass over the line, and a definition that no memory is kept of a tenth of a second. So while a line is typed
its definitions stay until another one is among the best; what is not encoded yet is waited for only where it
matters, and left to be encoded behind; and the places are filled with what is at hand.

Pure but for `DefinitionKeeper`, which remembers what was given. Knows neither retrievers nor the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from indexer.types import Retrieved

__all__ = ["Candidate", "Choice", "DefinitionKeeper", "Place", "choose"]

_DECISIVE: Final = 4
"""Of the best: one of them that is at hand and was not given yet changes the set. A line's first completion
waits for them."""
_AWAITED: Final = 1
"""Of the best: while a line is typed, one of them that its names ask for is waited for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A definition that was retrieved, and what it takes to attend to it."""

    row: Retrieved
    cost_ms: float
    """To encode it; 0 if it is at hand."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a completion is given."""

    rows: tuple[Retrieved, ...]
    """Best first; of those that were not at hand, the ones that are worth waiting for."""
    left_out: tuple[Retrieved, ...] = ()
    """Retrieved, but not at hand: to be encoded for the next completion, best first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a document."""

    repo_name: str
    path: str
    line: int
    """By its number."""

    def is_in_document_of(self, other: Place) -> bool:
        """Return whether both lie in the same document."""
        return (self.repo_name, self.path) == (other.repo_name, other.path)


def choose(
    candidates: Sequence[Candidate],
    given: Sequence[Retrieved],
    *,
    n: int,
    encode_ms: float | None,
    continues: bool,
) -> Choice:
    """Return which definitions to attend to.

    Args:
        candidates: Best first, more than there are places for.
        given: To the last completion of the document: all of them are at hand.
        n: How many places there are.
        encode_ms: How long may be waited; None: as long as the best `n` take.
        continues: Whether that completion was of the same line.
    """
    current = _up_to_date(given, candidates)
    known = {row.definition.id for row in current}
    ready = _ready(candidates, n=n, encode_ms=encode_ms, continues=continues)
    left_out = tuple(one.row for one in candidates if one.row.definition.id not in ready)
    best = {one.row.definition.id for one in candidates[:_DECISIVE]}
    if continues and candidates and len(current) == len(given) and not (best & ready) - known:
        return Choice(tuple(given), left_out)
    wanted = [one.row for one in candidates[:n] if one.row.definition.id in ready]
    n_empty = min(n, len(candidates)) - len(wanted)
    spare = [row for row in current if row.definition.id not in ready]
    spare += [one.row for one in candidates[n:] if one.row.definition.id in ready]
    return Choice((*wanted, *spare[:n_empty]), left_out)


def _up_to_date(given: Sequence[Retrieved], candidates: Sequence[Candidate]) -> list[Retrieved]:
    """Return those of the given that were not retrieved with another text."""
    texts = {one.row.definition.id: one.row.definition.content_hash for one in candidates}
    return [
        row
        for row in given
        if texts.get(row.definition.id, row.definition.content_hash) == row.definition.content_hash
    ]


def _ready(candidates: Sequence[Candidate], *, n: int, encode_ms: float | None, continues: bool) -> set[str]:
    """Return the ids of the candidates that are at hand, or are waited for."""
    ready, spent_ms = set[str](), 0.0
    for rank, one in enumerate(candidates):
        id_ = one.row.definition.id
        if not one.cost_ms:
            ready.add(id_)
        elif encode_ms is None:
            if rank < n:
                ready.add(id_)
        elif _matters(one, rank, continues=continues) and spent_ms + one.cost_ms < encode_ms:
            ready.add(id_)
            spent_ms += one.cost_ms
    return ready


def _matters(one: Candidate, rank: int, *, continues: bool) -> bool:
    """Return whether a definition that is not at hand is worth waiting for."""
    if not continues:
        return rank < _DECISIVE
    return rank < _AWAITED and any(
        reason.retriever == "symbol" and reason.rank <= _AWAITED for reason in one.row.reasons
    )


class DefinitionKeeper:
    """What the last completion was given, and where."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._place: Place | None = None
        self._given: tuple[Retrieved, ...] = ()

    def forget(self) -> None:
        """Give what is retrieved next."""
        self._place, self._given = None, ()

    def given_on(self, place: Place) -> tuple[Retrieved, ...] | None:
        """Return what the line was given last, which it is likely to be given again; None if it is new."""
        return self._given if place == self._place else None

    def choose(
        self, place: Place, candidates: Sequence[Candidate], *, n: int, encode_ms: float | None
    ) -> Choice:
        """Return which definitions to attend to; nothing is remembered yet."""
        is_known = self._place is not None and place.is_in_document_of(self._place)
        return choose(
            candidates,
            self._given if is_known else (),
            n=n,
            encode_ms=encode_ms,
            continues=place == self._place,
        )

    def keep(self, place: Place, rows: Sequence[Retrieved]) -> None:
        """Remember what a completion was given."""
        self._place, self._given = place, tuple(rows)
