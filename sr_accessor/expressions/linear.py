"""Which constants enter an expression linearly, so that one least-squares solve finds them all."""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, VARIABLE

__all__ = ["linear_constants"]

_NONE, _JOINT, _EACH, _FIRST = range(4)
_WORDS = {"none": _NONE, "joint": _JOINT, "each": _EACH, "first": _FIRST}


def linear_constants(expressions: Expressions) -> torch.Tensor:
    """A largest set of free constants in which the value is jointly linear (given the others).

    Of a product only one factor can hold linear constants: the one that holds more of them, the left one in a
    tie. Exact: f(x; c) = f₀(x) + Σ cₖ·∂f/∂cₖ(x) for the constants marked, with derivatives free of them.

    Returns
    -------
    (B, K) bool
    """
    e = expressions
    rows, length = e.codes.shape
    table = torch.zeros(VARIABLE + 1, dtype=torch.int64)
    for i, operator in enumerate(e.vocabulary.operators):
        table[FIRST_OPERATOR + i] = _WORDS[operator.linear]
    rule = table.to(e.device)[e.codes.clamp(max=VARIABLE)]
    first, second = e.children
    count = torch.zeros(rows, length, dtype=torch.int64, device=e.device)  # linear constants a place could give
    arity = e.arities
    binary = arity == 2
    for i in range(length - 1, -1, -1):
        one = count.gather(1, first[:, i : i + 1])[:, 0]
        two = torch.where(binary[:, i], count.gather(1, second[:, i : i + 1])[:, 0], 0)
        here = torch.where(
            rule[:, i] == _JOINT, one + two, torch.where(rule[:, i] == _EACH, torch.maximum(one, two), one)
        )
        here = torch.where((arity[:, i] > 0) & (rule[:, i] != _NONE), here, 0)
        count[:, i] = torch.where(e.codes[:, i] == CONSTANT, 1, here)
    reached = torch.zeros(rows, length + 1, dtype=torch.bool, device=e.device)
    reached[:, 0] = True
    spare = length  # where the non-existent arguments of leaves write
    for i in range(length):
        here, r = reached[:, i] & (arity[:, i] > 0), rule[:, i]
        one, two = first[:, i], second[:, i]
        left_more = count.gather(1, one[:, None])[:, 0] >= count.gather(1, two[:, None])[:, 0]
        to_one = here & ((r == _JOINT) | (r == _FIRST) | ((r == _EACH) & left_more))
        to_two = here & binary[:, i] & ((r == _JOINT) | ((r == _EACH) & ~left_more))
        reached.scatter_(1, torch.where(to_one, one, spare)[:, None], True)
        reached.scatter_(1, torch.where(to_two, two, spare)[:, None], True)
    linear = reached[:, :length] & (e.codes == CONSTANT)
    slots = e.constants.shape[1]
    out = torch.zeros(rows, slots + 1, dtype=torch.bool, device=e.device)
    return out.scatter_(1, torch.where(linear, e.number_slot, slots), True)[:, :slots]
