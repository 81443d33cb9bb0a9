"""Decoder: memory and the tokens so far -> logits of the next; deeper than the encoder.

All C sequences of a bag share its memory: rows are ordered bag by bag, and `Memory` holds every bag once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from sr_accessor.transformer.attention import CrossAttention, FeedForward, KeyValues, SelfAttention, embedding, norm
from sr_accessor.transformer.config import TransformerConfig
from sr_accessor.transformer.tokenizer import layout

__all__ = ["Cache", "Decoder", "Memory"]


@dataclass(frozen=True)
class Memory:
    """S encoded bags, ready for every decoder layer.

    Parameters
    ----------
    layers : keys and values (S, H, N, E/H) of each decoder layer's cross-attention
    mask : (S, 1, 1, N) bool or None
    """

    layers: tuple[KeyValues, ...]
    mask: torch.Tensor | None

    def __len__(self) -> int:
        return self.layers[0].keys.shape[0]

    @property
    def device(self) -> torch.device:
        return self.layers[0].keys.device

    def select(self, bags: torch.Tensor) -> Memory:
        """Some bags, by index."""
        return Memory(tuple(k.select(bags) for k in self.layers), None if self.mask is None else self.mask[bags])


@dataclass(frozen=True)
class Cache:
    """What the decoder remembers of the tokens so far, one `KeyValues` per layer."""

    layers: tuple[KeyValues, ...]

    @property
    def length(self) -> int:
        return self.layers[0].length

    def select(self, rows: torch.Tensor) -> Cache:
        """Some sequences, by index."""
        return Cache(tuple(k.select(rows) for k in self.layers))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the points, feed-forward, each with its residual."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.post = config.norm == "post_layer"
        self.attention, self.attention_norm = SelfAttention(config), norm(config)
        self.cross, self.cross_norm = CrossAttention(config), norm(config)
        self.feed_forward, self.feed_forward_norm = FeedForward(config), norm(config)

    def forward(
        self, x: torch.Tensor, memory: KeyValues, mask: torch.Tensor | None, cache: KeyValues | None
    ) -> tuple[torch.Tensor, KeyValues]:
        """(S·C, T, E) -> (S·C, T, E) and the cache for the next call."""
        if self.post:
            looked, cache = self.attention(x, causal=True, cache=cache)
            x = self.attention_norm(x + looked)
            x = self.cross_norm(x + self.cross(x, memory, mask))
            return self.feed_forward_norm(x + self.feed_forward(x)), cache
        looked, cache = self.attention(self.attention_norm(x), causal=True, cache=cache)
        x = x + looked
        x = x + self.cross(self.cross_norm(x), memory, mask)
        return x + self.feed_forward(self.feed_forward_norm(x)), cache


class Decoder(nn.Module):
    """Token and learnt position embeddings, layers, and logits by the same token table."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.post = config.norm == "post_layer"
        self.tokens = embedding(layout(config).size, config.width)
        self.positions = embedding(config.positions, config.width)
        self.norm = norm(config)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.output_bias = nn.Parameter(torch.empty(layout(config).size))

    def remember(self, memory: torch.Tensor, mask: torch.Tensor | None = None) -> Memory:
        """The encoder's output (S, N, E) as keys and values of every layer; `mask` (S, N)."""
        looked_at = None if mask is None else mask[:, None, None, :]
        return Memory(tuple(layer.cross.project(memory) for layer in self.layers), looked_at)

    def forward(self, tokens: torch.Tensor, memory: Memory, cache: Cache | None = None) -> tuple[torch.Tensor, Cache]:
        """Logits of the token after each of `tokens`.

        Parameters
        ----------
        tokens : (S·C, T) int64, the C sequences of bag 0 first; with a cache, the tokens that follow it
        memory : S bags

        Returns
        -------
        logits (S·C, T, V) and the cache for the next call
        """
        start = 0 if cache is None else cache.length
        at = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.positions(at)
        if self.post:
            x = self.norm(x)
        kept = []
        for i, layer in enumerate(self.layers):
            x, keys = layer(x, memory.layers[i], memory.mask, None if cache is None else cache.layers[i])
            kept.append(keys)
        if not self.post:
            x = self.norm(x)
        return nn.functional.linear(x, self.tokens.weight, self.output_bias), Cache(tuple(kept))
