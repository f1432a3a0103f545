"""The last completions with all that it takes to explain them, should somebody ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lsp_server.explain import explained
from lsp_server.feeding import Fed
from lsp_server.trace import CompletionTrace
from model.attribution import attention_on_memories
from model.decode import Generation
from model.prompt import Prompt
from model.types import Decoder, TokenCodec

__all__ = ["Last", "find", "keep"]

_MOST: Final = 3
"""The last suggestion, and what was asked for behind it. Each holds the memories that it attended to."""


@dataclass(frozen=True, slots=True)
class Last:
    """A completion, and what the model was given and wrote."""

    trace: CompletionTrace
    prompt: Prompt
    fed: Fed
    generation: Generation

    def explained(self, decoder: Decoder, codec: TokenCodec) -> CompletionTrace:
        """Return the trace with shares of attention; takes the time of some tokens.

        Args:
            decoder: Whoever calls has it in turn; it is given what it had then.
            codec: The model's.
        """
        attention = attention_on_memories(decoder, self.fed.parts, self.generation.token_ids)
        pairs = zip(self.prompt.definition_ranks, self.fed.temperatures, strict=True)
        ranks = [rank for rank, temperature in pairs if temperature in {"warm", "cold"}]
        tokens = list(map(codec.token_bytes, self.generation.token_ids))
        return explained(self.trace, ranks, attention, tokens)


def keep(kept: tuple[Last, ...], last: Last) -> tuple[Last, ...]:
    """Return what is kept once there is one more: that, and the latest ones that wrote something."""
    written = [one for one in kept if one.trace.text]
    return (*written[-(_MOST - 1) :], last)


def find(kept: tuple[Last, ...], trace: CompletionTrace | None) -> Last | None:
    """Return the completion that a trace tells of, or the last one; None if it is not kept any more."""
    # of one that was foreseen, the trace tells other times
    fits = (one for one in reversed(kept) if trace is None or _what(one.trace) == _what(trace))
    return next(fits, None)


def _what(trace: CompletionTrace) -> tuple[object, str]:
    return trace.request, trace.text
