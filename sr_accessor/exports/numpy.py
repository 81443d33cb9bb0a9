"""NumPy: a function of arrays that broadcast."""

from __future__ import annotations

from sr_accessor.exports.code import Language, function
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("numpy")


def write(formula: Formula) -> str:
    """A function `law` of the columns that the law needs, as arrays."""
    law = function(formula, LANGUAGE, "#")
    return f"import numpy as np\n\n\n{law.comments}def law({law.arguments}):\n    return {law.right}\n"


EXPORTER = Exporter("numpy", write, suffix=".py", operators="numpy")
