"""Exporter: a law in another language or library; and Formula, what every exporter is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sr_accessor.errors import InputError, OptionError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import VARIABLE

__all__ = ["Exporter", "Formula"]


@dataclass(frozen=True, eq=False)
class Formula:
    """One law, ready to be written.

    Parameters
    ----------
    expression : Expressions, one row
    names : the caller's labels of the variables
    target : label of what it predicts
    stderr : standard error of each free constant, in their order; None where nobody asked
    """

    expression: Expressions
    names: tuple[Hashable, ...]
    target: Hashable = "y"
    stderr: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.expression) != 1:
            raise InputError(f"an exporter writes one law, not {len(self.expression)}; index the batch first")

    @cached_property
    def used(self) -> tuple[int, ...]:
        """Variables that occur, in the order of the columns."""
        codes = self.expression.codes
        return tuple(sorted({code - VARIABLE for code in codes[codes >= VARIABLE].tolist()}))


@dataclass(frozen=True)
class Exporter:
    """A law in another form.

    Parameters
    ----------
    name : identifier, unique among exporters: "python", "excel"
    write : write(formula, **keywords) -> text, bytes, or an object of another library
    suffix : of a file that holds its text or bytes; "" where `write` gives neither
    operators : name under which operators say how they are written here (`Operator.printers`); None where they need not

    Calling it is calling `write`.
    """

    name: str
    write: Callable[..., Any]
    suffix: str = ""
    operators: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise OptionError(f"exporter name {self.name!r} must be an identifier such as 'excel'")
        if not callable(self.write):
            raise OptionError(f"exporter {self.name!r}: write must be callable, not {self.write!r}")

    def __call__(self, formula: Formula, **keywords: Any) -> Any:
        return self.write(formula, **keywords)
