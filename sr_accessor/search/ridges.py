"""Ridges: the dimensionless groups Π x_d^e_d that y seems to depend on through a function, whatever that is.

Where y = K·Πx^β·F(Πx^e), log y is a plane in log x plus a function of e·log x alone. So its second derivatives by
log x are a multiple of e·eᵀ, and the slopes of any growing function of y = F(Πx^e) a multiple of e. A quadratic surface
fitted to the points gives both, with as many variables as there are and any exponents: enumeration ends at four or so.
"""

from __future__ import annotations

import math

import torch

from sr_accessor.expressions.build import exponents_up_to

__all__ = ["ridges"]

#: Points for each coefficient of the surface, at least.
POINTS_EACH = 3
#: Directions of curvature that are read, and the largest exponents to which a direction is scaled.
MOST_DIRECTIONS, SCALES = 2, (1.0, 2.0, 3.0)
#: Exponents of a direction scaled to a largest one of 1 are rounded to halves, of larger ones to integers.
STEPS = (0.5, 1.0, 1.0)


def ridges(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Exponents of groups of two and more variables.

    Parameters
    ----------
    x : (N, D) points; a variable that changes its sign, or is 0, is in no group
    y : (N,) values

    Returns
    -------
    (M, D) float64, each group beside its inverse; the clearest first
    """
    usable = (((x > 0).all(0) | (x < 0).all(0)) & (x.std(0) > 0)).nonzero()[:, 0]
    d = len(usable)
    if d < 2 or len(y) < POINTS_EACH * math.comb(d + 2, 2):
        return x.new_zeros(0, x.shape[1])
    logs = x[:, usable].abs().log()
    spread = logs.std(0).clamp(min=1e-12)
    u = (logs - logs.mean(0)) / spread
    goals, weights = _goals(y)
    slopes, hessians = [], []
    for degree in (2, 3):  # skewed points bend a plain quadric where the function is not quadratic
        powers = exponents_up_to(d, degree).to(x.device)
        if len(powers) * POINTS_EACH > len(y):
            break
        surface = u[:, None, :].pow(powers).prod(2)
        fitted = torch.linalg.lstsq(weights[:, :, None] * surface, weights[:, :, None] * goals[:, :, None]).solution
        fitted = torch.where(fitted.isfinite(), fitted, 0.0)[:, :, 0]
        pairs = torch.triu_indices(d, d, device=x.device)
        hessian = x.new_zeros(len(goals), d, d)
        hessian[:, pairs[0], pairs[1]] = fitted[:, d + 1 : d + 1 + pairs.shape[1]]
        slopes.append(fitted[:1, 1 : d + 1] / spread)
        hessians.append((hessian + hessian.mT) / (spread[:, None] * spread))
    hessian = torch.cat(hessians)
    values, vectors = torch.linalg.eigh(hessian)
    most = min(MOST_DIRECTIONS, d)
    order = values.abs().argsort(1, descending=True)[:, :most]
    directions = vectors.gather(2, order[:, None, :].expand(-1, d, -1)).mT  # (T, most, d)
    every = torch.cat([*slopes, directions.transpose(0, 1).reshape(-1, d)])
    every = every / every.abs().amax(1, keepdim=True).clamp(min=1e-300)
    rounded = torch.cat([(every * scale / step).round() * step for scale, step in zip(SCALES, STEPS, strict=True)])
    rounded = torch.stack([rounded, -rounded], 1).view(-1, d)
    rounded = rounded[((rounded != 0).sum(1) > 1) & rounded.isfinite().all(1)]
    _, same = torch.unique(rounded, dim=0, return_inverse=True)
    first = torch.full((int(same.max()) + 1 if len(same) else 0,), len(rounded), dtype=torch.int64, device=x.device)
    first.scatter_reduce_(0, same, torch.arange(len(rounded), device=x.device), "amin")
    kept = rounded[torch.sort(first).values]
    exponents = x.new_zeros(len(kept), x.shape[1])
    exponents[:, usable] = kept
    return exponents


def _goals(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What surfaces are fitted to, (T, N), and the weights (T, N): normal scores of y, y itself, and log|y|."""
    ranks = torch.argsort(torch.argsort(y)).to(y)
    goals = [torch.erfinv((2 * ranks + 1) / len(y) - 1), y / y.abs().max().clamp(min=1e-300)]
    weights = [torch.ones_like(y)] * 2
    if bool((y != 0).all()):
        # Small values may be noise; and a function may be straight in one half and bent in the other.
        large = (y.abs() >= y.abs().median()).to(y)
        goals += [y.abs().log()] * 3
        weights += [torch.ones_like(y), large, 1 - large]
    return torch.stack(goals), torch.stack(weights)
