"""Runs ONNX graphs; the only file that imports onnxruntime.

`DecoderSession` runs the decoder that `graph.py` writes, over a `KeyValueCache` whose memory is past and
present at once, so that a step copies nothing. `GraphSession` runs any other graph, from arrays to arrays.
This file does not know which part of a cache is in use or what tokens mean: that is `state.py`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from model.errors import Cancelled, DamagedModelError, ProviderError
from model.processor import n_usable_cores, u8s8_saturates
from model.types import DecoderConfig, Provider, Quantization

# Its import begins to gather usage data, in a database under the user's cache, to be sent to its makers, and
# `disable_telemetry_events()` comes too late to prevent that. Nothing leaves the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = [
    "DecoderSession",
    "GraphSession",
    "Interrupt",
    "KeyValueCache",
    "cuda_problem",
    "load_decoder",
    "load_graph",
]

_GRAPH_FILE: Final = "decoder.onnx"
_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"

_SPIN_US: Final = 50
"""How long a worker thread looks for its next node before it sleeps.

With 0 each of some 700 nodes wakes a thread: 28 ms a token and not 23. With the default, which is not bounded
by time, a busy neighbour on the same cores makes a step three times slower.
"""

_QUIET: Final = 4
"""Log only what ends the process: each failure also comes as an exception, and stderr is the user's."""

_CURE_BUILT_WITHOUT: Final = (
    "the installed onnxruntime is built without it; install the one with CUDA by `make gpu`, or by "
    "`pip install --force-reinstall --no-deps onnxruntime-gpu` after everything else"
)
_CURE_OTHER_SCHEME: Final = "the model was imported for the CPU; `crosslight model pull` imports it for CUDA"


class Interrupt:
    """Ends runs in their middle, from another thread; once triggered, it also ends those that start later."""

    __slots__ = ("_options",)

    def __init__(self) -> None:
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = _QUIET

    def trigger(self) -> None:
        """End the run in progress at its next node."""
        self._options.terminate = True

    @property
    def triggered(self) -> bool:
        """Whether `trigger` was called."""
        return bool(self._options.terminate)


class KeyValueCache:
    """Room for the keys and values of `capacity_tokens` tokens in every layer, bound as past and present.

    Which tokens are in it is the caller's to know. On the CPU the memory is numpy's, which the system zeroes
    page by page when it is first touched, so that unused room costs nothing.
    """

    __slots__ = ("_keys", "_values", "binding", "capacity_tokens")

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        provider: Provider,
        config: DecoderConfig,
        capacity_tokens: int,
    ) -> None:
        """Allocate; `session` decides the number type, by the type of its inputs."""
        self.capacity_tokens = capacity_tokens
        self.binding: Any = session.io_binding()
        # One entry more is for the companion of a lone token; see `DecoderSession.run`.
        shape = (config.n_layers, config.n_kv_heads, capacity_tokens + 1, config.head_dim)
        types = {entry.name: entry.type for entry in session.get_inputs()}
        dtype = np.float16 if types["past.0.key"] == "tensor(float16)" else np.float32
        # Both (layers, heads, entries, head_dim); a layer's part is contiguous, so it can be bound by itself.
        self._keys = np.zeros(shape, dtype)
        self._values = np.zeros(shape, dtype)
        for layer in range(config.n_layers):
            for name, room in (("key", self._keys), ("value", self._values)):
                buffer = onnxruntime.OrtValue.ortvalue_from_numpy(room[layer : layer + 1])
                self.binding.bind_ortvalue_input(f"past.{layer}.{name}", buffer)
                self.binding.bind_ortvalue_output(f"present.{layer}.{name}", buffer)

    def put(
        self, at: int, keys_lhtd: npt.NDArray[np.floating], values_lhtd: npt.NDArray[np.floating]
    ) -> None:
        """Overwrite the entries from `at` on with keys and values (layers, kv heads, tokens, head_dim).

        They are converted to the cache's number type if they are of another.

        Raises:
            ValueError: The entries do not lie within the capacity, or the arrays are of another shape.
        """
        n_layers, n_heads, _, head_dim = self._keys.shape
        n_tokens = keys_lhtd.shape[2]
        if not keys_lhtd.shape == values_lhtd.shape == (n_layers, n_heads, n_tokens, head_dim):
            raise ValueError(f"keys {keys_lhtd.shape} and values {values_lhtd.shape} do not fit this decoder")
        self._check(at, at + n_tokens)
        self._keys[:, :, at : at + n_tokens] = keys_lhtd
        self._values[:, :, at : at + n_tokens] = values_lhtd

    def get(self, start: int, end: int) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
        """Return copies of the keys and values of the entries from `start` to `end`.

        Returns:
            Two contiguous arrays (layers, kv heads, end - start, head_dim) in the cache's number type.

        Raises:
            ValueError: The entries do not lie within the capacity.
        """
        self._check(start, end)
        return self._keys[:, :, start:end].copy(), self._values[:, :, start:end].copy()

    def _check(self, start: int, end: int) -> None:
        if not 0 <= start <= end <= self.capacity_tokens:
            raise ValueError(f"entries {start} to {end} of {self.capacity_tokens}")


class DecoderSession:
    """A loaded decoder. Runs may come from several threads if each has a cache of its own."""

    __slots__ = ("_session", "config", "fallback_reason", "n_positions", "provider")

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        config: DecoderConfig,
        provider: Provider,
        fallback_reason: str | None = None,
    ) -> None:
        self._session = session
        self.config: Final = config
        self.provider: Final[Provider] = provider
        """The one really in use, whatever was asked for."""
        self.fallback_reason: Final = fallback_reason
        """Why `auto` did not take CUDA; None if it did, or if the CPU was asked for."""
        properties = session.get_modelmeta().custom_metadata_map
        self.n_positions: Final = int(properties["n_positions"])
        """Rows of the rotary tables: positions lie below it."""

    def new_cache(self, capacity_tokens: int) -> KeyValueCache:
        """Allocate room for the keys and values of so many tokens."""
        return KeyValueCache(self._session, self.provider, self.config, capacity_tokens)

    def run(  # noqa: PLR0913 - one argument for each input of the graph
        self,
        cache: KeyValueCache,
        token_ids: Sequence[int],
        *,
        n_past: int,
        positions: Sequence[int],
        rows: Sequence[int],
        interrupt: Interrupt,
    ) -> npt.NDArray[np.float32]:
        """Compute `token_ids` after the first `n_past` entries of `cache`, where their keys and values go.

        Entries before `n_past` are not touched, also when the run fails or is interrupted. On the CPU a lone
        token is computed twice, in two rows: for a single row the attention operator takes another kernel,
        which sums in another order. The difference is in the last bits, but the rounding of activations in
        every layer amplifies it, up to another choice of token. With two rows or more, logits are the same
        bit by bit however tokens are spread over passes. The next token overwrites the second row's entry.

        Args:
            cache: Made by this session's `new_cache`, with room for `n_past + len(token_ids)` tokens.
            token_ids: At least one.
            n_past: Entries of the cache that the new tokens see, besides those of themselves up to their own.
            positions: One for each token, for the rotary embedding; below `n_positions`.
            rows: Indices into `token_ids` whose logits are wanted; may be empty.
            interrupt: Ends the run when another thread triggers it.

        Returns:
            Logits (len(rows), vocab), not shared with any later run.

        Raises:
            Cancelled: `interrupt` was triggered.
        """
        if len(token_ids) == 1 and self.provider == "cpu":
            token_ids, positions = [*token_ids] * 2, [*positions] * 2
        n_total = n_past + len(token_ids)
        inputs = {
            "input_ids": np.array([token_ids], np.int64),
            "position_ids": np.array([positions], np.int64),
            "rows": np.array(rows, np.int64),
            "seqlens_k": np.array([n_total - 1], np.int32),
            "total_sequence_length": np.array(n_total, np.int32),
        }
        logits: npt.NDArray[np.float32] = np.empty((1, len(rows), self.config.vocab_size), np.float32)
        binding = cache.binding
        for name, value in inputs.items():
            binding.bind_cpu_input(name, value)
        # The address of an empty array may be null, which the binding takes for an error.
        memory = logits if logits.size else np.empty(1, np.float32)
        binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, memory.ctypes.data)
        try:
            self._session.run_with_iobinding(binding, interrupt._options)  # noqa: SLF001 - the same file
        except RuntimeError:
            if interrupt.triggered:
                raise Cancelled from None
            raise
        result: npt.NDArray[np.float32] = logits[0]
        return result


class GraphSession:
    """Any other graph, run from arrays to arrays on the CPU."""

    __slots__ = ("_session", "input_names", "output_names")

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.input_names: Final = tuple(entry.name for entry in session.get_inputs())
        self.output_names: Final = tuple(entry.name for entry in session.get_outputs())

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Return the outputs in the order of `output_names`."""
        outputs: list[npt.NDArray[Any]] = self._session.run(None, dict(inputs))
        return outputs


def load_graph(path: Path, *, n_threads: int = 1) -> GraphSession:
    """Load a small graph of any kind on the CPU.

    Raises:
        DamagedModelError: The file is missing, or is not a graph that can be run.
    """
    return GraphSession(_open(path, _session_options(n_threads), [_CPU]))


def load_decoder(
    folder: Path,
    config: DecoderConfig,
    quantization: Quantization,
    *,
    provider: Literal["auto", "cuda", "cpu"] = "auto",
    n_threads: int | None = None,
) -> DecoderSession:
    """Load the decoder in `folder`.

    `auto` takes CUDA for a decoder that was made for it (`w4a16`) if a session with it really comes up, and
    the CPU otherwise.

    Args:
        folder: An installed model's, with `decoder.onnx` and `decoder.data`.
        config: Its sizes.
        quantization: What its manifest says.
        provider: What the user asked for.
        n_threads: For the CPU; by default the physical cores that this process may use.

    Raises:
        ProviderError: CUDA was asked for and cannot be had, or the weights do not fit this processor.
        DamagedModelError: A file is missing or damaged.
    """
    options = _session_options(n_threads or n_usable_cores())
    path = folder / _GRAPH_FILE
    reason = None
    if provider != "cpu":
        session, reason = _open_on_cuda(path, options, quantization)
        if session is not None:
            return DecoderSession(session, config, "cuda")
        if provider == "cuda":
            raise ProviderError(f"CUDA was asked for but cannot be used: {reason}")
    if quantization.scheme == "w8a8" and quantization.weight_bits == 8 and u8s8_saturates():
        raise ProviderError(
            f"{folder} holds 8-bit weights, whose sums would be wrong on this processor (it has no VNNI): "
            "run `crosslight model pull --force` here to import it with 7 bits"
        )
    return DecoderSession(_open(path, options, [_CPU]), config, "cpu", reason)


def _session_options(n_threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_US))
    return options


def _open(
    path: Path, options: onnxruntime.SessionOptions, providers: list[str]
) -> onnxruntime.InferenceSession:
    """Open a session, without onnxruntime's own fall-back, which prints and tries again."""
    if not path.is_file():
        raise DamagedModelError(f"{path} is missing: run `crosslight model pull --force`")
    try:
        # onnxruntime's errors have no common base but Exception, and name the cause only in their text.
        return onnxruntime.InferenceSession(path, options, providers=providers, enable_fallback=0)
    except Exception as error:
        cause = " ".join(str(error).split())
        raise DamagedModelError(
            f"{path} cannot be loaded ({cause}): run `crosslight model pull --force`"
        ) from error


def cuda_problem(probe: bytes) -> str | None:
    """Return why nothing can run on CUDA here, with the cure; None if a session really comes up there.

    Args:
        probe: A small graph (`graph.probe_graph`), as a serialized model.
    """
    if _CUDA not in onnxruntime.get_available_providers():
        return _CURE_BUILT_WITHOUT
    printed = _load_cuda_libraries()
    providers = [_CUDA, _CPU]
    session = onnxruntime.InferenceSession(probe, _session_options(1), providers=providers, enable_fallback=0)
    return None if _CUDA in session.get_providers() else _no_cuda(printed)


def _open_on_cuda(
    path: Path, options: onnxruntime.SessionOptions, quantization: Quantization
) -> tuple[onnxruntime.InferenceSession | None, str]:
    """Return a session that really runs on CUDA, or None and why there is none, with the cure.

    Asking which providers are available is not enough: the list names what the wheel was built with. Only a
    session knows what it came up with.
    """
    if _CUDA not in onnxruntime.get_available_providers():
        return None, _CURE_BUILT_WITHOUT
    if quantization.scheme != "w4a16":
        return None, _CURE_OTHER_SCHEME
    printed = _load_cuda_libraries()
    session = _open(path, options, [_CUDA, _CPU])
    return (session, "") if _CUDA in session.get_providers() else (None, _no_cuda(printed))


def _load_cuda_libraries() -> str:
    """Load what the installed wheels bring, and return what onnxruntime printed about what it could not."""
    onnxruntime.set_default_logger_severity(_QUIET)  # a session's own level does not reach this far
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    return " ".join(printed.getvalue().split())


def _no_cuda(printed: str) -> str:
    detail = printed or "no usable GPU, driver or CUDA library was found"
    return f"{detail}; `make gpu` installs the libraries, the driver is the system's"
