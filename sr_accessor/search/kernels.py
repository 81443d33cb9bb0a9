"""Kernels: rows F(z(u; c, w)) with two inner constants: peaks, waves, steps, stretched exponentials, poles.

One inner constant per feature (inner.py) covers exp(−kx) and 1/(1 + x/k), but not what laboratories measure most: a
peak of unknown place and width, a wave of unknown frequency and phase, a step, a power with a scale, a pole beside
the data. Here z itself has a place c and a width w, on grids that follow from the spread of u alone; sums, products
and pairs of such rows are then linear algebra as with all other rows, and refinement does the rest.

Nothing here knows an operator by name: outer functions come from the active vocabulary (features.py), and whether
they are monotone or oscillate is read off their values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty, literal
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.features import DEAR, Feature
from sr_accessor.search.library import Library, least_points
from sr_accessor.search.targets import Rows, Target, basis

__all__ = ["Kernels", "build_kernels", "sharp_kernels", "written"]

#: Widths of peaks as shares of the range of u; places stand half a width apart, also a little outside.
PEAK_WIDTHS, OUTSIDE = (0.02, 0.035, 0.06, 0.1, 0.17, 0.3, 0.5, 0.9), 0.2
#: Exponents of (u/c)^p, and how many scales c.
STRETCHES, SCALES = (0.25, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 6.0), 14
#: Widths of e^{(u−c)/w} and of steps as shares of the range, and how many places c.
STEP_WIDTHS, STEP_PLACES = (0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2), 15
#: Rates of exponentials, of each sign.
RATES = 18
#: Free powers u^p.
FREE_POWERS = tuple(p / 8 for p in range(-32, 33) if p)
#: Steps of frequency · range between neighbouring waves (their correlation peak is about 4 wide); full periods at most.
WAVE_STEP, MOST_PERIODS = 1.2, 40
#: Amplitudes and frequencies · range of a wave inside another function.
AMPLITUDES, SWINGS = (0.5, 1.0, 2.0, 4.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0)
#: Distances of a pole from the nearest datum as shares of the range; its strengths at the farthest; powers.
DISTANCES = (0.001, 0.003, 0.01, 0.03, 0.07, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0)
STRENGTHS = (0.5, 2.0, 6.0, 20.0)
POWERS = (-4.0, -3.0, -2.0, -1.5, -1.0, -0.67, -0.5, -0.33, 0.33, 0.5, 0.67, 1.5, 2.5)
#: Groups u that get kernels: the variables, and up to this number the simplest groups of two.
MOST_GROUPS = 8
#: Degree of the polynomials that stand for the other variables meanwhile; kernels of one variable that suit it best.
SMOOTH_DEGREE, MOST_SHARP = 4, 8
#: Rows of this correlation are the same.
SAME = 1 - 1e-8
#: Gauss–Newton steps that the sharpest are given, and by what part of c and w derivatives are taken.
POLISHING, NUDGE = 5, 1e-6
#: In single precision a row counts when the base leaves more than this share of its squared norm.
LEAST_LEFT_SINGLE = 1e-5
#: Rows larger than this, or that vary by less than this share of it, are dropped.
LARGEST, LEAST_SPREAD = 1e30, 1e-4
#: A row rests on this share of the points at least.
FEW_POINTS = 0.02

Values = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Writer = Callable[[Expressions, torch.Tensor, torch.Tensor, float], Expressions]
Grid = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Inside:
    """z(u; c, w).

    Parameters
    ----------
    value : u (N,) or (C, N), c and w (C, 1) -> z (C, N)
    build : expressions of u, c and w (C,), a sign -> expressions of ±z
    grid : u (N,) -> c and w (C,)
    needs : names of the operators that `build` writes
    positive : whether u must be positive
    stride : of many variables each `stride`-th pair of the grid is enough to rank by: a staggered lattice
    """

    value: Values
    build: Writer
    grid: Grid
    needs: tuple[str, ...]
    positive: bool = False
    stride: int = 5


@dataclass(frozen=True)
class Family:
    """F(±z) for one inside and one outer function (None: z itself)."""

    inside: Inside
    outer: Feature | None
    sign: float

    def values(self, u: torch.Tensor, place: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
        """(C, N) for u (N,) or (C, N), c and w (C,)."""
        z = self.sign * self.inside.value(u, place[:, None], width[:, None])
        return z if self.outer is None else self.outer.value(z)

    def build(self, u: Expressions, place: torch.Tensor, width: torch.Tensor) -> Expressions:
        z = self.inside.build(u, place, width, self.sign)
        return z if self.outer is None else self.outer.build(z)


@dataclass(frozen=True)
class Kernels:
    """R rows on their grids.

    Parameters
    ----------
    values : (R, N) float32, each of largest magnitude 1
    about : (R, 2) family and group of each
    inner : (R, 2) c and w
    families, groups : what `about` points to
    variables : how many of the groups, the first ones, are single variables, or the magnitudes of such
    """

    values: torch.Tensor
    about: torch.Tensor
    inner: torch.Tensor
    families: tuple[Family, ...]
    groups: Library
    variables: int

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: torch.Tensor) -> Kernels:
        return replace(self, values=self.values[rows], about=self.about[rows], inner=self.inner[rows])

    @property
    def single(self) -> Kernels:
        """Those of the variables alone."""
        return self[(self.about[:, 1] < self.variables).nonzero()[:, 0]]

    def of(self, d: int) -> Kernels:
        """Those of variable d alone; none where it does not vary."""
        is_d = torch.zeros(len(self.groups), dtype=torch.bool, device=self.about.device)
        is_d[: self.variables] = self.groups.exponents[: self.variables, d] == 1
        return self[is_d[self.about[:, 1]].nonzero()[:, 0]]

    @property
    def waves(self) -> Kernels:
        """Those that oscillate over the data."""
        return self._those([family.inside is WAVE for family in self.families])

    @property
    def rates(self) -> Kernels:
        """Exponentials and powers alone."""
        return self._those([family.inside in (RATE, POWER) for family in self.families])

    @property
    def peaks(self) -> Kernels:
        """Peaks and what falls off exponentially from them."""
        return self._those([f.inside is PEAK and f.outer.exponential and f.sign < 0 for f in self.families])

    def _those(self, families: Sequence[bool]) -> Kernels:
        wanted = torch.tensor(families, device=self.about.device)
        return self[wanted[self.about[:, 0]].nonzero()[:, 0]]

    @property
    def logarithms(self) -> Kernels:
        """Rows log|F| instead of F."""
        return replace(self, values=self.values.abs().clamp(min=torch.finfo(torch.float32).tiny).log())

    def times(self, factor: torch.Tensor) -> Kernels:
        """Each row multiplied with a factor (N,)."""
        return replace(self, values=self.values * (factor / factor.abs().max().clamp(min=1e-300)).float())

    def shares(self, target: Target, base: torch.Tensor) -> torch.Tensor:
        """(R,) share of the target that each row leaves beside base (k, N); 1 for rows that must not count."""
        q, _ = basis(base, target.weight)
        whole = target.values * target.weight
        rest = whole - q @ (q.T @ whole)
        rest = (rest / rest.norm().clamp(min=1e-300)).float()
        rows = self.values * target.weight.float()
        before = torch.linalg.vecdot(rows, rows)
        q = q.float()
        rows = rows - (rows @ q) @ q.T
        squares = rows.square()
        left = squares.sum(1)
        share = 1 - (rows @ rest).square() / left
        thin = left.square() <= least_points(rows.shape[1], FEW_POINTS) * torch.linalg.vecdot(squares, squares)
        sound = (left > LEAST_LEFT_SINGLE * before) & ~thin & share.isfinite()
        return torch.where(sound, share.clamp(min=0.0), 1.0)

    def best(self, share: torch.Tensor, each: int, count: int) -> torch.Tensor:
        """Indices of the `count` least shares (R,), at most `each` of one family and group."""
        key = self.about[:, 0] * len(self.groups) + self.about[:, 1]
        order = torch.argsort(share, stable=True)
        order = order[torch.argsort(key[order], stable=True)]
        key = key[order]
        index = torch.arange(len(order), device=order.device)
        first = torch.ones_like(key, dtype=torch.bool)
        first[1:] = key[1:] != key[:-1]
        rank = index - torch.where(first, index, 0).cummax(0).values
        kept = order[(rank < each) & (share[order] < 1)]
        return kept[torch.argsort(share[kept], stable=True)[:count]]


def build_kernels(
    library: Library, kinds: Sequence[Feature], vocabulary: Vocabulary, *, coarse: bool = False
) -> Kernels:
    """Rows of every inside and outer function over the variables and the simplest groups of two.

    Parameters
    ----------
    library : groups with their values at the screening points
    kinds : features of the active vocabulary
    coarse : with grids of about a quarter of the rows
    """
    groups, variables, plain = _groups(library, vocabulary)
    families = tuple(f for f in _families(kinds, vocabulary) if all(name in vocabulary for name in f.inside.needs))
    values, device = [groups.values[:0].float()], groups.values.device
    about = [torch.zeros(0, 2, dtype=torch.int64, device=device)]
    inner = [groups.values.new_zeros(0, 2)]
    for number, family in enumerate(families):
        for g, u in enumerate(groups.values):  # a handful of groups
            if (family.inside.positive and not bool((u > 0).all())) or (
                plain <= g < variables and not family.inside.positive
            ):
                continue
            place, width = (part[:: family.inside.stride if coarse else 1] for part in family.inside.grid(u))
            rows = family.values(u, place, width)
            largest = rows.abs().amax(1, keepdim=True)
            rows = rows / largest.clamp(min=1e-300)
            spread = (rows - rows.mean(1, keepdim=True)).square().mean(1).sqrt()
            sound = rows.isfinite().all(1) & (largest[:, 0] < LARGEST) & (spread > LEAST_SPREAD)
            sound = sound.nonzero()[:, 0]
            values.append(rows[sound].float())
            about.append(torch.tensor([number, g], device=device).expand(len(sound), 2))
            inner.append(torch.stack([place[sound], width[sound]], 1))
    return Kernels(torch.cat(values), torch.cat(about), torch.cat(inner), families, groups, variables)


def written(kernels: Kernels) -> Rows:
    """The rows as expressions, c and w free, with their values in double precision."""
    groups = kernels.groups
    found, order = [empty(groups.expressions.vocabulary, groups.values.device)], [kernels.about[:0, 0]]
    for number in kernels.about[:, 0].unique().tolist():  # over families, not rows
        here = (kernels.about[:, 0] == number).nonzero()[:, 0]
        group, (place, width) = kernels.about[here, 1], kernels.inner[here].T
        found.append(kernels.families[number].build(groups.expressions[group], place, width))
        order.append(here)
    return Rows(concatenate(found)[torch.argsort(torch.cat(order))], exact(kernels, kernels.inner))


def exact(kernels: Kernels, inner: torch.Tensor) -> torch.Tensor:
    """(R, N) the rows in double precision, with c and w (R, 2) instead of their own."""
    groups, order, values = kernels.groups, [kernels.about[:0, 0]], [kernels.groups.values[:0]]
    for number in kernels.about[:, 0].unique().tolist():  # over families, not rows
        here = (kernels.about[:, 0] == number).nonzero()[:, 0]
        values.append(kernels.families[number].values(groups.values[kernels.about[here, 1]], *inner[here].T))
        order.append(here)
    return torch.cat(values)[torch.argsort(torch.cat(order))]


def polished(kernels: Kernels, target: Target, base: torch.Tensor, *, log: bool) -> Kernels:
    """The rows with the c and w that explain most of the target, by Gauss–Newton with the linear part projected out
    [Kaufman 1975]; a row whose step explains less stays as it is.
    """
    q, _ = basis(base, target.weight)
    whole = target.values * target.weight
    goal = whole - q @ (q.T @ whole)

    def projected(inner: torch.Tensor) -> torch.Tensor:
        rows = exact(kernels, inner)
        rows = (rows.abs().clamp(min=1e-300).log() if log else rows) * target.weight
        return rows - (rows @ q) @ q.T

    def share(rows: torch.Tensor) -> torch.Tensor:
        along = (rows @ goal).square() / torch.linalg.vecdot(rows, rows).clamp(min=1e-300)
        return torch.where(along.isfinite(), along, -1.0)

    inner = kernels.inner.clone()
    rows = projected(inner)
    explained = share(rows)
    step = NUDGE * torch.maximum(inner.abs(), 1e-3 * inner.abs().amax(1, keepdim=True)).clamp(min=1e-300)
    for _ in range(POLISHING):
        nudged = [projected(inner + step * torch.eye(2, dtype=step.dtype, device=step.device)[k]) for k in range(2)]
        slopes = [(n - rows) / step[:, k : k + 1] for k, n in enumerate(nudged)]
        columns = torch.stack([rows, *slopes], 1).nan_to_num(posinf=0.0, neginf=0.0)  # (R, 3, N)
        size = columns.norm(dim=2).clamp(min=1e-300)
        columns = columns / size[:, :, None]
        gram = torch.linalg.pinv(columns @ columns.transpose(1, 2), rtol=1e-9, hermitian=True)
        solved = (gram @ (columns @ goal)[:, :, None])[:, :, 0] / size
        moved = inner + (solved[:, 1:] / solved[:, :1]).nan_to_num(posinf=0.0, neginf=0.0)
        again = projected(moved)
        better = share(again) > explained
        inner = torch.where(better[:, None], moved, inner)
        rows = torch.where(better[:, None], again, rows)
        explained = torch.where(better, share(again), explained)
    return replace(kernels, inner=inner)


def sharp_kernels(kernels: Kernels, target: Target, x: torch.Tensor, *, log: bool) -> Rows:
    """The kernels of each single variable that explain most of T, or (log) of log|T|, beside anything smooth of the
    others: of a sum (a product) of functions of different variables each is found without the others.
    """
    found = []
    goal = target.logarithm if log else target
    scaled = x / x.abs().amax(0).clamp(min=1e-300)
    powers = torch.stack([scaled**k for k in range(1, SMOOTH_DEGREE + 1)], 2)  # (N, D, degree)
    rows = kernels.logarithms if log else kernels
    usable = (x != 0).all(0) & log
    for d in range(x.shape[1]):  # variables
        own, others = rows.of(d), torch.cat([powers[:, :d], powers[:, d + 1 :]], 1).flatten(1).T
        without = usable & (torch.arange(x.shape[1], device=x.device) != d)
        for logs in (usable, without) if bool(usable[d]) else (usable,):  # beside a power of its own, and alone
            base = torch.cat([torch.ones_like(x[:, :1]).T, others, x.T[logs].abs().log()])
            best = own[own.best(own.shares(goal, base), 1, 2 * MOST_SHARP)]
            if len(base) <= len(x) / 4 and len(best):
                best = polished(best, goal, base, log=log)
                values = exact(best, best.inner)
                found.append(best[_different(values.abs().clamp(min=1e-300).log() if log else values)[:MOST_SHARP]])
    chosen = [written(part) for part in found]
    if not chosen:
        return Rows(empty(kernels.groups.expressions.vocabulary, x.device), x.new_zeros(0, len(x)))
    return Rows(concatenate([r.expressions for r in chosen]), torch.cat([r.values for r in chosen]))


def _different(rows: torch.Tensor) -> torch.Tensor:
    """Indices of the rows (R, N) that are no multiple of an earlier one, up to a constant."""
    rows = rows - rows.mean(1, keepdim=True)
    unit = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-300)
    alike = torch.triu((unit @ unit.T).abs() > SAME, diagonal=1)
    return (~alike.any(0)).nonzero()[:, 0]


def _groups(library: Library, vocabulary: Vocabulary) -> tuple[Library, int, int]:
    """The variables, the magnitudes of those of both signs, the simplest groups of two; how many are of one variable,
    and how many are variables. Powers and what is built of them need the magnitudes."""
    e = library.expressions
    exponents = library.exponents
    single = (exponents.nan_to_num(9.0).abs().sum(1) == 1) & (exponents.nan_to_num(0.0).sum(1) == 1)
    single = single.nonzero()[:, 0]
    used = torch.stack([e.uses(d) for d in range(exponents.shape[1])], 1).sum(1)
    pairs = ((used == 2) & (e.complexity == 3)).nonzero()[:, 0]
    variables, others = library[single], library[pairs[: max(0, MOST_GROUPS - len(single))]]
    signed = (variables.values <= 0).any(1) & (variables.values != 0).all(1) & ("abs" in vocabulary)
    some = variables[signed.nonzero()[:, 0]]
    magnitudes = Library(some.expressions.apply("abs"), some.values.abs(), some.exponents) if len(some) else some
    parts = (variables, magnitudes, others)
    groups = Library(
        concatenate([part.expressions for part in parts]),
        torch.cat([part.values for part in parts]),
        torch.cat([part.exponents for part in parts]),
    )
    return groups, len(variables) + len(magnitudes), len(variables)


# ------------------------------------------------------------------------------------------------ families
def _families(kinds: Sequence[Feature], vocabulary: Vocabulary) -> list[Family]:
    plain = [kind for kind in kinds if not kind.name.startswith("1")]  # u(z), not 1 ± u(z)
    cheap = [kind for kind in plain if kind.bits < DEAR or kind.name.endswith("(1+z)")]  # u(1+z) costs two bits more
    steep = [kind for kind in cheap if _at_zero(kind) and _monotone(kind)]
    odd = [kind for kind in plain if kind.bits >= DEAR and _everywhere(kind) and _monotone(kind)]
    waves = [kind for kind in plain if kind.bits < DEAR and _everywhere(kind) and not _monotone(kind)]
    growths = [kind for kind in kinds if kind.exponential]
    outers = steep + _roots(kinds, vocabulary)
    stretch = Inside(_stretch, _build_stretch, _stretch_grid, ("pow", "mul"), positive=True)
    insides = [PEAK, stretch]
    insides += [_inner_step(kind) for kind in growths] + [_inner_wave(kind) for kind in waves]
    affine = Inside(_affine, _build_affine, _affine_grid, ("sub", "mul"))
    pole = Inside(_pole, _build_pole, _pole_grid, ("div", "sub"))
    found = [Family(inside, outer, sign) for inside in insides for outer in outers for sign in _signs(outer)]
    found += [Family(affine, outer, sign) for outer in odd for sign in _signs(outer)]
    found += [Family(WAVE, outer, 1.0) for outer in waves]
    found += [Family(pole, outer, sign) for outer in growths for sign in _signs(outer)]
    found += [Family(RATE, outer, 1.0) for outer in growths]
    return [*found, Family(POWER, None, 1.0), *(Family(_shifted(side), None, 1.0) for side in (1.0, -1.0))]


def _signs(kind: Feature) -> tuple[float, ...]:
    return (1.0, -1.0) if kind.signed else (1.0,)


def _roots(kinds: Sequence[Feature], vocabulary: Vocabulary) -> list[Feature]:
    """1/(1 + z), √(1 + z) and 1/√(1 + z)."""
    one = next((kind for kind in kinds if kind.name == "1+z"), None)
    if one is None:
        return []
    kind = partial(Feature, exponential=False, signed=False, bits=one.bits)
    found = []
    if "div" in vocabulary:
        found.append(kind("1/(1+z)", lambda z: 1 / (1 + z), lambda e: _one(e) / one.build(e)))
    if "sqrt" in vocabulary:
        found.append(kind("√(1+z)", lambda z: (1 + z).sqrt(), lambda e: one.build(e).apply("sqrt")))
        if "div" in vocabulary:
            found.append(kind("1/√(1+z)", lambda z: (1 + z).rsqrt(), lambda e: _one(e) / one.build(e).apply("sqrt")))
    return found


def _at_zero(kind: Feature) -> bool:
    return bool(kind.value(torch.zeros(1)).isfinite())


def _everywhere(kind: Feature) -> bool:
    return bool(kind.value(torch.linspace(-6, 6, 49)).isfinite().all())


def _monotone(kind: Feature) -> bool:
    steps = kind.value(torch.linspace(0, 6, 25, dtype=torch.float64)).diff()
    return bool((steps > 0).all() or (steps < 0).all())


def _one(e: Expressions) -> Expressions:
    return literal([1.0], e.vocabulary, e.device)


def _free(values: torch.Tensor, e: Expressions) -> Expressions:
    return constant(values, e.vocabulary, e.device)


def _signed(e: Expressions, sign: float) -> Expressions:
    if sign > 0:
        return e
    return e.apply("neg") if "neg" in e.vocabulary else literal([-1.0], e.vocabulary, e.device) * e


# ------------------------------------------------------------------------------------------------ insides
def _extent(u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Least value and range."""
    return u.min(), (u.max() - u.min()).clamp(min=1e-300)


def _grid(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    both = torch.cartesian_prod(first, second)
    return both[:, 0], both[:, 1]


def _numbers(values: Sequence[float], u: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=u.dtype, device=u.device)


def _peak(u, place, width):
    """((u − c)/w)²"""
    return ((u - place) / width).square()


def _build_peak(u: Expressions, place, width, sign: float) -> Expressions:
    return _free(sign / width.square(), u) * (u - _free(place, u)).apply("square")


def _peak_grid(u):
    low, size = _extent(u)
    found = []
    for width in PEAK_WIDTHS:
        count = math.ceil((1 + 2 * OUTSIDE) / (width / 2))
        found.append(_grid(torch.linspace(-OUTSIDE, 1 + OUTSIDE, count).to(u), _numbers([width], u)))
    place, width = (torch.cat(part) for part in zip(*found, strict=True))
    return low + size * place, size * width


def _stretch(u, scale, p):
    """(u/c)^p"""
    return (u / scale) ** p


def _build_stretch(u: Expressions, scale, p, sign: float) -> Expressions:
    return _signed((_free(1 / scale, u) * u) ** _free(p, u), sign)


def _stretch_grid(u):
    low, high = u.min().clamp(min=1e-300), u.max()
    low = torch.maximum(low, 1e-3 * u.median())
    scales = torch.logspace(0, 1, SCALES).to(u).log10()
    return _grid((low.log() + (high / low).log() * (1.4 * scales - 0.2)).exp(), _numbers(STRETCHES, u))


def _affine(u, place, width):
    """(u − c)/w"""
    return (u - place) / width


def _build_affine(u: Expressions, place, width, sign: float) -> Expressions:
    return _free(sign / width, u) * (u - _free(place, u))


def _affine_grid(u, both_ways: bool = False):
    low, size = _extent(u)
    place = torch.linspace(-OUTSIDE, 1 + OUTSIDE, STEP_PLACES).to(u)
    width = _numbers(STEP_WIDTHS, u)
    return _grid(low + size * place, size * (torch.cat([width, -width]) if both_ways else width))


def _inner_step(kind: Feature) -> Inside:
    """G((u − c)/w) for an exponential G, growing or falling."""

    def value(u, place, width):
        return kind.value(_affine(u, place, width))

    def build(u: Expressions, place, width, sign: float) -> Expressions:
        return _signed(kind.build(_build_affine(u, place, width, 1.0)), sign)

    return Inside(value, build, partial(_affine_grid, both_ways=True), ("sub", "mul"))


def _wave(u, phase, frequency):
    """ω·u + φ"""
    return frequency * u + phase


def _build_wave(u: Expressions, phase, frequency, sign: float) -> Expressions:
    return _free(sign * frequency, u) * u + _free(phase, u)


def _wave_grid(u):
    _, size = _extent(u)
    count = min(int(2 * math.pi * MOST_PERIODS / WAVE_STEP), 2 * len(u))
    frequency = torch.arange(1, 1 + count).to(u) * WAVE_STEP / size
    slow = _numbers([0.5, 0.25], u) * frequency[0]
    frequency = torch.cat([slow, frequency])
    return torch.zeros_like(frequency), frequency


def _inner_wave(kind: Feature) -> Inside:
    """a·G(b·u) for an oscillating G."""

    def value(u, amplitude, frequency):
        return amplitude * kind.value(frequency * u)

    def build(u: Expressions, amplitude, frequency, sign: float) -> Expressions:
        return _free(sign * amplitude, u) * kind.build(_free(frequency, u) * u)

    def grid(u):
        return _grid(_numbers(AMPLITUDES, u), _numbers(SWINGS, u) / _extent(u)[1])

    return Inside(value, build, grid, ("mul",))


def _rate(u, _, width):
    """u/w"""
    return u / width


def _build_rate(u: Expressions, _, width, sign: float) -> Expressions:
    return _free(sign / width, u) * u


def _rate_grid(u):
    width = torch.logspace(-1.7, 0.5, RATES).to(u) * _extent(u)[1]
    width = torch.cat([width, -width])
    return torch.zeros_like(width), width


def _power(u, _, p):
    """u^p"""
    return u**p


def _build_power(u: Expressions, _, p, sign: float) -> Expressions:
    return _signed(u ** _free(p, u), sign)


def _power_grid(u):
    p = _numbers(FREE_POWERS, u)
    return torch.zeros_like(p), p


def _sides(u):
    """Places of poles below and above the data."""
    low, size = _extent(u)
    away = size * _numbers(DISTANCES, u)
    return low - away, low + size + away


def _pole(u, place, strength):
    """s/(u − c)"""
    return strength / (u - place)


def _build_pole(u: Expressions, place, strength, sign: float) -> Expressions:
    return _free(sign * strength, u) / (u - _free(place, u))


def _pole_grid(u):
    low, size = _extent(u)
    place, strength = _grid(torch.cat(_sides(u)), _numbers(STRENGTHS, u))
    farthest = torch.maximum((low - place).abs(), (low + size - place).abs())
    return place, strength * farthest


def _shifted(side: float) -> Inside:
    """(u − c)^p with c below the data (side 1), or (c − u)^p with c above them (side −1)."""

    def value(u, place, p):
        return (side * (u - place)) ** p

    def build(u: Expressions, place, p, sign: float) -> Expressions:
        away = u - _free(place, u) if side > 0 else _free(place, u) - u
        return _signed(away ** _free(p, u), sign)

    def grid(u):
        return _grid(_sides(u)[0 if side > 0 else 1], _numbers(POWERS, u))

    return Inside(value, build, grid, ("pow", "sub"))


PEAK = Inside(_peak, _build_peak, _peak_grid, ("square", "sub", "mul"), stride=3)
WAVE = Inside(_wave, _build_wave, _wave_grid, ("add", "mul"), stride=1)
POWER = Inside(_power, _build_power, _power_grid, ("pow",), positive=True, stride=2)
RATE = Inside(_rate, _build_rate, _rate_grid, ("mul",), stride=2)
