"""`CompletionTrace`: what happened in one completion, the same everywhere it is told.

The command line prints it with `--json`; whatever measures or explains completions reads this form. A field
that a completion had no use for is None or empty, never absent, so that readers need no special cases.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TRACE_VERSION = 1


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """What was asked: a place in a file, counted from 1, column in characters."""

    path: str
    line: int
    column: int
    language: str | None
    multi_line: bool


@dataclass(frozen=True, slots=True)
class DefinitionTrace:
    """One definition that was retrieved for this completion, best first."""

    rank: int
    path: str
    line: int
    """Its first line, counted from 1."""
    kind: str
    qualified_name: str
    reasons: tuple[str, ...]
    score: float
    n_tokens: int
    """Tokens of it that the model was given; 0 when it did not fit."""
    attention_share: float | None = None
    """Share of the attention on definitions that this one received, None where it was not measured."""
    memory: str | None = None
    """`warm` when it was attended to as a memory that was kept, `cold` when it was encoded for this
    completion, `left out` when there was no time for that; None when it stood in the prompt, or did not fit
    into it."""


@dataclass(frozen=True, slots=True)
class SourceTrace:
    """The definition that one identifier of the completion attended to most."""

    text: str
    rank: int
    """Of the definition, as in `DefinitionTrace`."""
    share: float
    """Of all attention while the identifier was written, with that on the file and on itself."""


@dataclass(frozen=True, slots=True)
class SegmentTokens:
    """Tokens of one segment of the prompt."""

    computed: int
    reused: int
    """That the decoder's buffer held already."""
    copied: int = 0
    """That came with memories."""


@dataclass(frozen=True, slots=True)
class CompletionTrace:
    """All that is known of one completion."""

    request: RequestTrace
    text: str
    """What is inserted at the cursor; empty when nothing is shown."""
    replaces: int
    """Characters after the cursor that the text takes the place of."""
    stop_reason: str
    suppression_reason: str | None
    """Why nothing is shown; None when something is."""
    retrieved: tuple[DefinitionTrace, ...]
    retrieval_notes: tuple[str, ...]
    """Retrievers that were late or could not answer, with the reason."""
    tokens: Mapping[str, SegmentTokens]
    n_generated_tokens: int
    first_token_probability: float | None
    drafts_offered: int
    drafts_accepted: int
    phases_ms: Mapping[str, float]
    """Wall time by phase, in the order they ran; `total` is the whole completion without loading."""
    model: str
    provider: str
    sources: tuple[SourceTrace, ...] = ()
    """Of the identifiers that were generated, in order; empty unless the completion was explained."""
    is_stopgap: bool = False
    """Whether the index failed or was late, so that the same request may have another answer soon."""
    is_foreseen: bool = False
    """Whether it was computed before it was asked for; the phases but `total` are what that took."""
    version: int = field(default=TRACE_VERSION)

    def to_json(self) -> str:
        """Return the trace as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the trace as plain values, times rounded to microseconds."""
        table = dataclasses.asdict(self)
        table["phases_ms"] = {phase: round(ms, 3) for phase, ms in self.phases_ms.items()}
        return table
