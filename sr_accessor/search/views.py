"""Views of the target: invertible T(y) that a law may be simple in; undoing one is an exact rewrite.

Each view carries dT/dy for the delta method (σ_T = |T′|·σ) and for working responses, so that under noise `log` and
`1/y` do not drown in the small values [search.md §2; search_findings.md §4].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions, constant, literal
from sr_accessor.expressions.vocabulary import Vocabulary

__all__ = ["VIEWS", "View", "view_of"]


@dataclass(frozen=True)
class View:
    """One transformation of the target.

    Parameters
    ----------
    name : how origins spell it
    forward : y -> T(y)
    slope : y -> dT/dy
    allowed : y -> whether T is invertible over these values
    undo : expressions of T(y) -> expressions of y
    needs : names of the operators that `undo` writes
    """

    name: str
    forward: Callable[[torch.Tensor], torch.Tensor]
    slope: Callable[[torch.Tensor], torch.Tensor]
    allowed: Callable[[torch.Tensor], bool]
    undo: Callable[[Expressions], Expressions]
    needs: tuple[str, ...] = ()

    def usable(self, y: torch.Tensor, vocabulary: Vocabulary) -> bool:
        """Whether the data allow this view and the active operators can undo it."""
        return all(name in vocabulary for name in self.needs) and self.allowed(y)


def _one(e: Expressions) -> Expressions:
    return literal([1.0], e.vocabulary, e.device)


def _shift(e: Expressions, value: float) -> Expressions:
    """A free constant: the law need not be shifted by exactly one."""
    return constant([value], e.vocabulary, e.device)


def _positive(y: torch.Tensor) -> bool:
    return bool(y.min() > 0)


def _within(limit: float) -> Callable[[torch.Tensor], bool]:
    return lambda y: bool(y.abs().max() < limit)


#: Shares as near to 0 and 1 as this say nothing of their logit; noise may put some of them this far outside.
SATURATED, OUTSIDE = 1e-12, 0.2


def _inside(y: torch.Tensor) -> torch.Tensor:
    return y.clamp(SATURATED, 1 - SATURATED)


def _share(y: torch.Tensor) -> bool:
    """Whether these are probabilities, populations or saturations, most of them neither 0 nor 1."""
    inside = (y > SATURATED) & (y < 1 - SATURATED)
    return bool(y.min() > -OUTSIDE and y.max() < 1 + OUTSIDE and inside.double().mean() > 0.25)


VIEWS: tuple[View, ...] = (
    View("y", lambda y: y, torch.ones_like, lambda y: True, lambda e: e),
    View("1/y", lambda y: 1 / y, lambda y: -(y**-2), lambda y: bool((y != 0).all()), lambda e: _one(e) / e, ("div",)),
    View("y²", lambda y: y * y, lambda y: 2 * y, _positive, lambda e: e.apply("sqrt"), ("sqrt",)),
    View("√y", torch.sqrt, lambda y: 0.5 * y**-0.5, _positive, lambda e: e.apply("square"), ("square",)),
    View("log y", torch.log, lambda y: 1 / y, _positive, lambda e: e.apply("exp"), ("exp",)),
    View("exp y", torch.exp, torch.exp, _within(30.0), lambda e: e.apply("log"), ("log",)),
    View(
        "1/y²", lambda y: y**-2, lambda y: -2 * y**-3, _positive,
        lambda e: _one(e) / e.apply("sqrt"), ("div", "sqrt"),
    ),
    View("y−1", lambda y: y - 1, torch.ones_like, lambda y: True, lambda e: _shift(e, 1.0) + e, ("add",)),
    View("y+1", lambda y: y + 1, torch.ones_like, lambda y: True, lambda e: _shift(e, -1.0) + e, ("add",)),
    View(
        "1/y−1", lambda y: 1 / y - 1, lambda y: -(y**-2), lambda y: bool((y != 0).all()),
        lambda e: _one(e) / (_one(e) + e), ("div", "add"),
    ),
    View(
        "log(1/y−1)", lambda y: torch.log(1 / _inside(y) - 1), lambda y: -1 / (_inside(y) * (1 - _inside(y))), _share,
        lambda e: _one(e) / (_one(e) + e.apply("exp")), ("div", "add", "exp"),
    ),
    View(
        "1−y²", lambda y: 1 - y * y, lambda y: -2 * y, lambda y: bool(y.abs().max() < 1 and y.min() > 0),
        lambda e: (_one(e) - e).apply("sqrt"), ("sub", "sqrt"),
    ),
    View("sin y", torch.sin, torch.cos, _within(math.pi / 2), lambda e: e.apply("asin"), ("asin",)),
    View(
        "cos y", torch.cos, lambda y: -torch.sin(y), lambda y: bool(y.min() >= 0 and y.max() <= math.pi),
        lambda e: e.apply("acos"), ("acos",),
    ),
    View("tan y", torch.tan, lambda y: 1 + torch.tan(y) ** 2, _within(1.5), lambda e: e.apply("atan"), ("atan",)),
)  # fmt: skip


def view_of(name: str) -> View:
    """The view of this name."""
    return next(view for view in VIEWS if view.name == name)
