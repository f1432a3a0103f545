"""Builds a `CompletionTrace` from what a completion had in its hands. Decides nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

from indexer.types import Reason
from lsp_server.feeding import Fed
from lsp_server.requests import CompletionRequest
from lsp_server.retrieving import Decided
from lsp_server.running_model import RunningModel
from lsp_server.trace import CompletionTrace, DefinitionTrace, RequestTrace, SegmentTokens
from lsp_server.writing import Written
from model.postprocess import Finished

__all__ = ["cancelled_trace", "completion_trace", "request_trace"]


def cancelled_trace(
    request: RequestTrace, *, phases_ms: Mapping[str, float], model: RunningModel
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
        model=model.name,
        provider=model.provider,
    )


def completion_trace(  # noqa: PLR0913 - by keyword only
    request: RequestTrace,
    decided: Decided,
    written: Written,
    *,
    finished: Finished,
    suppression_reason: str | None,
    phases_ms: Mapping[str, float],
    model: RunningModel,
) -> CompletionTrace:
    """Return the trace of a completion that came to its end."""
    generation = written.generation
    probabilities = list(map(math.exp, generation.log_probabilities[:1]))
    return CompletionTrace(
        request=request,
        text="" if suppression_reason else finished.text,
        replaces=0 if suppression_reason else finished.n_replaced,
        stop_reason=generation.stop_reason,
        suppression_reason=suppression_reason,
        retrieved=_definition_traces(decided, written),
        retrieval_notes=decided.notes,
        tokens=_segment_tokens(written.fed, written.n_reused),
        n_generated_tokens=len(generation.token_ids),
        first_token_probability=probabilities[0] if probabilities else None,
        drafts_offered=generation.n_drafted_tokens,
        drafts_accepted=generation.n_accepted_tokens,
        phases_ms=phases_ms,
        model=model.name,
        provider=model.provider,
        is_stopgap=decided.is_stopgap,
    )


def request_trace(request: CompletionRequest, *, multi_line: bool) -> RequestTrace:
    """Return what was asked."""
    line_start = request.prefix.rfind("\n") + 1
    return RequestTrace(
        path=request.path,
        line=request.prefix.count("\n") + 1,
        column=len(request.prefix) - line_start + 1,
        language=request.language,
        multi_line=multi_line,
    )


def _definition_traces(decided: Decided, written: Written) -> tuple[DefinitionTrace, ...]:
    """Return what became of each definition: first of those that were given, then of those left out."""
    given, left_out, prompt = decided.choice.rows, decided.missed, written.prompt
    n_tokens = dict(zip(prompt.definition_ranks, map(len, prompt.definitions), strict=True))
    temperatures: dict[int, str | None] = dict(
        zip(prompt.definition_ranks, written.fed.temperatures, strict=True)
    )
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


def _segment_tokens(fed: Fed, n_reused: int) -> dict[str, SegmentTokens]:
    """Share the reused tokens out over the segments, which stand in the buffer one after the other."""
    tokens: dict[str, SegmentTokens] = {}
    for segment in fed.segments:
        reused = min(n_reused, segment.n_tokens)
        n_reused -= reused
        new = segment.n_tokens - reused
        computed, copied = (0, new) if segment.is_copied else (new, 0)
        tokens[segment.name] = SegmentTokens(computed=computed, reused=reused, copied=copied)
    return tokens


def _reason(reason: Reason) -> str:
    return f"{reason.retriever} #{reason.rank}: {reason.detail}"
