"""The decoder of a Qwen2-architecture model in torch, its weights frozen, with a low-rank adapter to train.

The same mathematics as `model.graph`, for the tokens of a whole group at once, forward and backward. Only
what an adapter needs is differentiated: no gradient of a frozen weight is ever computed. What is kept for the
backward pass are the inputs of linear layers; what is cheap is computed twice instead.

Adapter: LoRA (arXiv 2106.09685), W + alpha/rank · B·A, on all seven linear layers of each layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        cast = None if adapter is None else {name: one.to(self._dtype) for name, one in adapter.items()}
        return (self._hidden(plan, cast) @ self._head.T).to(_wide(self._dtype))

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
        factors = _factors(adapter, name, parts)
        product = self._products[name, parts]
        return _Linear.apply(x, product, bias, self._scale, *factors)

    def _feed_forward(self, x: Tensor, name: str, adapter: Adapter | None) -> Tensor:
        products = (self._products[name, ("gate", "up")], self._products[name, ("down",)])
        factors = _factors(adapter, name, ("gate", "up", "down"))
        return _FeedForward.apply(x, *products, self._scale, *factors)


def _factors(adapter: Adapter | None, name: str, parts: tuple[str, ...]) -> list[Tensor]:
    """Return A and B of each part in turn; none without an adapter."""
    if adapter is None:
        return []
    return [adapter[f"{name}.{part}.{factor}"] for part in parts for factor in "AB"]


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
    """Some linear layers of one input, side by side, each with its adapter.

    Sums go into the product's own memory: a pass over activations costs as much as a tenth of the product.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, scale: float, *factors: Tensor
    ) -> Tensor:
        y = torch.nn.functional.linear(x, weight, bias)
        lows = _add_adapters(y, x, factors, scale)
        ctx.save_for_backward(x, weight, *factors, *lows)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *rest = ctx.saved_tensors
        n_factors = 2 * len(rest) // 3
        d_x = d_y @ weight
        d_factors = _adapter_gradients(d_x, d_y, x, rest[:n_factors], rest[n_factors:], ctx.scale)
        return d_x, None, None, None, *d_factors


class _FeedForward(torch.autograd.Function):  # type: ignore[misc]  # torch need not be installed
    """`down(silu(gate) * up)` with its adapters; what is elementwise is computed again for the backward pass.

    Runs over some rows at a time, so that what lies between the products stays in the processor's caches.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, gate_up: Tensor, down: Tensor, scale: float, *factors: Tensor
    ) -> Tensor:
        both = x.new_empty(len(x), len(gate_up))
        y = torch.empty_like(x)
        n_inner = len(gate_up) // 2
        for start in range(0, len(x), _ROWS):
            rows = slice(start, start + _ROWS)
            both_here = torch.mm(x[rows], gate_up.T, out=both[rows])
            _add_adapters(both_here, x[rows], factors[:4], scale)
            gate, up = both_here.split(n_inner, dim=-1)
            inner = torch.nn.functional.silu(gate).mul_(up)
            y_here = torch.mm(inner, down.T, out=y[rows])
            _add_adapters(y_here, inner, factors[4:], scale)
        ctx.save_for_backward(x, both, gate_up, down, *factors)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, both, gate_up, down, *factors = ctx.saved_tensors
        n_inner = len(gate_up) // 2
        d_x = torch.empty_like(x)
        sums = [torch.zeros_like(factor, dtype=_wide(x.dtype)) for factor in factors]
        for start in range(0, len(x), _ROWS):
            rows = slice(start, start + _ROWS)
            gate, up = both[rows].split(n_inner, dim=-1)
            sigmoid = torch.sigmoid(gate)
            silu = gate * sigmoid
            inner = silu * up
            d_inner = d_y[rows] @ down
            found = _adapter_gradients(d_inner, d_y[rows], inner, factors[4:], None, ctx.scale)
            slope = sigmoid.add_(silu).addcmul_(silu, torch.sigmoid(gate), value=-1)  # of silu
            d_both = torch.cat([slope.mul_(up).mul_(d_inner), silu.mul_(d_inner)], dim=-1)
            d_x_here = torch.mm(d_both, gate_up, out=d_x[rows])
            found = [*_adapter_gradients(d_x_here, d_both, x[rows], factors[:4], None, ctx.scale), *found]
            for total, here in zip(sums, found, strict=True):
                total.add_(here)
        return d_x, None, None, None, *(one.to(x.dtype) for one in sums)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Return the type that sums are taken in: fp32 at least."""
    return torch.promote_types(dtype, torch.float32)


def _add_adapters(y: Tensor, x: Tensor, factors: Sequence[Tensor], scale: float) -> list[Tensor]:
    """Add the adapters' part to `y`, the outputs of linear layers side by side; return A·x of each."""
    lows, start = [], 0
    for a, b in zip(factors[::2], factors[1::2], strict=True):
        low = x @ a.T
        y[:, start : start + len(b)].addmm_(low, b.T, alpha=scale)
        start += len(b)
        lows.append(low)
    return lows


def _adapter_gradients(  # noqa: PLR0913, PLR0917 - one call computes what autograd would in many
    d_x: Tensor,
    d_y: Tensor,
    x: Tensor,
    factors: Sequence[Tensor],
    lows: Sequence[Tensor] | None,
    scale: float,
) -> list[Tensor]:
    """Add the adapters' part to `d_x`, and return the gradients of A and B of each in turn."""
    gradients, start = [], 0
    for index, (a, b) in enumerate(zip(factors[::2], factors[1::2], strict=True)):
        d_here = d_y[:, start : start + len(b)]
        start += len(b)
        low = x @ a.T if lows is None else lows[index]
        d_low = (d_here @ b).mul_(scale)
        d_x.addmm_(d_low, a)
        gradients += [d_low.T @ x, (d_here.T @ low).mul_(scale)]
    return gradients
