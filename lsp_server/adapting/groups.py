"""From a site to a training group: what is read at each of its cursors, and what is to be written there.

Each cursor is prompted as `Completer` does it, on what retrieval finds in the repository's index, with its
mistakes. Beyond them, at random: no definitions at all, fewer or more than usual, the needed ones missing,
some of no use. So the model learns to read what helps, and not to be led astray by what does not.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from indexer.at_cursor import AtCursor
from indexer.lexemes import lexemes
from indexer.syntax import block_opening, wants_multi_line
from indexer.types import RetrievalQuery
from lsp_server.adapting.sites import Cursor, Site
from lsp_server.completer import Retrieve
from lsp_server.config import Settings
from lsp_server.evaluation.cases import Case
from lsp_server.evaluation.own_file import without_own_target
from lsp_server.evaluation.subject import language_in
from lsp_server.feeding import prompt_budget
from model.prompt import Prompt, PromptBudget, PromptDefinition, PromptRequest, add_definitions, build_prompt
from model.training.plan import make_plan
from model.training.sequences import KINDS, Branch, Group
from model.types import TokenCodec

__all__ = ["GroupMaker"]

MOST_DEFINITIONS: Final = 24
_MOST_TOKENS: Final = 3_600
"""Of a group; what a pass over it keeps for the backward pass is some 600 KB a token."""
_MOST_TARGET_TOKENS: Final = 192
_MOST_NEW: Final = 4
"""Definitions that a site's later cursors add to those of the earlier ones."""
_NO_DEFINITIONS: Final = 0.12
_WITHOUT_NEEDED: Final = 0.1
_WITH_USELESS: Final = 0.12
_PREFIX_TOKENS: Final = (768, 768, 512, 512, 512, 320, 192, 96)
_SUFFIX_TOKENS: Final = (192, 192, 128, 64)
_AT_HEADER: Final = 0.5
"""How often a block is asked for at the end of the line above it."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one cursor reads and is to write."""

    prompt: Prompt
    memories: tuple[tuple[int, ...], ...]
    ids: tuple[int, ...]
    n_given: int
    kind: int


class GroupMaker:
    """Makes the groups of one repository."""

    def __init__(
        self,
        codec: TokenCodec,
        settings: Settings,
        retrieve: Retrieve,
        useless: Sequence[PromptDefinition],
        *,
        seed: int,
    ) -> None:
        """Make groups.

        Args:
            codec: The model's tokenizer.
            settings: Those that the adapter is trained for.
            retrieve: Asks the repository's index.
            useless: Definitions of the repository, to be given where they are of no use.
            seed: Varies otherwise.
        """
        self._codec = codec
        self._settings = settings
        self._retrieve = retrieve
        self._useless = useless
        self._seed = seed

    def group(self, site: Site) -> Group | None:
        """Return a site's cases as one group; None where none of them can be learnt from."""
        first = site.cursors[0].case
        generator = random.Random(f"{self._seed} {first.id}")  # noqa: S311 - to be repeated
        budget = replace(
            prompt_budget(self._settings),
            prefix_tokens=generator.choice(_PREFIX_TOKENS),
            suffix_tokens=generator.choice(_SUFFIX_TOKENS),
            definitions_tokens=MOST_DEFINITIONS * self._settings.retrieval.definition_tokens,
            total_tokens=1 << 20,
        )
        readings: list[_Reading] = []
        given: dict[PromptDefinition, None] = {}
        for cursor in site.cursors:
            reading = self._read(cursor, budget, generator, given)
            plan = make_plan(_joined([*readings, reading]), self._settings.retrieval.definition_tokens)
            if reading.n_given < len(reading.ids) and len(plan.token_ids) <= _MOST_TOKENS:
                readings.append(reading)
        return _joined(readings) if readings else None

    def _read(
        self,
        cursor: Cursor,
        budget: PromptBudget,
        generator: random.Random,
        given: dict[PromptDefinition, None],
    ) -> _Reading:
        case, opening = _with_opening(cursor.case, generator)
        request = PromptRequest(
            repo_name=case.repo.name,
            path=case.path,
            prefix=case.prefix,
            suffix=case.suffix,
            opening=opening,
            n_frame_characters=cursor.n_frame_characters,
        )
        window = build_prompt(self._codec, request, budget)
        definitions = _near(given, self._definitions(case, window, generator))
        given.update(dict.fromkeys(definitions))
        prompt = add_definitions(self._codec, window, definitions, budget)
        path = self._codec.encode(prompt.typed.decode("utf-8", "replace") + case.target[len(opening) :])
        path = [*path[:_MOST_TARGET_TOKENS], self._codec.control.end_of_text]
        ids = (*prompt.live, *path)
        n_given = len(prompt.live) + _n_typed(self._codec, path, len(prompt.typed))
        if len(path) > _MOST_TARGET_TOKENS:
            ids = ids[:-1]  # it does not end there
        return _Reading(prompt, tuple(sorted(prompt.definitions)), ids, n_given, KINDS.index(case.kind))

    def _definitions(self, case: Case, window: Prompt, generator: random.Random) -> list[PromptDefinition]:
        """Return what retrieval finds for a cursor, or something worse."""
        n = _n_definitions(generator, self._settings.retrieval.definitions)
        if not n:
            return []
        query = RetrievalQuery(
            path=case.path,
            prefix=case.prefix,
            suffix=case.suffix,
            n=n,
            deadline_ms=self._settings.retrieval.deadline_ms,
            visible_lines_before=window.n_lines_before,
            visible_lines_after=window.n_lines_after,
        )
        found = without_own_target(case, self._retrieve)(query).retrieved
        if generator.random() < _WITHOUT_NEEDED:
            names = {one.text for one in lexemes(language_in(case) or "", case.target.encode())}
            found = tuple(row for row in found if row.definition.name.encode() not in names)
        definitions = [PromptDefinition(row.definition.path, row.definition.text) for row in found]
        if generator.random() < _WITH_USELESS and self._useless:
            n_useless = generator.randint(1, max(1, n // 2))
            others = [one for one in self._useless if one.path != case.path]
            drawn = generator.sample(others, min(n_useless, len(others)))
            definitions = [*definitions[: n - len(drawn)], *drawn]
        return definitions


def _near(given: Collection[PromptDefinition], definitions: list[PromptDefinition]) -> list[PromptDefinition]:
    """Return as many definitions, of which only the best few were not given at the site before.

    A pass computes each memory of a group once; so those of low rank give way to others of the same place.
    """
    if not given:
        return definitions
    best = [one for one in definitions if one not in given][:_MOST_NEW]
    kept = [one for one in definitions if one in given or one in best]
    others = [one for one in given if one not in kept]
    return kept + others[: len(definitions) - len(kept)]


def _n_definitions(generator: random.Random, usual: int) -> int:
    """Return how many definitions a cursor is given at most: mostly as many as users have."""
    if generator.random() < _NO_DEFINITIONS:
        return 0
    chance = generator.random()
    if chance < 0.65:
        return usual
    if chance < 0.92:
        return generator.randint(1, max(1, usual - 1))
    return generator.randint(usual, MOST_DEFINITIONS)


def _with_opening(case: Case, generator: random.Random) -> tuple[Case, str]:
    """Return a case, and what its completion is given to begin with; a block's may move to the line above."""
    if case.kind != "block":
        return case, ""
    moved = case
    if generator.random() < _AT_HEADER:
        prefix = case.prefix.rstrip()
        moved = replace(case, prefix=prefix, target=case.prefix[len(prefix) :] + case.target)
    cursor = AtCursor(language_in(moved), moved.prefix, moved.suffix)
    opening = block_opening(cursor) if wants_multi_line(cursor) else ""
    if moved.target.startswith(opening) and (opening or moved is case):
        return moved, opening
    return case, ""


def _n_typed(codec: TokenCodec, path: Sequence[int], n_bytes: int) -> int:
    """Return how many tokens of a path lie within its first bytes, which are typed again."""
    n_tokens = n_here = 0
    for token in path:
        n_here += len(codec.token_bytes(token))
        if n_here > n_bytes or not codec.token_bytes(token):
            break
        n_tokens += 1
    return n_tokens


def _joined(readings: Sequence[_Reading]) -> Group:
    """Return readings of one repository as a group that holds each memory and each frame once."""
    memories = {ids: None for reading in readings for ids in reading.memories}
    frames = {reading.prompt.frame: None for reading in readings}
    memory_at = {ids: index for index, ids in enumerate(memories)}
    frame_at = {ids: index for index, ids in enumerate(frames)}
    branches = [
        Branch(
            frame_at[reading.prompt.frame],
            tuple(memory_at[ids] for ids in reading.memories),
            reading.ids,
            reading.prompt.n_finished,
            reading.n_given,
            reading.kind,
        )
        for reading in readings
    ]
    return Group(readings[0].prompt.sink, tuple(memories), tuple(frames), tuple(branches))
