"""Targets: views of y at the screening points with their weights, plainly or linearised around a first fit.

Under noise T(y) of a scattered y is biased and heavy-tailed where T bends (log and 1/y near zero). Around a first
fit r the working response T(r) + T′(r)·(y − r) has errors of one size after weighting, whatever T is: the same
device as in generalised linear models [McCullagh & Nelder 1989, §2.5].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.search.library import effective_points, least_points
from sr_accessor.search.views import View
from sr_accessor.stopping import look

__all__ = ["Rows", "Target", "basis", "join_rows", "scaled", "unexplained"]

#: A row is dropped where projecting the base out leaves less than this share of its squared norm.
LEAST_LEFT = 1e-10
#: A row may rest on a few points where it leaves less than this: no handful of points explains all the others.
NO_ACCIDENT = 1e-9
#: Weights are capped at so many times their median, in the view and in its logarithm: no handful of points decides.
MOST_WEIGHT, MOST_LOG_WEIGHT = 6.0, 4.0


@dataclass(frozen=True)
class Target:
    """A view of y at the screening points.

    Parameters
    ----------
    view : View
    values : (N,) T(y)
    weight : (N,) root weights; residuals are multiplied by them
    logs : (N,) log|T(y)|
    log_weight : (N,) root weights of `logs`
    """

    view: View
    values: torch.Tensor
    weight: torch.Tensor
    logs: torch.Tensor
    log_weight: torch.Tensor

    @staticmethod
    def of(view: View, y: torch.Tensor, sigma: torch.Tensor, *, relative: bool = False) -> Target:
        """T(y) with weights 1/σ_T by the delta method; with `relative` errors logarithms weigh the same."""
        values = view.forward(y)
        size = values.abs()
        logs = size.clamp(min=1e-300 + (0.0 if relative else 1e-12) * float(size.median())).log()
        weight = _inverse(view.slope(y).abs() * sigma)
        log_weight = (
            torch.ones_like(size) if relative else _capped(_capped(weight, MOST_WEIGHT) * size, MOST_LOG_WEIGHT)
        )
        return Target(view, values, _capped(weight, MOST_WEIGHT), logs, log_weight)

    @staticmethod
    def around(view: View, y: torch.Tensor, sigma: torch.Tensor, reference: torch.Tensor) -> Target:
        """The working response around `reference` (N,), a fit of y."""
        values, slope = view.forward(reference), view.slope(reference)
        size = values.abs()
        move = slope * (y - reference)
        weight = _inverse(slope.abs() * sigma)
        tiny = size.clamp(min=1e-12 * float(size.median()) + 1e-300)
        logs = tiny.log() + move / torch.where(values < 0, -tiny, tiny)
        return Target(view, values + move, _capped(weight, MOST_WEIGHT), logs, _capped(weight * size, MOST_LOG_WEIGHT))

    @property
    def logarithm(self) -> Target:
        """log|T| as the target itself."""
        return replace(self, values=self.logs, weight=self.log_weight)

    @property
    def sound(self) -> bool:
        """Whether every value and weight is finite and the weights rest on more than 2 % of the points."""
        finite = all(bool(part.isfinite().all()) for part in (self.values, self.weight, self.logs, self.log_weight))
        return finite and float(effective_points(self.weight[None])) > 0.02 * len(self.values)


def _inverse(scale: torch.Tensor) -> torch.Tensor:
    weight = 1 / scale.clamp(min=1e-300)
    return torch.where(weight.isfinite(), weight, 0.0)


def _capped(weight: torch.Tensor, times: float) -> torch.Tensor:
    weight = torch.minimum(weight, times * weight.median().clamp(min=1e-300))
    return weight / weight.square().mean().sqrt().clamp(min=1e-300)


@dataclass(frozen=True)
class Rows:
    """R rows for the linear screens: expressions (inner constants free) and their values (R, N)."""

    expressions: Expressions
    values: torch.Tensor

    def __len__(self) -> int:
        return len(self.expressions)

    def __getitem__(self, rows) -> Rows:
        return Rows(self.expressions[rows], self.values[rows])


def join_rows(first: Rows, second: Rows) -> Rows:
    """The rows of both."""
    return Rows(concatenate([first.expressions, second.expressions]), torch.cat([first.values, second.values]))


def basis(base: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal basis (..., N, k) of the weighted base rows (..., k, N), and R with base·w = Q·R."""
    columns = (base * weight).transpose(-1, -2)
    scale = columns.norm(dim=-2, keepdim=True).clamp(min=1e-300)
    q, r = torch.linalg.qr(columns / scale)
    return q, r * scale


def unexplained(rows: torch.Tensor, weight: torch.Tensor, q: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """(V, R) share of each projected target that one more row leaves unexplained; 1 for rows that must not count.

    rows (R, N) unweighted; residual (N, V) weighted, projected and of unit norm.
    """
    look()
    rows = rows * weight
    before = torch.linalg.vecdot(rows, rows)
    rows = rows - (rows @ q) @ q.T
    squares = rows * rows
    left = squares.sum(1)
    share = 1 - (residual.T @ rows.T).square() / left
    rests_on = left.square() / torch.linalg.vecdot(squares, squares)
    # A target that spans decades rests on few points itself.
    least = torch.clamp(effective_points(residual.T) / 2, max=least_points(rows.shape[1], 0.03))
    rests = (rests_on > least[:, None]) | (share < NO_ACCIDENT)
    sound = (left > LEAST_LEFT * before) & rests & share.isfinite()
    return torch.where(sound, share.clamp(min=0.0), 1.0)


def scaled(rows: torch.Tensor) -> torch.Tensor:
    """Each row (M, N) with a largest magnitude of 1."""
    return rows / rows.abs().amax(1, keepdim=True).clamp(min=1e-300)
