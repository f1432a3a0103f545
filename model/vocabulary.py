"""Reads the vocabulary of a byte-level BPE tokenizer from a GGUF file or a model folder.

Splits it in two: the tokens that text can become, and the control tokens, which it never can. Knows no
tokenizer engine; `model.tokenizer` makes one out of what is read here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model.errors import ConversionError
from model.gguf_header import read_gguf_header
from model.types import ControlTokens

PRETOKENIZATION: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How all Qwen2 models cut text into pre-tokens, across which no merge reaches."""

_CONTROL_NAMES: Final[Mapping[str, str]] = {
    "end_of_text": "<|endoftext|>",
    "fim_prefix": "<|fim_prefix|>",
    "fim_suffix": "<|fim_suffix|>",
    "fim_middle": "<|fim_middle|>",
    "repo_name": "<|repo_name|>",
    "file_sep": "<|file_sep|>",
}
_GGUF_NORMAL: Final = 1
"""The token type of plain text; others are control, user-defined (added) and unused ones."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a tokenizer is made of."""

    text_tokens: Mapping[str, int]
    """Token in the byte-level alphabet -> id; only those that text can become."""
    merges: tuple[tuple[str, str], ...]
    """In order of priority."""
    control_tokens: Mapping[str, int]
    """Name -> id of every other token that has a name."""


def read_vocabulary(path: Path) -> Vocabulary:
    """Read the vocabulary of a .gguf file, or of a folder with tokenizer.json or vocab.json and merges.txt.

    A folder that holds neither but one .gguf file is read like that file. Normalizers are left out on
    purpose: Qwen's own applies NFC, which would make the bytes others than the user's.

    Raises:
        ConversionError: There is no vocabulary, it does not parse, or it is not Qwen2's kind of BPE.
    """
    try:
        if path.is_file():
            return _from_gguf(path)
        if (path / "tokenizer.json").is_file():
            return _from_tokenizer_json(path / "tokenizer.json")
        if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
            return _from_vocab_and_merges(path)
        gguf_files = sorted(path.glob("*.gguf"))
        if len(gguf_files) == 1:
            return _from_gguf(gguf_files[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConversionError(f"the tokenizer of {path} cannot be read: {error!r}") from error
    raise ConversionError(f"{path} has no tokenizer: it needs tokenizer.json, or vocab.json and merges.txt")


def control_tokens(vocabulary: Vocabulary, vocab_size: int) -> ControlTokens:
    """Name the control ids of a model with `vocab_size` rows of embedding.

    Every id that is not a text token is one, also those without a name that only pad the embedding.

    Raises:
        ConversionError: A token of the fill-in-the-middle format is missing: not a model of code completion.
    """
    missing = [name for name in _CONTROL_NAMES.values() if name not in vocabulary.control_tokens]
    if missing:
        raise ConversionError(
            f"the vocabulary lacks {', '.join(missing)}: the model was not trained to fill in the middle"
        )
    text_ids = set(vocabulary.text_tokens.values())
    if max(text_ids, default=0) >= vocab_size:
        raise ConversionError(f"the vocabulary has ids past the model's {vocab_size} rows of embedding")
    return ControlTokens(
        **{field: vocabulary.control_tokens[name] for field, name in _CONTROL_NAMES.items()},
        all_ids=tuple(i for i in range(vocab_size) if i not in text_ids),
    )


def _from_gguf(path: Path) -> Vocabulary:
    values: Mapping[str, Any] = read_gguf_header(path).metadata
    kind, pre = values.get("tokenizer.ggml.model"), values.get("tokenizer.ggml.pre", "qwen2")
    if (kind, pre) != ("gpt2", "qwen2"):
        raise ConversionError(f"{path} has the tokenizer {kind}/{pre}; supported is gpt2/qwen2")
    tokens, types = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.token_type"]
    pairs = list(zip(tokens, types, strict=True))
    return Vocabulary(
        text_tokens={token: i for i, (token, kind) in enumerate(pairs) if kind == _GGUF_NORMAL},
        merges=tuple(_pair(merge) for merge in values["tokenizer.ggml.merges"]),
        control_tokens={token: i for i, (token, kind) in enumerate(pairs) if kind != _GGUF_NORMAL},
    )


def _from_tokenizer_json(path: Path) -> Vocabulary:
    written: dict[str, Any] = json.loads(path.read_text("utf-8"))
    model = written["model"]
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback") or model.get("ignore_merges"):
        raise ConversionError(f"{path} is not byte-level BPE as Qwen2 has it")
    if PRETOKENIZATION not in _patterns(written.get("pre_tokenizer")):
        raise ConversionError(f"{path} cuts text into pre-tokens in another way than Qwen2")
    added = {token["content"]: int(token["id"]) for token in written.get("added_tokens", [])}
    return Vocabulary(
        text_tokens={token: i for token, i in model["vocab"].items() if token not in added},
        merges=tuple(_pair(merge) for merge in model["merges"]),
        control_tokens=added,
    )


def _from_vocab_and_merges(folder: Path) -> Vocabulary:
    """Read the older layout; added tokens are listed in tokenizer_config.json."""
    vocab: dict[str, int] = json.loads((folder / "vocab.json").read_text("utf-8"))
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    added = {token["content"]: int(i) for i, token in config.get("added_tokens_decoder", {}).items()}
    lines = (folder / "merges.txt").read_text("utf-8").split("\n")
    return Vocabulary(
        text_tokens={token: i for token, i in vocab.items() if token not in added},
        merges=tuple(_pair(line) for line in lines if line and not line.startswith("#version")),
        control_tokens=added,
    )


def _pair(merge: str | list[str]) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


def _patterns(pre_tokenizer: dict[str, Any] | None) -> list[str]:
    """Return the regular expressions by which a pre-tokenizer of tokenizer.json splits."""
    if pre_tokenizer is None:
        return []
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    return [step["pattern"]["Regex"] for step in steps if step.get("type") == "Split"]
