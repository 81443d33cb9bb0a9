"""Attention with an explicit cache: keys and values are a value that goes in and comes out.

Self-attention appends to the cache it is given; cross-attention reads keys and values that `project` computed once
per bag, however many sequences look at them. It knows neither points nor tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from sr_accessor.transformer.config import TransformerConfig

__all__ = ["CrossAttention", "FeedForward", "KeyValues", "SelfAttention", "embedding", "norm"]

#: Positions a cache grows by: copying it at every step would cost as much as the network itself.
_SPARE = 32


@dataclass(frozen=True)
class KeyValues:
    """Keys and values of one attention layer.

    Parameters
    ----------
    keys, values : (B, H, C, E/H); the first `length` of C positions count, the rest is spare room
    length : positions that count

    `append` writes into the spare room, so the older value stays what it was, but of two continuations of one value
    only the last is right; `select` copies.
    """

    keys: torch.Tensor
    values: torch.Tensor
    length: int

    def append(self, keys: torch.Tensor, values: torch.Tensor) -> KeyValues:
        """With the keys and values of t more positions (B, H, t, E/H)."""
        total = self.length + keys.shape[2]
        if total <= self.keys.shape[2]:
            room = (self.keys, self.values)
        else:
            more = total + _SPARE - self.length
            room = tuple(torch.nn.functional.pad(t[:, :, : self.length], (0, 0, 0, more)) for t in self.tensors)
        for tensor, new in zip(room, (keys, values), strict=True):
            tensor[:, :, self.length : total] = new
        return KeyValues(*room, total)

    def select(self, rows: torch.Tensor) -> KeyValues:
        """The same for some rows, by index."""
        return KeyValues(self.keys[rows], self.values[rows], self.length)

    @property
    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values, spare room included."""
        return self.keys, self.values


class RMSNorm(nn.RMSNorm):
    """RMSNorm in the dtype of its input: under autocast a weight of another dtype would forbid the fused kernel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., E) -> (..., E)"""
        return nn.functional.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


def norm(config: TransformerConfig) -> nn.Module:
    """The normalisation of one vector; eps as published for LayerNorm (system.md §3)."""
    return nn.LayerNorm(config.width, eps=1e-12) if config.norm == "post_layer" else RMSNorm(config.width, eps=1e-6)


def embedding(count: int, width: int) -> nn.Embedding:
    """A table of vectors without values yet: to draw some on the meta device, where a network is read from its file,
    torch loads its compiler and sympy, two seconds of a first fit."""
    return nn.Embedding.from_pretrained(torch.empty(count, width), freeze=False)


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, T, E) -> (B, H, T, E/H)


class SelfAttention(nn.Module):
    """Every position looks at all (encoder) or at itself and those before it (decoder)."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.heads = config.heads
        self.inputs = nn.Linear(config.width, 3 * config.width, bias=config.bias)
        self.output = nn.Linear(config.width, config.width, bias=config.bias)

    def forward(
        self,
        x: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        causal: bool = False,
        cache: KeyValues | None = None,
    ) -> tuple[torch.Tensor, KeyValues]:
        """(B, T, E) -> (B, T, E) and the cache for the next call.

        `mask` (B, 1, 1, T) bool, True where one may look, for what is not causal. With a cache, x follows it.
        """
        queries, keys, values = (_heads(part, self.heads) for part in self.inputs(x).chunk(3, -1))
        if cache is None:
            cache = KeyValues(keys, values, keys.shape[2])
        else:
            cache = cache.append(keys, values)
            keys, values = (t[:, :, : cache.length] for t in cache.tensors)
        new, seen_by_all = queries.shape[2], cache.length - queries.shape[2]
        if causal and seen_by_all and new > 1:  # `is_causal` would align the first query with the first key
            mask = torch.ones(new, cache.length, dtype=torch.bool, device=x.device).tril(seen_by_all)
        seen = scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal and not seen_by_all and new > 1
        )
        return self.output(seen.transpose(1, 2).flatten(2)), cache

    def weights(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """(B, T, E) -> (B, H, T, T): how much each position takes from each, to be looked at; `forward` is faster."""
        queries, keys, _ = (_heads(part, self.heads) for part in self.inputs(x).chunk(3, -1))
        scores = queries @ keys.mT / queries.shape[-1] ** 0.5
        return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)


class CrossAttention(nn.Module):
    """Every position of a sequence looks at all points of its bag."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.heads = config.heads
        self.queries = nn.Linear(config.width, config.width, bias=config.bias)
        self.inputs = nn.Linear(config.width, 2 * config.width, bias=config.bias)
        self.output = nn.Linear(config.width, config.width, bias=config.bias)

    def project(self, memory: torch.Tensor) -> KeyValues:
        """Keys and values of S bags (S, N, E), once and for all sequences."""
        keys, values = (_heads(part, self.heads).contiguous() for part in self.inputs(memory).chunk(2, -1))
        return KeyValues(keys, values, keys.shape[2])

    def forward(self, x: torch.Tensor, memory: KeyValues, mask: torch.Tensor | None) -> torch.Tensor:
        """(S·C, T, E) -> (S·C, T, E): the C sequences of a bag are its queries together, no key is copied."""
        bags = memory.keys.shape[0]
        queries = _heads(self.queries(x).reshape(bags, -1, x.shape[-1]), self.heads)  # (S, H, C·T, E/H)
        seen = scaled_dot_product_attention(queries, *memory.tensors, attn_mask=mask)
        return self.output(seen.transpose(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    """E -> feed_forward -> E."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.inner = nn.Linear(config.width, config.feed_forward, bias=config.bias)
        self.output = nn.Linear(config.feed_forward, config.width, bias=config.bias)
        self.activation = nn.ReLU() if config.activation == "relu" else nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., E) -> (..., E)"""
        return self.output(self.activation(self.inner(x)))
