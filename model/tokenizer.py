"""Text to token ids and token ids to bytes, with control ids that text can never become.

The only file that imports `tokenizers`. Byte-level BPE as in Qwen2, built without added tokens: also a text
that reads `<|fim_middle|>` is encoded as the plain characters it is made of, and control ids are inserted by
number alone. No normalizer, so that bytes stay the user's. Knows nothing about prompts.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Engine

from model.errors import ConversionError, DamagedModelError
from model.types import ControlTokens
from model.vocabulary import PRETOKENIZATION, Vocabulary

TOKENIZER_FILE: Final = "tokenizer.json"
TABLE_FILE: Final = "token_bytes.npz"
"""The bytes of all text tokens in sorted order, which take longer to work out than to read."""


class Tokenizer:
    """A vocabulary with its merges, and the bytes of its tokens in sorted order for token healing.

    Calls change nothing and may come from several threads.
    """

    def __init__(self, engine: Engine, control: ControlTokens, table: TokenTable) -> None:
        self.control = control
        self._engine = engine
        self._sorted_bytes = table.split()
        self._sorted_ids = table.ids
        self._sorted_ids.flags.writeable = False
        highest = max(int(table.ids.max(initial=-1)), max(control.all_ids, default=-1))
        self.vocab_size: int = highest + 1
        """Ids, control ids and padding included: the width of the logits."""
        self._bytes = [b""] * self.vocab_size
        for token_id, value in zip(table.ids.tolist(), self._sorted_bytes, strict=True):
            self._bytes[token_id] = value

    @classmethod
    def from_file(cls, path: Path, control: ControlTokens) -> Tokenizer:
        """Load what `save_tokenizer` wrote; `path` is the tokenizer.json.

        Raises:
            DamagedModelError: A file is missing or does not parse.
        """
        try:
            engine = Engine.from_file(str(path))
            return cls(engine, control, TokenTable.load(path.with_name(TABLE_FILE)))
        except Exception as error:  # the engine raises bare `Exception` for whatever went wrong
            raise DamagedModelError(
                f"{path} cannot be read as a tokenizer ({error}): run `crosslight model pull --force`"
            ) from error

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary, control: ControlTokens) -> Tokenizer:
        """Build a tokenizer that was not saved."""
        return cls(_engine(vocabulary), control, TokenTable.of(vocabulary))

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, never a control id; lone surrogates are encoded as `?`."""
        ids: list[int] = self._engine.encode(_encodable(text), add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, as `encode` does, on all processors."""
        encodable = [_encodable(text) for text in texts]
        return [found.ids for found in self._engine.encode_batch_fast(encodable, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of `ids`, which may begin or end inside a character; control ids have none."""
        return b"".join(self._bytes[token_id] for token_id in ids)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of one token, none for a control id."""
        return self._bytes[token_id]

    def last_pretoken_start(self, text: str) -> int:
        """Return the character index where the last pre-token of `text` begins, 0 for an empty text.

        No merge reaches across it, and `encode(text[:index])` begins `encode(text)`. So that this holds, the
        index lies one pre-token earlier where the text before it would be cut otherwise if it stood alone: in
        `  1` the blanks are two pre-tokens, and one without the digit.
        """
        starts = self._pretoken_starts(text)
        while starts:
            last = starts.pop()
            if self._pretoken_starts(text[:last]) == starts:
                return last
        return 0

    def _pretoken_starts(self, text: str) -> list[int]:
        return [start for _, (start, _) in self._engine.pre_tokenizer.pre_tokenize_str(_encodable(text))]

    def tokens_with_prefix(self, start: bytes) -> npt.NDArray[np.int64]:
        """Return the ids of the tokens whose bytes begin with `start`, itself included, in byte order.

        An empty `start` gives all text tokens. The array is a view and cannot be written to.
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


@dataclass(frozen=True, slots=True)
class TokenTable:
    """The bytes of all text tokens, sorted, one after the other."""

    joined: bytes
    ends: npt.NDArray[np.int64]
    """Where each token ends in `joined`, (n,)."""
    ids: npt.NDArray[np.int64]
    """(n,)"""

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> TokenTable:
        """Translate a vocabulary from the byte-level alphabet, and sort it."""
        translation = str.maketrans({char: chr(byte) for byte, char in enumerate(byte_alphabet())})
        values = [
            (token.translate(translation).encode("latin-1"), token_id)
            for token, token_id in vocabulary.text_tokens.items()
        ]
        values.sort()
        ends = np.cumsum([len(value) for value, _ in values], dtype=np.int64)
        ids = np.array([token_id for _, token_id in values], np.int64)
        return cls(b"".join(value for value, _ in values), ends, ids)

    @classmethod
    def load(cls, path: Path) -> TokenTable:
        """Read what `save` wrote."""
        with path.open("rb") as file, np.load(file) as arrays:
            return cls(arrays["joined"].tobytes(), arrays["ends"], arrays["ids"])

    def save(self, path: Path) -> None:
        """Write the table; raises `OSError`."""
        with path.open("wb") as file:
            np.savez(file, joined=np.frombuffer(self.joined, np.uint8), ends=self.ends, ids=self.ids)

    def split(self) -> list[bytes]:
        """Return the tokens one by one."""
        ends = self.ends.tolist()
        return [self.joined[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def save_tokenizer(vocabulary: Vocabulary, folder: Path) -> None:
    """Write `tokenizer.json`, without added tokens and without a normalizer, and the token table beside it.

    Raises:
        ConversionError: A token is not written in the byte-level alphabet, or a merge gives no token.
        OSError: A file could not be written.
    """
    try:
        document = json.loads(_engine(vocabulary).to_str())
        table = TokenTable.of(vocabulary)
    except Exception as error:  # the engine raises bare `Exception`
        raise ConversionError(f"the vocabulary is not byte-level BPE: {error}") from error
    # Merges as one text each, the older spelling, load a fifth faster than as pairs.
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    (folder / TOKENIZER_FILE).write_text(json.dumps(document, ensure_ascii=False), "utf-8", newline="\n")
    table.save(folder / TABLE_FILE)


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


def byte_alphabet() -> str:
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
