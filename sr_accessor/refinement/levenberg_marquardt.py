"""Batched Levenberg–Marquardt with variable projection: all candidates at once, in float64.

Constants that enter linearly are solved for exactly at every trial point, the others take a damped Gauss–Newton
step (Golub & Pereyra 1973; the step itself is Kaufman's 1975 approximation). Normal equations in K×K with unit
diagonal; the residual is never formed by differences of sums, so that an exact law reaches 1e-15.
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.expressions.evaluate import bind
from sr_accessor.expressions.jacobian import sweep
from sr_accessor.expressions.linear import linear_constants
from sr_accessor.expressions.program import compile_program
from sr_accessor.refinement.solution import Reason, Refined

__all__ = ["levenberg_marquardt", "solve_normal"]

#: Bytes of one piece's value table: pieces that stay in cache are 2-3 times faster (search_findings.md §7).
PIECE_BYTES = 16 * 2**20
PIECE_BYTES_CUDA = 4 * 2**30
#: A step is done when the loss falls by less than this fraction, or the fit is exact to this relative error.
FLAT, EXACT = 1e-9, 1e-15
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-12, 1e9
#: Least ridge on the unit diagonal: keeps an exactly singular system solvable, moves a sound one by 1e-15.
RIDGE = 1e-15
#: Pieces are compacted when fewer than this share of their candidates still move.
COMPACT_BELOW = 0.6


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
    x : Tensor (N, D)
    y : Tensor (N,), or (B, N) where candidates have targets of their own
    weight : Tensor (N,) or (B, N), optional; 1/σ²
    steps : Jacobians computed per candidate at most

    Returns
    -------
    Refined, in the order given
    """
    count, points = len(expressions), x.shape[0]
    per_row = expressions.codes.shape[1] * points * x.element_size()
    piece = max(16, (PIECE_BYTES if x.device.type == "cpu" else PIECE_BYTES_CUDA) // max(1, per_row))
    if count <= piece:
        return _refine_piece(expressions, x, y, weight, steps)
    parts = []
    for start in range(0, count, piece):  # pieces of a batch, not candidates
        rows = slice(start, start + piece)
        target = y[rows] if y.dim() == 2 else y
        weights = weight[rows] if weight is not None and weight.dim() == 2 else weight
        parts.append(_refine_piece(expressions[rows], x, target, weights, steps))
    return Refined(
        concatenate([p.expressions for p in parts]),
        torch.cat([p.loss for p in parts]),
        torch.cat([p.reason for p in parts]),
        torch.cat([p.steps for p in parts]),
    )


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


def _refine_piece(
    expressions: Expressions, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None, steps: int
) -> Refined:
    count, slots = expressions.constants.shape
    root = None if weight is None else weight.sqrt()
    free = expressions.free
    linear = linear_constants(expressions)
    energy = (y * y if weight is None else y * y * weight).sum(-1)  # the scale of "exact"

    def measure(bound, constants, target, roots, is_free, is_linear):
        """Loss, JᵀJ, Jᵀr after the linear constants were solved for; and those constants."""
        values, columns = sweep(bound, constants)
        residual = target - values
        if roots is not None:
            residual = residual * roots
            columns = columns * (roots[:, None, :] if roots.dim() == 2 else roots)
        columns = columns * is_free[:, :, None] if not bool(is_free.all()) else columns
        normal = columns @ columns.transpose(1, 2)
        steep = residual.isfinite().all(1) & ~normal.isfinite().all(-1).all(-1)
        if bool(steep.any()):  # sqrt(c·x) has a value but no derivative at x = 0: that point does not steer the step
            columns[steep] = torch.where(columns[steep].isfinite(), columns[steep], 0.0)
            normal[steep] = columns[steep] @ columns[steep].transpose(1, 2)
        gradient = (columns @ residual[:, :, None])[:, :, 0]
        pair = is_linear[:, :, None] & is_linear[:, None, :]
        change = solve_normal(torch.where(pair, normal, 0.0), torch.where(is_linear, gradient, 0.0))
        change = torch.where(is_linear & change.isfinite(), change, 0.0)
        residual = residual - (change[:, None, :] @ columns)[:, 0, :]
        loss = residual.square().sum(1)
        gradient = (columns @ residual[:, :, None])[:, :, 0]
        sound = loss.isfinite() & normal.isfinite().all(-1).all(-1)
        return constants + change, torch.where(sound, loss, torch.inf), normal, gradient

    best = expressions.constants.clone()
    if slots == 0:
        values, _ = sweep(bind(compile_program(expressions), x), expressions.constants)
        residual = (y - values) if root is None else (y - values) * root
        loss = residual.square().sum(1)
        loss = torch.where(loss.isfinite(), loss, torch.inf)
        reason = torch.full((count,), int(Reason.NO_CONSTANTS), device=x.device)
        return Refined(expressions, loss, reason, torch.ones_like(reason))

    rows = torch.arange(count, device=x.device)  # candidates still moving
    final_loss = torch.full((count,), torch.inf, dtype=x.dtype, device=x.device)
    reason = torch.full((count,), int(Reason.STEPS_SPENT), device=x.device)
    used = torch.zeros(count, dtype=torch.int64, device=x.device)

    def restrict(keep):
        part = expressions[keep]
        target = y[keep] if y.dim() == 2 else y
        roots = root[keep] if root is not None and root.dim() == 2 else root
        return bind(compile_program(part), x), target, roots, free[keep], linear[keep]

    context = restrict(rows)
    # Twice: the derivative by a nonlinear constant scales with the linear ones, which the first pass finds.
    constants, loss, normal, gradient = measure(context[0], best, *context[1:])
    if bool((linear & free).any()):
        again = measure(context[0], constants, *context[1:])
        sound = again[1].isfinite()
        constants, loss, normal, gradient = (
            torch.where(sound.view(-1, *[1] * (new.dim() - 1)), new, old)
            for new, old in zip(again, (constants, loss, normal, gradient), strict=True)
        )
    damping = torch.full((count,), FIRST_DAMPING, dtype=x.dtype, device=x.device)
    scale = energy.expand(count) if energy.dim() else energy.repeat(count)
    valid = loss.isfinite()
    final_loss.copy_(loss)
    best = torch.where(valid[:, None], constants, best)
    reason[~valid] = int(Reason.INVALID_START)
    nonlinear_any = (free & ~linear).any(1)
    done = ~valid | ~nonlinear_any | (loss <= EXACT**2 * scale)
    reason[valid & done] = int(Reason.CONVERGED)
    reason[~free.any(1)] = int(Reason.NO_CONSTANTS)
    used += 1
    improved_once = torch.zeros(count, dtype=torch.bool, device=x.device)
    for _ in range(steps):
        if bool(done.all()):
            break
        if float(done.float().mean()) > 1 - COMPACT_BELOW:
            keep = ~done
            final_loss[rows], best[rows] = loss, constants
            rows = rows[keep]
            constants, loss, normal, gradient = constants[keep], loss[keep], normal[keep], gradient[keep]
            damping, scale, improved_once = damping[keep], scale[keep], improved_once[keep]
            done = done[keep]
            context = restrict(rows)
        is_linear = context[4]
        step = solve_normal(normal, gradient, torch.where(is_linear, 1e-12, damping[:, None]))
        step = torch.where(context[3], step, 0.0)
        trial, trial_loss, trial_normal, trial_gradient = measure(context[0], constants + step, *context[1:])
        used[rows] += (~done).long()
        better = (trial_loss < loss) & ~done
        fall = 1 - trial_loss / loss.clamp(min=1e-300)
        flat = better & ((fall < FLAT) | (trial_loss <= EXACT**2 * scale))
        constants = torch.where(better[:, None], trial, constants)
        loss = torch.where(better, trial_loss, loss)
        normal = torch.where(better[:, None, None], trial_normal, normal)
        gradient = torch.where(better[:, None], trial_gradient, gradient)
        improved_once |= better
        damping = torch.where(better, damping / 8, damping * 6).clamp(min=LEAST_DAMPING)
        stuck = ~done & (damping > MOST_DAMPING)
        # A rejected step that was tiny relative to the constants means that float64 has nothing left to give.
        tiny = ~better & ~done & (step.abs() <= 1e-12 * constants.abs() + 1e-300).all(1)
        ended = flat | stuck | tiny
        reason[rows[ended & ~done]] = int(Reason.CONVERGED)
        reason[rows[stuck & ~improved_once]] = int(Reason.NO_DESCENT)
        done = done | ended
    final_loss[rows], best[rows] = loss, constants
    return Refined(expressions.with_constants(best), final_loss, reason, used)
