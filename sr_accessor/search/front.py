"""Front: for each complexity the expression with the least loss; a value, merged and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions, concatenate

__all__ = ["Front", "merge"]


@dataclass(frozen=True)
class Front:
    """Refined expressions in order of increasing complexity and decreasing loss.

    Parameters
    ----------
    expressions : F rows, numbers refined, in the user's own units
    loss : (F,) float64, negative log-likelihood of all rows under the noise model, nats
    bits : (F,) float64, description length of structure and numbers, bits
    origins : F short texts: who proposed it ("prior", "screen pair", "network", "guess" ...)
    """

    expressions: Expressions
    loss: torch.Tensor
    bits: torch.Tensor
    origins: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.expressions)

    @property
    def complexity(self) -> torch.Tensor:
        """(F,) int64"""
        return self.expressions.complexity

    @property
    def description_length(self) -> torch.Tensor:
        """(F,) bits of the data given the law plus bits of the law; `mdl` chooses the least."""
        return self.loss / torch.log(torch.tensor(2.0, dtype=self.loss.dtype)) + self.bits


def merge(fronts: Sequence[Front]) -> Front:
    """The front of several fronts: rows that no simpler-or-equal row beats; ties go to the earlier front."""
    expressions = concatenate([f.expressions for f in fronts])
    loss = torch.cat([f.loss for f in fronts])
    bits = torch.cat([f.bits for f in fronts])
    origins = [o for f in fronts for o in f.origins]
    complexity = expressions.complexity
    # stable sorts, last key first: complexity, then loss, then the order given
    order = torch.argsort(loss, stable=True)
    order = order[torch.argsort(complexity[order], stable=True)]
    best_before = torch.cat([loss.new_tensor([float("inf")]), loss[order].cummin(0).values[:-1]])
    keep = order[loss[order] < best_before]
    kept = expressions[keep].trimmed()
    return Front(kept, loss[keep], bits[keep], tuple(origins[i] for i in keep.tolist()))
