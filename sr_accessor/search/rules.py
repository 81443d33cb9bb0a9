"""Selection rules: which row of a front to show; one function per rule, one table of their names."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from sr_accessor.errors import InputError, PluginError, UnknownNameError, nearest
from sr_accessor.plugins.manager import catalogue
from sr_accessor.search.front import Front

__all__ = ["RULES", "check_rule", "choose"]


def _mdl(front: Front, n: int, validation: torch.Tensor | None) -> torch.Tensor:
    """bits of the data given the law plus bits of the law"""
    return front.description_length


def _bic(front: Front, n: int, validation: torch.Tensor | None) -> torch.Tensor:
    """2·loss + k·ln n  [Schwarz 1978]"""
    return 2 * front.loss + front.expressions.free.sum(1).to(front.loss) * math.log(n)


def _aic(front: Front, n: int, validation: torch.Tensor | None) -> torch.Tensor:
    """2·loss + 2·k  [Akaike 1974]"""
    return 2 * front.loss + 2 * front.expressions.free.sum(1)


def _accuracy(front: Front, n: int, validation: torch.Tensor | None) -> torch.Tensor:
    """least loss, whatever it costs"""
    return front.loss


def _knee(front: Front, n: int, validation: torch.Tensor | None) -> torch.Tensor:
    """farthest below the straight line from the simplest to the most accurate row [Satopää et al. 2011]"""
    if len(front) < 3:  # two points have no knee
        return front.loss
    position = front.complexity.to(front.loss)
    along = (position - position[0]) / (position[-1] - position[0])
    fallen = (front.loss[0] - front.loss) / (front.loss[0] - front.loss[-1])
    return along - fallen


def _validation(front: Front, n: int, validation: torch.Tensor | None) -> torch.Tensor:
    """least squared error of the held-out rows"""
    if validation is None:
        raise InputError("rule 'validation' needs held-out rows, and this fit kept none; fit with validation=0.2")
    return validation


#: name -> (front, number of observations, held-out error or None) -> (F,), the least wins, ties go to the simpler row
RULES: dict[str, Callable[[Front, int, torch.Tensor | None], torch.Tensor]] = {
    "mdl": _mdl,
    "bic": _bic,
    "aic": _aic,
    "knee": _knee,
    "accuracy": _accuracy,
    "validation": _validation,
}


def _price(rule: str) -> Callable[[Front, int, torch.Tensor | None], torch.Tensor]:
    """The function of a rule: ours, or a plugin's under its name or `plugin:name`."""
    if rule in RULES:
        return RULES[rule]
    theirs = catalogue().named("selection_rules")
    if rule not in theirs and ":" not in rule:
        raise UnknownNameError(f"no selection rule {rule!r}; {nearest(rule, [*RULES, *theirs])}")
    return catalogue().find("selection_rules", rule).price


def check_rule(rule: str) -> None:
    """Raise UnknownNameError where there is no such rule."""
    _price(rule)


def choose(front: Front, rule: str, n: int, validation: torch.Tensor | None = None) -> int:
    """Which row of `front` the rule chooses.

    Parameters
    ----------
    front : Front, F >= 1 rows
    rule : a name in `RULES`, or of a plugin's rule
    n : number of observations the losses were summed over
    validation : (F,), mean squared error of held-out rows; only "validation" reads it

    Raises
    ------
    UnknownNameError : no such rule
    InputError : "validation" without held-out rows
    PluginError : a plugin's rule does not give one price for each law
    """
    price = _price(rule)(front, n, validation)
    if not isinstance(price, torch.Tensor) or price.shape != (len(front),):
        raise PluginError(f"selection rule {rule!r} must give one price for each of {len(front)} laws, not {price!r}")
    return int(torch.where(price.isnan(), torch.inf, price).argmin())
