"""Drafts change nothing but the time, on the quantized model: the same tokens, text and reason to stop."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import default_model

from indexer.at_cursor import AtCursor
from indexer.scope import ScopeStop
from indexer.syntax import block_opening
from lsp_server import assemble
from lsp_server.config import Settings
from lsp_server.paths import Folders
from model.decode import DecodeOptions, Generation, generate
from model.draft import Drafts
from model.kept_encodings import KeptEncodings
from model.prompt import Prompt, PromptBudget, PromptDefinition, PromptRequest, build_prompt
from model.state import DecodeState
from model.types import Drafter, TokenCodec

ROOT = Path(__file__).parents[2]
FILES = ("model/state.py", "model/postprocess.py", "indexer/retrieve.py", "lsp_server/document.py")
N_LINES, N_BLOCKS = 6, 2
"""Cursors in each file."""
BUDGET = PromptBudget(prefix_tokens=192, suffix_tokens=64, definition_tokens=128)


@dataclass(frozen=True)
class Cursor:
    path: str
    prefix: str
    suffix: str
    is_block: bool


def cursors(path: str) -> Iterator[Cursor]:
    """Places in one of this project's own files: within lines, and behind the headers of functions."""
    draw = random.Random(path)
    text = (ROOT / path).read_text("utf-8")
    starts = [at + 1 for at, character in enumerate(text) if character == "\n"][:-1]
    lines = [(at, text[at : text.index("\n", at)]) for at in starts]
    written = [(at, line) for at, line in lines if len(line.strip()) > 16]
    for at, line in draw.sample(written, N_LINES):
        end = at + draw.randrange(len(line) - len(line.lstrip()), len(line))
        yield Cursor(path, text[:end], text[at + len(line) :], is_block=False)
    headers = [at + len(line) for at, line in lines if "def " in line and line.endswith(":")]
    for end in draw.sample(headers, N_BLOCKS):
        yield Cursor(path, text[:end], text[end:], is_block=True)


@pytest.fixture(scope="module")
def model() -> Iterator[tuple[DecodeState, TokenCodec]]:
    default_model()
    running = assemble.start_model(Folders.of_user(), Settings())
    assert isinstance(running.decoder, DecodeState)
    yield running.decoder, KeptEncodings(running.codec)
    running.close()


class Noise:
    """Proposes tokens of the prompt at random: drafts of all lengths, nearly all of them wrong."""

    def __init__(self, prompt: Prompt) -> None:
        self._draw = random.Random(1)
        self._ids = [*prompt.frame, *prompt.live]

    def propose(self, n_most: int, *, start: bytes = b"", after: Sequence[int] = ()) -> list[int]:
        return self._draw.choices(self._ids, k=self._draw.randrange(n_most + 1))

    def accept(self, token: int) -> None:
        """Learns nothing."""


def completed(
    model: tuple[DecodeState, TokenCodec], cursor: Cursor, prompt: Prompt, drafter: Drafter | None
) -> Generation:
    at_cursor = AtCursor("python", cursor.prefix, cursor.suffix)
    options = DecodeOptions(
        max_tokens=64 if cursor.is_block else 48, single_line=not cursor.is_block, n_log_probabilities=9
    )
    rule = ScopeStop(at_cursor) if cursor.is_block else None
    return generate(*model, prompt, options=options, stop_rule=rule, drafter=drafter)


def told(made: Generation) -> tuple[object, ...]:
    """What drafts must not change, to the last bit."""
    return made.token_ids, made.text, made.stop_reason, made.log_probabilities


@pytest.mark.parametrize("path", FILES)
def test_greedy_output_is_the_same_with_and_without_drafts(
    model: tuple[DecodeState, TokenCodec], path: str
) -> None:
    drafts = Drafts(model[1])
    examples = [(ROOT / one).read_text("utf-8")[:1_500] for one in FILES]
    n_passes = [0, 0]
    n_accepted = 0
    places = list(cursors(path))
    assert len(places) == N_LINES + N_BLOCKS
    for cursor in places:
        opening = block_opening(AtCursor("python", cursor.prefix, cursor.suffix)) if cursor.is_block else ""
        definitions = [PromptDefinition(one, (ROOT / one).read_text("utf-8")[:2_000]) for one in FILES[:2]]
        request = PromptRequest("r", cursor.path, cursor.prefix, cursor.suffix, definitions, opening)
        prompt = build_prompt(model[1], request, BUDGET)
        drafted = completed(model, cursor, prompt, drafts.begin(prompt, examples))
        alone = completed(model, cursor, prompt, None)
        disturbed = completed(model, cursor, prompt, Noise(prompt))
        assert told(drafted) == told(alone), cursor.prefix[-80:]
        assert told(disturbed) == told(alone), cursor.prefix[-80:]
        n_passes[0] += alone.n_passes
        n_passes[1] += drafted.n_passes
        n_accepted += drafted.n_accepted_tokens
    assert n_accepted > 0
    assert n_passes[1] < n_passes[0]
