"""`LlamaPeer`: llama.cpp in a process of its own, asked in token ids.

The other side is `llama.mjs`, which keeps one sequence and its cache. Everything is greedy. This file does
not know what the tokens mean, nor how a prompt is laid out (`layout.py`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil
from peer.install import PeerError, install_node_package, obtain_weights

from model.processor import n_usable_cores

__all__ = ["LlamaPeer", "Loaded", "PeerCompletion", "PeerError", "PeerOptions", "start_peer"]

_PROGRAM: Final = Path(__file__).with_name("llama.mjs")
_EXIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """How llama.cpp is run."""

    n_threads: int = 0
    """0 takes as many as Crosslight would, one a core."""
    context_tokens: int = 4096
    """Room for prompt and completion; more costs memory."""
    batch_tokens: int = 512
    """Computed in one pass at most; llama.cpp's default."""
    predictor: bool = False
    """Whether the input-lookup token predictor drafts."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is in memory."""

    load_ms: float
    pid: int
    threads: int
    context_tokens: int
    batch_tokens: int
    system: str
    """What llama.cpp says of the instructions it uses."""


@dataclass(frozen=True, slots=True)
class PeerCompletion:
    """What was generated, and what it took. Times are taken inside the peer's process."""

    tokens: tuple[int, ...]
    """Without what ended them."""
    text: str
    stop: str
    """`end`: a token that ends text; `text`: the text to stop at was written; `length`."""
    reused_tokens: int
    """Of the prompt, from the cache."""
    prefill_tokens: int
    """Of the prompt, computed."""
    prefill_ms: float
    """To the first token, which includes choosing it."""
    decode_ms: float
    """From the first token to the last."""
    first_token_ms: float
    total_ms: float
    drafts_accepted: int
    drafts_refused: int


class LlamaPeer:
    """A running llama.cpp with one model and one cache; use it as a context manager.

    Raises (all methods):
        PeerError: The process ended, or answered with an error.
    """

    def __init__(self, command: Sequence[str], weights: Path, options: PeerOptions | None = None) -> None:
        """Start the process and load the model.

        Args:
            command: Starts what speaks the protocol of `llama.mjs`.
            weights: A GGUF file.
            options: The defaults if None.
        """
        options = options or PeerOptions()
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        try:
            self.loaded = Loaded(
                **self._ask(
                    "load",
                    path=str(weights),
                    threads=options.n_threads or n_usable_cores(),
                    context_tokens=options.context_tokens,
                    batch_tokens=options.batch_tokens,
                    predictor=options.predictor,
                )
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, by force where it does not go."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        try:
            self._process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def complete(
        self,
        token_ids: Sequence[int],
        *,
        n_predict: int,
        stop_text: str = "\n",
        stop_ids: Sequence[int] = (),
        cache_reuse: int = 0,
    ) -> PeerCompletion:
        """Complete a prompt greedily; what the cache and the prompt begin with is not computed again.

        Args:
            token_ids: The prompt.
            n_predict: The most tokens to generate.
            stop_text: Generation ends with the token that completes it; empty goes on to the end.
            stop_ids: Tokens that end generation, besides those that the model file names.
            cache_reuse: As llama-server's `--cache-reuse`: runs of at least so many tokens that the cache has
                too, elsewhere, are moved instead of computed, which is not exact. 0 never does.
        """
        answer = self._ask(
            "complete",
            token_ids=list(map(int, token_ids)),
            n_predict=n_predict,
            stop_text=stop_text,
            stop_ids=list(stop_ids),
            cache_reuse=cache_reuse,
        )
        return PeerCompletion(**answer | {"tokens": tuple(answer["tokens"])})

    def score(
        self, token_ids: Sequence[int], path: Sequence[int], wanted: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Return how likely tokens are along a path after a prompt.

        Args:
            token_ids: The prompt.
            path: Tokens that follow it, taken as given.
            wanted: For each place before a token of `path`, the tokens to score.

        Returns:
            For each place, the natural logarithms of the probabilities of its wanted tokens.
        """
        answer = self._ask(
            "score",
            token_ids=list(map(int, token_ids)),
            path=list(map(int, path)),
            wanted=[list(map(int, ids)) for ids in wanted],
        )
        rows: list[list[float]] = answer["log_probabilities"]
        return rows

    def reset(self, *, predictor: bool | None = None) -> None:
        """Forget what is cached; `predictor` switches drafting on or off, None leaves it."""
        self._ask("reset", **({} if predictor is None else {"predictor": predictor}))

    def cached_tokens(self) -> int:
        """Return how many tokens the cache holds."""
        return int(self._ask("stats")["cached_tokens"])

    def pss_bytes(self) -> int:
        """Return the process's proportional share of memory (Linux)."""
        return int(psutil.Process(self.loaded.pid).memory_full_info().pss)

    def _ask(self, method: str, **params: object) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps({"method": method, "params": params}) + "\n")
            stdin.flush()
            line = stdout.readline()
        except (BrokenPipeError, ValueError):  # the other end is closed, or ours is
            line = ""
        if not line:
            raise PeerError(f"the peer ended when asked to {method} (exit code {self._process.poll()})")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"the peer cannot {method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result


def start_peer(cache: Path, options: PeerOptions | None = None) -> LlamaPeer:
    """Return a running peer with the default model's weights, fetching program and weights where need be.

    Args:
        cache: The benches' folder in the user's cache.
        options: The defaults if None.

    Raises:
        PeerError: It cannot be had; the message says what helps.
        ModelError: No source gave the weights.
    """
    folder = install_node_package(cache)
    return LlamaPeer(["node", str(_PROGRAM), str(folder)], obtain_weights(cache), options)
