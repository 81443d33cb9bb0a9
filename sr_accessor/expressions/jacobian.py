"""Derivatives of a batch: by its constants in one reverse sweep, by the inputs in forward mode.

Points are independent, so the adjoint (B, N) of a constant's leaf is that constant's column of the Jacobian
[Griewank & Walther 2008, ch. 3]; one sweep gives all columns.
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import Bound, bind, run
from sr_accessor.expressions.program import NUMBER, compile_program

__all__ = ["adjoints", "input_derivative", "jacobian", "sweep"]


def jacobian(expressions: Expressions, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values, and derivatives with respect to every free constant.

    Parameters
    ----------
    expressions : Expressions, B candidates with at most K numbers
    x : Tensor (N, D), in the user's units

    Returns
    -------
    values_BN, jacobian_BKN, valid_BN
        Columns of literals and of absent constants are zero. Units: y per constant.
    """
    values, columns = sweep(bind(compile_program(expressions), x), expressions.constants)
    return values, columns, torch.isfinite(values)


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
    x : Tensor (N, D)

    Returns
    -------
    values_BN, slopes_BDN
    """
    bound = bind(compile_program(expressions), x)
    program, (points, inputs) = bound.program, x.shape
    values, table, kept = run(bound, expressions.constants)
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
