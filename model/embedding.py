"""Text embeddings from the decoder's own token embeddings, without running the decoder.

A text's vector is the weighted mean of one static vector a token, so embedding is a table look-up and a
small matrix product: a whole repository is embedded in seconds on a CPU, with nothing to download beyond
the model that completes. The table is made once, when a model is imported.

This file does not know what a definition or a query is, nor where vectors are kept.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

VECTORS_FILE = "token_vectors.npy"
"""Name of the table in a model's folder."""

_MAX_TEXT_CHARACTERS = 6_000
"""Longer texts are cut here: beyond some thousand tokens a mean hardly moves."""
_BATCH_TEXTS = 256
_COVARIANCE_ROWS = 16_384
_LEFT_OUT_COMPONENTS = 8
"""The first principal components tell a token's frequency and spelling rather than its meaning."""
_HALF_WEIGHT_RANK = 10_000
"""The id whose token weighs half of what the rarest do."""


class TensorSource(Protocol):
    """Where token embeddings come from; the `Weights` of an importer fit."""

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """Return the tensor of that canonical name; `embed` is (vocab, hidden)."""
        ...


class BatchEncoder(Protocol):
    """What is needed of a tokenizer."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""
        ...


def make_token_vectors(weights: TensorSource, n_dimensions: int = 256) -> npt.NDArray[np.int8]:
    """Distil one static vector a token from a decoder's token embeddings.

    The embeddings are centred, projected on their principal components without the first few, brought to unit
    length and weighted by how rare the token is (Mu and Viswanath 2018, "All-but-the-top"; Arora et al. 2017,
    "A simple but tough-to-beat baseline for sentence embeddings"). Byte-level BPE numbers its merges by
    frequency, so by Zipf's law the rank of an id stands in for a count in a corpus. `bench/embedders.py`
    compares the choices.

    Args:
        weights: Gives `embed`, float32 (vocab, hidden).
        n_dimensions: Length of each vector; at most the hidden size is kept.

    Returns:
        int8 (vocab, n_dimensions); one scale for the whole table, which a normalised mean does not see.
    """
    embeddings = weights.tensor("embed")
    n_tokens = embeddings.shape[0]
    mean = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    basis = _principal_components(embeddings, mean, n_dimensions)
    ranks = np.arange(n_tokens, dtype=np.float32)
    rarity = ranks / (ranks + _HALF_WEIGHT_RANK)
    rarity /= max(float(rarity[-1]), 1e-12)
    vectors = np.empty((n_tokens, basis.shape[1]), dtype=np.int8)
    # A component of a random unit vector has a deviation of 1/sqrt(d); four of them fit into the int8 range.
    scale = 127.0 * math.sqrt(basis.shape[1]) / 4.0
    for start in range(0, n_tokens, _COVARIANCE_ROWS):
        rows = slice(start, start + _COVARIANCE_ROWS)
        projected = (embeddings[rows] - mean) @ basis
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        projected *= rarity[rows, None] * scale / np.maximum(lengths, 1e-12)
        vectors[rows] = np.clip(np.rint(projected), -127, 127).astype(np.int8)
    return vectors


def _principal_components(
    embeddings: npt.NDArray[np.float32], mean: npt.NDArray[np.float32], n_dimensions: int
) -> npt.NDArray[np.float32]:
    """Return the leading eigenvectors of the covariance but the first, (hidden, n_dimensions)."""
    hidden = embeddings.shape[1]
    covariance = np.zeros((hidden, hidden), dtype=np.float64)
    for start in range(0, embeddings.shape[0], _COVARIANCE_ROWS):
        centred = embeddings[start : start + _COVARIANCE_ROWS] - mean
        covariance += centred.T @ centred
    _, eigenvectors = np.linalg.eigh(covariance)
    # As many are left out as the table can spare: a narrow one keeps all it has.
    n_left_out = min(_LEFT_OUT_COMPONENTS, max(0, hidden - n_dimensions))
    kept = eigenvectors[:, ::-1][:, n_left_out : n_left_out + n_dimensions]
    return np.ascontiguousarray(kept, dtype=np.float32)


class StaticEmbedder:
    """Embeds texts as the normalised mean of their tokens' static vectors.

    It fits any consumer that wants `name`, `n_dimensions` and `embed(texts)`. Calls are pure and may come
    from several threads.
    """

    def __init__(self, vectors: npt.NDArray[np.int8], tokenizer: BatchEncoder) -> None:
        self._vectors = vectors
        self._tokenizer = tokenizer
        digest = hashlib.blake2b(np.ascontiguousarray(vectors).data, digest_size=8).hexdigest()
        self._name = f"static-{vectors.shape[1]}-{digest}"

    @classmethod
    def from_folder(cls, folder: Path, tokenizer: BatchEncoder) -> StaticEmbedder:
        """Open the table in a model's folder; `tokenizer` is that model's.

        Raises:
            OSError: The folder has no table.
            ValueError: The file is not a numpy table.
        """
        return cls(np.load(folder / VECTORS_FILE), tokenizer)

    @property
    def name(self) -> str:
        """Identifies the table, so that an index made with another one is embedded anew."""
        return self._name

    @property
    def n_dimensions(self) -> int:
        """The length of each vector."""
        return int(self._vectors.shape[1])

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return vectors of unit length, (len(texts), n_dimensions).

        A text without a token, for instance an empty one, gives zeros: its cosine with anything is 0.
        """
        embedded = np.zeros((len(texts), self.n_dimensions), dtype=np.float32)
        for start in range(0, len(texts), _BATCH_TEXTS):
            batch = [text[:_MAX_TEXT_CHARACTERS] for text in texts[start : start + _BATCH_TEXTS]]
            embedded[start : start + len(batch)] = self._pool(self._tokenizer.encode_batch(batch))
        lengths = np.linalg.norm(embedded, axis=1, keepdims=True)
        embedded /= np.maximum(lengths, 1e-12)
        return embedded

    def _pool(self, token_ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Return the weighted sum of each text's vectors as one product: counts (texts, ids) @ vectors."""
        flat = np.fromiter((i for ids in token_ids for i in ids), dtype=np.int64)
        rows = np.repeat(np.arange(len(token_ids)), [len(ids) for ids in token_ids])
        used, columns = np.unique(flat, return_inverse=True)
        counts = np.zeros((len(token_ids), len(used)), dtype=np.float32)
        np.add.at(counts, (rows, columns), 1.0)
        pooled: npt.NDArray[np.float32] = counts @ self._vectors[used].astype(np.float32)
        return pooled
