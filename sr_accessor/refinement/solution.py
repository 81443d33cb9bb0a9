"""Refined: expressions with better constants, their loss, and a reason per candidate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch

from sr_accessor.expressions.batch import Expressions

__all__ = ["Reason", "Refined"]


class Reason(IntEnum):
    """Why the refinement of a candidate ended; `sentence` says what to make of it."""

    CONVERGED = 0
    STEPS_SPENT = 1
    INVALID_START = 2
    NO_DESCENT = 3
    NO_CONSTANTS = 4

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Reason.CONVERGED: "the loss stopped falling",
    Reason.STEPS_SPENT: "the steps were spent while the loss was still falling; more steps may help",
    Reason.INVALID_START: "the expression is not a finite number at every point for its first constants",
    Reason.NO_DESCENT: "no step, however short, made the loss smaller",
    Reason.NO_CONSTANTS: "there is no free constant",
}


@dataclass(frozen=True)
class Refined:
    """What a refinement returns, one row per candidate.

    Parameters
    ----------
    expressions : the candidates with the best constants seen
    loss : (B,) float64, weighted sum of squared residuals, or of `most_likely` the negative log-likelihood in nats;
        +inf where the expression is not valid
    reason : (B,) int64, see `Reason`
    steps : (B,) int64, Jacobians computed
    """

    expressions: Expressions
    loss: torch.Tensor
    reason: torch.Tensor
    steps: torch.Tensor

    @property
    def converged(self) -> torch.Tensor:
        """(B,) bool"""
        return (self.reason == Reason.CONVERGED) | (self.reason == Reason.NO_CONSTANTS)
