"""Values of every expression at its own points, slab by slab: what the stream of examples needs.

`evaluate.py` runs many expressions at one table of points and shares what they have in common; here nothing can
be shared, and nothing is hashed: nodes are sorted once by (height, operator, kinds of arguments) and each group is
one call. It knows operators; it does not know where expressions or points come from.
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import FIRST_OPERATOR, VARIABLE

__all__ = ["evaluate_paired"]

#: Bytes of the table of inner nodes. Measured on one core, 36-node expressions, 200 points: 16-64 MB alike,
#: 4 MB 1.6 times slower (too few rows for a group), 500 MB 1.3 times slower (out of the caches).
TABLE_BYTES = 32 * 2**20
TABLE_BYTES_CUDA = 4 * 2**30


def evaluate_paired(expressions: Expressions, x_BND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of expression b at the points x_BND[b], for all b.

    Parameters
    ----------
    expressions : Expressions, B well-formed rows
    x_BND : Tensor (B, N, D), in the user's units

    Returns
    -------
    values_BN : Tensor (B, N) of x's dtype, NaN or ±inf where not valid
    valid_BN : Tensor (B, N) bool
    """
    rows, points, _ = x_BND.shape
    out = x_BND.new_empty(rows, points)
    budget = TABLE_BYTES if x_BND.device.type == "cpu" else TABLE_BYTES_CUDA
    nodes = float(expressions.lengths.double().mean()) if rows else 1.0
    step = max(1, int(budget / (max(nodes, 1.0) * max(points, 1) * x_BND.element_size())))
    for start in range(0, rows, step):  # pieces of a batch, not expressions
        out[start : start + step] = _values(expressions[start : start + step].trimmed(), x_BND[start : start + step])
    return out, torch.isfinite(out)


def _values(e: Expressions, x: torch.Tensor) -> torch.Tensor:
    rows, points, dimensions = x.shape
    codes, length, device = e.codes, e.codes.shape[1], x.device
    table_of_variables = x.transpose(1, 2).reshape(rows * dimensions, points)
    row = torch.arange(rows, device=device)[:, None].expand(rows, length)

    # One row of the table per inner node, in the order of the sorted keys.
    inner = e.present & (e.arities > 0)
    first, second = e.children
    is_column = e.is_number | ((codes >= FIRST_OPERATOR) & (codes < VARIABLE) & (e.arities == 0))
    leaf_value = _leaf_values(e, is_column).to(x.dtype)
    column_one = is_column.gather(1, first)
    column_two = is_column.gather(1, second)
    key = ((e.heights * VARIABLE + codes.clamp(max=VARIABLE - 1)) * 2 + column_one) * 2 + column_two * (e.arities == 2)
    r, p = inner.nonzero(as_tuple=True)
    key, order = torch.sort(key[r, p], stable=True)
    r, p = r[order], p[order]
    groups = [t.tolist() for t in torch.unique_consecutive(key, return_counts=True)]

    source = row * dimensions + (codes - VARIABLE).clamp(min=0)  # where a node's values lie
    source[r, p] = rows * dimensions + torch.arange(len(r), device=device)
    at = (row * length + first)[r, p], (row * length + second)[r, p]
    source, leaf_value = source.reshape(-1), leaf_value.reshape(-1)
    table = x.new_empty(rows * dimensions + len(r), points)
    table[: rows * dimensions] = table_of_variables
    begin = 0
    for symbol, count in zip(*groups, strict=True):
        operator = e.vocabulary.operator(symbol // 4 % VARIABLE)
        columns = (symbol // 2 % 2, symbol % 2)
        arguments = []
        for i in range(operator.arity):
            child = at[i][begin : begin + count]
            arguments.append(leaf_value[child, None] if columns[i] else table.index_select(0, source[child]))
        target = table[rows * dimensions + begin : rows * dimensions + begin + count]
        target.copy_(operator.torch(*arguments).expand_as(target))
        begin += count
    if not length:
        return table[:0]
    root = table.index_select(0, source.view(rows, length)[:, 0])
    return torch.where(is_column[:, :1], leaf_value.view(rows, length)[:, :1], root)


def _leaf_values(e: Expressions, is_column: torch.Tensor) -> torch.Tensor:
    """(B, L) the value of each number and named constant; meaningless elsewhere."""
    slots = e.constants.shape[1]
    if slots:
        values = e.constants.gather(1, e.number_slot.clamp(max=slots - 1))
    else:
        values = torch.zeros(e.codes.shape, dtype=e.constants.dtype, device=e.device)
    named = is_column & ~e.is_number
    for i, operator in enumerate(e.vocabulary.operators):
        if operator.arity == 0:
            values = torch.where(named & (e.codes == FIRST_OPERATOR + i), operator.torch(), values)
    return values
