"""Values of every expression at its own points, slab by slab: what the stream of examples needs.

`evaluate.py` runs many expressions at one table of points and shares what they have in common; here nothing can
be shared, and nothing is hashed: nodes are sorted once by (height, operator, kinds of arguments) and each group is
one call. It knows operators; it does not know where expressions or points come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.device import DTYPE
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, PAD, VARIABLE, Vocabulary

__all__ = ["Layout", "evaluate_paired", "lay_out", "run_paired"]

#: Bytes of the value table of one piece of a batch: fewer, and each group has too few rows to be worth its call;
#: more, and the table leaves the caches.
TABLE_BYTES = 24 * 2**20
TABLE_BYTES_CUDA = 4 * 2**30


@dataclass(frozen=True)
class Layout:
    """What evaluation needs to know about B trees; computed once, then sliced as rows are.

    Parameters
    ----------
    codes : (B, L)
    values : (B, L) float64, the number at each number symbol
    first, second : (B, L) positions of the arguments, meaningless for leaves
    heights : (B, L), 0 at leaves
    """

    vocabulary: Vocabulary
    codes: torch.Tensor
    values: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    heights: torch.Tensor

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows) -> Layout:
        return Layout(
            self.vocabulary,
            *(t[rows] for t in (self.codes, self.values, self.first, self.second, self.heights)),
        )


def lay_out(expressions: Expressions) -> Layout:
    """Arguments and heights of every node: one pass over positions, from the right, all rows at once."""
    e = expressions.trimmed()
    rows, length = e.codes.shape
    arity = e.arities.T.contiguous()  # position-major: each step reads and writes contiguous memory
    after = torch.arange(1, length + 2, device=e.device)[:, None].repeat(1, rows)
    heights = torch.zeros(length + 1, rows, dtype=torch.int64, device=e.device)
    for i in range(length - 2, -1, -1):
        one = after[i + 1][None]
        two = after.gather(0, one.clamp(max=length))[0]
        taller = torch.maximum(heights[i + 1], heights.gather(0, one.clamp(max=length))[0])
        binary, leaf = arity[i] == 2, arity[i] == 0
        after[i] = torch.where(binary, two, torch.where(leaf, after[i], one[0]))
        heights[i] = torch.where(leaf, 0, torch.where(binary, taller, heights[i + 1]) + 1)
    first = torch.arange(1, length + 1, device=e.device).clamp(max=length - 1).expand(rows, length)
    second = after[1:].T.clamp(max=length - 1)
    slots = e.constants.shape[1]
    if slots:
        values = e.constants.gather(1, e.number_slot.clamp(max=slots - 1))
    else:
        values = torch.zeros(e.codes.shape, dtype=e.constants.dtype, device=e.device)
    for i, operator in enumerate(e.vocabulary.operators):
        if operator.arity == 0:
            values = torch.where(e.codes == FIRST_OPERATOR + i, operator.torch(), values)
    return Layout(e.vocabulary, e.codes, values, first, second, heights[:length].T)


def evaluate_paired(expressions: Expressions, x_BND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of expression b at the points x_BND[b], for all b.

    Parameters
    ----------
    expressions : Expressions, B well-formed rows
    x_BND : Tensor (B, N, D), in the user's units; memory in the order (B, D, N) saves a copy

    Returns
    -------
    values_BN : Tensor (B, N) float64, NaN or ±inf where not valid
    valid_BN : Tensor (B, N) bool
    """
    points = torch.full((len(expressions),), x_BND.shape[1], dtype=torch.int64)
    values = run_paired(lay_out(expressions), x_BND, points.to(x_BND.device))
    return values, torch.isfinite(values)


def run_paired(layout: Layout, x_BND: torch.Tensor, points_B: torch.Tensor) -> torch.Tensor:
    """(B, N) values of laid-out expressions at the first `points` points of each row; unspecified beyond them.

    Pieces are cut from the rows in order, each as wide as its longest row: sort rows by their number of points.
    """
    rows, width, _ = x_BND.shape
    out = torch.zeros(rows, width, dtype=DTYPE, device=x_BND.device)
    if not rows:
        return out
    budget = TABLE_BYTES if x_BND.device.type == "cpu" else TABLE_BYTES_CUDA
    bytes_B = (layout.codes != PAD).sum(1) * points_B * DTYPE.itemsize
    piece = bytes_B.cumsum(0) // budget
    widest = points_B.new_zeros(int(piece[-1]) + 1).scatter_reduce(0, piece, points_B, "amax", include_self=False)
    counts = torch.bincount(piece, minlength=len(widest))
    start = 0
    for count, n in zip(counts.tolist(), widest.tolist(), strict=True):  # pieces of a batch, not expressions
        here = slice(start, start + count)
        if count:
            out[here, :n] = _values(layout[here], x_BND[here, :n])
        start += count
    return out


def _values(e: Layout, x: torch.Tensor) -> torch.Tensor:
    codes, device = e.codes, x.device
    rows, points, dimensions = x.shape
    length = codes.shape[1]
    arity = e.vocabulary.arities.to(device)[codes.clamp(max=VARIABLE)]
    column = (codes == CONSTANT) | (codes == LITERAL) | ((codes >= FIRST_OPERATOR) & (codes < VARIABLE) & (arity == 0))

    # One row of the table per variable, then one per inner node in the order of the sorted keys.
    r, p = (e.heights > 0).nonzero(as_tuple=True)
    at = r * length + p
    one = r * length + e.first.reshape(-1)[at]
    two = r * length + e.second.reshape(-1)[at]
    column, value = column.reshape(-1), e.values.reshape(-1)
    binary = arity.reshape(-1)[at] == 2
    key = e.heights.reshape(-1)[at] * VARIABLE + codes.reshape(-1)[at]
    key, order = torch.sort((key * 2 + column[one]) * 2 + (column[two] & binary), stable=True)
    at, one, two = at[order], one[order], two[order]
    symbols, counts = (t.tolist() for t in torch.unique_consecutive(key, return_counts=True))

    variables = rows * dimensions
    source = (torch.arange(rows, device=device)[:, None] * dimensions + (codes - VARIABLE)).reshape(-1)
    source[at] = torch.arange(variables, variables + len(at), device=device)
    table = torch.empty(variables + len(at), points, dtype=DTYPE, device=device)
    table[:variables].view(rows, dimensions, points).copy_(x.transpose(1, 2))
    start = variables
    for symbol, children in zip(symbols, zip(one.split(counts), two.split(counts), strict=True), strict=True):
        operator = e.vocabulary.operator(symbol // 4 % VARIABLE)
        arguments = [
            value[child, None] if is_column else table.index_select(0, source[child])
            for child, is_column in ((children[0], symbol & 2), (children[1], symbol & 1))[: operator.arity]
        ]
        stop = start + len(children[0])
        table[start:stop] = operator.torch(*arguments)
        start = stop
    root = torch.arange(rows, device=device) * length
    constant = column[root]
    return torch.where(
        constant[:, None], value[root, None], table.index_select(0, torch.where(constant, 0, source[root]))
    )
