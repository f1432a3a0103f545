"""Collects the nodes and arrays of an ONNX graph that is being written.

Large arrays go to a data file as they come and are not kept. This file knows ONNX and nothing of what is
written with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from model.schemes import Array, Attribute

__all__ = ["Dimension", "GraphWriter", "value_info"]

Dimension = int | str

_EXTERNAL_BYTES: Final = 65_536
"""Arrays from this size on lie in the data file, each at a multiple of it, so that it can be mapped."""


class GraphWriter:
    """A graph that grows node by node."""

    def __init__(self, data: BinaryIO | None = None, data_file: str = "") -> None:
        """Begin with nothing.

        Args:
            data: Where large arrays are written; None for a graph that has none.
            data_file: The name that the graph will find them under, beside itself.
        """
        self._data = data
        self._data_file = data_file
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def branch(self) -> GraphWriter:
        """Return a graph to be given to a node as an attribute; it may read whatever this one holds."""
        return GraphWriter()

    def add_input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[Dimension]) -> None:
        """Declare an input of the graph."""
        self._inputs.append(value_info(name, dtype, shape))

    def add_output(self, name: str, dtype: npt.DTypeLike, shape: Sequence[Dimension]) -> None:
        """Declare what a node gives as an output of the graph."""
        self._outputs.append(value_info(name, dtype, shape))

    def node(
        self,
        kind: str,
        inputs: list[str],
        outputs: list[str],
        **attributes: Attribute | list[int] | GraphWriter,
    ) -> str:
        """Add a node, `kind` being `Operator` or `domain:Operator`; returns its first output."""
        domain, _, operator = kind.rpartition(":")
        name = f"{outputs[0]}/{operator}"
        values = {
            key: value.graph(f"{name}/{key}") if isinstance(value, GraphWriter) else value
            for key, value in attributes.items()
        }
        self._nodes.append(helper.make_node(operator, inputs, outputs, name=name, domain=domain, **values))
        return outputs[0]

    def op(
        self, kind: str, inputs: list[str], output: str, **attributes: Attribute | list[int] | GraphWriter
    ) -> str:
        """Add a node with one output, and return its name."""
        return self.node(kind, inputs, [output], **attributes)

    def split(self, x: str, sizes: list[int], outputs: list[str]) -> list[str]:
        """Split the last axis into parts of these sizes, and return their names."""
        lengths = self.constant(f"{x}.sizes", np.array(sizes, np.int64))
        self.node("Split", [x, lengths], outputs, axis=-1)
        return outputs

    def constant(self, name: str, value: Array) -> str:
        """Hold an array; one that is large is written to the data file now and not kept."""
        if name in self._constants:
            return name
        tensor = TensorProto(name=name, dims=value.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        if value.nbytes < _EXTERNAL_BYTES:
            tensor.raw_data = value.tobytes()
        else:
            if self._data is None:
                raise ValueError(f"there is no data file for {name}, an array of {value.nbytes} bytes")
            self._data.write(b"\0" * (-self._data.tell() % _EXTERNAL_BYTES))
            tensor.data_location = TensorProto.EXTERNAL
            placed = {"location": self._data_file, "offset": self._data.tell(), "length": value.nbytes}
            for key, entry in placed.items():
                tensor.external_data.add(key=key, value=str(entry))
            self._data.write(np.ascontiguousarray(value).data)
        self._constants[name] = tensor
        return name

    def finish(self, name: str, *, opset: int = 21, properties: Mapping[str, str] | None = None) -> bytes:
        """Return the graph as a serialized model, with these properties in its metadata."""
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(
            self.graph(name), opset_imports=opsets, ir_version=10, producer_name="crosslight"
        )
        helper.set_model_props(model, dict(properties or {}))
        serialized: bytes = model.SerializeToString()
        return serialized

    def graph(self, name: str) -> onnx.GraphProto:
        """Return what was collected."""
        return helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, list(self._constants.values())
        )


def value_info(name: str, dtype: npt.DTypeLike, shape: Sequence[Dimension]) -> onnx.ValueInfoProto:
    """Return the declaration of an input or output; a name stands for a size that differs from run to run."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
