"""Pieces: loss, slope and curvature of candidates over any number of rows, and Newton steps, in bounded memory.

A million rows of fifty candidates with ten constants are 4 GB of Jacobian. Here the rows come in pieces, and what is
kept of each is its share of the K×K normal equations. The likelihood is that of any noise model: its own parameters
need the values at all rows, and only these are held, of a few candidates at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.noise.model import NoiseModel
from sr_accessor.refinement.levenberg_marquardt import solve_normal
from sr_accessor.refinement.likelihood import LawErrors
from sr_accessor.refinement.solution import Reason, Refined

__all__ = ["POINTS", "Curvature", "curvature", "descend"]

#: Rows whose Jacobians are held at once; candidates × rows whose values are (32 MB an array).
POINTS, CELLS = 2**15, 2**22
#: A step that promises, or brought, fewer nats than this is the last.
FLAT = 1e-4
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
    together = max(1, CELLS // max(1, len(y)))
    parts = [
        _of_few(expressions[at], x, y, sigma, noise, errors)
        for at in (slice(start, start + together) for start in range(0, max(1, len(expressions)), together))
    ]  # pieces of a batch, not candidates
    return Curvature(*(torch.cat([getattr(p, f) for p in parts]) for f in Curvature.__dataclass_fields__))


def _of_few(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    sigma: torch.Tensor | None,
    noise: NoiseModel,
    errors: LawErrors | None = None,
) -> Curvature:
    pieces = [slice(start, start + POINTS) for start in range(0, max(1, len(y)), POINTS)]
    if len(pieces) == 1:
        values, columns, _ = jacobian(expressions, x)
    else:
        values, columns = torch.cat([evaluate(expressions, x[rows])[0] for rows in pieces], 1), None
    if errors is not None:
        sigma = torch.cat([errors[rows].sigma(expressions, x[rows], y[rows]) for rows in pieces], 1)
    loss = noise.negative_log_likelihood(y, values, sigma)
    residual, weight = (given.expand_as(values) for given in noise.working(y, values, sigma))
    count, slots = expressions.constants.shape
    normal, gradient = values.new_zeros(count, slots, slots), values.new_zeros(count, slots)
    for rows in pieces:
        slopes = columns if columns is not None else jacobian(expressions, x[rows])[1]
        slopes = torch.where(slopes.isfinite() & expressions.free[:, :, None], slopes, 0.0)
        weighted = slopes * weight[:, None, rows]
        normal += weighted @ slopes.mT
        gradient += (weighted @ residual[:, rows, None])[:, :, 0]
    return Curvature(loss, normal, gradient, values.isfinite().all(1))


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
    now = curvature(expressions, x, y, sigma, noise, errors)
    used = torch.ones(len(expressions), dtype=torch.int64, device=y.device)
    damping = torch.zeros_like(now.loss)
    done = ~now.loss.isfinite() | ~expressions.free.any(1)
    reason = torch.where(done & now.loss.isfinite(), int(Reason.NO_CONSTANTS), int(Reason.STEPS_SPENT))
    reason = torch.where(now.loss.isfinite(), reason, int(Reason.INVALID_START))
    for _ in range(steps):
        at = (~done).nonzero()[:, 0]
        if not len(at):
            break
        change = solve_normal(now.normal[at], now.gradient[at], damping[at, None])
        change = torch.where(expressions.free[at] & change.isfinite(), change, 0.0)
        trial = expressions[at].with_constants(expressions.constants[at] + change)
        there = curvature(trial, x, y, sigma, noise, errors)
        used[at] += 1
        fall = now.loss[at] - there.loss
        promised = (change * now.gradient[at]).sum(1) / 2
        better = fall > 0
        taken = at[better]
        constants = expressions.constants.clone()
        constants[taken] = trial.constants[better]
        expressions = expressions.with_constants(constants)
        for name in Curvature.__dataclass_fields__:
            getattr(now, name)[taken] = getattr(there, name)[better]
        damping[at] = torch.where(better, damping[at] * LESS, damping[at].clamp(min=FIRST_DAMPING) * MORE)
        ended = (fall.abs() < FLAT) | (promised < FLAT)
        done[at[ended]] = True
        reason[at[ended]] = int(Reason.CONVERGED)
    return Refined(expressions, now.loss, reason, used)
