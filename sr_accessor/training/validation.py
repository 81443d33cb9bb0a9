"""Validation: what the network reads from the points, in nats per token it would miss with another function's points.

Cross-entropy alone does not say that: most of what lowers it early is the grammar of laws, which needs no points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from sr_accessor.plugins.manager import vocabulary
from sr_accessor.training.distributed import World
from sr_accessor.training.precision import Precision, choose
from sr_accessor.training.stream import Batch, Source, held_out
from sr_accessor.transformer.model import Transformer, cross_entropy
from sr_accessor.transformer.tokenizer import Tokenizer, layout

__all__ = ["Validation", "held_out_for", "neighbours", "validate", "validate_here"]

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Validation:
    """Means over the tokens of the held-out functions, closing EOS included.

    Parameters
    ----------
    own, other : nats per token given a function's own points, and given those of another function
        of as many variables
    accuracy : share of tokens that are the likeliest given one's own points
    functions : how many were held out
    """

    own: float
    other: float
    accuracy: float
    functions: int

    @property
    def gap(self) -> float:
        """Nats per token that come from the points."""
        return self.other - self.own

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


@torch.no_grad()
def validate(model: Transformer, batches: Sequence[Batch], world: World, precision: Precision) -> Validation:
    """Measure; every process takes its share of the batches."""
    pad = layout(model.config).pad
    sums = torch.zeros(5, dtype=torch.float64, device=world.device)
    was_training = model.training
    model.eval()
    for batch in batches[world.rank :: world.size]:
        tokens = batch.tokens
        neighbour = neighbours(batch.dimensions)
        with precision.context():
            memory = model.encode(batch.points)
            own = model.decode(tokens[:, :-1], memory)[0]
            other = model.decode(tokens[:, :-1], memory.select(neighbour))[0]
        right = (own.argmax(-1) == tokens[:, 1:]) & (tokens[:, 1:] != pad)
        nats = [cross_entropy(logits, tokens, pad, reduction="sum").double() for logits in (own, other)]
        count = torch.tensor([batch.real_tokens, len(batch)], dtype=torch.float64, device=world.device)
        sums += torch.cat([torch.stack([*nats, right.sum().double()]), count])
    model.train(was_training)
    own, other, right, written, functions = world.sum(sums).tolist()
    return Validation(own / written, other / written, right / written, int(functions))


def held_out_for(model: Transformer, prior: str, count: int) -> list[Batch]:
    """`count` held-out functions of a prior with the operators that a network writes, as it reads and writes them."""
    known = vocabulary().restricted(model.config.operators)
    return held_out(Source(prior, Tokenizer(model.config, known), _CPU), count)


def validate_here(model: Transformer, batches: Sequence[Batch]) -> Validation:
    """`validate` outside a run: by this process alone, in single precision on the processor."""
    return validate(model, batches, World(0, 1, _CPU), choose(_CPU, "float32"))


def neighbours(dimensions: torch.Tensor) -> torch.Tensor:
    """(B,) for each row another row of as many variables, the next in a circle; `dimensions` (B,) ascend.

    A row that is the only one of its dimension gets the row before it.
    """
    _, group, sizes = torch.unique_consecutive(dimensions, return_inverse=True, return_counts=True)
    first = (sizes.cumsum(0) - sizes)[group]
    row = torch.arange(len(dimensions), device=dimensions.device)
    return torch.where(sizes[group] > 1, first + (row - first + 1) % sizes[group], row.roll(1))
