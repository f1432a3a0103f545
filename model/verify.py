"""Logits after each accepted token, several of them from one pass where a draft guessed the tokens right.

A draft is tokens that may come next. They are run together with the last accepted token; as long as the
tokens that are accepted equal them, the next row of logits is there already. Rows do not depend on what else
is in their pass, so drafts change how many passes a text takes and nothing else (greedy verification, as in
speculative decoding, arXiv 2211.17192, section 2). Who drafts, and which tokens are accepted, is not known
here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from model.types import LogitRows

__all__ = ["RowsAhead"]


class RowsAhead:
    """The logits after the last accepted token: computed ahead as long as the draft holds, else by a pass.

    A pass is made only when its row is asked for, so the token that ends a completion costs none.
    """

    def __init__(
        self,
        extend: Callable[[list[int], LogitRows], npt.NDArray[np.float32]],
        rewind: Callable[[int], None],
        draft: Callable[[int], Sequence[int]],
    ) -> None:
        """Go on where `start` says.

        Args:
            extend: Runs tokens behind those that are in the buffer.
            rewind: Shortens the buffer to so many tokens.
            draft: Given how many tokens the buffer will hold, returns those that may come next.
        """
        self.n_offered = self.n_accepted = 0
        """Drafted tokens that were run, and those of them that were accepted."""
        self._extend = extend
        self._rewind = rewind
        self._make_draft = draft
        self._n_tokens = 0
        self._draft: list[int] = []
        self._n_given = 0
        self._pending: int | None = None

    def start(
        self, n_tokens: int, draft: Sequence[int], rows: npt.NDArray[np.float32], *, n_given: int = 0
    ) -> None:
        """Begin behind `n_tokens` tokens, with the rows of the last of them and of each drafted one.

        Args:
            n_tokens: In the buffer before the draft.
            draft: Behind them in the buffer.
            rows: (1 + draft, vocab).
            n_given: The draft's first tokens that are no guess, and not counted as offered.
        """
        self._n_tokens, self._draft, self._rows = n_tokens, list(draft), rows
        self._n_given = n_given
        self.n_offered += len(draft) - n_given

    def current(self) -> npt.NDArray[np.float32]:
        """Return the row after the last accepted token, (vocab,)."""
        if self._pending is not None:
            if self._draft:
                self._rewind(self._n_tokens)
            draft = list(self._make_draft(self._n_tokens + 1))
            self._draft, self._n_given = [], 0  # a pass that fails leaves nothing to rewind
            self._rows = self._extend([self._pending, *draft], "all")
            self._n_tokens += 1
            self._pending = None
            self._draft = draft
            self.n_offered += len(draft)
        row: npt.NDArray[np.float32] = self._rows[0]
        return row

    def accept(self, token: int) -> None:
        """Make `token` the last accepted one."""
        if self._pending is None and self._draft and self._draft[0] == token:
            self._draft = self._draft[1:]
            self._rows = self._rows[1:]
            self._n_tokens += 1
            self.n_accepted += self._n_given <= 0
            self._n_given -= 1
        else:
            self._pending = token
