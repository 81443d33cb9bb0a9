"""sympy: the right-hand side as a sympy expression whose symbols carry the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sr_accessor.exports.exporter import Exporter, Formula
from sr_accessor.expressions.symbolic import to_sympy

if TYPE_CHECKING:
    import sympy

__all__ = ["EXPORTER", "write"]


def write(formula: Formula) -> sympy.Expr:
    """The right-hand side."""
    return to_sympy(formula.expression, formula.names)[0]


EXPORTER = Exporter("sympy", write)
