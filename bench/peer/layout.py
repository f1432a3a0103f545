r"""Prompts as llama.vim has llama-server make them for Qwen2.5-Coder, and what it shows of the answer.

llama.vim (autoload/llama.vim: `s:fim_ctx_local`, `llama#fim`, `s:fim_render`) sends the whole lines before
the cursor's as `input_prefix`, the rest of the line and the lines after it as `input_suffix`, extra chunks of
other files as `input_extra`, and the cursor's line up to the cursor as `prompt`. llama-server (`/infill`,
`format_prompt_infill`) makes of that

    <|repo_name|>{repository}\n
    <|file_sep|>{path}\n{chunk}                                          one each
    <|file_sep|>{path}\n<|fim_prefix|>{lines before}{line}<|fim_suffix|>{rest}<|fim_middle|>

although its documentation says that the line comes after `<|fim_middle|>`. Both places are offered here
(`LinePlace`): after the middle, a keystroke leaves the suffix where it is in the cache. The server writes
`myproject` and `filename` for the names of repository and file; here the peer gets the real ones.

Text is never healed, and never becomes a control token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from model.prompt import PromptBudget, PromptDefinition
from model.types import TokenCodec

__all__ = ["N_PREDICT", "Cursor", "LinePlace", "lay_out", "shown", "stops_at_indent"]

N_PREDICT = 128
"""llama.vim's `n_predict`."""

LinePlace = Literal["in_prefix", "after_middle"]

_CHARACTERS_PER_TOKEN = 64
"""More than any token writes but runs of spaces: so much text is tokenized for a budget."""
_NAME_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a file, cut into lines as llama.vim does."""

    lines_before: str
    """Whole lines, each with its end."""
    line: str
    """Up to the cursor."""
    rest: str
    """Of the line."""
    lines_after: tuple[str, ...]

    @classmethod
    def of(cls, prefix: str, suffix: str) -> Cursor:
        """Cut the text around a cursor."""
        prefix, suffix = (text.replace("\r\n", "\n") for text in (prefix, suffix))
        start = prefix.rfind("\n") + 1
        rest, *after = suffix.split("\n")
        return cls(prefix[:start], prefix[start:], rest, tuple(after))

    @property
    def is_blank(self) -> bool:
        """Whether the line holds nothing but white space; the model is then asked for its indentation too."""
        return not (self.line + self.rest).strip()


def lay_out(  # noqa: PLR0913 - the first two and keywords
    codec: TokenCodec,
    cursor: Cursor,
    *,
    repo_name: str,
    path: str,
    definitions: Sequence[PromptDefinition],
    budget: PromptBudget,
    line_place: LinePlace,
) -> list[int]:
    """Return the prompt's token ids, within the budget that Crosslight's own prompt has.

    Args:
        codec: The tokenizer of the peer's weights.
        cursor: Where to complete.
        repo_name: The repository's.
        path: The edited file's, relative to the repository.
        definitions: Given as chunks of other files; best first. The best one stands nearest to the file.
        budget: Tokens of each part.
        line_place: Where the cursor's line goes.
    """
    control = codec.control
    line = [] if cursor.is_blank else codec.encode(cursor.line)[-budget.line_tokens :]
    rest = "" if cursor.is_blank else cursor.rest
    after = "\n".join((rest, *cursor.lines_after))[: budget.suffix_tokens * _CHARACTERS_PER_TOKEN]
    suffix = codec.encode(after)[: budget.suffix_tokens]
    before = cursor.lines_before[-budget.prefix_tokens * _CHARACTERS_PER_TOKEN :]
    prefix = codec.encode(before)[-budget.prefix_tokens :]
    repository = [control.repo_name, *codec.encode(repo_name + "\n")[-_NAME_TOKENS:]]
    file = [control.file_sep, *codec.encode(path + "\n")[-_NAME_TOKENS:], control.fim_prefix, *prefix]
    if line_place == "in_prefix":
        tail = [*line, control.fim_suffix, *suffix, control.fim_middle]
    else:
        tail = [control.fim_suffix, *suffix, control.fim_middle, *line]
    room = min(budget.definitions_tokens, budget.total_tokens - len(repository) - len(file) - len(tail))
    chunks: list[int] = []
    for definition in definitions:
        text = definition.text.rstrip() + "\n"
        name = codec.encode(definition.path + "\n")[-_NAME_TOKENS:]
        chunk = [control.file_sep, *name, *codec.encode(text)][: budget.definition_tokens]
        if len(chunk) + len(chunks) > room:
            break
        chunks = chunk + chunks
    return [*repository, *chunks, *file, *tail]


def stops_at_indent(text: str, n_indent: int) -> str:
    """Return what llama-server keeps under `n_indent`: all before the first later line that is less indented.

    A blank line counts as not indented; 0 keeps everything. llama.vim asks for the cursor's line's own.
    """
    kept, *lines = text.split("\n")
    for line in lines:
        if len(line) - len(line.lstrip(" \t")) < n_indent:
            break
        kept += "\n" + line
    return kept


def shown(text: str, cursor: Cursor) -> str:
    """Return what llama.vim would show at the cursor: nothing where the text repeats what stands there.

    The text is an insertion: what llama.vim appends of the rest of the line stays where it is.
    """
    lines = text.split("\n")
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return ""
    line = cursor.line
    if cursor.is_blank:
        indentation = re.match(r"\s*", lines[0])
        n_there = min(indentation.end() if indentation else 0, len(cursor.line + cursor.rest))
        line, lines[0] = lines[0][:n_there], lines[0][n_there:]
    if _repeats(lines, line, cursor):
        return ""
    inserted = "\n".join(lines)
    return inserted if (inserted + cursor.rest).strip() else ""


def _repeats(lines: list[str], line: str, cursor: Cursor) -> bool:
    """Whether a suggestion says what already stands after the cursor."""
    first, *more = lines
    after = list(cursor.lines_after)
    if not more and first == cursor.rest:
        return True
    if not first and more and more == after[: len(more)]:
        return True
    at = next((index for index, one in enumerate(after) if one.strip()), None)
    if at is None or line + first != after[at]:
        return False
    following = after[at + 1 : at + 1 + len(more)]
    if len(more) == 1:
        return bool(following) and following[0].startswith(more[0])
    return more == following
