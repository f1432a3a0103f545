"""A completion's trace, of which tests change what they are about."""

from __future__ import annotations

from lsp_server.trace import CompletionTrace, DefinitionTrace, RequestTrace


def trace_of(text: str, *, replaces: int = 0, retrieved: tuple[DefinitionTrace, ...] = ()) -> CompletionTrace:
    return CompletionTrace(
        request=RequestTrace("a.py", 1, 1, "python", multi_line=False),
        text=text,
        replaces=replaces,
        stop_reason="line_end",
        suppression_reason=None,
        retrieved=retrieved,
        retrieval_notes=(),
        tokens={},
        n_generated_tokens=1,
        first_token_probability=None,
        drafts_offered=0,
        drafts_accepted=0,
        phases_ms={},
        model="m",
        provider="cpu",
    )
