"""Definitions: operators written out in others, or given as columns to whoever knows them not.

A definition such as "exp(-u**2)" stands in the operator's declaration. `expanded` puts it in the operator's place,
so that whoever knows only the base operators (the network, a printer) can read the expression. A free constant in an
argument that occurs twice becomes two constants.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache

import torch

from sr_accessor.errors import OperatorError, ParseError
from sr_accessor.expressions.batch import Expressions, concatenate, empty, join, variable
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, PAD, VARIABLE, Vocabulary

__all__ = ["ARGUMENTS", "base_operators", "definition", "expanded", "lifted", "replaced", "unlifted"]

#: What a definition calls the operator's arguments.
ARGUMENTS = ("u", "w")


def definition(operator: Operator, vocabulary: Vocabulary) -> Expressions:
    """The definition over the operator's arguments as variables 0 and 1; one row.

    Raises
    ------
    OperatorError : it has none, it cannot be read, or it refers to the operator itself.
    """
    if operator.definition is None:
        raise OperatorError(f"operator {operator.name!r} has no definition")
    return _read(operator, vocabulary)


@cache
def _read(operator: Operator, vocabulary: Vocabulary) -> Expressions:
    try:
        body = parse(operator.definition, vocabulary, ARGUMENTS[: operator.arity])
    except ParseError as error:
        raise OperatorError(f"operator {operator.name!r}: its definition cannot be read: {error}") from error
    if operator.name in (o.name for o in _operators_in(body)):
        raise OperatorError(f"operator {operator.name!r} is defined by itself; write it in other operators")
    return body


def _operators_in(expression: Expressions) -> list[Operator]:
    codes = torch.unique(expression.codes).tolist()
    return [expression.vocabulary.operator(c) for c in codes if FIRST_OPERATOR <= c < VARIABLE]


def base_operators(operator: Operator, vocabulary: Vocabulary) -> frozenset[str]:
    """Names of the operators that remain when the definition, and those in it, are written out.

    Raises
    ------
    OperatorError : a definition leads back to itself.
    """
    return frozenset(_base(operator, vocabulary, ()))


def _base(operator: Operator, vocabulary: Vocabulary, path: tuple[str, ...]) -> set[str]:
    if operator.name in path:
        raise OperatorError(f"definitions lead in a circle: {' -> '.join((*path, operator.name))}")
    if operator.definition is None:
        return {operator.name}
    inside = _operators_in(definition(operator, vocabulary))
    return set().union(*(_base(o, vocabulary, (*path, operator.name)) for o in inside))


def expanded(expressions: Expressions, names: Collection[str] | None = None) -> Expressions:
    """The same laws with defined operators written out.

    Parameters
    ----------
    expressions : Expressions, B rows
    names : operators to write out where they have a definition; None takes all that have one

    Returns
    -------
    Expressions, B rows of equal values wherever these are valid. Operators without a definition stay.

    From the right: the last defined operator of a row has none in its arguments. One pass for each of them.
    """
    e, vocabulary = expressions, expressions.vocabulary
    known = [o for o in vocabulary.operators if o.definition is not None and (names is None or o.name in names)]
    for operator in known:
        base_operators(operator, vocabulary)  # raises where they lead in a circle: the passes below come to an end
    defined = torch.zeros(VARIABLE + 1, dtype=torch.bool)
    defined[[vocabulary.id(o.name) for o in known]] = True
    defined = defined.to(e.device)
    while True:
        here = defined[e.codes.clamp(max=VARIABLE)]
        rows = here.any(1).nonzero()[:, 0]
        if not len(rows):
            return e.trimmed()
        last = here.shape[1] - 1 - here[rows].flip(1).long().argmax(1)
        symbol = e.codes[rows, last]
        order, parts = [(~here.any(1)).nonzero()[:, 0]], [e[(~here.any(1)).nonzero()[:, 0]]]
        for code in torch.unique(symbol).tolist():
            at = (symbol == code).nonzero()[:, 0]
            order.append(rows[at])
            parts.append(_written_out(e[rows[at]], last[at], vocabulary.operator(code)))
        e = concatenate(parts)[torch.cat(order).argsort()]


def _written_out(e: Expressions, at: torch.Tensor, operator: Operator) -> Expressions:
    """Rows with the definition in the place of the operator at (row, at[row])."""
    body = definition(operator, e.vocabulary)
    row = torch.arange(len(e), device=e.device)
    first, second = (c[row, at] for c in e.children)
    arguments = [e.subexpression(row, child) for child in (first, second)[: operator.arity]]
    numbers = body.constants[0, : int(body.number_counts[0])].tolist()
    pieces = []
    for code in body.codes[0, : int(body.lengths[0])].tolist():  # the symbols of a definition, all rows at once
        if code >= VARIABLE:
            pieces.append(arguments[code - VARIABLE])
        else:
            value = [[numbers.pop(0)]] if code in (CONSTANT, LITERAL) else [[]]
            constants = torch.tensor(value, dtype=torch.float64, device=e.device)
            pieces.append(Expressions(torch.tensor([[code]], device=e.device), constants, e.vocabulary))
    return replaced(e, at, pieces)


def replaced(e: Expressions, at: torch.Tensor, pieces: Sequence[Expressions]) -> Expressions:
    """Rows with the pieces, one after the other, in the place of the part at (row, at[row])."""
    row = torch.arange(len(e), device=e.device)
    return join(_between(e, torch.zeros_like(at), at), *pieces, _between(e, e.ends[row, at], e.lengths))


def _between(e: Expressions, start: torch.Tensor, stop: torch.Tensor) -> Expressions:
    """The symbols at start[row] ... stop[row] - 1 with their numbers; in general no whole expression."""
    length, slots = e.codes.shape[1], e.constants.shape[1]
    row = torch.arange(len(e), device=e.device)[:, None]
    columns = start[:, None] + torch.arange(length, device=e.device)
    codes = torch.where(columns < stop[:, None], e.codes[row, columns.clamp(max=length - 1)], PAD)
    before = torch.nn.functional.pad(e.is_number.long().cumsum(1), (1, 0)).gather(1, start[:, None])
    if not slots:
        return Expressions(codes, e.constants, e.vocabulary)
    numbers = before + torch.arange(slots, device=e.device)
    count = ((codes == CONSTANT) | (codes == LITERAL)).sum(1, keepdim=True)
    held = torch.arange(slots, device=e.device) < count
    values = torch.where(held, e.constants[row, numbers.clamp(max=slots - 1)], 0.0)
    return Expressions(codes, values, e.vocabulary)


# ---------------------------------------------------------------------- operators as columns
def lifted(
    x: torch.Tensor, vocabulary: Vocabulary, names: Collection[str], most: int
) -> tuple[torch.Tensor, Expressions]:
    """Columns f(x) of operators that a network cannot write, for it to read beside the variables.

    Parameters
    ----------
    x : (N, D)
    names : operators of one argument
    most : columns at most; those that are not finite everywhere or do not vary are left out

    Returns
    -------
    (N, D + M) and what the M new columns are, Expressions of M rows over the D variables
    """
    dimensions = x.shape[1]
    laws = [variable(list(range(dimensions)), vocabulary, x.device).apply(name) for name in names]
    if not laws:
        return x, empty(vocabulary, x.device)
    made = concatenate(laws)
    values = torch.cat([vocabulary.operator(name).torch(x).T for name in names])
    sound = (torch.isfinite(values).all(1) & (values.amax(1) > values.amin(1))).nonzero()[:most, 0]
    return torch.cat([x, values[sound].T], 1), made[sound]


def unlifted(expressions: Expressions, columns: Expressions, dimensions: int) -> Expressions:
    """Laws over D + M columns as laws over the D variables.

    Parameters
    ----------
    columns : what column D + m is, row m
    dimensions : D
    """
    e = expressions
    while True:
        here = e.codes >= VARIABLE + dimensions
        rows = here.any(1).nonzero()[:, 0]
        if not len(rows):
            return e.trimmed()
        first = here[rows].long().argmax(1)
        which = e.codes[rows, first] - VARIABLE - dimensions
        rest = (~here.any(1)).nonzero()[:, 0]
        e = concatenate([e[rest], replaced(e[rows], first, [columns[which]])])[torch.cat([rest, rows]).argsort()]
