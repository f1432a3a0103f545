"""Builds the parts of a `CompletionTrace` from what a completion had in its hands. Decides nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from indexer.types import Reason, Retrieved
from lsp_server.feeding import Fed
from lsp_server.trace import CompletionTrace, DefinitionTrace, RequestTrace, SegmentTokens
from model.prompt import Prompt

__all__ = ["PhaseClock", "cancelled_trace", "definition_traces", "request_trace", "segment_tokens"]


def cancelled_trace(
    request: RequestTrace, phases_ms: Mapping[str, float], *, model: str, provider: str
) -> CompletionTrace:
    """Return the trace of a completion that nobody waits for any more."""
    return CompletionTrace(
        request=request,
        text="",
        replaces=0,
        stop_reason="cancelled",
        suppression_reason="cancelled",
        retrieved=(),
        retrieval_notes=(),
        tokens={},
        n_generated_tokens=0,
        first_token_probability=None,
        drafts_offered=0,
        drafts_accepted=0,
        phases_ms=phases_ms,
        model=model,
        provider=provider,
    )


def request_trace(path: str, language: str | None, prefix: str, *, multi_line: bool) -> RequestTrace:
    """Return what was asked."""
    line_start = prefix.rfind("\n") + 1
    return RequestTrace(
        path=path,
        line=prefix.count("\n") + 1,
        column=len(prefix) - line_start + 1,
        language=language,
        multi_line=multi_line,
    )


def definition_traces(
    given: Sequence[Retrieved], prompt: Prompt, fed: Fed, *, left_out: Sequence[Retrieved] = ()
) -> tuple[DefinitionTrace, ...]:
    """Return what became of each definition: first of those that were given, then of those left out.

    Args:
        given: What the prompt was made with, in that order.
        prompt: With the definitions that fit.
        fed: The prompt as the decoder read it.
        left_out: For want of time to encode them.
    """
    n_tokens = dict(zip(prompt.definition_ranks, map(len, prompt.definitions), strict=True))
    temperatures: dict[int, str | None] = dict(zip(prompt.definition_ranks, fed.temperatures, strict=True))
    temperatures |= {len(given) + index: "left out" for index in range(len(left_out))}
    return tuple(
        DefinitionTrace(
            rank=index + 1,
            path=row.definition.path,
            line=row.definition.span.start_line + 1,
            kind=row.definition.kind,
            qualified_name=row.definition.qualified_name,
            reasons=tuple(map(_reason, row.reasons)),
            score=row.score,
            n_tokens=0 if temperatures.get(index) == "left out" else n_tokens.get(index, 0),
            memory=temperatures.get(index),
        )
        for index, row in enumerate((*given, *left_out))
    )


def segment_tokens(fed: Fed, n_reused: int) -> dict[str, SegmentTokens]:
    """Share the reused tokens out over the segments, which stand in the buffer one after the other."""
    tokens: dict[str, SegmentTokens] = {}
    for segment in fed.segments:
        reused = min(n_reused, segment.n_tokens)
        n_reused -= reused
        new = segment.n_tokens - reused
        computed, copied = (0, new) if segment.is_copied else (new, 0)
        tokens[segment.name] = SegmentTokens(computed=computed, reused=reused, copied=copied)
    return tokens


class PhaseClock:
    """Wall time by phase, in the order in which they ran."""

    def __init__(self) -> None:
        """Begin the first phase, and the total."""
        self._started = time.perf_counter()
        self._phases_ms: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block."""
        started = time.perf_counter()
        yield
        self._phases_ms[name] = (time.perf_counter() - started) * 1e3

    def add(self, phases_ms: Mapping[str, float]) -> None:
        """Take over phases that were timed elsewhere."""
        self._phases_ms.update(phases_ms)

    def take(self, phases_ms: Mapping[str, float], *, out_of: str) -> None:
        """Take over phases that were timed elsewhere, within another phase."""
        self._phases_ms[out_of] -= sum(phases_ms.values())
        self.add(phases_ms)

    def phases_ms(self) -> dict[str, float]:
        """Return all phases, and `total`: from the start until now."""
        return self._phases_ms | {"total": (time.perf_counter() - self._started) * 1e3}


def _reason(reason: Reason) -> str:
    return f"{reason.retriever} #{reason.rank}: {reason.detail}"
