"""refine(): choose the method, restart from random constants in the same batch, keep the best of each candidate."""

from __future__ import annotations

import torch

from sr_accessor.errors import InputError, UnknownNameError, nearest
from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.refinement.bfgs import bfgs
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.solution import Refined

__all__ = ["METHODS", "refine"]

METHODS = {"lm": levenberg_marquardt, "bfgs": bfgs}
#: Restarts near the start move each constant by about this factor (standard deviation of its logarithm) ...
NEAR = 0.7
#: ... and restarts anywhere draw magnitudes from these decades, log-uniform.
DECADES = (-3.0, 3.0)
#: Levenberg–Marquardt begins again from the best, with fresh damping, while this fraction of the loss still falls:
#: it stops at 1e-9, which on problems of large residuals (Gauss–Newton halves the error at best) is five digits.
STILL_FALLS, MOST_AGAIN = 1e-12, 10


def refine(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    method: str = "lm",
    restarts: int = 0,
    generator: torch.Generator | None = None,
    steps: int = 20,
) -> Refined:
    """Minimise Σ w·(y − f)² over the free constants of every candidate, from one or several starts.

    Parameters
    ----------
    expressions : Expressions, B candidates; their numbers are the first start
    x : Tensor (N, D)
    y : Tensor (N,), or (B, N) where candidates have targets of their own
    weight : Tensor (N,) or (B, N), optional; 1/σ²
    method : "lm" (Levenberg–Marquardt, batched) or "bfgs" (SciPy's, one by one)
    restarts : further starts of each candidate: every other one near the start, the others of any magnitude
    generator : what restarts are drawn with
    steps : of each start at most

    Returns
    -------
    Refined, in the order given: the best of all starts, and never worse than the numbers given. `steps` counts all
    starts of a candidate.

    Raises
    ------
    UnknownNameError : no such method.
    InputError : restarts without a generator.
    """
    if method not in METHODS:
        raise UnknownNameError(f"no refinement method {method!r}; {nearest(method, METHODS)}")
    if restarts and generator is None:
        raise InputError(f"restarts={restarts} are random; give generator=torch.Generator().manual_seed(0)")
    count = len(expressions)
    starts = concatenate([expressions, *_drawn(expressions, restarts, generator)])
    rows = torch.arange(count, device=expressions.device).repeat(1 + restarts)
    target = y[rows] if y.dim() == 2 else y
    weights = weight[rows] if weight is not None and weight.dim() == 2 else weight
    found = METHODS[method](starts, x, target, weights, steps=steps)
    loss = found.loss.view(1 + restarts, count)
    best = loss.argmin(0) * count + torch.arange(count, device=loss.device)
    used = found.steps.view(1 + restarts, count).sum(0)
    found = Refined(found.expressions[best], found.loss[best], found.reason[best], used)
    if method == "lm":
        found = _again(found, x, y, weight, steps)
    before = _loss(expressions, x, y, weight)
    worse = ~(found.loss <= before) & before.isfinite()
    constants = torch.where(worse[:, None], expressions.constants, found.expressions.constants)
    loss = torch.where(worse, before, found.loss)
    return Refined(expressions.with_constants(constants), loss, found.reason, found.steps)


def _again(found: Refined, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None, steps: int) -> Refined:
    """Levenberg–Marquardt from where it stopped, for the candidates whose loss still falls."""
    constants, loss, reason, used = (
        found.expressions.constants.clone(),
        *map(torch.clone, (found.loss, found.reason, found.steps)),
    )
    rows = (found.converged & found.expressions.free.any(1)).nonzero()[:, 0]
    for _ in range(MOST_AGAIN):
        if not len(rows):
            break
        target = y[rows] if y.dim() == 2 else y
        weights = weight[rows] if weight is not None and weight.dim() == 2 else weight
        more = levenberg_marquardt(
            found.expressions[rows].with_constants(constants[rows]), x, target, weights, steps=steps
        )
        used[rows] += more.steps
        better = more.loss < loss[rows]
        falls = more.loss < loss[rows] * (1 - STILL_FALLS)
        at = rows[better]
        constants[at], loss[at], reason[at] = more.expressions.constants[better], more.loss[better], more.reason[better]
        rows = rows[falls]
    return Refined(found.expressions.with_constants(constants), loss, reason, used)


def _drawn(expressions: Expressions, restarts: int, generator: torch.Generator | None) -> list[Expressions]:
    """The same structures with other free constants."""
    if not restarts:
        return []
    c, free = expressions.constants, expressions.free
    shape = (restarts, *c.shape)
    normal = torch.randn(shape, generator=generator, dtype=c.dtype, device=generator.device).to(c.device)
    uniform = torch.rand(shape, generator=generator, dtype=c.dtype, device=generator.device).to(c.device)
    near = c * torch.exp(NEAR * normal) + torch.where(c == 0, normal, 0.0)
    low, high = DECADES
    anywhere = torch.sign(normal) * 10 ** (low + (high - low) * uniform)
    odd = torch.arange(restarts, device=c.device)[:, None, None] % 2 == 1
    numbers = torch.where(free, torch.where(odd, anywhere, near), c)
    return [expressions.with_constants(numbers[i]) for i in range(restarts)]


def _loss(expressions: Expressions, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """(B,) Σ w·(y − f)² as the numbers stand, +inf where it is not finite."""
    squares = (y - evaluate(expressions, x)[0]).square()
    total = (squares if weight is None else squares * weight).sum(1)
    return torch.where(total.isfinite(), total, torch.inf)
