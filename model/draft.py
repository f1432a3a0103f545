"""Drafts: tokens that a completion may go on with, looked up in what stands around it.

What comes next in code was often written before: in the file, in the definitions that were retrieved, in
other uses of the same names, in a suggestion made a keystroke ago. So the end of the text is looked up there,
and what followed it is proposed (as in Inference with Reference, arXiv 2304.04487). The model verifies
proposals in one pass, so a wrong one costs little and changes nothing.

Of the places that share most tokens with the end of the text, the continuation that most of them agree on is
taken, from the nearest of them; how much of it depends on how sure that is, and on how well drafts did
lately. This file does not know the model, nor how proposals are verified.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from model.prompt import Prompt
from model.types import TokenCodec

__all__ = ["Drafts", "Lookup"]

_MATCHED_TOKENS: Final = 6
"""Of the end of the text at most; more tell nothing more."""
_LEAST_PROBABILITY: Final = 0.15
"""That a drafted token is reached and right: a pass over one more token costs some 0.04 of a pass, and each
one that is right saves half of one."""
_EXAMPLE_CHARACTERS: Final = 2_000
_REMEMBERED_TEXTS: Final = 8
_CONTEXT_TOKENS: Final = 32
"""Remembered before a text, to be found by."""
_ROOM_TOKENS: Final = 1_024
_PRIOR_TOKENS: Final = 16.0
_FADING: Final = 0.98
"""How much less an outcome counts than the next one: some fifty count."""


class Drafts:
    """What is drafted from and learned over completions; kept as long as the model is.

    For one completion at a time.
    """

    def __init__(self, codec: TokenCodec) -> None:
        """Know nothing yet.

        Args:
            codec: The model's tokenizer; best one that keeps what it encoded: examples come again.
        """
        self._codec = codec
        self._is_text = np.ones(codec.vocab_size, np.bool_)
        self._is_text[list(codec.control.all_ids)] = False
        self._written: deque[list[int]] = deque(maxlen=_REMEMBERED_TEXTS)
        self._record = _Record()

    def begin(self, prompt: Prompt, examples: Sequence[str] = ()) -> Lookup:
        """Return what drafts the continuation of a prompt.

        What the earlier completions wrote is drafted from too, also where they were cancelled: when the next
        keystroke asks again, most of it is still right.

        Args:
            prompt: Its file and its definitions are looked up in.
            examples: Texts that may hold the same phrases: other uses, recent edits; the likeliest first.
        """
        ranked = sorted(zip(prompt.definition_ranks, prompt.definitions, strict=True), reverse=True)
        runs: list[Sequence[int]] = [
            *(self._codec.encode(text[:_EXAMPLE_CHARACTERS]) for text in reversed(examples)),
            *(ids for _, ids in ranked),
            prompt.frame,
            *self._written,
            prompt.live,
        ]
        written = list(prompt.live[-_CONTEXT_TOKENS:])
        self._written.append(written)
        ids = _joined(runs, self._codec.control.end_of_text)
        return Lookup(self._codec, self._is_text, ids, written, self._record)


class Lookup:
    """Drafts for one completion."""

    def __init__(
        self,
        codec: TokenCodec,
        is_text: npt.NDArray[np.bool_],
        ids: npt.NDArray[np.int32],
        written: list[int],
        record: _Record,
    ) -> None:
        """Look up in `ids`, whose end is the end of the text; see `Drafts.begin`.

        Args:
            codec: The model's tokenizer.
            is_text: Of each id of the vocabulary, whether it is no control id.
            ids: Everything to look up in, runs apart by a control id.
            written: Takes what is accepted.
            record: How well drafts did.
        """
        self._codec = codec
        self._is_text = is_text
        self._ids = ids
        self._n = len(ids)
        self._written = written
        self._record = record
        self._open: list[tuple[int, float | None]] = []
        """Tokens that were proposed last and have no outcome yet, each with the probability that it is right
        if all before it are; None for those that were given."""

    def accept(self, token: int) -> None:
        """Take note of the next token of the text."""
        self._append(token)
        self._written.append(token)
        if self._open:
            drafted, probability = self._open[0]
            is_right = drafted == token
            if probability is not None:
                self._record.add(probability, is_right=is_right)
            self._open = self._open[1:] if is_right else []

    def propose(self, n_most: int, *, start: bytes = b"", after: Sequence[int] = ()) -> list[int]:
        """Return tokens that may come next, none if nothing is likely enough.

        Args:
            n_most: How many at most.
            start: What the first one begins with.
            after: Tokens that stand before them, though they are not accepted yet.
        """
        n = self._n
        for token in after:
            self._append(token)
        allowed = self._beginning_with(start) if start else self._is_text
        found = self._chain(n_most, allowed, is_sure=len(start.strip()) > 1)
        if start and n_most > 0 and not found:
            found = self._word(n_most, allowed)
        self._n = n
        self._open = [*((token, None) for token in after), *found]
        return [token for token, _ in found]

    def _append(self, token: int) -> None:
        if self._n == len(self._ids):
            self._ids = np.concatenate([self._ids, np.empty(_ROOM_TOKENS, np.int32)])
        self._ids[self._n] = token
        self._n += 1

    def _beginning_with(self, start: bytes) -> npt.NDArray[np.bool_]:
        mask = np.zeros_like(self._is_text)
        mask[self._codec.tokens_with_prefix(start)] = True
        return mask

    def _word(self, n_most: int, allowed: npt.NDArray[np.bool_]) -> list[tuple[int, float]]:
        """The nearest token that is allowed, and what follows from it."""
        places = np.flatnonzero(allowed[self._ids[: self._n]])
        if not len(places):
            return []
        token = int(self._ids[places[-1]])
        self._append(token)
        return [(token, 0.5), *self._chain(n_most - 1, self._is_text)]

    def _chain(
        self, n_most: int, allowed: npt.NDArray[np.bool_], *, is_sure: bool = False
    ) -> list[tuple[int, float]]:
        """What followed the end of the text elsewhere, token by token, each with its probability.

        Where the text that is followed ends, the drafted tokens are looked up in turn.

        Args:
            n_most: How many at most.
            allowed: Of each id, whether the first token may be it.
            is_sure: That the first token is known in part, which says as much as another matched one.
        """
        drafted: list[tuple[int, float]] = []
        reached = 1.0
        while len(drafted) < n_most and (best := self._best(allowed, is_sure=is_sure)) is not None:
            place, probability = best
            n_before = len(drafted)
            for token in self._ids[place : min(place + n_most - n_before, self._n)].tolist():
                reached *= probability
                if reached < _LEAST_PROBABILITY:
                    return drafted
                if not self._is_text[token]:
                    break
                drafted.append((token, probability))
                self._append(token)
                probability = 1 - (1 - probability) * 0.75  # each one that is right makes the next one surer
            if len(drafted) == n_before:
                break
            allowed, is_sure = self._is_text, False
        return drafted

    def _best(self, allowed: npt.NDArray[np.bool_], *, is_sure: bool) -> tuple[int, float] | None:
        """The place where the likeliest continuation stands, and how likely its first token is."""
        places, n_matched = self._matches(allowed)
        if not len(places):
            return None
        next_ids = self._ids[places]
        values, counts = np.unique(next_ids, return_counts=True)
        agreed = int(counts.max())
        place = int(places[np.isin(next_ids, values[counts == agreed])][-1])
        n_matched += is_sure
        share = agreed / (len(places) + 1 / n_matched) * (n_matched + 0.3) / (n_matched + 1.1)
        return place, self._record.corrected(share)

    def _matches(self, allowed: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], int]:
        """The places, in order, before which most tokens equal the end of the text, and how many do."""
        ids = self._ids[: self._n]
        places = np.flatnonzero(ids[:-1] == ids[-1]) + 1
        places = places[allowed[ids[places]]]
        n_matched = 1
        while len(places) and n_matched < min(_MATCHED_TOKENS, self._n - 1):
            before = places[places > n_matched] - n_matched - 1
            longer = before[ids[before] == ids[-1 - n_matched]] + n_matched + 1
            if not len(longer):
                break
            places, n_matched = longer, n_matched + 1
        return places, n_matched


class _Record:
    """How often drafted tokens were right, against how often they were expected to be."""

    def __init__(self) -> None:
        self._expected = self._right = _PRIOR_TOKENS

    def add(self, probability: float, *, is_right: bool) -> None:
        """Count an outcome; all before it count less."""
        prior = (1 - _FADING) * _PRIOR_TOKENS
        self._expected = self._expected * _FADING + prior + probability
        self._right = self._right * _FADING + prior + is_right

    def corrected(self, probability: float) -> float:
        """Return a probability as the outcomes have it."""
        return min(0.97, probability * self._right / self._expected)


def _joined(runs: Iterable[Sequence[int]], separator: int) -> npt.NDArray[np.int32]:
    """All runs, one after the other, with a separator before each."""
    parts = chain.from_iterable(((separator,), run) for run in runs)
    return np.concatenate([np.asarray(part, np.int32) for part in parts])
