"""Token healing: exact over bytes, whatever the vocabulary."""

import numpy as np
import pytest
from fake_model import FakeCodec
from hypothesis import given
from hypothesis import strategies as st

from model.healing import allowed, likeliest_cover, remaining_after, split_typed


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [
        (" re", {" ", " r", " re", " ret", " return"}),
        (" ret", {" ", " r", " re", " ret", " return"}),
        (" return", {" ", " r", " re", " ret", " return"}),
        (" returns", {" ", " r", " re", " ret", " return"}),
        ("x", {"x"}),
    ],
)
def test_allowed_are_tokens_that_extend_what_remains_or_begin_it(remaining, expected):
    codec = FakeCodec([" r", " re", " ret", " return", "return", "re"])
    ids = allowed(codec, remaining.encode())
    assert {codec.token_bytes(i).decode() for i in ids} == expected
    assert len(set(ids.tolist())) == len(ids)


def test_a_token_may_end_inside_of_a_character():
    codec = FakeCodec([b" \xe2\x82", "€uro"])
    found = {codec.token_bytes(i) for i in allowed(codec, " €".encode())}
    assert found == {b" ", b" \xe2\x82"}
    assert {codec.token_bytes(i) for i in allowed(codec, b"\xac")} == {b"\xac"}


TEXTS = st.text(alphabet="ab€ü ", min_size=1, max_size=6)


@given(typed=TEXTS, longer=st.sets(TEXTS, max_size=8), data=st.data())
def test_any_allowed_walk_types_exactly_the_typed_bytes_again(typed, longer, data):
    codec = FakeCodec(sorted(longer))
    remaining, written = typed.encode(), b""
    while remaining:
        ids = allowed(codec, remaining)
        assert len(ids), "each single byte is a token, so there is always a way on"
        token = codec.token_bytes(data.draw(st.sampled_from(ids.tolist())))
        assert token
        remaining = remaining_after(remaining, token)
        written += token
    assert written.startswith(typed.encode())


@pytest.mark.parametrize(
    ("line", "head", "typed"),
    [
        ("", "", ""),
        ("foo", "", "foo"),
        ("    ret", "   ", " ret"),
        ("x = fo", "x =", " fo"),
        ("x.fo", "x.", "fo"),
        # The last white space alone: the others keep the indentation in the prompt.
        ("    ", "   ", " "),
        ("\t\t", "\t", "\t"),
        ("x =  ", "x = ", " "),
        ("x\n", "x", "\n"),
        ("größe", "", "größe"),
    ],
)
def test_the_last_pretoken_is_typed_again(line, head, typed):
    assert split_typed(FakeCodec(), line) == (head, typed)


def rows_of(codec, *scores):
    rows = np.full((len(scores), codec.vocab_size), -20.0, np.float32)
    for row, named in zip(rows, scores, strict=True):
        for token, score in named.items():
            row[codec.id_of(token)] = score
    return rows


def test_the_likeliest_cover_is_the_jointly_likeliest():
    codec = FakeCodec([" get", " getattr", "at", "att", "ribute"])
    draft = codec.encode(" getatt")
    assert [codec.token_bytes(i) for i in draft] == [b" get", b"att"]
    # Token by token, ` get` would win; but the model hardly ever goes on from it with `att`.
    rows = rows_of(codec, {" get": 2.0, " getattr": 1.0}, {"x": 5.0, "att": -5.0}, {"ribute": 5.0})
    assert likeliest_cover(codec, b" getatt", draft, rows) == [codec.id_of(" getattr")]
    rows = rows_of(codec, {" get": 2.0, " getattr": -5.0}, {"att": 5.0}, {"ribute": 5.0})
    assert likeliest_cover(codec, b" getatt", draft, rows) == draft


def test_nothing_typed_needs_no_cover():
    codec = FakeCodec()
    assert likeliest_cover(codec, b"", [], rows_of(codec, {"x": 1.0})) == []


@given(typed=TEXTS, longer=st.sets(TEXTS, max_size=8), seed=st.integers(0, 999))
def test_any_cover_types_exactly_the_typed_bytes_again(typed, longer, seed):
    codec = FakeCodec(sorted(longer))
    draft = codec.encode(typed)
    rows = np.random.default_rng(seed).normal(size=(len(draft) + 1, codec.vocab_size)).astype(np.float32)
    cover = likeliest_cover(codec, typed.encode(), draft, rows)
    remaining = typed.encode()
    for token in cover:
        assert token in allowed(codec, remaining)
        remaining = remaining_after(remaining, codec.token_bytes(token))
    assert not remaining
