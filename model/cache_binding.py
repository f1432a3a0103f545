"""How a cache is bound to a decoder's runs, in the two ways that forms of attention want it (`attention.py`).

This file knows addresses and names, and of onnxruntime only its binding, which it is handed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from model.types import Provider

__all__ = ["Binding", "Parts", "RunBinding", "ViewBinding", "WholeBinding", "round_up"]

RunBinding = Any
"""onnxruntime's `IOBinding`, which has no types."""


class Binding(Protocol):
    """A run's inputs and outputs as far as the cache goes."""

    def ready(self, n_past: int, n_new: int) -> RunBinding:
        """Return the run time's binding for a run of `n_new` tokens behind `n_past` entries."""
        ...


class WholeBinding:
    """A binding of runs that are given the whole cache, as past and present at once."""

    __slots__ = ("_binding",)

    def __init__(self, binding: RunBinding, parts: Parts) -> None:
        """Bind every layer's part, once and for all."""
        self._binding = binding
        for name, address in parts.layers():
            place = (parts.device, 0, parts.dtype, (1, *parts.shape_lhed[1:]), address)
            binding.bind_input(f"past.{name}", *place)
            binding.bind_output(f"present.{name}", *place)

    def ready(self, n_past: int, n_new: int) -> RunBinding:  # noqa: ARG002 - the run is told by its inputs
        """Return the binding of a run."""
        return self._binding


class ViewBinding:
    """A binding of runs that are given the entries they see, and the places of those that they add."""

    __slots__ = ("_binding", "_n_view", "_parts", "_step")

    def __init__(self, binding: RunBinding, parts: Parts, step: int) -> None:
        """Bind nothing yet.

        Args:
            binding: Not shared.
            parts: The cache, an entry's heads side by side; its entries are a multiple of `step`.
            step: Entries are seen in multiples of it.
        """
        self._binding = binding
        self._parts = parts
        self._step = step
        self._n_view = 0

    def ready(self, n_past: int, n_new: int) -> RunBinding:
        """Return the binding of a run of `n_new` tokens behind `n_past`."""
        parts = self._parts
        n_heads, _, width = parts.shape_lhed[1:]
        n_view = round_up(n_past + n_new, self._step)
        entry_bytes = n_heads * width * np.dtype(parts.dtype).itemsize
        for name, address in parts.layers():
            if n_view != self._n_view:
                seen = (parts.device, 0, parts.dtype, (n_view, n_heads, width), address)
                self._binding.bind_input(f"past.{name}", *seen)
            added = (1, n_new, n_heads * width), address + n_past * entry_bytes
            self._binding.bind_output(f"present.{name}", parts.device, 0, parts.dtype, *added)
        self._n_view = n_view
        return self._binding


def round_up(n: int, step: int) -> int:
    """Return the least multiple of `step` that is not below `n`."""
    return -(-n // step) * step


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the parts of a room lie."""

    device: Provider
    dtype: type[np.floating]
    shape_lhed: tuple[int, int, int, int]
    addresses: tuple[int, int]
    """Of the keys and of the values."""

    def layers(self) -> Iterator[tuple[str, int]]:
        """Yield the name and the address of each layer's keys and values."""
        n_bytes = int(np.prod(self.shape_lhed[1:])) * np.dtype(self.dtype).itemsize
        for layer in range(self.shape_lhed[0]):
            for name, address in zip(("key", "value"), self.addresses, strict=True):
                yield f"{layer}.{name}", address + layer * n_bytes
