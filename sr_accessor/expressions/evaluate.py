"""Values of a batch and where they are valid, slab by slab; the plain prefix reader beside it is the meaning.

A value is valid when it is a finite real number. Operators return NaN or ±inf outside their domain and IEEE
arithmetic carries it upward; nothing raises, and no input is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.device import DTYPE
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.program import NUMBER, Program, Slab, compile_program
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, PAD, VARIABLE

__all__ = ["Bound", "bind", "evaluate", "read_prefix", "run"]

#: Bytes of one value table. Larger batches are cut into pieces of about this size, which keeps the table in the
#: processor's caches (measured on two AVX-512 cores, 200 points: 2-8 MB best, 100 MB 1.5 times slower).
TABLE_BYTES = 8 * 2**20
TABLE_BYTES_CUDA = 2 * 2**30


def evaluate(expressions: Expressions, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of every expression at every point.

    Parameters
    ----------
    expressions : Expressions, B rows
    x : Tensor (N, D), in the user's units

    Returns
    -------
    values_BN : Tensor (B, N) float64, NaN or ±inf where not valid
    valid_BN : Tensor (B, N) bool
    """
    points = x.shape[0]
    out = torch.empty(len(expressions), points, dtype=x.dtype, device=x.device)
    per_row = max(1, expressions.codes.shape[1]) * max(1, points) * x.element_size()
    step = max(1, (TABLE_BYTES if x.device.type == "cpu" else TABLE_BYTES_CUDA) // per_row)
    for start in range(0, len(expressions), step):  # pieces of a batch, not candidates
        piece = expressions[start : start + step]
        out[start : start + step] = run(bind(compile_program(piece), x), piece.constants)[0]
    return out, torch.isfinite(out)


@dataclass(frozen=True)
class Bound:
    """A program together with its shared rows evaluated at the points x; reused while constants change."""

    program: Program
    shared: torch.Tensor  # (first_bearing, N)


def bind(program: Program, x: torch.Tensor) -> Bound:
    """Evaluate the rows of a program that have no free constant, at the points x (N, D)."""
    table = torch.empty(program.first_bearing, x.shape[0], dtype=x.dtype, device=x.device)
    at = len(program.variables)
    table[:at] = x.T[program.variables]
    table[at : at + len(program.numbers)] = program.numbers.to(x)[:, None]
    at += len(program.numbers)
    for operator in program.named:
        table[at] = operator.torch()
        at += 1
    for slab in program.shared:
        table[slab.start : slab.stop] = slab.operator.torch(*(table[a.index] for a in slab.arguments))
    return Bound(program, table)


def gather(slab: Slab, table: torch.Tensor, constants: torch.Tensor) -> list[torch.Tensor]:
    """Arguments of a slab: (n, N) rows, or (n, 1) free constants."""
    return [constants[a.index, None] if a.kind == NUMBER else table[a.index] for a in slab.arguments]


def run(bound: Bound, constants: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[list[torch.Tensor]]]:
    """Execute a bound program for the free constants (B, K).

    Returns
    -------
    values_BN, the whole table (size, N), and the arguments of each bearing slab (for the reverse sweep)
    """
    program = bound.program
    table = bound.shared.new_empty(program.size, bound.shared.shape[1])
    table[: program.first_bearing] = bound.shared
    flat = constants.reshape(-1).to(table)
    kept = []
    for slab in program.bearing:
        arguments = gather(slab, table, flat)
        kept.append(arguments)
        table[slab.start : slab.stop] = arguments[0] if slab.operator is None else slab.operator.torch(*arguments)
    return table[program.roots], table, kept


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
