"""The decoder of a Qwen2-architecture model in torch, its weights frozen, with a low-rank adapter to train.

The same mathematics as `model.graph`, for the tokens of a whole group at once, forward and backward. Only
what an adapter needs is differentiated: no gradient of a frozen weight is ever computed. What is kept for the
backward pass are the inputs of linear layers; what is cheap is computed twice instead.

Adapter: LoRA (arXiv 2106.09685), W + alpha/rank · B·A, on all seven linear layers of each layer.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn.functional import scaled_dot_product_attention

from model.training.plan import Plan
from model.types import DecoderConfig
from model.weights import Weights, tensor_shapes

__all__ = ["ADAPTED", "Adapter", "Network", "load_network", "new_adapter"]

ADAPTED: Final = ("q", "k", "v", "o", "gate", "up", "down")

_PRODUCTS: Final[tuple[tuple[str, ...], ...]] = (("q", "k", "v"), ("o",), ("gate", "up"), ("down",))
"""Layers that read the same input, and so are computed as one."""

_ROWS: Final = 512
"""Of a feed-forward block that are computed at a time."""

Adapter = dict[str, Tensor]
"""fp32 factors by name: `layers.{i}.{part}.A` (rank, in) and `.B` (out, rank)."""


def new_adapter(config: DecoderConfig, rank: int, seed: int) -> Adapter:
    """Return an adapter that changes nothing yet: A random, B zero."""
    generator = torch.Generator().manual_seed(seed)
    shapes = tensor_shapes(config)
    adapter: Adapter = {}
    for layer in range(config.n_layers):
        for part in ADAPTED:
            name = f"layers.{layer}.{part}"
            n_out, n_in = shapes[name]
            adapter[f"{name}.A"] = torch.randn(rank, n_in, generator=generator) / math.sqrt(n_in)
            adapter[f"{name}.B"] = torch.zeros(n_out, rank)
    return {name: factor.requires_grad_() for name, factor in adapter.items()}


def load_network(weights: Weights, scale: float, *, n_threads: int) -> Network:
    """Return a network in bf16, and let torch use so many threads from now on."""
    torch.set_num_threads(n_threads)
    return Network(weights, torch.bfloat16, scale)


class Network:
    """A frozen decoder; adapters are given to each pass."""

    def __init__(self, weights: Weights, dtype: torch.dtype, scale: float) -> None:
        """Read all weights.

        Args:
            weights: Neither rotated nor quantized.
            dtype: Of weights and activations; bf16 halves memory and time.
            scale: What B·A is multiplied by.
        """
        self.config: Final = weights.config
        self._dtype = dtype
        self._scale = scale
        self._embed = self._read(weights, ["embed"])
        head = weights.tensor("lm_head")
        is_tied = np.array_equal(head[:64], weights.tensor("embed")[:64])
        self._head = self._embed if is_tied else torch.from_numpy(head).to(dtype)
        self._norms, self._products, self._biases = {}, {}, {}
        for layer in range(self.config.n_layers):
            name = f"layers.{layer}"
            for norm in ("attn_norm", "ffn_norm"):
                self._norms[f"{name}.{norm}"] = self._read(weights, [f"{name}.{norm}"])
            for parts in _PRODUCTS:
                self._products[name, parts] = self._read(weights, [f"{name}.{part}" for part in parts])
            self._biases[name] = self._read(weights, [f"{name}.{part}_bias" for part in "qkv"])
        self._norms["final_norm"] = self._read(weights, ["final_norm"])

    def _read(self, weights: Weights, names: list[str]) -> Tensor:
        return torch.cat([torch.from_numpy(weights.tensor(name)).to(self._dtype) for name in names])

    def logits(self, plan: Plan, adapter: Adapter | None) -> Tensor:
        """Return the logits of the plan's rows, fp32 (rows, vocab)."""
        return (self._hidden(plan, adapter) @ self._head.T).to(_wide(self._dtype))

    def _hidden(self, plan: Plan, adapter: Adapter | None) -> Tensor:
        config = self.config
        x = self._embed[torch.from_numpy(plan.token_ids)]
        attention = _Attention(plan, config, self._dtype)
        rows = torch.from_numpy(plan.rows)
        sizes = (config.n_heads * config.head_dim, *[config.n_kv_heads * config.head_dim] * 2)
        for layer in range(config.n_layers):
            name = f"layers.{layer}"
            h = self._norm(x, f"{name}.attn_norm")
            q, k, v = self._linear(h, name, ("q", "k", "v"), adapter).split(sizes, dim=-1)
            attended = attention(q, k, v)
            if layer == config.n_layers - 1:  # nothing after it looks at other tokens
                attended, x = attended[rows], x[rows]
            x = x + self._linear(attended, name, ("o",), adapter)
            h = self._norm(x, f"{name}.ffn_norm")
            x = x + self._feed_forward(h, name, adapter)
        return self._norm(x, "final_norm")

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return _Norm.apply(x, self._norms[name], self.config.rms_norm_eps)

    def _linear(self, x: Tensor, name: str, parts: tuple[str, ...], adapter: Adapter | None) -> Tensor:
        bias = self._biases[name] if "q" in parts else None
        factors = self._factors(adapter, name, parts)
        return _Linear.apply(x, self._products[name, parts], bias, *factors)

    def _feed_forward(self, x: Tensor, name: str, adapter: Adapter | None) -> Tensor:
        products = (self._products[name, ("gate", "up")], self._products[name, ("down",)])
        gate_up = self._factors(adapter, name, ("gate", "up"))
        return _FeedForward.apply(x, *products, *gate_up, *self._factors(adapter, name, ("down",)))

    def _factors(self, adapter: Adapter | None, name: str, parts: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Return A and B of layers side by side as those of one, B with its scale; of no adapter, empty."""
        if adapter is None:
            product = self._products[name, parts]
            return product.new_empty(0, product.shape[1]), product.new_empty(product.shape[0], 0)
        a = torch.cat([adapter[f"{name}.{part}.A"] for part in parts])
        b = torch.block_diag(*(adapter[f"{name}.{part}.B"] for part in parts)) * self._scale
        return a.to(self._dtype), b.to(self._dtype)


class _Attention:
    """Attention of a plan's segments, each over what it sees; the same for all layers."""

    def __init__(self, plan: Plan, config: DecoderConfig, dtype: torch.dtype) -> None:
        self._segments = plan.segments
        self._sizes = [segment.n_tokens for segment in plan.segments]
        self._config = config
        steps = np.arange(0, config.head_dim, 2) / config.head_dim
        angles = np.outer(plan.positions, config.rope_theta**-steps)
        self._cos = torch.from_numpy(np.cos(angles)).to(dtype)[:, None, :]
        self._sin = torch.from_numpy(np.sin(angles)).to(dtype)[:, None, :]
        n_group = config.n_heads // config.n_kv_heads
        self._masks = []
        for segment in plan.segments:
            n_seen = sum(n_shown for _, n_shown in segment.sees)
            hidden = torch.ones(segment.n_tokens, n_seen + segment.n_tokens, dtype=torch.bool).triu(
                n_seen + 1
            )
            mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -math.inf)
            self._masks.append(mask.repeat(n_group, 1))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return (tokens, heads * head_dim).

        The query heads that share keys are put one below the other as rows of one product.
        """
        config = self._config
        n_kv, n_group, size = config.n_kv_heads, config.n_heads // config.n_kv_heads, config.head_dim
        queries = self._rotated(q.view(-1, config.n_heads, size)).split(self._sizes)
        keys = self._rotated(k.view(-1, n_kv, size)).split(self._sizes)
        values = v.view(-1, n_kv, size).split(self._sizes)
        outputs = []
        for index, segment in enumerate(self._segments):
            n_tokens = segment.n_tokens
            seen = (*segment.sees, (index, n_tokens))
            query = queries[index].view(n_tokens, n_kv, n_group, size).permute(1, 2, 0, 3)
            output = scaled_dot_product_attention(
                query.reshape(1, n_kv, n_group * n_tokens, size),
                torch.cat([keys[other][:n_shown] for other, n_shown in seen]).transpose(0, 1)[None],
                torch.cat([values[other][:n_shown] for other, n_shown in seen]).transpose(0, 1)[None],
                attn_mask=self._masks[index],
            )
            output = output.view(n_kv, n_group, n_tokens, size).permute(2, 0, 1, 3)
            outputs.append(output.reshape(n_tokens, n_kv * n_group * size))
        return torch.cat(outputs)

    def _rotated(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        turned = (first * self._cos - second * self._sin, second * self._cos + first * self._sin)
        return torch.cat(turned, dim=-1)


class _Norm(torch.autograd.Function):  # type: ignore[misc]  # torch need not be installed
    """RMS normalization with a frozen weight; keeps its input and one number a row."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        inverse = torch.rsqrt(x.to(_wide(x.dtype)).square().mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(x, weight, inverse)
        return (x * inverse).to(x.dtype) * weight

    @staticmethod
    def backward(ctx: FunctionCtx, d_y: Tensor) -> tuple[Tensor, None, None]:
        x, weight, inverse = ctx.saved_tensors
        unit = x * inverse
        d_unit = d_y * weight
        d_x = (d_unit - unit * (d_unit * unit).mean(-1, keepdim=True)).mul_(inverse)
        return d_x.to(x.dtype), None, None


class _Linear(torch.autograd.Function):  # type: ignore[misc]  # torch need not be installed
    """Linear layers of one input, side by side, with their adapters.

    Sums go into the product's own memory: a pass over activations costs as much as a tenth of the product.
    """

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - torch's own
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor
    ) -> Tensor:
        low = x @ a.T
        ctx.save_for_backward(x, weight, a, b, low)
        return torch.nn.functional.linear(x, weight, bias).addmm_(low, b.T)

    @staticmethod
    def backward(ctx: FunctionCtx, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, a, b, low = ctx.saved_tensors
        d_low = d_y @ b
        d_x = (d_y @ weight).addmm_(d_low, a)
        return d_x, None, None, d_low.T @ x, d_y.T @ low


class _FeedForward(torch.autograd.Function):  # type: ignore[misc]  # torch need not be installed
    """`down(silu(gate) * up)` with its adapters; what is elementwise is computed again for the backward pass.

    Runs over some rows at a time, so that what lies between the products stays in the processor's caches.
    """

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - torch's own
        ctx: FunctionCtx,
        x: Tensor,
        gate_up: Tensor,
        down: Tensor,
        a: Tensor,
        b: Tensor,
        down_a: Tensor,
        down_b: Tensor,
    ) -> Tensor:
        both, y = x.new_empty(len(x), len(gate_up)), torch.empty_like(x)
        low = x @ a.T
        for rows in _slices(len(x)):
            gate, up = torch.mm(x[rows], gate_up.T, out=both[rows]).addmm_(low[rows], b.T).chunk(2, dim=-1)
            inner = torch.nn.functional.silu(gate).mul_(up)
            torch.mm(inner, down.T, out=y[rows]).addmm_(inner @ down_a.T, down_b.T)
        ctx.save_for_backward(x, gate_up, down, a, b, down_a, down_b, both, low)
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, gate_up, down, a, b, down_a, down_b, both, low = ctx.saved_tensors
        d_x = torch.empty_like(x)
        totals = [torch.zeros_like(factor, dtype=_wide(x.dtype)) for factor in (a, b, down_a, down_b)]
        for rows in _slices(len(x)):
            gate, up = both[rows].chunk(2, dim=-1)
            sigmoid = torch.sigmoid(gate)
            silu = gate * sigmoid
            inner = silu * up
            d_inner_low = d_y[rows] @ down_b
            d_inner = (d_y[rows] @ down).addmm_(d_inner_low, down_a)
            d_both = torch.empty_like(both[rows])
            d_gate, d_up = d_both.chunk(2, dim=-1)
            torch.mul(d_inner, silu, out=d_up)
            slope = torch.addcmul(sigmoid + silu, silu, sigmoid, value=-1)  # of silu
            torch.mul(slope.mul_(up), d_inner, out=d_gate)
            d_low = d_both @ b
            torch.mm(d_both, gate_up, out=d_x[rows]).addmm_(d_low, a)
            found = (
                d_low.T @ x[rows],
                d_both.T @ low[rows],
                d_inner_low.T @ inner,
                d_y[rows].T @ (inner @ down_a.T),
            )
            for total, here in zip(totals, found, strict=True):
                total.add_(here)
        return d_x, None, None, *(total.to(x.dtype) for total in totals)


def _slices(n_rows: int) -> list[slice]:
    return [slice(start, start + _ROWS) for start in range(0, n_rows, _ROWS)]


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Return the type that sums are taken in: fp32 at least."""
    return torch.promote_types(dtype, torch.float32)
