"""Selection: description length under the noise model, and numbers snapped where the data cannot tell.

DL = −log₂ likelihood + bits of the structure + bits of every number [search.md §5, search_findings.md §6]. A free
constant costs the digits that the data determine; a snapped one (2, 1/3, π/4 …) costs what it takes to say it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import torch

from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.expressions.description import (
    CONVERGENTS,
    DECIMAL_BITS,
    DENOMINATORS,
    FACTORS,
    LARGEST_NUMERATOR,
    MOST_DIGITS,
    constant_bits,
    convergents,
    decimals,
    literal_bits,
    structure_bits,
)
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.phases import phases, turnable, turned
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import VARIABLE
from sr_accessor.noise.gaussian import Gaussian
from sr_accessor.noise.model import NoiseModel, least_scale
from sr_accessor.noise.screening import suspects
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.likelihood import LawErrors, most_likely
from sr_accessor.refinement.pieces import Curvature, curvature, descend
from sr_accessor.refinement.solution import Refined
from sr_accessor.search.front import Front

__all__ = [
    "MOST_ROWS",
    "Data",
    "Scored",
    "as_rational",
    "best_front",
    "in_exponent",
    "refit",
    "rough_bits",
    "score",
    "snap",
    "snap_order",
    "snap_savings",
    "stack",
    "turns",
]

#: Directions of the curvature below this, relative, are not determined.
LEAST_EIGENVALUE = 1e-13
#: Numbers of such a direction that are tried without, the largest components first, and least component.
MOST_TIED, LEAST_COMPONENT = 3, 0.1
#: A search looks at no more rows than these; only what it found is refined on more, in pieces.
MOST_ROWS = 20_000
#: Standard deviations that a row which looks like an outlier has in least squares, of those of its noise model.
DOUBTED = 1e3


@dataclass(frozen=True)
class Data:
    """The rows that candidates are judged on.

    Parameters
    ----------
    x : (N, D); y : (N,); sigma : (N,) or None; noise : NoiseModel
    errors : errors that depend on the law: of x, and of y where they differ downwards and upwards; or None
    """

    x: torch.Tensor
    y: torch.Tensor
    sigma: torch.Tensor | None
    noise: NoiseModel
    errors: LawErrors | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def plain(self) -> bool:
        """Whether least squares is all there is: Gaussian noise, and errors that do not depend on the law."""
        return isinstance(self.noise, Gaussian) and self.errors is None

    @cached_property
    def doubt(self) -> torch.Tensor:
        """(N,) factor of each row's spread in least squares: 1, and large for rows that look like outliers."""
        return torch.where(suspects(self.noise, self.x, self.y, self.sigma), DOUBTED, 1.0).to(self.y)

    @cached_property
    def screening_sigma(self) -> torch.Tensor:
        """(N,) spread of each y, known or guessed from the measurements, up to a factor."""
        return self.noise.screening_sigma(self.y, self.sigma) * self.doubt

    @property
    def weight(self) -> torch.Tensor | None:
        """(N,) of least squares, where no law is known yet: 1/σ², or None where all rows weigh alike."""
        return None if self.plain and self.sigma is None else self.screening_sigma**-2

    def spread(self, expressions: Expressions) -> torch.Tensor | None:
        """Error bars of y − f: sigma, or (B, N) where they depend on the law."""
        return self.sigma if self.errors is None else self.errors.sigma(expressions, self.x, self.y)

    def rows(self, index: torch.Tensor) -> Data:
        """Some of the rows."""
        sigma = None if self.sigma is None else self.sigma[index]
        errors = None if self.errors is None else self.errors[index]
        return Data(self.x[index], self.y[index], sigma, self.noise, errors)


def refit(expressions: Expressions, data: Data, *, steps: int) -> Refined:
    """Candidates with the constants that the data make likeliest; only `rough_bits` knows what `loss` then means.

    On more than `MOST_ROWS` rows the constants must be near their best ones, as some of the rows gave them.
    """
    if len(data) > MOST_ROWS:
        return descend(expressions, data.x, data.y, data.sigma, data.noise, data.errors, steps=steps)
    if data.plain:
        return levenberg_marquardt(expressions, data.x, data.y, data.weight, steps=steps)
    return most_likely(expressions, data.x, data.y, data.noise, data.sigma, errors=data.errors, steps=steps)


def rough_bits(refined: Refined, data: Data, rows: int, floor: torch.Tensor | float) -> torch.Tensor:
    """(B,) bits of `rows` rows given a law, guessed from its loss on the rows of `data`; degrees of freedom counted.

    `floor` is the least sum of squares that least squares is taken at its word.
    """
    points = len(data)
    left = (points - refined.expressions.free.sum(1)).clamp(min=1)
    if data.plain:
        return 0.5 * rows * torch.log2((refined.loss + floor) / left)
    # An own scale fits k constants' share of the scatter too: log(N/(N − k)) as for the normal one.
    shrunk = torch.log2(points / left) / 2 if data.noise.degrees(data.sigma) else 0.0
    return rows * (refined.loss / (points * math.log(2)) + shrunk)


@dataclass(frozen=True)
class Scored:
    """Refined candidates with their prices.

    Parameters
    ----------
    expressions : B rows; loss : (B,) nats over the rows of the data; bits : (B,); stderr : (B, K), NaN where absent
    origins : B texts
    """

    expressions: Expressions
    loss: torch.Tensor
    bits: torch.Tensor
    stderr: torch.Tensor
    origins: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.expressions)

    @property
    def description_length(self) -> torch.Tensor:
        """(B,) bits"""
        return self.loss / math.log(2) + self.bits

    def __getitem__(self, rows: torch.Tensor) -> Scored:
        origins = tuple(self.origins[i] for i in rows.tolist())
        return Scored(self.expressions[rows], self.loss[rows], self.bits[rows], self.stderr[rows], origins)

    def front(self) -> Front:
        """As a front, not yet thinned."""
        return Front(self.expressions, self.loss, self.bits, self.origins)


def score(expressions: Expressions, data: Data, origins: tuple[str, ...]) -> Scored:
    """Loss, standard errors and description length of refined candidates.

    Standard errors come from the curvature (JᵀWJ)⁻¹, scaled by the residuals where there are no error bars.
    """
    found = curvature(expressions, data.x, data.y, data.sigma, data.noise, data.errors)
    free = expressions.free
    sound, covariance, tied = _covariance(found, free)
    stderr = covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
    stderr = torch.where(free & (found.normal.diagonal(dim1=1, dim2=2) > 0), stderr, torch.nan)
    numbers = torch.where(free, constant_bits(expressions.constants, stderr), literal_bits(expressions.constants))
    held = torch.arange(numbers.shape[1], device=numbers.device) < expressions.number_counts[:, None]
    # Any table has a mean: its number is hardly news, else `y = x2`, which has none, would be cheaper than the mean.
    depends = (expressions.codes >= VARIABLE).any(1)
    numbers = torch.where(held, numbers, 0.0) * torch.where(depends, 1.0, MEAN_SHARE)[:, None]
    bits = structure_bits(expressions, data.x.shape[1]) + numbers.sum(1) + tied
    loss = torch.where(sound, found.loss, torch.inf)
    return Scored(expressions, loss, bits, stderr, origins)


def _covariance(found: Curvature, free: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which curvatures (B,) are sound, the covariance (B, K, K) they give, 0 for numbers that are not free, and the
    bits (B,) that digits of correlated numbers cost beyond their own standard errors.

    A number is written to its own standard error, yet the data determine combinations of correlated ones far better:
    by −½·log₂ det R bits, R their correlations [Wallace & Freeman 1987: the determinant of the information]. Without
    these 723·cos(0.07·x) − 722 is cheaper than the parabola that it imitates.
    """
    unit, scale, present, sound = _correlations(found, free)
    within = present[:, :, None] & present[:, None, :]
    if not unit.shape[1]:
        return sound, unit, unit.new_zeros(len(unit))
    value, vector = torch.linalg.eigh(unit)
    kept = value > LEAST_EIGENVALUE * value[:, -1:]
    inverse = (vector * torch.where(kept, 1 / value, 0.0)[:, None, :]) @ vector.mT
    own = torch.where(present, inverse.diagonal(dim1=1, dim2=2), 1.0).clamp(min=1e-300)
    tied = 0.5 * (torch.where(kept, value, 1.0).log2().sum(1) + own.log2().sum(1)).clamp(min=0)
    return sound, torch.where(within, inverse * scale[:, :, None] * scale[:, None, :], 0.0), tied


def _correlations(
    found: Curvature, free: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Curvatures (B, K, K) with ones on the diagonal, the scales (B, K) that do this, which numbers (B, K) are free and
    matter, and which curvatures (B,) are sound; rows and columns of other numbers are those of the identity.
    """
    normal = found.normal
    diagonal = normal.diagonal(dim1=1, dim2=2)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    unit = normal * scale[:, :, None] * scale[:, None, :]
    present = free & (diagonal > 0)
    within = present[:, :, None] & present[:, None, :]
    eye = torch.eye(unit.shape[1], dtype=unit.dtype, device=unit.device)
    sound = unit.isfinite().all(-1).all(-1) & found.valid
    return torch.where(within & sound[:, None, None], unit, eye), scale, present, sound


def _tied(found: Curvature, free: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (V,), and each with one number (V,) that another one can stand for: the data do not tell them apart."""
    unit, _, present, sound = _correlations(found, free)
    if not unit.shape[1] or not len(unit):
        return present.nonzero().T[0], present.nonzero().T[1]
    value, vector = torch.linalg.eigh(unit)
    open_ = sound & (value[:, 0] <= LEAST_EIGENVALUE * value[:, -1])
    component = torch.where(present & open_[:, None], vector[:, :, 0].abs(), 0.0)
    best = component.topk(min(MOST_TIED, component.shape[1]))
    row, place = (best.values > LEAST_COMPONENT).nonzero().T
    return row, best.indices[row, place]


def _snap_table() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values and bits of everything a number may snap to (positive, and zero), and which are irrational."""
    found, fractions = {0.0: 1.0}, {0.0}
    for factor, price in FACTORS:
        for q in DENOMINATORS:
            for p in range(1, LARGEST_NUMERATOR + 1):
                if math.gcd(p, q) == 1:
                    value = p / q * factor
                    bits = 1 + 2 * math.log2(p) + 2 * math.log2(q) + price
                    found[value] = min(bits, found.get(value, math.inf))
                    fractions |= {value} if factor == 1.0 else set()
    values = torch.tensor(sorted(found), dtype=torch.float64)
    bits = torch.tensor([found[v] for v in values.tolist()], dtype=torch.float64)
    return values, bits, torch.tensor([v not in fractions for v in values.tolist()])


SNAP_VALUES, SNAP_BITS, SNAP_IRRATIONAL = _snap_table()
#: A number may move by this many standard errors, or by this relative distance where the data determine more digits.
SNAP_SIGMAS, SNAP_RELATIVE = 3.0, 1e-9
#: One-sided deviate of the same probability: together k numbers may cost what chance has them cost no more often.
SNAP_DEVIATE = NormalDist().inv_cdf(2 * NormalDist().cdf(SNAP_SIGMAS) - 1)
#: Bits that a short decimal or a multiple of π or √2 must save. They lie so dense that one is always near a number
#: known to a percent, and a measured 0.701 ± 0.016 must not become 0.7, or √2/2, without an error bar.
EVIDENCE = 4.0
#: The same for any fraction of numbers up to a thousand, which nobody means unless the data are exact.
FRACTION_EVIDENCE = 12.0
#: Quarter turns of waves that are tried, each way, and bits that the phase must save by one: there are so many.
MOST_QUARTERS, TURN_EVIDENCE = 8, 6.0
#: Share of the bits of its number that a law without variables pays.
MEAN_SHARE = 0.1
#: Rounds of snapping, and Levenberg–Marquardt steps of each.
SNAP_ROUNDS, SNAP_STEPS = 3, 8
#: Bits that the curvature must promise for a snap to be tried: it may be wrong by a few.
LEAST_SAVED = -2.0


def in_exponent(e: Expressions) -> torch.Tensor:
    """(B, K) numbers that are exponents: these snap to fractions, never to multiples of √2 or π."""
    return _arguments(e, ("pow",), (1,))


def as_terms(e: Expressions) -> torch.Tensor:
    """(B, K) numbers that are terms of a sum: nothing makes such a number a multiple of √2 or π; a phase may be."""
    return _arguments(e, ("add", "sub"), (0, 1)) & ~phases(e)[0]


def as_rational(e: Expressions) -> torch.Tensor:
    """(B, K) numbers that snap to fractions and decimals only."""
    return in_exponent(e) | as_terms(e)


def _arguments(e: Expressions, names: tuple[str, ...], places: tuple[int, ...]) -> torch.Tensor:
    """(B, K) numbers that are arguments of these operators, in these places."""
    length, slots = e.codes.shape[1], e.constants.shape[1]
    marked = torch.zeros(len(e), length + 1, dtype=torch.bool, device=e.device)
    for name in names:
        for place in places if name in e.vocabulary else ():
            here = torch.where(e.codes == e.vocabulary.id(name), e.children[place], length)
            marked.scatter_(1, here, True)
    where = torch.where(marked[:, :length] & e.is_number, e.number_slot, slots)
    return torch.zeros(len(e), slots + 1, dtype=torch.bool, device=e.device).scatter_(1, where, True)[:, :-1]


def _snap_targets(
    c: torch.Tensor, se: torch.Tensor, free: torch.Tensor, rational: torch.Tensor, whole: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """For each free number (B, K) the best value to snap to and the bits this promises to save (−inf: none); those
    marked as `rational` snap to fractions and decimals only, all to `whole` numbers if so.

    ½d² nats of likelihood are lost by moving d standard errors: 0.72 d² bits.
    """
    digits = torch.arange(1, MOST_DIGITS + 1, device=c.device)
    shape = (*c.shape, len(SNAP_VALUES))
    fractions, prices = convergents(c)
    values = torch.cat([SNAP_VALUES.to(c.device).expand(shape), decimals(c).abs(), fractions], 2)
    bits = torch.cat(
        [SNAP_BITS.to(c.device).expand(shape), (DECIMAL_BITS + digits * math.log2(10)).expand(*c.shape, -1), prices], 2
    )
    width = se.nan_to_num(nan=0.0, posinf=0.0) + 1e-12 * c.abs() + 1e-300
    moved = (values - c.abs()[:, :, None]).abs()
    distance = moved / width[:, :, None]
    close = (distance < SNAP_SIGMAS) | (moved < SNAP_RELATIVE * c.abs()[:, :, None])
    dense = torch.nn.functional.pad(SNAP_IRRATIONAL.to(c.device), (0, MOST_DIGITS + CONVERGENTS), value=True)
    irrational = dense.clone()
    irrational[len(SNAP_VALUES) :] = False
    close &= ~(irrational & rational[:, :, None])
    close &= (values == values.round()) | (not whole)
    price = torch.where(close, bits + 0.72 * distance.clamp(max=SNAP_SIGMAS).square(), torch.inf)
    full = constant_bits(c, se)
    least = torch.full_like(bits, EVIDENCE)
    least[:, :, len(SNAP_VALUES) + MOST_DIGITS :] = FRACTION_EVIDENCE
    price = torch.where(dense & (full[:, :, None] - price < least), torch.inf, price)
    best = price.min(2)
    target = torch.sign(c) * values.gather(2, best.indices[:, :, None])[:, :, 0] + 0.0  # no minus before a zero
    saved = full - best.values + torch.where(target == 0, 8.0, 0.0)  # a term that goes saves symbols
    return target, torch.where(free & best.values.isfinite(), saved, -torch.inf)


def snap_order(
    c: torch.Tensor, spread: torch.Tensor, free: torch.Tensor, rational: torch.Tensor, *, whole: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The numbers (B, K) as if snapped one after the other, and the turn of each (K: never).

    Parameters
    ----------
    c, spread : (B, K) numbers and their covariance (B, K, K), 0 where they are not `free`
    rational : (B, K) numbers that snap to fractions and decimals only
    whole : whether all snap to whole numbers only

    To second order the likelihood is known without refitting: a number that moves takes the others along by its
    covariance with them, and what is left of their spread is conditional on it.
    """
    rows, most = torch.arange(len(c), device=c.device), c.shape[1]
    snapped, turn = c.clone(), torch.full_like(c, most, dtype=torch.int64)
    for i in range(most):  # numbers of one law
        se = spread.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
        target, saved = _snap_targets(c, se, free, rational, whole)
        best = saved.max(1)
        doing = best.values > LEAST_SAVED
        if not bool(doing.any()):
            break
        at = best.indices
        column, variance = spread[rows, at], spread[rows, at, at]
        sound = doing & (variance > 0)
        along = torch.where(sound[:, None], column / variance.clamp(min=1e-300)[:, None], 0.0)
        c = c + along * (target[rows, at] - c[rows, at])[:, None]
        spread = spread - along[:, :, None] * column[:, None, :]
        value = torch.where(doing, target[rows, at], c[rows, at])
        c = c.scatter(1, at[:, None], value[:, None])
        snapped = torch.where(doing[:, None], snapped.scatter(1, at[:, None], value[:, None]), snapped)
        turn[rows[doing], at[doing]] = i
        free = free.scatter(1, at[:, None], (free[rows, at] & ~doing)[:, None])
    return snapped, turn


def snap_savings(scored: Scored) -> torch.Tensor:
    """(B,) bits that `snap` may save at most, roughly: every promising snap and a few symbols."""
    e = scored.expressions
    _, saved = _snap_targets(e.constants, scored.stderr, e.free, as_rational(e))
    return saved.clamp(min=0).sum(1) + 20.0


def snap(scored: Scored, data: Data, *, steps: int = SNAP_STEPS) -> Scored:
    """Numbers snapped and terms dropped as long as the description length falls.

    Every round tries, for each candidate, all the snaps that the curvature promises to pay, their first half, the
    first one, all but the first, and doing without a number that another can stand for; the rest of its constants are
    refined again, and the shortest stays.
    """
    current = scored
    for _ in range(SNAP_ROUNDS):
        e = current.expressions
        found = curvature(e, data.x, data.y, data.sigma, data.noise, data.errors)
        spread = _covariance(found, e.free)[1]
        spread = spread * _rounding(e, data)[:, None, None]
        numbers, turn = snap_order(e.constants, spread, e.free, as_rational(e))
        count = (turn < turn.shape[1]).sum(1)
        tied, needless = _tied(found, e.free)
        if not bool(count.any()) and not len(tied):
            break
        first, last = torch.zeros_like(count), count  # turns from … up to …, of each way
        ways = torch.stack(
            [torch.stack(w) for w in ((first, last), (first, last // 2), (first, first + 1), (first + 1, last))]
        )
        fresh = torch.stack([count > 0, count > 3, count > 1, count > 2])
        which, rows = fresh.nonzero().T
        begin, end = ways[which, :, rows].T
        masks = (turn[rows] >= begin[:, None]) & (turn[rows] < end[:, None])
        # Of numbers that say the same one is left out.
        without = torch.nn.functional.one_hot(needless, turn.shape[1]).bool()
        rows, masks = torch.cat([rows, tied]), torch.cat([masks, without])
        numbers = torch.cat([numbers[rows[: len(rows) - len(tied)]], torch.zeros_like(numbers[tied])])
        variants = current.expressions[rows]
        numbers = torch.where(masks, numbers, variants.constants)
        variants = simplify_batch(variants.with_constants(numbers).with_literals(masks))
        refined = refit(variants, data, steps=steps)
        again = score(refined.expressions, data, tuple(current.origins[i] for i in rows.tolist()))
        before = current.description_length
        lost = scored.expressions.free.sum(1)[rows] - again.expressions.free.sum(1)
        told = again.loss - scored.loss[rows] > _chance(lost)  # each may be near enough, and all of them not
        error = (evaluate(again.expressions, data.x)[0] - data.y).square().mean(1).sqrt()
        told &= error > SNAP_RELATIVE * data.y.square().mean().sqrt()  # no likelihood tells rounding errors
        gain = torch.where(told, -torch.inf, before[rows] - again.description_length)
        best = torch.zeros_like(before).scatter_reduce(0, rows, gain, "amax", include_self=True)
        winners = ((gain > 1e-9) & (gain >= best[rows])).nonzero()[:, 0]
        if not len(winners):
            break
        index = torch.arange(len(current), device=rows.device)
        index[rows[winners]] = len(current) + winners
        current = stack([current, again])[index]
    return current


def _rounding(e: Expressions, data: Data) -> torch.Tensor:
    """(B,) factor of the covariance of laws that fit to rounding errors: those are the same in all rows, and N of
    them no better than one.
    """
    error = (evaluate(e, data.x)[0] - data.y).square().mean(1)
    least = least_scale(data.y).square().max()
    known = least if data.sigma is None else data.sigma.square().median()
    return 1 + len(data) * least / torch.maximum(error.nan_to_num(nan=torch.inf), known)


def turns(scored: Scored) -> tuple[Expressions, torch.Tensor]:
    """Laws with a wave turned by quarter turns, where its phase is then a simpler number; and the rows they come from.

    To say which of so many turns it is costs bits too, so that only a phase that is well determined is turned.
    """
    e = scored.expressions
    none = torch.zeros(0, dtype=torch.int64, device=e.device)
    if not turnable(e) or not len(e):
        return e[none], none
    phase, node = phases(e)
    phase = phase & e.free
    rows = phase.any(1).nonzero()[:, 0]
    if not len(rows):
        return e[none], none
    quarters = torch.arange(-MOST_QUARTERS, MOST_QUARTERS + 1, device=e.device)
    c, se, free = e.constants[rows], scored.stderr[rows], phase[rows]
    shape = (len(rows), c.shape[1] * len(quarters))
    moved = c[:, :, None] + quarters.to(c) * (math.pi / 2)
    spread, every = (part[:, :, None].expand_as(moved).reshape(shape) for part in (se, free))
    saved = _snap_targets(moved.reshape(shape), spread, every, torch.zeros_like(every))[1].view_as(moved)
    gain = saved - saved[:, :, MOST_QUARTERS, None].clamp(min=0.0) - TURN_EVIDENCE
    best = gain.flatten(1).max(1)
    kept = best.values > 0
    at = best.indices[kept]
    slot, turn = at // len(quarters), quarters[at % len(quarters)]
    rows = rows[kept]
    return turned(e[rows], slot, node[rows, slot], turn), rows


def _chance(count: torch.Tensor) -> torch.Tensor:
    """Nats that `count` numbers held at their true values lose to those fitted, but for one time in 370: half the
    quantile of χ² [Wilson & Hilferty 1931, PNAS 17, 684].
    """
    k = count.clamp(min=1).double()
    part = 2 / (9 * k)
    return 0.5 * k * (1 - part + SNAP_DEVIATE * part.sqrt()) ** 3


def stack(parts: list[Scored]) -> Scored:
    width = max(p.stderr.shape[1] for p in parts)
    pad = torch.nn.functional.pad
    return Scored(
        concatenate([p.expressions for p in parts]),
        torch.cat([p.loss for p in parts]),
        torch.cat([p.bits for p in parts]),
        torch.cat([pad(p.stderr, (0, width - p.stderr.shape[1]), value=torch.nan) for p in parts]),
        tuple(o for p in parts for o in p.origins),
    )


#: Nats by which a more complex law must fit better than all simpler ones: less is rounding, or the same law again.
LEAST_GAIN = 0.01
#: Bits by which more symbols must be shorter where they fit no better: a**1.5 stays before a*sqrt(a).
LEAST_SAVING = 2.0


def best_front(fronts: list[Front]) -> Front:
    """For each complexity the shortest description; kept where it fits better, or is shorter, than all simpler ones.

    Within one complexity the description length decides, not the loss: 2·x must not lose to 2.0000001·x. More symbols
    in fewer bits are rare: known numbers written by their names (`constants.py`) are.
    """
    expressions = concatenate([f.expressions for f in fronts])
    loss = torch.cat([f.loss for f in fronts])
    bits = torch.cat([f.bits for f in fronts])
    origins = [o for f in fronts for o in f.origins]
    length = loss / math.log(2) + bits
    complexity = expressions.complexity
    order = torch.argsort(length, stable=True)
    order = order[torch.argsort(complexity[order], stable=True)]
    first = torch.ones(len(order), dtype=torch.bool, device=order.device)
    first[1:] = complexity[order][1:] != complexity[order][:-1]
    order = order[first & loss[order].isfinite()]
    earlier, shorter = (
        torch.cat([loss.new_tensor([torch.inf]), value[order].cummin(0).values[:-1]]) for value in (loss, length)
    )
    kept = order[(loss[order] < earlier - LEAST_GAIN) | (length[order] < shorter - LEAST_SAVING)]
    return Front(expressions[kept].trimmed(), loss[kept], bits[kept], tuple(origins[i] for i in kept.tolist()))
