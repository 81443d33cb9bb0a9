"""Features: what a law may do to a group g with one inner constant: F(c·g), from the active unary operators.

Nothing here knows an operator by name: whether a function is a power (then exponents cover it), an exponential
(then its constant merges with the exponent), even or odd is read off its values on a grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions, literal
from sr_accessor.expressions.vocabulary import Vocabulary

__all__ = ["DEAR", "Feature", "features", "inner_grid"]


@dataclass(frozen=True)
class Feature:
    """F(z): values and how to write it.

    Parameters
    ----------
    name : how origins spell it
    value : z -> F(z), elementwise
    build : expressions of z -> expressions of F(z)
    exponential : F(cz) = F(z)^c, so that in a log view the constant is a regression coefficient
    signed : whether F(−z) is something new; if not, only positive c are tried
    bits : price; dear features get fewer starts
    sum : F(z) = 1 + z
    """

    name: str
    value: Callable[[torch.Tensor], torch.Tensor]
    build: Callable[[Expressions], Expressions]
    exponential: bool
    signed: bool
    bits: float
    sum: bool = False


def features(vocabulary: Vocabulary) -> tuple[Feature, ...]:
    """1 + z; and u(z), 1 + u(z), 1 − u(z) for each active unary function that is no power."""
    found: list[Feature] = []
    if "add" in vocabulary:
        found.append(Feature("1+z", lambda z: 1 + z, lambda e: _one(e) + e, False, True, 2.0, sum=True))
    z = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    for operator in vocabulary:
        if operator.arity != 1 or operator.linear != "none":
            continue
        u, name = operator.torch, operator.name
        at, at_minus, twice = u(z), u(-z), u(z / 2)
        ratio = at / twice
        finite = ratio.isfinite()
        if bool(finite.any()) and bool((ratio[finite] - ratio[finite][0]).abs().max() < 1e-9):
            continue  # a power: u(2z)/u(z) does not depend on z
        exponential = bool(torch.allclose(at, twice.square(), rtol=1e-9, equal_nan=False))
        parity = bool(torch.allclose(at, at_minus, rtol=1e-9)) or bool(torch.allclose(at, -at_minus, rtol=1e-9))
        apply = _applied(name)
        found.append(Feature(name, u, apply, exponential, not parity, operator.bits))
        if operator.bits >= DEAR:
            continue
        if "add" in vocabulary:
            found.append(Feature(f"1+{name}", _plus(u), _then(apply, "add"), False, not parity, operator.bits + 2))
        if "sub" in vocabulary:
            found.append(Feature(f"1−{name}", _minus(u), _then(apply, "sub"), False, not parity, operator.bits + 2))
        if "add" in vocabulary and not bool(at_minus.isfinite().all()):
            # log and its like: defined for positive arguments only, so shifted ones are features of their own
            found.append(Feature(f"{name}(1+z)", _shifted(u), _of_shift(apply), False, True, operator.bits + 2))
    return tuple(found)


#: Functions of this price (tan, asin, tanh …) are rare in laws: they come alone and with few starts.
DEAR = 7.0
#: Starts for c itself: small integers and fractions, and the π multiples of textbook arguments.
PLAIN = (1.0, 0.5, 2.0, 1 / 3, 3.0, math.pi, 2 * math.pi, 1 / (2 * math.pi))
#: Starts for c·max|g|: from barely curved to a few periods [search_findings.md §3].
REACH = (0.05, 0.25, 0.6, 0.95, 1.5, 3.0, 6.0, 12.0)
#: Starts for c·(geometric mean of |g|): decades of exponentials over data that span decades.
TYPICAL = (0.1, 0.5, 2.0)


def inner_grid(feature: Feature, groups: torch.Tensor) -> torch.Tensor:
    """(M, C) starting values of the inner constant for each group (M, N)."""
    largest = groups.abs().amax(1, keepdim=True)
    typical = groups.abs().clamp(min=1e-300).log().mean(1, keepdim=True).exp()
    plain = torch.tensor(PLAIN, dtype=groups.dtype, device=groups.device).expand(len(groups), -1)
    reach = torch.tensor(REACH, dtype=groups.dtype, device=groups.device) / largest
    middle = torch.tensor(TYPICAL, dtype=groups.dtype, device=groups.device) / typical
    if feature.bits >= DEAR:
        return torch.cat([plain[:, :3], reach[:, 2:6]], 1)
    grid = torch.cat([plain, reach, middle], 1)
    return torch.cat([grid, -plain[:, :3], -reach, -middle[:, 1:]], 1) if feature.signed else grid


def _one(e: Expressions) -> Expressions:
    return literal([1.0], e.vocabulary, e.device)


def _applied(name: str) -> Callable[[Expressions], Expressions]:
    return lambda e: e.apply(name)


def _then(apply: Callable[[Expressions], Expressions], sign: str) -> Callable[[Expressions], Expressions]:
    return lambda e: _one(e).apply(sign, apply(e))


def _of_shift(apply: Callable[[Expressions], Expressions]) -> Callable[[Expressions], Expressions]:
    return lambda e: apply(_one(e) + e)


def _plus(u: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda z: 1 + u(z)


def _minus(u: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda z: 1 - u(z)


def _shifted(u: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda z: u(1 + z)
