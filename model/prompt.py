r"""The prompt of one completion, as token ids by segment.

The format is the repository-level one of Qwen2.5-Coder (arXiv 2409.12186, section 3.1), with the cursor's
line moved behind `<|fim_middle|>`: a keystroke then extends the end of the sequence, and the line's last
pre-token is healed (`healing.py`). Segments are kept apart, because they are computed and reused at different
times:

    sink         <|repo_name|>{repository}\n
    definitions  <|file_sep|>{path}\n{code}                          one each
    frame        <|file_sep|>{path}\n<|fim_prefix|>{lines before}<|fim_suffix|>{text after}
    live         <|fim_middle|>{lines finished below the frame}{the cursor's line, healed}

Definitions either stand in the prompt, behind the sink (`concatenated`), or are attended to as memories, and
then by the cursor's line alone (`with_memories`); `BufferPart`s say so to the decoder. Finished lines gain
nothing from memories, and stand before them: other memories then cost a pass over the cursor's line.

Control tokens are inserted by number; text that spells one stays text. This file does not know what retrieval
is, nor the language of the text. Files of any size are cut by characters before anything is tokenized.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from model.healing import split_typed
from model.postprocess import split_closers
from model.types import BufferPart, Memory, TokenCodec, TokenRun

__all__ = [
    "MOST_SINK_TOKENS",
    "Prompt",
    "PromptBudget",
    "PromptDefinition",
    "PromptRequest",
    "add_definitions",
    "build_prompt",
    "definition_ids",
    "sink_ids",
]

_CHARACTERS_PER_TOKEN = (8, 64)
"""How much text is tokenized for a budget: code has 3 to 4 characters a token; the second is tried where the
first, as in long runs of spaces, did not fill the budget."""
_NAME_CHARACTERS = 256
_NAME_TOKENS = 64
MOST_SINK_TOKENS = _NAME_TOKENS + 1
_MOST_TYPED_TOKENS = 16
"""Decoding reads a row of logits for each; one is 0.6 MB at a vocabulary of 150,000."""
_LINE_SHARE = 4
"""The part of a small window that is left free for the cursor's line."""
_N_CONTROL_TOKENS = 5
"""Of sink, frame and live together."""


@dataclass(frozen=True, slots=True)
class PromptDefinition:
    """The source of one retrieved definition."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """What a prompt is made of."""

    repo_name: str
    path: str
    """Of the edited file, as the model is to read it: relative to the repository, POSIX."""
    prefix: str
    """Text before the cursor; the whole file's, of any size."""
    suffix: str
    definitions: Sequence[PromptDefinition] = ()
    """Best first."""
    opening: str = ""
    """What the completion is to begin with: a line break and an indentation where a block is to be filled."""
    n_frame_characters: int | None = None
    """Characters of `prefix`, whole lines, that the frame may show: where they are as for an earlier cursor,
    the frame need not be computed again. None: all lines before the cursor's."""
    frame_start: int | None = None
    """Characters of `prefix`, whole lines, that the frame leaves out, if there is room for the lines behind
    them: a frame that begins where an earlier one did has as much in common with it as their texts have.
    None: it shows as many lines as fit, and leaves room for `growth_tokens`."""
    n_hidden: int | None = None
    """Characters of `suffix` that the frame leaves out. None: closers at the end of the cursor's line."""


@dataclass(frozen=True, slots=True)
class PromptBudget:
    """The most tokens of each part; control tokens count too."""

    prefix_tokens: int = 512
    """Whole lines before the cursor's that the frame shows."""
    growth_tokens: int = 0
    """Of them, a quarter at most, left free where a frame begins anew: so it can be cut again some lines
    further down, and only those lines are computed."""
    suffix_tokens: int = 128
    line_tokens: int = 128
    """Of the cursor's line, from its end."""
    window_tokens: int = 2048
    """Of the whole prompt but definitions and finished lines. The frame leaves room for a long line from the
    start, so that it need not be cut while one is typed."""
    finished_tokens: int = 512
    """Of the lines finished since the frame was cut, the last ones."""
    definition_tokens: int = 192
    """Of each definition, its path included."""
    definitions_tokens: int = 1152
    total_tokens: int = 2048
    """Of the whole prompt, the draft included; 32 at least. Where it is less than the sum of the parts, the
    worst definitions go first, then the earliest lines of the prefix, the latest of the suffix, the names."""
    order: Literal["best_last", "best_first"] = "best_last"
    """How the definitions stand: the best one nearest to the file, or farthest from it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids by segment, and the text around the cursor that decoding looks at."""

    sink: tuple[int, ...]
    definitions: tuple[tuple[int, ...], ...]
    """In the order in which they stand in the prompt."""
    definition_ranks: tuple[int, ...]
    """For each of `definitions`, its index in the request: 0 is the best."""
    frame: tuple[int, ...]
    frame_start: int
    """Characters of the prefix that the frame leaves out."""
    live: tuple[int, ...]
    n_finished: int
    """Of `live`, how many stand before memories: all but the last token of what ends above the cursor's line,
    0 where nothing does. The live segment begins with tokens behind the memories in any case."""
    typed: bytes
    """The end of the cursor's line, after `live`, that decoding types again; of a very long word only the
    end, which may begin inside a character."""
    draft: tuple[int, ...]
    """`typed` as the tokenizer splits it, 16 tokens at most; verified in the prompt's own pass."""
    opening: bytes
    """The generated text begins with these bytes, which stand in `live` and `typed` too."""
    line: bytes
    """The cursor's line up to the cursor."""
    line_above: bytes
    """The last line before the cursor that is not blank, without white space at its end; the cursor's own if
    that is not blank."""
    next_line: bytes
    """The first line after the cursor's that is not blank; empty if there is none."""
    n_lines_before: int
    """That the prompt shows up to the cursor, the cursor's own among them."""
    n_lines_after: int
    """The same from the cursor on."""

    def concatenated(self) -> tuple[BufferPart, ...]:
        """Return all segments as one run of tokens, in which each token sees all that stand before it."""
        ids = [*self.sink, *itertools.chain.from_iterable(self.definitions), *self.frame, *self.live]
        return (TokenRun(tuple(ids), 0),)

    def with_memories(self, memories: Sequence[Memory], memory_tokens: int) -> tuple[BufferPart, ...]:
        """Return sink, frame and live segment, with memories between that the cursor's line alone sees.

        Positions do not depend on the memories: with none, all is as if nothing had been retrieved.

        Args:
            memories: Of this prompt's sink, in any order.
            memory_tokens: Positions that are kept for memories; none is longer.
        """
        above = TokenRun(
            (*self.frame, *self.live[: self.n_finished]), first_position=len(self.sink) + memory_tokens
        )
        line = TokenRun(self.live[self.n_finished :], above.first_position + above.n_tokens)
        return (TokenRun(self.sink, 0), above, *memories, line)


def build_prompt(codec: TokenCodec, request: PromptRequest, budget: PromptBudget | None = None) -> Prompt:
    """Return the prompt for a cursor, within the budget.

    A rest of line that is only closing brackets, quotes and the like stays out of the suffix: editors insert
    it by themselves, and the completion is to decide on it (`postprocess.finish`).

    Args:
        codec: The model's tokenizer.
        request: The text around the cursor and what was retrieved for it.
        budget: How many tokens each part may take; the defaults if None.
    """
    budget = budget or PromptBudget()
    control = codec.control
    line_start = request.prefix.rfind("\n") + 1
    line = _sanitized(request.prefix[max(line_start, len(request.prefix) - budget.line_tokens * 8) :])
    head, draft = _split_line(codec, line + request.opening)
    n_window = min(budget.total_tokens, budget.window_tokens)
    left = max(0, n_window - _N_CONTROL_TOKENS - len(draft))
    head = _last(head, min(budget.line_tokens, left))
    # What a keystroke adds to the line must not take from the frame, which would be computed anew.
    reserved = min(budget.line_tokens + _MOST_TYPED_TOKENS, n_window // _LINE_SHARE)
    left -= max(len(head), min(left, reserved - len(draft)))
    file_name = _last(codec.encode(_name(request.path) + "\n"), min(_NAME_TOKENS, left))
    left -= len(file_name)
    sink = sink_ids(codec, request.repo_name, min(_NAME_TOKENS, left))
    left -= len(sink) - 1
    n_hidden = len(split_closers(request.suffix)[0]) if request.n_hidden is None else request.n_hidden
    suffix = _first_lines(codec, request.suffix[n_hidden:], min(budget.suffix_tokens, left))
    left -= len(suffix)
    frame_end = line_start
    if request.n_frame_characters is not None:
        frame_end = min(request.n_frame_characters, line_start)
    n_others = _N_CONTROL_TOKENS + sum(map(len, (draft, head, file_name, sink[1:], suffix)))
    n_free = max(0, budget.total_tokens - n_others)
    lines = _last_lines(codec, request.prefix[frame_end:line_start], min(budget.finished_tokens, n_free))
    # The tokens are the frame's alone: a kept one shows the same lines however many are finished below it.
    frame_start, prefix = _frame_lines(
        codec,
        request.prefix[:frame_end],
        request.frame_start,
        min(budget.prefix_tokens, left, n_free - len(lines)),
        budget.growth_tokens,
    )
    prompt = Prompt(
        sink=sink,
        definitions=(),
        definition_ranks=(),
        frame=(control.file_sep, *file_name, control.fim_prefix, *prefix, control.fim_suffix, *suffix),
        frame_start=frame_start,
        live=(control.fim_middle, *lines, *head),
        n_finished=len(lines),
        typed=b"".join(map(codec.token_bytes, draft)),
        draft=tuple(draft),
        opening=request.opening.encode(),
        line=line.encode(),
        line_above=_sanitized(request.prefix[-1024:].rstrip().rpartition("\n")[2]).encode(),
        next_line=_next_line(request.suffix).encode(),
        n_lines_before=_n_line_ends(codec, prefix) + _n_line_ends(codec, lines) + 1,
        n_lines_after=_n_line_ends(codec, suffix) + 1,
    )
    return add_definitions(codec, prompt, request.definitions, budget)


def add_definitions(
    codec: TokenCodec, prompt: Prompt, definitions: Sequence[PromptDefinition], budget: PromptBudget
) -> Prompt:
    """Return a prompt that has none yet with the best definitions that fit.

    Args:
        codec: The model's tokenizer.
        prompt: Without definitions.
        definitions: Best first.
        budget: The one that the prompt was made with.
    """
    segments = (prompt.sink, prompt.frame, prompt.live, prompt.draft)
    room = min(budget.definitions_tokens, budget.total_tokens - sum(map(len, segments)))
    chosen: list[tuple[int, tuple[int, ...]]] = []
    for rank, definition in enumerate(definitions):
        ids = definition_ids(codec, definition, budget.definition_tokens)
        if len(ids) > room:
            break
        room -= len(ids)
        chosen.append((rank, ids))
    if budget.order == "best_last":
        chosen.reverse()
    return replace(
        prompt,
        definitions=tuple(ids for _, ids in chosen),
        definition_ranks=tuple(rank for rank, _ in chosen),
    )


def sink_ids(codec: TokenCodec, repo_name: str, n_tokens: int = _NAME_TOKENS) -> tuple[int, ...]:
    """Return the repository's first segment, `n_tokens` long at most but for its control token."""
    return (codec.control.repo_name, *_last(codec.encode(_name(repo_name) + "\n"), n_tokens))


def definition_ids(codec: TokenCodec, definition: PromptDefinition, n_tokens: int) -> tuple[int, ...]:
    """Return a definition as the model reads it: its path and its first lines, `n_tokens` at most."""
    n_name = min(_NAME_TOKENS, max(0, n_tokens // 2 - 1))  # half is the code's, whatever the path
    name = (codec.control.file_sep, *_last(codec.encode(_name(definition.path) + "\n"), n_name))
    return (*name, *_first_lines(codec, definition.text.rstrip() + "\n", max(0, n_tokens - len(name))))


def _split_line(codec: TokenCodec, line: str) -> tuple[list[int], list[int]]:
    """The ids of the line that stay in the prompt, and of its end, which decoding types again."""
    head, typed = split_typed(codec, line)
    draft = codec.encode(typed)
    n_kept = max(0, len(draft) - _MOST_TYPED_TOKENS)
    return codec.encode(head) + draft[:n_kept], draft[n_kept:]


def _n_line_ends(codec: TokenCodec, ids: Sequence[int]) -> int:
    return sum(codec.token_bytes(token).count(b"\n") for token in ids)


def _last(ids: list[int], n_tokens: int) -> list[int]:
    return ids[max(0, len(ids) - n_tokens) :]


def _first_lines(codec: TokenCodec, text: str, n_tokens: int) -> list[int]:
    """The first lines that fit; cut inside a line where whole lines would leave half of the room unused."""
    ids: list[int] = []
    for per_token in _CHARACTERS_PER_TOKEN:
        n_characters = n_tokens * per_token
        ids = codec.encode(_sanitized(text[:n_characters]))
        if len(text) <= n_characters and len(ids) <= n_tokens:
            return ids
        if len(ids) > n_tokens:
            break
    ids = ids[:n_tokens]
    ends = (i + 1 for i in range(len(ids) - 1, -1, -1) if codec.token_bytes(ids[i]).endswith(b"\n"))
    end = next(ends, 0)
    return ids[:end] if 2 * end >= n_tokens else ids


def _last_lines(codec: TokenCodec, text: str, n_tokens: int) -> list[int]:
    """The last lines of a text that ends with a line, as many as fit; of a last line too long, its end."""
    if n_tokens <= 0:
        return []
    ids: list[int] = []
    for per_token in _CHARACTERS_PER_TOKEN:
        start = max(0, len(text) - n_tokens * per_token)
        ids = codec.encode(_sanitized(text[start:]))
        if start == 0 and len(ids) <= n_tokens:
            return ids
        if len(ids) > n_tokens:
            break
    first = max(0, len(ids) - n_tokens)
    # The token before a cut ends its line; what stands before the first of them is not known.
    starts = (i for i in range(max(first, 1), len(ids)) if codec.token_bytes(ids[i - 1]).endswith(b"\n"))
    return ids[next(starts, first) :]


def _frame_lines(
    codec: TokenCodec, text: str, start: int | None, n_tokens: int, n_growth: int
) -> tuple[int, list[int]]:
    """The lines that a frame shows of a text that ends with a line, and the characters before them."""
    if start is not None and len(text) - start <= max(n_tokens, 0) * _CHARACTERS_PER_TOKEN[-1]:
        ids = codec.encode(_sanitized(text[start:]))
        if len(ids) <= n_tokens:
            return start, ids
    ids = _last_lines(codec, text, n_tokens - min(n_growth, n_tokens // 4))
    start = len(text)
    for _ in range(_n_line_ends(codec, ids)):
        start = text.rfind("\n", 0, start - 1) + 1
    # As it will be encoded from then on: what stands before a text may change where its first tokens end.
    again = codec.encode(_sanitized(text[start:]))
    return start, again if len(again) <= n_tokens else ids


def _next_line(suffix: str) -> str:
    """The first line after the cursor's that is not blank."""
    at = suffix.find("\n")
    while at >= 0:
        end = suffix.find("\n", at + 1)
        line = suffix[at + 1 : end if end >= 0 else len(suffix)][:1024].rstrip()
        if line:
            return _sanitized(line)
        at = end
    return ""


def _name(text: str) -> str:
    """A name on one line, of bearable length."""
    return _sanitized(" ".join(text.split("\n"))[-_NAME_CHARACTERS:])


def _sanitized(text: str) -> str:
    """Text with line feeds as line breaks, without what UTF-8 cannot say or the model never saw."""
    return text.replace("\r\n", "\n").removeprefix("\ufeff").encode("utf-8", "replace").decode()
