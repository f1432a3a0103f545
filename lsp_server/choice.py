"""Which definitions a completion is given: what matters most, and of the rest what costs nothing.

Each keystroke is retrieved for anew, and what comes back changes nearly each time, while another set costs a
pass over the line, and a definition that no memory is kept of a tenth of a second. So while a line is typed
its definitions stay until another one is among the best; nothing is waited for but a new line's best, all
else is left to be encoded behind; and the places are filled with what is at hand.

Pure but for `DefinitionKeeper`, which remembers what was given. Knows neither retrievers nor the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from indexer.affixes import n_common_at_start
from indexer.types import Retrieved

__all__ = ["Candidate", "Choice", "DefinitionKeeper", "Given", "Place", "Since", "choose", "went_on"]

_DECISIVE: Final = 4
"""Of the best: one of them that is at hand and was not given yet changes the set. A line's first completion
waits for them. While a line is typed none is waited for: one in fifteen that came up first was needed."""

Since = Literal["another line", "the line", "the word"]
"""What goes on since the document's last completion: nothing, its line, or the word begun there. Once its
first letter told what a word may be, the next ones only bring up others that begin alike: none of 67 was
needed. So within a word only those change the set that were not at hand before. A line that was rewritten, or
into which several words came at once, is another one: nobody looked at what these words bring up."""

_WORD: Final = re.compile(r"\b\w")
_LAST_WORD: Final = re.compile(r"\w+\Z")


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
    """Where a completion is asked for."""

    repo_name: str
    path: str
    line: int
    """By its number."""
    before: str = ""
    """What stands on the line before the cursor."""
    n_edits_elsewhere: int = 0
    """Of other buffers: once one was edited, what the line was given may be gone, or have another text."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the last completion of a document was given: nothing if there was none."""

    rows: tuple[Retrieved, ...] = ()
    since: Since = "another line"
    missed: frozenset[str] = frozenset()
    """The ids of the definitions that it had to go without."""
    is_doubted: bool = False
    """Whether the index has changed since: what it does not return any more may be gone."""


def choose(candidates: Sequence[Candidate], last: Given, *, n: int, encode_ms: float | None) -> Choice:
    """Return which definitions to attend to.

    Args:
        candidates: Best first, more than there are places for.
        last: All of its rows are at hand.
        n: How many places there are.
        encode_ms: How long may be waited; None: as long as the best `n` take.
    """
    given, since = last.rows, last.since
    current = _up_to_date(last, candidates)
    known = {row.definition.id for row in current}
    ready = _ready(candidates, n=n, encode_ms=encode_ms, is_new=since == "another line")
    left_out = tuple(one.row for one in candidates if one.row.definition.id not in ready)
    better = {one.row.definition.id for one in candidates[:_DECISIVE]} & ready - known
    if since == "the word":
        better &= last.missed
    is_full = 2 * len(given) >= min(n, len(ready))  # or there are places to be filled
    is_kept = since != "another line" and candidates and is_full and len(current) == len(given)
    if is_kept and not better:
        return Choice(given, left_out)
    wanted = [one.row for one in candidates[:n] if one.row.definition.id in ready]
    n_empty = min(n, len(candidates)) - len(wanted)
    spare = [row for row in current if row.definition.id not in ready]
    spare += [one.row for one in candidates[n:] if one.row.definition.id in ready]
    return Choice((*wanted, *spare[:n_empty]), left_out)


def went_on(then: str, now: str) -> Since:
    """Return what goes on, by what stood before the cursor at the last completion and what stands there.

    Typed letter by letter, or taken back so, a line goes on; typed faster than it is completed, too, as long
    as no more than one word begins or goes.
    """
    n_alike = n_common_at_start(then, now)
    n_words = sum(1 for text in (then, now) for _ in _WORD.finditer(text, n_alike))
    if n_words > 1:
        return "another line"
    is_longer_or_shorter = n_alike == min(len(then), len(now))
    words = _LAST_WORD.search(then), _LAST_WORD.search(now)
    is_same_word = all(words) and len({word.start() for word in words if word}) == 1
    return "the word" if is_longer_or_shorter and is_same_word else "the line"


def _up_to_date(last: Given, candidates: Sequence[Candidate]) -> list[Retrieved]:
    """Return those of the given that were not retrieved with another text, nor may be gone."""
    texts = {one.row.definition.id: one.row.definition.content_hash for one in candidates}
    if not last.is_doubted:
        texts = {row.definition.id: row.definition.content_hash for row in last.rows} | texts
    return [row for row in last.rows if texts.get(row.definition.id) == row.definition.content_hash]


def _ready(candidates: Sequence[Candidate], *, n: int, encode_ms: float | None, is_new: bool) -> set[str]:
    """Return the ids of the candidates that are at hand, or are waited for."""
    ready, spent_ms = set[str](), 0.0
    for rank, one in enumerate(candidates):
        id_ = one.row.definition.id
        if not one.cost_ms:
            ready.add(id_)
        elif encode_ms is None:
            if rank < n:
                ready.add(id_)
        elif is_new and rank < _DECISIVE and spent_ms + one.cost_ms < encode_ms:
            ready.add(id_)
            spent_ms += one.cost_ms
    return ready


class DefinitionKeeper:
    """What the last completion was given, and where."""

    def __init__(self) -> None:
        """Remember nothing."""
        self.forget()

    def forget(self) -> None:
        """Give what is retrieved next."""
        self._place: Place | None = None
        self._given: tuple[Retrieved, ...] = ()
        self._missed: frozenset[str] = frozenset()
        self._is_doubted = False

    def doubt(self) -> None:
        """Give nothing again that the index does not return any more: it has changed."""
        self._is_doubted = True

    def given_on(self, place: Place) -> tuple[Retrieved, ...] | None:
        """Return what the line was given last, which it is likely to be given again; None if it is new."""
        return None if self._since(place) == "another line" else self._given

    def choose(
        self, place: Place, candidates: Sequence[Candidate], *, n: int, encode_ms: float | None
    ) -> Choice:
        """Return which definitions to attend to; nothing is remembered yet."""
        last = self._place
        is_known = last is not None and (last.repo_name, last.path) == (place.repo_name, place.path)
        since = self._since(place)
        is_doubted = self._is_doubted or (
            last is not None and last.n_edits_elsewhere != place.n_edits_elsewhere
        )
        given = Given(self._given, since, self._missed, is_doubted) if is_known else Given()
        return choose(candidates, given, n=n, encode_ms=encode_ms)

    def keep(self, place: Place, rows: Sequence[Retrieved], missed: Sequence[Retrieved] = ()) -> None:
        """Remember what a completion was given, and what it had to go without."""
        self._place, self._given = place, tuple(rows)
        self._missed = frozenset(row.definition.id for row in missed)
        self._is_doubted = False

    def _since(self, place: Place) -> Since:
        if self._place is None or replace(self._place, before="") != replace(place, before=""):
            return "another line"
        return went_on(self._place.before, place.before)
