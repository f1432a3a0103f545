"""Room for keys and values: bound to a decoder's runs, and open to whoever copies entries in or out.

All layers lie in one block for keys and one for values: copying entries is one operation whatever the number
of layers. A layer's part is contiguous; on a device it is (key-value heads, entries, head_dim), on the host
it may also be (entries, key-value heads, head_dim), so that the first entries of all heads are contiguous as
well. Either is bound where it lies, as past and present at once. This file does not
know which entries are in use, nor onnxruntime: what it is handed of it (values on a device, bindings,
sessions) it only calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from model.cache_binding import Binding
from model.types import Provider

__all__ = ["DeviceRoom", "HostRoom", "KeyValueCache", "Room"]

Floats = npt.NDArray[np.floating]
KeysAndValues = tuple[Floats, Floats]


class Room(Protocol):
    """The two blocks, wherever they lie. Callers see to it that entries exist and shapes fit."""

    @property
    def device(self) -> Provider:
        """Where they lie."""
        ...

    @property
    def addresses(self) -> tuple[int, int]:
        """Of the keys and of the values."""
        ...

    def write(self, at: int, keys_lhtd: Floats, values_lhtd: Floats) -> None:
        """Overwrite entries from `at` on."""
        ...

    def read(self, start: int, end: int) -> KeysAndValues:
        """Return copies of the entries, contiguous, on the host."""
        ...

    def keys(self, layer: int, start: int, end: int) -> Floats:
        """Return one layer's keys (kv heads, end - start, head_dim) on the host, without a copy if it can."""
        ...


class HostRoom:
    """Memory of numpy's, which the system zeroes page by page as it is touched: unused room is free."""

    __slots__ = ("_keys", "_values", "device")

    def __init__(
        self, shape_lhed: tuple[int, int, int, int], dtype: npt.DTypeLike, *, entries_first: bool = False
    ) -> None:
        """Allocate; with `entries_first` an entry's heads lie side by side in memory."""
        self.device: Final[Provider] = "cpu"
        order = (0, 2, 1, 3) if entries_first else (0, 1, 2, 3)  # is its own inverse
        shape = [shape_lhed[axis] for axis in order]
        self._keys: Floats = np.zeros(shape, dtype).transpose(order)
        self._values: Floats = np.zeros(shape, dtype).transpose(order)

    @property
    def addresses(self) -> tuple[int, int]:
        """See `Room`."""
        return self._keys.ctypes.data, self._values.ctypes.data

    def write(self, at: int, keys_lhtd: Floats, values_lhtd: Floats) -> None:
        """See `Room`."""
        part = np.s_[:, :, at : at + keys_lhtd.shape[2]]
        self._keys[part] = keys_lhtd
        self._values[part] = values_lhtd

    def read(self, start: int, end: int) -> KeysAndValues:
        """See `Room`."""
        return self._keys[:, :, start:end].copy(), self._values[:, :, start:end].copy()

    def keys(self, layer: int, start: int, end: int) -> Floats:
        """See `Room`."""
        return self._keys[layer, :, start:end]


class DeviceRoom:
    """Memory of a device, which only graphs reach part by part: one writes entries in place, one reads them.

    Written for CUDA and not run there so far: the tests run it with blocks in the host's memory.
    """

    __slots__ = ("_blocks", "_dtype", "_get", "_put", "_shape", "device")

    def __init__(
        self,
        shape_lhed: tuple[int, int, int, int],
        dtype: npt.DTypeLike,
        device: Provider,
        *,
        allocate: Callable[[], Any],
        sessions: tuple[Any, Any],
    ) -> None:
        """Allocate both blocks and bind them.

        Args:
            shape_lhed: Of each block.
            dtype: Of each block.
            device: Where they lie.
            allocate: Returns a value of that shape, type and device (an OrtValue).
            sessions: They run `graph.PUT_FILE` and `graph.GET_FILE` on the device.
        """
        self.device: Final = device
        self._shape, self._dtype = shape_lhed, np.dtype(dtype)
        self._blocks = {"keys": allocate(), "values": allocate()}
        self._put, self._get = ((session, session.io_binding()) for session in sessions)
        for name, block in self._blocks.items():
            self._put[1].bind_ortvalue_input(f"past.{name}", block)
            self._put[1].bind_ortvalue_output(f"present.{name}", block)
            self._get[1].bind_ortvalue_input(f"past.{name}", block)

    @property
    def addresses(self) -> tuple[int, int]:
        """See `Room`."""
        return self._blocks["keys"].data_ptr(), self._blocks["values"].data_ptr()

    def write(self, at: int, keys_lhtd: Floats, values_lhtd: Floats) -> None:
        """See `Room`."""
        if not keys_lhtd.size:
            return  # the address of an empty array may be null, which the binding takes for an error
        session, binding = self._put
        for name, entries in (("keys", keys_lhtd), ("values", values_lhtd)):
            binding.bind_cpu_input(name, np.ascontiguousarray(entries, self._dtype))
        binding.bind_cpu_input("at", np.full(self._shape[0], at, np.int64))
        session.run_with_iobinding(binding)

    def read(self, start: int, end: int) -> KeysAndValues:
        """See `Room`."""
        keys, values = self._copies(("keys", "values"), (0, self._shape[0]), (start, end))
        return keys, values

    def keys(self, layer: int, start: int, end: int) -> Floats:
        """See `Room`."""
        (keys,) = self._copies(("keys",), (layer, layer + 1), (start, end))
        return keys.reshape(keys.shape[1:])

    def _copies(
        self, names: Sequence[str], layers: tuple[int, int], entries: tuple[int, int]
    ) -> list[Floats]:
        (first_layer, end_layer), (start, end) = layers, entries
        shape = (end_layer - first_layer, self._shape[1], end - start, self._shape[3])
        arrays = [np.empty(shape, self._dtype) for _ in names]
        if start == end:
            return arrays
        session, binding = self._get
        binding.bind_cpu_input("start", np.array([first_layer, start], np.int64))
        binding.bind_cpu_input("end", np.array([end_layer, end], np.int64))
        binding.clear_binding_outputs()
        for name, array in zip(names, arrays, strict=True):
            binding.bind_output(name, "cpu", 0, self._dtype.type, shape, array.ctypes.data)
        session.run_with_iobinding(binding)
        return arrays


class KeyValueCache:
    """Room for the keys and values of `capacity_tokens` tokens in every layer, bound to a decoder's runs."""

    __slots__ = ("_room", "_shape", "binding", "capacity_tokens", "query_binding")

    def __init__(
        self,
        room: Room,
        shape_lhed: tuple[int, int, int, int],
        capacity_tokens: int,
        bind: Callable[[tuple[int, int]], Binding],
    ) -> None:
        """Bind the room.

        Args:
            room: Not shared with other caches.
            shape_lhed: Of its blocks.
            capacity_tokens: Entries that may be used; blocks may have some more.
            bind: Returns a binding of the decoder's session to blocks at these addresses.
        """
        self.capacity_tokens: Final = capacity_tokens
        self.binding: Final = bind(room.addresses)
        """Of runs that give logits only."""
        self.query_binding: Final = bind(room.addresses)
        """Of runs that give queries too; what is bound once is given by every run."""
        self._room, self._shape = room, shape_lhed

    def put(self, at: int, keys_lhtd: Floats, values_lhtd: Floats) -> None:
        """Overwrite the entries from `at` on with keys and values (layers, kv heads, tokens, head_dim).

        They are converted to the cache's number type if they are of another.

        Raises:
            ValueError: The entries do not lie within the capacity, or the arrays are of another shape.
        """
        n_layers, n_heads, _, head_dim = self._shape
        n_tokens = keys_lhtd.shape[2]
        if not keys_lhtd.shape == values_lhtd.shape == (n_layers, n_heads, n_tokens, head_dim):
            raise ValueError(f"keys {keys_lhtd.shape} and values {values_lhtd.shape} do not fit this decoder")
        self._check(at, at + n_tokens)
        self._room.write(at, keys_lhtd, values_lhtd)

    def get(self, start: int, end: int) -> KeysAndValues:
        """Return copies of the keys and values of the entries from `start` to `end`.

        Returns:
            Two contiguous arrays (layers, kv heads, end - start, head_dim) in the cache's number type.

        Raises:
            ValueError: The entries do not lie within the capacity.
        """
        self._check(start, end)
        return self._room.read(start, end)

    def keys(self, layer: int, start: int, end: int) -> Floats:
        """Return the keys of some entries in one layer: (kv heads, end - start, head_dim).

        To be read before the next run or `put`: on the CPU they are the cache's own memory.

        Raises:
            ValueError: The entries do not lie within the capacity.
        """
        self._check(start, end)
        return self._room.keys(layer, start, end)

    def _check(self, start: int, end: int) -> None:
        if not 0 <= start <= end <= self.capacity_tokens:
            raise ValueError(f"entries {start} to {end} of {self.capacity_tokens}")
