"""Program: a batch compiled to its unique nodes, sorted by (height, operator), to be run slab by slab.

Nodes without free constants are shared by the whole batch and numbered first: while constants are refined they
are computed once. Nodes that contain a free constant belong to one candidate each and have one parent, so that
the reverse sweep of `jacobian.py` reads each adjoint from one place and never accumulates. Compiling is array
work: one pass per height. It knows symbols and operators; it does not compute values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, VARIABLE, Vocabulary
from sr_accessor.stopping import look

__all__ = ["ONES", "ZEROS", "Argument", "Program", "Reverse", "Slab", "compile_program", "constant_partial"]

#: What an argument is: a shared row, a row with free constants, a free constant.
SHARED, BEARING, NUMBER = range(3)
#: Rows of the flow table that are always there: the derivative by a constant that is absent, and that by the root.
ZEROS, ONES = range(2)


@dataclass(frozen=True)
class Argument:
    """Where a slab finds one argument: rows of the value table, or free constants (flat index row·K + k)."""

    kind: int
    index: torch.Tensor


@dataclass(frozen=True)
class Slab:
    """Rows [start, stop) of the value table that one operator computes at once.

    `operator` None copies a free constant into a row (an expression that is nothing but a constant).
    """

    operator: Operator | None
    start: int
    stop: int
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Reverse:
    """Where one bearing slab finds its adjoints, and where it leaves those of its arguments: rows of the flow table.

    `below[i]` None: nothing to leave, since the argument is shared or its adjoint is the slab's own (of a sum).
    """

    slab: Slab
    above: torch.Tensor
    below: tuple[int | None, ...]


@dataclass(frozen=True)
class Program:
    """What `evaluate.run` and `jacobian.sweep` execute.

    Rows of the value table: [variables | literals and named constants | shared slabs | bearing slabs].
    Rows of the flow table: [zeros | ones | what each slab leaves to its arguments].
    """

    vocabulary: Vocabulary
    variables: torch.Tensor  # (v,) which variables are used
    numbers: torch.Tensor  # (l,) float64 values of literals
    named: tuple[Operator, ...]  # operators of arity 0, one row each after the literals
    shared: tuple[Slab, ...]
    bearing: tuple[Slab, ...]
    levels: tuple[slice, ...]  # of `bearing`: slabs of one height, whose arguments are all computed before
    roots: torch.Tensor  # (B,) row of each expression's value
    first_bearing: int  # first row of the bearing slabs
    size: int  # rows of the value table
    slots: int  # K of the batch
    reverse: tuple[Reverse, ...]  # from the roots down
    columns: torch.Tensor  # (B·K,) row of the flow table that is the derivative by this constant
    flows: int  # rows of the flow table


def compile_program(expressions: Expressions) -> Program:
    """Compile B well-formed expressions; common sub-expressions without free constants become one node."""
    look()
    e, device = expressions.trimmed(), expressions.device
    codes, vocabulary, slots = e.codes, e.vocabulary, expressions.constants.shape[1]
    rows, length = codes.shape
    free_before = torch.nn.functional.pad((codes == CONSTANT).cumsum(1), (1, 0))
    bearing = free_before.gather(1, e.ends) > free_before[:, :-1]  # (B, L): a free constant below
    node = torch.zeros(rows, length, dtype=torch.int64, device=device)

    # ---- leaves
    is_variable = codes >= VARIABLE
    variables, place = torch.unique(codes[is_variable], return_inverse=True)
    node[is_variable] = place
    size = len(variables)
    is_literal = codes == LITERAL
    values = (
        e.constants.gather(1, e.number_slot.clamp(max=max(e.constants.shape[1] - 1, 0)))[is_literal]
        if e.constants.shape[1]
        else codes.new_zeros(0, dtype=torch.float64)
    )
    numbers, place = torch.unique(values, return_inverse=True)
    node[is_literal] = size + place
    size += len(numbers)
    is_named = (codes >= FIRST_OPERATOR) & ~is_variable & (e.arities == 0)
    named, place = torch.unique(codes[is_named], return_inverse=True)
    node[is_named] = size + place
    size += len(named)
    is_free = codes == CONSTANT
    row_number = torch.arange(rows, device=device)[:, None].expand(rows, length)
    node[is_free] = (row_number * slots + e.number_slot)[is_free]

    # ---- inner nodes by height: shared ones get one number per distinct (operator, arguments)
    first, second = e.children
    inner = e.present & (e.arities > 0)
    kind = torch.where(is_free, NUMBER, torch.where(bearing, BEARING, SHARED))
    shared_slabs: list[Slab] = []
    bearing_levels: list[tuple[torch.Tensor, torch.Tensor]] = []
    top = int(e.heights.max()) if rows else 0
    commutative = torch.zeros(VARIABLE, dtype=torch.bool, device=device)
    for i, operator in enumerate(vocabulary.operators):
        commutative[FIRST_OPERATOR + i] = operator.commutative
    by_height = [(inner & (e.heights == h)).nonzero(as_tuple=True) for h in range(1, top + 1)]
    for at_row, at in by_height:
        has_free = bearing[at_row, at]
        bearing_levels.append((at_row[has_free], at[has_free]))
        r, p = at_row[~has_free], at[~has_free]
        if not len(r):
            continue
        code = codes[r, p]
        one = node[r, first[r, p]]
        two = torch.where(e.arities[r, p] == 2, node[r, second[r, p]], 0)
        swap = commutative[code] & (one > two)
        one, two = torch.where(swap, two, one), torch.where(swap, one, two)
        base = size + len(r) + 1  # more than any row number so far
        keys, place = torch.unique((code * base + one) * base + two, return_inverse=True)
        node[r, p] = size + place
        key_code = keys // (base * base)
        for symbol, count in zip(
            *[t.tolist() for t in torch.unique_consecutive(key_code, return_counts=True)], strict=True
        ):
            operator = vocabulary.operator(symbol)
            here = keys[:count]
            keys = keys[count:]
            arguments = (Argument(SHARED, here // base % base), Argument(SHARED, here % base))[: operator.arity]
            shared_slabs.append(Slab(operator, size, size + count, arguments))
            size += count
    first_bearing = size

    # ---- inner nodes with free constants: no two alike; grouped by operator and by the kinds of their arguments
    bearing_slabs: list[Slab] = []
    levels: list[slice] = []
    bare = is_free[:, 0].nonzero()[:, 0] if rows else torch.zeros(0, dtype=torch.int64, device=device)
    if len(bare):
        bearing_slabs.append(Slab(None, size, size + len(bare), (Argument(NUMBER, node[bare, 0]),)))
        node[bare, 0] = torch.arange(size, size + len(bare), device=device)
        size += len(bare)
        levels.append(slice(0, 1))
    for r, p in bearing_levels:
        if not len(r):
            continue
        first_slab = len(bearing_slabs)
        code, binary = codes[r, p], e.arities[r, p] == 2
        one, two = first[r, p], second[r, p]
        kind_one = kind[r, one]
        kind_two = torch.where(binary, kind[r, two], 0)
        key, order = torch.sort((code * 3 + kind_one) * 3 + kind_two, stable=True)
        r, p, one, two = r[order], p[order], one[order], two[order]
        node[r, p] = torch.arange(size, size + len(r), device=device)
        index_one, index_two = node[r, one], node[r, two]
        begin = 0
        for symbol, count in zip(*[t.tolist() for t in torch.unique_consecutive(key, return_counts=True)], strict=True):
            operator = vocabulary.operator(symbol // 9)
            here = slice(begin, begin + count)
            arguments = (Argument(symbol // 3 % 3, index_one[here]), Argument(symbol % 3, index_two[here]))
            bearing_slabs.append(Slab(operator, size + begin, size + begin + count, arguments[: operator.arity]))
            begin += count
        size += len(r)
        levels.append(slice(first_slab, len(bearing_slabs)))
    roots = node[:, 0] if rows else torch.zeros(0, dtype=torch.int64, device=device)
    reverse, columns, flows = _reverse(bearing_slabs, roots, first_bearing, size, rows * slots)
    return Program(
        vocabulary=vocabulary,
        variables=variables - VARIABLE,
        numbers=numbers,
        named=tuple(vocabulary.operator(symbol) for symbol in named.tolist()),
        shared=tuple(shared_slabs),
        bearing=tuple(bearing_slabs),
        levels=tuple(levels),
        roots=roots,
        first_bearing=first_bearing,
        size=size,
        slots=slots,
        reverse=reverse,
        columns=columns,
        flows=flows,
    )


def _reverse(
    slabs: list[Slab], roots: torch.Tensor, first: int, size: int, numbers: int
) -> tuple[tuple[Reverse, ...], torch.Tensor, int]:
    """Rows of the flow table for the reverse sweep; a derivative that is always 1 passes its row on."""
    adjoint = torch.full((size - first,), ONES, device=roots.device)
    columns = torch.full((numbers,), ZEROS, device=roots.device)
    at, steps = ONES + 1, []
    for slab in reversed(slabs):
        above = adjoint[slab.start - first : slab.stop - first].clone()
        below: list[int | None] = []
        for i, argument in enumerate(slab.arguments):
            below.append(None)
            if argument.kind == SHARED:
                continue
            rows = above
            if slab.operator is not None and constant_partial(slab.operator, i) != 1.0:
                below[i] = at
                rows = torch.arange(at, at + slab.stop - slab.start, device=roots.device)
                at += slab.stop - slab.start
            if argument.kind == NUMBER:
                columns[argument.index] = rows
            else:
                adjoint[argument.index - first] = rows
        steps.append(Reverse(slab, above, tuple(below)))
    return tuple(steps), columns, at


@cache
def constant_partial(operator: Operator, i: int) -> float | None:
    """The partial derivative by argument `i` where the operator declares it as a number, else None."""
    if operator.derivative is None:
        return None
    one = torch.ones(1, dtype=torch.float64)
    partial = operator.derivative[i](one, *[one] * operator.arity)
    return partial if isinstance(partial, float) else None
