"""Static embeddings: what the table holds and what pooling does with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from model.embedding import VECTORS_FILE, StaticEmbedder, make_token_vectors


class RandomWeights:
    """Token embeddings with a strong common direction, as real decoders have."""

    def __init__(self, n_tokens: int = 300, hidden: int = 48) -> None:
        rng = np.random.default_rng(7)
        self.embed = (rng.normal(size=(n_tokens, hidden)) + 3.0).astype(np.float32)

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        assert name == "embed"
        return self.embed


class ByteEncoder:
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(text.encode()) for text in texts]


@pytest.fixture
def embedder() -> StaticEmbedder:
    return StaticEmbedder(make_token_vectors(RandomWeights(), 32), ByteEncoder())


def test_vectors_are_small_integers_of_the_asked_width() -> None:
    vectors = make_token_vectors(RandomWeights(), 32)
    assert vectors.dtype == np.int8
    assert vectors.shape == (300, 32)


def test_width_is_at_most_the_hidden_size() -> None:
    assert make_token_vectors(RandomWeights(hidden=16), 256).shape == (300, 16)


def test_common_direction_is_removed() -> None:
    """Without centring, any two tokens of such embeddings have a cosine near 1."""
    vectors = make_token_vectors(RandomWeights(), 32).astype(np.float32)[50:]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert abs(float(cosines[~np.eye(len(unit), dtype=bool)].mean())) < 0.05


def test_rare_tokens_weigh_more() -> None:
    lengths = np.linalg.norm(make_token_vectors(RandomWeights(), 32).astype(np.float32), axis=1)
    assert lengths[250:].mean() > lengths[1:20].mean()


def test_embedding_has_unit_length(embedder: StaticEmbedder) -> None:
    embedded = embedder.embed(["def total(self):", "x", "x" * 20_000])
    assert embedded.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1.0, rtol=1e-5)


def test_empty_text_is_a_zero_vector_and_not_an_error(embedder: StaticEmbedder) -> None:
    assert not embedder.embed([""]).any()
    assert embedder.embed([]).shape == (0, 32)


def test_no_embedding_depends_on_its_batch(embedder: StaticEmbedder) -> None:
    texts = [f"def f{i}(a, b): return {i}" for i in range(600)]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_like_texts_are_near(embedder: StaticEmbedder) -> None:
    query, near, far = embedder.embed(["invoice total", "total invoices", "zzzz####"])
    assert query @ near > query @ far


def test_name_identifies_the_table(tmp_path) -> None:
    vectors = make_token_vectors(RandomWeights(), 32)
    other = vectors.copy()
    other[0, 0] ^= 1
    np.save(tmp_path / VECTORS_FILE, vectors)
    opened = StaticEmbedder.from_folder(tmp_path, ByteEncoder())
    assert opened.name == StaticEmbedder(vectors, ByteEncoder()).name
    assert opened.name != StaticEmbedder(other, ByteEncoder()).name
    assert opened.n_dimensions == 32
