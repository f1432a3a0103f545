"""Value types and protocols that the files of `model` share.

This file knows no third-party engine: it imports the standard library and numpy only. It does not know
about repositories, grammars or editors either; the two protocols at the end are how their owners reach in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

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

    @property
    def kv_floats_per_token(self) -> int:
        """Keys and values of one token over all layers, in numbers (times 4 for bytes in fp32)."""
        return 2 * self.n_layers * self.n_kv_heads * self.head_dim


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


@dataclass(frozen=True, slots=True)
class StopDecision:
    """Where a stop rule wants the generated text to end.

    `cut` is None to go on; otherwise the number of bytes of the generated text to keep, and stop.
    """

    cut: int | None = None


class StopRule(Protocol):
    """Decides, after each token, whether the text generated so far is complete.

    Implemented with tree-sitter outside of this package; `model` knows no grammar.
    """

    def check(self, generated: bytes) -> StopDecision:
        """Judge `generated`, all bytes after the cursor so far (they may end inside a character)."""
        ...
