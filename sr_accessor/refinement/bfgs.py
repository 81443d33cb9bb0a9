"""SciPy's BFGS on one candidate after another, as the paper does: the second method, and the yardstick.

Objective ½·mean(w(y − f)²), gradient by automatic differentiation, default tolerances, no bounds, no restarts
[Kamienny et al. 2022, section 4; system.md §5.6]. The best constants seen are kept, the start included (the
released code forgets the start, defect B6).
"""

from __future__ import annotations

import math

import numpy as np
import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import CONSTANT, PAD, VARIABLE
from sr_accessor.refinement.solution import Reason, Refined

__all__ = ["bfgs"]


def bfgs(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    steps: int = 200,
) -> Refined:
    """Minimise Σ w·(y − f)² candidate by candidate; same signature and result as `levenberg_marquardt`.

    `steps` bounds the iterations of each candidate.
    """
    from scipy.optimize import minimize

    constants = expressions.constants.clone()
    loss = torch.full((len(expressions),), torch.inf, dtype=x.dtype, device=x.device)
    reason = torch.zeros(len(expressions), dtype=torch.int64, device=x.device)
    used = torch.zeros_like(reason)
    free = expressions.free
    points = x.shape[0]
    for row in range(len(expressions)):  # one by one is the point of this file
        one, mask = expressions[row], free[row]
        target = y[row] if y.dim() == 2 else y
        w = weight[row] if weight is not None and weight.dim() == 2 else weight
        best = [torch.inf, constants[row, mask].cpu().numpy().copy()]

        def objective(values, one=one, mask=mask, target=target, w=w, row=row, best=best):
            numbers = constants[row].clone()
            numbers[mask] = torch.as_tensor(values, dtype=x.dtype, device=x.device)
            numbers.requires_grad_(True)
            squares = (target - _read(one, x, numbers)).square()
            total = (squares if w is None else squares * w).sum()
            sum_of_squares = float(total.detach())
            if not math.isfinite(sum_of_squares):
                return 1e300, np.zeros_like(values)
            if sum_of_squares < best[0]:
                best[0], best[1] = sum_of_squares, np.array(values)
            (gradient,) = torch.autograd.grad(0.5 * total / points, numbers)
            return 0.5 * sum_of_squares / points, torch.nan_to_num(gradient[mask]).cpu().numpy()

        if not bool(mask.any()):
            squares = (target - _read(one, x, constants[row])).square()
            total = (squares if w is None else squares * w).sum()
            loss[row] = total if bool(total.isfinite()) else torch.inf
            reason[row], used[row] = int(Reason.NO_CONSTANTS), 1
            continue
        answer = minimize(objective, best[1], jac=True, method="BFGS", options={"maxiter": steps})
        loss[row], used[row] = best[0], int(answer.nfev)
        constants[row, mask] = torch.as_tensor(best[1], dtype=x.dtype, device=x.device)
        ended = Reason.CONVERGED if answer.status in (0, 2) else Reason.STEPS_SPENT
        reason[row] = int(ended if np.isfinite(best[0]) else Reason.INVALID_START)
    return Refined(expressions.with_constants(constants), loss, reason, used)


def _read(one: Expressions, x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """One expression read right to left, differentiable in its numbers."""
    place = int(one.number_counts[0])
    stack: list[torch.Tensor] = []
    for symbol in reversed(one.codes[0].tolist()):
        if symbol == PAD:
            continue
        if symbol >= VARIABLE:
            stack.append(x[:, symbol - VARIABLE])
        elif symbol <= CONSTANT + 1:
            place -= 1
            stack.append(numbers[place])
        else:
            operator = one.vocabulary.operator(symbol)
            arguments = [stack.pop() for _ in range(operator.arity)]
            value = operator.torch(*arguments)
            stack.append(value if operator.arity else x.new_tensor(value))
    return stack.pop()
