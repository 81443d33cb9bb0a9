"""What a law must be like, as a user says it: limits of its form, and of its shape. Plain values; search/ obeys them.

sr.Constraints(max_complexity=20, require=["T"], nested={"sin": {"sin": 0}})
[sr.monotone("x", "increasing"), sr.positive(), sr.limit("t", math.inf, 0.0)]
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

from sr_accessor.errors import InputError, OptionError, nearest

__all__ = ["Constraints", "Limit", "Monotone", "Positive", "Shape", "Shaped", "limit", "monotone", "positive", "shape"]

DIRECTIONS = ("increasing", "decreasing")


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Limits of the form of a law. Names are labels of features or names of operators; a label wins.

    Parameters
    ----------
    max_complexity : most complexity (nodes, each at its operator's cost)
    max_depth : most symbols on a way from the root to a leaf; "x" has depth 1, "sin(x)" depth 2
    require : names that must occur
    forbid : names that must not; a forbidden feature is left out of the table, a forbidden operator out of the search
    max_uses : {name: how often it may occur}; x**2 is one x
    nested : {outer operator: {inner operator: how many of it may stand inside one another within the outer one}};
        {"sin": {"sin": 0, "exp": 1}}: no sine in a sine, at most one exponential on each way down from a sine
    costs : {operator: the nodes it counts for}, whole numbers; changes `complexity` everywhere

    Raises
    ------
    OptionError : a value of the wrong kind.
    InputError : a number out of its range, or a name both required and forbidden.
    """

    max_complexity: int | None = None
    max_depth: int | None = None
    require: tuple[Hashable, ...] = ()
    forbid: tuple[Hashable, ...] = ()
    max_uses: Mapping[Hashable, int] = field(default_factory=dict)
    nested: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    costs: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("max_complexity", "max_depth"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), least=1)
        for name in ("require", "forbid"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        for name, least in (("max_uses", 0), ("costs", 1)):
            object.__setattr__(self, name, _counts(name, getattr(self, name), least))
        nested = _mapping("nested", self.nested, '{"sin": {"sin": 0}}')
        read = {outer: _counts(f"nested[{outer!r}]", inner, 0) for outer, inner in nested.items()}
        object.__setattr__(self, "nested", MappingProxyType(read))
        if both := [name for name in self.require if name in self.forbid]:
            raise InputError(f"{', '.join(map(repr, both))} cannot be required and forbidden; leave it out of one")

    @property
    def words(self) -> tuple[str, ...]:
        """Each constraint as a sentence."""
        said = [
            *([] if self.max_complexity is None else [f"complexity at most {self.max_complexity}"]),
            *([] if self.max_depth is None else [f"depth at most {self.max_depth}"]),
            *(f"{name!r} occurs" for name in self.require),
            *(f"{name!r} does not occur" for name in self.forbid),
            *(f"{name!r} occurs at most {most} times" for name, most in self.max_uses.items()),
        ]
        for outer, limits in self.nested.items():
            said += [f"inside {outer!r} at most {most} nested {inner!r}" for inner, most in limits.items()]
        return (*said, *(f"{name!r} counts for {cost} nodes" for name, cost in self.costs.items()))


# ---------------------------------------------------------------------- shape
@dataclass(frozen=True)
class Monotone:
    """The law never falls (or never rises) along a feature, in the box that the data span."""

    feature: Hashable
    direction: str = "increasing"

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise InputError(f"direction={self.direction!r}: {nearest(self.direction, DIRECTIONS)}")

    @property
    def words(self) -> str:
        return f"{self.direction} in {self.feature!r}"


@dataclass(frozen=True)
class Positive:
    """The law is nowhere negative in the box that the data span."""

    @property
    def words(self) -> str:
        return "nowhere negative"


@dataclass(frozen=True)
class Limit:
    """The law tends to `value` as a feature tends to `at` (a number or ±inf), wherever the other features are."""

    feature: Hashable
    at: float
    value: float

    def __post_init__(self) -> None:
        for name, given in (("at", self.at), ("value", self.value)):
            if not isinstance(given, Real) or isinstance(given, bool) or math.isnan(given):
                raise OptionError(f"limit: {name}={given!r} is not a number; give e.g. limit('t', math.inf, 0)")
        if math.isinf(self.value):
            raise InputError(f"limit: value={self.value!r}: only finite limits can be checked; give a number")

    @property
    def words(self) -> str:
        return f"tends to {self.value:g} as {self.feature!r} tends to {self.at:g}"


@dataclass(frozen=True)
class Shaped:
    """A plugin's shape constraint, by name, with its arguments."""

    name: str
    arguments: tuple[Any, ...] = ()

    @property
    def words(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.arguments))})"


Shape = Monotone | Positive | Limit | Shaped


def monotone(feature: Hashable, direction: str = "increasing") -> Monotone:
    """The law rises ("increasing") or falls ("decreasing") along `feature`; level stretches are allowed."""
    return Monotone(feature, direction)


def positive() -> Positive:
    """The law is nowhere negative."""
    return Positive()


def limit(feature: Hashable, at: float, value: float) -> Limit:
    """The law tends to `value` as `feature` tends to `at`, which may be ±inf."""
    return Limit(feature, at, value)


def shape(name: str, *arguments: Any) -> Shaped:
    """A shape constraint that a plugin gives: `shape("convex")`, `shape("lab:between", 0, 1)`."""
    return Shaped(name, arguments)


# ---------------------------------------------------------------------- checks
def _whole(name: str, value: Any, *, least: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise OptionError(f"{name}={value!r}; give a whole number")
    if value < least:
        raise InputError(f"{name}={value!r} is out of range; give a whole number from {least}")
    return int(value)


def _names(name: str, given: Any) -> tuple[Hashable, ...]:
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable) or not all(isinstance(entry, Hashable) for entry in given):
        raise OptionError(f"{name}={given!r}; give a list of labels and names of operators")
    return tuple(given)


def _mapping(name: str, given: Any, example: str) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping):
        raise OptionError(f"{name}={given!r}; give a dictionary such as {example}")
    return given


def _counts(name: str, given: Any, least: int) -> Mapping[Hashable, int]:
    counts = _mapping(name, given, '{"sin": 1}')
    return MappingProxyType({key: _whole(f"{name}[{key!r}]", value, least=least) for key, value in counts.items()})
