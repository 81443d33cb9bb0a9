"""Separation: variables that only multiply the law, found in the logarithm, so that the rest can be searched alone.

y = Π x_s^β · f(others): in log|y| a separable variable has an integer (or half-integer) slope and no curvature or
interaction with any other. Without its separable variables a law of nine variables is one of six, with a hundredth of
the structures.
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import empty
from sr_accessor.expressions.build import writable
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.power_screens import Regression, halves, spread
from sr_accessor.search.reductions import Reduction

__all__ = ["separate"]

#: Standard errors within which a slope is an integer or a half, and beyond which a variable bends or interacts.
SLOPE_SIGMAS, BEND_SIGMAS = 3.0, 4.5
#: Half-integers are considered where three standard errors are less than this; integers always.
TELLS_HALVES = 0.1
#: Rows for each term of the regression at least.
ROWS_PER_TERM = 3
#: A slope is so to this much whatever its standard error.
ROUNDING = 1e-9


def separate(fit: Regression, vocabulary: Vocabulary) -> Reduction | None:
    """The separable variables of the first view of `fit`; None where none are, or all."""
    terms, points = fit.logs.shape
    pairs = torch.triu_indices(terms, terms)
    if (
        not terms
        or points < ROWS_PER_TERM * (1 + terms + pairs.shape[1])
        or not {"mul", "div"} <= {o.name for o in vocabulary}
    ):
        return None
    view = torch.zeros(1, dtype=torch.int64, device=fit.logs.device)
    beta = fit.exponents(view, fit.whole[:1])[0]
    spread_of_rest = fit.rest[0].square().sum() / (points - terms - 1)
    inverse = torch.linalg.inv(fit.r[0])
    error = (inverse.square().sum(1)[1:] * spread_of_rest).sqrt()
    whole = torch.where(SLOPE_SIGMAS * error < TELLS_HALVES, halves(beta), beta.round())
    round_slope = (beta - whole).abs() < SLOPE_SIGMAS * error + ROUNDING
    centred = fit.logs - fit.logs.mean(1, keepdim=True)
    centred = centred / centred.std(1, keepdim=True).clamp(min=1e-300)
    curves = centred[pairs[0]] * centred[pairs[1]] * fit.weight[0]
    curves = curves - (curves @ fit.q[0]) @ fit.q[0].T
    inverse = torch.linalg.pinv(curves @ curves.T, hermitian=True)
    bend = inverse @ (curves @ fit.rest[0])
    left = fit.rest[0] - bend @ curves
    noise = left.square().sum() / (points - 1 - terms - pairs.shape[1])
    large = bend.abs() > BEND_SIGMAS * (inverse.diagonal() * noise).clamp(min=0).sqrt()
    bends = torch.zeros(terms, dtype=torch.bool, device=beta.device)
    bends[pairs[:, large].flatten()] = True
    separable = round_slope & ~bends & (whole != 0)
    exponents = spread(torch.where(separable, whole, 0.0)[None], fit.columns, fit.dimensions)
    others = (exponents[0] == 0).nonzero()[:, 0].tolist()
    if not bool(separable.any()) or not others or not bool(writable(exponents, vocabulary).all()):
        return None
    unit = torch.eye(fit.dimensions, dtype=exponents.dtype, device=exponents.device)
    return Reduction(exponents[0], unit[others], empty(vocabulary, exponents.device))
