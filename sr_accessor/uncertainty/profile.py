"""Profile-likelihood limits: how far each constant can go, all others refitted, until the data rule it out.

All limits of all constants are searched at once, as one batch of refinements with one parameter held in each.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.noise.model import NoiseModel
from sr_accessor.refinement.likelihood import MANY_PASSES, LawErrors, Parameters, most_likely
from sr_accessor.uncertainty.laplace import Laplace

__all__ = ["profile_limits"]

#: Rounds of the search; how close (in standard deviations) a limit is found; the farthest one, in standard errors.
ROUNDS, CLOSE, FARTHEST = 30, 1e-4, 1e3
#: Steps of each refit; nats a step must promise.
STEPS, TOLERANCE = 40, 1e-10


def profile_limits(
    expression: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    noise: NoiseModel,
    laplace: Laplace,
    parameters: Parameters,
    *,
    sigma: torch.Tensor | None,
    errors: LawErrors | None,
    quantile: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lower and upper limit of every parameter, (P,) each.

    Parameters
    ----------
    expression : one row at its greatest likelihood
    laplace : its covariance, one row; gives the first guess
    parameters : what its numbers are
    quantile : of the normal distribution, or of Student's where a scale is estimated: the limits are where twice the
        loss has risen by its square, or by N·log(1 + t²/(N − rank)) [Bates & Watts 1988, §6.1]

    Returns
    -------
    NaN for parameters that are held or not identifiable; a bound, or ±inf, where the data never rule a value out.
    """
    best, stderr = parameters.values(expression.constants)[0], laplace.stderr[0]
    known = (parameters.free[0] & laplace.identifiable[0] & (stderr > 0)).nonzero()[:, 0]
    lower, upper = (torch.full_like(best, torch.nan) for _ in range(2))
    if not len(known):
        return lower, upper
    side = torch.cat([-torch.ones(len(known)), torch.ones(len(known))]).to(best)
    at = known.repeat(2)
    each = torch.arange(len(at))
    unit = stderr[at]
    wanted = quantile
    if not laplace.absolute:
        wanted = math.sqrt(len(y) * math.log1p(quantile**2 / max(1, int(laplace.degrees[0]))))
    edge = torch.where(side < 0, best[at] - parameters.lower[at], parameters.upper[at] - best[at]) / unit
    edge = edge.clamp(max=FARTHEST)

    free = parameters.free.expand(len(at), -1).clone()
    free[each, at] = False
    held = replace(parameters, free=free)
    covariance = torch.where(laplace.covariance[0].isnan(), 0.0, laplace.covariance[0])
    direction = covariance[at] / covariance[at, at][:, None]  # (2k, P): where the others go, to first order
    laws = expression[[0] * len(at)]

    def fallen(distance: torch.Tensor, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """√(twice the rise of the loss) at best ± distance·stderr, and the parameters there."""
        numbers = numbers.clone()
        numbers[each, at] = best[at] + side * distance * unit
        start = laws.with_constants(numbers[:, parameters.index])
        options = {"errors": errors, "parameters": held, "steps": STEPS, "tolerance": TOLERANCE, "passes": MANY_PASSES}
        found = most_likely(start, x, y, noise, sigma, **options)
        rise = 2 * (found.loss - least)
        return rise.clamp(min=0).sqrt(), parameters.values(found.expressions.constants)

    if errors is None:
        least = noise.negative_log_likelihood(y, evaluate(expression, x)[0], sigma)[0]
    else:
        least = errors.loss(expression, x, y, noise)[0]
    low, high = torch.zeros_like(unit), edge
    distance = torch.full_like(unit, quantile).minimum(edge)
    numbers = best + direction * (side * distance * unit)[:, None]
    beyond = torch.zeros_like(unit, dtype=torch.bool)  # whether `high` was seen to be ruled out
    for _ in range(ROUNDS):
        rise, numbers = fallen(distance, numbers)
        over = ~(rise < wanted)
        low, high = torch.where(over, low, distance), torch.where(over, distance, high)
        beyond |= over
        done = ((rise - wanted).abs() < CLOSE) | (~beyond & (distance >= edge))
        if bool(done.all()):
            break
        # The root of the rise is nearly proportional to the distance; otherwise halve what is left.
        guess = distance * wanted / rise.clamp(min=0.1 * wanted, max=1e6)
        inside = (guess > low) & (guess < high)
        new = torch.where(inside, guess, torch.where(beyond, (low + high) / 2, high.minimum(4 * distance)))
        distance = torch.where(done, distance, new)
    limit = best[at] + side * distance * unit
    open_ended = ~beyond & (distance >= FARTHEST)
    limit = torch.where(open_ended, side * torch.inf, limit)
    lower[known], upper[known] = limit[: len(known)], limit[len(known) :]
    return lower, upper
