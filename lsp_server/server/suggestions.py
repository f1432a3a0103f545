"""Suggestions that are known already: those that the user is typing, came back to, or that were foreseen.

A suggestion belongs to a state of a document, the text before the cursor and the text after it. While the
user types what it says, the state moves along inside of it, and what is left of it is shown without asking
the model; a backspace moves back. Pure: no clock, no protocol.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["Known", "Suggestions"]

_MOST_SUGGESTIONS: Final = 64
_MOST_CHARACTERS: Final = 8_000_000
"""Of all documents' states together, the same text counted as often as it is kept."""
_CLOSERS: Final = frozenset(")]}>\"'`")
"""What editors put behind the cursor by themselves."""


@dataclass(frozen=True, slots=True)
class Known:
    """A suggestion for a state of a document."""

    id: str
    """The same for all that is left of one suggestion."""
    text: str
    """What is inserted; empty where nothing is to be shown in this state."""
    replaces: int
    """Characters after the cursor that the text takes the place of."""
    n_typed: int = 0
    """Characters of the suggestion that stand before the cursor already."""
    reason: str | None = None
    """Why nothing is shown, where nothing is."""
    was_late: bool = False
    """Whether the index was being made or did not answer in time, or time was over before all was written."""
    n_edits_elsewhere: int = 0
    """As it was asked for; see `CompletionRequest`."""

    def is_outdated(self, n_edits_elsewhere: int) -> bool:
        """Return whether the same place is better asked about again; what is being typed stays as it is."""
        return self.n_typed == 0 and (self.was_late or self.n_edits_elsewhere != n_edits_elsewhere)


@dataclass(frozen=True, slots=True)
class _State:
    prefix: str
    suffix: str
    known: Known

    @property
    def n_characters(self) -> int:
        return len(self.prefix) + len(self.suffix)


class Suggestions:
    """The last suggestions of one connection's documents, a bounded number of them."""

    def __init__(self, most: int = _MOST_SUGGESTIONS, most_characters: int = _MOST_CHARACTERS) -> None:
        self._most = most
        self._most_characters = most_characters
        self._n_characters = 0
        self._states: OrderedDict[tuple[str, str], _State] = OrderedDict()  # used last: last

    def keep(self, uri: str, prefix: str, suffix: str, known: Known) -> None:
        """Remember what was found for a state; nothing to show is remembered too."""
        self._drop((uri, known.id))
        self._states[uri, known.id] = state = _State(prefix, suffix, known)
        self._n_characters += state.n_characters
        while len(self._states) > self._most or self._n_characters > self._most_characters > 0:
            self._drop(next(iter(self._states)))

    def find(self, uri: str, prefix: str, suffix: str) -> Known | None:
        """Return what is left of the latest suggestion that this state lies in, None if there is none."""
        for key in reversed(self._states):
            if key[0] != uri:
                continue
            state = self._states[key]
            left = _left_of(state, prefix, suffix)
            if left is not None:
                self._states.move_to_end(key)
                return left
        return None

    def forget(self, uri: str | None = None) -> None:
        """Forget the suggestions of a document, or all."""
        for key in [key for key in self._states if uri in {None, key[0]}]:
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        state = self._states.pop(key, None)
        if state is not None:
            self._n_characters -= state.n_characters


def _left_of(state: _State, prefix: str, suffix: str) -> Known | None:
    """Return what is left of a suggestion in a later state of its document, None if that differs."""
    known, n_typed = state.known, len(prefix) - len(state.prefix)
    if not 0 <= n_typed < max(1, len(known.text)):
        return None
    typed = prefix[len(state.prefix) :]
    if not known.text.startswith(typed):
        return None
    added = len(suffix) - len(state.suffix)
    if added < 0 or not (prefix.startswith(state.prefix) and suffix.endswith(state.suffix)):
        return None
    closers = suffix[:added]
    left = known.text[n_typed:]
    if closers and not (typed and _CLOSERS.issuperset(closers) and _closes(left, closers)):
        return None
    return replace(known, text=left, replaces=known.replaces + added, n_typed=n_typed)


def _closes(left: str, closers: str) -> bool:
    """Return whether the rest of a suggestion writes what the editor put behind the cursor, on its line."""
    return closers in left.partition("\n")[0]
