"""Columns: which of many columns a target depends on, alone, by twos or through its spread; for tables that are wide.

Columns are added one by one. A flexible surface over those found so far is taken out of the target *and* out of what
is tested, so that a copy of a found column says nothing more, whatever shape the surface missed [the generalised
covariance measure: Shah & Peters 2020, Annals of Statistics 48, 1514]. Tests are of orthogonal polynomials in ranks:
an even effect is degree 2, a product of two centred columns is a product of two degrees 1. What has no mean effect of
one column or two (a product of three centred ones) shows in the spread of the target, which is a target of its own.

It knows numbers; it does not know labels, laws or libraries.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sr_accessor.device import DTYPE

__all__ = ["MOST_COLUMNS", "Relevance", "relevant_columns"]

#: A search handles so many columns well; a table of no more than these is not screened.
MOST_COLUMNS = 10
#: Where fewer columns are found, the next best fill up to this: columns too many cost a search little, one too few all.
#: With few rows even what matters may not stand out, so more are kept.
LEAST_COLUMNS, LEAST_OF_FEW_ROWS, FEW_ROWS = 5, 8, 2000
#: Rows that are looked at, at most, and numbers (rows × columns): 1000 columns get a tenth of the rows.
MOST_ROWS, MOST_CELLS = 10_000, 1_000_000
#: Degrees of the polynomials in ranks: of smooth effects, and of all that are told from noise.
SMOOTH, DEGREES = 4, 8
#: Bins that find what oscillates faster, while nothing else is known.
BINS = 32
#: Terms of the surface over the found columns: in ranks, and each in the values and their logarithms.
RANK_TERMS, OWN_TERMS, OWN_DEGREE = 150, 60, 3
#: Standard normal units above the largest of so many tests of noise, √(2 ln tests): what is found, and what may be.
SURE, SURE_PAIR, PERHAPS = 1.5, 2.0, 0.5
#: A found column that says less than this beside the others is dropped again.
IDLE = 3.0
#: Targets of which so little is left, relative to their spread, are explained.
EXPLAINED = 1e-7
#: A column of which so little is left beside the found ones is a copy of them.
COPY = 1e-6
#: Multiplications of the test of all pairs on one target, at most (degrees are left out until it is so), and pairs
#: whose test is then made exact.
PAIR_WORK, MOST_PAIRS = 7e9, 64


@dataclass(frozen=True)
class Relevance:
    """Columns to keep.

    Parameters
    ----------
    kept : in the order of the table
    strength : (D,) how surely each column matters, in standard normal units: of a found one beside those found before,
        of the others beside all of these
    found : how many of the kept ones are more than noise would bring; the others fill up
    rows : looked at
    """

    kept: tuple[int, ...]
    strength: tuple[float, ...]
    found: int
    rows: int


def relevant_columns(
    x: np.ndarray, y: np.ndarray, *, seed: int, always: Sequence[int] = (), most: int = MOST_COLUMNS
) -> Relevance:
    """The columns that a law for y may need.

    Parameters
    ----------
    x : (N, D), finite, no column constant
    y : (N,), finite
    seed : of the rows that are looked at
    always : columns that are kept whatever they say
    most : columns kept, `always` among them

    What is seen: anything of one column or of two, smooth to about five periods, and anything of more columns that
    changes the mean or the spread of y along one of them. A pure parity of three is not.
    """
    rows = np.random.default_rng(seed).permutation(len(y))[: min(MOST_ROWS, MOST_CELLS // max(1, x.shape[1]))]
    table = _Table.of(torch.from_numpy(x[rows].astype(np.float64)), torch.from_numpy(y[rows].astype(np.float64)))
    found, strength = _found(table, list(always), most)
    found, strength = _without_idle(table, found, strength, set(always))
    rest, hopeful = _ranking(table, found)
    strength = torch.where(rest.isfinite(), rest, strength)
    sure, least = len(found), LEAST_OF_FEW_ROWS if len(rows) < FEW_ROWS else LEAST_COLUMNS
    for column in torch.argsort(rest, descending=True, stable=True).tolist():
        promising = len(found) < least or float(rest[column]) > hopeful
        if column not in found and len(found) < most and promising:
            found.append(column)
    return Relevance(tuple(sorted(found)), tuple(strength.tolist()), sure, len(rows))


# ---------------------------------------------------------------------- the table
@dataclass(frozen=True)
class _Table:
    """What is computed once: n rows, D columns.

    Parameters
    ----------
    targets : (n, T) y, its normal scores, log|y| where it has one; each of mean 0 and variance 1
    ranks, values, logs : (n, D) coordinates of the columns; logs are 0 where a column has none
    effects : (K, n, D) float32, polynomials in the ranks of each column, orthonormal over the rows
    """

    targets: torch.Tensor
    ranks: torch.Tensor
    values: torch.Tensor
    logs: torch.Tensor
    effects: torch.Tensor

    @classmethod
    def of(cls, x: torch.Tensor, y: torch.Tensor) -> _Table:
        size, ranks = y.abs(), _ranks(x)
        targets = [y, _normal(_ranks(y[:, None]))[:, 0]]
        if float((size > 0).double().mean()) > 0.99:
            targets.append(size.clamp(min=float(size[size > 0].min())).log())
        signed = (x != 0).all(0)
        logs = torch.where(signed, torch.where(signed, x.abs(), 1.0).log(), 0.0)
        targets = [t for t in map(_standard, targets) if float(t.abs().max()) > 0]
        return cls(torch.stack(targets, 1), ranks, _standard(x), _standard(logs), _polynomials(ranks, DEGREES).float())

    @property
    def tests(self) -> int:
        """Targets that a column is tested against: `_Seen.views`."""
        return self.targets.shape[1] + 1


def _standard(values: torch.Tensor) -> torch.Tensor:
    """Mean 0 and variance 1 along the rows; 0 where constant. The scale comes first: squares may overflow."""
    values = values / values.abs().amax(0).clamp(min=1e-300)
    values = values - values.mean(0)
    spread = values.square().mean(0).sqrt()
    return torch.where(spread > 1e-12, values / spread.clamp(min=1e-300), 0.0)


def _ranks(x: torch.Tensor) -> torch.Tensor:
    """(n, D) ranks of each column in (−1, 1); equal values share the middle of theirs."""
    ordered, place = x.T.sort(1)
    index = torch.arange(len(x)).expand_as(place)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = torch.where(begins, index, 0).cummax(1).values
    ends = begins.roll(-1, 1)  # the last place always ends: the first one begins
    last = torch.where(ends, index, len(x)).flip(1).cummin(1).values.flip(1)
    ranks = (first + last + 1).to(DTYPE) / len(x) - 1
    return torch.empty_like(ranks).scatter_(1, place, ranks).T.contiguous()


def _normal(ranks: torch.Tensor) -> torch.Tensor:
    """Normal scores of ranks in (−1, 1)."""
    return math.sqrt(2) * torch.erfinv(ranks.clamp(-1 + 1e-9, 1 - 1e-9))


def _polynomials(u: torch.Tensor, degree: int) -> torch.Tensor:
    """(degree, n, D) polynomials of each column of u (n, D), of mean 0, orthonormal over the rows; 0 where a column
    has too few values for one of that degree.
    """
    legendre = [torch.ones_like(u), u]  # Bonnet's recursion; well conditioned for any values in [−1, 1]
    for k in range(1, degree):
        legendre.append(((2 * k + 1) * u * legendre[-1] - k * legendre[-2]) / (k + 1))
    raw = torch.stack(legendre, 2).transpose(0, 1)  # (D, n, degree + 1)
    size = raw.square().mean(1).sqrt().clamp(min=1e-12)
    raw = raw / size[:, None]
    gram = raw.mT @ raw / raw.shape[1]
    gram.diagonal(dim1=1, dim2=2).add_(1e-10)
    factor = torch.linalg.cholesky(gram)
    flat = torch.linalg.solve_triangular(factor, raw.mT, upper=False)  # (D, degree + 1, n)
    exists = flat.square().mean(2, keepdim=True) > 0.5  # a polynomial that is a combination of others leaves rounding
    return torch.where(exists, flat, 0.0)[:, 1:].permute(1, 2, 0)


# ---------------------------------------------------------------------- the surface over what was found
@dataclass(frozen=True)
class _Surface:
    """Flexible functions of some columns: terms (n, P) of length 1, and the Cholesky factor of their products."""

    terms: torch.Tensor
    factor: torch.Tensor

    @classmethod
    def over(cls, table: _Table, found: Sequence[int]) -> _Surface:
        rows = len(table.ranks)
        terms = [torch.ones(rows, 1, dtype=DTYPE)]
        budget = rows / 10
        coordinates = ((table.ranks, RANK_TERMS, 12), (table.values, OWN_TERMS, OWN_DEGREE),
                       (table.logs, OWN_TERMS, OWN_DEGREE))  # fmt: skip
        for coordinate, most, highest in coordinates if len(found) else ():
            own = coordinate[:, list(found)]
            # Ranks lie in (−1, 1); values may have a far tail, which a cubic follows and a polynomial of 12 must not.
            own = own if coordinate is table.ranks else own / own.abs().amax(0).clamp(min=1e-300)
            terms.append(_products(own, min(most, int(budget)), highest))
        joined = torch.cat(terms, 1)
        joined = joined / joined.norm(dim=0).clamp(min=1e-300)
        products = joined.T @ joined
        products.diagonal().add_(1e-9)  # terms repeat each other; what they span is what counts
        return cls(joined, torch.linalg.cholesky(products))

    def removed(self, values: torch.Tensor) -> torch.Tensor:
        """Values (n, M) without what the surface explains; twice, since the ridge leaves a part of it."""
        terms = self.terms.to(values.dtype)
        for _ in range(2 if values.dtype == DTYPE else 1):
            share = torch.cholesky_solve((terms.T @ values).to(DTYPE), self.factor)
            values = values - terms @ share.to(values.dtype)
        return values


def _products(u: torch.Tensor, most: int, highest: int) -> torch.Tensor:
    """(n, P) products of orthonormal polynomials of the columns of u, to the total degree that gives `most` terms."""
    count = u.shape[1]
    degrees = [d for d in range(1, highest + 1) if math.comb(count + d, d) <= most]
    degree = max(degrees, default=1)
    single = torch.cat([torch.ones_like(u)[None], _polynomials(u, degree)])  # (degree + 1, n, count)
    chosen = torch.tensor(list(itertools.combinations_with_replacement(range(count + 1), degree)))
    powers = (chosen[:, :, None] == torch.arange(1, count + 1)).sum(1)[1:]  # (P, count), without the constant
    product = torch.ones(len(powers), len(u), dtype=u.dtype)
    for i in range(count):  # columns found: a handful
        product *= single[powers[:, i], :, i]
    return product.T


# ---------------------------------------------------------------------- tests
@dataclass(frozen=True)
class _Seen:
    """The table as it is beside the found columns.

    Parameters
    ----------
    surface : over the found columns
    views : (V, n) float32: what the surface leaves of each target, by its scatter nearby, and the size of what it
        leaves of the first; normal scores, so that no few rows carry all. None where a target is explained
    """

    surface: _Surface
    views: torch.Tensor | None

    @classmethod
    def beside(cls, table: _Table, found: Sequence[int]) -> _Seen:
        surface = _Surface.over(table, found)
        left = surface.removed(table.targets)
        spread = left.square().mean(0).sqrt()
        if float(spread.min()) < EXPLAINED:
            return cls(surface, None)
        size = (left / spread).abs().clamp(min=1e-6).log()
        nearby = size - surface.removed(size)  # the logarithm of what is left, as far as the surface tells it
        scores = _normal(_ranks(torch.cat([left / nearby.exp(), size[:, :1]], 1)))
        return cls(surface, _standard(surface.removed(scores)).float().T.contiguous())

    def effects(self, table: _Table, degrees: int) -> torch.Tensor:
        """(K, n, D) the polynomials of all columns without what the found columns say of them."""
        few = table.effects[:degrees]
        if self.surface.terms.shape[1] == 1:
            return few
        count, rows, columns = few.shape
        left = self.surface.removed(few.permute(1, 0, 2).reshape(rows, -1))
        return left.view(rows, count, columns).permute(1, 0, 2)


def _units(chi2: torch.Tensor, degrees: torch.Tensor | float) -> torch.Tensor:
    """Standard normal units of χ² values, without underflow however large [Wilson & Hilferty 1931, PNAS 17, 684]."""
    part = 2 / (9 * torch.as_tensor(degrees, dtype=chi2.dtype))
    return ((chi2 / degrees) ** (1 / 3) - (1 - part)) / part.sqrt()


def _alone(views: torch.Tensor, effects: torch.Tensor) -> torch.Tensor:
    """(D,) how surely each column has an effect on any view: the best of low, smooth and all degrees.

    Each sum over the rows is divided by its own scatter, so that rows that weigh much do not pass for many.
    """
    sums = torch.einsum("vn,knd->vkd", views, effects)
    scatter = torch.einsum("vn,knd->vkd", views.square(), effects.square())
    chi2 = torch.where(effects.square().mean(1) > COPY, sums.square() / scatter.clamp(min=1e-12), 0.0)
    counts = sorted({1, min(SMOOTH, len(effects)), len(effects)})
    return torch.stack([_units(chi2[:, :k].sum(1), k) for k in counts]).amax((0, 1))


def _binned(views: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
    """(D,) the same of the means in bins of equal counts: what oscillates faster than polynomials do."""
    bins = ((ranks + 1) / 2 * BINS).long().clamp(0, BINS - 1)
    best = torch.full((ranks.shape[1],), -torch.inf)
    for view in views:  # a handful
        repeated = view[:, None].expand(-1, ranks.shape[1])
        sums, squares = (
            torch.zeros(BINS, ranks.shape[1]).scatter_add_(0, bins, given.contiguous())
            for given in (repeated, repeated.square())
        )
        used = ((squares > 0).sum(0) - 1).clamp(min=1).float()
        best = torch.maximum(best, _units((sums.square() / squares.clamp(min=1e-9)).sum(0), used))
    return best


def _together(views: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, exact: bool) -> torch.Tensor:
    """(I, J) how surely columns of `left` (K, n, I) and `right` (K, n, J) have a common effect beside their own ones.

    exact : divide each sum by its own scatter; else by that of independent columns and views, in half the time
    """
    degrees, rows, count = left.shape
    f, g = (e.permute(1, 0, 2).reshape(rows, -1) for e in (left, right))
    f2, g2 = f.square(), g.square()
    exists = (f2.mean(0)[:, None] > COPY) & (g2.mean(0) > COPY)
    plain = f2.mean(0)[:, None] * g2.mean(0) * rows
    best = torch.full((count, right.shape[2]), -torch.inf)
    for view in views:
        scatter = f2.T @ (g2 * view.square()[:, None]) if exact else plain
        chi2 = (f.T @ (g * view[:, None])).square() / scatter.clamp(min=1e-12)
        chi2 = torch.where(exists, chi2, 0.0).view(degrees, count, degrees, -1)
        best = torch.maximum(best, _best_block(chi2.permute(0, 2, 1, 3)))
    return best


def _best_block(chi2: torch.Tensor) -> torch.Tensor:
    """The best of low, smooth and all degrees of χ² values (K, K, ...)."""
    counts = sorted({1, 2, SMOOTH, len(chi2)})
    return torch.stack([_units(chi2[:k, :k].sum((0, 1)), k * k) for k in counts if k <= len(chi2)]).amax(0)


def _exactly(views: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """(P,) `_together` of pairs left (K, n, P), right (K, n, P), each sum divided by its own scatter."""
    best = torch.full((left.shape[2],), -torch.inf)
    for view in views:
        weighted = left * view[None, :, None]
        sums = torch.einsum("anp,bnp->abp", weighted, right)
        scatter = torch.einsum("anp,bnp->abp", weighted.square(), right.square())
        best = torch.maximum(best, _best_block(sums.square() / scatter.clamp(min=1e-12)))
    return best


# ---------------------------------------------------------------------- the order of the search
def _noise_level(table: _Table, *, pairs: bool) -> float:
    """About the largest of all tests of columns, or of pairs of them, if there were nothing to find."""
    columns = table.ranks.shape[1]
    return math.sqrt(2 * math.log(2 * table.tests * (columns * (columns - 1) / 2 + 1 if pairs else columns)))


def _found(table: _Table, always: list[int], most: int) -> tuple[list[int], torch.Tensor]:
    """Columns in the order in which they are found, after `always`, and how surely each was."""
    found = list(always)
    strength = torch.full((table.ranks.shape[1],), -torch.inf)
    while len(found) < min(most, table.ranks.shape[1]):
        step = _next(table, found)
        if step is None:
            break
        columns, units = step
        new = [c for c in columns if c not in found][: most - len(found)]
        strength[new] = units
        found += new
    return found, strength


def _next(table: _Table, found: list[int]) -> tuple[list[int], float] | None:
    """The column, or the two, that say most beside the found ones; None where all of it may be noise.

    Cheap tests first: smooth effects of one column; all effects of one, and of one with a found one; all pairs.
    """
    seen = _Seen.beside(table, found)
    if seen.views is None:
        return None
    single = _noise_level(table, pairs=False) + SURE
    smooth = _alone(seen.views, seen.effects(table, SMOOTH))
    if not found:
        smooth = torch.maximum(smooth, _binned(seen.views, table.ranks))
    best, column = _largest(smooth, found)
    if best > single:
        return [column], best
    effects = seen.effects(table, DEGREES)
    best, column = _largest(_with_found(table, seen, effects, found), found)
    if best > single:
        return [column], best
    return _best_pair(table, seen, effects, found)


def _with_found(table: _Table, seen: _Seen, effects: torch.Tensor, found: Sequence[int]) -> torch.Tensor:
    """(D,) how surely each column has an effect of any degree, alone or together with a found one."""
    alone = _alone(seen.views, effects)
    if not len(found):
        return alone
    excess = _noise_level(table, pairs=True) - _noise_level(table, pairs=False)
    return torch.maximum(
        alone, _together(seen.views, effects, table.effects[:, :, list(found)], exact=True).amax(1) - excess
    )


def _best_pair(
    table: _Table, seen: _Seen, effects: torch.Tensor, found: Sequence[int]
) -> tuple[list[int], float] | None:
    """The pair of columns not yet found with the surest common effect, if it is more than noise would bring."""
    _, rows, columns = effects.shape
    few = effects[: max(2, int(math.sqrt(PAIR_WORK / rows) / columns))]
    common = _together(seen.views, few, few, exact=False)
    upper = torch.ones(columns, columns, dtype=torch.bool).triu(1)
    upper[list(found)] = upper[:, list(found)] = False
    common = torch.where(upper, common, -torch.inf).flatten()
    quick, at = common.topk(min(MOST_PAIRS, len(common)))
    at = at[quick > _noise_level(table, pairs=True)]
    if not len(at):
        return None
    first, second = at // columns, at % columns
    exact = _exactly(seen.views, effects[:, :, first], effects[:, :, second])
    best = int(exact.argmax())
    if float(exact[best]) <= _noise_level(table, pairs=True) + SURE_PAIR:
        return None
    return [int(first[best]), int(second[best])], float(exact[best])


def _largest(strength: torch.Tensor, found: Sequence[int]) -> tuple[float, int]:
    strength = strength.clone()
    strength[list(found)] = -torch.inf
    return float(strength.max()), int(strength.argmax())


def _without_idle(
    table: _Table, found: list[int], strength: torch.Tensor, always: set[int]
) -> tuple[list[int], torch.Tensor]:
    """Without the columns that say nothing beside the others: those found in the place of a column found later."""
    for column in list(found):
        rest = [c for c in found if c != column]
        seen = _Seen.beside(table, rest)
        said = 0.0 if seen.views is None else _said(table, seen, column, rest)
        if column in always:
            strength[column] = said
        elif rest and said < IDLE:
            found = rest
            strength[column] = -torch.inf
    return found, strength


def _said(table: _Table, seen: _Seen, column: int, rest: Sequence[int]) -> float:
    """How surely one column has an effect beside others, alone or with one of them."""
    own = table.effects[:, :, [column]]
    own = seen.surface.removed(own[:, :, 0].T.contiguous()).T[:, :, None]
    alone = float(_alone(seen.views, own))
    if not len(rest):
        return alone
    return max(alone, float(_exactly(seen.views, own.expand(-1, -1, len(rest)), table.effects[:, :, list(rest)]).max()))


def _ranking(table: _Table, found: Sequence[int]) -> tuple[torch.Tensor, float]:
    """(D,) how surely each other column matters beside the found ones (−∞: found), and from where on that may be."""
    seen = _Seen.beside(table, found)
    if seen.views is None:
        rest = torch.zeros(table.ranks.shape[1])
    else:
        rest = _with_found(table, seen, seen.effects(table, DEGREES), found)
    rest[list(found)] = -torch.inf
    return rest, _noise_level(table, pairs=False) + PERHAPS
