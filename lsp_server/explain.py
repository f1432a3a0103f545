"""Where a completion came from: the share of attention that each definition received while it was written.

Knows attention as figures a token, and the text that the tokens wrote; how either is computed, others know.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from lsp_server.trace import CompletionTrace, SourceTrace

__all__ = ["explained"]

_KEYWORDS: Final = frozenset(
    {
        *keyword.kwlist,
        *(
            "self",
            "cls",
            "this",
            "super",
            "const",
            "let",
            "var",
            "new",
            "function",
            "export",
            "extends",
            "typeof",
        ),
        *(
            "null",
            "undefined",
            "true",
            "false",
            "void",
            "switch",
            "case",
            "default",
            "public",
            "private",
            "static",
        ),
    }
)
"""Of the commonest languages: nobody asks where these come from."""
_IDENTIFIER: Final = re.compile(rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*")


def explained(
    trace: CompletionTrace,
    ranks: Sequence[int],
    attention_sm: npt.NDArray[np.float32],
    tokens: Sequence[bytes],
) -> CompletionTrace:
    """Return a trace with what each definition and each identifier has to do with the other.

    Args:
        trace: Of the completion.
        ranks: For each memory the index of its definition in the trace.
        attention_sm: (tokens, memories), from `attribution.attention_on_memories`.
        tokens: The bytes that each generated token wrote.
    """
    # Squares, as over heads: tokens that were looked up decide, and not the many that needed no definition.
    totals = np.square(attention_sm, dtype=np.float64).sum(axis=0)
    if not totals.sum() > 0:
        return trace
    shares = dict(zip(ranks, (totals / totals.sum()).tolist(), strict=True))
    retrieved = tuple(
        replace(definition, attention_share=shares.get(index))
        for index, definition in enumerate(trace.retrieved)
    )
    return replace(trace, retrieved=retrieved, sources=tuple(_sources(ranks, attention_sm, tokens)))


def _sources(
    ranks: Sequence[int], attention_sm: npt.NDArray[np.float32], tokens: Sequence[bytes]
) -> list[SourceTrace]:
    """The definition that each identifier attended to most, over the tokens that it consists of."""
    ends = np.cumsum([len(token) for token in tokens[: len(attention_sm)]])
    starts = np.concatenate(([0], ends[:-1]))
    sources = []
    for match in _IDENTIFIER.finditer(b"".join(tokens)):
        name = match.group().decode("utf-8", "replace")
        if name in _KEYWORDS:
            continue
        rows = attention_sm[(ends > match.start()) & (starts < match.end())]
        if not len(rows):
            break  # only the first tokens of a long completion have figures
        of_memory = rows.mean(axis=0)
        best = int(of_memory.argmax())
        sources.append(SourceTrace(name, ranks[best] + 1, float(of_memory[best])))
    return sources
