"""Surfaces: polynomials of all variables, which say how well y can be told from them, and whether the rest is noise."""

from __future__ import annotations

import math

import torch

from sr_accessor.expressions.build import exponents_up_to

__all__ = [
    "NOISE_SIGMAS",
    "POINTS_EACH",
    "neighbours_alike",
    "noise_above_surface",
    "smoothed",
    "spread_out",
    "surfaces",
]

#: Points for each term at least, and the largest degree of a surface.
POINTS_EACH, MOST_DEGREE = 6, 24
#: A variable is read in its logarithm where nine tenths of its values span more than this factor.
WIDE = 8.0
#: Points and terms of the surface above which noise is looked for.
MOST_POINTS, MOST_TERMS = 700, 100
#: Correlations of neighbours above this many standard errors are structure.
NOISE_SIGMAS = 2.5
#: What a surface leaves, relative to y, is rounding below this.
ROUNDING = 1e-6


def surfaces(values: torch.Tensor, terms: int) -> torch.Tensor:
    """(H, T, N) Chebyshev polynomials of k variables (H, k, N), as many degrees as terms and points allow."""
    k, n = values.shape[1:]
    most = min(terms, n // POINTS_EACH)
    degree = max(g for g in range(1, MOST_DEGREE + 1) if g == 1 or math.comb(k + g, g) <= most)
    exponents = exponents_up_to(k, degree).to(values.device)
    u = spread_out(values)
    ladder = [torch.ones_like(u), u]
    for _ in range(degree - 1):
        ladder.append(2 * u * ladder[-1] - ladder[-2])
    rows = torch.stack(ladder, 2)  # (H, k, degree + 1, N)
    out = rows[:, 0, exponents[:, 0]]
    for d in range(1, k):  # variables
        out = out * rows[:, d, exponents[:, d]]
    return out


def spread_out(values: torch.Tensor) -> torch.Tensor:
    """Each variable (..., N) from −1 to 1, linearly or by its logarithm."""
    size = values.abs().sort(-1).values
    low, high = (size[..., int(q * size.shape[-1])] for q in (0.05, 0.95))
    wide = (values > 0).all(-1) & (high > WIDE * low)
    u = torch.where(wide[..., None], values.abs().clamp(min=1e-300).log(), values)
    least, most = u.amin(-1, keepdim=True), u.amax(-1, keepdim=True)
    return (2 * u - least - most) / (most - least).clamp(min=1e-300)


def smoothed(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(N,) what a surface says of y (N,) at the points x (N, D), by least squares with root weights (N,)."""
    rows = surfaces(x.T[None], MOST_TERMS)[0] * weight
    rows = rows[rows.isfinite().all(1)]
    q = torch.linalg.qr((rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-300)).T).Q
    return q @ (q.T @ (y * weight)) / weight


def neighbours_alike(x: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Largest correlation, in standard errors, of neighbouring residuals: along each variable, and in all of them."""
    n = len(unit)
    order = torch.argsort(x, dim=0)
    along = unit[order]  # (N, D)
    serial = (along[1:] * along[:-1]).sum(0) / n**0.5
    scaled = (x - x.mean(0)) / x.std(0).clamp(min=1e-300)
    distance = torch.cdist(scaled, scaled)
    distance.fill_diagonal_(torch.inf)
    nearest = distance.argmin(1)
    # Mutual nearest neighbours count twice: the variance of the sum is up to twice that of independent pairs.
    together = (unit * unit[nearest]).sum() / (1.5 * n) ** 0.5
    return torch.cat([serial, together[None]]).max()


def noise_above_surface(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether what a surface leaves of y is noise: neighbours resemble each other no more than strangers do.

    Parameters
    ----------
    x : (N, D); y : (N,)
    """
    x, y = x[:MOST_POINTS], y[:MOST_POINTS]
    if len(y) < POINTS_EACH * (1 + x.shape[1]):
        return False
    left = y - smoothed(x, y, torch.ones_like(y))
    size = left.square().mean().sqrt()
    if not bool(size > ROUNDING * y.std()):
        return False
    return float(neighbours_alike(x, left / size)) < NOISE_SIGMAS
