"""Python: a function of single numbers that needs nothing but `math`."""

from __future__ import annotations

from sr_accessor.exports.code import Language, function
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("python")


def write(formula: Formula) -> str:
    """A function `law` of the columns that the law needs, as Python numbers."""
    law = function(formula, LANGUAGE, "#")
    return f"import math\n\n\n{law.comments}def law({law.arguments}):\n    return {law.right}\n"


EXPORTER = Exporter("python", write, suffix=".py", operators="python")
