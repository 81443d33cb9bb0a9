"""Forms: how far the laws of a front that explain the data about as well differ from each other.

Error bars of constants are "given this form". A description length L in bits is minus the logarithm of a probability,
so that a law weighs 2^−L [Hoeting et al. 1999, Stat. Sci. 14, 382, with L for the evidence].
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.search.front import Front

__all__ = ["NEAR", "form_weights", "spread_of_forms"]

#: Bits by which the description of a law may be longer than the shortest: at ten it weighs a thousandth.
NEAR = 10.0


def form_weights(front: Front) -> torch.Tensor:
    """(F,) weight of each law, summing to 1; 0 for laws more than `NEAR` bits longer than the shortest."""
    longer = front.description_length - front.description_length.min()
    weight = torch.where(longer <= NEAR, torch.exp2(-longer), 0.0)
    return weight / weight.sum()


def spread_of_forms(front: Front, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted mean of the near-front laws at the points x (N, D), and their standard deviation around it, (N,) each.

    Laws without a finite value at a point do not count there; NaN where none has one.
    """
    weight = form_weights(front)
    kept = weight > 0
    values, valid = evaluate(front.expressions[kept.nonzero()[:, 0]], x)
    weight = torch.where(valid, weight[kept][:, None], 0.0)
    weight = weight / weight.sum(0)
    values = torch.where(valid, values, 0.0)
    mean = (weight * values).sum(0)
    return mean, (weight * (values - mean).square()).sum(0).sqrt()
