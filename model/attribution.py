"""Which memories a completion that was made came from: its tokens are run once more, for their queries.

That costs one pass over the completion's tokens and happens when somebody asks, never on a completion's way.
Rows do not depend on the passes they are computed in, so the queries are those of the completion itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.prefill import prefill
from model.provenance import Span, attention_on_spans
from model.types import CHUNK_TOKENS, BufferPart, Decoder, Memory

__all__ = ["attention_on_memories"]


def attention_on_memories(
    decoder: Decoder, parts: Sequence[BufferPart], token_ids: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Return each generated token's attention on each memory, as `provenance.attention_on_spans` counts it.

    Leaves the prompt and the tokens in the buffer.

    Args:
        decoder: If it still holds the completion, nothing of the prompt is computed again.
        parts: The completion's prompt, as it was decoded.
        token_ids: `Generation.token_ids`; of very many only the first.

    Returns:
        (tokens, memories), the latter in the order of `parts`; each from 0 to 1.
    """
    spans = _spans(parts)
    asked = list(token_ids[:CHUNK_TOKENS])
    if not spans or not asked:
        return np.zeros((len(asked), len(spans)), np.float32)
    n_tokens = prefill(decoder, parts).n_tokens
    decoder.rewind(n_tokens - 1)
    last = parts[-1]
    # The prompt's last token chose the first that was generated; the last of those has chosen nothing yet.
    ids = [last.token_ids[-1], *asked[:-1]]
    position = last.first_position + last.n_tokens - 1
    queries = decoder.extend_with_queries(ids, positions=range(position, position + len(ids)))
    keys = [decoder.keys(layer) for layer in decoder.query_layers]
    return attention_on_spans(queries, keys, range(n_tokens, n_tokens + len(asked)), spans)


def _spans(parts: Sequence[BufferPart]) -> list[Span]:
    """The entries of each memory, with the control token that opens it: it draws next to nothing."""
    spans, at = [], 0
    for part in parts:
        if isinstance(part, Memory):
            spans.append((at, at + part.n_tokens))
        at += part.n_tokens
    return spans
