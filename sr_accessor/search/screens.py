"""Screens: linear algebra that ranks millions of hypotheses about T(y) over a library.

    power   log|T| ≈ β·log|x| + p·log|F(c·g)|: a monomial times one feature, for every group, feature, start of c
    logpair T ≈ K·Πx^β·u^p·v^q for all pairs of rows, from the logarithms
    one     T ≈ B·β + a·u for every row u
    pair    T ≈ B·β + a·u + b·v for all pairs of rows
    product T ≈ B·β + a·u·v, and factor T ≈ u·(a + b·v), for every u and v
    span    T ≈ u·Σ over a small dictionary, for every u
    chain   T ≈ B·β + Σ aₖ·uₖ, or a product of powers uₖ^pₖ, joined greedily
    sparse  T ≈ Σ over a dictionary of monomials, eliminated backwards to the terms that matter
    ratio   p(x) − T·q(x) = 0: numerator and denominator over a dictionary of monomials

A screen proposes structures with start values; refinement and description length decide. Ranks are computed on
the screening points only. Rows whose projection rests on a few points are degenerate and never proposed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty, join
from sr_accessor.expressions.build import heads, linear_combination, monomials, power
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.refinement.levenberg_marquardt import solve_normal
from sr_accessor.search.features import DEAR, Feature, inner_grid
from sr_accessor.search.library import Library, effective_points, least_points
from sr_accessor.search.views import View

__all__ = [
    "Rows",
    "Target",
    "join_rows",
    "linear_rows",
    "screen_chain",
    "screen_factor",
    "screen_log_chain",
    "screen_log_pair",
    "screen_one",
    "screen_pair",
    "screen_power",
    "screen_powers",
    "screen_product",
    "screen_ratio",
    "screen_residual",
    "screen_span",
    "screen_sparse",
    "sharp_rows",
]

#: A row is dropped where projecting the base out leaves less than this share of its squared norm.
LEAST_LEFT = 1e-10
#: Pairs closer than this (1 − correlation²) drown in float32 rounding [search_findings.md §5].
LEAST_ANGLE = 3e-4
#: Exponents of a power law are rounded to multiples of this; larger ones than `MOST_EXPONENT` are noise.
EXPONENT_STEP, MOST_EXPONENT, MOST_FEATURE_POWER = 0.5, 6.0, 4.0
#: Sums of more terms than this follow anything and are not proposed.
MOST_TERMS = 16
#: What a symbol costs roughly, to order proposals that fit equally well.
SYMBOL_BITS = 4.0
#: Rows of the linear screens: plain groups; groups that meet the features with many starts of c, with several, with
#: two; features that each variable multiplies.
PLAIN_ROWS, LEAST_GROUPS, FEW_GROUPS, MANY_GROUPS, DRESSED = 1200, 8, 30, 110, 300
#: Rows u that a factor screen tries.
MOST_ALIKE = 600
#: Groups, and powers of each variable, whose features get the inner constant that suits the target best; degree of
#: the polynomials that stand for the other variables meanwhile.
SHARP_GROUPS, SHARP_POWERS, SMOOTH_DEGREE = 16, 4, 6
#: Feature rows computed at once; with 200 points 2,000 rows are 3 MB.
PIECE_ROWS = 2000


#: A ratio is proposed when the smallest singular value of its unit columns is below this; 3 % is noise's share.
NO_NULL_VECTOR = 3e-2
#: Columns that are eliminated one by one at most; more only where the null vector is unique.
MOST_COLUMNS = 44


@dataclass(frozen=True)
class Target:
    """A view of y at the screening points.

    Parameters
    ----------
    view : View
    values : (N,) T(y)
    weight : (N,) root weights; residuals are multiplied by them
    """

    view: View
    values: torch.Tensor
    weight: torch.Tensor

    @staticmethod
    def of(view: View, y: torch.Tensor, sigma: torch.Tensor) -> Target:
        """T(y) with weights 1/σ_T by the delta method, capped at six times their median."""
        scale = (view.slope(y) * sigma).clamp(min=1e-300)
        weight = 1 / scale
        weight = torch.where(weight.isfinite(), weight, 0.0)
        weight = torch.minimum(weight, 6 * weight.median())
        return Target(view, view.forward(y), weight / weight.square().mean().sqrt().clamp(min=1e-300))

    @property
    def sound(self) -> bool:
        """Whether every value and weight is finite and the weights rest on more than 2 % of the points."""
        finite = bool(self.values.isfinite().all()) and bool(self.weight.isfinite().all())
        return finite and float(effective_points(self.weight[None])) > 0.02 * len(self.values)


@dataclass(frozen=True)
class Rows:
    """R rows for the linear screens: expressions (inner constants free) and their values (R, N)."""

    expressions: Expressions
    values: torch.Tensor

    def __len__(self) -> int:
        return len(self.expressions)

    def __getitem__(self, rows) -> Rows:
        return Rows(self.expressions[rows], self.values[rows])


# ---------------------------------------------------------------------------------------------- projections
def _basis(base: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal basis (N, k) of the weighted base rows (k, N), and R with base·w = Q·R."""
    columns = (base * weight).T
    scale = columns.norm(dim=0).clamp(min=1e-300)
    q, r = torch.linalg.qr(columns / scale)
    return q, r * scale


def _unexplained(rows: torch.Tensor, weight: torch.Tensor, q: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """(V, R) share of each projected target that one more row leaves unexplained; 1 for rows that must not count.

    rows (R, N) unweighted; residual (N, V) weighted, projected and of unit norm.
    """
    rows = rows * weight
    before = torch.linalg.vecdot(rows, rows)
    rows = rows - (rows @ q) @ q.T
    squares = rows * rows
    left = squares.sum(1)
    share = 1 - (residual.T @ rows.T).square() / left
    rests_on = left.square() / torch.linalg.vecdot(squares, squares)
    sound = (left > LEAST_LEFT * before) & (rests_on > least_points(rows.shape[1], 0.03)) & share.isfinite()
    return torch.where(sound, share.clamp(min=0.0), 1.0)


# ---------------------------------------------------------------------------------------------- power laws
@dataclass(frozen=True)
class _Projection:
    """What a base leaves of V targets: weight (N,), its orthonormal basis q (N, k), the rest of unit norm (N, V)."""

    weight: torch.Tensor
    q: torch.Tensor
    unit: torch.Tensor


@dataclass(frozen=True)
class _Regression:
    """log|T| of V views over the power-law base (1, log|x_d|), projected; all with the same weights."""

    views: tuple[View, ...]
    columns: torch.Tensor  # (d,) usable variables
    dimensions: int
    weight: torch.Tensor  # (N,)
    q: torch.Tensor  # (N, 1 + d)
    r: torch.Tensor  # (1 + d, 1 + d)
    whole: torch.Tensor  # (V, N) weighted log|T|
    unit: torch.Tensor  # (N, V) what the base leaves, of unit norm
    left: torch.Tensor  # (V,) bool: something is left to explain

    @property
    def projection(self) -> _Projection:
        return _Projection(self.weight, self.q, self.unit)

    def power_laws(self) -> torch.Tensor:
        """(V, d) exponents of the base alone."""
        return torch.linalg.solve_triangular(self.r, self.q.T @ self.whole.T, upper=True)[1:].T


def _regress(targets: Sequence[Target], x: torch.Tensor, weighted: bool) -> _Regression:
    t = torch.stack([target.values for target in targets]).abs()
    floor = 1e-12 * t.median(1, keepdim=True).values + 1e-300
    log_t = t.clamp(min=floor).log()
    if weighted:
        weight = targets[0].weight * t[0]
        weight = torch.minimum(weight, 4 * weight.median().clamp(min=1e-300))
        weight = weight / weight.square().mean().sqrt().clamp(min=1e-300)
    else:
        weight = torch.ones_like(t[0])
    usable = (x.abs().amin(0) > 1e-9 * x.abs().amax(0)) & (x.abs().log().std(0) > 1e-9)
    columns = usable.nonzero()[:, 0]
    q, r = _basis(torch.cat([torch.ones_like(t[:1]), x.T[columns].abs().log()]), weight)
    whole = log_t * weight
    residual = whole - (whole @ q) @ q.T
    norm = residual.norm(dim=1)
    left = norm > 1e-13 * whole.norm(dim=1)
    unit = (residual / norm.clamp(min=1e-300)[:, None]).T
    return _Regression(tuple(v.view for v in targets), columns, x.shape[1], weight, q, r, whole, unit, left)


def screen_powers(targets: Sequence[Target], x: torch.Tensor, vocabulary: Vocabulary, *, weighted: bool) -> Expressions:
    """T ≈ K·Π x_d^β for every view: exponents rounded to halves, and left real and free."""
    out = []
    for group in [[t] for t in targets] if weighted else [targets]:
        fit = _regress(group, x, weighted)
        beta = fit.power_laws()
        one = constant([1.0], vocabulary, x.device)
        rounded = _spread(_halves(beta), fit.columns, fit.dimensions)
        fine = beta.isfinite().all(1) & (beta.abs() <= MOST_EXPONENT).all(1)
        free = fine & ((beta - _halves(beta)).abs() > 1e-6).any(1)
        real = _spread(torch.where(beta.abs() < 0.02, 0.0, beta), fit.columns, fit.dimensions)
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
    weighted: bool = False,
    keep: int = 40,
) -> list[tuple[View, Expressions]]:
    """T ≈ K·Π x_d^β · F(c·g)^p, from log|T| regressed on log|x_d| and one feature row.

    Parameters
    ----------
    targets : views of y; without weights the feature rows are computed once for all of them
    x : (N, D) screening points
    library : groups g
    kinds : features F
    weighted : whether errors are those of the targets, or relative (equal in the logarithm)
    keep : proposals per view

    Returns
    -------
    per view, expressions of y with K and c free
    """
    groups = [[t] for t in targets] if weighted else [list(targets)]
    return [
        found
        for group in groups
        for found in _screen_power(_regress(group, x, weighted), library, kinds, vocabulary, keep)
    ]


def _screen_power(
    fit: _Regression,
    library: Library,
    kinds: Sequence[Feature],
    vocabulary: Vocabulary,
    keep: int,
) -> list[tuple[View, Expressions]]:
    found = []  # (V, k) scores, rows, inner constants, kinds
    for number, kind in enumerate(kinds):
        if kind.exponential:
            scores = _unexplained(_scaled(library.values), fit.weight, fit.q, fit.unit)
            inner = torch.ones_like(scores)
        else:
            scores, inner = _best_inner(kind, library.values, fit.projection, True)
        found.append(_least(scores, inner, None, number, keep))
    sums = (~library.is_monomial).nonzero()[:, 0]
    if len(sums):  # |g| itself to a power, for groups that the base does not hold
        scores = _unexplained(library.values[sums].abs().clamp(min=1e-300).log(), fit.weight, fit.q, fit.unit)
        found.append(_least(scores, torch.ones_like(scores), sums, -1, keep))
    scores, group, inner, kind_of = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    best = scores.topk(min(keep, scores.shape[1]), largest=False, dim=1).indices
    group, inner, kind_of = (part.gather(1, best) for part in (group, inner, kind_of))
    view = torch.arange(len(fit.views), device=best.device)[:, None].expand_as(best)
    sound = fit.left[:, None].expand_as(best) & (scores.gather(1, best) < 1)
    group, inner, kind_of, view = (part[sound] for part in (group, inner, kind_of, view))
    laws, of_view = [], []
    for number in kind_of.unique().tolist():  # over kinds of features, not candidates
        here = kind_of == number
        kind = kinds[number] if number >= 0 else None
        law, kept = _power_with_feature(kind, library[group[here]], inner[here], view[here], fit, vocabulary)
        laws.append(law)
        of_view.append(kept)
    if not laws:
        return []
    every, of_view = concatenate(laws), torch.cat(of_view)
    return [(v, v.undo(every[of_view == i].trimmed())) for i, v in enumerate(fit.views) if bool((of_view == i).any())]


def _times_power(lead: Expressions, factor: Expressions, p: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """lead·factor^p for p > 0, lead/factor^|p| for p < 0."""
    return join(
        heads("mul", (p > 0).long(), vocabulary),
        heads("div", (p < 0).long(), vocabulary),
        lead,
        power(factor, p.abs(), vocabulary),
    )


def screen_log_pair(
    target: Target, x: torch.Tensor, rows: Rows, vocabulary: Vocabulary, *, weighted: bool = False, keep: int = 250
) -> Expressions:
    """T ≈ K·Π x_d^β · u^p · v^q for all pairs of rows u, v, from the logarithms."""
    fit = _regress([target], x, weighted)
    if not bool(fit.left[0]):
        return empty(vocabulary, x.device)
    logs = rows.values.abs().clamp(min=1e-300).log() * fit.weight
    before = torch.linalg.vecdot(logs, logs)
    logs = logs - (logs @ fit.q) @ fit.q.T
    squares = logs * logs
    left = squares.sum(1)
    rests_on = left.square() / torch.linalg.vecdot(squares, squares).clamp(min=1e-300)
    sound = (left > LEAST_LEFT * before) & (rests_on > least_points(logs.shape[1], 0.03))
    unit, rows = logs[sound] / left[sound].sqrt()[:, None], rows[sound]
    if len(rows) < 2:
        return empty(vocabulary, x.device)
    residual = fit.unit[:, 0]
    i, j = _best_pairs(unit.float(), residual.float(), 8 * keep, 1024)
    share = _pair_share(unit, unit @ residual, i, j)
    symbols = rows.expressions.complexity[i] + rows.expressions.complexity[j]
    length = 0.5 * len(residual) * torch.log2(share.clamp(min=1e-24)) + SYMBOL_BITS * symbols
    best = length.topk(min(keep, len(length)), largest=False).indices
    return _log_law(fit, [rows[i[best]], rows[j[best]]], vocabulary)


def screen_log_chain(
    target: Target, x: torch.Tensor, rows: Rows, vocabulary: Vocabulary, *, beams: int = 6, depth: int = 4
) -> Expressions:
    """T ≈ K·Π x_d^β · u₁^p₁ · u₂^p₂ ⋯: factors joined greedily, from each of the best first ones."""
    fit = _regress([target], x, False)
    if not bool(fit.left[0]):
        return empty(vocabulary, x.device)
    logs = rows.values.abs().clamp(min=1e-300).log()
    out = [
        _log_law(fit, [rows[chain[:, k]] for k in range(chain.shape[1])], vocabulary)
        for chain in _chains(logs, fit.weight, fit.q, fit.unit[:, 0], beams, depth)
    ]
    return concatenate(out) if out else empty(vocabulary, x.device)


def _chains(
    values: torch.Tensor, weight: torch.Tensor, q: torch.Tensor, residual: torch.Tensor, beams: int, depth: int
) -> list[torch.Tensor]:
    """Orthogonal matching pursuit from each of the best rows: (P, k) row indices for every length k from 2 on."""
    share = _unexplained(values, weight, q, residual[:, None])[0]
    starts = share.topk(min(beams, len(share)), largest=False).indices
    found: list[list[torch.Tensor]] = [[] for _ in range(depth + 1)]
    for start in starts:  # a handful of beams
        basis, left, chain = q, residual, [start]
        for length in range(2, depth + 1):
            new = values[chain[-1]] * weight
            for _ in range(2):  # twice is enough [Giraud et al. 2005]
                new = new - basis @ (basis.T @ new)
            new = new / new.norm().clamp(min=1e-300)
            basis = torch.cat([basis, new[:, None]], 1)
            left = left - new * (new @ left)
            if not float(left.norm()) > 1e-12:
                break
            share = _unexplained(values, weight, basis, (left / left.norm())[:, None])[0]
            chain.append(share.argmin())
            found[length].append(torch.stack(chain))
    return [torch.stack(chains) for chains in found if chains]


def _log_law(fit: _Regression, factors: Sequence[Rows], vocabulary: Vocabulary) -> Expressions:
    """K·Π x^β·Π uₖ^pₖ for P choices of m factors, exponents regressed in the logarithm and rounded to halves."""
    columns = torch.stack([r.values.abs().clamp(min=1e-300).log() * fit.weight for r in factors], 1)  # (P, m, N)
    projected = columns - (columns @ fit.q) @ fit.q.T
    gram = projected @ projected.transpose(1, 2)
    powers = (torch.linalg.pinv(gram, hermitian=True) @ (projected @ fit.whole[0])[:, :, None])[:, :, 0]
    rest = fit.whole[0] - (powers[:, None, :] @ columns)[:, 0]
    beta = torch.linalg.solve_triangular(fit.r, fit.q.T @ rest.T, upper=True)[1:].T
    exponents, powers = _spread(_halves(beta), fit.columns, fit.dimensions), _halves(powers)
    fine = (exponents.abs() <= MOST_EXPONENT).all(1) & (powers.abs() <= MOST_FEATURE_POWER).all(1)
    fine &= (powers != 0).all(1) & beta.isfinite().all(1)
    if not bool(fine.any()):
        return empty(vocabulary, columns.device)
    law = constant([1.0], vocabulary, columns.device) * monomials(exponents, vocabulary)
    for k, factor in enumerate(factors):
        law = _times_power(law, factor.expressions, powers[:, k], vocabulary)
    return fit.views[0].undo(law[fine].trimmed())


def _least(scores: torch.Tensor, inner: torch.Tensor, rows: torch.Tensor | None, kind: int, keep: int):
    """The `keep` least scores of each view: (V, k) scores, library rows, inner constants and the kind."""
    best = scores.topk(min(keep, scores.shape[1]), largest=False, dim=1)
    at = best.indices if rows is None else rows[best.indices]
    return best.values, at, inner.gather(1, best.indices), torch.full_like(best.indices, kind)


def _scaled(rows: torch.Tensor) -> torch.Tensor:
    return rows / rows.abs().amax(1, keepdim=True).clamp(min=1e-300)


def _feature_rows(kind: Feature, groups: torch.Tensor, inner: torch.Tensor, logarithm: bool) -> torch.Tensor:
    """F(c·g), or log|F(c·g)|: (M, C, N) for groups (M, N) and inner (M, C)."""
    values = kind.value(inner[:, :, None] * groups[:, None, :])
    return values.abs().clamp(min=1e-300).log() if logarithm else values


def _best_inner(
    kind: Feature, groups: torch.Tensor, fit: _Projection, logarithm: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """(V, M) least unexplained share over the grid of c for each view and group, and that c."""
    scores, chosen = [], []
    piece = max(1, PIECE_ROWS // inner_grid(kind, groups[:1]).shape[1])
    for start in range(0, len(groups), piece):  # pieces that stay in cache
        part = groups[start : start + piece]
        inner = inner_grid(kind, part)
        rows = _feature_rows(kind, part, inner, logarithm)
        share = _unexplained(rows.flatten(0, 1), fit.weight, fit.q, fit.unit).view(-1, *inner.shape)
        least = share.min(2)
        scores.append(least.values)
        chosen.append(inner.expand_as(share).gather(2, least.indices[:, :, None])[:, :, 0])
    return torch.cat(scores, 1), torch.cat(chosen, 1)


def _zoom(
    kind: Feature, groups: torch.Tensor, inner: torch.Tensor, view: torch.Tensor, fit: _Projection, logarithm: bool
) -> torch.Tensor:
    """Inner constants moved to the best of nine factors, four times narrower each round: from 60 % to 0.01 %."""
    steps = torch.linspace(-1, 1, 9, dtype=groups.dtype, device=groups.device)
    for width in (0.5, 0.15, 0.04, 0.01, 0.0025, 0.0006):
        trial = inner[:, None] * torch.exp(width * steps)
        rows = _feature_rows(kind, groups, trial, logarithm)
        share = _unexplained(rows.flatten(0, 1), fit.weight, fit.q, fit.unit)
        own = share.view(-1, *trial.shape)[view, torch.arange(len(view), device=view.device)]
        inner = trial.gather(1, own.argmin(1, keepdim=True))[:, 0]
    return inner


def _halves(exponents: torch.Tensor) -> torch.Tensor:
    return (exponents / EXPONENT_STEP).round() * EXPONENT_STEP


def _spread(values: torch.Tensor, columns: torch.Tensor, dimensions: int) -> torch.Tensor:
    """Exponents of the usable columns (B, d) placed among all D variables."""
    full = values.new_zeros(values.shape[0], dimensions)
    full[:, columns] = values
    return full


def _power_with_feature(
    kind: Feature | None,
    groups: Library,
    inner: torch.Tensor,
    view: torch.Tensor,
    fit: _Regression,
    vocabulary: Vocabulary,
) -> tuple[Expressions, torch.Tensor]:
    """Regress with one feature row each, round the exponents, write T; and the view of each law written."""
    if kind is None:
        rows = groups.values.abs().clamp(min=1e-300).log()
    elif kind.exponential:
        rows = _scaled(groups.values)
    else:
        inner = _zoom(kind, groups.values, inner, view, fit.projection, True)
        rows = _feature_rows(kind, groups.values, inner[:, None], True)[:, 0]
    weighted = rows * fit.weight
    projected = weighted - (weighted @ fit.q) @ fit.q.T
    whole = fit.whole[view]
    p = torch.linalg.vecdot(projected, whole) / torch.linalg.vecdot(projected, projected)
    beta = torch.linalg.solve_triangular(fit.r, fit.q.T @ (whole - weighted * p[:, None]).T, upper=True)[1:].T
    exponents = _spread(_halves(beta), fit.columns, fit.dimensions)
    sound = (exponents.abs() <= MOST_EXPONENT).all(1) & beta.isfinite().all(1) & p.isfinite()
    one = constant([1.0], vocabulary, rows.device)
    lead = one * monomials(exponents, vocabulary)
    if kind is not None and kind.exponential:
        rate = p / groups.values.abs().amax(1)
        argument = constant(rate, vocabulary, rows.device) * groups.expressions
        law = lead * kind.build(argument)
    else:
        p = _halves(p)
        sound &= (p != 0) & (p.abs() <= MOST_FEATURE_POWER)
        if kind is None:
            factor = groups.expressions
        else:
            factor = kind.build(constant(inner, vocabulary, rows.device) * groups.expressions)
        law = _times_power(lead, factor, p, vocabulary)
    return law[sound], view[sound]


# ---------------------------------------------------------------------------------------------- linear screens
def linear_rows(library: Library, kinds: Sequence[Feature], vocabulary: Vocabulary) -> Rows:
    """Groups, features of groups, and variables times features: the rows of the linear screens, simplest first.

    The simplest groups meet every feature with several inner constants, more groups meet the cheap features with two,
    and each variable multiplies the simplest features.
    """
    library = library[torch.argsort(library.expressions.complexity, stable=True)]
    groups = library[:PLAIN_ROWS]
    parts_e, parts_v = [groups.expressions], [groups.values]

    def add(kind: Feature, groups: Library, starts: Sequence[float], reaches: Sequence[float]) -> None:
        largest = groups.values.abs().amax(1)
        inner = [torch.full_like(largest, c) for c in starts] + [r / largest for r in reaches]
        c = torch.cat(inner)
        many = groups[torch.arange(len(groups), device=c.device).repeat(len(inner))]
        parts_e.append(kind.build(constant(c, vocabulary, c.device) * many.expressions))
        parts_v.append(kind.value(c[:, None] * many.values))

    for kind in kinds:
        if kind.bits >= DEAR:
            add(kind, library[: FEW_GROUPS // 4], (1.0, 2.0), (0.6,))
        else:
            signs = (1.0, -1.0, 0.5, 2.0) if kind.signed else (1.0, 0.5, 2.0)
            add(kind, library[:FEW_GROUPS], signs, (0.6, 3.0))
            add(kind, library[:LEAST_GROUPS], (0.25, 0.75, 1.5, 3.0, math.pi, 2 * math.pi), (1.5, 6.0, 12.0))
            add(kind, library[FEW_GROUPS:MANY_GROUPS], (1.0,), (1.5,))
    rows = _sound_rows(concatenate(parts_e), torch.cat(parts_v))
    simple = rows[(rows.expressions.free.any(1)).nonzero()[:, 0][:DRESSED]]
    single = (library.exponents.nan_to_num(9.0).abs().sum(1) == 1) & (library.exponents.nan_to_num(0.0).sum(1) == 1)
    variables = library[single]
    if not len(simple) or not len(variables) or "mul" not in vocabulary:
        return rows
    i, j = torch.cartesian_prod(
        torch.arange(len(variables), device=rows.values.device), torch.arange(len(simple), device=rows.values.device)
    ).T
    return _sound_rows(
        concatenate([rows.expressions, variables.expressions[i] * simple.expressions[j]]),
        torch.cat([rows.values, variables.values[i] * simple.values[j]]),
    )


def sharp_rows(
    target: Target, x: torch.Tensor, library: Library, kinds: Sequence[Feature], vocabulary: Vocabulary, *, log: bool
) -> Rows:
    """Every feature of the simplest groups with the inner constant that explains most of T.

    For powers of a single variable, polynomials in all other variables are projected out first: of a sum (or with
    `log` a product, beside a power law) of functions of different variables each is then found sharply without the
    others, and pairs and chains of these rows need no grid of inner constants.
    """
    library = library[torch.argsort(library.expressions.complexity, stable=True)]
    used = library.exponents.nan_to_num(1.0) != 0
    alone = used.sum(1) == 1
    whole = _regress([target], x, False) if log else None
    weight = whole.weight if log else target.weight
    goal = whole.whole[0] if log else target.values * weight
    base = [torch.ones_like(weight)[None]]
    if log:
        base.append(x.T[whole.columns].abs().log())
    scaled = x / x.abs().amax(0).clamp(min=1e-300)
    powers = torch.stack([scaled**k for k in range(1, SMOOTH_DEGREE + 1)], 2)  # (N, D, degree)
    batches = [((~alone).nonzero()[:, 0][:SHARP_GROUPS], torch.cat(base))]
    if 1 < x.shape[1] and (x.shape[1] - 1) * SMOOTH_DEGREE < len(weight) / 4:
        for d in range(x.shape[1]):  # variables
            others = torch.cat([powers[:, :d], powers[:, d + 1 :]], 1).flatten(1).T
            rows = (alone & used[:, d]).nonzero()[:, 0][:SHARP_POWERS]
            batches.append((rows, torch.cat([*base, others])))
    else:
        batches.append((alone.nonzero()[:, 0][:SHARP_GROUPS], torch.cat(base)))
    parts_e, parts_v = [empty(vocabulary, x.device)], [x.new_zeros(0, len(x))]
    for rows, columns in batches:
        if not len(rows):
            continue
        groups = library[rows]
        q, _ = _basis(columns, weight)
        rest = goal - q @ (q.T @ goal)
        fit = _Projection(weight, q, (rest / rest.norm().clamp(min=1e-300))[:, None])
        view = torch.zeros(len(groups), dtype=torch.int64, device=x.device)
        for kind in kinds:
            _, inner = _best_inner(kind, groups.values, fit, log)
            inner = _zoom(kind, groups.values, inner[0], view, fit, log)
            parts_e.append(kind.build(constant(inner, vocabulary, x.device) * groups.expressions))
            parts_v.append(_feature_rows(kind, groups.values, inner[:, None], False)[:, 0])
    return _sound_rows(concatenate(parts_e), torch.cat(parts_v))


def join_rows(first: Rows, second: Rows) -> Rows:
    """The rows of both."""
    return Rows(concatenate([first.expressions, second.expressions]), torch.cat([first.values, second.values]))


def _sound_rows(expressions: Expressions, values: torch.Tensor) -> Rows:
    """Rows that are finite, not constant and rest on enough points, simplest first."""
    finite = values.isfinite().all(1)
    values = torch.where(finite[:, None], values, 0.0)
    size = values.abs().amax(1)
    scaled = values / size.clamp(min=1e-300)[:, None]
    spread = (scaled - scaled.mean(1, keepdim=True)).square().mean(1).sqrt()
    sound = finite & (size > 0) & (size < 1e100) & (spread > 1e-6)
    sound &= effective_points(values) > least_points(values.shape[1], 0.03)
    sound = sound.nonzero()[:, 0]
    order = sound[torch.argsort(expressions.complexity[sound], stable=True)]
    return Rows(expressions[order], values[order])


def _project(target: Target, base: Rows, rows: Rows):
    q, _ = _basis(base.values, target.weight)
    whole = target.values * target.weight
    residual = whole - q @ (q.T @ whole)
    weighted = rows.values * target.weight
    before = weighted.square().sum(1)
    projected = weighted - (weighted @ q) @ q.T
    left = projected.square().sum(1)
    rests_on = left.square() / projected.square().square().sum(1).clamp(min=1e-300)
    sound = (left > LEAST_LEFT * before) & (rests_on > least_points(rows.values.shape[1], 0.03))
    unit = torch.where(sound[:, None], projected / left.sqrt().clamp(min=1e-300)[:, None], 0.0)
    return unit, residual / residual.norm().clamp(min=1e-300), sound


def screen_one(target: Target, base: Rows, rows: Rows, *, keep: int = 20) -> Expressions:
    """T ≈ B·β + a·u for every row u."""
    unit, residual, sound = _project(target, base, rows)
    share = torch.where(sound, 1 - (unit @ residual).square(), 1.0)
    best = share.topk(min(keep, len(share)), largest=False).indices
    return _combined(target, base, [rows[best]])


def screen_chain(target: Target, base: Rows, rows: Rows, *, beams: int = 6, depth: int = 5) -> Expressions:
    """T ≈ B·β + Σ aₖ·uₖ: terms joined greedily, from each of the best first ones."""
    q, _ = _basis(base.values, target.weight)
    whole = target.values * target.weight
    residual = whole - q @ (q.T @ whole)
    residual = residual / residual.norm().clamp(min=1e-300)
    out = [
        _combined(target, base, [rows[chain[:, k]] for k in range(chain.shape[1])])
        for chain in _chains(rows.values, target.weight, q, residual, beams, depth)
    ]
    return concatenate(out) if out else empty(rows.expressions.vocabulary, whole.device)


def screen_residual(residual: torch.Tensor, tangent: torch.Tensor, rows: torch.Tensor, *, keep: int) -> torch.Tensor:
    """(keep,) indices of the rows (R, N) that explain most of a law's residual (N,) beside its tangents (k, N)."""
    weight = torch.ones_like(residual)
    q, _ = _basis(tangent, weight)
    left = residual - q @ (q.T @ residual)
    share = _unexplained(rows, weight, q, (left / left.norm().clamp(min=1e-300))[:, None])[0]
    return share.topk(min(keep, len(share)), largest=False).indices


def screen_pair(target: Target, base: Rows, rows: Rows, *, keep: int = 250, block: int = 1024) -> Expressions:
    """T ≈ B·β + a·u + b·v for all pairs of rows, from the Gram matrix in closed form.

    With unit projected rows and correlations b = ⟨u, r⟩, G = ⟨u, v⟩ two rows explain
    (b_u² + b_v² − 2·G·b_u·b_v)/(1 − G²) of the target.
    """
    unit, residual, sound = _project(target, base, rows)
    unit, rows = unit[sound], rows[sound]
    if len(rows) < 2:
        return empty(rows.expressions.vocabulary, residual.device)
    i, j = _best_pairs(unit.float(), residual.float(), 8 * keep, block)
    # float32 only ranks: a thousand pairs within its rounding of each other are ordered again, simple ones first
    share = _pair_share(unit, unit @ residual, i, j)
    symbols = rows.expressions.complexity[i] + rows.expressions.complexity[j]
    length = 0.5 * len(residual) * torch.log2(share.clamp(min=1e-24)) + SYMBOL_BITS * symbols
    best = length.topk(min(keep, len(length)), largest=False).indices
    return _combined(target, base, [rows[i[best]], rows[j[best]]])


def _best_pairs(unit: torch.Tensor, residual: torch.Tensor, keep: int, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices i < j of the pairs of unit rows that explain most of the residual, from blocks of the Gram matrix."""
    b = unit @ residual
    best_share, best_i, best_j = [], [], []
    for start in range(0, len(unit), block):  # blocks, not candidates
        gram = unit[start : start + block] @ unit[start:].T
        left = 1 - gram.square()
        bi, bj = b[start : start + block, None], b[start:]
        explained = (bi.square() + bj.square() - 2 * gram * bi * bj) / left
        explained = torch.where(left > LEAST_ANGLE, explained, 0.0).flatten()
        top = explained.topk(min(2 * keep, len(explained)))
        best_share.append(top.values)
        best_i.append(start + top.indices // gram.shape[1])
        best_j.append(start + top.indices % gram.shape[1])
    share, i, j = torch.cat(best_share), torch.cat(best_i), torch.cat(best_j)
    distinct = i < j
    share, i, j = share[distinct], i[distinct], j[distinct]
    best = share.topk(min(keep, len(share))).indices
    return i[best], j[best]


def _pair_share(unit: torch.Tensor, b: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
    """(P,) share of the residual that each pair leaves, by orthogonalising: exact where the closed form cancels."""
    residual_left = 1 - b[i].square()
    gram = torch.linalg.vecdot(unit[i], unit[j])
    across = (b[j] - gram * b[i]).square() / (1 - gram.square()).clamp(min=1e-12)
    return (residual_left - across).clamp(min=0.0)


def screen_product(target: Target, bases: Sequence[Rows], first: Rows, second: Rows, *, keep: int = 20) -> Expressions:
    """T ≈ B·β + a·u·v for every u of `first` and v of `second`, by matrix products: two, and one per base row.

    Parameters
    ----------
    bases : each the beginning of the next, so that what one base takes away is computed once
    keep : proposals per base
    """
    largest = bases[-1]
    q, _ = _basis(largest.values, target.weight)
    whole = target.values * target.weight
    u, v = _scaled(first.values) * target.weight, _scaled(second.values)
    u32, v32, q32 = u.float(), v.float(), q.T.float()
    before = u32.square() @ v32.square().T
    left = before.clone()
    done, out = 0, []
    symbols_u, symbols_v = first.expressions.complexity, second.expressions.complexity
    for base in bases:
        for column in q32[done : len(base)]:  # base rows
            across = (u32 * column) @ v32.T
            left -= across.square_()
        done = len(base)
        own = q[:, :done]
        residual = whole - own @ (own.T @ whole)
        residual = residual / residual.norm().clamp(min=1e-300)
        explained = ((u32 * residual.float()) @ v32.T).square_().div_(left)
        explained.masked_fill_(left <= 2e-4 * before, 0.0)
        best = explained.flatten().topk(min(16 * keep, explained.numel())).indices
        i, j = best // len(v), best % len(v)
        share = _unexplained(u[i] * v[j] / target.weight, target.weight, own, residual[:, None])[0]
        symbols = symbols_u[i] + symbols_v[j]
        length = 0.5 * len(whole) * torch.log2(share.clamp(min=1e-24)) + SYMBOL_BITS * symbols
        top = length.topk(min(keep, len(length)), largest=False).indices
        i, j = i[top], j[top]
        chosen = Rows(first.expressions[i] * second.expressions[j], first.values[i] * second.values[j])
        out.append(_combined(target, base, [chosen]))
    return concatenate(out)


def screen_factor(target: Target, first: Rows, second: Rows, *, keep: int = 20) -> Expressions:
    """T ≈ u·(a + b·v) for every v of `second` and the u of `first` that resemble T most."""
    whole = target.values * target.weight
    whole = whole / whole.norm().clamp(min=1e-300)
    u, v = _scaled(first.values) * target.weight, _scaled(second.values)
    u = u / u.norm(dim=1, keepdim=True).clamp(min=1e-300)
    along = u @ whole
    alike = along.abs().topk(min(MOST_ALIKE, len(along))).indices
    first, u, along = first[alike], u[alike], along[alike]
    u32, v32 = u.float(), v.float()
    across = (u32 * (whole - along[:, None] * u).float()) @ v32.T
    before = u32.square() @ v32.square().T
    left = before - (u32.square() @ v32.T).square()
    explained = torch.where(left > 2e-4 * before, across.square() / left, 0.0) + along.float().square()[:, None]
    best = explained.flatten().topk(min(16 * keep, explained.numel())).indices
    i, j = best // len(v), best % len(v)
    pair = torch.stack([u[i], u[i] * v[j]], 1)  # (P, 2, N)
    q, _ = torch.linalg.qr(pair.transpose(1, 2))
    share = (1 - (whole[None, None, :] @ q)[:, 0].square().sum(1)).clamp(min=0.0)
    symbols = first.expressions.complexity[i] + second.expressions.complexity[j]
    squares = (u[i] * v[j]).square()
    rests_on = squares.sum(1).square() / torch.linalg.vecdot(squares, squares).clamp(min=1e-300)
    share = torch.where(rests_on > least_points(len(whole), 0.04), share, 1.0)
    length = 0.5 * len(whole) * torch.log2(share.clamp(min=1e-24)) + SYMBOL_BITS * symbols
    top = length.topk(min(keep, len(length)), largest=False).indices
    outer, inner = first.expressions[i[top]], second.expressions[j[top]]
    vocabulary = outer.vocabulary
    one = constant([1.0], vocabulary, whole.device)
    return target.view.undo(outer * (one + one * inner))


def screen_span(target: Target, dictionary: Rows, first: Rows, *, keep: int = 12) -> Expressions:
    """T ≈ u·Σ cⱼ·bⱼ over a small dictionary for every u of `first`; then eliminated to the terms that matter."""
    b = _scaled(dictionary.values)
    k, points = b.shape
    if k > points // 3:
        return empty(dictionary.expressions.vocabulary, b.device)
    u = _scaled(first.values)
    weighted = u * target.weight
    squares = weighted * weighted
    rests_on = squares.sum(1).square() / torch.linalg.vecdot(squares, squares).clamp(min=1e-300)
    some = (rests_on > least_points(points, 0.05)).nonzero()[:, 0]
    if not len(some):
        return empty(dictionary.expressions.vocabulary, b.device)
    squares, weighted = squares[some], weighted[some]
    upper = torch.triu_indices(k, k, device=b.device)
    entries = squares @ (b[upper[0]] * b[upper[1]]).T
    gram = b.new_zeros(len(some), k, k)
    gram[:, upper[0], upper[1]] = entries
    gram[:, upper[1], upper[0]] = entries
    goal = target.values * target.weight
    right = (weighted * goal) @ b.T
    solution = solve_normal(gram, right)
    share = 1 - torch.linalg.vecdot(solution, right) / goal.square().sum()
    share = torch.where(share.isfinite(), share.clamp(min=0.0), 1.0)
    best = some[share.topk(min(keep, len(share)), largest=False).indices]
    columns = (u[best][:, None, :] * dictionary.values) * target.weight
    coefficients, used = eliminate(columns, goal)
    fine = used.any(1) & (used.sum(1) <= MOST_TERMS)
    if not bool(fine.any()):
        return empty(dictionary.expressions.vocabulary, b.device)
    sums = _sum_of(dictionary, coefficients[fine], used[fine])
    return target.view.undo(first.expressions[best[fine]] * sums)


def _combined(target: Target, base: Rows, extra: Sequence[Rows]) -> Expressions:
    """Base and extra rows fitted together, terms that do not matter eliminated, written as expressions of y."""
    count = len(extra[0])
    values = torch.cat([base.values.expand(count, -1, -1), torch.stack([e.values for e in extra], 1)], 1)
    terms = [base.expressions[k] for k in range(len(base))] + [e.expressions for e in extra]
    coefficients, used = eliminate(values * target.weight, target.values * target.weight)
    some = used.any(1)
    if not bool(some.any()):
        return target.view.undo(constant([1.0], base.expressions.vocabulary, values.device))
    terms = [t if len(t) == 1 else t[some] for t in terms]
    return target.view.undo(linear_combination(terms, coefficients[some], used[some]))


def eliminate(
    columns: torch.Tensor, target: torch.Tensor, *, price: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Backward elimination for many least-squares problems at once.

    Parameters
    ----------
    columns : (B, T, N) weighted terms
    target : (N,) or (B, N) weighted target
    price : nats that a term must gain to stay; default ln N + 3, about what a coefficient and a term cost in bits

    Returns
    -------
    coefficients (B, T), zero where not used; used (B, T) bool
    """
    count, terms, points = columns.shape
    price = torch.log(torch.tensor(float(points))) + 3.0 if price is None else price
    scale = columns.norm(dim=2).clamp(min=1e-300)
    unit = columns / scale[:, :, None]
    goal = target.expand(count, points)
    gram = unit @ unit.transpose(1, 2)
    right = (unit @ goal[:, :, None])[:, :, 0]
    total = goal.square().sum(1)
    floor = 1e-13 * total + 1e-300
    used = scale > 1e-200
    eye = torch.eye(terms, dtype=columns.dtype, device=columns.device)

    def solve(used):
        masked = torch.where(used[:, :, None] & used[:, None, :], gram, 0.0) + eye * (~used)[:, :, None]
        value, vector = torch.linalg.eigh(masked)
        # Not a pseudo-inverse: it would share a coefficient between equal terms, and then neither could be dropped.
        inverse = (vector / value.clamp(min=1e-14 * value[:, -1:])[:, None, :]) @ vector.transpose(1, 2)
        beta = (inverse @ (right * used)[:, :, None])[:, :, 0] * used
        rest = (goal - (beta[:, None, :] @ unit)[:, 0]).square().sum(1)
        return beta, inverse.diagonal(dim1=1, dim2=2), rest

    beta, diagonal, rest = solve(used)
    for _ in range(terms - 1):
        growth = torch.where(used, beta.square() / diagonal.clamp(min=1e-300), torch.inf)
        least = growth.min(1)
        loses = 0.5 * points * torch.log((rest + least.values + floor) / (rest + floor))
        drop = (loses < price) & (used.sum(1) > 1)
        if not bool(drop.any()):
            break
        trial = used.clone()
        trial[drop, least.indices[drop]] = False
        beta, diagonal, rest = solve(trial)
        used = trial
    return beta / scale, used & (beta != 0)


# ---------------------------------------------------------------------------------------------- dictionaries
def screen_sparse(target: Target, dictionaries: Sequence[Rows]) -> Expressions:
    """T ≈ Σ over a dictionary, eliminated backwards; of several dictionaries the shortest description.

    Returns
    -------
    one expression of y, or none: more than `MOST_TERMS` terms are an approximant and no law
    """
    goal = target.values * target.weight
    spread = (goal - target.weight * (goal @ target.weight) / target.weight.square().sum()).square().sum()
    best, chosen = torch.inf, None
    for dictionary in dictionaries:  # a few degrees
        columns = (dictionary.values * target.weight)[None]
        coefficients, used = eliminate(columns, goal)
        rest = (goal - (coefficients[:, None, :] @ columns)[0, 0]).square().sum()
        terms = int(used.sum())
        length = 0.5 * len(goal) * float(torch.log2(rest + 1e-26 * spread)) + 5 * SYMBOL_BITS * terms
        if 0 < terms <= MOST_TERMS and length < best:
            best, chosen = length, (dictionary, coefficients, used)
    if chosen is None:
        return empty(dictionaries[0].expressions.vocabulary, goal.device)
    return target.view.undo(_sum_of(*chosen))


def _sum_of(dictionary: Rows, coefficients: torch.Tensor, used: torch.Tensor) -> Expressions:
    """Linear combinations (B) over one shared dictionary, built from the terms that any row uses."""
    some = used.any(0).nonzero()[:, 0]
    terms = [dictionary.expressions[k : k + 1] for k in some.tolist()]
    return linear_combination(terms, coefficients[:, some], used[:, some])


def screen_ratio(target: Target, top: Rows, bottom: Rows) -> Expressions | None:
    """p(x)/q(x) from the smallest singular vector of [p-terms, −T·q-terms], columns dropped while it stays small.

    Returns
    -------
    one proposal with the first term of q normalised to the literal 1, or None where no null vector stands out
    """
    t = target.values
    weight = 1 / (t.abs() + 1e-3 * t.abs().median())
    columns = torch.cat([top.values, -t * bottom.values]) * weight
    scale = columns.norm(dim=1).clamp(min=1e-300)
    unit = columns / scale[:, None]
    many = len(unit)
    if many > 0.6 * unit.shape[1]:
        return None
    triangle = torch.linalg.qr(unit.T).R  # same singular values, far fewer rows
    keep = torch.arange(many, device=t.device)
    smallest, vector = _null_vectors(triangle[None])
    if not float(smallest) < NO_NULL_VECTOR:
        return None
    limit = max(1e-10, 3 * float(smallest))
    vector = vector[0]
    if int((torch.linalg.svdvals(triangle) < limit).sum()) == 1:  # one null vector: its zeros are exact
        keep = (vector.abs() > 1e-6 * vector.abs().max()).nonzero()[:, 0]
        smallest, vector = _null_vectors(triangle[:, keep][None])
        if not float(smallest) < limit:
            return None
        vector = vector[0]
    elif many > MOST_COLUMNS:
        return None
    while len(keep) > 2:
        # One column less: of the six with the least weight in the null vector, the one whose loss it survives best.
        order = torch.argsort(vector.abs())[:6]
        rest = torch.stack([torch.cat([keep[:i], keep[i + 1 :]]) for i in order.tolist()])
        values, vectors = _null_vectors(triangle[:, rest].transpose(0, 1))
        best = int(values.argmin())
        if not float(values[best]) < limit:
            break
        keep, vector = rest[best], vectors[best]
    full = unit.new_zeros(many)
    full[keep] = vector
    vector, keep = full, full != 0
    coefficients = vector / scale
    up, down = keep[: len(top)], keep[len(top) :]
    if not bool(up.any()) or not bool(down.any()):
        return None
    below = coefficients[len(top) :][down]
    lead = below[below.abs().argmax()]
    numerator = _sum_of(top, (coefficients[: len(top)] / lead)[None], up[None])
    denominator = _sum_of(bottom, (coefficients[len(top) :] / lead)[None], down[None])
    return target.view.undo(numerator / denominator)


def _null_vectors(columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest singular value (B,) and its right vector (B, m) of each of B matrices (B, n, m)."""
    _, s, vh = torch.linalg.svd(columns, full_matrices=False)
    return s[:, -1], vh[:, -1]
