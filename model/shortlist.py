"""Which tokens a decoder's own output projection knows, and how those that it does not are chosen after all.

The projection on the whole vocabulary is more than a quarter of what a step over one token reads. Most of its
rows are words of languages that code is not written in. So a decoder for the processor ends with the rows of
a *shortlist*: ids are ranks of merges, and Qwen2's first hundred thousand come from a vocabulary of code and
English, behind which other scripts begin. All single bytes are among them, so any text can be written. The
other rows lie in files of their own, mapped and not read: a prompt's tokens that are not listed are gathered
from there and offered beside the list, so that what stands in the file or in its memories can be written
again as it is. A token that is neither has the logit -inf.

Sums of integer products are exact in floating point while they stay below its mantissa; so the logits that
this file computes are those of the graph's integer operator, to the last bit. It knows numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from model.errors import DamagedModelError
from model.quantize import quantize_rows

__all__ = ["OfferedTokens", "Projection", "Shortlist", "choose_shortlist", "save_projection"]

Float32 = npt.NDArray[np.float32]

_ROWS_FILE: Final = "vocabulary_rows.npy"
_SCALES_FILE: Final = "vocabulary_scales.npy"

_ZERO_POINT: Final = 128
_BLOCK_ROWS: Final = 8192
"""Of the whole projection, how many rows are held as floats at a time."""

_LEAST_SAVED: Final = 0.125
"""Of the vocabulary: a shortlist that saves less is not worth its files."""


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The listed ids: a beginning of the vocabulary, and its end, where the control tokens stand."""

    n_first: int
    """Ids below it are listed."""
    last_from: int
    """Ids from it on are listed."""
    vocab_size: int

    @property
    def n_listed(self) -> int:
        """How many ids are listed."""
        return self.n_first + self.vocab_size - self.last_from

    def rows(self, weight: Float32) -> Float32:
        """Return the listed rows of a projection (vocab, hidden)."""
        return np.concatenate([weight[: self.n_first], weight[self.last_from :]])

    def spread(self, listed: Float32) -> Float32:
        """Return logits of all tokens (rows, vocab), given those of the listed ones (rows, n_listed)."""
        logits = np.empty((len(listed), self.vocab_size), np.float32)
        logits[:, : self.n_first] = listed[:, : self.n_first]
        logits[:, self.n_first : self.last_from] = -np.inf
        logits[:, self.last_from :] = listed[:, self.n_first :]
        return logits

    def unlisted(self, token_ids: Iterable[int]) -> npt.NDArray[np.int64]:
        """Return those of these ids that are not listed, each once, in order."""
        ids = np.fromiter(token_ids, np.int64)
        return np.unique(ids[(ids >= self.n_first) & (ids < self.last_from)])


def choose_shortlist(
    token_bytes: Callable[[int], bytes], control_ids: Iterable[int], vocab_size: int
) -> Shortlist | None:
    """Return the shortlist of a vocabulary, None where it would save little or lack what it must hold.

    The beginning ends where it holds the most tokens of plain ASCII against others: measured over code in
    Python, JavaScript, C and headers, fewer than one token in ten thousand lies behind it, and on the worst
    of them one in two hundred before the prompt's own tokens are counted.

    Args:
        token_bytes: Returns a token's bytes, none for a control token.
        control_ids: All of them; they have to be listed, since decoding ends with them.
        vocab_size: The number of ids.
    """
    texts = [token_bytes(token_id) for token_id in range(vocab_size)]
    balance = np.cumsum([1 if text and text.isascii() else -1 for text in texts])
    n_first = int(balance.argmax()) + 1
    control = set(control_ids)
    last_from = vocab_size
    while last_from > n_first and last_from - 1 in control:
        last_from -= 1
    left_out = range(n_first, last_from)
    if len(left_out) < _LEAST_SAVED * vocab_size:
        return None
    if any(token_id in control or len(texts[token_id]) == 1 for token_id in left_out):
        return None
    return Shortlist(n_first, last_from, vocab_size)


def save_projection(weight: Float32, weight_bits: int, input_scale: np.float32, folder: Path) -> None:
    """Write the whole projection beside a decoder whose graph has the shortlist only.

    Args:
        weight: (vocab, hidden).
        weight_bits: As the decoder's.
        input_scale: What the bytes of normalized rows are multiplied with.
        folder: Exists.

    Raises:
        OSError: A file could not be written.
    """
    values, scales = quantize_rows(weight, weight_bits)
    for name, array in ((_ROWS_FILE, values), (_SCALES_FILE, input_scale * scales)):
        with (folder / name).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
            file.write(array.data)


@dataclass(frozen=True, slots=True, eq=False)
class OfferedTokens:
    """Tokens that may be chosen beside the listed ones, with their rows of the projection."""

    ids: npt.NDArray[np.int64]
    weights: npt.NDArray[np.floating]
    """(ids, hidden): whole numbers."""
    scales: Float32
    """(ids,)"""

    def logits(self, final: npt.NDArray[np.uint8]) -> Float32:
        """Return the logits (rows, ids) of these tokens after final rows (rows, hidden)."""
        centred = final.astype(self.weights.dtype) - _ZERO_POINT
        sums: Float32 = (centred @ self.weights.T).astype(np.float32)
        sums *= self.scales
        return sums


class Projection:
    """A decoder's shortlist, and the rows of all other tokens where they lie on the disk."""

    __slots__ = ("_dtype", "_rows", "_scales", "shortlist")

    def __init__(self, shortlist: Shortlist, folder: Path) -> None:
        """Map what `save_projection` wrote; nothing is read yet.

        Raises:
            DamagedModelError: A file is missing or is not what it should be.
        """
        self.shortlist: Final = shortlist
        try:
            self._rows = np.load(folder / _ROWS_FILE, mmap_mode="r")
            self._scales = np.load(folder / _SCALES_FILE, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise DamagedModelError(
                f"{folder} cannot be read ({error}): run `crosslight model pull --force`"
            ) from error
        if not len(self._rows) == len(self._scales) == shortlist.vocab_size:
            raise DamagedModelError(
                f"{folder} holds a projection of {len(self._rows)} rows: run `crosslight model pull --force`"
            )
        # The largest sum there may be, and the largest up to which all whole numbers are floats.
        fits = self._rows.shape[1] * _ZERO_POINT * 127 < 2**24
        self._dtype = np.float32 if fits else np.float64

    def offer(self, token_ids: Iterable[int], before: OfferedTokens | None) -> OfferedTokens | None:
        """Return the tokens among these that are not listed; `before` itself if they are the same."""
        ids = self.shortlist.unlisted(token_ids)
        if not len(ids):
            return None
        if before is not None and np.array_equal(before.ids, ids):
            return before
        return OfferedTokens(ids, self._rows[ids].astype(self._dtype), self._scales[ids])

    def logits(self, listed: Float32, final: npt.NDArray[np.uint8], offered: OfferedTokens | None) -> Float32:
        """Return logits (rows, vocab) of the listed and the offered tokens, -inf for all others.

        Args:
            listed: Logits of the listed tokens (rows, n_listed), from the graph.
            final: The rows that they were computed from (rows, hidden).
            offered: Other tokens, or None.
        """
        logits = self.shortlist.spread(listed)
        if offered is not None and len(final):
            logits[:, offered.ids] = offered.logits(final)
        return logits

    def all_logits(self, listed: Float32, final: npt.NDArray[np.uint8]) -> Float32:
        """Return logits (rows, vocab) of all tokens: takes a fifth of a second, and is not for users."""
        logits = self.shortlist.spread(listed)
        for start in range(self.shortlist.n_first, self.shortlist.last_from, _BLOCK_ROWS):
            part = slice(start, min(start + _BLOCK_ROWS, self.shortlist.last_from))
            ids = np.arange(part.start, part.stop)
            rows = OfferedTokens(ids, self._rows[part].astype(self._dtype), self._scales[part])
            logits[:, part] = rows.logits(final)
        return logits
