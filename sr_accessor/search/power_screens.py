"""Screens in the logarithm: a power law times one feature, two rows, or a chain of rows, each to a power.

    power     log|T| ≈ β·log|x| + p·log|F(c·g)| for every group, feature and start of c
    log pair  T ≈ K·Πx^β·u^p·v^q for all pairs of rows
    log chain T ≈ K·Πx^β·u₁^p₁·u₂^p₂ ⋯, joined greedily

Exponents come from the regression and are rounded to halves [search_findings.md §3]. Under noise c and p lie in a
valley, so several p are held fixed in turn, each with the c that suits it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty, join
from sr_accessor.expressions.build import heads, monomials, power
from sr_accessor.expressions.description import structure_bits
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.features import Feature
from sr_accessor.search.inner import Projection, best_inner, feature_rows, grid_inner, share_left, zoom
from sr_accessor.search.library import Library, least_points
from sr_accessor.search.pursuit import best_pairs, chains, pair_share
from sr_accessor.search.targets import LEAST_LEFT, Rows, Target, basis, scaled, unexplained
from sr_accessor.search.views import View

__all__ = [
    "Regression",
    "halves",
    "log_law",
    "regress",
    "screen_log_chain",
    "screen_log_pair",
    "screen_power",
    "screen_powers",
    "spread",
]

#: Exponents of a power law are rounded to multiples of this; larger ones than `MOST_EXPONENT` are noise.
EXPONENT_STEP, MOST_EXPONENT, MOST_FEATURE_POWER = 0.5, 6.0, 4.0
#: Powers of the feature that are tried where noise leaves p open, and how many times more laws are proposed then.
POWERS, NOISY_TIMES = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0), 2
#: Of every view but the first so many times fewer choices are proposed: y itself is what most laws are simple in.
FEWER = 3
#: So many times more choices are zoomed than laws are proposed.
RANKED = 3
#: Pairs of factors that are proposed with free exponents too, and without.
FREE_PAIRS = 120
#: Shares below this are rounding: then the simplest is the best.
LEAST_SHARE = 1e-12
#: An exponent is known when it lies this close to a half.
KNOWN = 1e-6
#: A variable is a factor where the logarithm of its least value is within so much of the largest, or lies at most so
#: many times further below the median than the first decile does.
FAR, SPREADS = 9 * math.log(10), 6.0
#: What a symbol costs roughly, to order proposals that fit equally well.
SYMBOL_BITS = 4.0


@dataclass(frozen=True)
class Regression:
    """log|T| of V views over the power-law base (1, log|x_d|), projected; each with its own weights."""

    views: tuple[View, ...]
    columns: torch.Tensor  # (d,) usable variables
    dimensions: int
    logs: torch.Tensor  # (d, N) log|x| of these
    weight: torch.Tensor  # (V, N)
    q: torch.Tensor  # (V, N, 1 + d)
    r: torch.Tensor  # (V, 1 + d, 1 + d)
    whole: torch.Tensor  # (V, N) weighted log|T|
    rest: torch.Tensor  # (V, N) what the base leaves

    @cached_property
    def projection(self) -> Projection:
        return Projection(self.weight, self.q, self.rest)

    @property
    def left(self) -> torch.Tensor:
        """(V,) whether something is left to explain."""
        return self.rest.norm(dim=1) > 1e-13 * self.whole.norm(dim=1)

    @property
    def unit(self) -> torch.Tensor:
        """(V, N) `rest` of unit norm."""
        return self.rest / self.rest.norm(dim=1, keepdim=True).clamp(min=1e-300)

    def exponents(self, view: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
        """(B, d) exponents of the base alone that explain (B, N), weighted, in view (B,)."""
        along = (self.q[view].transpose(1, 2) @ rest[:, :, None])[:, :, 0]
        return torch.linalg.solve_triangular(self.r[view], along[:, :, None], upper=True)[:, 1:, 0]

    def without(
        self, own: torch.Tensor, view: torch.Tensor, rows: torch.Tensor, p: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Coefficients of weighted rows (B, N) in view (B,), or as given, and exponents (B, d), 0 where `own`."""
        base = torch.cat([torch.ones_like(self.logs[:1]), self.logs]) * self.weight[view][:, None]
        base[:, 1:] = torch.where(own[:, :, None], 0.0, base[:, 1:])
        goal = self.whole[view] if p is None else self.whole[view] - rows * p[:, None]
        columns = base if p is not None else torch.cat([base, rows[:, None]], 1)
        columns = columns / (size := columns.norm(dim=2).clamp(min=1e-300))[:, :, None]
        gram = torch.linalg.pinv(columns @ columns.transpose(1, 2), hermitian=True)
        solved = (gram @ (columns @ goal[:, :, None]))[:, :, 0] / size
        last = 1 + len(self.logs)
        return (solved[:, last] if p is None else p), torch.where(own, 0.0, solved[:, 1:last])

    def project(self, rows: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
        """(B, N) weighted rows without what the base of view (B,) holds."""
        q = self.q[view]
        return rows - (q @ (q.transpose(1, 2) @ rows[:, :, None]))[:, :, 0]


def regress(targets: Sequence[Target], x: torch.Tensor) -> Regression:
    """The logarithms of the targets over the power-law base."""
    weight = torch.stack([target.log_weight for target in targets])
    size = x.abs().log()
    low, middle = torch.quantile(size, torch.tensor([0.1, 0.5], dtype=size.dtype, device=size.device), dim=0)
    # A zero of a variable has no logarithm, and one that is a rounding error outweighs all other values.
    least = torch.minimum(middle - SPREADS * (middle - low), size.amax(0) - FAR)
    usable = (size.amin(0) > least) & (size.std(0) > 1e-9)
    columns = usable.nonzero()[:, 0]
    logs = x.T[columns].abs().log()
    q, r = basis(torch.cat([torch.ones_like(weight[:1]), logs])[None], weight[:, None])
    whole = torch.stack([target.logs for target in targets]) * weight
    rest = whole - (q @ (q.transpose(1, 2) @ whole[:, :, None]))[:, :, 0]
    return Regression(tuple(t.view for t in targets), columns, x.shape[1], logs, weight, q, r, whole, rest)


def screen_powers(targets: Sequence[Target], x: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """T ≈ K·Π x_d^β for every view: exponents rounded to halves, and left real and free."""
    out = []
    fit = regress(targets, x)
    beta = fit.exponents(torch.arange(len(targets), device=x.device), fit.whole)
    one = constant([1.0], vocabulary, x.device)
    rounded = spread(halves(beta), fit.columns, fit.dimensions)
    fine = beta.isfinite().all(1) & (beta.abs() <= MOST_EXPONENT).all(1)
    free = fine & ((beta - halves(beta)).abs() > KNOWN).any(1)
    real = spread(torch.where(beta.abs() < 0.02, 0.0, beta), fit.columns, fit.dimensions)
    for i, view in enumerate(fit.views):  # a handful of views
        if bool(fine[i]):
            out.append(view.undo(one * monomials(rounded[i : i + 1], vocabulary)))
        if bool(free[i]) and "pow" in vocabulary:
            out.append(view.undo(one * monomials(real[i : i + 1], vocabulary).freed()))
    return concatenate(out) if out else constant([1.0], vocabulary, x.device)


def screen_power(
    targets: Sequence[Target],
    x: torch.Tensor,
    library: Library,
    kinds: Sequence[Feature],
    vocabulary: Vocabulary,
    *,
    noisy: bool = False,
    keep: int = 40,
) -> list[tuple[View, Expressions]]:
    """T ≈ K·Π x_d^β · F(c·g)^p, from log|T| regressed on log|x_d| and one feature row.

    Parameters
    ----------
    targets : views of y; the feature rows are computed once for all of them
    x : (N, D) screening points
    library : groups g
    kinds : features F
    noisy : whether c and p are to be told apart by trying several p
    keep : laws proposed for the first view, and more of them where `noisy`

    Returns
    -------
    per view, expressions of y with K and c free
    """
    fit = regress(targets, x)
    others = max(1, keep // FEWER)
    keep = NOISY_TIMES * keep if noisy else keep
    best = _ranked(fit, library, kinds, RANKED * keep, RANKED * others)
    parts = []
    for number in best.kind.unique().tolist():  # over kinds of features, not candidates
        here = best[best.kind == number]
        kind = kinds[number] if number >= 0 else None
        parts += _regressed(kind, library, here, fit, several=noisy)
    if not parts:
        return []
    every, of_view, length = _power_laws(_Regressed.joined(parts), library, kinds, fit, vocabulary)
    found = []
    for i, view in enumerate(fit.views):  # a handful of views
        mine = (of_view == i).nonzero()[:, 0]
        if len(mine):
            few = min(len(mine), others if i else keep)
            best = mine[length[mine].topk(few, largest=False).indices]
            found.append((view, view.undo(every[best].trimmed())))
    return found


@dataclass(frozen=True)
class _Ranked:
    """P choices: view, library row, kind (−1: the group itself) and inner constant."""

    view: torch.Tensor
    group: torch.Tensor
    kind: torch.Tensor
    inner: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> _Ranked:
        return _Ranked(self.view[rows], self.group[rows], self.kind[rows], self.inner[rows])


def _ranked(fit: Regression, library: Library, kinds: Sequence[Feature], keep: int, others: int) -> _Ranked:
    """The `keep` best choices of the first view, and `others` of each other one."""
    found = []  # (V, k) lengths, rows, inner constants, kinds
    points = library.values.shape[1]
    price = structure_bits(library.expressions, library.exponents.shape[1])
    sums = (~library.is_monomial).nonzero()[:, 0]
    for number, kind in enumerate(kinds):
        if kind.exponential:
            share = _shares_of(scaled(library.values), fit)
            inner = torch.ones_like(share)
        else:
            share, inner = best_inner(kind, library.values, fit.projection)
        found.append(_least(_length(share, price + kind.bits, points), inner, None, number, keep))
    if len(sums):  # |g| itself to a power, for groups that the base does not hold
        share = _shares_of(library.values[sums].abs().clamp(min=1e-300).log(), fit)
        found.append(_least(_length(share, price[sums], points), torch.ones_like(share), sums, -1, keep))
    length, group, inner, kind = (torch.cat([part[i] for part in found], 1) for i in range(4))
    best = length.topk(min(keep, length.shape[1]), largest=False, dim=1).indices
    view = torch.arange(len(fit.views), device=best.device)[:, None].expand_as(best)
    sound = fit.left[:, None].expand_as(best) & length.gather(1, best).isfinite()
    sound[1:, others:] = False
    return _Ranked(view[sound], *(part.gather(1, best)[sound] for part in (group, kind, inner)))


def _shares_of(rows: torch.Tensor, fit: Regression) -> torch.Tensor:
    """(V, M) share that each row (M, N) leaves of each view."""
    views = zip(fit.weight, fit.q, fit.unit, strict=True)
    return torch.cat([unexplained(rows, weight, q, unit[:, None]) for weight, q, unit in views])


def _length(share: torch.Tensor, price: torch.Tensor, points: int, *, unsound: bool = True) -> torch.Tensor:
    """(V, M) bits: what is left unexplained, and the structure. Of 10⁵ rows the best fit to noise is a complex one."""
    bits = 0.5 * points * torch.log2(share.double().clamp(min=LEAST_SHARE)) + price
    return torch.where(share < 1, bits, torch.inf) if unsound else bits.nan_to_num(nan=torch.inf)


def _least(scores: torch.Tensor, inner: torch.Tensor, rows: torch.Tensor | None, kind: int, keep: int):
    """The `keep` least lengths of each view: (V, k) lengths, library rows, inner constants and the kind."""
    best = scores.topk(min(keep, scores.shape[1]), largest=False, dim=1)
    at = best.indices if rows is None else rows[best.indices]
    return best.values, at, inner.gather(1, best.indices).double(), torch.full_like(best.indices, kind)


@dataclass(frozen=True)
class _Regressed:
    """P power laws: choices, with the powers p (P,) of the feature and beta (P, d) of the variables, and the weighted
    feature rows (P, N). Where the feature is an exponential p is a rate, and the inner constant 1.
    """

    choice: _Ranked
    p: torch.Tensor
    beta: torch.Tensor
    weighted: torch.Tensor

    @staticmethod
    def joined(parts: Sequence[_Regressed]) -> _Regressed:
        choices = (torch.cat([getattr(part.choice, name) for part in parts]) for name in _Ranked.__dataclass_fields__)
        return _Regressed(
            _Ranked(*choices), *(torch.cat([getattr(r, n) for r in parts]) for n in ("p", "beta", "weighted"))
        )


def _regressed(
    kind: Feature | None, library: Library, here: _Ranked, fit: Regression, *, several: bool
) -> list[_Regressed]:
    """Regress with one feature row each; and without the powers of variables that are in the feature."""
    p, exponential = None, kind is not None and kind.exponential
    values = library.values[here.group]
    if several and not exponential:
        choice, inner, p = _several_powers(kind, values, here.inner, fit, here.view)
        here, values = replace(here[choice], inner=inner), values[choice]
    elif kind is not None and not exponential:
        here = replace(here, inner=zoom(kind, values, here.inner, fit.projection, here.view, True)[0])
    rows = scaled(values) if exponential else _logs(kind, values, here.inner)
    weighted, whole = rows * fit.weight[here.view], fit.whole[here.view]
    if p is None:
        projected = fit.project(weighted, here.view)
        p = torch.linalg.vecdot(projected, whole) / torch.linalg.vecdot(projected, projected)
    beta = fit.exponents(here.view, whole - weighted * p[:, None])
    found = [_Regressed(here, p, beta, weighted)]
    groups = library.expressions[here.group]
    own = torch.stack([groups.uses(d) for d in fit.columns.tolist()] or [here.view < 0], 1)
    # Under noise x^β beside F(c·g(x)) is anything: the same law once more without it, as chemists write Arrhenius'.
    twice = (own & (halves(beta) != 0)).any(1).nonzero()[:, 0] if len(fit.columns) else here.view[:0]
    if len(twice):
        given = p[twice] if several and not exponential else None
        p, beta = fit.without(own[twice], here.view[twice], weighted[twice], given)
        found.append(_Regressed(here[twice], p, beta, weighted[twice]))
    return found


def _power_laws(
    given: _Regressed, library: Library, kinds: Sequence[Feature], fit: Regression, vocabulary: Vocabulary
) -> tuple[Expressions, torch.Tensor, torch.Tensor]:
    """K·Π x^β·F(c·g)^p with exponents rounded: the sound laws, their views and lengths in bits."""
    here, view = given.choice, given.choice.view
    exponential = torch.tensor([*(kind.exponential for kind in kinds), False], device=view.device)[here.kind]
    rounded, p = halves(given.beta), torch.where(exponential, given.p, halves(given.p))
    exponents = spread(rounded, fit.columns, fit.dimensions)
    sound = (exponents.abs() <= MOST_EXPONENT).all(1) & given.beta.isfinite().all(1) & p.isfinite()
    sound &= exponential | ((p != 0) & (p.abs() <= MOST_FEATURE_POWER))
    rest = fit.whole[view] - given.weighted * p[:, None] - (rounded @ fit.logs) * fit.weight[view]
    rest = rest - fit.weight[view] * (rest * fit.weight[view]).mean(1, keepdim=True)  # mean square weight is 1
    share = rest.square().sum(1) / fit.rest[view].square().sum(1)
    inside = constant(
        torch.where(exponential, p / library.values[here.group].abs().amax(1), here.inner), vocabulary, view.device
    )
    groups = library.expressions[here.group]
    factors, places = [], []
    for number in here.kind.unique().tolist():  # over kinds of features, not candidates
        at = (here.kind == number).nonzero()[:, 0]
        factors.append(groups[at] if number < 0 else kinds[number].build(inside[at] * groups[at]))
        places.append(at)
    factor = concatenate(factors)[torch.argsort(torch.cat(places))]
    lead = constant([1.0], vocabulary, view.device) * monomials(exponents, vocabulary)
    law = _times_power(lead, factor, torch.where(exponential, 1.0, p), vocabulary)
    length = _length(share, structure_bits(law, fit.dimensions), given.weighted.shape[1], unsound=False)
    law, of_view, length = law[sound], view[sound], length[sound]
    sums = torch.tensor([*(kind.sum for kind in kinds), False], device=view.device)[here.kind] & sound
    if not bool(sums.any()):
        return law, of_view, length
    groups, inner = library.exponents[here.group[sums]], here.inner[sums]
    spread_out, kept = _as_sum(exponents[sums], groups, p[sums], inner, vocabulary)
    at = sums.nonzero()[:, 0][kept]
    more = _length(share[at], structure_bits(spread_out, fit.dimensions), given.weighted.shape[1], unsound=False)
    return concatenate([law, spread_out]), torch.cat([of_view, view[at]]), torch.cat([length, more])


def _as_sum(
    exponents: torch.Tensor, group: torch.Tensor, p: torch.Tensor, inner: torch.Tensor, vocabulary: Vocabulary
) -> tuple[Expressions, torch.Tensor]:
    """K·Πx^β·(1 + c·Πx^e)^p with the variables of the group in the sum, and which of the rows can be written so.

    r·√(1 + c·z²/r²) is √(r² + c·z²): fewer symbols. But v/√(1 − c·v²) stays, though 1/√(1/v² − c) is shorter.
    """
    first = torch.where(group == 0, 0.0, exponents / p[:, None])
    second = first + group
    fine = ((first == halves(first)) & (second == halves(second))).all(1)  # a group that is no monomial is NaN
    fine &= (torch.maximum(first.abs(), second.abs()) <= MOST_EXPONENT).all(1)
    fine &= (first >= 0).all(1) & (first > 0).any(1)
    kept = fine.nonzero()[:, 0]
    outside = torch.where(group == 0, exponents, 0.0)[kept]
    total = monomials(first[kept], vocabulary) + constant(inner[kept], vocabulary, p.device) * monomials(
        second[kept], vocabulary
    )
    lead = constant([1.0], vocabulary, p.device) * monomials(outside, vocabulary)
    return _times_power(lead, total, p[kept], vocabulary), kept


def _logs(kind: Feature | None, groups: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    if kind is None:
        return groups.abs().clamp(min=1e-300).log()
    return feature_rows(kind, groups, inner[:, None], True)[:, 0]


def _several_powers(
    kind: Feature | None, groups: torch.Tensor, inner: torch.Tensor, fit: Regression, view: torch.Tensor
):
    """For each choice all powers, each with its own c: which choice, c and p of each."""
    powers = torch.tensor(POWERS, dtype=groups.dtype, device=groups.device)
    every = torch.arange(len(groups), device=groups.device)
    p, choice = powers.repeat(len(groups)), every.repeat_interleave(len(powers))
    if kind is None:
        rows = groups.abs().clamp(min=1e-300).log()[:, None]
        c = inner[choice]
        share = share_left(rows, fit.projection, view, powers.expand(len(groups), -1))[:, :, 0]
    else:
        c = grid_inner(kind, groups, fit.projection, view, True, powers.expand(len(groups), -1)).flatten()
        c, share = zoom(kind, groups[choice], c, fit.projection, view[choice], True, p[:, None], rounds=4)
    at = share.flatten().isfinite().nonzero()[:, 0]
    return choice[at], c[at], p[at]


def _times_power(lead: Expressions, factor: Expressions, p: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """lead·factor^p for p > 0, lead/factor^|p| for p < 0."""
    return join(
        heads("mul", (p > 0).long(), vocabulary),
        heads("div", (p < 0).long(), vocabulary),
        lead,
        power(factor, p.abs(), vocabulary),
    )


def screen_log_pair(
    target: Target, x: torch.Tensor, rows: Rows, vocabulary: Vocabulary, *, noisy: bool = False, keep: int = 250
) -> Expressions:
    """T ≈ K·Π x_d^β · u^p · v^q for all pairs of rows u, v, from the logarithms; where `noisy` the best also as K·u·v,
    since the logarithms of small values say nothing of the powers then.
    """
    fit = regress([target], x)
    if not bool(fit.left[0]):
        return empty(vocabulary, x.device)
    logs = rows.values.abs().clamp(min=1e-300).log() * fit.weight
    before = torch.linalg.vecdot(logs, logs)
    logs = logs - (logs @ fit.q[0]) @ fit.q[0].T
    squares = logs * logs
    left = squares.sum(1)
    rests_on = left.square() / torch.linalg.vecdot(squares, squares).clamp(min=1e-300)
    sound = (left > LEAST_LEFT * before) & (rests_on > least_points(logs.shape[1], 0.03))
    unit, rows = logs[sound] / left[sound].sqrt()[:, None], rows[sound]
    if len(rows) < 2:
        return empty(vocabulary, x.device)
    residual = fit.unit[0]
    i, j = best_pairs(unit.float(), residual.float(), 8 * keep)
    share = pair_share(unit, unit @ residual, i, j)
    symbols = rows.expressions.complexity[i] + rows.expressions.complexity[j]
    length = 0.5 * len(residual) * torch.log2(share.clamp(min=1e-24)) + SYMBOL_BITS * symbols
    best = length.topk(min(keep, len(length)), largest=False).indices
    laws = [log_law(fit, [rows[i[best]], rows[j[best]]], vocabulary)]
    if "pow" in vocabulary:  # the power of an exponential is no half: it belongs to its inner constant
        best = best[:FREE_PAIRS]
        laws.append(log_law(fit, [rows[i[best]], rows[j[best]]], vocabulary, free=True))
    if noisy:
        best = best[:FREE_PAIRS]
        plain = torch.ones(len(best), 2, dtype=x.dtype, device=x.device)
        laws.append(_log_law(fit, [rows[i[best]], rows[j[best]]], None, plain, vocabulary, False))
    return concatenate(laws)


def screen_log_chain(
    target: Target, x: torch.Tensor, rows: Rows, vocabulary: Vocabulary, *, beams: int = 6, depth: int = 4
) -> Expressions:
    """T ≈ K·Π x_d^β · u₁^p₁ · u₂^p₂ ⋯: factors joined greedily, from each of the best first ones."""
    fit = regress([target], x)
    if not bool(fit.left[0]):
        return empty(vocabulary, x.device)
    logs = rows.values.abs().clamp(min=1e-300).log()
    out = [
        log_law(fit, [rows[chain[:, k]] for k in range(chain.shape[1])], vocabulary, free=free)
        for chain in chains(logs, fit.weight[0], fit.q[0], fit.unit[0], beams, depth)
        for free in ((False, True) if "pow" in vocabulary else (False,))
    ]
    return concatenate(out) if out else empty(vocabulary, x.device)


def log_law(fit: Regression, factors: Sequence[Rows], vocabulary: Vocabulary, *, free: bool = False) -> Expressions:
    """K·Π x^β·Π uₖ^pₖ for P choices of m factors, exponents regressed in the logarithm and rounded to halves.

    With `free` the pₖ are free constants instead, written with pow; and once more without the power law: over a short
    range exp(c/x) and x^β are so alike that together neither is known.
    """
    columns = torch.stack([r.values.abs().clamp(min=1e-300).log() * fit.weight for r in factors], 1)  # (P, m, N)
    projected = columns - (columns @ fit.q[0]) @ fit.q[0].T
    gram = projected @ projected.transpose(1, 2)
    powers = (torch.linalg.pinv(gram, hermitian=True) @ (projected @ fit.whole[0])[:, :, None])[:, :, 0]
    laws = [_log_law(fit, factors, columns, powers, vocabulary, free)]
    if free:
        one = fit.weight[0] / fit.weight[0].norm()
        centred = columns - (columns @ one)[:, :, None] * one
        gram = centred @ centred.transpose(1, 2)
        bare = (torch.linalg.pinv(gram, hermitian=True) @ (centred @ fit.whole[0])[:, :, None])[:, :, 0]
        laws.append(_log_law(fit, factors, None, bare, vocabulary, free))
    return concatenate(laws)


def _log_law(fit: Regression, factors, columns: torch.Tensor | None, powers, vocabulary, free: bool) -> Expressions:
    if columns is None:
        beta = powers.new_zeros(len(powers), len(fit.columns))
    else:
        rest = fit.whole[0] - (powers[:, None, :] @ columns)[:, 0]
        beta = fit.exponents(torch.zeros(len(rest), dtype=torch.int64, device=rest.device), rest)
    exponents = spread(halves(beta), fit.columns, fit.dimensions)
    powers = powers if free else halves(powers)
    fine = (exponents.abs() <= MOST_EXPONENT).all(1) & (powers.abs() <= MOST_FEATURE_POWER).all(1)
    fine &= (powers != 0).all(1) & beta.isfinite().all(1)
    if not bool(fine.any()):
        return empty(vocabulary, powers.device)
    law = constant([1.0], vocabulary, powers.device) * monomials(exponents, vocabulary)
    for k, factor in enumerate(factors):
        p = powers[:, k]
        if free:
            law = law * factor.expressions ** constant(p, vocabulary, p.device)
        else:
            law = _times_power(law, factor.expressions, p, vocabulary)
    return fit.views[0].undo(law[fine].trimmed())


def halves(exponents: torch.Tensor) -> torch.Tensor:
    return (exponents / EXPONENT_STEP).round() * EXPONENT_STEP


def spread(values: torch.Tensor, columns: torch.Tensor, dimensions: int) -> torch.Tensor:
    """Exponents of the usable columns (B, d) placed among all D variables."""
    full = values.new_zeros(values.shape[0], dimensions)
    full[:, columns] = values
    return full
