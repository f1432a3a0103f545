"""Runs ONNX graphs; the only file that imports onnxruntime.

`DecoderSession` runs the decoder that `graph.py` writes, over a `cache.KeyValueCache` whose memory is past
and present at once, so that a step copies nothing. `GraphSession` runs any other graph, from arrays to
arrays. This file does not know which part of a cache is in use or what tokens mean: that is `state.py`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from model.cache import DeviceRoom, HostRoom, KeyValueCache, Room
from model.cache_binding import Binding, Parts, ViewBinding, WholeBinding, round_up
from model.errors import Cancelled, DamagedModelError, ProviderError
from model.huge_pages import huge_pages_for_what_is_allocated
from model.processor import n_usable_cores, u8s8_saturates
from model.shortlist import OfferedTokens, Projection, Shortlist
from model.types import DecoderConfig, Provider, Quantization

# Its import begins to gather usage data, in a database under the user's cache, to be sent to its makers, and
# `disable_telemetry_events()` comes too late to prevent that. Nothing leaves the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = [
    "DecoderSession",
    "GraphSession",
    "Interrupt",
    "cuda_problem",
    "load_decoder",
    "load_graph",
    "session_options",
]

_GRAPH_FILE: Final = "decoder.onnx"
_PUT_FILE: Final = "cache_put.onnx"
_GET_FILE: Final = "cache_get.onnx"
_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"

_SPIN_US: Final = 50
"""How long a worker thread looks for its next node before it sleeps.

With 0 each of some 700 nodes wakes a thread: 28 ms a token and not 23. With the default, which is not bounded
by time, a busy neighbour on the same cores makes a step three times slower.
"""

_UNSEEN: Final = -1e30
"""Added to the score of an entry that a token does not see; finite, so that no difference is undefined."""

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


class DecoderSession:
    """A loaded decoder. Runs may come from several threads if each has a cache of its own."""

    __slots__ = (
        "_cache_sessions",
        "_few_tokens",
        "_float_type",
        "_head_order",
        "_n_threads",
        "_session",
        "_view_step",
        "_widest",
        "config",
        "fallback_reason",
        "n_positions",
        "projection",
        "provider",
        "query_layers",
    )

    def __init__(  # noqa: PLR0913 - what a model folder and the run time give
        self,
        session: onnxruntime.InferenceSession,
        config: DecoderConfig,
        provider: Provider,
        *,
        folder: Path | None = None,
        cache_sessions: tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession] | None = None,
        fallback_reason: str | None = None,
    ) -> None:
        """Wrap what `load_decoder` opened.

        Args:
            session: Of the decoder's graph.
            config: Its sizes.
            provider: The one that it runs on.
            folder: The model's, needed for a decoder with a shortlist.
            cache_sessions: They put and get entries of caches on a device.
            fallback_reason: See the attribute.
        """
        self._session = session
        self._cache_sessions = cache_sessions
        types = {entry.type for entry in session.get_inputs() if entry.name.startswith("past.")}
        self._float_type = np.float16 if types == {"tensor(float16)"} else np.float32
        self.config: Final = config
        self.provider: Final[Provider] = provider
        """The one really in use, whatever was asked for."""
        self.fallback_reason: Final = fallback_reason
        """Why `auto` did not take CUDA; None if it did, or if the CPU was asked for."""
        properties = session.get_modelmeta().custom_metadata_map
        self.n_positions: Final = int(properties["n_positions"])
        """Rows of the rotary tables: positions lie below it."""
        self.query_layers: Final = tuple(int(layer) for layer in properties["query_layers"].split())
        """Layers whose queries `run_with_queries` returns."""
        self._widest = 0
        self._view_step = int(properties.get("view_step", 0))
        self._few_tokens = int(properties.get("few_tokens", 0))
        self._head_order = [int(head) for head in properties["head_order"].split()]
        self._n_threads = session.get_session_options().intra_op_num_threads
        self.projection: Final = _projection(properties.get("shortlist"), config, folder)
        """Of a decoder with a shortlist, which tokens its runs tell of."""

    def new_cache(self, capacity_tokens: int) -> KeyValueCache:
        """Allocate room for the keys and values of so many tokens."""
        config, dtype = self.config, self._float_type
        n_entries = round_up(capacity_tokens + self._companions, self._view_step or 1)
        shape = (config.n_layers, config.n_kv_heads, n_entries, config.head_dim)
        room: Room
        entries_first = self._view_step > 0
        if self._cache_sessions is None:
            room = HostRoom(shape, dtype, entries_first=entries_first)
        else:
            allocate = partial(_device_value, shape, dtype, self.provider)
            room = DeviceRoom(shape, dtype, self.provider, allocate=allocate, sessions=self._cache_sessions)

        def bind(addresses: tuple[int, int]) -> Binding:
            parts = Parts(room.device, dtype, shape, addresses)
            binding = self._session.io_binding()
            return (
                ViewBinding(binding, parts, self._view_step)
                if self._view_step
                else WholeBinding(binding, parts)
            )

        return KeyValueCache(room, shape, capacity_tokens, bind)

    @property
    def _companions(self) -> int:
        """Rows that a lone token is computed beside; see `run`."""
        is_one_row = not self._view_step or self.config.n_heads == self.config.n_kv_heads
        return int(self.provider == "cpu" and is_one_row)

    def run(  # noqa: PLR0913 - one argument for each input of the graph
        self,
        cache: KeyValueCache,
        token_ids: Sequence[int],
        *,
        n_past: int,
        positions: Sequence[int],
        rows: Sequence[int],
        interrupt: Interrupt,
        offered: OfferedTokens | Literal["all"] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Compute `token_ids` after the first `n_past` entries of `cache`, where their keys and values go.

        Entries before `n_past` are not touched, also when the run fails or is interrupted. Logits are the
        same bit by bit however tokens are spread over passes. For that, where attention would multiply a
        single row on the CPU (in the fused form, and where no query heads share keys), a lone token is
        computed twice, in two rows: for a single one the run time takes another kernel, which sums in another
        order. The next token overwrites the second row's entry.

        Args:
            cache: Made by this session's `new_cache`, with room for `n_past + len(token_ids)` tokens.
            token_ids: At least one.
            n_past: Entries of the cache that the new tokens see, besides those of themselves up to their own.
            positions: One for each token, for the rotary embedding; below `n_positions`.
            rows: Indices into `token_ids` whose logits are wanted; may be empty.
            interrupt: Ends the run when another thread triggers it.
            offered: Of a decoder with a shortlist, what may be chosen beside it, from its `projection`; `all`
                tokens take long.

        Returns:
            Logits (len(rows), vocab), not shared with any later run; -inf for tokens that are neither listed
            nor offered.

        Raises:
            Cancelled: `interrupt` was triggered.
        """
        inputs = self._inputs(token_ids, n_past, positions, rows)
        return self._run(
            cache.binding.ready(n_past, inputs["input_ids"].shape[1]), inputs, interrupt, offered
        )

    def run_with_queries(  # noqa: PLR0913 - see `run`
        self,
        cache: KeyValueCache,
        token_ids: Sequence[int],
        *,
        n_past: int,
        positions: Sequence[int],
        rows: Sequence[int],
        interrupt: Interrupt,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.floating]]:
        """Do what `run` does, and return the queries of all tokens in `query_layers` as well.

        Returns:
            Logits, the same as those of `run`, and queries (layers, len(token_ids), heads, head_dim) with the
            rotary embedding, in the cache's number type, not shared with any later run.

        Raises:
            Cancelled: `interrupt` was triggered.
        """
        inputs = self._inputs(token_ids, n_past, positions, rows)
        n_rows = inputs["input_ids"].shape[1]
        n_heads, head_dim = self.config.n_heads, self.config.head_dim
        queries = np.empty((len(self.query_layers), n_rows, n_heads, head_dim), self._float_type)
        shape = (1, n_rows, n_heads * head_dim)
        binding = cache.query_binding.ready(n_past, n_rows)
        for layer, part in zip(self.query_layers, queries, strict=True):
            name = f"queries.{layer}"
            binding.bind_output(name, "cpu", 0, self._float_type, shape, part.ctypes.data)
        logits = self._run(binding, inputs, interrupt, None)
        return logits, self._by_head(queries[:, : len(token_ids)])

    def _by_head(self, queries: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Put the heads of queries (layers, tokens, heads, head_dim) in the model's order."""
        by_head = np.empty_like(queries)
        by_head[:, :, self._head_order] = queries
        return by_head

    def _inputs(
        self, token_ids: Sequence[int], n_past: int, positions: Sequence[int], rows: Sequence[int]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the graph's inputs but for the cache; a lone token has its companion."""
        if len(token_ids) == 1:
            token_ids, positions = (
                [*token_ids] * (1 + self._companions),
                [*positions] * (1 + self._companions),
            )
        n_new = len(token_ids)
        n_total = n_past + n_new
        inputs: dict[str, npt.NDArray[Any]] = {
            "input_ids": np.array([token_ids], np.int64),
            "position_ids": np.array([positions], np.int64),
            "rows": np.array(rows, np.int64),
        }
        if not self._view_step:
            inputs["seqlens_k"] = np.array([n_total - 1], np.int32)
            inputs["total_sequence_length"] = np.array(n_total, np.int32)
            return inputs
        n_heads, n_groups = self.config.n_heads, self.config.n_kv_heads
        inputs["few"] = np.array(n_new < self._few_tokens or self._n_threads <= n_groups)
        n_view = round_up(n_total, self._view_step)
        inputs["mask"] = _causal_mask(n_past, n_new, n_view, n_heads // n_groups)
        return inputs

    def _run(
        self,
        binding: onnxruntime.IOBinding,
        inputs: Mapping[str, npt.NDArray[Any]],
        interrupt: Interrupt,
        offered: OfferedTokens | Literal["all"] | None,
    ) -> npt.NDArray[np.float32]:
        for name, value in inputs.items():
            binding.bind_cpu_input(name, value)
        n_rows, projection = len(inputs["rows"]), self.projection
        n_listed = projection.shortlist.n_listed if projection else self.config.vocab_size
        logits = _bound_output(binding, "logits", (1, n_rows, n_listed), np.float32)
        if projection:
            final = _bound_output(binding, "final", (1, n_rows, self.config.hidden_size), np.uint8)
        n_new = inputs["input_ids"].shape[1]
        # The widest run so far allocates the most; what it does is kept for those that follow.
        is_widest = self.provider == "cpu" and n_new > self._widest
        pages = huge_pages_for_what_is_allocated() if is_widest else contextlib.nullcontext()
        try:
            with pages:
                self._session.run_with_iobinding(binding, interrupt._options)  # noqa: SLF001 - the same file
            self._widest = max(self._widest, n_new)
        except RuntimeError:
            if interrupt.triggered:
                raise Cancelled from None
            raise
        if projection is None:
            result: npt.NDArray[np.float32] = logits[0]
            return result
        if offered == "all":
            return projection.all_logits(logits[0], final[0])
        return projection.logits(logits[0], final[0], offered)


def _bound_output(
    binding: onnxruntime.IOBinding, name: str, shape: tuple[int, ...], dtype: type[np.generic]
) -> npt.NDArray[Any]:
    """Return a new array that a run writes an output into."""
    array = np.empty(shape, dtype)
    # The address of an empty array may be null, which the binding takes for an error.
    memory = array if array.size else np.empty(1, dtype)
    binding.bind_output(name, "cpu", 0, dtype, shape, memory.ctypes.data)
    return array


def _projection(listed: str | None, config: DecoderConfig, folder: Path | None) -> Projection | None:
    if listed is None or folder is None:
        return None
    n_first, last_from = (int(token_id) for token_id in listed.split())
    return Projection(Shortlist(n_first, last_from, config.vocab_size), folder)


def _causal_mask(n_past: int, n_new: int, n_view: int, n_shared: int) -> npt.NDArray[np.float32]:
    """Return what is added to the scores of `n_new` tokens: a token sees all entries up to its own.

    Each token has as many rows as there are query heads that share keys.
    """
    mask = np.zeros((n_new, n_shared, n_view), np.float32)
    mask[:, :, n_past:] = np.triu(np.full((n_new, n_view - n_past), _UNSEEN, np.float32), k=1)[:, None]
    return mask.reshape(n_new * n_shared, n_view)


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
    return GraphSession(_open(path, session_options(n_threads), [_CPU]))


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
    options = session_options(n_threads)
    path = folder / _GRAPH_FILE
    reason = None
    if provider != "cpu":
        session, reason = _open_on_cuda(path, options, quantization)
        if session is not None:
            put, get = (_open(folder / name, options, [_CUDA, _CPU]) for name in (_PUT_FILE, _GET_FILE))
            return DecoderSession(session, config, "cuda", cache_sessions=(put, get))
        if provider == "cuda":
            raise ProviderError(f"CUDA was asked for but cannot be used: {reason}")
    if quantization.scheme == "w8a8" and quantization.weight_bits == 8 and u8s8_saturates():
        raise ProviderError(
            f"{folder} holds 8-bit weights, whose sums would be wrong on this processor (it has no VNNI): "
            "run `crosslight model pull --force` here to import it with 7 bits"
        )
    with huge_pages_for_what_is_allocated():
        session = _open(path, options, [_CPU])
    return DecoderSession(session, config, "cpu", folder=folder, fallback_reason=reason)


def _device_value(shape: Sequence[int], dtype: npt.DTypeLike, provider: Provider) -> onnxruntime.OrtValue:
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, dtype), provider, 0)


def session_options(n_threads: int | None = None) -> onnxruntime.SessionOptions:
    """Return how graphs are run; by default on the physical cores that this process may use."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads or n_usable_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_US))
    # The weight of a masked entry may come out as the smallest number there is, which is slow to multiply.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
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
    session = onnxruntime.InferenceSession(probe, session_options(1), providers=providers, enable_fallback=0)
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
