"""Vocabulary: symbols with stable ids; append-only, so that an id never changes its meaning.

    0          PAD        after the end of an expression
    1          CONSTANT   a number that refinement may change
    2          LITERAL    a number that belongs to the structure (an exponent 2, a snapped 1/3)
    8 … 255    operators, in the order of their registration
    256 + d    variable d; there is no limit to their number

It knows operators and ids; it does not know expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from sr_accessor.errors import OperatorError, PluginConflictError, UnknownNameError, nearest
from sr_accessor.expressions.operator import Operator

__all__ = ["CONSTANT", "FIRST_OPERATOR", "LITERAL", "PAD", "VARIABLE", "Vocabulary"]

PAD, CONSTANT, LITERAL = 0, 1, 2
FIRST_OPERATOR = 8
VARIABLE = 256


@dataclass(frozen=True)
class Vocabulary:
    """Operators with stable ids, some of which a search may use.

    Parameters
    ----------
    operators : all operators ever registered; the i-th has id ``FIRST_OPERATOR + i``
    active : names a search may use (None: all). Inactive operators can still be read, printed and evaluated.
    """

    operators: tuple[Operator, ...]
    active: frozenset[str] | None = None

    def __post_init__(self) -> None:
        seen: dict[str, Operator] = {}
        for operator in self.operators:
            if operator.name in seen:
                raise PluginConflictError(f"two operators are called {operator.name!r}")
            seen[operator.name] = operator
        if len(self.operators) > VARIABLE - FIRST_OPERATOR:
            raise OperatorError(f"a vocabulary holds at most {VARIABLE - FIRST_OPERATOR} operators")
        if self.active is not None:
            for name in self.active:
                if name not in seen:
                    raise UnknownNameError(f"no operator {name!r}; {nearest(name, seen)}")

    def __iter__(self) -> Iterator[Operator]:
        """The active operators, in the order of their ids."""
        return (o for o in self.operators if self.active is None or o.name in self.active)

    def __contains__(self, name: object) -> bool:
        """Whether an active operator has this name."""
        return name in self._by_name and (self.active is None or name in self.active)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.operators == other.operators and self.active == other.active

    def __hash__(self) -> int:
        return hash((self.operators, self.active))

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {o.name: FIRST_OPERATOR + i for i, o in enumerate(self.operators)}

    @cached_property
    def arities(self) -> torch.Tensor:
        """(VARIABLE + 1,) number of arguments by id; the last entry stands for every variable."""
        table = torch.zeros(VARIABLE + 1, dtype=torch.int64)
        for i, operator in enumerate(self.operators):
            table[FIRST_OPERATOR + i] = operator.arity
        return table

    @cached_property
    def costs(self) -> torch.Tensor:
        """(VARIABLE + 1,) complexity of one symbol by id; PAD is 0, numbers and variables are 1."""
        table = torch.ones(VARIABLE + 1, dtype=torch.int64)
        table[PAD] = 0
        for i, operator in enumerate(self.operators):
            table[FIRST_OPERATOR + i] = operator.cost
        return table

    def id(self, name: str) -> int:
        """Id of the operator called `name`, active or not.

        Raises
        ------
        UnknownNameError : there is none.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownNameError(f"no operator {name!r}; {nearest(name, self._by_name)}") from None

    def operator(self, symbol: int | str) -> Operator:
        """The operator with this id or name, active or not."""
        return self.operators[(self.id(symbol) if isinstance(symbol, str) else symbol) - FIRST_OPERATOR]

    def extended(self, operators: Iterable[Operator]) -> Vocabulary:
        """This vocabulary with more operators at its end; present ids stay as they are."""
        more = tuple(operators)
        active = None if self.active is None else self.active | {o.name for o in more}
        return Vocabulary(self.operators + more, active)

    def restricted(self, names: Sequence[str]) -> Vocabulary:
        """This vocabulary with only `names` active; ids stay as they are."""
        return Vocabulary(self.operators, frozenset(names))
