"""llama.cpp as a contender, at its best: llama.vim's layout, prompt cache, moved cache, drafts where faster.

It is given what ours may read: the same budgets, and definitions cut alike. These stay the same for a whole
session, as in llama.vim, which changes its extra files seldom, so that its prompt cache holds. Neither
retrieval nor laying out the prompt is counted against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from latency.contenders import OpenedFile, Request, Timing, n_written
from latency.figures import pace_ms
from peer.layout import N_PREDICT, Cursor, lay_out
from peer.llama import LlamaPeer

from indexer.types import Retrieved
from model.prompt import PromptBudget, PromptDefinition
from model.types import TokenCodec

__all__ = ["LlamaCpp", "PeerEngine", "predictor_is_faster"]

_CACHE_REUSE_TOKENS = 256
"""llama.vim has its server started with `--cache-reuse 256`."""


class LlamaCpp:
    """A peer that completes lines."""

    name = "llama.cpp"

    def __init__(self, peer: LlamaPeer, codec: TokenCodec, budget: PromptBudget) -> None:
        """Make a contender.

        Args:
            peer: Its cache is shared with whoever else uses it.
            codec: The tokenizer of the same model.
            budget: Of the prompt.
        """
        self._peer = peer
        self._codec = codec
        self._budget = budget

    def open(self, file: OpenedFile) -> None:  # noqa: ARG002 - any file
        """See `Contender`."""
        self._peer.reset()

    def idle(self, pause_ms: float) -> None:
        """See `Contender`: a session's extra files stay the same."""

    def warm(self, definitions: Sequence[Retrieved], request: Request) -> None:
        """See `Contender`: definitions are read with the prompt that they stand in."""

    def complete(self, request: Request) -> Timing:
        """See `Contender`."""
        definitions = [PromptDefinition(row.definition.path, row.definition.text) for row in request.held]
        prompt, without = (self._prompt(request, some) for some in (definitions, []))
        done = self._peer.complete(prompt, n_predict=N_PREDICT, cache_reuse=_CACHE_REUSE_TOKENS)
        line = done.text.partition("\n")[0]
        return Timing(
            first_token_ms=done.first_token_ms,
            line_ms=done.total_ms,
            n_written=n_written(self._codec, line),
            prompt_tokens=len(prompt),
            computed_tokens=done.prefill_tokens,
            definition_tokens=len(prompt) - len(without),
            text=line,
        )

    def _prompt(self, request: Request, definitions: Sequence[PromptDefinition]) -> list[int]:
        return lay_out(
            self._codec,
            Cursor.of(request.prefix, request.suffix),
            repo_name=request.repo_name,
            path=request.path,
            definitions=definitions,
            budget=self._budget,
            line_place="after_middle",
        )


class PeerEngine:
    """A peer's bare speed."""

    name = LlamaCpp.name

    def __init__(self, peer: LlamaPeer) -> None:
        self._peer = peer

    def prefill_ms(self, token_ids: Sequence[int]) -> float:
        """See `engines.Engine`."""
        self._peer.reset(predictor=False)
        return self._peer.complete(token_ids, n_predict=1, stop_text="").first_token_ms

    def decode_ms(self, token_ids: Sequence[int], n_tokens: int) -> float:
        """See `engines.Engine`."""
        self._peer.reset(predictor=False)
        done = self._peer.complete(token_ids, n_predict=n_tokens + 1, stop_text="")
        return done.decode_ms / max(1, len(done.tokens) - 1)


def predictor_is_faster(contender: LlamaCpp, peer: LlamaPeer, requests: Sequence[Request]) -> bool:
    """Return whether the peer writes faster with its input-lookup token predictor than without it.

    Args:
        contender: Asked both ways.
        peer: The contender's; its cache is emptied.
        requests: To complete; only the time after the first token counts.
    """
    paces = {}
    for predictor in (False, True):
        peer.reset(predictor=predictor)
        paces[predictor] = pace_ms([contender.complete(request) for request in requests])
    plain, drafting = paces[False], paces[True]
    return plain is not None and drafting is not None and drafting < plain
