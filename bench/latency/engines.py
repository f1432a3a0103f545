"""The bare speed of both engines, without prompts, retrieval and stop rules: prefill, decode, wide steps.

Both are given the same token ids and read them from an empty cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import onnx
from latency.figures import median

from model.graph import GRAPH_FILE
from model.state import DecodeState

__all__ = ["Engine", "OurEngine", "Steps", "prefill_operations_per_token", "step_times", "step_weight_bytes"]


class Engine(Protocol):
    """Something that reads tokens and writes them."""

    @property
    def name(self) -> str:
        """In tables and results."""
        ...

    def prefill_ms(self, token_ids: Sequence[int]) -> float:
        """Return the time from an empty cache to the choice of the token that follows."""
        ...

    def decode_ms(self, token_ids: Sequence[int], n_tokens: int) -> float:
        """Return the mean time of a token after these, one by one, drafting nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Steps:
    """Times of one pass over some new tokens, with logits for all of them."""

    n_past: int
    ms_by_tokens: dict[int, float]


class OurEngine:
    """A decoder in this process."""

    name = "ours"

    def __init__(self, state: DecodeState) -> None:
        self._state = state

    def prefill_ms(self, token_ids: Sequence[int]) -> float:
        """See `Engine`."""
        self._state.rewind(0)
        return _ms(lambda: int(self._state.extend(token_ids, logits="last")[0].argmax()))[0]

    def decode_ms(self, token_ids: Sequence[int], n_tokens: int) -> float:
        """See `Engine`."""
        self._state.rewind(0)
        token = int(self._state.extend(token_ids, logits="last")[0].argmax())

        def decode() -> None:
            following = token
            for _ in range(n_tokens):
                following = int(self._state.extend([following], logits="last")[0].argmax())

        return _ms(decode)[0] / n_tokens


def step_times(state: DecodeState, token_ids: Sequence[int], widths: Sequence[int], n_tries: int) -> Steps:
    """Return the median time of passes of different widths over the same past, taken in turns.

    Args:
        state: Its buffer is overwritten.
        token_ids: The past, then as many tokens as the widest pass has.
        widths: Numbers of new tokens.
        n_tries: Of each width.
    """
    n_past = len(token_ids) - max(widths)
    state.rewind(0)
    state.extend(token_ids[:n_past], logits="none")
    times: dict[int, list[float]] = {width: [] for width in widths}
    for _ in range(n_tries):
        for width in widths:
            new = token_ids[n_past : n_past + width]
            times[width].append(_ms(lambda new=new: state.extend(new, logits="all"))[0])  # type: ignore[misc]
            state.rewind(n_past)
    return Steps(n_past, {width: median(taken) or 0.0 for width, taken in times.items()})


def step_weight_bytes(folder: Path) -> int:
    """Return the bytes of weights that a step over one token reads: all, but of the token table one row."""
    return sum(size for name, _, size in _arrays(folder) if not name.startswith(("embed.", "rotary.")))


def prefill_operations_per_token(folder: Path) -> int:
    """Return the operations of a prefill's linear layers for one token.

    A multiplication and an addition count as two. The output projection is not among them: its product is
    computed for the last token alone.
    """
    return sum(
        2 * shape[0] * shape[1]
        for name, shape, _ in _arrays(folder)
        if len(shape) == 2 and name.startswith("layers.") and name.endswith(".weight")
    )


def _arrays(folder: Path) -> list[tuple[str, tuple[int, ...], int]]:
    """(name, shape, bytes) of a decoder's constants; its data file is not read."""
    model = onnx.load(folder / GRAPH_FILE, load_external_data=False)
    arrays = []
    for array in model.graph.initializer:
        n_values = 1
        for length in array.dims:
            n_values *= length
        item_bytes = onnx.helper.tensor_dtype_to_np_dtype(array.data_type).itemsize
        arrays.append((array.name, tuple(array.dims), n_values * item_bytes))
    return arrays


def _ms(task: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    result = task()
    return (time.perf_counter() - started) * 1e3, result
