"""Transformer: embedder, encoder and decoder together; one function says every initialisation.

For training (teacher forcing)

    points  = tokenizer.encode_points(x_BND, y_BN, mask_BN, present=present_BD, dtype=torch.bfloat16)
    targets = tokenizer.encode_targets(expressions, length=T)         # B rows; drop those not `targets.valid`
    loss    = model.loss(points, targets.tokens)                      # mean nats per token, closing EOS included

or, where a wrapper such as DistributedDataParallel must see the call, ``cross_entropy(model(points, tokens[:, :-1]),
tokens, pad)``. To write: ``memory = model.encode(points)`` once per bag, then ``model.decode(tokens, memory, cache)``
per step. It knows tokens, not expressions, and draws no random numbers after its initialisation.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from sr_accessor.transformer.config import TransformerConfig
from sr_accessor.transformer.decoder import Cache, Decoder, Memory
from sr_accessor.transformer.embedder import Embedder
from sr_accessor.transformer.encoder import Encoder
from sr_accessor.transformer.tokenizer import Points, layout

__all__ = ["Transformer", "build", "cross_entropy", "initialise", "with_operators", "with_targets"]


class Transformer(nn.Module):
    """The network; make one with `build` or read one with `checkpoint.load`."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        self.embedder = Embedder(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @property
    def device(self) -> torch.device:
        return self.decoder.tokens.weight.device

    def encode(self, points: Points) -> Memory:
        """Bags of points -> what the decoder looks at; once per bag."""
        vectors = self.encoder(self.embedder(points.features), points.mask)
        return self.decoder.remember(vectors, points.mask)

    def decode(self, tokens: torch.Tensor, memory: Memory, cache: Cache | None = None) -> tuple[torch.Tensor, Cache]:
        """Logits of the next token for S·C sequences on S bags; see `Decoder.forward`."""
        return self.decoder(tokens, memory, cache)

    def forward(self, points: Points, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (B, T, V) of the token after each of `tokens` (B, T), one sequence per bag."""
        return self.decode(tokens, self.encode(points))[0]

    def loss(self, points: Points, tokens: torch.Tensor) -> torch.Tensor:
        """Mean nats per token of `Targets.tokens` (B, T), closing EOS included, opening EOS and padding not."""
        return cross_entropy(self(points, tokens[:, :-1]), tokens, layout(self.config).pad)


def cross_entropy(logits: torch.Tensor, tokens: torch.Tensor, pad: int, *, reduction: str = "mean") -> torch.Tensor:
    """Nats per token; logits (B, T-1, V) are those after tokens[:, :-1] of `tokens` (B, T).

    `reduction` "mean" or "sum" over what is not padding, or "none": (B·(T-1),), zero at padding. In float32 at least,
    whatever the autocast.
    """
    flat = logits.flatten(0, 1).float()
    return nn.functional.cross_entropy(flat, tokens[:, 1:].flatten(), ignore_index=pad, reduction=reduction)


@torch.no_grad()
def initialise(model: Transformer, generator: torch.Generator) -> None:
    """Every initial value.

    embeddings            N(0, 1/width of the table); the PAD row zero (as published)
    linear maps, biases   U(-1/√fan_in, 1/√fan_in), PyTorch's default (as published)
    norms                 weight 1, bias 0
    output bias           0
    pre_rms only          maps that end a residual branch divided by √(2·layers), so that depth does not grow the sum
    """
    config = model.config
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.weight.normal_(0, module.embedding_dim**-0.5, generator=generator)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            module.weight.uniform_(-bound, bound, generator=generator)
            if module.bias is not None:
                module.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
            module.weight.fill_(1.0)
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()
    model.decoder.tokens.weight[layout(config).pad] = 0.0
    model.decoder.output_bias.zero_()
    if config.norm == "pre_rms":
        for part in (model.encoder, model.decoder):
            for name, parameter in part.named_parameters():
                if name.endswith("output.weight"):
                    parameter.div_(math.sqrt(2 * len(part.layers)))


def build(config: TransformerConfig, generator: torch.Generator) -> Transformer:
    """A network with its initial values, on the generator's device; torch's global random state is not touched."""
    with torch.device("meta"):
        model = Transformer(config)
    model.to_empty(device=generator.device)
    initialise(model, generator)
    return model


@torch.no_grad()
def with_operators(model: Transformer, names: tuple[str, ...], generator: torch.Generator) -> Transformer:
    """The same network with tokens for more operators at the end: older tokens keep their ids and their rows.

    A new row is the mean of the older operators' and a small random part, so that nothing it knows is upset.
    """
    grown = build(model.config.replace(operators=model.config.operators + names), generator)
    old, place = model.state_dict(), list(layout(model.config).operators)
    for name, tensor in grown.state_dict().items():
        known = old[name].to(tensor)
        if len(known) < len(tensor):
            tensor[len(known) :] = known[place].mean(0) + 0.1 * tensor[len(known) :]
        tensor[: len(known)] = known
    return grown


def with_targets(model: Transformer, targets: str) -> Transformer:
    """The same network and numbers with other `TransformerConfig.targets`, which it has yet to learn; same tokens."""
    with torch.device("meta"):
        changed = Transformer(model.config.replace(targets=targets))
    changed.load_state_dict(model.state_dict(), assign=True)
    return changed
