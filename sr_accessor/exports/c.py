"""C: a function of doubles, C99 with <math.h>."""

from __future__ import annotations

from sr_accessor.exports.code import Language, function
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("c")


def write(formula: Formula) -> str:
    """A function `law` of the columns that the law needs."""
    law = function(formula, LANGUAGE, "//")
    arguments = ", ".join(f"double {name}" for name in law.names) or "void"
    return f"#include <math.h>\n\n{law.comments}double law({arguments})\n{{\n    return {law.right};\n}}\n"


EXPORTER = Exporter("c", write, suffix=".c", operators="c")
