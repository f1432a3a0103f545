"""How linear layers are stored and multiplied in a graph: one class a quantization scheme.

Each takes fp32 weights and adds nodes to a graph that is being written. Whatever the scheme, a row's result
depends on that row alone: activation scales are per row or constant, never taken over the rows that happen to
share a pass, so that chunking, drafting and batching leave the output as it was.

This file knows neither the architecture nor the ONNX library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from model.blockwise import quantize_blocks
from model.quantize import quantize_rows
from model.types import Quantization

Array = npt.NDArray[Any]
Matrix = npt.NDArray[np.float32]
Attribute = int | float | str

ZERO_POINT: Final = 128
"""Activations are stored as unsigned bytes, value + 128: the operand that x86 integer products take."""

NORMED_LIMIT: Final = 5.0
"""Where normalized rows are clipped, in units of their root mean square.

In the basis of a random rotation a row is spread as on a sphere, whatever it was before: of 896 numbers the
largest is near 3.3, and one in two million lies beyond 5. So one constant scale serves every row, without
calibration and without a pass over the row to find its maximum.
"""

NORMED_SCALE: Final = np.float32(NORMED_LIMIT / 127)
"""What the bytes of such rows are multiplied with."""

BLOCK_SIZE: Final = 32
"""Weights that share a scale in the 4-bit scheme."""


class GraphNodes(Protocol):
    """What a scheme needs of the graph that is being written."""

    def op(self, kind: str, inputs: list[str], output: str, **attributes: Attribute) -> str:
        """Add a node and return the name of its one output; `kind` may start with `com.microsoft:`."""
        ...

    def constant(self, name: str, value: Array) -> str:
        """Hold `value` under `name` and return the name; what is held under it already stays."""
        ...


@dataclass(frozen=True, slots=True)
class Operand:
    """Rows prepared for the products that share them."""

    values: str
    scale: str = ""
    """What integers are multiplied with, constant over the graph; empty when `values` are floats."""
    row_scale: str = ""
    """(1, S, 1), applied to the product; empty when rows have none."""


class Scheme(Protocol):
    """The embedding table and linear layers in one numeric format."""

    @property
    def float_type(self) -> type[np.float32 | np.float16]:
        """Of activations, norm weights, rotary tables and the KV cache."""
        ...

    @property
    def on_device(self) -> bool:
        """Whether it is made for a device's kernels, and not for the processor's."""
        ...

    def embed(self, graph: GraphNodes, table: Matrix, ids: str, output: str) -> str:
        """Look up rows of `table` (vocab, hidden): (1, S, hidden) in `float_type`."""
        ...

    def operand(self, graph: GraphNodes, x: str, *, normed: bool, maybe_empty: bool = False) -> Operand:
        """Prepare `x` (1, S, in) for products.

        Args:
            graph: Being written.
            x: The rows.
            normed: Whether they come out of a norm, with a root mean square of 1.
            maybe_empty: Whether S may be 0.
        """
        ...

    def linear(
        self, graph: GraphNodes, x: Operand, weight: Matrix, output: str, bias: Matrix | None = None
    ) -> str:
        """Multiply with `weight` (out, in) and add `bias` (out,): (1, S, out) in `float_type`."""
        ...

    def logits(self, graph: GraphNodes, x: Operand, weight: Matrix, output: str) -> str:
        """Project normalized rows `x` (1, R, hidden) on tokens (n, hidden): (1, R, n) in fp32."""
        ...


def make_scheme(quantization: Quantization) -> Scheme:
    """Return the scheme that `quantization` names."""
    if quantization.scheme == "w8a8":
        return W8A8(quantization.weight_bits, rotated=quantization.rotated)
    return W4A16() if quantization.scheme == "w4a16" else Fp32()


class _Floats:
    """What schemes have in common whose products take floats as they are."""

    def operand(
        self,
        graph: GraphNodes,  # noqa: ARG002
        x: str,
        *,
        normed: bool,  # noqa: ARG002
        maybe_empty: bool = False,  # noqa: ARG002
    ) -> Operand:
        return Operand(x)


class Fp32(_Floats):
    """The reference: nothing is quantized."""

    float_type: type[np.float32 | np.float16] = np.float32
    on_device = False

    def embed(self, graph: GraphNodes, table: Matrix, ids: str, output: str) -> str:
        """See `Scheme`."""
        return graph.op("Gather", [graph.constant("embed.weight", table), ids], output)

    def linear(
        self, graph: GraphNodes, x: Operand, weight: Matrix, output: str, bias: Matrix | None = None
    ) -> str:
        """See `Scheme`."""
        inputs = [x.values, graph.constant(f"{output}.weight", weight.T)]
        if bias is None:
            return graph.op("MatMul", inputs, output)
        product = graph.op("MatMul", inputs, f"{output}.product")
        return graph.op("Add", [product, graph.constant(f"{output}.bias", bias)], output)

    def logits(self, graph: GraphNodes, x: Operand, weight: Matrix, output: str) -> str:
        """See `Scheme`."""
        return self.linear(graph, x, weight, output)


class W8A8:
    """Integer products: signed weights with one scale an output channel, activations as bytes.

    Normalized rows of a rotated model take one constant scale; all others one scale a row, their largest
    magnitude. The operator has room for a single activation scale: it gets the constant part, and the row's
    own is multiplied in afterwards. A row of zeros divides 0 by 0, and whatever bytes that gives are then
    multiplied by the row's scale, which is 0.
    """

    float_type: type[np.float32 | np.float16] = np.float32
    on_device = False

    def __init__(self, weight_bits: int, *, rotated: bool) -> None:
        self._weight_bits = weight_bits
        self._rotated = rotated

    def embed(self, graph: GraphNodes, table: Matrix, ids: str, output: str) -> str:
        """See `Scheme`. The table always has 8 bits: it takes part in no product that could saturate."""
        values, scales = quantize_rows(table, 8)
        rows = graph.op("Gather", [graph.constant("embed.weight", values), ids], f"{output}.integers")
        scale = graph.op("Gather", [graph.constant("embed.scales", scales[:, None]), ids], f"{output}.scale")
        return graph.op("Mul", [graph.op("Cast", [rows], f"{output}.floats", to=1), scale], output)

    def operand(self, graph: GraphNodes, x: str, *, normed: bool, maybe_empty: bool = False) -> Operand:
        """See `Scheme`."""
        zero_point = graph.constant("zero_point", np.array(ZERO_POINT, np.uint8))
        if normed and self._rotated:
            scale = graph.constant("normed_scale", np.array(NORMED_SCALE, np.float32))
            return Operand(graph.op("QuantizeLinear", [x, scale, zero_point], f"{x}.bytes"), scale)
        scale = graph.constant("unit_scale", np.array(1 / 127, np.float32))
        magnitude = graph.op("Abs", [x], f"{x}.magnitude")
        last_axis = graph.constant("last_axis", np.array([-1], np.int64))
        largest = graph.op("ReduceMax", [magnitude, last_axis], f"{x}.reduced", keepdims=1)
        if maybe_empty:
            # Of no rows at all, onnxruntime's ReduceMax keeps the last axis; (0, 0, 1) is (as is, as is, 1).
            column = graph.constant("column_shape", np.array([0, 0, 1], np.int64))
            largest = graph.op("Reshape", [largest, column], f"{x}.largest")
        unit = graph.op("Div", [x, largest], f"{x}.unit")
        return Operand(graph.op("QuantizeLinear", [unit, scale, zero_point], f"{x}.bytes"), scale, largest)

    def linear(
        self, graph: GraphNodes, x: Operand, weight: Matrix, output: str, bias: Matrix | None = None
    ) -> str:
        """See `Scheme`."""
        values, scales = quantize_rows(weight, self._weight_bits)
        inputs = [x.values, graph.constant(f"{output}.weight", values.T), x.scale]
        inputs += [graph.constant(f"{output}.scale", scales), "zero_point"]
        held_bias = [] if bias is None else [graph.constant(f"{output}.bias", bias)]
        if not x.row_scale:
            fused_bias = ["", *held_bias] if held_bias else []
            return graph.op("com.microsoft:MatMulIntegerToFloat", inputs + fused_bias, output)
        product = graph.op("com.microsoft:MatMulIntegerToFloat", inputs, f"{output}.product")
        if not held_bias:
            return graph.op("Mul", [product, x.row_scale], output)
        scaled = graph.op("Mul", [product, x.row_scale], f"{output}.scaled")
        return graph.op("Add", [scaled, *held_bias], output)

    def logits(self, graph: GraphNodes, x: Operand, weight: Matrix, output: str) -> str:
        """See `Scheme`."""
        return self.linear(graph, x, weight, output)


class W4A16(_Floats):
    """Weights in 4-bit blocks, activations, KV cache and output projection in fp16: for CUDA."""

    float_type: type[np.float32 | np.float16] = np.float16
    on_device = True

    def embed(self, graph: GraphNodes, table: Matrix, ids: str, output: str) -> str:
        """See `Scheme`."""
        return graph.op("Gather", [graph.constant("embed.weight", table.astype(np.float16)), ids], output)

    def linear(
        self, graph: GraphNodes, x: Operand, weight: Matrix, output: str, bias: Matrix | None = None
    ) -> str:
        """See `Scheme`."""
        blocks = quantize_blocks(weight, BLOCK_SIZE)
        inputs = [x.values, graph.constant(f"{output}.weight", blocks.values)]
        inputs += [graph.constant(f"{output}.scale", blocks.scales.astype(np.float16))]
        inputs += [graph.constant(f"{output}.zero_point", blocks.zero_points)]
        n_out, n_in = weight.shape
        sizes = {"K": n_in, "N": n_out, "bits": 4, "block_size": BLOCK_SIZE}
        if bias is None:
            return graph.op("com.microsoft:MatMulNBits", inputs, output, **sizes)
        product = graph.op("com.microsoft:MatMulNBits", inputs, f"{output}.product", **sizes)
        return graph.op("Add", [product, graph.constant(f"{output}.bias", bias.astype(np.float16))], output)

    def logits(self, graph: GraphNodes, x: Operand, weight: Matrix, output: str) -> str:
        """See `Scheme`."""
        table = graph.constant(f"{output}.weight", weight.T.astype(np.float16))
        return graph.op("Cast", [graph.op("MatMul", [x.values, table], f"{output}.half")], output, to=1)
