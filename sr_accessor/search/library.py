"""Library: sub-expressions without free constants, each evaluated once, deduplicated by value.

Rows come by enumeration in order of complexity: monomials, sums and differences of simple monomials, their
products and squares, functions of one variable; later the sub-trees of drafts and guesses join. A row that is not
finite, constant, or rests on a few points only (degenerate) is dropped: such rows "explain" anything [search.md §1].
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, empty, variable
from sr_accessor.expressions.build import monomials, writable
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.features import DEAR, features

__all__ = [
    *("Library", "build_library", "effective_points", "extend", "extend_by_monomials", "least_points"),
    *("monomial_exponents", "rests_on_enough"),
]


#: Variables as exponents of others are tried up to so many variables.
MOST_EXPONENTS = 5
#: Factors of sums: what one with a variable of the sum's own costs beside its exponents, and a sum beside a difference.
SHARED_LENGTH, ADDED_LENGTH = 3, 0.5
#: Of more variables than this so many products and quotients of differences are there at least: of six variables all.
MANY, MOST_QUOTIENTS = 4, 120
#: Sums and products with functions come into libraries of at least so many rows more.
MANY_ROWS = 200
#: A group must rest on more points than this. No more is asked: the product of five variables that each span half a
#: decade rests on three of 200 points, and its exponential on all; the screens test their own rows. Of few points, down
#: to one point in so many, less: 1/x of a twofold dilution series rests on 1.7 of them, however long the series is.
FEWEST_POINTS, FEW = 2.0, 20


@dataclass(frozen=True)
class Library:
    """M sub-expressions and their values at the N screening points.

    Parameters
    ----------
    expressions : M rows without free constants, in order of complexity within each source
    values : (M, N) float64, not normalised
    exponents : (M, D) float64, the row as a monomial; NaN where it is none
    """

    expressions: Expressions
    values: torch.Tensor
    exponents: torch.Tensor

    def __len__(self) -> int:
        return len(self.expressions)

    def __getitem__(self, rows) -> Library:
        return Library(self.expressions[rows], self.values[rows], self.exponents[rows])

    @property
    def is_monomial(self) -> torch.Tensor:
        """(M,) bool"""
        return ~self.exponents.isnan().any(1)


def effective_points(rows: torch.Tensor) -> torch.Tensor:
    """(Σv²)²/Σv⁴ of each row (M, N): how many points it rests on; N for a row of constant magnitude."""
    scaled = rows / rows.abs().amax(1, keepdim=True).clamp(min=1e-300)
    squares = scaled.square()
    return squares.sum(1).square() / squares.square().sum(1).clamp(min=1e-300)


def rests_on_enough(rows: torch.Tensor) -> torch.Tensor:
    """(M,) whether each row (M, N) rests on enough points to stand in a library."""
    return effective_points(rows) > min(FEWEST_POINTS, 1 + rows.shape[1] / FEW)


def least_points(points: int, share: float) -> float:
    """How many points a row must rest on at least: `share` of all, four where there are twenty or more."""
    return max(min(4.0, points / 5), share * points)


def monomial_exponents(dimensions: int, count: int, *, largest: int = 2) -> torch.Tensor:
    """Exponent vectors in order of complexity: |e| summed, half a unit less for each square, simplest first.

    Parameters
    ----------
    dimensions : D
    count : rows at most
    largest : greatest magnitude of one exponent; products of four and more variables have exponents ±1

    Returns
    -------
    (M, D) float64
    """
    blocks, prices = [], []
    for k in range(1, dimensions + 1):
        top = largest if k <= 3 else 1
        if math.comb(dimensions, k) * (2 * top) ** k > 40 * count:
            top = 1
        if math.comb(dimensions, k) * 2**k > 40 * count:
            break
        powers = torch.tensor([float(p) * s for p in range(1, top + 1) for s in (1, -1)])
        chosen = torch.tensor(list(itertools.combinations(range(dimensions), k)))  # torch.combinations needs D^k
        patterns = torch.cartesian_prod(*[powers] * k).reshape(-1, k)
        block = torch.zeros(len(chosen), len(patterns), dimensions)
        block.scatter_(2, chosen[:, None, :].expand(-1, len(patterns), -1), patterns.expand(len(chosen), -1, -1))
        block = block.reshape(-1, dimensions)
        magnitude = block.abs()
        blocks.append(block)
        prices.append(magnitude.sum(1) - 0.5 * (magnitude > 1).sum(1) + 0.01 * (block < 0).sum(1))
    block, price = torch.cat(blocks), torch.cat(prices)
    order = torch.argsort(price, stable=True)[:count]
    return block[order].double()


def keep_sound(library: Library, seen: torch.Tensor | None = None) -> tuple[Library, torch.Tensor]:
    """Without rows that are not finite, constant, degenerate, or equal (up to scale) to an earlier one.

    Returns
    -------
    the library, and the sorted hashes of its rows together with those given as `seen`
    """
    values = library.values
    finite = values.isfinite().all(1)
    values = torch.where(finite[:, None], values, 0.0)
    size = values.abs().amax(1)
    scaled = values / size.clamp(min=1e-300)[:, None]
    spread = (scaled - scaled.mean(1, keepdim=True)).square().mean(1).sqrt()
    sound = finite & (size > 0) & (size < 1e100) & (spread > 1e-7)
    sound &= rests_on_enough(values)
    keys = value_hash(scaled)
    # Among equal rows the earliest sound one stays: unsound rows get keys of their own first.
    index = torch.arange(len(keys), device=keys.device)
    keys = torch.where(sound, keys, -1 - index)
    order = torch.argsort(keys, stable=True)
    ordered = keys[order]
    same = torch.zeros_like(sound)
    same[1:] = ordered[1:] == ordered[:-1]
    keep = sound.clone()
    keep[order[same]] = False
    if seen is not None and len(seen):
        place = torch.searchsorted(seen, keys).clamp(max=len(seen) - 1)
        keep &= seen[place] != keys
    kept = torch.sort(torch.cat([keys[keep]] + ([seen] if seen is not None else []))).values
    return library[keep], kept


def value_hash(scaled: torch.Tensor) -> torch.Tensor:
    """(M,) int64 hash of each row (M, N) up to scale and sign, from its direction rounded to six digits.

    Six digits of eight fixed random projections: equal functions evaluated in another order agree to 1e-12 and
    fall on different sides of a rounding boundary in one case of a million.
    """
    norm = scaled.norm(dim=1, keepdim=True).clamp(min=1e-300)
    generator = torch.Generator().manual_seed(20260101)
    project = torch.randn(scaled.shape[1], 8, generator=generator, dtype=torch.float64).to(scaled)
    mark = (scaled / norm) @ project
    mark = mark * torch.sign(torch.where(mark[:, :1] == 0, 1.0, mark[:, :1]))
    digits = (mark * 1e6).round().to(torch.int64)
    key = torch.zeros(len(scaled), dtype=torch.int64, device=scaled.device)
    for i in range(8):
        key = key * 1_000_003 + digits[:, i]
    return key.bitwise_and(0x7FFFFFFFFFFFFFFF)


def build_library(x: torch.Tensor, vocabulary: Vocabulary, *, count: int = 2500) -> Library:
    """Monomials, sums and differences of simple monomials, their products with simple monomials and squares.

    Parameters
    ----------
    x : (N, D) screening points
    vocabulary : its active operators decide what is enumerated
    count : rows aimed at; half of them monomials, but all products of variables and their inverses that half of it
        holds come too, however many factors they have
    """
    dimensions = x.shape[1]
    largest = {1: 6, 2: 4, 3: 3}.get(dimensions, 2)
    exponents = monomial_exponents(dimensions, max(count // 2, 2 * dimensions), largest=largest)
    if "sqrt" in vocabulary:
        few = monomial_exponents(dimensions, 4 * dimensions * dimensions, largest=3 if dimensions < 3 else 1)
        mixed = monomial_exponents(dimensions, min(count // 8, 12 * dimensions * dimensions), largest=2)  # t·√(k/m)
        mixed = mixed[(mixed.abs().sum(1) <= 4) & (mixed.remainder(2) == 1).any(1)]
        exponents = torch.cat([exponents, few[few.abs().sum(1) <= 3] / 2, mixed / 2])
    exponents = torch.cat([exponents, monomial_exponents(dimensions, count // 2, largest=1)])
    exponents = exponents[writable(exponents, vocabulary)]
    every = _monomial_rows(exponents, x, vocabulary)
    library, seen = keep_sound(every)
    if not len(library):  # where one value outweighs all others the variables themselves are all there is
        library = every[:dimensions]
    parts = [library]
    total = len(library)
    makers = (_sums, _squares_of_sums, _sums_of_squares, _squares_of_quotients, _sums_times_monomials, _exponents)
    for make in (*makers, _functions):
        more = make(parts, x, vocabulary, max(count - total, count // 5))
        if len(more):
            more, seen = keep_sound(more, seen)
            parts.append(more)
            total += len(more)
    return _stack(parts)


def extend(library: Library, expressions: Expressions, x: torch.Tensor) -> Library:
    """The library with more sub-expressions (of a draft, a guess), where they are sound and new."""
    scaled = library.values / library.values.abs().amax(1, keepdim=True)
    more, _ = keep_sound(_rows(expressions, x), torch.sort(value_hash(scaled)).values)
    return _stack([library, more])


def extend_by_monomials(library: Library, exponents: torch.Tensor, x: torch.Tensor, vocabulary: Vocabulary) -> Library:
    """The library with more monomials (M, D), where they can be written, are sound and new."""
    scaled = library.values / library.values.abs().amax(1, keepdim=True)
    rows = _monomial_rows(exponents[writable(exponents, vocabulary)], x, vocabulary)
    more, _ = keep_sound(rows, torch.sort(value_hash(scaled)).values)
    return _stack([library, more])


def _stack(parts: list[Library]) -> Library:
    return Library(
        concatenate([p.expressions for p in parts]),
        torch.cat([p.values for p in parts]),
        torch.cat([p.exponents for p in parts]),
    )


def _rows(expressions: Expressions, x: torch.Tensor) -> Library:
    exponents = torch.full((len(expressions), x.shape[1]), torch.nan, dtype=torch.float64, device=x.device)
    return Library(expressions, evaluate(expressions, x)[0], exponents)


def _monomial_rows(exponents: torch.Tensor, x: torch.Tensor, vocabulary: Vocabulary) -> Library:
    """Monomials; roots of what is negative somewhere are roots of its magnitude, and no monomials."""
    exponents = exponents.to(x)
    expressions = monomials(exponents, vocabulary)
    values = evaluate(expressions, x)[0]
    roots = (exponents != exponents.round()).any(1) & ((2 * exponents) == (2 * exponents).round()).all(1)
    roots &= ~values.isfinite().all(1)
    if {"abs", "sqrt"} <= {o.name for o in vocabulary} and bool(roots.any()):
        magnitudes = monomials(2 * exponents[roots], vocabulary).apply("abs").apply("sqrt")
        index = torch.arange(len(expressions), device=x.device)
        index[roots] = len(expressions) + torch.arange(int(roots.sum()), device=x.device)
        expressions = concatenate([expressions, magnitudes])[index]
        values[roots] = evaluate(magnitudes, x)[0]
        exponents = torch.where(roots[:, None], torch.nan, exponents)
    return Library(expressions, values, exponents)


def _pairs(count: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """All i < j below `count`, those of small i + j first."""
    pairs = torch.combinations(torch.arange(count, device=device), 2)
    order = torch.argsort(pairs.sum(1), stable=True)
    return pairs[order, 0], pairs[order, 1]


def _sums(parts: list[Library], x: torch.Tensor, vocabulary: Vocabulary, count: int) -> Library:
    """a ± b over the simplest monomials with positive exponents first, then over all simple ones; the shortest first,
    so that of two variables every sum and difference is there before any longer one."""
    simple = parts[0].expressions
    dimensions = x.shape[1]
    positive = (parts[0].exponents >= 0).all(1)
    order = torch.argsort((~positive).long(), stable=True)[: max(8, 3 * dimensions)]
    i, j = _pairs(len(order), x.device)
    i, j = order[i], order[j]
    first = torch.argsort(simple.lengths[i] + simple.lengths[j], stable=True)[: count // 4]
    i, j = i[first], j[first]
    batches = [simple[i].apply(sign, simple[j]) for sign in ("sub", "add") if sign in vocabulary]
    return _rows(concatenate(batches) if batches else empty(vocabulary, x.device), x)


def _factors_of_sums(parts: list[Library], most: float, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Monomials with exponents of `most` in all, and sums, that multiply each other: `count` pairs, simple ones first.

    (a − b)/a is 1 − b/a, which features cover: factors of variables that are not in the sum come first.
    """
    simple, sums = parts[0], parts[1].expressions
    whole = (simple.exponents == simple.exponents.round()).all(1)
    few = (whole & (simple.exponents.abs().sum(1) <= most)).nonzero()[:, 0]
    f, g = torch.cartesian_prod(few, torch.arange(len(sums), device=few.device)).T
    inside = torch.stack([sums.uses(d) for d in range(simple.exponents.shape[1])], 1)
    shared = (inside[g] & (simple.exponents[f] != 0)).any(1)
    price = simple.exponents[f].abs().sum(1) + sums.lengths[g] + SHARED_LENGTH * shared
    if "add" in sums.vocabulary:
        price = price + ADDED_LENGTH * (sums.codes[g, 0] == sums.vocabulary.id("add"))
    best = torch.argsort(price, stable=True)[: max(count, MOST_QUOTIENTS if inside.shape[1] > MANY else 0)]
    return f[best], g[best]


def _squares_of_sums(parts: list[Library], x: torch.Tensor, vocabulary: Vocabulary, count: int) -> Library:
    sums = parts[1].expressions if len(parts) > 1 else empty(vocabulary, x.device)
    if "square" not in vocabulary or not len(sums):
        return _rows(empty(vocabulary, x.device), x)
    return _rows(sums[: count // 4].apply("square"), x)


def _sums_of_squares(parts: list[Library], x: torch.Tensor, vocabulary: Vocabulary, count: int) -> Library:
    """(a − b)² + (c − d)² over disjoint pairs of variables; a² + b² + c²."""
    dimensions = x.shape[1]
    if not {"square", "add", "sub"} <= {o.name for o in vocabulary} or dimensions < 3:
        return _rows(empty(vocabulary, x.device), x)
    batches = []
    triples = torch.tensor(list(itertools.combinations(range(dimensions), 3)))[: count // 8]
    a, b, c = (variable(triples[:, k], vocabulary, x.device).apply("square") for k in range(3))
    batches.append(a + b + c)
    if dimensions >= 4:
        fours = torch.tensor(list(itertools.combinations(range(dimensions), 4)))[: count // 16]
        splits = [(0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2)]
        for p, q, r, s in splits:
            v = [variable(fours[:, k], vocabulary, x.device) for k in (p, q, r, s)]
            batches.append((v[0] - v[1]).apply("square") + (v[2] - v[3]).apply("square"))
    return _rows(concatenate(batches), x)


def _squares_of_quotients(parts: list[Library], x: torch.Tensor, vocabulary: Vocabulary, count: int) -> Library:
    """((a ± b)/c)² and ((a ± b)·c)²: what stands in a Gaussian of any width, or a resonance."""
    if len(parts) < 2 or not len(parts[1]) or not {"square", "mul"} <= {o.name for o in vocabulary}:
        return _rows(empty(vocabulary, x.device), x)
    f, g = _factors_of_sums(parts, 1, count)
    return _rows((parts[0].expressions[f] * parts[1].expressions[g]).apply("square"), x)


def _exponents(parts: list[Library], x: torch.Tensor, vocabulary: Vocabulary, count: int) -> Library:
    """u·log v over the variables: of their exponentials v^u comes."""
    dimensions = x.shape[1]
    positive = (x > 0).all(0).nonzero()[:, 0]
    if not {"log", "mul", "exp"} <= {o.name for o in vocabulary} or dimensions > MOST_EXPONENTS or not len(positive):
        return _rows(empty(vocabulary, x.device), x)
    u, v = torch.cartesian_prod(torch.arange(dimensions, device=x.device), positive).T
    logs = variable(v, vocabulary, x.device).apply("log")
    return _rows(variable(u, vocabulary, x.device) * logs, x)


def _functions(parts: list[Library], x: torch.Tensor, vocabulary: Vocabulary, count: int) -> Library:
    """u(a), |a| and a·|a|; and in large libraries a ± u(b) and a·u(b): what stands inside another function, as in
    sin(exp a)."""
    kinds = [f for f in features(vocabulary) if f.name in vocabulary and f.bits < DEAR]
    if not kinds:
        return _rows(empty(vocabulary, x.device), x)
    variables = variable(range(x.shape[1]), vocabulary, x.device)
    functions = concatenate([kind.build(variables) for kind in kinds])
    batches = [functions]
    signed = ((x < 0).any(0) & (x > 0).any(0)).nonzero()[:, 0]
    if {"abs", "mul"} <= {o.name for o in vocabulary} and len(signed):
        batches += [variables[signed].apply("abs"), variables[signed] * variables[signed].apply("abs")]
    if count >= MANY_ROWS:
        i, j = torch.cartesian_prod(*(torch.arange(n, device=x.device) for n in (len(variables), len(functions)))).T
        signs = [name for name in ("add", "sub", "mul") if name in vocabulary]
        batches += [variables[i].apply(name, functions[j]) for name in signs]
    return _rows(concatenate(batches)[:count], x)


def _sums_times_monomials(parts: list[Library], x: torch.Tensor, vocabulary: Vocabulary, count: int) -> Library:
    if len(parts) < 2 or not len(parts[1]) or "mul" not in vocabulary:
        return _rows(empty(vocabulary, x.device), x)
    f, g = _factors_of_sums(parts, 2, count)
    return _rows(parts[0].expressions[f] * parts[1].expressions[g], x)
