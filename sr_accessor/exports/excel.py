"""Excel: a formula for one cell, with a cell for each input; LibreOffice and Google Sheets read it too."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping

from sr_accessor.errors import ColumnError, InputError, nearest
from sr_accessor.exports.code import Language, expression_text
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("excel", number=lambda value: repr(value).replace("e", "E"))
_CELL = re.compile(r"\$?[A-Z]{1,3}\$?[1-9][0-9]{0,6}\Z")


def write(formula: Formula, cells: Mapping[Hashable, str] | None = None) -> str:
    """The formula, beginning with "=".

    Parameters
    ----------
    cells : {label: cell}, e.g. {"m": "A2", "a": "$B$2"}; by default the inputs of the law stand in A2, B2, ...

    Raises
    ------
    ColumnError : an input of the law has no cell.
    InputError : what is given is no cell.
    """
    labels = [formula.names[d] for d in formula.used]
    given = {label: f"{_letters(i)}2" for i, label in enumerate(labels)} if cells is None else dict(cells)
    for label in labels:
        if label not in given:
            raise ColumnError(f"no cell for column {label!r}; {nearest(label, given)}")
        if not isinstance(given[label], str) or not _CELL.match(given[label]):
            raise InputError(f"column {label!r}: {given[label]!r} is no cell; give one such as 'A2' or '$A$2'")
    return "=" + expression_text(formula, LANGUAGE, lambda d: given[formula.names[d]])


def _letters(i: int) -> str:
    """A, B, ... Z, AA, ... of the i-th column."""
    return ("" if i < 26 else _letters(i // 26 - 1)) + chr(ord("A") + i % 26)


EXPORTER = Exporter("excel", write, suffix=".txt", operators="excel")
