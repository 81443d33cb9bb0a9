"""Physical dimensions of a batch: which candidates are consistent, the unit of each constant, and what is wrong.

Exponent vectors walk through the codes of all candidates at once, one pass per position: from the leaves up (what a
part has), from the root down (what a free constant must have). Scales do not matter: km and m may be added.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from sr_accessor.errors import UnitError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.operator import UNIT_RULES
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, VARIABLE, Vocabulary
from sr_accessor.tables import raise_all
from sr_accessor.units import ARBITRARY, BASE, EXPONENT_SLACK, parse_unit, unit_text

__all__ = ["Dimensions", "check_reachable", "consistent", "constant_units", "mismatch", "products"]

#: A free exponent is a fitted number; exponents of units that differ by less than this are the same.
SLACK = 1e-4
_SAME, _PRODUCT, _QUOTIENT, _INVERSE, _POWER, _HALF, _TWICE, _THRICE, _NONE = range(len(UNIT_RULES))
_ROOT = {_HALF: 0.5, _TWICE: 2.0, _THRICE: 3.0, _INVERSE: -1.0}


@dataclass(frozen=True, eq=False)
class Dimensions:
    """Units of the columns of one table.

    Parameters
    ----------
    texts : D units as given, None where unknown
    target_text : the target's unit as given, None where unknown
    inputs : (D, 7) exponents of the base units; 0 where unknown
    known : (D,) whether a column's unit is known; one without may have any
    target : (7,) exponents of the target's unit, or None where unknown
    """

    texts: tuple[str | None, ...]
    target_text: str | None
    inputs: torch.Tensor
    known: torch.Tensor
    target: torch.Tensor | None

    @classmethod
    def of(
        cls,
        units: Sequence[str | None],
        target_unit: str | None,
        names: Sequence[Hashable],
        target: Hashable,
        *,
        lenient: bool = False,
        device: torch.device | str = "cpu",
    ) -> Dimensions:
        """Units as text, e.g. of `Observations`, read; an arbitrary unit is an unknown one.

        Parameters
        ----------
        lenient : True takes texts that are no units as unknown

        Raises
        ------
        UnitError : texts that are no units, each with its column.
        """
        problems, read = [], []
        for label, text in zip((*names, target), (*units, target_unit), strict=True):
            try:
                read.append(None if text is None or text in ARBITRARY else parse_unit(text))
            except UnitError as error:
                problems.append(UnitError(f"column {label!r}: {error}"))
                read.append(None)
        if not lenient:
            raise_all(problems)
        texts = [None if unit is None else text for unit, text in zip(read, (*units, target_unit), strict=True)]
        rows = [[0.0] * len(BASE) if unit is None else [float(e) for e in unit.exponents] for unit in read]
        vectors = torch.tensor(rows, dtype=torch.float64, device=device)
        known = torch.tensor([unit is not None for unit in read[:-1]], dtype=torch.bool, device=device)
        target_vector = None if read[-1] is None else vectors[-1]
        return cls(tuple(texts[:-1]), texts[-1], vectors[:-1], known, target_vector)

    def label(self, names: Sequence[Hashable], d: int) -> str:
        """A column and its unit: 'm' [kg]."""
        return f"{names[d]!r} [{'unknown' if self.texts[d] is None else self.texts[d]}]"


# ---------------------------------------------------------------------- from the leaves up
@dataclass(frozen=True)
class _Upward:
    """vectors (B, L, W) of each part; known (B, L), False where a free constant lets it have any; fine (B, L)."""

    vectors: torch.Tensor
    known: torch.Tensor
    fine: torch.Tensor


def _rules(vocabulary: Vocabulary, device: torch.device) -> torch.Tensor:
    """(VARIABLE + 1,) index into UNIT_RULES by code."""
    table = torch.full((VARIABLE + 1,), _NONE, dtype=torch.int64)
    for i, operator in enumerate(vocabulary.operators):
        table[FIRST_OPERATOR + i] = UNIT_RULES.index(operator.units)
    return table.to(device)


def _exponents(e: Expressions, row: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """The number at (row, at), NaN where there is none."""
    if not e.constants.shape[1]:
        return torch.full(at.shape, torch.nan, dtype=torch.float64, device=e.device)
    return torch.where(e.is_number[row, at], e.constants[row, e.number_slot[row, at]], torch.nan)


def _upward(e: Expressions, inputs: torch.Tensor, known: torch.Tensor, free: bool) -> _Upward:
    """Vectors of all parts; `inputs` (D, W), of which the first 7 columns are compared."""
    length = e.codes.shape[1]
    index = (e.codes - VARIABLE).clamp(min=0)
    is_variable = e.codes >= VARIABLE
    vectors = torch.where(is_variable[:, :, None], inputs[index], 0.0)
    has = torch.where(is_variable, known[index], ~(e.codes == CONSTANT) if free else True)
    fine = torch.ones_like(has)
    rule = _rules(e.vocabulary, e.device)[e.codes.clamp(max=VARIABLE)]
    has &= ~((rule == _SAME) & (e.arities == 0))  # a named constant of any unit
    first, second = e.children
    root = torch.ones(len(UNIT_RULES), dtype=torch.float64, device=e.device)
    for word, power in _ROOT.items():
        root[word] = power
    for i in range(length - 1, -1, -1):  # positions, all rows at once that have an operator there
        row = (e.arities[:, i] > 0).nonzero()[:, 0]
        if not len(row):
            continue
        r, binary = rule[row, i], e.arities[row, i] == 2
        one, two = first[row, i], second[row, i]
        (a, has_a), (b, has_b) = (vectors[row, one], has[row, one]), (vectors[row, two], has[row, two] & binary)
        same, power, none = r == _SAME, r == _POWER, r == _NONE
        times = (r == _PRODUCT) | (r == _QUOTIENT)
        p = _exponents(e, row, two)
        # every rule is a sum of multiples; of add, min, max the known argument speaks for both
        of_a = torch.where(same, (has_a | ~binary).to(a), torch.where(power, p.nan_to_num(0.0), root[r]))
        of_b = torch.where(times, torch.where(r == _PRODUCT, 1.0, -1.0).to(a), (same & ~has_a & binary).to(a))
        of_a = of_a.masked_fill_(none, 0.0)
        vectors[row, i] = of_a[:, None] * a + of_b[:, None] * b
        has[row, i] = none | torch.where(same, has_a | has_b, has_a & (has_b | ~times))
        plain_a, plain_b = _plain(a) | ~has_a, _plain(b) | ~has_b
        fine[row, i] = (
            (~(same & has_a & has_b) | _plain(a - b))
            & (~power | (plain_b & (plain_a | p.isfinite())))
            & (~none | (plain_a & plain_b))
        )
    return _Upward(vectors, has, fine)


def _plain(vectors: torch.Tensor) -> torch.Tensor:
    """(B,) whether the base exponents of (B, W) are all 0."""
    return (vectors[:, : len(BASE)].abs() <= SLACK).all(1)


def consistent(expressions: Expressions, dimensions: Dimensions, *, free_constants: bool = False) -> torch.Tensor:
    """Whether each candidate's units fit together, and give the target's.

    Parameters
    ----------
    expressions : Expressions, B rows
    dimensions : of the variables and the target; a column without a unit may have any
    free_constants : True lets free constants carry any unit (``units="report"``), False none (``"strict"``).
        Literals never carry one.

    Returns
    -------
    (B,) bool
    """
    if not len(expressions):
        return torch.ones(0, dtype=torch.bool, device=expressions.device)
    up = _upward(expressions, dimensions.inputs, dimensions.known, free_constants)
    fine = (up.fine | ~expressions.present).all(1)
    if dimensions.target is None:
        return fine
    return fine & (~up.known[:, 0] | _plain(up.vectors[:, 0] - dimensions.target))


# ---------------------------------------------------------------------- from the root down
def constant_units(expressions: Expressions, dimensions: Dimensions) -> list[tuple[str | None, ...]]:
    """The unit that each number must carry for the law to be consistent, in the caller's own units.

    Returns
    -------
    B tuples of K texts; "" for a number without unit, None where the law does not tell (two constants that only
    occur as a product, columns without units, a law that is inconsistent anyway)
    """
    e = expressions
    given = list(dict.fromkeys(text for text in (*dimensions.texts, dimensions.target_text) if text is not None))
    coherent = all(parse_unit(text).factor == 1 for text in given)
    marks = torch.zeros(len(dimensions.texts) + 1, len(given), dtype=torch.float64, device=e.device)
    for i, text in enumerate((*dimensions.texts, dimensions.target_text)):
        if text is not None:
            marks[i, given.index(text)] = 1.0
    inputs = torch.cat([dimensions.inputs, marks[:-1]], 1)
    target = None if dimensions.target is None else torch.cat([dimensions.target, marks[-1]])
    vectors, told = _downward(e, _upward(e, inputs, dimensions.known, True), target)
    fine = consistent(e, dimensions, free_constants=True)
    slots = e.constants.shape[1]
    at = torch.where(e.is_number, e.number_slot, slots)
    rows = []
    for row in range(len(e)):  # a front, to be read
        texts: list[str | None] = [None] * slots
        for position, slot in enumerate(at[row].tolist()):
            if slot < slots and bool(told[row, position]) and bool(fine[row]):
                vector = vectors[row, position].tolist()
                si, own = vector[: len(BASE)], vector[len(BASE) :]
                texts[slot] = _si_text(si, given) if coherent else _joined(own, given, si)
        rows.append(tuple(texts))
    return rows


def _downward(e: Expressions, up: _Upward, target: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """What each part must have: vectors (B, L, W), and whether that is told (B, L)."""
    rows, length = e.codes.shape
    vectors, told = up.vectors.clone(), up.known.clone()
    if target is not None:
        vectors[:, 0] = torch.where(told[:, :1], vectors[:, 0], target)
        told[:, 0] = True
    rule = _rules(e.vocabulary, e.device)[e.codes.clamp(max=VARIABLE)]
    first, second = e.children
    every = torch.arange(rows, device=e.device)

    def demand(here: torch.Tensor, at: torch.Tensor, wanted: torch.Tensor, known: torch.Tensor) -> None:
        """Parts that are not told yet, in the rows `here`, must have what is `wanted` where that is `known`."""
        open_ = here & known & ~told[every, at]
        vectors[every[open_], at[open_]] = wanted[open_]
        told[every[open_], at[open_]] = True

    for i in range(length - 1):
        binary, r = e.arities[:, i] == 2, rule[:, i]
        inner = e.arities[:, i] > 0
        if not bool(inner.any()):
            continue
        one, two = first[:, i], second[:, i]
        d, has = vectors[:, i], told[:, i]
        a, has_a = up.vectors[every, one], up.known[every, one]
        b, has_b = up.vectors[every, two], up.known[every, two]
        p = _exponents(e, every, two)
        same, none = inner & (r == _SAME), inner & (r == _NONE)
        demand(same, one, d, has)
        demand(same & binary, two, d, has)
        zero, always = torch.zeros_like(d), torch.ones_like(has)
        demand(none, one, zero, always)
        demand(none & binary, two, zero, always)
        demand(r == _PRODUCT, one, d - b, has & has_b)
        demand(r == _PRODUCT, two, d - a, has & has_a)
        demand(r == _QUOTIENT, one, d + b, has & has_b)
        demand(r == _QUOTIENT, two, a - d, has & has_a)
        for word, power in _ROOT.items():
            demand(r == word, one, d / power, has)
        power = r == _POWER
        usable = p.isfinite() & (p != 0)
        demand(power, one, d / torch.where(usable, p, 1.0)[:, None], has & usable)
        demand(power, two, zero, always)
    return vectors, told


def _si_text(si: list[float], given: list[str]) -> str:
    """Exponents of base units as the caller calls them, "J", or as a product of base units."""
    for text in given:
        if all(abs(a - float(b)) <= EXPONENT_SLACK for a, b in zip(si, parse_unit(text).exponents, strict=True)):
            return text
    return unit_text(si)


def _joined(exponents: list[float], given: list[str], si: list[float]) -> str:
    """A product of powers of the caller's units as text; that of base units where it would be a number."""
    if all(abs(x) <= EXPONENT_SLACK for x in si):
        return ""
    above, below = [], []
    for text, exponent in zip(given, exponents, strict=True):
        if abs(exponent) > EXPONENT_SLACK:
            power = unit_text([0, abs(exponent), *[0] * (len(BASE) - 2)]).removeprefix("m")
            simple = text.replace("_", "").isalpha() or (exponent > 0 and not power)
            (above if exponent > 0 else below).append((text if simple else f"({text})") + power)
    denominator = "" if not below else f"/{below[0]}" if len(below) == 1 else f"/({' '.join(below)})"
    return (" ".join(above) or "1") + denominator


# ---------------------------------------------------------------------- what is wrong
def mismatch(
    expression: Expressions,
    dimensions: Dimensions,
    names: Sequence[Hashable],
    target: Hashable,
    *,
    free_constants: bool = False,
) -> str | None:
    """What does not fit in one expression, with the columns it is made of; None where all fits."""
    up = _upward(expression, dimensions.inputs, dimensions.known, free_constants)
    length = int(expression.lengths[0])
    wrong = (~up.fine[0, :length]).nonzero()[:, 0].tolist()

    def part(position: int) -> str:
        text = to_text(expression.subexpression(_one(0), _one(position)), names, digits=4)[0]
        unit = unit_text(up.vectors[0, position, : len(BASE)].tolist()) or "no unit"
        return f"{text} [{unit}]"

    if not wrong:
        if dimensions.target is None or bool(consistent(expression, dimensions, free_constants=free_constants)[0]):
            return None
        return f"the law {part(0)} cannot be the target {target!r} [{dimensions.target_text}]"
    at = wrong[-1]  # the innermost: what stands further right has no part that is wrong
    operator = expression.vocabulary.operator(int(expression.codes[0, at]))
    one, two = (int(c[0, at]) for c in expression.children)
    if operator.units == "same":
        return f"{operator.name} needs equal units, not {part(one)} and {part(two)}"
    if operator.units == "power":
        whole = f"{part(one)} to the power {part(two)}"
        return f"{whole}: an exponent has no unit, and is a number where the base has one"
    given = part(one) if operator.arity == 1 else f"{part(one)} and {part(two)}"
    return f"{operator.name} needs a number without unit, not {given}"


def _one(value: int) -> torch.Tensor:
    return torch.tensor([value])


def check_reachable(dimensions: Dimensions, names: Sequence[Hashable], target: Hashable) -> None:
    """Check that some product of powers of the columns has the target's unit, as every strict law needs.

    Raises
    ------
    UnitError : none has; tells the target's unit, the columns' and which lack one.
    """
    lacking = [repr(name) for name, known in zip(names, dimensions.known.tolist(), strict=True) if not known]
    if dimensions.target is None:
        lacking.append(f"the target {target!r}")
    told = ", ".join(dimensions.label(names, d) for d in range(len(names)))
    if lacking:
        raise UnitError(
            f"units='strict' needs the unit of every column; without one: {', '.join(lacking)}. "
            "Say them, df.attrs['units'] = {'T': 'K', 'n': ''} ('' for a pure number), or use units='report'"
        )
    columns = dimensions.inputs.T.cpu()  # (7, D)
    wanted = dimensions.target.cpu()
    found = torch.linalg.lstsq(columns, wanted[:, None], driver="gelsd").solution
    if float((columns @ found)[:, 0].sub(wanted).abs().max()) > SLACK:
        shown = dimensions.target_text or "no unit"
        raise UnitError(
            f"no product of powers of {told} has the unit [{shown}] of {target!r}; a quantity is missing, or a unit "
            "is wrong: add the column, give the constant as constants={...}, or use units='report'"
        )


def products(
    dimensions: Dimensions,
    wanted: torch.Tensor,
    *,
    powers: Sequence[float] = (-3, -2, -1, -0.5, 0.5, 1, 2, 3),
    most: int = 4,
    limit: int = 200_000,
) -> torch.Tensor:
    """Products of powers of at most `most` columns that have a wanted unit, the simplest first.

    Parameters
    ----------
    wanted : (7,) exponents; zeros ask for the dimensionless groups, `dimensions.target` for carriers of the unit
    powers : exponents to try
    limit : combinations tried at most, which bounds the columns taken together

    Returns
    -------
    (G, D) exponents of the columns, by Σ|exponent|; columns of unknown unit, and pure numbers, do not occur
    """
    columns = (dimensions.known & ~_plain(dimensions.inputs)).nonzero()[:, 0]
    choices = torch.tensor(powers, dtype=torch.float64, device=wanted.device)
    found = []
    for count in range(1, most + 1):
        sets = torch.combinations(columns, count)
        if not len(sets) or len(sets) * len(choices) ** count > limit:
            break
        tuples = torch.cartesian_prod(*[choices] * count).reshape(-1, count)
        made = torch.einsum("tc,scw->stw", tuples, dimensions.inputs[sets])
        s, t = ((made - wanted).abs() <= SLACK).all(2).nonzero().T
        exponents = torch.zeros(len(s), len(dimensions.known), dtype=torch.float64, device=wanted.device)
        found.append(exponents.scatter_(1, sets[s], tuples[t]))
    if not found:
        return torch.zeros(0, len(dimensions.known), dtype=torch.float64, device=wanted.device)
    every = torch.cat(found)
    return every[every.abs().sum(1).argsort(stable=True)]
