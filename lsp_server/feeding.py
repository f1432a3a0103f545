"""Ways to give a model the definitions that were retrieved: as memories, or pasted into the prompt.

`Memories` is what users get. `Concatenated` is what every other local completer does: it serves models whose
memories are not to be had, and it is what memories are measured against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from lsp_server.config import Settings
from model.memory_bank import MemoryBank, Temperature
from model.prompt import Prompt, PromptBudget
from model.turns import Interruptible, ModelTurns
from model.types import BufferPart, TokenRun

__all__ = ["Concatenated", "Fed", "Feeding", "Memories", "Segment", "prompt_budget"]

_FINISHED_TOKENS: Final = 512
"""Of lines finished since the frame was cut; more than the characters that `frames.py` lets them take."""
_GROWTH_SHARE: Final = 5
"""The part of a frame's lines that is left free where one begins anew: by default some 20 lines."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the decoder's buffer, for the trace."""

    name: Literal["sink", "definitions", "frame", "finished", "live"]
    n_tokens: int
    is_copied: bool = False
    """Whether it comes as memories: what of it is not in the buffer yet is copied and not computed."""


@dataclass(frozen=True, slots=True)
class Fed:
    """A prompt as the decoder reads it."""

    parts: tuple[BufferPart, ...]
    segments: tuple[Segment, ...]
    """In the buffer's order."""
    temperatures: tuple[Temperature | None, ...]
    """Of each of the prompt's definitions; None where it stands in the prompt itself."""


class Feeding(Protocol):
    """A way to feed definitions."""

    def budget(self, settings: Settings) -> PromptBudget:
        """Return how many tokens each part of a prompt may take."""
        ...

    @property
    def turns(self) -> ModelTurns:
        """Who has the model."""
        ...

    @property
    def models(self) -> tuple[Interruptible, ...]:
        """What `feed` runs, to be held with the turn."""
        ...

    def cost_ms(self, sink: Sequence[int], definition: Sequence[int]) -> float:
        """Return about how long it takes until a definition can be fed, 0 if it is at hand. Any thread."""
        ...

    def before_definitions(self, prompt: Prompt) -> tuple[BufferPart, ...]:
        """Return what the decoder is to read first, whatever definitions the prompt will be given."""
        ...

    def feed(self, prompt: Prompt, *, encode_ms: float | None) -> Fed:
        """Return what the decoder is to read.

        Args:
            prompt: With definitions, best first or last as the budget said.
            encode_ms: How long this may take to encode; None: as long as it takes.
        """
        ...

    def leave(self, sink: tuple[int, ...], definitions: Sequence[tuple[int, ...]]) -> None:
        """Have definitions that were not at hand made ready for a later completion.

        Args:
            sink: The repository's, as token ids.
            definitions: Token ids of each, best first.
        """
        ...


def prompt_budget(settings: Settings) -> PromptBudget:
    """Return how many tokens each part of a prompt may take; a decoder must have room for `total_tokens`."""
    completion, retrieval = settings.completion, settings.retrieval
    definitions_tokens = retrieval.definitions * retrieval.definition_tokens
    return PromptBudget(
        prefix_tokens=completion.prefix_tokens,
        growth_tokens=completion.prefix_tokens // _GROWTH_SHARE,
        suffix_tokens=completion.suffix_tokens,
        definition_tokens=retrieval.definition_tokens,
        definitions_tokens=definitions_tokens,
        window_tokens=completion.prompt_tokens,
        finished_tokens=_FINISHED_TOKENS,
        total_tokens=completion.prompt_tokens + _FINISHED_TOKENS + definitions_tokens,
        order="best_first",
    )


class Memories:
    """Definitions are attended to as memories, by the live segment alone."""

    def __init__(
        self,
        bank: MemoryBank,
        memory_tokens: int,
        on_left_out: Callable[[tuple[int, ...], Sequence[tuple[int, ...]]], None] = lambda *_: None,
    ) -> None:
        """Take memories from a bank.

        Args:
            bank: Of the model that completes.
            memory_tokens: Of each memory at most; the positions that are kept for memories.
            on_left_out: Told the sink and the definitions, as token ids, that there was no time to encode.
        """
        self._bank = bank
        self._memory_tokens = memory_tokens
        self._on_left_out = on_left_out

    def budget(self, settings: Settings) -> PromptBudget:
        """Return how many tokens each part of a prompt may take."""
        return prompt_budget(settings)

    @property
    def turns(self) -> ModelTurns:
        """Who has the model: the bank's warmers have it, too."""
        return self._bank.turns

    @property
    def models(self) -> tuple[Interruptible, ...]:
        """The encoder."""
        return self._bank.models

    def cost_ms(self, sink: Sequence[int], definition: Sequence[int]) -> float:
        """Return about how long it takes to encode a definition; 0 if its memory is kept."""
        return self._bank.cost_ms(sink, definition)

    def before_definitions(self, prompt: Prompt) -> tuple[BufferPart, ...]:
        """Return sink, frame and finished lines."""
        return prompt.with_memories((), self._memory_tokens)[:-1]

    def feed(self, prompt: Prompt, *, encode_ms: float | None) -> Fed:
        """Return sink, frame, memories and live segment; what there is no time to encode is left out."""
        recalled = self._bank.recall(prompt.sink, prompt.definitions, encode_ms=encode_ms)
        n_tokens = sum(memory.n_tokens for memory in recalled.memories)
        return Fed(
            prompt.with_memories(recalled.memories, self._memory_tokens),
            (
                Segment("sink", len(prompt.sink)),
                Segment("frame", len(prompt.frame)),
                Segment("finished", prompt.n_finished),
                Segment("definitions", n_tokens, is_copied=True),
                Segment("live", len(prompt.live) - prompt.n_finished),
            ),
            recalled.temperatures,
        )

    def leave(self, sink: tuple[int, ...], definitions: Sequence[tuple[int, ...]]) -> None:
        """Tell whoever encodes ahead."""
        if definitions:
            self._on_left_out(sink, definitions)


class Concatenated:
    """Definitions stand in the prompt, before the file, the best one nearest to it."""

    def budget(self, settings: Settings) -> PromptBudget:
        """Return how many tokens each part of a prompt may take."""
        return replace(prompt_budget(settings), order="best_last")

    def __init__(self) -> None:
        """Share the model with nobody."""
        self._turns = ModelTurns()

    @property
    def turns(self) -> ModelTurns:
        """Who has the model: completions alone."""
        return self._turns

    @property
    def models(self) -> tuple[Interruptible, ...]:
        """Nothing: nothing is encoded."""
        return ()

    def cost_ms(self, sink: Sequence[int], definition: Sequence[int]) -> float:  # noqa: ARG002 - any definition
        """Return 0: nothing is encoded."""
        return 0.0

    def before_definitions(self, prompt: Prompt) -> tuple[BufferPart, ...]:
        """Return the sink."""
        return (TokenRun(prompt.sink, 0),)

    def feed(self, prompt: Prompt, *, encode_ms: float | None) -> Fed:  # noqa: ARG002 - encodes nothing
        """Return the prompt as one run of tokens."""
        return Fed(
            prompt.concatenated(),
            (
                Segment("sink", len(prompt.sink)),
                Segment("definitions", sum(map(len, prompt.definitions))),
                Segment("frame", len(prompt.frame)),
                Segment("finished", prompt.n_finished),
                Segment("live", len(prompt.live) - prompt.n_finished),
            ),
            (None,) * len(prompt.definitions),
        )

    def leave(self, sink: tuple[int, ...], definitions: Sequence[tuple[int, ...]]) -> None:
        """Do nothing: all definitions are at hand."""
