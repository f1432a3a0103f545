"""Merges a low-rank adapter (LoRA, arXiv 2106.09685) into weights, one tensor at a time.

An adapter is a safetensors file with `model.layers.{i}.{module}.lora_A` (rank, in) and `.lora_B` (out, rank)
for any of the linear layers. Its rank and alpha stand in the file's metadata (`r`, `alpha`) or in a .json
file of the same name beside it (`rank`, `alpha`). Either may pin the weights that it was trained on
(`base_sha256`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.errors import ConversionError
from model.safetensors_file import SafetensorsFile
from model.types import DecoderConfig
from model.weights import Weights, tensor_shapes

_PARTS: Final[Mapping[str, str]] = {
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "self_attn.o_proj": "o",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
}
_NAME: Final = re.compile(r"model\.layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])")


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What an adapter says of itself."""

    rank: int
    alpha: float
    base_sha256: str | None
    """Of the weights file that it was trained on, None if it does not say."""

    @property
    def scale(self) -> float:
        """What B·A is multiplied by."""
        return self.alpha / self.rank


def read_adapter_facts(path: Path) -> AdapterFacts:
    """Read rank, alpha and base of the adapter at `path`.

    Raises:
        ConversionError: The file is no adapter, or does not tell its rank and alpha: a guessed scale would
            give a model that is wrong without a sign of it.
    """
    beside = path.with_suffix(".json")
    notes = _notes(beside)
    metadata = SafetensorsFile(path).metadata
    rank, alpha = metadata.get("r", notes.get("rank")), metadata.get("alpha", notes.get("alpha"))
    if rank is None or alpha is None:
        raise ConversionError(
            f"{path} is no low-rank adapter, or does not tell its rank and alpha: they stand in its metadata"
            f" (`r`, `alpha`) or in {beside.name} beside it (`rank`, `alpha`)"
        )
    base = metadata.get("base_sha256", notes.get("base_sha256"))
    try:
        facts = AdapterFacts(int(rank), float(alpha), base)
    except (ValueError, TypeError) as error:
        raise ConversionError(f"the adapter {path} has rank {rank!r} and alpha {alpha!r}") from error
    if facts.rank < 1 or not np.isfinite(facts.alpha):
        raise ConversionError(f"the adapter {path} has rank {facts.rank} and alpha {facts.alpha}")
    return facts


def check_adapter(path: Path, base_sha256: str | None) -> None:
    """Do nothing if an adapter is sound as far as its header tells, and was made for such weights.

    Args:
        path: The adapter.
        base_sha256: Of the weights; None if it is not known yet.

    Raises:
        ConversionError: It is not; the message says why.
    """
    facts = read_adapter_facts(path)
    _factors(SafetensorsFile(path))
    if base_sha256 is not None and facts.base_sha256 not in {None, base_sha256}:
        raise ConversionError(
            f"the adapter {path} was trained for other weights: their sha256 is {facts.base_sha256},"
            f" these have {base_sha256}"
        )


def with_adapter(weights: Weights, adapter: Path) -> Weights:
    """Return the same model with the adapter at `adapter` merged: W + alpha/rank · B·A.

    Merge before rotating or quantizing. Every tensor of the adapter is checked at once.

    Raises:
        ConversionError: The adapter is damaged, or made for a model of other sizes.
    """
    return AdaptedWeights(weights, adapter)


class AdapterFile:
    """An adapter that fits a model; its factors are read when asked for."""

    def __init__(self, path: Path, config: DecoderConfig) -> None:
        """Check every tensor of the adapter at `path`.

        Raises:
            ConversionError: It is damaged, or made for a model of other sizes.
        """
        self.facts: Final = read_adapter_facts(path)
        self._file = SafetensorsFile(path)
        self._factors = _factors(self._file)
        shapes = tensor_shapes(config)
        for target, (a, b) in self._factors.items():
            rank = self.facts.rank
            found = (self._file.shape(b), self._file.shape(a))
            if target not in shapes or found != ((shapes[target][0], rank), (rank, shapes[target][1])):
                raise ConversionError(
                    f"the adapter {path} does not fit this model: {a} and {b} have shapes {found[1]} and"
                    f" {found[0]}, rank {rank}, for a layer of shape {shapes.get(target, 'none')}"
                )

    @property
    def targets(self) -> Collection[str]:
        """The names of the tensors that it changes."""
        return self._factors.keys()

    def factors(self, target: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return A (rank, in) and B (out, rank) of one of the targets."""
        a, b = self._factors[target]
        return self._file.read(a), self._file.read(b)


class AdaptedWeights:
    """What `with_adapter` returns; products are added when a tensor is asked for."""

    def __init__(self, weights: Weights, adapter: Path) -> None:
        self._weights = weights
        self._adapter = AdapterFile(adapter, weights.config)

    @property
    def config(self) -> DecoderConfig:
        """The sizes of the model, which an adapter leaves alone."""
        return self._weights.config

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """Return one tensor; see `Weights.tensor`."""
        weight = self._weights.tensor(name)
        if name in self._adapter.targets:
            a, b = self._adapter.factors(name)
            weight += np.float32(self._adapter.facts.scale) * (b @ a)
        return weight


def adapter_tensor_names(targets: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return our tensor name -> the names that its A and B have in an adapter file."""
    modules = {part: module for module, part in _PARTS.items()}
    names = {}
    for target in targets:
        _, layer, part = target.split(".")
        stem = f"model.layers.{layer}.{modules[part]}"
        names[target] = (f"{stem}.lora_A", f"{stem}.lora_B")
    return names


def _notes(beside: Path) -> dict[str, Any]:
    """Return what the .json file of an adapter says; nothing if there is none."""
    try:
        notes = json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
    except (OSError, ValueError) as error:
        raise ConversionError(f"{beside}, which tells of the adapter, cannot be read: {error}") from error
    if not isinstance(notes, dict):
        raise ConversionError(f"{beside}, which tells of the adapter, holds no JSON object")
    return notes


def _factors(file: SafetensorsFile) -> dict[str, tuple[str, str]]:
    """Return our tensor name -> the names of A and B in the file; every tensor must have its place."""
    found: dict[str, dict[str, str]] = {}
    for name in sorted(file.names):
        match = _NAME.fullmatch(name)
        if match is None or match[2] not in _PARTS:
            raise ConversionError(f"the adapter {file.path} has a tensor that is not understood: {name}")
        found.setdefault(f"layers.{match[1]}.{_PARTS[match[2]]}", {})[match[3]] = name
    single = [names for names in found.values() if len(names) != 2]
    if single or not found:
        lonely = ", ".join(name for names in single for name in names.values()) or "no tensors"
        raise ConversionError(f"the adapter {file.path} is incomplete: {lonely}")
    return {target: (names["A"], names["B"]) for target, names in found.items()}
