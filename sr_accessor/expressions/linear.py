"""What an expression is linear in: constants that one least-squares solve finds; and whether it is a single term."""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, VARIABLE

__all__ = ["linear_constants", "single_term"]

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
    # Positions first, so that each step reads and writes whole rows; the first argument is the next position.
    rule = _rules(e).T.contiguous()
    second, arity = e.children[1].T.contiguous(), e.arities.T.contiguous()
    free = (e.codes == CONSTANT).T.contiguous()
    joint, each = rule == _JOINT, rule == _EACH
    binary = arity == 2
    gives = (arity > 0) & (rule != _NONE)
    count = free.long()  # linear constants a place could give
    for i in range(length - 2, -1, -1):
        one = count[i + 1]
        two = count.gather(0, second[i : i + 1])[0] * binary[i]
        here = torch.where(joint[i], one + two, torch.where(each[i], torch.maximum(one, two), one))
        count[i] += here * gives[i]
    left_more = count.roll(-1, 0) >= count.gather(0, second)
    to_one = gives & (joint | (rule == _FIRST) | (each & left_more))
    to_two = gives & binary & (joint | (each & ~left_more))
    reached = torch.zeros(length + 1, rows, dtype=torch.bool, device=e.device)  # the last: where nobody goes writes
    reached[0] = True
    for i in range(length - 1):
        reached[i + 1] |= reached[i] & to_one[i]
        here = torch.where(reached[i] & to_two[i], second[i], length)
        reached.scatter_(0, here[None], True)
    linear = reached[:length].T & (e.codes == CONSTANT)
    slots = e.constants.shape[1]
    out = torch.zeros(rows, slots + 1, dtype=torch.bool, device=e.device)
    return out.scatter_(1, torch.where(linear, e.number_slot, slots), True)[:, :slots]


def single_term(expressions: Expressions) -> torch.Tensor:
    """(B,) whether an expression is one term: no sum or difference in it but inside functions and denominators."""
    e = expressions
    rows, length = e.codes.shape
    rule, (first, second) = _rules(e), e.children
    opens = torch.where((e.arities > 0) & (rule == _NONE), first, length)  # an argument list that hides its sums
    divides = torch.where((e.arities == 2) & (rule == _FIRST), second, length)
    depth = torch.zeros(rows, length + 1, dtype=torch.int64, device=e.device)
    one = torch.ones_like(e.codes)
    for begin, end in ((opens, e.ends), (divides, e.ends)):
        hidden = begin < length
        depth.scatter_add_(1, begin, one)
        depth.scatter_add_(1, torch.where(hidden, end, length), -one)
    inside = depth[:, :length].cumsum(1) > 0
    return ~((rule == _JOINT) & (e.arities == 2) & ~inside).any(1)


def _rules(e: Expressions) -> torch.Tensor:
    """(B, L) how each symbol depends on its arguments."""
    table = torch.zeros(VARIABLE + 1, dtype=torch.int64)
    for i, operator in enumerate(e.vocabulary.operators):
        table[FIRST_OPERATOR + i] = _WORDS[operator.linear]
    return table.to(e.device)[e.codes.clamp(max=VARIABLE)]
