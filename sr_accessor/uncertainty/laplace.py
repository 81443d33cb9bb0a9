"""Covariance of the constants of a whole front from the curvature of the loss; it says what it cannot tell.

With f linearised around the refined constants, A = J/σ and C = s²·(AᵀA)⁻¹ [Seber & Wild 2003, §2.1.2]; under other
noise than the normal one 1/σ² is the expected curvature of the loss, so that AᵀA is Fisher's information. Constants
that the data cannot tell apart get NaN and never 0. It knows nothing of how the expressions were found, and the errors
are "given this form": they leave out that the form itself was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from scipy.special import ndtri, stdtrit

from sr_accessor.device import DTYPE
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.noise.gaussian import Gaussian
from sr_accessor.noise.model import NoiseModel
from sr_accessor.refinement.likelihood import Parameters, tied_jacobian

__all__ = ["Laplace", "covariance"]

#: A direction whose singular value (columns scaled to length 1) is below this share of the largest is not
#: identifiable: float64 Jacobians carry rounding errors of 1e-14 to 1e-12, NIST's hardest problem (Lanczos) has 1e-4.
RANK_TOLERANCE = 1e-11
#: A constant (or a prediction) whose gradient has more than this share in such directions is not identifiable.
NULL_SHARE = 1e-6
#: Points whose Jacobians are held at once; the orthogonal triangle of all points is carried from piece to piece.
POINTS = 2**14


@dataclass(frozen=True)
class Laplace:
    """How sure the constants of F expressions are; K numbers each, N observations.

    Parameters
    ----------
    covariance : (F, K, K) float64, NaN in rows and columns of constants that are not identifiable, are not
        free, or do not exist; units: product of the two constants' units
    stderr : (F, K) float64, square roots of the diagonal
    identifiable : (F, K) bool, True where `stderr` is a number
    variance : (F,) float64, s²: 1 with absolute sigma, otherwise Σ(r/σ)²/(N − rank), under other noise than the normal
        one N/(N − rank) where its scale is estimated; NaN without degrees of freedom
    degrees : (F,) int64, N − rank
    absolute : whether the scale of the scatter is known: sigma was taken as it is (scipy's ``absolute_sigma``), or the
        noise model tells it from the law's value
    root : (F, K, K) such that root·rootᵀ is the pseudo-inverse of AᵀA
    null : (F, K, K), columns: directions of the constants that leave every value unchanged (else 0)
    """

    covariance: torch.Tensor
    stderr: torch.Tensor
    identifiable: torch.Tensor
    variance: torch.Tensor
    degrees: torch.Tensor
    absolute: bool
    root: torch.Tensor
    null: torch.Tensor

    def __getitem__(self, rows: int | torch.Tensor) -> Laplace:
        """One expression, its batch axis kept; or several."""
        at = slice(rows, rows + 1) if isinstance(rows, int) else rows
        return Laplace(
            self.covariance[at], self.stderr[at], self.identifiable[at], self.variance[at], self.degrees[at],
            self.absolute, self.root[at], self.null[at],
        )  # fmt: skip

    def first(self, count: int) -> Laplace:
        """Of the first `count` constants alone: of an expression that has no more of them."""
        k = slice(count)
        return replace(
            self, covariance=self.covariance[:, k, k], stderr=self.stderr[:, k], identifiable=self.identifiable[:, k],
            root=self.root[:, k, k], null=self.null[:, k, k],
        )  # fmt: skip

    def value_variance(self, gradient: torch.Tensor) -> torch.Tensor:
        """Variance of values from their gradients by the constants.

        Parameters
        ----------
        gradient : (F, K, N), units: y per constant

        Returns
        -------
        (F, N), units of y squared; NaN where the value depends on something that is not identifiable
        """
        if not gradient.shape[1]:  # a law without numbers has no error
            return gradient.sum(1)
        spread = torch.einsum("fkr,fkn->frn", self.root, gradient).square().sum(1) * self.variance[:, None]
        lost = torch.einsum("fkr,fkn->frn", self.null, gradient).abs().amax(1)
        size = (gradient.abs() * self.null.abs().amax(2)[:, :, None]).amax(1)
        return torch.where(lost > NULL_SHARE * size, torch.nan, spread)

    def quantile(self, level: float) -> torch.Tensor:
        """(F,) two-sided quantile: normal with a known scale, else Student's with N − rank degrees; NaN with none."""
        upper = 0.5 + level / 2
        if self.absolute:
            return torch.full_like(self.variance, float(ndtri(upper)))
        found = torch.as_tensor(stdtrit(self.degrees.clamp(min=1).cpu().numpy(), upper)).to(self.variance)
        return torch.where(self.degrees > 0, found, torch.nan)


def covariance(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    sigma: torch.Tensor | None = None,
    *,
    absolute_sigma: bool | None = None,
    noise: NoiseModel | None = None,
    parameters: Parameters | None = None,
) -> Laplace:
    """Covariance of the free constants of refined expressions.

    Parameters
    ----------
    expressions : Expressions, F rows at their optimum
    x : Tensor (N, D), or (F, N, D) where expressions have points of their own
    y : Tensor (N,), or (F, N) where expressions have targets of their own
    sigma : Tensor (N,) or (F, N), optional, standard deviations of y; None weighs all points alike
    absolute_sigma : bool, optional
        True takes sigma as it is; False only as relative weights, scaled by the residuals. None: True exactly
        if sigma is given. Only read without `noise`.
    noise : the noise model; None is the normal one
    parameters : what the numbers are, where several are one or some are held; then K counts parameters

    Returns
    -------
    Laplace

    All constants of all expressions at once: one reverse sweep for J, QR of A in pieces of points, then the SVD of
    the triangle with its columns scaled to length 1, so that units do not decide the rank.
    """
    plain = noise is None or isinstance(noise, Gaussian)
    if plain:
        stated = sigma is not None if absolute_sigma is None else absolute_sigma
        absolute = stated if noise is None else not noise.own_scale(sigma)
        weight = torch.ones_like(y) if sigma is None else 1 / sigma
    else:
        absolute = noise.degrees(sigma) == 0
        weight = noise.working(y, evaluate(expressions, x)[0], sigma)[1].sqrt()
    points = y.shape[-1]
    weight = torch.atleast_2d(weight)  # (1 or F, 1 or N)
    weight = weight.expand(len(weight), points)
    slots = expressions.constants.shape[1] if parameters is None else len(parameters.lower)
    rows, triangle = len(expressions), y.new_zeros(len(expressions), 0, slots)
    squares, finite = y.new_zeros(rows), torch.ones(rows, dtype=torch.bool, device=y.device)
    for start in range(0, points, POINTS):  # pieces of the points, all expressions in each
        at = slice(start, start + POINTS)
        values, columns, valid = jacobian(expressions, x[..., at, :])
        residual = (values - y[..., at]) * weight[:, at]
        finite &= valid.all(1) & columns.isfinite().all(2).all(1)
        squares += residual.square().sum(1)
        columns = columns if parameters is None else tied_jacobian(columns, parameters)
        weighted = torch.where(finite[:, None, None], columns * weight[:, None, at], 0.0).mT
        triangle = torch.linalg.qr(torch.cat([triangle, weighted], 1), mode="r").R

    lengths = torch.linalg.vector_norm(triangle, dim=1)  # (F, K)
    scale = torch.where(lengths > 0, lengths, 1.0)
    padded = torch.nn.functional.pad(triangle / scale[:, None, :], (0, 0, 0, max(0, slots - triangle.shape[1])))
    _, singular, right = torch.linalg.svd(padded)  # padded: as many singular values as constants
    largest = singular[:, :1] if slots else singular
    known = singular > RANK_TOLERANCE * largest  # (F, K) by direction
    rank = known.sum(1)
    directions = right.mT  # (F, K constants, K directions)
    root = directions * torch.where(known, 1 / singular.clamp(min=torch.finfo(DTYPE).tiny), 0.0)[:, None, :]
    root = root / scale[:, :, None]
    null = directions * (~known & (torch.arange(slots, device=y.device) < slots))[:, None, :]
    null = torch.where(null.abs() < NULL_SHARE, 0.0, null)  # rounding is no part of a direction
    lost = torch.linalg.vector_norm(null, dim=2)  # (F, K): share of each constant in directions without effect

    degrees = points - rank
    # Rounding alone leaves residuals of about eps·|y|: an exact law's errors are tiny but not 0.
    rounding = (torch.finfo(DTYPE).eps * y * weight).square().mean(1)
    estimated = (squares if plain else torch.full_like(squares, points)) / degrees.clamp(min=1)
    estimated = estimated.clamp(min=rounding) if plain else estimated
    estimated = torch.where(estimated < torch.finfo(DTYPE).tiny, 0.0, estimated)  # a target of zeros met: no scale
    variance = torch.ones_like(squares) if absolute else torch.where(degrees > 0, estimated, torch.nan)
    free = expressions.free if parameters is None else parameters.free
    identifiable = free & (lost < NULL_SHARE) & (finite & variance.isfinite() & (variance > 0))[:, None]
    full = root @ root.mT * variance[:, None, None]
    full = torch.where(identifiable[:, :, None] & identifiable[:, None, :], full, torch.nan)
    return Laplace(
        covariance=full,
        stderr=full.diagonal(dim1=1, dim2=2).sqrt(),
        identifiable=identifiable,
        variance=torch.where(finite, variance, torch.nan),
        degrees=degrees,
        absolute=absolute,
        root=root,
        null=torch.where(free[:, :, None], null / scale[:, :, None], 0.0),
    )
