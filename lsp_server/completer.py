"""One completion, from a cursor to a trace: retrieve, prompt, generate, fit to the file, judge.

Knows neither where settings and models come from nor how a completion is shown. Retrieval that fails
degrades to completing without, and the trace says why.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from indexer.errors import IndexerError
from indexer.scope import ScopeStop
from indexer.syntax import block_opening, parses_as_well, wants_multi_line
from indexer.types import Reason, RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.config import Settings
from lsp_server.trace import CompletionTrace, DefinitionTrace, RequestTrace, SegmentTokens
from model.decode import DecodeOptions, Generation, generate
from model.postprocess import Finished, finish
from model.prompt import Prompt, PromptBudget, PromptDefinition, PromptRequest, build_prompt
from model.types import Decoder, Provider, TokenCodec

Retrieve = Callable[[RetrievalQuery], RetrievalResult]


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A loaded model, ready to complete."""

    name: str
    provider: Provider
    codec: TokenCodec
    decoder: Decoder


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What to complete, and from what."""

    repo_name: str
    path: str
    """Relative to the repository, POSIX."""
    language: str | None
    prefix: str
    suffix: str
    multi_line: bool | None = None
    """None lets the syntax at the cursor decide."""
    retrieve: Retrieve | None = None
    """Asks the repository's index; None completes from the file alone."""


def prompt_budget(settings: Settings) -> PromptBudget:
    """Return how many tokens each part of a prompt may take; a decoder must have room for `total_tokens`."""
    completion, retrieval = settings.completion, settings.retrieval
    definitions_tokens = retrieval.definitions * retrieval.definition_tokens
    return PromptBudget(
        prefix_tokens=completion.prefix_tokens,
        suffix_tokens=completion.suffix_tokens,
        definition_tokens=retrieval.definition_tokens,
        definitions_tokens=definitions_tokens,
        total_tokens=completion.prompt_tokens + definitions_tokens,
    )


class Completer:
    """Completes cursors one after the other with one running model."""

    def __init__(self, model: RunningModel, settings: Settings) -> None:
        self._model = model
        self._settings = settings

    def complete(self, request: CompletionRequest) -> CompletionTrace:
        """Return the completion at a cursor and all that is known of it.

        Nothing that the text or the index does raises here; what is not shown has its reason in the trace.
        """
        clock = _PhaseClock()
        with clock.phase("retrieval"):
            result, notes = self._retrieve(request)
        with clock.phase("prompt"):
            multi_line = request.multi_line
            if multi_line is None:
                multi_line = wants_multi_line(request.language, request.prefix, request.suffix)
            opening = block_opening(request.language, request.prefix) if multi_line else ""
            prompt = self.prompt(request, result.retrieved, opening)
        generation = self._generate(request, prompt, multi_line)
        clock.add(generation.elapsed_ms)
        with clock.phase("finish"):
            finished = finish(
                generation.text, prefix=request.prefix, suffix=request.suffix, language=request.language
            )
            reason = finished.suppressed or _spoiled_syntax(request, finished)
        return CompletionTrace(
            request=_request_trace(request, multi_line),
            text="" if reason else finished.text,
            replaces=0 if reason else finished.n_replaced,
            stop_reason=generation.stop_reason,
            suppression_reason=reason,
            retrieved=_definition_traces(result.retrieved, prompt),
            retrieval_notes=notes,
            tokens=_segment_tokens(prompt, generation),
            n_generated_tokens=len(generation.token_ids),
            first_token_probability=(
                math.exp(generation.log_probabilities[0]) if generation.log_probabilities else None
            ),
            drafts_offered=0,
            drafts_accepted=0,
            phases_ms=clock.phases_ms(),
            model=self._model.name,
            provider=self._model.provider,
        )

    def prompt(self, request: CompletionRequest, retrieved: Sequence[Retrieved], opening: str = "") -> Prompt:
        """Return what the model reads for a cursor, given the definitions that were retrieved for it.

        Args:
            request: The cursor; nothing is retrieved here.
            retrieved: Best first.
            opening: What the completion is to begin with (`indexer.syntax.block_opening`).
        """
        budget = prompt_budget(self._settings)
        definitions = [PromptDefinition(row.definition.path, row.definition.text) for row in retrieved]
        parts = PromptRequest(
            request.repo_name, request.path, request.prefix, request.suffix, definitions, opening
        )
        return build_prompt(self._model.codec, parts, budget)

    def _retrieve(self, request: CompletionRequest) -> tuple[RetrievalResult, tuple[str, ...]]:
        nothing = RetrievalResult((), (), {}, {})
        settings = self._settings.retrieval
        if request.retrieve is None or settings.definitions == 0:
            return nothing, ()
        query = RetrievalQuery(
            path=request.path,
            prefix=request.prefix,
            suffix=request.suffix,
            n=settings.definitions,
            deadline_ms=settings.deadline_ms,
        )
        try:
            result = request.retrieve(query)
        except IndexerError as error:
            return nothing, (f"completed without retrieval: {error}",)
        late = tuple(
            f"{name}: left out, retrieval had taken {settings.deadline_ms} ms already" for name in result.late
        )
        return result, late + tuple(f"{name}: {why}" for name, why in result.unavailable.items())

    def _generate(self, request: CompletionRequest, prompt: Prompt, multi_line: bool) -> Generation:
        settings = self._settings.completion
        options = DecodeOptions(
            max_tokens=settings.max_block_tokens if multi_line else settings.max_line_tokens,
            single_line=not multi_line,
            deadline_ms=settings.deadline_ms,
            n_log_probabilities=1,
        )
        rule = ScopeStop(request.language, request.prefix, request.suffix) if multi_line else None
        return generate(self._model.decoder, self._model.codec, prompt, options=options, stop_rule=rule)


def _spoiled_syntax(request: CompletionRequest, finished: Finished) -> str | None:
    """Return the reason code if inserting the text would make the file parse worse."""
    before = request.prefix + request.suffix
    after = request.prefix + finished.text + request.suffix[finished.n_replaced :]
    return None if parses_as_well(request.language, before, after) else "parses_worse"


def _request_trace(request: CompletionRequest, multi_line: bool) -> RequestTrace:
    line_start = request.prefix.rfind("\n") + 1
    return RequestTrace(
        path=request.path,
        line=request.prefix.count("\n") + 1,
        column=len(request.prefix) - line_start + 1,
        language=request.language,
        multi_line=multi_line,
    )


def _definition_traces(retrieved: Sequence[Retrieved], prompt: Prompt) -> tuple[DefinitionTrace, ...]:
    n_tokens = dict(zip(prompt.definition_ranks, map(len, prompt.definitions), strict=True))
    return tuple(
        DefinitionTrace(
            rank=index + 1,
            path=row.definition.path,
            line=row.definition.span.start_line + 1,
            kind=row.definition.kind,
            qualified_name=row.definition.qualified_name,
            reasons=tuple(map(_reason, row.reasons)),
            score=row.score,
            n_tokens=n_tokens.get(index, 0),
        )
        for index, row in enumerate(retrieved)
    )


def _reason(reason: Reason) -> str:
    return f"{reason.retriever} #{reason.rank}: {reason.detail}"


def _segment_tokens(prompt: Prompt, generation: Generation) -> dict[str, SegmentTokens]:
    """Share the reused tokens out over the segments, which stand in the buffer one after the other."""
    tokens, reused = {}, generation.n_reused_tokens
    for segment, n_tokens in prompt.n_tokens_by_segment.items():
        of_segment = min(reused, n_tokens)
        tokens[segment] = SegmentTokens(computed=n_tokens - of_segment, reused=of_segment)
        reused -= of_segment
    return tokens


class _PhaseClock:
    """Wall time by phase, in the order in which they ran."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._phases_ms: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._phases_ms[name] = (time.perf_counter() - started) * 1e3

    def add(self, phases_ms: Mapping[str, float]) -> None:
        """Take over phases that were timed elsewhere."""
        self._phases_ms.update(phases_ms)

    def phases_ms(self) -> dict[str, float]:
        """Return all phases, and `total`: from the start until now."""
        return self._phases_ms | {"total": (time.perf_counter() - self._started) * 1e3}
