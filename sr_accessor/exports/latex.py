"""LaTeX: the law as an equation, through the operators' own `latex`."""

from __future__ import annotations

from sr_accessor.exports.exporter import Exporter, Formula
from sr_accessor.expressions.latex import label_latex, to_latex

__all__ = ["EXPORTER", "write"]


def write(formula: Formula, digits: int = 17) -> str:
    """The equation without dollar signs; `digits` of the free constants."""
    right = to_latex(formula.expression, formula.names, digits=digits)
    return f"{label_latex(str(formula.target))} = {right}"


EXPORTER = Exporter("latex", write, suffix=".tex")
