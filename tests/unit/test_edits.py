"""What each kind of edit computes, with a byte tokenizer: as in the bench, and no more than it has to."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_completer import ByteCodec

from indexer.types import RetrievalResult
from lsp_server.completer import Completer, CompletionRequest
from lsp_server.config import Settings
from model.types import DecoderConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
from edits import KINDS, count, idle_model, places

LINE = "    value = call(argument, x)  # {:03}\n"
SUFFIX, FRAME = 300, 2_000
SETTINGS = Settings(
    completion=replace(Settings().completion, prefix_tokens=FRAME, suffix_tokens=SUFFIX, prompt_tokens=4_000)
)
LINES_10, LINES_24, TYPED_24 = 10 * len(LINE), 24 * len(LINE), 24 * len("\n        x = 1")
SMALL = 64
"""The cursor's line, and what stands around it in a prompt."""

MOST = {
    "the same again": 1,
    "a keystroke": 8,
    "a deletion": 8,
    "a word accepted": 16,
    "a line accepted": SMALL,
    "a new line": SMALL,
    "a bracket, closed by the editor": 8,
    "Enter between brackets": SMALL,
    "ten lines written, one by one": SMALL,
    "the 25th line, when the frame is cut": TYPED_24 + SUFFIX + SMALL,
    "the 25th line, after a pause": SMALL,
    "ten lines further up": SUFFIX + SMALL,
    "ten lines further down": LINES_10 + SUFFIX + SMALL,
    "back from there": SMALL,
    "ten lines up, a keystroke there": 8,
    "back down after that edit": LINES_10 + SUFFIX + SMALL,
    "three lines below edited, and back": SUFFIX + SMALL,
    "an import added at the top, and back": SMALL,
    "another function": FRAME + SUFFIX + 2 * SMALL,
    "back from another function": SMALL,
    "another function, after a pause": SMALL,
    "another document": FRAME + SUFFIX + 2 * SMALL,
    "back from another document": SMALL,
}


@pytest.fixture(scope="module")
def counter():
    config = DecoderConfig(1, 1, 1, 1, 1, 1, ByteCodec.vocab_size, 1.0, 1.0, 100_000)
    model, buffer = idle_model(ByteCodec(), config, SETTINGS)
    return Completer(model, SETTINGS), buffer


@pytest.mark.parametrize(("kind", "most"), MOST.items(), ids=MOST.keys())
def test_an_edit_computes_only_what_it_changes(counter, kind, most):
    text = "".join(LINE.format(number) for number in range(400))
    (at,), (other,) = places("a.py", text, 1), places("b.py", text.upper(), 1)
    nothing = RetrievalResult((), (), {}, {})
    request = CompletionRequest("shop", "", "python", "", "", False, lambda _: nothing)
    tokens = count(*counter, KINDS[kind](at, other), request)
    assert 1 <= tokens["prefilled"] <= most


def test_every_kind_of_edit_has_its_limit():
    assert list(MOST) == list(KINDS)
