"""Operations: how many floating-point operations a batch needs, counted from the network's shape."""

from __future__ import annotations

from torch import nn

from sr_accessor.training.stream import Batch
from sr_accessor.transformer.model import Transformer

__all__ = ["operations"]


def operations(model: Transformer, batch: Batch) -> float:
    """Floating-point operations of one update on a batch, padding not counted.

    Two per weight and position, three passes (forward, gradient of inputs, gradient of weights), and the products of
    attention; lookups, norms and activations are left out [Kaplan et al. 2020, §2.1].
    """
    weights = {name: m.weight.numel() for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    of_points = sum(n for name, n in weights.items() if not name.startswith("decoder") or "cross.inputs" in name)
    of_tokens = sum(weights.values()) - of_points + model.decoder.tokens.weight.numel()  # logits use the token table
    config, rows = model.config, max(1, len(batch))
    n, t = batch.real_points / rows, batch.real_tokens / rows
    attention = config.encoder_layers * n * n + config.decoder_layers * (t * t / 2 + t * n)
    return 6.0 * (of_points * batch.real_points + of_tokens * batch.real_tokens + 2 * config.width * attention * rows)
