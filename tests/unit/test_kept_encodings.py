"""A tokenizer that remembers what it encoded."""

from __future__ import annotations

from fake_model import FakeCodec

from model.kept_encodings import KeptEncodings


class Counting(FakeCodec):
    """Counts what is tokenized."""

    def __init__(self) -> None:
        super().__init__(["    "])
        self.encoded: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.encoded.append(text)
        return super().encode(text)


def test_a_text_is_encoded_once_and_each_caller_owns_its_list():
    counting = Counting()
    codec = KeptEncodings(counting)
    first = codec.encode("    x = 1")
    first.clear()
    assert codec.encode("    x = 1") == FakeCodec(["    "]).encode("    x = 1")
    assert counting.encoded == ["    x = 1"]


def test_what_was_encoded_long_ago_is_forgotten():
    counting = Counting()
    codec = KeptEncodings(counting)
    for number in range(600):
        codec.encode(f"{number}")
        codec.encode("kept in use")
    codec.encode("0")
    assert counting.encoded.count("0") == 2
    assert counting.encoded.count("kept in use") == 1


def test_all_else_is_the_tokenizers_own():
    counting = Counting()
    codec = KeptEncodings(counting)
    assert (codec.control, codec.vocab_size) == (counting.control, counting.vocab_size)
    assert codec.token_bytes(256) == b"    "
    assert codec.last_pretoken_start("a b") == 1
    assert list(codec.tokens_with_prefix(b"  ")) == [256]
    assert list(codec.tokens_that_are_prefix_of(b" x")) == [32]
