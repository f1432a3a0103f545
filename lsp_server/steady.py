"""Keeps the definitions of a line as long as no other one matters: a change of them is not free.

Each keystroke is retrieved for anew, and the tail of what comes back changes nearly each time. Attending to
other definitions costs a pass over the live segment, and time to encode those that are not kept. So within a
line what was given stays, until something else is among the best. Knows neither retrievers nor the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from indexer.types import Retrieved

__all__ = ["SteadyDefinitions"]

_DECISIVE: Final = 4
"""Of the best: one of them that was not given yet changes all."""


class SteadyDefinitions:
    """The definitions that were given last, and where."""

    def __init__(self) -> None:
        self._place: tuple[str, str, int] | None = None
        self._given: tuple[Retrieved, ...] = ()

    def forget(self) -> None:
        """Give what is retrieved next."""
        self._place = None

    def choose(
        self, document: tuple[str, str], line: int, retrieved: Sequence[Retrieved]
    ) -> tuple[Retrieved, ...]:
        """Return what was given before in the same line if it will do, or else what was retrieved.

        Args:
            document: What tells documents apart.
            line: The cursor's, by its number.
            retrieved: Best first.
        """
        place = (*document, line)
        given = {row.definition.id: row.definition.content_hash for row in self._given}
        pairs = [(row.definition.id, row.definition.content_hash) for row in retrieved]
        is_known = all(given.get(id_) == content for id_, content in pairs[:_DECISIVE])
        is_current = all(given.get(id_, content) == content for id_, content in pairs)
        if place == self._place and pairs and is_known and is_current:
            return self._given
        self._place, self._given = place, tuple(retrieved)
        return self._given
