"""Pieces: loss, slope and curvature of candidates over any number of rows, and Newton steps, in bounded memory.

A million rows of fifty candidates with ten constants are 4 GB of Jacobian. Here the rows come in pieces, and what is
kept of each is its share of the K×K normal equations. The likelihood is that of any noise model: its own parameters
need the values at all rows, and only these are held, of a few candidates at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import bind, run
from sr_accessor.expressions.jacobian import sweep
from sr_accessor.expressions.program import Program, compile_program
from sr_accessor.noise.model import NoiseModel
from sr_accessor.refinement.levenberg_marquardt import solve_normal
from sr_accessor.refinement.likelihood import LawErrors
from sr_accessor.refinement.solution import Reason, Refined

__all__ = ["POINTS", "Curvature", "curvature", "descend", "losses"]

#: Rows whose Jacobians are held at once (8 laws at 400,000 rows: 0.55, 0.38, 0.43 s with 2¹¹, 2¹³, 2¹⁵; 2026-11-21, one
#: core); candidates × rows whose values are (32 MB an array).
POINTS, CELLS = 2**13, 2**22
#: A step that promises fewer nats, or brings what it promised but for so many, is the last: 0.01 nats are a seventh of
#: a standard error.
FLAT = 0.01
#: Damping after a step that made the loss worse, from none; and factors between the steps.
FIRST_DAMPING, LESS, MORE = 1e-2, 0.1, 10.0


@dataclass(frozen=True)
class Curvature:
    """The loss of B candidates around their constants, to second order.

    Parameters
    ----------
    loss : (B,) nats; +inf where a value cannot be
    normal : (B, K, K) expected second derivative by the constants: JᵀWJ; 0 for those that are not free
    gradient : (B, K) first derivative, with the sign of a descent: JᵀWr
    valid : (B,) whether all values are finite
    """

    loss: torch.Tensor
    normal: torch.Tensor
    gradient: torch.Tensor
    valid: torch.Tensor


def curvature(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    sigma: torch.Tensor | None,
    noise: NoiseModel,
    errors: LawErrors | None = None,
) -> Curvature:
    """Loss, slope and curvature of every candidate.

    Parameters
    ----------
    expressions : Expressions, B candidates
    x : (N, D); y : (N,); sigma : (N,) or None
    errors : error bars that depend on the law, in the place of `sigma`; their own slope does not count
    """
    parts = [_Few.of(few, x, y, sigma, noise, errors).curvature(noise) for few in _groups(expressions, len(y))]
    return Curvature(*(torch.cat([getattr(p, f) for p in parts]) for f in Curvature.__dataclass_fields__))


def losses(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    sigma: torch.Tensor | None,
    noise: NoiseModel,
    errors: LawErrors | None = None,
) -> torch.Tensor:
    """(B,) the loss of `curvature` alone, in a third of the time."""
    parts = [_Few.of(few, x, y, sigma, noise, errors, slopes=False).loss for few in _groups(expressions, len(y))]
    return torch.cat(parts)


def _groups(expressions: Expressions, points: int) -> list[Expressions]:
    """Candidates by so many that their values at all points fit the memory."""
    together = max(1, CELLS // max(1, points))
    return [expressions[start : start + together] for start in range(0, max(1, len(expressions)), together)]


@dataclass(frozen=True)
class _Few:
    """A few candidates with their values (B, N) at all rows, their loss, and their Jacobian if the rows are few too."""

    expressions: Expressions
    program: Program
    x: torch.Tensor
    y: torch.Tensor
    sigma: torch.Tensor | None
    values: torch.Tensor
    columns: torch.Tensor | None
    loss: torch.Tensor

    @classmethod
    def of(cls, expressions, x, y, sigma, noise, errors, *, slopes: bool = True) -> _Few:
        program, columns, lacking = compile_program(expressions), None, 0.0
        pieces = _pieces(len(y))
        if len(pieces) == 1 and slopes:
            values, columns = sweep(bind(program, x), expressions.constants)
        else:
            values = torch.cat([run(bind(program, x[rows]), expressions.constants)[0] for rows in pieces], 1)
        if errors is not None:
            measured = [errors[rows].measure(expressions, x[rows], y[rows]) for rows in pieces]
            sigma, lacking = torch.cat([part[0] for part in measured], 1), sum(part[1] for part in measured)
        loss = noise.negative_log_likelihood(y, values, sigma) + lacking
        return cls(expressions, program, x, y, sigma, values, columns, loss)

    def curvature(self, noise: NoiseModel) -> Curvature:
        e, values = self.expressions, self.values
        residual, weight = (given.expand_as(values) for given in noise.working(self.y, values, self.sigma))
        count, slots = e.constants.shape
        normal, gradient = values.new_zeros(count, slots, slots), values.new_zeros(count, slots)
        for rows in _pieces(len(self.y)):
            columns = self.columns
            if columns is None:
                columns = sweep(bind(self.program, self.x[rows]), e.constants)[1]
            columns = torch.where(columns.isfinite() & e.free[:, :, None], columns, 0.0)
            weighted = columns * weight[:, None, rows]
            normal += weighted @ columns.mT
            gradient += (weighted @ residual[:, rows, None])[:, :, 0]
        return Curvature(self.loss, normal, gradient, values.isfinite().all(1))


def _pieces(points: int) -> list[slice]:
    return [slice(start, start + POINTS) for start in range(0, max(1, points), POINTS)]


def descend(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    sigma: torch.Tensor | None,
    noise: NoiseModel,
    errors: LawErrors | None = None,
    *,
    steps: int,
) -> Refined:
    """Constants near their best ones brought to the likeliest by damped Newton steps; `loss` in nats.

    For candidates refined on a part of the rows: from there one step is nearly enough. Far starts need the many cheap
    steps of `levenberg_marquardt`.
    """
    about = (x, y, sigma, noise, errors)
    now = curvature(expressions, *about)
    loss, normal, gradient = now.loss.clone(), now.normal, now.gradient
    used = torch.ones(len(expressions), dtype=torch.int64, device=y.device)
    damping = torch.zeros_like(loss)
    done = ~loss.isfinite() | ~expressions.free.any(1)
    reason = torch.where(done & loss.isfinite(), int(Reason.NO_CONSTANTS), int(Reason.STEPS_SPENT))
    reason = torch.where(loss.isfinite(), reason, int(Reason.INVALID_START))
    moved = torch.zeros_like(done)  # since `normal` and `gradient` were computed
    for _ in range(steps):
        stale = (moved & ~done).nonzero()[:, 0]
        if len(stale):
            there = curvature(expressions[stale], *about)
            normal[stale], gradient[stale] = there.normal, there.gradient
            used[stale] += 1
            moved[stale] = False
        at = (~done).nonzero()[:, 0]
        if not len(at):
            break
        change = solve_normal(normal[at], gradient[at], damping[at, None])
        change = torch.where(expressions.free[at] & change.isfinite(), change, 0.0)
        promised = (change * gradient[at]).sum(1) / 2
        trial = expressions.constants[at] + change
        fall = loss[at] - losses(expressions[at].with_constants(trial), *about)
        better = fall > 0
        taken = at[better]
        constants = expressions.constants.clone()
        constants[taken] = trial[better]
        expressions = expressions.with_constants(constants)
        loss[taken] -= fall[better]
        moved[taken] = True
        damping[at] = torch.where(better, damping[at] * LESS, damping[at].clamp(min=FIRST_DAMPING) * MORE)
        ended = (promised < FLAT) | (better & ((fall - promised).abs() < FLAT))
        done[at[ended]] = True
        reason[at[ended]] = int(Reason.CONVERGED)
    return Refined(expressions, loss, reason, used)
