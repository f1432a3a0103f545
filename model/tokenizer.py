"""Text to token ids and token ids to bytes, with control ids that text can never become.

The only file that imports `tokenizers`. Byte-level BPE as in Qwen2, built without added tokens: also a text
that reads `<|fim_middle|>` is encoded as the plain characters it is made of, and control ids are inserted by
number alone. No normalizer, so that bytes stay the user's. Knows nothing about prompts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Engine

from model.errors import DamagedModelError
from model.types import ControlTokens
from model.vocabulary import PRETOKENIZATION, Vocabulary


class Tokenizer:
    """A vocabulary, its merges, and its tokens' bytes in sorted order for token healing."""

    def __init__(self, engine: Engine, control: ControlTokens) -> None:
        self.control = control
        self._engine = engine
        from_alphabet = {char: byte for byte, char in enumerate(_byte_alphabet())}
        text_tokens = engine.get_vocab(with_added_tokens=False)
        highest = max(max(text_tokens.values(), default=-1), max(control.all_ids, default=-1))
        self.vocab_size: int = highest + 1
        """Ids, control ids and padding included: the width of the logits."""
        translation = str.maketrans({char: chr(byte) for char, byte in from_alphabet.items()})
        self._bytes = [b""] * self.vocab_size
        for token, token_id in text_tokens.items():
            self._bytes[token_id] = token.translate(translation).encode("latin-1")
        ordered = sorted((value, token_id) for token_id, value in enumerate(self._bytes) if value)
        self._sorted_bytes = [value for value, _ in ordered]
        self._sorted_ids = np.array([token_id for _, token_id in ordered], np.int64)

    @classmethod
    def from_file(cls, path: Path, control: ControlTokens) -> Tokenizer:
        """Load what `save_tokenizer` wrote.

        Raises:
            DamagedModelError: The file is missing or does not parse.
        """
        try:
            engine = Engine.from_file(str(path))
        except Exception as error:  # the engine raises bare `Exception` for whatever went wrong
            raise DamagedModelError(
                f"{path} cannot be read as a tokenizer ({error}); pull the model again"
            ) from error
        return cls(engine, control)

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary, control: ControlTokens) -> Tokenizer:
        """Build a tokenizer that was not saved yet."""
        return cls(_engine(vocabulary), control)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, never a control id; lone surrogates are encoded as `?`."""
        ids: list[int] = self._engine.encode(_encodable(text), add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of `ids`, which may begin or end inside a character; control ids have none."""
        return b"".join(self._bytes[token_id] for token_id in ids)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of one token, none for a control id."""
        return self._bytes[token_id]

    def last_pretoken_start(self, text: str) -> int:
        """Return the character index where the last pre-token of `text` begins, 0 for an empty text.

        No merge reaches across it, so whatever is typed next, the ids of the text before it stay the same
        unless what is typed changes where that pre-token begins.
        """
        pieces = self._engine.pre_tokenizer.pre_tokenize_str(_encodable(text))
        return pieces[-1][1][0] if pieces else 0

    def tokens_with_prefix(self, start: bytes) -> npt.NDArray[np.int64]:
        """Return the ids of the tokens whose bytes begin with `start`, itself included, in byte order.

        An empty `start` gives all text tokens. The array must not be written to.
        """
        first = bisect_left(self._sorted_bytes, start)
        after = _first_past(start)
        last = len(self._sorted_bytes) if after is None else bisect_left(self._sorted_bytes, after, first)
        return self._sorted_ids[first:last]

    def tokens_that_are_prefix_of(self, text: bytes) -> npt.NDArray[np.int64]:
        """Return the ids of the tokens that `text` begins with, `text` itself included, shortest first."""
        found = []
        for end in range(1, len(text) + 1):
            start = text[:end]
            at = bisect_left(self._sorted_bytes, start)
            while at < len(self._sorted_bytes) and self._sorted_bytes[at] == start:
                found.append(self._sorted_ids[at])
                at += 1
            if at == len(self._sorted_bytes) or not self._sorted_bytes[at].startswith(start):
                break  # no token goes on from here
        return np.array(found, np.int64)


def save_tokenizer(vocabulary: Vocabulary, path: Path) -> None:
    """Write a tokenizer without added tokens and without a normalizer as tokenizer.json."""
    _engine(vocabulary).save(str(path), pretty=False)


def _engine(vocabulary: Vocabulary) -> Engine:
    engine = Engine(models.BPE(vocab=dict(vocabulary.text_tokens), merges=list(vocabulary.merges)))
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZATION), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    engine.decoder = decoders.ByteLevel()
    return engine


def _encodable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot express, by `?`, one character for one."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _byte_alphabet() -> str:
    """Return the 256 characters that stand for bytes in a byte-level vocabulary, byte 0 first.

    Printable Latin-1 stands for itself; the other bytes are, in their order, the characters from U+0100 on.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return "".join(chr(byte) if byte in visible else chr(0x100 + hidden.index(byte)) for byte in range(256))


def _first_past(start: bytes) -> bytes | None:
    """Return the smallest byte string greater than all that begin with `start`, None if there is none."""
    trimmed = start.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None
