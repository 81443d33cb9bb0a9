"""Encoder: a bag of vectors -> memory; no positional embedding, so the order of points means nothing."""

from __future__ import annotations

import torch
from torch import nn

from sr_accessor.transformer.attention import FeedForward, SelfAttention, norm
from sr_accessor.transformer.config import TransformerConfig

__all__ = ["Encoder"]


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each with its residual."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.post = config.norm == "post_layer"
        self.attention, self.attention_norm = SelfAttention(config), norm(config)
        self.feed_forward, self.feed_forward_norm = FeedForward(config), norm(config)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, N, E) -> (B, N, E)"""
        if self.post:
            x = self.attention_norm(x + self.attention(x, mask=mask)[0])
            return self.feed_forward_norm(x + self.feed_forward(x))
        x = x + self.attention(self.attention_norm(x), mask=mask)[0]
        return x + self.feed_forward(self.feed_forward_norm(x))


class Encoder(nn.Module):
    """Layers between an input norm (as published) or before an output norm (pre-norm)."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.post = config.norm == "post_layer"
        self.norm = norm(config)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Vectors of points (B, N, E) -> memory (B, N, E); `mask` (B, N) is True where there is a point."""
        looked_at = None if mask is None else mask[:, None, None, :]
        if self.post:
            x = self.norm(x)
        for layer in self.layers:
            x = layer(x, looked_at)
        return x if self.post else self.norm(x)
