"""Julia: a function of numbers or arrays, elementwise."""

from __future__ import annotations

from sr_accessor.exports.code import Language, function
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("julia", signs={"**": "^"}, whole_exponents=True)


def write(formula: Formula) -> str:
    """A function `law` of the columns that the law needs."""
    law = function(formula, LANGUAGE, "#")
    return f"{law.comments}function law({law.arguments})\n    return @. {law.right}\nend\n"


EXPORTER = Exporter("julia", write, suffix=".jl", operators="julia")
