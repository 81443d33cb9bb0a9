"""Expressions: a batch of formulas as prefix codes (B, L) and numbers (B, K); immutable.

The k-th number of a row (in prefix order) is ``constants[row, k]``, whether its code is CONSTANT (free) or
LITERAL (fixed). Arithmetic on batches builds larger expressions by joining prefix codes row by row; a batch of
one row broadcasts. It knows symbols, not what they compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, PAD, VARIABLE, Vocabulary

__all__ = ["Expressions", "concatenate", "constant", "empty", "join", "literal", "variable"]


@dataclass(frozen=True, eq=False)
class Expressions:
    """B expressions of at most L symbols and K numbers.

    Parameters
    ----------
    codes : (B, L) int64, prefix order, PAD after the end
    constants : (B, K) float64, the numbers in prefix order, 0 where a row has fewer
    vocabulary : what the codes mean
    """

    codes: torch.Tensor
    constants: torch.Tensor
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return self.codes.shape[0]

    def __getitem__(self, rows) -> Expressions:
        """Rows by slice, mask, index tensor or list; an int keeps the batch axis."""
        if isinstance(rows, int):
            rows = slice(rows, rows + 1) if rows != -1 else slice(-1, None)
        return self._hand_structure(Expressions(self.codes[rows], self.constants[rows], self.vocabulary), rows)

    def to(self, device: torch.device | str) -> Expressions:
        """The same batch on another device."""
        return replace(self, codes=self.codes.to(device), constants=self.constants.to(device))

    @property
    def device(self) -> torch.device:
        return self.codes.device

    def _hand_structure(self, part: Expressions, rows, columns=slice(None)) -> Expressions:
        """`part`, which is these rows and columns of this batch, with what is known of the structure already."""
        for name in ("ends", "heights"):
            if name in self.__dict__:
                part.__dict__[name] = self.__dict__[name][rows][:, columns]
        return part

    # ------------------------------------------------------------------ structure
    @cached_property
    def arities(self) -> torch.Tensor:
        """(B, L) arguments of each symbol; 0 for padding."""
        return self.vocabulary.arities.to(self.device)[self.codes.clamp(max=VARIABLE)]

    @cached_property
    def present(self) -> torch.Tensor:
        """(B, L) True where there is a symbol."""
        return self.codes != PAD

    @cached_property
    def lengths(self) -> torch.Tensor:
        """(B,) number of symbols."""
        return self.present.sum(1)

    @cached_property
    def is_number(self) -> torch.Tensor:
        """(B, L) True at CONSTANT and LITERAL."""
        return (self.codes == CONSTANT) | (self.codes == LITERAL)

    @cached_property
    def number_slot(self) -> torch.Tensor:
        """(B, L) which column of `constants` a number symbol reads; meaningless elsewhere."""
        return (self.is_number.cumsum(1) - 1).clamp(min=0)

    @cached_property
    def number_counts(self) -> torch.Tensor:
        """(B,) numbers, free and fixed."""
        return self.is_number.sum(1)

    @cached_property
    def held(self) -> torch.Tensor:
        """(B, K) True where a column of `constants` belongs to a number symbol of the row."""
        return torch.arange(self.constants.shape[1], device=self.device) < self.number_counts[:, None]

    @cached_property
    def free(self) -> torch.Tensor:
        """(B, K) True where a number is free (CONSTANT), False at literals and absent numbers."""
        mask = torch.zeros(len(self), self.constants.shape[1] + 1, dtype=torch.bool, device=self.device)
        slot = torch.where(self.codes == CONSTANT, self.number_slot, self.constants.shape[1])
        return mask.scatter_(1, slot, True)[:, :-1]

    @cached_property
    def ends(self) -> torch.Tensor:
        """(B, L) index just after the sub-expression that starts at each position.

        One pass from the right over positions; all rows at once.
        """
        rows, length = self.codes.shape
        ends = torch.arange(1, length + 1, device=self.device).expand(rows, length).clone()
        ends = torch.cat([ends, torch.full((rows, 1), length, device=self.device)], 1)
        for i in range(length - 2, -1, -1):
            first = ends[:, i + 1]
            second = ends.gather(1, first.clamp(max=length)[:, None])[:, 0]
            arity = self.arities[:, i]
            ends[:, i] = torch.where(arity == 2, second, torch.where(arity == 1, first, i + 1))
        return ends[:, :length]

    @cached_property
    def children(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Two (B, L) tensors: positions of first and second argument, clamped; meaningless for leaves."""
        length = self.codes.shape[1]
        first = torch.arange(1, length + 1, device=self.device).clamp(max=length - 1).expand_as(self.codes)
        second = self.ends.gather(1, first).clamp(max=length - 1)
        return first, second

    @cached_property
    def heights(self) -> torch.Tensor:
        """(B, L) height of the sub-expression at each position; leaves are 0."""
        rows, length = self.codes.shape
        heights = torch.zeros(rows, length + 1, dtype=torch.int64, device=self.device)
        _, second = self.children
        for i in range(length - 2, -1, -1):
            arity = self.arities[:, i]
            one = heights[:, i + 1]
            two = heights.gather(1, second[:, i : i + 1])[:, 0]
            deepest = torch.where(arity == 2, torch.maximum(one, two), one)
            heights[:, i] = torch.where(arity > 0, deepest + 1, 0)
        return heights[:, :length]

    @cached_property
    def well_formed(self) -> torch.Tensor:
        """(B,) True where the codes are exactly one complete expression with all its numbers present."""
        need = 1 + (self.arities - 1).masked_fill(~self.present, 0).cumsum(1)  # open places after each symbol
        inside = torch.arange(self.codes.shape[1], device=self.device) < self.lengths[:, None]
        last = (self.lengths - 1).clamp(min=0)[:, None]
        closed = need.gather(1, last)[:, 0] == 0
        open_before_end = ((need > 0) | ~inside | (torch.arange(need.shape[1], device=self.device) == last)).all(1)
        contiguous = (self.present == inside).all(1)
        return closed & open_before_end & contiguous & (self.number_counts <= self.constants.shape[1])

    @cached_property
    def complexity(self) -> torch.Tensor:
        """(B,) sum of the symbols' costs; with unit costs the number of nodes."""
        return self.vocabulary.costs.to(self.device)[self.codes.clamp(max=VARIABLE)].sum(1)

    @cached_property
    def permitted(self) -> torch.Tensor:
        """(B,) whether every operator is an active one of the vocabulary."""
        inactive = torch.zeros(VARIABLE + 1, dtype=torch.bool)
        for i, operator in enumerate(self.vocabulary.operators):
            inactive[FIRST_OPERATOR + i] = operator.name not in self.vocabulary
        return ~inactive.to(self.device)[self.codes.clamp(max=VARIABLE)].any(1)

    def uses(self, d: int) -> torch.Tensor:
        """(B,) whether variable `d` occurs."""
        return (self.codes == VARIABLE + d).any(1)

    # ------------------------------------------------------------------ new batches
    def with_constants(self, constants: torch.Tensor) -> Expressions:
        """The same structures with other numbers (B, K)."""
        return self._hand_structure(replace(self, constants=constants), slice(None))

    def with_literals(self, fixed: torch.Tensor) -> Expressions:
        """The same expressions with the numbers under the mask `fixed` (B, K) made LITERAL."""
        at = fixed.gather(1, self.number_slot.clamp(max=fixed.shape[1] - 1)) if fixed.shape[1] else self.is_number
        return replace(self, codes=torch.where(self.is_number & at, LITERAL, self.codes))

    def freed(self) -> Expressions:
        """The same expressions with every literal made a free constant."""
        return replace(self, codes=torch.where(self.codes == LITERAL, CONSTANT, self.codes))

    def trimmed(self) -> Expressions:
        """Without columns that no row uses."""
        length = int(self.lengths.max()) if len(self) else 0
        count = int(self.number_counts.max()) if len(self) else 0
        part = replace(self, codes=self.codes[:, :length], constants=self.constants[:, :count])
        return self._hand_structure(part, slice(None), slice(length))

    def subexpression(self, row: torch.Tensor, position: torch.Tensor) -> Expressions:
        """The sub-expressions at (row[i], position[i]); one row each."""
        start, stop = position, self.ends[row, position]
        columns = start[:, None] + torch.arange(self.codes.shape[1], device=self.device)
        inside = columns < stop[:, None]
        columns = columns.clamp(max=self.codes.shape[1] - 1)
        codes = torch.where(inside, self.codes[row[:, None], columns], PAD)
        k = self.constants.shape[1]
        before = (self.is_number[row].cumsum(1) - self.is_number[row].long()).gather(1, start[:, None])
        slots = before + torch.arange(k, device=self.device)
        count = ((codes == CONSTANT) | (codes == LITERAL)).sum(1, keepdim=True)
        held = torch.arange(k, device=self.device) < count
        numbers = self.constants[row[:, None], slots.clamp(max=max(k - 1, 0))] if k else self.constants[row]
        return Expressions(codes, torch.where(held, numbers, 0.0), self.vocabulary).trimmed()

    def apply(self, name: str, *others: Expressions) -> Expressions:
        """The operator `name` with these expressions as its arguments, row by row."""
        body = join(self, *others) if others else self
        head = torch.full((len(body), 1), self.vocabulary.id(name), device=self.device)
        return Expressions(torch.cat([head, body.codes], 1), body.constants, self.vocabulary)

    def __add__(self, other: Expressions) -> Expressions:
        return self.apply("add", other)

    def __sub__(self, other: Expressions) -> Expressions:
        return self.apply("sub", other)

    def __mul__(self, other: Expressions) -> Expressions:
        return self.apply("mul", other)

    def __truediv__(self, other: Expressions) -> Expressions:
        return self.apply("div", other)

    def __pow__(self, other: Expressions) -> Expressions:
        return self.apply("pow", other)

    def __neg__(self) -> Expressions:
        return self.apply("neg")


def _packed(parts: Sequence[torch.Tensor], counted: Sequence[torch.Tensor], rows: int, fill: float) -> torch.Tensor:
    """Rows of several padded tensors joined without gaps; the masks say what of each row counts."""
    values, mask = (torch.cat([part.expand(rows, -1) for part in some], 1) for some in (parts, counted))
    place = mask.cumsum(1)
    width = int(place[:, -1].max()) if rows and place.shape[1] else 0
    out = values.new_full((rows, width + 1), fill)
    return out.scatter_(1, torch.where(mask, place - 1, width), values)[:, :width]  # the rest goes to a spare column


def join(*parts: Expressions) -> Expressions:
    """Prefix codes joined row by row: an operator's code followed by its arguments is their application.

    Parts of one row broadcast; where one has no rows, nor has the result.
    """
    rows = 0 if any(len(p) == 0 for p in parts) else max(len(p) for p in parts)
    codes = _packed([p.codes for p in parts], [p.present for p in parts], rows, PAD)
    constants = _packed([p.constants for p in parts], [p.held for p in parts], rows, 0.0)
    return Expressions(codes, constants, parts[0].vocabulary)


def concatenate(batches: Sequence[Expressions]) -> Expressions:
    """One batch with the rows of all; of one vocabulary."""
    length = max(b.codes.shape[1] for b in batches)
    count = max(b.constants.shape[1] for b in batches)
    pad = torch.nn.functional.pad
    return Expressions(
        torch.cat([pad(b.codes, (0, length - b.codes.shape[1]), value=PAD) for b in batches]),
        torch.cat([pad(b.constants, (0, count - b.constants.shape[1])) for b in batches]),
        batches[0].vocabulary,
    )


def empty(vocabulary: Vocabulary, device: torch.device | str = "cpu") -> Expressions:
    """A batch of no expressions."""
    return Expressions(
        torch.zeros(0, 1, dtype=torch.int64, device=device),
        torch.zeros(0, 0, dtype=torch.float64, device=device),
        vocabulary,
    )


def _numbers(values, code: int, vocabulary: Vocabulary, device) -> Expressions:
    column = torch.as_tensor(values, dtype=torch.float64, device=device).reshape(-1, 1)
    return Expressions(torch.full_like(column, code, dtype=torch.int64), column, vocabulary)


def constant(values, vocabulary: Vocabulary, device: torch.device | str = "cpu") -> Expressions:
    """One free constant per value."""
    return _numbers(values, CONSTANT, vocabulary, device)


def literal(values, vocabulary: Vocabulary, device: torch.device | str = "cpu") -> Expressions:
    """One fixed number per value."""
    return _numbers(values, LITERAL, vocabulary, device)


def variable(indices, vocabulary: Vocabulary, device: torch.device | str = "cpu") -> Expressions:
    """One variable per index."""
    codes = VARIABLE + torch.as_tensor(indices, dtype=torch.int64, device=device).reshape(-1, 1)
    return Expressions(codes, torch.zeros(len(codes), 0, dtype=torch.float64, device=device), vocabulary)
