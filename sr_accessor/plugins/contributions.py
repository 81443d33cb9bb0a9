"""Contributions: the small values that hooks hand over beside operators, noise models and exporters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sr_accessor.errors import OptionError

if TYPE_CHECKING:
    import torch

    from sr_accessor.expressions.vocabulary import Vocabulary
    from sr_accessor.observations import Observations
    from sr_accessor.options import FitOptions

__all__ = ["FitContext", "SelectionRule", "Settings", "ShapeConstraint"]


@dataclass(frozen=True)
class SelectionRule:
    """A way to choose one law of a front.

    Parameters
    ----------
    name : identifier, unique among rules
    price : price(front, n, validation) -> (F,); n observations, validation (F,) the mean squared error of held-out
        rows or None. The least price wins, ties go to the simpler law.
    """

    name: str
    price: Callable[..., torch.Tensor]

    def __post_init__(self) -> None:
        _check("selection rule", self.name, "price", self.price)


@dataclass(frozen=True)
class ShapeConstraint:
    """A demand on the values and the slopes of a law in the box that the data span; `sr.shape(name, ...)` asks for it.

    Parameters
    ----------
    name : identifier, unique among shape constraints
    holds : holds(values, slopes, points, *arguments) -> (B,) bool for B candidates: values (B, G) and slopes
        (B, D, G) at G points (G, D) of D variables; `arguments` are those of `sr.shape`
    words : what is asked for, with {0}, {1} for the arguments; goes into the report
    """

    name: str
    holds: Callable[..., torch.Tensor]
    words: str = ""

    def __post_init__(self) -> None:
        _check("shape constraint", self.name, "holds", self.holds)


@dataclass(frozen=True)
class Settings:
    """What `configure` is told.

    Parameters
    ----------
    version : of sr_accessor
    plugins : names of the plugins that were loaded, in order
    """

    version: str
    plugins: tuple[str, ...]


@dataclass(frozen=True)
class FitContext:
    """What `fit_started` is told: the rows, how to look, the seed in use and the operators that may be used."""

    observations: Observations
    options: FitOptions
    seed: int
    operators: Vocabulary


def _check(what: str, name: Any, role: str, function: Any) -> None:
    if not isinstance(name, str) or not name.isidentifier():
        raise OptionError(f"{what} name {name!r} must be an identifier such as 'my_rule'")
    if not callable(function):
        raise OptionError(f"{what} {name!r}: {role} must be callable, not {function!r}")
