"""Value types and protocols that the files of `model` share.

This file knows no third-party engine: it imports the standard library and numpy only. It does not know
about repositories, grammars or editors either; the protocols at the end are how their owners reach in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

Provider = Literal["cpu", "cuda"]
"""An execution provider really in use; what a user may ask for also includes `auto`."""

StopReason = Literal[
    "control_token",  # the model ended its text by itself
    "line_end",  # a single-line completion reached its line's end
    "scope_end",  # the stop rule saw the syntactic scope close
    "repeats_suffix",  # the text began to repeat what follows the cursor
    "repetition",  # the text began to repeat itself
    "deadline",  # the time budget ran out; what was generated until then is kept
    "max_tokens",
    "cancelled",
]


@dataclass(frozen=True, slots=True)
class ControlTokens:
    """Ids of the tokens that text can never become; they are inserted by number."""

    end_of_text: int
    fim_prefix: int
    fim_suffix: int
    fim_middle: int
    repo_name: int
    file_sep: int
    all_ids: tuple[int, ...]
    """Every control id of the vocabulary, those above and the rest (chat, tools, padding). Decoding stops
    at any of them."""


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Sizes of a Qwen2-architecture decoder; all that the graph builder needs besides the weights."""

    n_layers: int
    hidden_size: int
    intermediate_size: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    rope_theta: float
    rms_norm_eps: float
    max_positions: int


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the linear layers of a graph are stored and multiplied.

    `w8a8`: int8 weights with one scale an output channel, activations quantized per row (CPU).
    `w4a16`: 4-bit block weights, fp16 activations (CUDA). `fp32`: the reference.
    """

    scheme: Literal["w8a8", "w4a16", "fp32"]
    weight_bits: int
    """8, or 7 where the processor's u8 x s8 products would saturate (x86 without VNNI)."""
    rotated: bool
    """Whether an orthogonal matrix was folded into the weights (QuaRot, R1; arXiv 2404.00456)."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an installed model folder says of itself (`manifest.json`)."""

    name: str
    format_version: int
    config: DecoderConfig
    control: ControlTokens
    quantization: Quantization
    source: str
    """Where the weights came from: a catalog name, a hub id or a local path."""
    source_sha256: str
    adapter_sha256: str | None
    licence: str
    files: Mapping[str, str] = field(default_factory=dict)
    """File name in the folder -> sha256; `crosslight model verify` checks them."""

    @property
    def model_hash(self) -> str:
        """Identifies weights, adapter and quantization together; keys everything derived from a model."""
        listing = "\n".join(f"{sha256} {name}" for name, sha256 in sorted(self.files.items()))
        return hashlib.sha256(listing.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long operation on models has come.

    `wait`: another process works on the same model; `total` is 0 where the end is not known.
    """

    phase: Literal["wait", "download", "convert", "verify"]
    done: int
    """Bytes, or thousandths of the conversion."""
    total: int
    detail: str
    """For people: the source, the part, the step, the file."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class TokenRun:
    """Tokens at consecutive rotary positions, to be computed after whatever stands before them."""

    token_ids: tuple[int, ...]
    first_position: int

    @property
    def n_tokens(self) -> int:
        """How many entries of the buffer they take."""
        return len(self.token_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """The keys and values of one definition, encoded once, by itself, after the repository's sink.

    All memories of a repository share one range of positions, so any subset of them can be attended to in
    any order. The arrays are never written to once the memory is made.
    """

    key: str
    """From `memory.memory_key`: equal keys mean arrays of the same tokens behind the same sink, computed by
    the same model. They are equal but for what eight bits cost those that were read from the disk."""
    token_ids: tuple[int, ...]
    first_position: int
    """Of the first token; the others follow. The number of the sink's tokens."""
    keys_lhtd: npt.NDArray[np.floating]
    """(layers, key-value heads, tokens, head_dim), with the rotary embedding, in the cache's number type."""
    values_lhtd: npt.NDArray[np.floating]

    @property
    def n_tokens(self) -> int:
        """How many entries of the buffer it takes."""
        return len(self.token_ids)

    @property
    def n_bytes(self) -> int:
        """Of the arrays."""
        return self.keys_lhtd.nbytes + self.values_lhtd.nbytes


BufferPart = TokenRun | Memory
"""What a decoder's buffer is made of: tokens that are computed there, and memories that are copied."""


CHUNK_TOKENS: Final = 256
"""Tokens of a pass at most. Fewer read the weights too often, more no longer fit the processor's caches."""

LogitRows = Literal["last", "all", "none"] | Sequence[int]
"""Of which new tokens the logits are wanted; numbers count from the first new one."""


class StopRule(Protocol):
    """Decides, after each token, whether the text generated so far is complete.

    Implemented with tree-sitter outside of this package; `model` knows no grammar.
    """

    def check(self, generated: bytes) -> int | None:
        """Return how many bytes of `generated` to keep, and stop there; None to go on.

        Args:
            generated: All bytes after the cursor so far; they may end inside a character.
        """
        ...


class TokenCodec(Protocol):
    """What prompts and decoding need of a tokenizer; fakes of it need no vocabulary file."""

    @property
    def control(self) -> ControlTokens:
        """The ids that text never becomes."""
        ...

    @property
    def vocab_size(self) -> int:
        """The number of ids, the width of a row of logits."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`; never a control id, whatever stands in it."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of one token; empty for control ids and unused ids."""
        ...

    def last_pretoken_start(self, text: str) -> int:
        """Return the character index at which the last pre-token of `text` starts."""
        ...

    def tokens_with_prefix(self, start: bytes) -> npt.NDArray[np.int64]:
        """Return the ids of the tokens whose bytes begin with `start`, itself included."""
        ...

    def tokens_that_are_prefix_of(self, text: bytes) -> npt.NDArray[np.int64]:
        """Return the ids of the tokens that `text` begins with, `text` itself included."""
        ...


class Drafter(Protocol):
    """Guesses how one completion goes on; `draft.Lookup` is the real one.

    What it proposes is verified, so it may be wrong in any way: it decides on the time alone.
    """

    def propose(self, n_most: int, *, start: bytes = b"", after: Sequence[int] = ()) -> Sequence[int]:
        """Return tokens that may come next, in their order.

        Args:
            n_most: More are ignored.
            start: What the first one begins with, if it is right.
            after: Tokens that stand before them, though they are not accepted yet.
        """
        ...

    def accept(self, token: int) -> None:
        """Take note of the next token of the text."""
        ...


class Decoder(Protocol):
    """What decoding needs of a running model; `state.DecodeState` is the real one."""

    @property
    def capacity_tokens(self) -> int:
        """How many tokens the buffer has room for."""
        ...

    def reuse(self, parts: Sequence[BufferPart]) -> int:
        """Keep what the buffer and `parts` have in common from the start, and return its length."""
        ...

    def attach(self, memory: Memory) -> None:
        """Append a memory, which all that is appended later attends to."""
        ...

    def extend(
        self,
        token_ids: Sequence[int],
        *,
        logits: LogitRows = "last",
        positions: Sequence[int] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Append tokens and return the logits of the rows that are asked for, shape (rows, vocab).

        Positions go on after the last token's unless given.

        Raises:
            Cancelled: Another thread cancelled the run; passes that were complete stay in the buffer.
        """
        ...

    def offer(self, token_ids: Iterable[int]) -> None:
        """Let rows of logits tell of these tokens, whether the decoder's shortlist has them or not."""
        ...

    def whole_vocabulary(self) -> AbstractContextManager[None]:
        """Let rows of logits tell of all tokens for a while, at a price that users do not pay."""
        ...

    def rewind(self, n_tokens: int) -> None:
        """Shorten the buffer to its first `n_tokens` tokens."""
        ...

    def forget(self) -> None:
        """Empty the buffer, and drop what is kept of what was in it."""
        ...

    def cancel(self) -> None:
        """End the `extend` in progress in another thread, if there is one."""
        ...

    def cancel_turn(self) -> None:
        """End what is in progress, and until `close_turn` whatever begins (`turns.Interruptible`)."""
        ...

    def close_turn(self) -> None:
        """Let what begins now run to its end."""
        ...

    @property
    def query_layers(self) -> tuple[int, ...]:
        """The layers that `extend_with_queries` tells of."""
        ...

    def extend_with_queries(
        self, token_ids: Sequence[int], *, positions: Sequence[int]
    ) -> npt.NDArray[np.floating]:
        """Append a few tokens and return their queries, (layers, tokens, heads, head_dim)."""
        ...

    def keys(self, layer: int) -> npt.NDArray[np.floating]:
        """Return a layer's keys of all tokens in the buffer, (key-value heads, tokens, head_dim)."""
        ...
