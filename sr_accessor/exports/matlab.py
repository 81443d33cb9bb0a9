"""MATLAB: a function of numbers or arrays, elementwise; GNU Octave reads it too."""

from __future__ import annotations

from sr_accessor.exports.code import Language, function
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("matlab", signs={"*": ".*", "/": "./", "**": ".^"})


def write(formula: Formula) -> str:
    """A function `law` of the columns that the law needs."""
    law = function(formula, LANGUAGE, "%")
    return f"{law.comments}function result = law({law.arguments})\n    result = {law.right};\nend\n"


EXPORTER = Exporter("matlab", write, suffix=".m", operators="matlab")
