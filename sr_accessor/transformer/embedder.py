"""Embedder: the numbers of one point -> one vector; points do not see each other here."""

from __future__ import annotations

import torch
from torch import nn

from sr_accessor.transformer.attention import embedding
from sr_accessor.transformer.config import TransformerConfig
from sr_accessor.transformer.tokenizer import BITS, FEATURES, input_size

__all__ = ["Embedder"]


class Embedder(nn.Module):
    """Two layers with a ReLU between, on 3(D_max+1) token embeddings (system.md §3), or on `BITS` or `FEATURES` numbers
    for each of the D_max+1."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        numbers = config.variables + 1
        if config.inputs == "tokens":
            self.table = embedding(input_size(config), config.embedder_width)
            features = 3 * numbers * config.embedder_width
        else:
            self.table = None
            features = (BITS if config.inputs == "bits" else FEATURES) * numbers
        self.hidden = nn.Linear(features, config.embedder_hidden)
        self.output = nn.Linear(config.embedder_hidden, config.width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`Points.features` (B, N, F) -> (B, N, E); floats come in the weights' dtype, or under autocast."""
        x = features if self.table is None else self.table(features).flatten(-2)
        return self.output(torch.relu(self.hidden(x)))
