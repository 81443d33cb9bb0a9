"""Rows that look like outliers before any law is known, found by a robust fit of polynomials."""

from __future__ import annotations

import torch

from sr_accessor.noise.model import NoiseModel

__all__ = ["suspects"]

#: Rows for each coefficient of the polynomial, coefficients and degree at most, and rows that are looked at.
ROWS_EACH, MOST_TERMS, MOST_DEGREE, MOST_ROWS = 4, 120, 8, 20_000
#: Passes of reweighting; residuals beyond so many robust standard deviations weigh nothing (Tukey), or are suspect.
PASSES, TUKEY, SUSPECT = 30, 4.685, 5.0
#: Ridge on columns of length √N, and the scale below which residuals count as rounding, relative to y.
RIDGE, ROUNDING = 1e-10, 1e-12


def suspects(noise: NoiseModel, x: torch.Tensor, y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
    """(N,) bool, rows far off a smooth function of x; none unless the noise model has heavy tails.

    Least squares under reweighting, first for least absolute errors and then with Tukey's biweight [Maronna, Martin
    & Yohai 2006, §5.2], of polynomials in x of two degrees; the one that leaves less scatter decides.
    """
    none = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    if not noise.heavy_tailed or len(y) < 4 * ROWS_EACH:
        return none
    rows = slice(0, MOST_ROWS)
    weight = 1.0 if sigma is None else (sigma.median() / sigma)[rows]
    low, high = x[rows].amin(0), x[rows].amax(0)
    unit = 2 * (x[rows] - low) / torch.where(high > low, high - low, 1.0) - 1
    best = None
    for degree in range(1, MOST_DEGREE + 1):
        table = _polynomials(unit, degree)
        if table.shape[1] > min(MOST_TERMS, len(unit) / ROWS_EACH):
            break
        error, scale = _robust(table, y[rows], weight)
        if best is None or float(scale) < float(best[1]):
            best = (error, scale)
    error, scale = best
    none[rows] = error.abs() > SUSPECT * scale
    return none


def _polynomials(unit: torch.Tensor, degree: int) -> torch.Tensor:
    """(N, T) products of Chebyshev polynomials of total degree up to `degree`, columns of length √N."""
    points, inputs = unit.shape
    powers = torch.cos(torch.arange(degree + 1, device=unit.device) * torch.acos(unit.clamp(-1, 1))[:, :, None])
    table, total = torch.ones(points, 1, dtype=unit.dtype, device=unit.device), torch.zeros(1, dtype=torch.int64)
    for d in range(inputs):  # a handful of inputs
        joined = (total[:, None] + torch.arange(degree + 1)).flatten()
        kept = (joined <= degree).nonzero()[:, 0]
        old, new = (kept // (degree + 1)).to(unit.device), (kept % (degree + 1)).to(unit.device)
        table, total = table[:, old] * powers[:, d, new], joined[kept]
        if table.shape[1] > 4 * MOST_TERMS:  # too many in any case
            return table
    return table / table.square().mean(0).sqrt().clamp(min=1e-12)


def _robust(table: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | float) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors (N,) in units of the median sigma and their robust scale, corrected for the coefficients."""
    points, terms = table.shape
    corrected = 1.4826 * (points / (points - terms)) ** 0.5
    floor = ROUNDING * y.abs().median() + torch.finfo(y.dtype).tiny ** 0.5
    eye = RIDGE * points * torch.eye(terms, dtype=table.dtype, device=table.device)
    robust, error, scale = torch.ones_like(y), y, floor
    for turn in range(PASSES):
        w = robust * weight**2
        solution = torch.linalg.solve(table.T @ (w[:, None] * table) + eye, table.T @ (w * y))
        error = (y - table @ solution) * weight
        scale = corrected * error.abs().median() + floor
        if turn < PASSES // 2:
            robust = (error.abs() / scale + 1e-2).reciprocal()
        else:
            robust = (1 - (error / (TUKEY * scale)).square()).clamp(min=0).square() + 1e-12
    return error, scale
