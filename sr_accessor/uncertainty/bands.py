"""Bands: where a law lies at new points, and where a new measurement will; whole fronts at once, to first order."""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.noise.gaussian import Gaussian
from sr_accessor.noise.model import NoiseModel
from sr_accessor.refinement.likelihood import Parameters, tied_jacobian
from sr_accessor.uncertainty.laplace import Laplace

__all__ = ["Band", "band"]

#: Mean, lower and upper limit, (F, N) each.
Band = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def band(
    expressions: Expressions,
    laplace: Laplace,
    x: torch.Tensor,
    level: float,
    *,
    parameters: Parameters | None = None,
    noise: NoiseModel | None = None,
    own: torch.Tensor | None = None,
    sigma: torch.Tensor | None = None,
) -> Band:
    """Limits that hold the law with probability `level` or, with a noise model, a new measurement.

    Parameters
    ----------
    expressions : F rows at their optimum; laplace : their covariance
    x : (N, D)
    parameters : what the numbers are, where several are one or some are held
    noise : None for the law itself; else how a new measurement scatters
    own : (F, P) the noise model's own parameters
    sigma : (N,) error bars of the new measurements, for noise models that take them

    Returns
    -------
    (F, N) each, units of y; NaN where the law has no value, or depends on something that is not identifiable

    The law's error and the scatter are independent: their squares are added, on each side.
    """
    values, columns, valid = jacobian(expressions, x)
    columns = columns if parameters is None else tied_jacobian(columns, parameters)
    mean, variance = torch.where(valid, values, torch.nan), laplace.value_variance(columns)
    quantile = laplace.quantile(level)[:, None]
    if isinstance(noise, Gaussian):  # exactly Student's where the scale is estimated
        scale = laplace.variance[:, None] if noise.own_scale(sigma) else 1.0
        half = quantile * (variance + scale * (1.0 if sigma is None else sigma.square())).sqrt()
        return mean, mean - half, mean + half
    half = quantile * variance.sqrt()
    if noise is None:
        return mean, mean - half, mean + half
    lower, upper = noise.interval(mean, sigma, own, level)
    return mean, mean - torch.hypot(half, mean - lower), mean + torch.hypot(half, upper - mean)
