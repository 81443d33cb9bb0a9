"""Values of a batch and where they are valid, slab by slab; the plain prefix reader beside it is the meaning.

A value is valid when it is a finite real number. Operators return NaN or ±inf outside their domain and IEEE
arithmetic carries it upward; nothing raises, and no input is changed. Points are shared by all candidates, (N, D), or
each candidate has its own, (B, N, D): then all candidates of one form are one expression at all their points, whose
constants change from point to point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch

from sr_accessor.device import DTYPE
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.program import BEARING, NUMBER, ONES, SHARED, ZEROS, Program, Slab, compile_program
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, PAD, VARIABLE
from sr_accessor.stopping import look

__all__ = ["Bound", "Form", "bind", "evaluate", "forms_of", "read_prefix", "rows_of", "run"]

#: Bytes of one value table, if every place of the padded codes had a row. Larger batches are cut into pieces of about
#: this size. A batch of mixed structure needs hundreds of calls whatever its rows: 2,000 candidates at 200 points took
#: 270, 183, 130 and 93 ms in pieces of 8, 16, 32 and 64 MB (2026-11-21, one core).
TABLE_BYTES = 64 * 2**20
TABLE_BYTES_CUDA = 2 * 2**30
#: Functions that can write to given memory.
_WRITES = {
    torch.add, torch.sub, torch.mul, torch.div, torch.neg, torch.reciprocal, torch.square, torch.sqrt,
    torch.exp, torch.log, torch.sin, torch.cos, torch.tanh,
}  # fmt: skip


def evaluate(expressions: Expressions, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of every expression at every point.

    Parameters
    ----------
    expressions : Expressions, B rows
    x : Tensor (N, D), in the user's units, or (B, N, D) where expressions have points of their own

    Returns
    -------
    values_BN : Tensor (B, N) float64, NaN or ±inf where not valid
    valid_BN : Tensor (B, N) bool
    """
    points = x.shape[-2]
    out = torch.empty(len(expressions), points, dtype=x.dtype, device=x.device)
    per_row = max(1, expressions.codes.shape[1]) * max(1, points) * x.element_size()
    step = max(1, (TABLE_BYTES if x.device.type == "cpu" else TABLE_BYTES_CUDA) // per_row)
    for start in range(0, len(expressions), step):  # pieces of a batch, not candidates
        rows = slice(start, start + step)
        piece = expressions[rows]
        if x.dim() == 2:
            out[rows] = run(bind(compile_program(piece), x), piece.constants)[0]
        else:
            for form in forms_of(piece, x[rows]):
                out[start + form.rows] = form.apart(run(form.bound, form.along(piece.constants))[0])[0]
    return out, torch.isfinite(out)


def rows_of(given: torch.Tensor | None, rows, shared: int) -> torch.Tensor | None:
    """These candidates' part of a tensor that has an axis of candidates before its `shared` ones; else the tensor."""
    return given[rows] if given is not None and given.dim() > shared else given


@dataclass(frozen=True)
class Gathered:
    """Rows of a table copied to memory of their own, those of many slabs in one call."""

    index: torch.Tensor
    memory: torch.Tensor

    def read(self, table: torch.Tensor) -> None:
        torch.index_select(table, 0, self.index, out=self.memory)


@dataclass(frozen=True)
class Bound:
    """A program at the points x, the shared rows evaluated; reused while constants change.

    All memory that `run` and `jacobian.sweep` write to is here and written again by the next: to ask the system for
    fresh pages every time took a third of a refinement.
    """

    program: Program
    table: torch.Tensor  # (size, N)
    values: list[torch.Tensor]  # of each bearing slab: its rows of the table
    arguments: list[list[torch.Tensor]]  # of each bearing slab: (n, N) rows, or (n, 1) free constants; views of
    numbers: Gathered  # all free constants that are arguments
    rows: list[Gathered]  # of each level, the rows that are arguments and change with the constants

    @property
    def shared(self) -> torch.Tensor:
        """(first_bearing, N), the rows that no constant changes."""
        return self.table[: self.program.first_bearing]

    @cached_property
    def flow(self) -> torch.Tensor:
        """(flows, N), the flow table of `jacobian.sweep`."""
        flow = self.table.new_empty(self.program.flows, self.table.shape[1])
        flow[ZEROS], flow[ONES] = 0.0, 1.0
        return flow

    @cached_property
    def backward(self) -> list[tuple[Gathered, list[Backward]]]:
        """What `jacobian.sweep` does level by level, from the roots down."""
        found = []
        reverse = self.program.reverse[::-1]
        widest = max((sum(len(step.above) for step in reverse[level]) for level in self.program.levels), default=0)
        memory = self.table.new_empty(widest, self.table.shape[1])  # of one level after the other
        for level in reversed(self.program.levels):
            slabs = [i for i in range(level.start, level.stop) if any(at is not None for at in reverse[i].below)]
            gathered, parts = gather([reverse[i].above for i in slabs], memory)
            works = []
            for i, above in zip(slabs, parts, strict=True):
                for k, at in enumerate(reverse[i].below):
                    if at is not None:
                        partial = reverse[i].slab.operator.partial(k)
                        out = self.flow[at : at + len(above)]
                        works.append(Backward(partial, self.values[i], self.arguments[i], above, out))
            found.append((gathered, works))
        return found


@dataclass(frozen=True)
class Backward:
    """A slab's adjoints times one of its partial derivatives; all but the function are views of a bound program."""

    partial: Callable[..., torch.Tensor | float]
    value: torch.Tensor
    arguments: list[torch.Tensor]
    above: torch.Tensor
    out: torch.Tensor

    def run(self) -> None:
        torch.mul(self.above, self.partial(self.value, *self.arguments), out=self.out)


def bind(program: Program, x: torch.Tensor, *, own: bool = False) -> Bound:
    """Evaluate the rows of a program that have no free constant, at the points x (N, D).

    `own`: every point will have its own constants, (B, K, N), in the place of (B, K).
    """
    table = torch.empty(program.size, x.shape[0], dtype=x.dtype, device=x.device)
    at = len(program.variables)
    table[:at] = x.T[program.variables]
    table[at : at + len(program.numbers)] = program.numbers.to(x)[:, None]
    at += len(program.numbers)
    for operator in program.named:
        table[at] = operator.torch()
        at += 1
    for slab in program.shared:
        apply(slab.operator, [table.index_select(0, a.index) for a in slab.arguments], table[slab.start : slab.stop])

    def changing(slabs: Sequence[Slab], kind: int) -> list[torch.Tensor]:
        return [a.index for slab in slabs for a in slab.arguments if a.kind == kind]

    numbers, number_parts = gather(changing(program.bearing, NUMBER), table[:0] if own else table.new_empty(0, 1))
    rows = [gather(changing(program.bearing[level], BEARING), table[:0]) for level in program.levels]
    parts = {NUMBER: iter(number_parts), BEARING: chain.from_iterable(parts for _, parts in rows)}
    arguments = [
        [table.index_select(0, a.index) if a.kind == SHARED else next(parts[a.kind]) for a in slab.arguments]
        for slab in program.bearing
    ]
    values = [table[slab.start : slab.stop] for slab in program.bearing]
    return Bound(program, table, values, arguments, numbers, [gathered for gathered, _ in rows])


@dataclass(frozen=True)
class Form:
    """Candidates of one form, each at its own points, as one expression at all these points.

    Parameters
    ----------
    rows : (R,) which candidates of the batch
    points : N of each
    bound : the form's program, bound to the R·N points
    """

    rows: torch.Tensor
    points: int
    bound: Bound

    def along(self, constants: torch.Tensor) -> torch.Tensor:
        """(1, K, R·N) the constants (B, K) of the batch, along the points."""
        return constants[self.rows].T.repeat_interleave(self.points, 1)[None]

    def apart(self, table: torch.Tensor) -> torch.Tensor:
        """(…, R, N) from (…, R·N)."""
        return table.view(*table.shape[:-1], len(self.rows), self.points)


def forms_of(expressions: Expressions, x: torch.Tensor) -> list[Form]:
    """The candidates by their forms (symbols and written numbers), each bound to its own points x (B, N, D)."""
    e = expressions.trimmed()
    written = torch.where(e.free, 0.0, e.constants)  # a number that is absent is 0
    _, form = torch.cat([e.codes.to(written), written], 1).unique(dim=0, return_inverse=True)
    order, counts = form.argsort(stable=True), form.bincount()
    found = []
    for rows in order.split(counts.tolist()):  # forms, not candidates
        program = compile_program(expressions[rows[:1]])
        found.append(Form(rows, x.shape[1], bind(program, x[rows].reshape(-1, x.shape[2]), own=True)))
    return found


def gather(indices: list[torch.Tensor], memory: torch.Tensor) -> tuple[Gathered, Sequence[torch.Tensor]]:
    """Rows to copy to the beginning of this memory, or to new memory if it has no rows; and the part of each index."""
    index = torch.cat(indices) if indices else torch.zeros(0, dtype=torch.int64, device=memory.device)
    memory = memory[: len(index)] if len(memory) else memory.new_empty(len(index), memory.shape[1])
    return Gathered(index, memory), memory.split([len(i) for i in indices]) if indices else ()


def apply(operator: Operator | None, arguments: list[torch.Tensor], out: torch.Tensor) -> None:
    """Write an operator's values to rows of the table, without a copy where torch can; None copies the argument."""
    if operator is None:
        out.copy_(arguments[0])
    elif operator.torch in _WRITES and (arguments[0].shape == out.shape or arguments[-1].shape == out.shape):
        operator.torch(*arguments, out=out)
    else:
        out.copy_(operator.torch(*arguments))


def run(bound: Bound, constants: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[list[torch.Tensor]]]:
    """Execute a bound program for the free constants (B, K), or (B, K, N) where it was bound so.

    Returns
    -------
    values_BN, the whole table (size, N), and the arguments of each bearing slab (for the reverse sweep). The last
    two are the bound memory: the next run overwrites them.
    """
    look()  # all long work comes by here
    program, table = bound.program, bound.table
    bound.numbers.read(constants.reshape(-1, bound.numbers.memory.shape[1]).to(table))
    for level, rows in zip(program.levels, bound.rows, strict=True):
        rows.read(table)
        for i in range(level.start, level.stop):
            apply(program.bearing[i].operator, bound.arguments[i], bound.values[i])
    return table.index_select(0, program.roots), table, bound.arguments


def read_prefix(expressions: Expressions, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The meaning of an expression: read right to left with a stack, one symbol at a time.

    Same signature and result as `evaluate`; slow on purpose.
    """
    values = torch.empty(len(expressions), x.shape[0], dtype=DTYPE, device=x.device)
    for row in range(len(expressions)):
        numbers = expressions.constants[row, : int(expressions.number_counts[row])].tolist()
        stack: list[torch.Tensor] = []
        for symbol in reversed(expressions.codes[row].tolist()):
            if symbol == PAD:
                continue
            if symbol in (CONSTANT, LITERAL):
                stack.append(
                    torch.full_like(x[:, 0], numbers.pop()) if x.shape[1] else x.new_full((len(x),), numbers.pop())
                )
            elif symbol >= VARIABLE:
                stack.append(x[:, symbol - VARIABLE])
            else:
                operator = expressions.vocabulary.operator(symbol)
                arguments = [stack.pop() for _ in range(operator.arity)]
                value = operator.torch(*arguments)
                stack.append(value if operator.arity else x.new_full((len(x),), value))
        values[row] = stack.pop()
    return values, torch.isfinite(values)
