"""Values of every expression at its own points, slab by slab: what the stream of examples needs.

`evaluate.py` runs many expressions at one table of points and shares what they have in common; here nothing can
be shared, and nothing is hashed: nodes are sorted once by (depth, operator, kinds of arguments) and each group is
one call; factors and offsets are no nodes. It knows operators; it does not know where expressions or points come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.device import DTYPE
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import FIRST_OPERATOR, PAD, VARIABLE, Vocabulary

__all__ = ["Layout", "depths", "ends", "evaluate_paired", "lay_out", "run_paired"]

#: Bytes of the value table of one piece of a batch: fewer, and each group has too few rows to be worth its call;
#: more, and the table leaves the caches (ten times slower per value on a virtual machine with pages of 4 kB).
TABLE_BYTES = 12 * 2**20
TABLE_BYTES_CUDA = 4 * 2**30


def ends(arity_BL: torch.Tensor) -> torch.Tensor:
    """(B, L) index just after the subtree that starts at each position, from arities; negative is no symbol.

    A subtree ends at the next position with one open place fewer: one pass over positions from the right, all rows
    at once, remembers where each number of open places was seen last.
    """
    rows, length = arity_BL.shape
    # Position-major, so that each step reads and writes contiguous memory.
    opened = torch.ones(length + 1, rows, dtype=torch.int64, device=arity_BL.device)
    opened[1:] += torch.where(arity_BL < 0, 0, arity_BL - 1).cumsum(1).T
    fewer = (opened - 1).clamp_(min=0)
    most = int(opened.max()) if rows else 0
    seen = torch.full((most + 1, rows), length, device=arity_BL.device)
    out = torch.empty_like(opened[1:])
    for i in range(length - 1, -1, -1):
        torch.gather(seen, 0, fewer[i : i + 1], out=out[i : i + 1])
        seen.scatter_(0, opened[i : i + 1], i)
    return out.T


def depths(ends_BL: torch.Tensor, counted_BL: torch.Tensor) -> torch.Tensor:
    """(B, L) number of `counted` symbols above each position."""
    counted = counted_BL.long()
    closed = counted.new_zeros(len(counted), counted.shape[1] + 1).scatter_add_(1, ends_BL, counted)[:, :-1]
    return (counted - closed).cumsum_(1) - counted


@dataclass(frozen=True)
class Layout:
    """Where B trees have their arguments and numbers; computed once, then sliced as rows are.

    Parameters
    ----------
    codes : (B, L)
    arity : (B, L), 0 for padding
    values : (B, L) float64, the number at each number and each operator without arguments
    ends : (B, L) position just after the sub-expression at each position; L for padding
    """

    vocabulary: Vocabulary
    codes: torch.Tensor
    arity: torch.Tensor
    values: torch.Tensor
    ends: torch.Tensor

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows) -> Layout:
        return Layout(self.vocabulary, *(t[rows] for t in (self.codes, self.arity, self.values, self.ends)))

    @property
    def second(self) -> torch.Tensor:
        """(B, L) position of the second argument, meaningless where there is none; the first one comes next."""
        length = self.ends.shape[1]
        return torch.nn.functional.pad(self.ends[:, 1:], (0, 1), value=length).clamp(max=length - 1)


def lay_out(expressions: Expressions) -> Layout:
    """Arguments and numbers of every node, all rows at once."""
    e = expressions.trimmed()
    slots = e.constants.shape[1]
    if slots:
        values = e.constants.gather(1, e.number_slot.clamp(max=slots - 1))
    else:
        values = torch.zeros(e.codes.shape, dtype=e.constants.dtype, device=e.device)
    for i, operator in enumerate(e.vocabulary.operators):
        if operator.arity == 0:
            values = torch.where(e.codes == FIRST_OPERATOR + i, operator.torch(), values)
    return Layout(e.vocabulary, e.codes.contiguous(), e.arities, values, ends(torch.where(e.present, e.arities, -1)))


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
    nodes_B = ((layout.arity > 0) | (layout.codes >= VARIABLE)).sum(1)
    piece = (nodes_B * points_B * DTYPE.itemsize).cumsum(0) // budget
    widest = points_B.new_zeros(int(piece[-1]) + 1).scatter_reduce(0, piece, points_B, "amax", include_self=False)
    counts = torch.bincount(piece, minlength=len(widest))
    start = 0
    for count, n in zip(counts.tolist(), widest.tolist(), strict=True):  # pieces of a batch, not expressions
        here = slice(start, start + count)
        if count:
            out[here, :n] = _values(layout[here], x_BND[here, :n])
        start += count
    return out


def _absorbed(e: Layout, is_number: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, L) products c·u and sums c + u or c + c·u that are no nodes: u is scaled and shifted where it is stored.

    What follows a position is read by rolling: from a symbol with two arguments two steps do not leave the row.
    """
    with_number = (e.arity == 2) & is_number.roll(-1, 1) & ~is_number.roll(-2, 1)
    code_of = {operator.torch: FIRST_OPERATOR + i for i, operator in enumerate(e.vocabulary.operators)}
    scale, shift = (with_number & (e.codes == code_of.get(function, PAD)) for function in (torch.mul, torch.add))
    return scale & ~(scale | shift).roll(-2, 1), shift & ~shift.roll(-2, 1)


def _values(e: Layout, x: torch.Tensor) -> torch.Tensor:
    device = x.device
    rows, points, dimensions = x.shape
    length = e.codes.shape[1]
    is_variable = e.codes >= VARIABLE
    is_number = (e.codes != PAD) & (e.arity == 0) & ~is_variable
    scale, shift = _absorbed(e, is_number)
    inner = (e.arity > 0) & ~scale & ~shift
    depth = depths(e.ends, inner)
    # A symbol's value is found where it stands, or at the node below the one or two products and sums absorbed.
    below = torch.arange(rows * length, device=device).view(rows, length)
    below = (below + 2 * (scale | shift) + 2 * (shift & scale.roll(-2, 1))).view(-1)

    # From here on flat, and of nodes only: the table has a row for each occurrence of a variable, then for each inner
    # node, in the order of the sorted keys.
    codes, arity, ends, value = (t.reshape(-1) for t in (e.codes, e.arity, e.ends, e.values))
    is_number, scale, shift = (t.view(-1) for t in (is_number, scale, shift))
    at = (inner | is_variable).view(-1).nonzero()[:, 0]
    row = torch.div(at, length, rounding_mode="floor")
    code, is_inner = codes[at], inner.view(-1)[at]
    one = (at + is_inner).clamp(max=len(codes) - 1)
    two = torch.where(arity[at] == 2, row * length + ends[one], one)
    kinds = 2 * is_number[one] + (is_number[two] & (two != one))
    level = depth.view(-1)[at]
    key = torch.where(is_inner, ((depth.amax() + 1 - level) * VARIABLE + code) * 4 + kinds, 0)
    key, order = torch.sort(key, stable=True)
    at, one, two = at[order], one[order], two[order]
    groups, counts = (t.tolist() for t in torch.unique_consecutive(key, return_counts=True))
    place = torch.zeros_like(codes)
    place[at] = torch.arange(len(at), device=device)
    column = row * dimensions + code - VARIABLE  # of x, for variables
    one = torch.where(is_number[one], one, torch.where(key > 0, place[below[one]], column[order]))
    two = torch.where(is_number[two], two, place[below[two]])
    # What a node absorbed would stand 2 and 4 symbols before it, its numbers 1 and 3 before.
    before = [(at - steps).clamp(min=0) for steps in range(5)]
    is_scaled = scale[before[2]]
    factor = torch.where(is_scaled, value[before[1]], 1.0)
    # Not + 0 where there is no number: -0 + 0 is 0.
    number = torch.where(is_scaled & shift[before[4]], value[before[3]], -0.0)
    number = torch.where(shift[before[2]], value[before[1]], number)

    table = torch.empty(max(1, len(at)), points, dtype=DTYPE, device=device)
    source = x.transpose(1, 2).reshape(rows * dimensions, points)
    steps = (t.split(counts) for t in (table[: len(at)], one, two, factor[:, None], number[:, None]))
    for group, result, *children, factor, number in zip(groups, *steps, strict=True):
        if group:
            operator = e.vocabulary.operator(group // 4 % VARIABLE)
            arguments = [
                value[child, None] if group & kind else table.index_select(0, child)
                for child, kind in zip(children[: operator.arity], (2, 1), strict=False)
            ]
            result.copy_(operator.torch(*arguments))
        else:
            result.copy_(source.index_select(0, children[0]))
        result.mul_(factor).add_(number)
    root = torch.arange(rows, device=device) * length
    return torch.where(is_number[root, None], value[root, None], table.index_select(0, place[below[root]]))
