"""Known laws: a formula and what its parameters are, and the likeliest values of these from many starts in one batch.

`curve_fit` with a formula instead of a function: all starts are refined in one batch under the noise model, and the
likeliest end wins. It knows no search.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import torch

from sr_accessor.device import DTYPE
from sr_accessor.errors import InputError, OptionError, SymRegWarning, UnknownNameError, nearest
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.dimensions import Dimensions, mismatch
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse_model
from sr_accessor.expressions.vocabulary import VARIABLE
from sr_accessor.observations import Observations
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.refinement.exchange import exchanges
from sr_accessor.refinement.likelihood import MANY_PASSES, Parameters, most_likely
from sr_accessor.refinement.solution import Reason, Refined
from sr_accessor.search.front import Front
from sr_accessor.search.guesses import unknown_names
from sr_accessor.search.selection import Data, score
from sr_accessor.search.units import demanded

__all__ = ["KnownLaw", "Optimum", "bounds_of", "finite", "optimum", "read_law", "starts_of", "unit_remarks"]

#: Where parameters without a start begin; restarts draw magnitudes from these decades, log-uniform, or move the start
#: by this factor (standard deviation of its logarithm).
START, DECADES, NEAR = 1.0, (-3.0, 3.0), 0.7
#: Steps of every start, and of the best ones until nothing is gained: nats a step must promise.
STEPS, FINAL_STEPS, TOLERANCE, FINAL_TOLERANCE = 100, 500, 1e-6, 1e-16
#: Best starts that are refined to the end, and nats within which two of them are at the same optimum.
FINALISTS, SAME = 5, 1e-3
#: Nats within which refined optima are equally likely.
EQUAL = 1e-6
#: Squared logarithm of a factor that a change of sign counts as.
FLIPPED = 100.0
#: Relative difference of values that is no difference.
ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class KnownLaw:
    """A formula over labels, and what its parameters are.

    Parameters
    ----------
    expression : one row over `names`
    names : labels of the inputs that it reads
    numbers : what each of its numbers is; written numbers are parameters without a name, and held
    start : (P,) start values, NaN where the user gave none
    """

    expression: Expressions
    names: tuple[Hashable, ...]
    numbers: Parameters
    start: torch.Tensor

    def checked(self) -> KnownLaw:
        """Itself.

        Raises
        ------
        InputError : a start, or a held value, outside of its bounds.
        """
        p = self.numbers
        for name, v, low, high in zip(p.names, self.start.tolist(), p.lower.tolist(), p.upper.tolist(), strict=True):
            if name and not (math.isnan(v) or low <= v <= high):
                raise InputError(f"{name!r} starts or is fixed at {v:g}, outside of its bounds {low:g} … {high:g}")
        return self


def read_law(
    formula: str,
    labels: Sequence[Hashable],
    target: Hashable,
    *,
    start: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    fix: Mapping[str, float] | None = None,
) -> KnownLaw:
    """A formula such as "b1*(1 - exp(-b2*x))"; names that are no labels are parameters.

    Parameters
    ----------
    labels : columns that may stand in it
    target : the column that it gives, which may not
    start : {parameter: first value}
    bounds : {parameter: (lower, upper)}, None where there is none
    fix : {parameter: value that it keeps}

    Raises
    ------
    ParseError : no expression.
    InputError : it reads the target or no column; no parameter is free; bounds or values that cannot be.
    UnknownNameError : start, bounds or fix of what is no parameter.
    OptionError : an argument of the wrong kind.
    """
    if not isinstance(formula, str):
        raise OptionError(f"formula={formula!r}; give text such as 'b1*(1 - exp(-b2*x))'")
    operators = vocabulary("default")
    others = [label for label in labels if label != target]
    start, bounds, fix = (_mapping(name, given) for name, given in (("start", start), ("bounds", bounds), ("fix", fix)))
    unknown = unknown_names(formula, operators, others, {*start, *bounds, *fix})
    if str(target) in unknown:
        raise InputError(f"the formula reads the target {target!r}; write it of other columns and of parameters")
    for what, given in (("start", start), ("bounds", bounds), ("fix", fix)):
        for name in given:
            if name not in unknown:
                raise UnknownNameError(f"{what} names {name!r}, which is no parameter; {nearest(name, unknown)}")
    if both := sorted(set(start) & set(fix)):
        raise InputError(f"{both[0]!r} has a start and is fixed; give one of them")
    read = parse_model(formula, operators, others, dict.fromkeys(unknown, START))
    used = sorted({c - VARIABLE for c in read.expressions.codes[0].tolist() if c >= VARIABLE})
    names = tuple(others[i] for i in used)
    if not names:
        raise InputError(f"the formula reads no column: its names {unknown} are all parameters; columns: {others[:10]}")
    read = parse_model(formula, operators, names, dict.fromkeys(unknown, START))
    return _bound(read.expressions, read.parameters, names, start, bounds, fix)


def _mapping(name: str, given: Any) -> Mapping[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise OptionError(f"{name}={given!r}; give a dictionary from parameter to value")
    return given or {}


def _bound(
    e: Expressions,
    called: Sequence[str | None],
    names: tuple[Hashable, ...],
    start: Mapping[str, float],
    bounds: Mapping[str, Any],
    fix: Mapping[str, float],
) -> KnownLaw:
    """The parameters of an expression, by their names in the order in which they appear."""
    keys = list(dict.fromkeys(name if name else i for i, name in enumerate(called)))  # a written number: its place
    index = torch.tensor([keys.index(name if name else i) for i, name in enumerate(called)], dtype=torch.int64)
    lower, upper = zip(*(bounds_of(key, bounds.get(key)) for key in keys), strict=True) if keys else ((), ())
    said = {name: finite(name, given) for name, given in {**start, **fix}.items()}
    value = [said.get(key, math.nan) for key in keys]
    written = torch.zeros(len(keys), dtype=DTYPE).index_copy_(0, index, e.constants[0, : len(called)])
    free = torch.tensor([isinstance(key, str) and key not in fix for key in keys], dtype=torch.bool)
    lower, upper, value = (torch.tensor(part, dtype=DTYPE) for part in (lower, upper, value))
    if not bool(free.any()):
        raise InputError("no parameter is free: nothing can be refined; name a parameter, or leave it out of fix=")
    named = [key if isinstance(key, str) else "" for key in keys]
    value = torch.where(torch.tensor([bool(name) for name in named]), value, written)
    constants = torch.where(value.isnan(), written, value)[index][None]
    e = e.with_constants(constants).with_literals(~free[index][None])
    return KnownLaw(e, names, Parameters(index, lower, upper, free[None], tuple(named)), value).checked()


def bounds_of(name: str | int, given: Any) -> tuple[float, float]:
    """(lower, upper) of a parameter, infinite where there is none.

    Raises
    ------
    OptionError : no pair of numbers.
    InputError : an interval without inside.
    """
    if given is None:
        return -math.inf, math.inf
    if not (isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2):
        raise OptionError(f"bounds of {name!r} are {given!r}; give (lower, upper), None where there is none")
    low, high = (
        side if limit is None else _number(name, limit)
        for side, limit in zip((-math.inf, math.inf), given, strict=True)
    )
    if not low < high:
        raise InputError(f"bounds of {name!r} are {low:g} … {high:g}; the lower one must be smaller, or fix it")
    return low, high


def finite(name: str | int, given: Any) -> float:
    """What a parameter is given.

    Raises
    ------
    OptionError : no number.
    InputError : none that is finite.
    """
    if math.isfinite(number := _number(name, given)):
        return number
    raise InputError(f"{name!r} is given {number}; give a finite number")


def _number(name: str | int, given: Any) -> float:
    if not isinstance(given, Real) or isinstance(given, bool):
        raise OptionError(f"{name!r} is given {given!r}; give a number")
    return float(given)


def unit_remarks(law: KnownLaw, observations: Observations) -> list[SymRegWarning]:
    """That a unit cannot be read, or what in the law does not fit together whatever units its numbers have."""
    _, remarks = demanded(observations, "report")
    if remarks:
        return remarks
    columns = (observations.units, observations.target_unit, observations.names, observations.target)
    given = (Dimensions.of(*columns), observations.names, observations.target)
    told = mismatch(law.expression.freed(), *given, free_constants=True)
    text = f"{told}. No unit of a constant follows from such a law; mend it, or the units"
    return [] if told is None else [SymRegWarning("UNITS", text)]


@dataclasses.dataclass(frozen=True)
class Optimum:
    """The likeliest end of all starts: a front of one law, whether it had settled, and how many starts reached it."""

    front: Front
    settled: bool
    reached: int

    @property
    def remarks(self) -> tuple[SymRegWarning, ...]:
        """What there is to say where it had not settled."""
        text = f"the likelihood was still rising after {FINAL_STEPS} steps; give other starts, or bounds"
        return () if self.settled else (SymRegWarning("NO_CONVERGENCE", text),)


def optimum(law: KnownLaw, starts: Expressions, data: Data) -> Optimum:
    """All starts refined in one batch, the best of them to the end.

    Raises
    ------
    InputError : no start, nor any restart, has a finite likelihood.
    """
    given = (data.x, data.y, data.noise, data.sigma)
    numbers = dataclasses.replace(law.numbers, free=law.numbers.free.expand(len(starts), -1))
    options = {"errors": data.errors, "steps": STEPS, "tolerance": TOLERANCE}
    found = most_likely(starts, *given, parameters=numbers, **options)
    order = found.loss.argsort(stable=True)
    if not bool(found.loss[order[0]].isfinite()):
        raise InputError(
            "the law has no finite value or no likelihood on some row, from the start and all restarts; give start= "
            "or bounds= that keep it in its domain, e.g. bounds={'a': (0, None)}"
        )
    options |= {"steps": FINAL_STEPS, "tolerance": FINAL_TOLERANCE, "passes": MANY_PASSES}
    # Equally likely optima, such as a frequency and its alias: the nearest to the start is meant.
    alike = found.loss < found.loss[order[0]] + SAME
    away = torch.where(alike, _distance(law, law.numbers.values(found.expressions.constants)), torch.inf)
    best = torch.cat([order[:FINALISTS], away.argsort(stable=True)[: min(FINALISTS, int(alike.sum()))]])
    final = most_likely(found.expressions[best], *given, parameters=numbers[best], **options)
    away = _distance(law, law.numbers.values(final.expressions.constants))
    winner = int(torch.where(final.loss < final.loss.min() + EQUAL, away, torch.inf).argmin())
    reached = int((found.loss < final.loss[winner] + SAME).sum())
    front = score(_as_started(law, final.expressions[winner], data.x), data, ("formula",)).front()
    return Optimum(front, _settled(final, winner), reached)


def _distance(law: KnownLaw, values: torch.Tensor) -> torch.Tensor:
    """(B,) how far parameters are from their start, in squared factors; another sign is far."""
    started = law.numbers.free[0] & ~law.start.isnan()
    share = torch.where(started & (law.start != 0), values / law.start, 1.0)
    return torch.where(share > 0, share.clamp(min=1e-300).log().square(), FLIPPED).sum(1)


def _as_started(law: KnownLaw, expression: Expressions, x: torch.Tensor) -> Expressions:
    """The same values, written nearest to the start: signs that do not matter, then the order of equal terms."""
    p = law.numbers
    numbers = p.values(expression.constants)
    flips = numbers.expand(len(numbers[0]), -1) * (1 - 2 * torch.eye(len(numbers[0]), dtype=DTYPE))
    flipped = evaluate(expression[[0] * len(flips)].with_constants(flips[:, p.index]), x)[0]
    given = evaluate(expression, x)[0]
    same = ((flipped - given).abs() <= ROUNDING * given.abs()).all(1)
    wrong = same & p.free[0] & (numbers[0] * law.start < 0)
    numbers = torch.where(wrong, -numbers, numbers)
    turned = numbers[0, p.index][exchanges(expression)]
    values = p.values(turned)
    kept = torch.where(p.free, True, values == numbers).all(1)
    kept &= (values[:, p.index] == turned).all(1)  # two places of one parameter
    kept &= ((values >= p.lower) & (values <= p.upper)).all(1)
    nearest_one = torch.where(kept, _distance(law, values), torch.inf).argmin()
    return expression.with_constants(turned[nearest_one][None])


def _settled(final: Refined, row: int) -> bool:
    return int(final.reason[row]) in (Reason.CONVERGED, Reason.NO_CONSTANTS, Reason.NO_DESCENT)


def starts_of(law: KnownLaw, restarts: int, generator: torch.Generator) -> Expressions:
    """The given start, and others: near it, and of any magnitude, all within the bounds."""
    p = law.numbers
    given, count = law.start, len(law.start)
    normal = torch.randn(restarts, count, generator=generator, dtype=DTYPE)
    uniform = torch.rand(restarts, count, generator=generator, dtype=DTYPE)
    low, high = DECADES
    anywhere = normal.sign() * 10 ** (low + (high - low) * uniform)
    boxed = p.lower.isfinite() & p.upper.isfinite()
    anywhere = torch.where(boxed, p.lower + (p.upper - p.lower) * uniform, anywhere)
    # Half-bounded: on the right side of the bound.
    anywhere = torch.where(~boxed & p.lower.isfinite(), p.lower + anywhere.abs(), anywhere)
    anywhere = torch.where(~boxed & p.upper.isfinite(), p.upper - anywhere.abs(), anywhere)
    centre = torch.where(given.isnan(), START, given)
    near = centre * torch.exp(NEAR * normal) + torch.where(centre == 0, normal, 0.0)
    odd = torch.arange(restarts)[:, None] % 2 == 1
    values = torch.cat([centre[None], torch.where(odd | given.isnan(), anywhere, near)])
    # A start on a bound would not leave it.
    inside = torch.where(boxed, 1e-6 * (p.upper - p.lower), 1e-6 * centre.abs() + 1e-12)
    values = torch.where(p.free, values.clamp(p.lower + inside, p.upper - inside), given)
    return law.expression[[0] * len(values)].with_constants(values[:, p.index])
