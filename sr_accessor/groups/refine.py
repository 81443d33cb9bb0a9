"""Refinement of forms on all groups: every group's own constants from several starts, all in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.groups.split import CELLS, Stack
from sr_accessor.noise.model import NoiseModel
from sr_accessor.refinement.likelihood import PASSES, Parameters, most_likely, tied_jacobian
from sr_accessor.refinement.solution import Reason
from sr_accessor.uncertainty.laplace import Laplace, covariance

__all__ = ["Each", "Slopes", "laplace_each", "losses_each", "refine_each", "slopes_each"]


@dataclass(frozen=True)
class Each:
    """F forms refined on G groups.

    Parameters
    ----------
    numbers : (G, F, K); NaN for groups that were in no stack
    loss : (G, F) nats; +inf where a form cannot be, or the group was in no stack
    reason : (G, F) see `refinement.solution.Reason`
    """

    numbers: torch.Tensor
    loss: torch.Tensor
    reason: torch.Tensor

    @classmethod
    def empty(cls, groups: int, forms: Expressions) -> Each:
        """Nothing refined yet."""
        shape = (groups, len(forms), forms.constants.shape[1])
        numbers = forms.constants.new_full(shape, torch.nan)
        loss = forms.constants.new_full(shape[:2], torch.inf)
        return cls(numbers, loss, torch.full_like(loss, int(Reason.INVALID_START), dtype=torch.int64))


def refine_each(
    forms: Expressions,
    numbers: torch.Tensor,
    stacks: Sequence[Stack],
    groups: int,
    noise: NoiseModel,
    *,
    parameters: Parameters | None = None,
    steps: int = 20,
    tolerance: float = 1e-8,
    passes: int = PASSES,
) -> Each:
    """The likeliest constants of every form in every group, the best of all starts.

    Parameters
    ----------
    forms : Expressions, F rows
    numbers : (S, F, K) starts for all groups, or (G, S, F, K)
    stacks : the groups' rows
    groups : G, of which the stacks may hold a part
    parameters : of candidates of one form (F = 1): names, ties, bounds; `free` has one row
    steps, tolerance, passes : as in `most_likely`
    """
    found = Each.empty(groups, forms)
    starts, count = numbers.shape[-3], len(forms)
    for stack in stacks:  # sizes of groups, and pieces that fit the memory
        cells = stack.y.shape[1] * starts * count
        together = max(1, CELLS // max(1, cells))
        for begin in range(0, len(stack.groups), together):
            part = _part(stack, slice(begin, begin + together))
            own = numbers[part.groups] if numbers.dim() == 4 else numbers.expand(len(part.groups), *numbers.shape)
            rows = torch.arange(count, device=forms.device).repeat(len(part.groups) * starts)
            given = part.repeated(starts * count)
            refined = most_likely(
                forms[rows].with_constants(own.reshape(len(rows), -1)), given.x, given.y, noise, given.sigma,
                errors=given.errors, steps=steps, tolerance=tolerance, passes=passes,
                parameters=None if parameters is None else parameters[[0] * len(rows)],
            )  # fmt: skip
            loss = refined.loss.view(-1, starts, count)
            best = loss.argmin(1)  # (R, F)
            reason, values = refined.reason.view_as(loss), refined.expressions.constants.view(*loss.shape, -1)
            found.loss[part.groups] = loss.gather(1, best[:, None])[:, 0]
            found.reason[part.groups] = reason.gather(1, best[:, None])[:, 0]
            index = best[:, None, :, None].expand(-1, 1, -1, values.shape[3])
            found.numbers[part.groups] = values.gather(1, index)[:, 0]
    return found


def _part(stack: Stack, rows: slice) -> Stack:
    errors = None if stack.errors is None else stack.errors[rows]
    return Stack(stack.groups[rows], stack.x[rows], stack.y[rows], _of(stack.sigma, rows), errors)


def _of(given: torch.Tensor | None, rows: slice) -> torch.Tensor | None:
    return None if given is None else given[rows]


def _placed(form: Expressions, numbers: torch.Tensor, stack: Stack) -> Expressions:
    """The form with the numbers (G, K) of each group of a stack."""
    return form[[0] * len(stack.groups)].with_constants(numbers[stack.groups])


def _spread(e: Expressions, stack: Stack) -> torch.Tensor | None:
    """Error bars of the rows of a stack, with the law of each group."""
    return stack.sigma if stack.errors is None else stack.errors.sigma(e, stack.x, stack.y)


def losses_each(form: Expressions, numbers: torch.Tensor, stacks: Sequence[Stack], noise: NoiseModel) -> torch.Tensor:
    """(G,) nats of one form with its numbers (G, K) as they stand; +inf for groups in no stack."""
    loss = numbers.new_full((len(numbers),), torch.inf)
    for stack in stacks:
        e = _placed(form, numbers, stack)
        if stack.errors is None:
            loss[stack.groups] = noise.negative_log_likelihood(stack.y, evaluate(e, stack.x)[0], stack.sigma)
        else:
            loss[stack.groups] = stack.errors.loss(e, stack.x, stack.y, noise)
    return loss


@dataclass(frozen=True)
class Slopes:
    """Curvature (G, P, P) and downhill slope (G, P) of the loss by all P parameters, also held ones; else 0."""

    normal: torch.Tensor
    gradient: torch.Tensor


def slopes_each(
    form: Expressions,
    numbers: torch.Tensor,
    stacks: Sequence[Stack],
    noise: NoiseModel,
    parameters: Parameters | None = None,
) -> Slopes:
    """Expected curvature JᵀWJ and slope JᵀWr of the loss of one form in every group."""
    count = numbers.shape[1] if parameters is None else len(parameters.lower)
    normal, gradient = numbers.new_zeros(len(numbers), count, count), numbers.new_zeros(len(numbers), count)
    for stack in stacks:
        e = _placed(form, numbers, stack)
        values, columns, _ = jacobian(e, stack.x)
        columns = torch.where(columns.isfinite(), columns, 0.0)
        if parameters is not None:
            columns = tied_jacobian(columns, replace(parameters, free=parameters.free.expand(len(e), -1)))
        residual, weight = (t.expand_as(values) for t in noise.working(stack.y, values, _spread(e, stack)))
        weighted = columns * weight[:, None, :]
        normal[stack.groups] = weighted @ columns.mT
        gradient[stack.groups] = (weighted @ residual[:, :, None])[:, :, 0]
    return Slopes(normal, gradient)


def laplace_each(
    form: Expressions,
    numbers: torch.Tensor,
    stacks: Sequence[Stack],
    noise: NoiseModel,
    parameters: Parameters | None = None,
) -> Laplace:
    """Covariance of one form's constants in every group by itself; NaN for groups in no stack."""
    groups, count = len(numbers), numbers.shape[1] if parameters is None else len(parameters.lower)
    square = numbers.new_full((groups, count, count), torch.nan)
    known = torch.zeros(groups, count, dtype=torch.bool, device=numbers.device)
    none = square.new_full((groups,), torch.nan)
    degrees = torch.zeros(groups, dtype=torch.int64, device=numbers.device)
    absolute = noise.degrees(next((stack.sigma for stack in stacks), None)) == 0
    nothing = torch.zeros_like(square)
    whole = Laplace(square, square[:, 0].clone(), known, none, degrees, absolute, nothing, nothing.clone())
    names = ("covariance", "stderr", "identifiable", "variance", "degrees", "root", "null")
    for stack in stacks:
        e = _placed(form, numbers, stack)
        own = None if parameters is None else parameters.off_bounds(e.constants)
        found = covariance(e, stack.x, stack.y, _spread(e, stack), noise=noise, parameters=own)
        for name in names:
            getattr(whole, name)[stack.groups] = getattr(found, name)
    return whole
