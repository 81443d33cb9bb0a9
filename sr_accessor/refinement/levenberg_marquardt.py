"""Batched Levenberg–Marquardt with variable projection: all candidates at once, in float64.

Constants that enter linearly are solved for exactly at every trial point, the others take a damped Gauss–Newton
step (Golub & Pereyra 1973; the step itself is Kaufman's 1975 approximation). Normal equations in K×K with unit
diagonal; the residual is never formed by differences of sums, so that an exact law reaches 1e-15.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import rows_of
from sr_accessor.expressions.jacobian import AtPoints
from sr_accessor.expressions.linear import linear_constants
from sr_accessor.refinement.solution import Reason, Refined

__all__ = ["levenberg_marquardt", "solve_normal"]

#: Bytes of one piece's value table, if every place of the padded codes had a row. Candidates of mixed structure need
#: hundreds of calls a sweep whatever their number: pieces of 16, 32, 64 and 96 MB refine 2,300, 2,900, 3,600 and 3,800
#: candidates a second (2026-11-21, one core).
PIECE_BYTES = 64 * 2**20
PIECE_BYTES_CUDA = 4 * 2**30
#: A step is done when the loss falls by less than this fraction, or the fit is exact to this relative error.
FLAT, EXACT = 1e-9, 1e-15
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-12, 1e9
#: Least ridge on the unit diagonal: keeps an exactly singular system solvable, moves a sound one by 1e-15.
RIDGE = 1e-15
#: Below this share of the loss before, a loss that was found as a difference is summed up from its residuals instead.
CANCELLED = 1e-4
#: Pieces are compacted when fewer than this share of their candidates still move.
COMPACT_BELOW = 0.6

# Measured and not taken (2026-11-21):
# - a last step without Jacobian for whoever is foretold to fall less than FLAT: 8 % fewer steps, no faster;
# - the first half of the steps on 64 of 200 points: no faster, since calls cost more than numbers and the steps on all
#   points stay nearly as many;
# - damping by the gain ratio: as many steps to 20, a third fewer candidates still moving after 60, but from far starts
#   other optima, as often worse as better.


def levenberg_marquardt(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    steps: int = 20,
) -> Refined:
    """Minimise Σ w·(y − f)² over the free constants of every candidate.

    Parameters
    ----------
    expressions : Expressions, B candidates; their numbers are the start
    x : Tensor (N, D), or (B, N, D) where candidates have points of their own
    y : Tensor (N,), or (B, N) where candidates have targets of their own
    weight : Tensor (N,) or (B, N), optional; 1/σ²
    steps : Jacobians computed per candidate at most

    Returns
    -------
    Refined, in the order given
    """
    expressions, whole = expressions.trimmed(), expressions
    expressions.heights  # noqa: B018 - found once; the parts below take over what is known
    linear = linear_constants(expressions)
    count, points = len(expressions), x.shape[-2]
    per_row = expressions.codes.shape[1] * points * x.element_size()
    piece = max(16, (PIECE_BYTES if x.device.type == "cpu" else PIECE_BYTES_CUDA) // max(1, per_row))
    root = None if weight is None else weight.sqrt()
    parts = []
    for start in range(0, max(count, 1), piece):  # pieces of a batch, not candidates
        rows = slice(start, start + piece)
        given = (rows_of(x, rows, 2), rows_of(y, rows, 1), rows_of(root, rows, 1))
        parts.append(_refine_piece(expressions[rows], linear[rows], *given, steps))
    constants = whole.constants.clone()
    constants[:, : expressions.constants.shape[1]] = torch.cat([p.constants for p in parts])
    loss, reason, used = (torch.cat([getattr(p, name) for p in parts]) for name in ("loss", "reason", "used"))
    return Refined(whole.with_constants(constants), loss, reason, used)


def solve_normal(matrix: torch.Tensor, right: torch.Tensor, damping: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Solve (M + diag(damping·diag M)) z = right for many small symmetric positive semi-definite M.

    Parameters
    ----------
    matrix : (B, K, K)
    right : (B, K)
    damping : (B, K) or a number, relative to the diagonal

    Columns are scaled to unit diagonal, then Cholesky (four times faster than elimination by array operations for
    400 systems of 6, measured 2026-11-21). Where rounding leaves a matrix indefinite, a ridge of 1e-9 is added.
    """
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    unit = matrix * scale[:, :, None] * scale[:, None, :]
    unit.diagonal(dim1=-2, dim2=-1).copy_(1.0 + damping + RIDGE)
    factor, failed = torch.linalg.cholesky_ex(unit)
    if bool(failed.any()):
        bad = failed > 0
        again = unit[bad]
        again.diagonal(dim1=-2, dim2=-1).add_(1e-9)
        again, failed = torch.linalg.cholesky_ex(again)
        eye = torch.eye(unit.shape[-1], dtype=unit.dtype, device=unit.device) * 1e150  # not finite: no step at all
        factor[bad] = torch.where((failed > 0)[:, None, None], eye, again)
    return torch.cholesky_solve((right * scale)[:, :, None], factor)[:, :, 0] * scale


@dataclass(frozen=True)
class _Descent:
    """Where a piece has got to, one row per candidate: the best constants (B, K), their loss, reason and steps."""

    constants: torch.Tensor
    loss: torch.Tensor
    reason: torch.Tensor
    used: torch.Tensor


@dataclass(frozen=True)
class _State:
    """Constants (B, K), their loss, JᵀJ and Jᵀr; after the linear ones were solved for."""

    constants: torch.Tensor
    loss: torch.Tensor
    normal: torch.Tensor
    gradient: torch.Tensor

    def where(self, condition: torch.Tensor, other: _State) -> _State:
        return _State(
            torch.where(condition[:, None], self.constants, other.constants),
            torch.where(condition, self.loss, other.loss),
            torch.where(condition[:, None, None], self.normal, other.normal),
            torch.where(condition[:, None], self.gradient, other.gradient),
        )

    def __getitem__(self, rows) -> _State:
        return _State(self.constants[rows], self.loss[rows], self.normal[rows], self.gradient[rows])


class _Objective:
    """The sum of squares of candidates at their points, and the memory to compute it in."""

    def __init__(self, expressions: Expressions, linear, x, y, root):
        self.target, self.root, self.free, self.linear = y, root, expressions.free, linear
        self.pair = linear[:, :, None] & linear[:, None, :]
        self.any_linear = bool(linear.any())
        # The residual is one more row below those of the Jacobian: one product gives JᵀJ, Jᵀr and rᵀr.
        self.at = AtPoints(expressions, x, beside=1)
        self.matrix = x.new_empty(self.at.shape)

    def raw(self, constants: torch.Tensor) -> torch.Tensor:
        """(B,) loss of the constants as they are."""
        residual = self.target - self.at.values(constants)
        residual = residual if self.root is None else residual * self.root
        loss = residual.square().sum(1)
        return torch.where(loss.isfinite(), loss, torch.inf)

    def measure(self, constants: torch.Tensor) -> _State:
        matrix, slots = self.matrix, constants.shape[1]
        values = self.at.fill(constants, matrix)
        torch.sub(self.target, values, out=matrix[:, slots])
        if self.root is not None:
            matrix *= self.root[:, None, :] if self.root.dim() == 2 else self.root
        gram = matrix @ matrix.transpose(1, 2)
        steep = ~gram.flatten(1).sum(1).isfinite() & gram[:, slots, slots].isfinite()
        if bool(steep.any()):  # sqrt(c·x) has a value but no derivative at x = 0: that point does not steer the step
            part = matrix[steep]
            part[:, :slots] = torch.where(part[:, :slots].isfinite(), part[:, :slots], 0.0)
            matrix[steep], gram[steep] = part, part @ part.transpose(1, 2)
        normal, gradient, loss = gram[:, :slots, :slots], gram[:, :slots, slots], gram[:, slots, slots]
        if self.any_linear:
            change = solve_normal(torch.where(self.pair, normal, 0.0), torch.where(self.linear, gradient, 0.0))
            change = torch.where(self.linear & change.isfinite(), change, 0.0)
            constants = constants + change
            fitted = (normal @ change[:, :, None])[:, :, 0]
            before, loss = loss, loss - (change * (2 * gradient - fitted)).sum(1)
            gradient = gradient - fitted
            cancelled = loss < CANCELLED * before
            if bool(cancelled.any()):
                part = matrix[cancelled]
                residual = part[:, slots] - (change[cancelled][:, None, :] @ part[:, :slots])[:, 0, :]
                loss[cancelled] = residual.square().sum(1)
                gradient[cancelled] = (part[:, :slots] @ residual[:, :, None])[:, :, 0]
        sound = loss.isfinite() & normal.flatten(1).sum(1).isfinite()
        return _State(constants, torch.where(sound, loss, torch.inf), normal, gradient)


def _refine_piece(expressions: Expressions, linear: torch.Tensor, x, y, root, steps: int) -> _Descent:
    count, slots = expressions.constants.shape
    free = expressions.free
    energy = (y if root is None else y * root).square().sum(-1)  # the scale of "exact"
    best = expressions.constants.clone()
    objective = _Objective(expressions, linear, x, y, root)
    if slots == 0:
        reason = torch.full((count,), int(Reason.NO_CONSTANTS), device=x.device)
        return _Descent(best, objective.raw(best), reason, torch.ones_like(reason))

    rows = torch.arange(count, device=x.device)  # candidates still moving
    reason = torch.full((count,), int(Reason.STEPS_SPENT), device=x.device)
    used = torch.ones(count, dtype=torch.int64, device=x.device)
    state = objective.measure(best)
    if objective.any_linear:
        # Twice: the derivative by a nonlinear constant scales with the linear ones, which the first pass finds.
        again = objective.measure(state.constants)
        state = again.where(again.loss.isfinite(), state)
    damping = torch.full((count,), FIRST_DAMPING, dtype=x.dtype, device=x.device)
    scale = energy.expand(count)
    valid = state.loss.isfinite()
    final_loss = state.loss.clone()
    best = torch.where(valid[:, None], state.constants, best)
    reason[~valid] = int(Reason.INVALID_START)
    nonlinear_any = (free & ~linear).any(1)
    done = ~valid | ~nonlinear_any | (state.loss <= EXACT**2 * scale)
    reason[valid & done] = int(Reason.CONVERGED)
    reason[~free.any(1)] = int(Reason.NO_CONSTANTS)
    improved_once = torch.zeros(count, dtype=torch.bool, device=x.device)
    for _ in range(steps):
        if bool(done.all()):
            break
        if float(done.float().mean()) > 1 - COMPACT_BELOW:
            keep = ~done
            final_loss[rows], best[rows] = state.loss, torch.where(valid[rows, None], state.constants, best[rows])
            rows, state = rows[keep], state[keep]
            damping, scale, improved_once, done = damping[keep], scale[keep], improved_once[keep], done[keep]
            given = (rows_of(x, rows, 2), rows_of(y, rows, 1), rows_of(root, rows, 1))
            objective = _Objective(expressions[rows], linear[rows], *given)
        step = solve_normal(state.normal, state.gradient, torch.where(objective.linear, 1e-12, damping[:, None]))
        step = torch.where(objective.free, step, 0.0)
        trial = objective.measure(state.constants + step)
        used[rows] += (~done).long()
        better = (trial.loss < state.loss) & ~done
        fall = 1 - trial.loss / state.loss.clamp(min=1e-300)
        flat = better & ((fall < FLAT) | (trial.loss <= EXACT**2 * scale))
        # A rejected step that was tiny relative to the constants means that float64 has nothing left to give.
        tiny = ~better & ~done & (step.abs() <= 1e-12 * state.constants.abs() + 1e-300).all(1)
        state = trial.where(better, state)
        improved_once |= better
        damping = torch.where(better, damping / 8, damping * 6).clamp(min=LEAST_DAMPING)
        stuck = ~done & (damping > MOST_DAMPING)
        ended = flat | stuck | tiny
        reason[rows[ended & ~done]] = int(Reason.CONVERGED)
        reason[rows[stuck & ~improved_once]] = int(Reason.NO_DESCENT)
        done = done | ended
    final_loss[rows], best[rows] = state.loss, torch.where(valid[rows, None], state.constants, best[rows])
    return _Descent(best, final_loss, reason, used)
