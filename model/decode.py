"""Greedy decoding of one completion: prefill, healed first tokens, steps, and the reasons to stop.

What it does not know: the ONNX graph, where a prompt or a draft comes from, any grammar (a `StopRule` judges
scopes), and the editor. The text it returns is what the model wrote after the cursor, without the typed bytes
that were healed; `postprocess.py` fits it to the file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from model.docstrings import ends_with_quotes, is_unfinished, missing_after_docstring
from model.errors import Cancelled
from model.generation import DecodeOptions, Generation
from model.healing import allowed, likeliest_cover, remaining_after
from model.prefill import prefill
from model.prompt import Prompt
from model.stops import (
    line_end,
    repeats_following,
    repeats_itself,
    repeats_lines,
    whole_characters,
    whole_lines,
)
from model.types import BufferPart, Decoder, Drafter, LogitRows, StopReason, StopRule, TokenCodec
from model.verify import RowsAhead

__all__ = ["DecodeOptions", "Generation", "generate"]

_MOST_DRAFT_TOKENS: Final = 16
"""Of a guess; a row of logits is kept of each."""


def generate(  # noqa: PLR0913 - each of them is one thing a caller decides
    decoder: Decoder,
    codec: TokenCodec,
    prompt: Prompt,
    *,
    parts: Sequence[BufferPart] | None = None,
    options: DecodeOptions | None = None,
    stop_rule: StopRule | None = None,
    drafter: Drafter | None = None,
    clock: Callable[[], float] = time.perf_counter,
    cancelled: Callable[[], bool] | None = None,
) -> Generation:
    """Continue a prompt greedily until a reason to stop.

    The tokenizer's own split of the typed bytes is read in the prompt's pass, which shows how likely each way
    to type them again is (`healing.likeliest_cover`); so healing seldom costs a pass of its own. What a
    drafter proposes is read along with the prompt and with each step, and changes nothing but the time.

    Args:
        decoder: The running model; what its buffer shares with the prompt is not computed again.
        codec: The model's tokenizer.
        prompt: From `build_prompt`.
        parts: The prompt as the decoder reads it; `Prompt.concatenated` if None.
        options: The defaults if None.
        stop_rule: Judges multi-line text after each token; not asked for a single line.
        drafter: Of this completion; without one each step runs one token.
        clock: Seconds, monotonic.
        cancelled: Asked between passes; True ends the generation. Who cancels from another thread sets what
            this reads first, then ends the pass in progress (`DecodeState.cancel`).

    Returns:
        A generation in any case: cancelled and late ones hold what was generated until then.
    """
    run = _Run(
        decoder=decoder,
        codec=codec,
        prompt=prompt,
        parts=prompt.concatenated() if parts is None else parts,
        options=options or DecodeOptions(),
        stop_rule=stop_rule,
        drafter=drafter,
        clock=clock,
        cancelled=cancelled,
    )
    return run.generation()


class _Late(Exception):  # noqa: N818 - a way to stop, not an error
    """The deadline passed during the prefill."""


@dataclass(slots=True, kw_only=True)
class _Run:
    """The state of one call of `generate`."""

    decoder: Decoder
    codec: TokenCodec
    prompt: Prompt
    parts: Sequence[BufferPart]
    options: DecodeOptions
    stop_rule: StopRule | None
    drafter: Drafter | None
    clock: Callable[[], float]
    cancelled: Callable[[], bool] | None
    n_prompt_tokens: int = field(init=False)
    n_reused: int = 0
    n_passes: int = 0
    token_ids: list[int] = field(default_factory=list)
    token_lengths: list[int] = field(default_factory=list)
    """Bytes that each token added to `generated`: none while it only types again."""
    log_probabilities: list[float] = field(default_factory=list)
    generated: bytes = field(init=False)
    started: float = field(init=False)
    prefilled_at: float | None = None
    remaining: bytes = field(init=False)
    planned: list[int] = field(default_factory=list)
    """Tokens to accept first: they type the typed bytes again."""
    rows: RowsAhead = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.remaining = self.prompt.typed
        self.generated = self.prompt.opening
        self.n_prompt_tokens = sum(part.n_tokens for part in self.parts)
        self.rows = RowsAhead(self._extend, self.decoder.rewind, self._draft)

    def generation(self) -> Generation:
        try:
            self._prefill()
            self.prefilled_at = self.clock()
            keep, reason = self._decode()
            if reason in {"max_tokens", "deadline"} and not self.options.single_line:
                keep = whole_lines(self.generated[:keep])
        except Cancelled:
            keep, reason = len(self.generated) if self.token_ids else 0, "cancelled"
        except _Late:
            keep, reason = 0, "deadline"
        ended = self.clock()
        prefilled_at = ended if self.prefilled_at is None else self.prefilled_at
        return Generation(
            text=whole_characters(self.generated[:keep]),
            token_ids=tuple(self.token_ids),
            log_probabilities=tuple(self.log_probabilities),
            stop_reason=reason,
            n_prompt_tokens=self.n_prompt_tokens,
            n_reused_tokens=self.n_reused,
            n_passes=self.n_passes,
            n_drafted_tokens=self.rows.n_offered,
            n_accepted_tokens=self.rows.n_accepted,
            elapsed_ms={
                "prefill": (prefilled_at - self.started) * 1e3,
                "decode": (ended - prefilled_at) * 1e3,
            },
        )

    def _prefill(self) -> None:
        """Bring the buffer to the prompt, and run the draft with it.

        How likely the ways to type the typed bytes again are is told by the rows before their tokens, so the
        last of these need not be run: what is guessed to cover it, and to follow, is run in its place.
        """
        typed = list(self.prompt.draft)
        known, last = typed[:-1], typed[-1:]
        guessed = self._guess(
            self.n_prompt_tokens, start=b"".join(map(self.codec.token_bytes, last)), after=known
        )
        draft = [*known, *(guessed or last)]
        # What may be written is what the decoder knows and the prompt brings along, never what a draft does.
        self.decoder.offer(chain(typed, *(part.token_ids for part in self.parts)))
        n_held = self.decoder.reuse(self.parts)
        self.n_reused = min(n_held, self.n_prompt_tokens - 1)
        done = prefill(self.decoder, self.parts, draft, n_reused=n_held, before_pass=self._begin_pass)
        self.rows.start(done.n_tokens, draft, done.rows, n_given=len(draft) - len(guessed))
        self.planned = likeliest_cover(self.codec, self.prompt.typed, typed, done.rows)

    def _draft(self, n_tokens: int) -> list[int]:
        """What may come after the last accepted token, which will be the last of `n_tokens` in the buffer."""
        return self._guess(n_tokens, start=self.remaining)

    def _guess(self, n_tokens: int, *, start: bytes, after: Sequence[int] = ()) -> list[int]:
        """Return what the drafter proposes, as far as its rows can be wanted and there is room for it.

        Args:
            n_tokens: In the buffer before it, but for `after`.
            start: What the first token begins with.
            after: Tokens that are run before it.
        """
        if self.drafter is None:
            return []
        # The row behind the last token that may be accepted is not wanted.
        n_wanted = self.options.max_tokens - len(self.token_ids) - len(after) - 1
        n_room = self.decoder.capacity_tokens - n_tokens - len(after)
        n_most = min(_MOST_DRAFT_TOKENS, n_wanted, n_room)
        if n_most <= 0:
            return []
        guess: list[int] = []
        for token in self.drafter.propose(n_most, start=start, after=after)[:n_most]:
            text = self.codec.token_bytes(token) if 0 <= token < self.codec.vocab_size else b""
            if not text or (self.options.single_line and line_end(text) is not None):
                break  # the text ends with it, if it comes
            if not guess and not text.startswith(start):
                break
            guess.append(token)
        return guess

    def _begin_pass(self) -> None:
        """Count a pass of the prefill, or end it: nobody waits for it any more, or it took too long."""
        if self.cancelled and self.cancelled():
            raise Cancelled
        if self.n_passes and self._late():
            raise _Late
        self.n_passes += 1

    def _extend(self, token_ids: list[int], logits: LogitRows) -> npt.NDArray[np.float32]:
        if self.cancelled and self.cancelled():
            raise Cancelled
        rows = self.decoder.extend(token_ids, logits=logits)
        self.n_passes += 1
        return rows

    def _decode(self) -> tuple[int, StopReason]:
        """Accept tokens until a reason to stop; return the bytes to keep and the reason."""
        for _ in range(self.options.max_tokens):
            row = self._without_second_docstring(self._masked(self.rows.current()))
            token = self.planned.pop(0) if self.planned else int(row.argmax())
            text = self.codec.token_bytes(token)
            if not text:
                return len(self.generated), "control_token"
            adds = len(text) > len(self.remaining)
            if adds and len(self.log_probabilities) < self.options.n_log_probabilities:
                self.log_probabilities.append(_log_probability(row, token))
            self._accept(token, text)
            self._lead_past_docstring()
            if stop := self._stop():
                return stop
        return len(self.generated), "max_tokens"

    def _masked(self, row: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rule out what does not type the typed bytes again and, in an unfinished block, its end.

        A block has at least one line that is no comment or docstring, and does not end with the line that
        opens another one: no control token may end it there.
        """
        if self.remaining:
            ids = allowed(self.codec, self.remaining)
            masked = np.full_like(row, -np.inf)
            masked[ids] = row[ids]
        elif not self.options.single_line and is_unfinished(self.generated):
            masked = row.copy()
            masked[list(self.codec.control.all_ids)] = -np.inf
        else:
            return row
        return masked

    def _without_second_docstring(self, row: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rule out that a block which follows a docstring, or any string's end, begins with a string."""
        is_first = self.generated == self.prompt.opening and not self.options.single_line
        if not is_first or not ends_with_quotes(self.prompt.line_above):
            return row
        row = row.copy()
        self.planned = []  # the plan may hold such a token
        for quote in (b'"', b"'"):
            row[self.codec.tokens_with_prefix(self.remaining + quote)] = -np.inf
        return row

    def _lead_past_docstring(self) -> None:
        """Have the block's next line typed in as healed bytes are, once its docstring is closed.

        Small models rather begin the next definition there, and so leave the block without a body.
        """
        if self.options.single_line or self.remaining or not self.token_lengths[-1]:
            return
        missing = missing_after_docstring(self.prompt.line, self.generated)
        self.generated += missing
        self.remaining = missing
        self.token_lengths[-1] += len(missing)

    def _accept(self, token: int, text: bytes) -> None:
        new = text[len(self.remaining) :]
        self.remaining = remaining_after(self.remaining, text)
        self.generated += new
        self.token_ids.append(token)
        self.token_lengths.append(len(new))
        self.rows.accept(token)
        if self.drafter is not None:
            self.drafter.accept(token)

    def _stop(self) -> tuple[int, StopReason] | None:
        """The first reason to stop after the token that was accepted last, with the bytes to keep."""
        generated, prompt = self.generated, self.prompt
        if generated:
            if self.options.single_line:
                if (keep := line_end(generated)) is not None:
                    return keep, "line_end"
            elif self.stop_rule and (keep := self.stop_rule.check(generated)) is not None:
                return keep, "scope_end"
            keep = repeats_following(generated, line=prompt.line, next_line=prompt.next_line)
            if keep is not None:
                return keep, "repeats_suffix"
            keep = repeats_itself(self.token_ids, self.token_lengths)
            if keep is not None or (keep := repeats_lines(generated)) is not None:
                return keep, "repetition"
        return (len(generated), "deadline") if self._late() or self._is_enough() else None

    def _late(self) -> bool:
        deadline = self.options.deadline_ms
        return deadline is not None and (self.clock() - self.started) * 1e3 >= deadline

    def _is_enough(self) -> bool:
        """Return whether what is written is shown, though there may be more to write."""
        enough_ms, began = self.options.enough_ms, self.prefilled_at
        if enough_ms is None or began is None or (self.clock() - began) * 1e3 < enough_ms:
            return False
        written = self.generated if self.options.single_line else self.generated.rpartition(b"\n")[0]
        return bool(written.strip())


def _log_probability(row: npt.NDArray[np.float32], token: int) -> float:
    highest = float(row.max())
    return float(row[token]) - highest - math.log(float(np.exp(row - highest).sum()))
