"""Exchanges: permutations of an expression's numbers that leave its values as they are, since equal terms commute.

In b1*exp(-b2*x) + b3*exp(-b4*x) the pairs (b1, b2) and (b3, b4) may change places: which is which is a matter of taste,
and somebody who gives start values has told it.
"""

from __future__ import annotations

from itertools import permutations

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import FIRST_OPERATOR, VARIABLE

__all__ = ["exchanges"]

#: Equal terms of one sum or product, and permutations in all, at most.
MOST_TERMS, MOST = 4, 240


def exchanges(expression: Expressions) -> torch.Tensor:
    """(S, K) which number takes each place, for one expression; the first is the identity.

    Terms of a sum (factors of a product) of the same structure and the same written numbers are exchanged, also
    inside other terms.
    """
    slots = expression.constants.shape[1]
    found = [list(range(slots))]
    for groups in _equal_operands(expression):
        grown = []
        for order in permutations(range(len(groups))):
            for one in found:
                new = list(one)
                for to, source in zip(groups, order, strict=True):
                    for place, other in zip(to, groups[source], strict=True):
                        new[place] = one[other]
                grown.append(new)
        found = grown if len(grown) <= MOST else found
    return torch.tensor(found, dtype=torch.int64)


def _equal_operands(e: Expressions) -> list[list[list[int]]]:
    """For every sum or product with equal operands: the number slots of each of these, in the same order."""
    codes, ends = e.codes[0].tolist(), e.ends[0].tolist()
    first, second = (part[0].tolist() for part in e.children)
    slot, numbers, free = e.number_slot[0].tolist(), e.constants[0].tolist(), e.free[0].tolist()
    held = [0] * len(codes)  # the numbers at these positions, None where there is none
    for at in range(int(e.lengths[0])):
        is_number = codes[at] < FIRST_OPERATOR
        held[at] = slot[at] if is_number else None

    def signature(start: int) -> tuple:
        span = range(start, ends[start])
        written = tuple(numbers[held[i]] for i in span if held[i] is not None and not free[held[i]])
        return tuple(codes[start : ends[start]]), written

    found = []
    for at in range(int(e.lengths[0])):
        code = codes[at]
        if not FIRST_OPERATOR <= code < VARIABLE:
            continue
        operator = e.vocabulary.operator(code)
        below = operator.arity == 2 and operator.commutative
        if not below or any(codes[p] == code and at in (first[p], second[p]) for p in range(at)):
            continue  # an inner link of a chain a + b + c
        chain, operands = [second[at], first[at]], []
        while chain:
            one = chain.pop()
            if codes[one] == code:
                chain += [second[one], first[one]]
            else:
                operands.append(one)
        alike: dict[tuple, list[list[int]]] = {}
        for one in operands:
            own = [held[i] for i in range(one, ends[one]) if held[i] is not None]
            if any(free[i] for i in own):
                alike.setdefault(signature(one), []).append(own)
        found += [group for group in alike.values() if 2 <= len(group) <= MOST_TERMS]
    return found
