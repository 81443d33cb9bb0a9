"""SQL: a select expression over the columns by their own labels; for SQLite, DuckDB, PostgreSQL and the like."""

from __future__ import annotations

from sr_accessor.exports.code import Language, expression_text
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]


def _number(value: float) -> str:
    # 0.1 is a decimal to some databases, and 1e0 a double to all
    text = repr(value)
    return text if "e" in text else f"{text}e0"


LANGUAGE = Language("sql", number=_number)


def write(formula: Formula) -> str:
    """The expression without SELECT; integer columns are made doubles, or 1/2 would be 0."""

    def column(d: int) -> str:
        quoted = str(formula.names[d]).replace('"', '""')
        return f'CAST("{quoted}" AS DOUBLE PRECISION)'

    return expression_text(formula, LANGUAGE, column)


EXPORTER = Exporter("sql", write, suffix=".sql", operators="sql")
