"""Fortran: an elemental function of double precision numbers, Fortran 2008 in free form."""

from __future__ import annotations

from sr_accessor.exports.code import Language, function
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

#: Columns of a line; the standard allows 132.
WIDTH = 100


def _number(value: float) -> str:
    text = repr(value)
    return text.replace("e", "d") if "e" in text else f"{text}d0"


LANGUAGE = Language("fortran", number=_number, whole_exponents=True)


def write(formula: Formula) -> str:
    """A function `law` of the columns that the law needs."""
    law = function(formula, LANGUAGE, "!")
    declared = f"    double precision, intent(in) :: {law.arguments}\n" if law.names else ""
    line = f"    law = {law.right}"
    assigned = "&\n        &".join(line[i : i + WIDTH] for i in range(0, len(line), WIDTH))
    return (
        f"{law.comments}elemental double precision function law({law.arguments})\n"
        f"    implicit none\n{declared}{assigned}\nend function law\n"
    )


EXPORTER = Exporter("fortran", write, suffix=".f90", operators="fortran")
