"""Inner constants: the c of a feature F(c·g) that suits a target best, by a grid in single precision, then by zooming.

The grid only ranks, hundreds of thousands of rows of it: single precision and closed forms do (three to four times
faster than double, measured 2026-11-21). Zooming, on the few that are kept, is in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from sr_accessor.search.features import Feature, inner_grid
from sr_accessor.search.library import effective_points, least_points
from sr_accessor.search.targets import LEAST_LEFT, NO_ACCIDENT
from sr_accessor.stopping import look

__all__ = ["Projection", "best_inner", "feature_rows", "grid_inner", "share_left", "zoom"]

#: Feature rows computed at once: with 200 points 2,000 rows are 1.6 MB in single precision, and stay in cache.
PIECE_ROWS = 2000
#: In single precision a row counts when the base leaves more than this share of its squared norm.
LEAST_LEFT_SINGLE = 1e-4
#: A row on few points that leaves less than this, all that single precision can tell, is no accident.
NO_ACCIDENT_SINGLE = 1e-4
#: Powers of the feature from the regression that a law can have, before they are rounded to halves.
LEAST_POWER, MOST_POWER = 0.15, 6.0
#: Of a piece this share of rows, those of the best scores, are tested for resting on a few points only.
TESTED = 0.1
#: Widths in log c of the rounds of zooming, nine factors each: from the gaps of a grid over decades to 0.01 %.
WIDTHS, FACTORS = (1.0, 0.35, 0.1, 0.03, 0.008, 0.002, 0.0005), 9
#: A row whose share of points is smaller rests on too few.
FEW_POINTS = 0.03


@dataclass(frozen=True)
class Projection:
    """What bases leave of S targets, each with a basis and weights of its own.

    Parameters
    ----------
    weight : (S, N) root weights
    q : (S, N, k) orthonormal bases of the weighted base rows
    rest : (S, N) what they leave of the weighted targets
    """

    weight: torch.Tensor
    q: torch.Tensor
    rest: torch.Tensor

    @cached_property
    def least_points(self) -> torch.Tensor:
        """(S,) points that a row must rest on: a few, or half as many as the target itself where it spans decades."""
        return torch.clamp(effective_points(self.rest) / 2, max=least_points(self.rest.shape[1], FEW_POINTS))

    @cached_property
    def coarse(self) -> _Coarse:
        """The same in single precision; targets of equal weights share their basis."""
        weight, which = torch.unique(self.weight, dim=0, return_inverse=True)
        first = torch.stack([(which == i).nonzero()[0, 0] for i in range(len(weight))])  # a handful of weights
        q = self.q[first]
        norm = self.rest.norm(dim=1).clamp(min=1e-300)
        unit = self.rest / norm[:, None]
        base = (q * weight[:, :, None]).permute(1, 0, 2).flatten(1)
        both = torch.cat([base, (unit * self.weight).T], 1)
        squares = weight.square().T.float().contiguous()
        least = self.least_points.float()
        return _Coarse(weight.float(), squares, q.float(), both.float(), which, norm.float(), least)


@dataclass(frozen=True)
class _Coarse:
    """W different weights (W, N) and their squares (N, W); bases q (W, N, k); all weighted bases and then all weighted
    unit targets (N, W·k + S); which weight each target has (S,), its norm and the points to rest on (S,)."""

    weight: torch.Tensor
    squares: torch.Tensor
    q: torch.Tensor
    both: torch.Tensor
    which: torch.Tensor
    norm: torch.Tensor
    least_points: torch.Tensor


def feature_rows(kind: Feature, groups: torch.Tensor, inner: torch.Tensor, logarithm: bool) -> torch.Tensor:
    """F(c·g), or log|F(c·g)|: (M, C, N) for groups (M, N) and inner (M, C)."""
    look()
    values = kind.value(inner[:, :, None] * groups[:, None, :])
    return values.abs_().clamp_(min=torch.finfo(values.dtype).tiny).log_() if logarithm else values


def _single_rows(kind: Feature, groups: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """log|F(c·g)| in single precision; in double where F is too large for it, as the exponential of 88 is."""
    rows = feature_rows(kind, groups.float(), inner.float(), True)
    which, c = (~rows.isfinite().all(2)).nonzero().T
    if len(which):
        rows[which, c] = feature_rows(kind, groups[which], inner[which, c][:, None], True)[:, 0].float()
    return rows


def best_inner(kind: Feature, groups: torch.Tensor, fit: Projection) -> tuple[torch.Tensor, torch.Tensor]:
    """(S, M) share of each target that log|F(c·g)| leaves at the best c of the grid, and that c, for groups (M, N)."""
    shares, chosen = [], []
    piece = max(1, PIECE_ROWS // inner_grid(kind, groups[:1]).shape[1])
    for start in range(0, len(groups), piece):  # pieces that stay in cache
        part = groups[start : start + piece]
        inner = inner_grid(kind, part)
        largest = part.abs().amax(1, keepdim=True).clamp(min=1e-300)  # raw SI values overflow single precision
        rows = _single_rows(kind, part / largest, inner * largest).flatten(0, 1)
        rows = rows - rows.mean(1, keepdim=True)  # the base holds the constant; near-constant rows would cancel
        share = _shares(rows, fit.coarse).T.reshape(-1, *inner.shape)
        least = share.min(2)
        shares.append(least.values)
        chosen.append(inner.expand_as(share).gather(2, least.indices[:, :, None])[:, :, 0])
    return torch.cat(shares, 1), torch.cat(chosen, 1)


def _shares(rows: torch.Tensor, fit: _Coarse) -> torch.Tensor:
    """(R, S) unexplained shares of rows (R, N); 1 for rows that must not count."""
    count, _, size = fit.q.shape
    along = rows @ fit.both
    before = rows.square() @ fit.squares
    left = before - along[:, : count * size].view(-1, count, size).square().sum(2)
    sound = left > LEAST_LEFT_SINGLE * before
    left = torch.where(sound, left, torch.inf)
    along, left = along[:, count * size :], left[:, fit.which]
    share, power = 1 - along.square() / left, (along / left * fit.norm).abs()
    # log(1 − e^(c·g)) with a tiny c is log g + c·g/2: with a power of thousands it would stand for any exponential.
    share = torch.where((power > LEAST_POWER) & (power < MOST_POWER) & share.isfinite(), share.clamp(min=0.0), 1.0)
    at = share.amin(1).topk(max(1, int(TESTED * len(rows))), largest=False).indices
    tested = rows[at] * fit.weight[:, None]
    squares = (tested - (tested @ fit.q) @ fit.q.transpose(1, 2)).square_()
    rests_on = squares.sum(2).square() / squares.square_().sum(2).clamp(min=1e-37)
    thin = ~(rests_on[fit.which].T > fit.least_points) & ~(share[at] < NO_ACCIDENT_SINGLE)
    share[at] = torch.where(thin, 1.0, share[at])
    return share


def share_left(rows: torch.Tensor, fit: Projection, side: torch.Tensor, p: torch.Tensor | None = None) -> torch.Tensor:
    """(M, P, C) share of each target that rows (M, C, N) leave, in double precision.

    Parameters
    ----------
    side : (M,) which target each belongs to
    p : (M, P) coefficients of the rows where they are given, then unsound rows leave ∞; None: the best one (P = 1),
        and unsound rows leave 1
    """
    rows = rows * fit.weight[side][:, None]
    before = torch.linalg.vecdot(rows, rows)
    q = fit.q[side]
    rows = rows - (rows @ q) @ q.transpose(1, 2)
    squares = rows.square()
    left = squares.sum(2)
    rest = fit.rest[side]
    whole = rest.square().sum(1)[:, None, None].clamp(min=1e-300)
    along = rows @ rest[:, :, None]
    rests_on = left.square() / squares.square().sum(2)
    sound, thin = left > LEAST_LEFT * before, ~(rests_on > fit.least_points[side][:, None])
    left, along = left[:, None], along.transpose(1, 2)
    if p is None:
        share = 1 - along.square() / (left * whole)
    else:
        share = 1 + (p[:, :, None].square() * left - 2 * p[:, :, None] * along) / whole
    sound = sound[:, None] & ~(thin[:, None] & ~(share < NO_ACCIDENT)) & share.isfinite()
    return torch.where(sound, share.clamp(min=0.0), 1.0 if p is None else torch.inf)


def grid_inner(
    kind: Feature, groups: torch.Tensor, fit: Projection, side: torch.Tensor, logarithm: bool, p: torch.Tensor | None
) -> torch.Tensor:
    """(M, P) best c of the grid for each group (M, N), its own target and each coefficient p (M, P)."""
    grid = inner_grid(kind, groups)
    share = share_left(feature_rows(kind, groups, grid, logarithm), fit, side, p)
    return grid[:, None].expand_as(share).gather(2, share.argmin(2, keepdim=True))[:, :, 0]


def zoom(
    kind: Feature,
    groups: torch.Tensor,
    inner: torch.Tensor,
    fit: Projection,
    side: torch.Tensor,
    logarithm: bool,
    p: torch.Tensor | None = None,
    rounds: int = len(WIDTHS),
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inner constants (M,) moved to the best of nine factors, four times narrower each round; and the shares left.

    p (M, 1) as in `share_left`.
    """
    steps = torch.linspace(-1, 1, FACTORS, dtype=groups.dtype, device=groups.device)
    for width in WIDTHS[:rounds]:
        trial = inner[:, None] * torch.exp(width * steps)
        share = share_left(feature_rows(kind, groups, trial, logarithm), fit, side, p)[:, 0]
        least = share.min(1)
        inner = trial.gather(1, least.indices[:, None])[:, 0]
    return inner, least.values
