"""Derivatives of a batch: by its constants in one reverse sweep, by the inputs in forward mode.

Points are independent, so the adjoint (B, N) of a constant's leaf is that constant's column of the Jacobian
[Griewank & Walther 2008, ch. 3]; one sweep gives all columns.
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import Bound, Form, bind, forms_of, run
from sr_accessor.expressions.program import NUMBER, ZEROS, compile_program

__all__ = ["AtPoints", "adjoints", "input_derivative", "jacobian", "sweep"]


def jacobian(expressions: Expressions, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values, and derivatives with respect to every free constant.

    Parameters
    ----------
    expressions : Expressions, B candidates with at most K numbers
    x : Tensor (N, D), in the user's units, or (B, N, D) where candidates have points of their own

    Returns
    -------
    values_BN, jacobian_BKN, valid_BN
        Columns of literals and of absent constants are zero. Units: y per constant.
    """
    columns = x.new_empty(*expressions.constants.shape, x.shape[-2])
    values = AtPoints(expressions, x).fill(expressions.constants, columns)
    return values, columns, torch.isfinite(values)


class AtPoints:
    """Candidates at their points, shared (N, D) or each at its own (B, N, D): values and Jacobian as constants change.

    The forms of the candidates are compiled once, and all memory is written again by the next call. `beside` rows of
    zeros follow the K of each candidate's Jacobian.
    """

    def __init__(self, expressions: Expressions, x: torch.Tensor, beside: int = 0):
        rows, slots = expressions.constants.shape
        self.shape = (rows, slots + beside, x.shape[-2])
        self.like = x
        self.forms: list[Form] = [] if x.dim() == 2 else forms_of(expressions, x)
        self.shared = bind(compile_program(expressions), x) if x.dim() == 2 else None
        if self.shared is not None:
            columns = self.shared.program.columns.view(rows, slots)
            self.columns = torch.nn.functional.pad(columns, (0, beside), value=ZEROS).view(-1)

    def values(self, constants: torch.Tensor) -> torch.Tensor:
        """(B, N) for the constants (B, K)."""
        if self.shared is not None:
            return run(self.shared, constants)[0]
        out = self.like.new_empty(self.shape[0], self.shape[2])
        for form in self.forms:
            out[form.rows] = form.apart(run(form.bound, form.along(constants))[0])[0]
        return out

    def fill(self, constants: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        """(B, N) values; the Jacobian is written to matrix, of `self.shape`."""
        if self.shared is not None:
            values, flow = adjoints(self.shared, constants)
            torch.index_select(flow, 0, self.columns, out=matrix.view(-1, self.shape[2]))
            return values
        out = self.like.new_empty(self.shape[0], self.shape[2])
        for form in self.forms:
            values, flow = adjoints(form.bound, form.along(constants))
            out[form.rows] = form.apart(values)[0]
            columns = flow.index_select(0, form.bound.program.columns)
            matrix[form.rows] = torch.nn.functional.pad(
                form.apart(columns).transpose(0, 1), (0, 0, 0, matrix.shape[1] - len(columns))
            )
        return out


def sweep(bound: Bound, constants: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`jacobian` for a program already bound to its points: values_BN, jacobian_BKN."""
    values, flow = adjoints(bound, constants)
    columns = flow.index_select(0, bound.program.columns)
    return values, columns.view(len(values), bound.program.slots, values.shape[1])


def adjoints(bound: Bound, constants: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values (B, N), and the flow table, whose rows `program.columns` are the Jacobian; overwritten by the next."""
    values, _, _ = run(bound, constants)
    for gathered, works in bound.backward:
        gathered.read(bound.flow)
        for work in works:
            work.run()
    return values, bound.flow


def input_derivative(expressions: Expressions, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """∂f/∂x of every expression at every point, in forward mode.

    Parameters
    ----------
    expressions : Expressions, B rows
    x : Tensor (N, D), or (B, N, D) where expressions have points of their own

    Returns
    -------
    values_BN, slopes_BDN
    """
    if x.dim() == 2:
        return _slopes(bind(compile_program(expressions), x), expressions.constants, x.shape[1])
    values, slopes = x.new_empty(x.shape[:2]), x.new_empty(x.shape).mT
    for form in forms_of(expressions, x):
        value, slope = _slopes(form.bound, form.along(expressions.constants), x.shape[2])
        values[form.rows] = form.apart(value)[0]
        slopes[form.rows] = form.apart(slope)[0].transpose(0, 1)
    return values, slopes


def _slopes(bound: Bound, constants: torch.Tensor, inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`input_derivative` of a bound program by so many inputs."""
    program = bound.program
    values, table, kept = run(bound, constants)
    points = table.shape[1]
    tangent = table.new_zeros(program.size, inputs, points)
    tangent[torch.arange(len(program.variables)), program.variables] = 1.0
    shared_arguments = [[table[a.index] for a in slab.arguments] for slab in program.shared]
    for slab, arguments in zip(program.shared + program.bearing, shared_arguments + kept, strict=True):
        value = table[slab.start : slab.stop]
        for i, argument in enumerate(slab.arguments):
            if argument.kind == NUMBER:
                continue
            partial = slab.operator.partial(i)(value, *arguments)
            partial = partial if isinstance(partial, float) else partial[:, None, :]
            below = tangent[argument.index]
            # 0 stays 0 beside a partial that does not exist: (-x)**3 has no derivative by its exponent.
            tangent[slab.start : slab.stop] += torch.where(below == 0, 0.0, partial * below)
    return values, tangent[program.roots]
