"""Edits and positions of a document's text, against a model that is slow and plain."""

import random
import re

import pytest

from lsp_server.server.buffer import Position, TextBuffer, n_units

PIECES = ["a", "bc", " ", "\n", "\r", "\r\n", "\t", "é", "語", "\U0001f600", "\f", "\u2028", "\x85", "x\ny\r"]
CODEC = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
UNIT_BYTES = {"utf-8": 1, "utf-16": 2, "utf-32": 4}


class PlainText:
    """A text and nothing else: a position is found by walking from the start."""

    def __init__(self, text, encoding):
        self.text = text
        self.encoding = encoding

    def offset(self, position):
        lines = re.split(r"\r\n|\n|\r", self.text)
        if position.line >= len(lines):
            return len(self.text)
        start = 0
        for _ in range(position.line):
            start = re.compile(r"\r\n|\n|\r").search(self.text, start).end()
        units = column = 0
        for character in lines[position.line]:
            units += len(character.encode(CODEC[self.encoding])) // UNIT_BYTES[self.encoding]
            if units > position.character:
                break
            column += 1
        return start + column

    def replace(self, start, end, text):
        first = self.offset(start)
        last = max(first, self.offset(end))
        self.text = self.text[:first] + text + self.text[last:]


@pytest.mark.parametrize("encoding", CODEC)
def test_after_every_edit_the_text_is_the_editors(encoding):
    dice = random.Random(7)

    def some_text(n):
        return "".join(dice.choices(PIECES, k=dice.randrange(n)))

    def some_position(text):
        return Position(dice.randrange(text.count("\n") + text.count("\r") + 3), dice.randrange(12))

    for _ in range(30):
        plain = PlainText(some_text(60), encoding)
        buffer = TextBuffer(plain.text, encoding)
        for _ in range(120):
            start, end = some_position(plain.text), some_position(plain.text)
            text = some_text(6)
            plain.replace(start, end, text)
            buffer.replace(start, end, text)
            assert buffer.text == plain.text
            where = some_position(plain.text)
            assert buffer.split(where) == (
                plain.text[: plain.offset(where)],
                plain.text[plain.offset(where) :],
            )
            assert buffer.n_lines == len(re.split(r"\r\n|\n|\r", plain.text))


@pytest.mark.parametrize(
    ("text", "encoding", "position", "before"),
    [
        ("ab\ncd", "utf-16", (0, 9), "ab"),
        ("ab\r\ncd", "utf-16", (0, 3), "ab"),
        ("ab\rcd", "utf-16", (1, 1), "ab\rc"),
        ("ab\fcd\u2028e\nf", "utf-16", (1, 0), "ab\fcd\u2028e\n"),
        ("ab", "utf-16", (5, 0), "ab"),
        ("", "utf-16", (0, 4), ""),
        ("\U0001f600b", "utf-16", (0, 2), "\U0001f600"),
        ("\U0001f600b", "utf-16", (0, 1), ""),
        ("\U0001f600b", "utf-8", (0, 4), "\U0001f600"),
        ("\U0001f600b", "utf-8", (0, 3), ""),
        ("\U0001f600b", "utf-32", (0, 1), "\U0001f600"),
        ("é=1", "utf-8", (0, 3), "é="),
        ("\tx", "utf-16", (0, 1), "\t"),
        ("ab\n", "utf-16", (1, 0), "ab\n"),
    ],
)
def test_a_position_is_found_in_the_editors_units(text, encoding, position, before):
    assert TextBuffer(text, encoding).split(Position(*position)) == (before, text[len(before) :])


def test_a_carriage_return_and_a_line_feed_that_meet_are_one_line_end():
    buffer = TextBuffer("a\rxb")
    buffer.replace(Position(1, 0), Position(1, 1), "\n")
    assert (buffer.text, buffer.n_lines) == ("a\r\nb", 2)


def test_half_a_character_becomes_a_replacement_character():
    buffer = TextBuffer("a\ud83d")
    buffer.replace(Position(0, 0), Position(0, 1), "\ude00")
    assert buffer.text == "\ufffd\ufffd"


@pytest.mark.parametrize("encoding", CODEC)
def test_a_columns_position_is_located_there(encoding):
    buffer = TextBuffer("x\n\U0001f600é語 b\r\n", encoding)
    for column in range(6):
        assert buffer.locate(buffer.position(1, column)) == (1, column)


@pytest.mark.parametrize(("encoding", "n"), [("utf-8", 7), ("utf-16", 4), ("utf-32", 3)])
def test_lengths_are_counted_in_units(encoding, n):
    assert n_units("a\U0001f600é", encoding) == n
