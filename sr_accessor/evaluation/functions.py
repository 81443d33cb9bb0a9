"""Functions: held-out laws of a prior with values to learn from and fresh ones, and whether a law is found."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.device import generator
from sr_accessor.evaluation.metrics import SOLVED_R2, r2
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.prior.examples import (
    EFFECTIVE_POINTS,
    RELATIVE_SPREAD,
    SCIENCE_LARGEST,
    sample_examples,
    sample_expressions,
)
from sr_accessor.prior.inputs import mixed, sample_science_points
from sr_accessor.prior.trees import sample_science_sizes
from sr_accessor.training.stream import HELD_OUT_SEED

__all__ = ["RECOVERED", "Function", "functions_in_own_units", "functions_of", "judge", "recovered"]

#: A law is recovered when the squared error at fresh points is at most this part of Σy². Of constants refined to the
#: last digits 1e-24 is left; a good approximant with many constants reaches 1e-13.
RECOVERED = 1e-18
#: Least number of points of a held-out function: two thirds to learn from, one third fresh.
LEAST_POINTS = 30


@dataclass(frozen=True)
class Function:
    """A held-out law with its values, without noise, at points to learn from and at fresh ones.

    Parameters
    ----------
    x, y : (N, D), (N,) to learn from
    fresh_x, fresh_y : of the same distribution
    """

    law: Expressions
    x: torch.Tensor
    y: torch.Tensor
    fresh_x: torch.Tensor
    fresh_y: torch.Tensor

    @classmethod
    def of(cls, law: Expressions, x: torch.Tensor, y: torch.Tensor, random: torch.Generator) -> Function:
        """Points shared out at random."""
        order = torch.randperm(len(y), generator=random)
        learn, fresh = order[: 2 * len(y) // 3], order[2 * len(y) // 3 :]
        return cls(law.trimmed(), x[learn], y[learn], x[fresh], y[fresh])


def functions_of(prior: str, count: int, known: Vocabulary, *, seed: int, variables: int = 10) -> list[Function]:
    """`count` functions of the prior with at most `variables` variables, from a seed that no training uses."""
    random = generator(HELD_OUT_SEED + 1 + seed)
    found: list[Function] = []
    while len(found) < count:
        e = sample_examples(prior, count, random, known)
        for row in ((e.points >= LEAST_POINTS) & (e.dimensions <= variables)).nonzero()[:, 0].tolist():
            x = e.x[row, : int(e.points[row]), : int(e.dimensions[row])]
            found.append(Function.of(e.expressions[row], x, evaluate(e.expressions[row], x)[0][0], random))
    return found[:count]


def functions_in_own_units(count: int, known: Vocabulary, *, seed: int, variables: int = 10) -> list[Function]:
    """`count` functions of the prior `science` as a user has them: laws and columns in their own units, not scaled.

    From a seed that neither training nor `functions_of` uses; accepted by the prior's own rules.
    """
    random = generator(HELD_OUT_SEED - 1 - seed)
    found: list[Function] = []
    while len(found) < count:
        columns = sample_science_sizes(1, random).clamp(max=variables)
        function = None
        while function is None:  # rejection does not change the number of columns
            law = sample_expressions("science", 1, int(columns), known, random)
            points = sample_science_points(columns, random).clamp(min=LEAST_POINTS)
            x = mixed(points, columns, random)[0].double()
            values, valid = evaluate(law, x)
            if bool(valid.all()) and _measurable(values[0]):
                function = Function.of(law, x, values[0], random)
        found.append(function)
    return found


def judge(prediction: torch.Tensor, y: torch.Tensor) -> tuple[bool, bool]:
    """Whether values are the true ones to rounding, and whether their R² is above 0.999; neither where not finite."""
    if not bool(prediction.isfinite().all()):
        return False, False
    exact = bool(((prediction - y) ** 2).sum() <= RECOVERED * (y * y).sum())
    return exact, exact or r2(y.numpy(), prediction.numpy()) > SOLVED_R2


def recovered(law: Expressions | None, function: Function) -> tuple[bool, bool]:
    """`judge` of a law at fresh points; None and a law that is invalid at one of them are not recovered."""
    if law is None:
        return False, False
    values, valid = evaluate(law, function.fresh_x)
    return judge(torch.where(valid, values, torch.nan)[0], function.fresh_y)


def _measurable(y: torch.Tensor) -> bool:
    """Whether the prior would keep these values: neither constant nor decided by one or two points."""
    square = y.square()
    rms = square.mean().sqrt()
    decided = square.sum().square() <= EFFECTIVE_POINTS * len(y) * square.square().sum()
    sound = 1 / SCIENCE_LARGEST < float(rms) and float(y.abs().max()) <= SCIENCE_LARGEST
    return sound and not bool(decided) and bool(y.std() > RELATIVE_SPREAD * rms)
