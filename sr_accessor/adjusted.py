"""Adjusted laws: constants held, bounded or snapped to simple numbers, and the others refined again.

Everything here maps a known law to another one; `known_law.optimum` refines it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from sr_accessor.errors import OptionError, UnknownNameError, nearest
from sr_accessor.known_law import KnownLaw, bounds_of, finite
from sr_accessor.refinement.likelihood import most_likely
from sr_accessor.search.selection import SNAP_ROUNDS, Data, as_rational, score, snap_order
from sr_accessor.uncertainty.laplace import covariance

__all__ = ["KINDS", "bounded", "held", "snapped"]

#: What constants may snap to: whole numbers; fractions and short decimals; also multiples of π and √2, as in a search.
KINDS = ("integer", "rational", "any")
#: Steps of refinement beside the snapped constants.
STEPS = 100


def held(law: KnownLaw, values: Mapping[str, Any]) -> KnownLaw:
    """The law with parameters held at these values, or free again where the value is None.

    Raises
    ------
    UnknownNameError : no such parameter.
    OptionError, InputError : what is no finite number, or outside of the bounds.
    """
    p = law.numbers
    at = _places(law, values, "fix", "2.0")
    free, start = p.free.clone(), law.start.clone()
    for place, (name, value) in zip(at, values.items(), strict=True):
        free[0, place] = value is None
        start[place] = start[place] if value is None else finite(name, value)
    return _with(law, free, start).checked()


def bounded(law: KnownLaw, bounds: Mapping[str, Any]) -> KnownLaw:
    """The law with parameters inside these bounds, (lower, upper), None where there is none; one outside moves inside.

    Raises
    ------
    UnknownNameError : no such parameter.
    OptionError, InputError : no bounds, or a held parameter outside of them.
    """
    p = law.numbers
    at = _places(law, bounds, "bound", "(0, None)")
    lower, upper = p.lower.clone(), p.upper.clone()
    for place, (name, limits) in zip(at, bounds.items(), strict=True):
        lower[place], upper[place] = bounds_of(name, limits)
    start = torch.where(p.free[0], law.start.clamp(lower, upper), law.start)
    return _with(replace(law, numbers=replace(p, lower=lower, upper=upper)), p.free, start).checked()


def snapped(law: KnownLaw, data: Data, to: str) -> KnownLaw:
    """The law with those parameters held at simple numbers that shorten its description, as a search snaps them.

    Parameters
    ----------
    law : at its optimum
    data : the rows that it is judged on
    to : one of `KINDS`

    In every round parameters snap one after the other, the others following by their covariance; after each of these
    turns the free ones are refined, all turns in one batch, and the shortest description stays.
    """
    length = score(law.expression, data, ("formula",)).description_length
    for _ in range(SNAP_ROUNDS):
        p, e = law.numbers, law.expression
        sigma = data.spread(e)
        spread = covariance(e, data.x, data.y, sigma, noise=data.noise, parameters=p.off_bounds(e.constants)).covariance
        rational = torch.zeros_like(p.free, dtype=torch.int64).index_add_(1, p.index, as_rational(e).long()) > 0
        given = (p.values(e.constants), spread.nan_to_num(nan=0.0), p.free, rational | (to != "any"))
        numbers, turn = snap_order(*given, whole=to == "integer")
        inside = (numbers >= p.lower) & (numbers <= p.upper)
        turn = torch.where(inside, turn, turn.shape[1])
        turns = int((turn < turn.shape[1]).sum())
        if not turns:
            break
        fixed = turn <= turn.sort().values[0, :turns, None]  # (turns, P)
        tried = p.values(e.constants).where(~fixed, numbers)
        free = p.free & ~fixed
        variants = e[[0] * turns].with_constants(tried[:, p.index]).with_literals(~free[:, p.index])
        found = most_likely(
            variants, data.x, data.y, data.noise, data.sigma, errors=data.errors, parameters=replace(p, free=free),
            steps=STEPS,
        )  # fmt: skip
        again = score(found.expressions, data, ("formula",) * turns).description_length
        best = int(again.argmin())
        if not bool(again[best] < length):
            break
        length = again[best]
        law = _with(law, free[best : best + 1], p.values(found.expressions.constants)[best])
    return law


def _with(law: KnownLaw, free: torch.Tensor, start: torch.Tensor) -> KnownLaw:
    """The law with these parameters (1, P) free, all of them at `start` (P,), the held ones as written numbers."""
    p = law.numbers
    e = law.expression.freed().with_constants(start[p.index][None]).with_literals(~free[:, p.index])
    return replace(law, expression=e, numbers=replace(p, free=free), start=start)


def _places(law: KnownLaw, given: Mapping[str, Any], verb: str, example: str) -> list[int]:
    """Where the named parameters stand."""
    known = [name for name in law.numbers.names if name]
    if not given:
        raise OptionError(f"name a constant, such as .{verb}({known[0] if known else 'c0'}={example}); known: {known}")
    for name in given:
        if name not in known:
            told = nearest(name, known) if known else "it has none with a name"
            raise UnknownNameError(f"the law has no constant {name!r}; {told}")
    return [law.numbers.names.index(name) for name in given]
