"""pandas: text for `DataFrame.eval`, with columns by their own labels."""

from __future__ import annotations

from sr_accessor.errors import InputError
from sr_accessor.exports.code import Language, expression_text
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("pandas")


def write(formula: Formula) -> str:
    """The right-hand side for `df.eval(text)`.

    Raises
    ------
    InputError : a label that `eval` cannot name, such as a number or one with a backtick.
    """

    def column(d: int) -> str:
        label = formula.names[d]
        if not isinstance(label, str) or not label.strip() or any(c in label for c in "`\\\n'\""):
            raise InputError(f"column {label!r} cannot stand in DataFrame.eval; rename it to a plain text")
        return f"`{label}`"

    return expression_text(formula, LANGUAGE, column)


EXPORTER = Exporter("pandas", write, suffix=".txt", operators="pandas")
