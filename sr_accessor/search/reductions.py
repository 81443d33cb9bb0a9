"""Reductions: fewer variables that tell y as well, such as x₁/x₂ in place of both, found by comparing surfaces.

A surface (a polynomial of all variables) says how well y can be told from them. Where the law has a symmetry, a surface
over one variable less, times a power of it, tells y as well or better, since fewer variables leave more terms for each.
Symmetries are taken one after the other, as AI Feynman does with a trained network [Udrescu & Tegmark 2020, §II.C-E];
least squares and leave-one-out errors [Allen 1974, PRESS] do it in milliseconds, under noise, and where y changes sign.
That y depends on u + c·v alone, as a plane wave does, is read off the surface's slopes [Härdle & Stoker 1989, JASA 84,
986, average derivatives].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty
from sr_accessor.expressions.build import monomials, writable
from sr_accessor.expressions.definitions import unlifted
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.search.power_screens import halves
from sr_accessor.search.surfaces import POINTS_EACH, spread_out, surfaces
from sr_accessor.stopping import look

__all__ = ["Reduction", "reductions"]

#: Points and terms of the surfaces: to choose hypotheses by, and to judge those chosen.
CHOOSING, JUDGING = (300, 60), (700, 100)
#: The least degree of a surface.
LEAST_DEGREE = 2
#: Surfaces are compared by this share of the points, those told best: near a pole of y no surface says anything.
TOLD = 0.5
#: Powers of a variable that only multiplies (0: it does not matter); exponents r of a group u·vʳ, at first and if these
#: do not help; powers of u beside such a group.
POWERS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1.5, -1.5, 4.0, -4.0)
PLAIN, RICH = (1.0, -1.0), (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
BESIDE = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0)
#: Up to so many variables the rich ones are tried: there are 54 of every pair.
MOST_RICH = 6
#: A hypothesis stands when its error is at most so many times that before it; smaller errors than the least are equal.
WORSE, LEAST_ERROR = 1.1, 1e-4
#: Stages kept at every step and hypotheses judged for each.
BEAM, JUDGED = 4, 10
#: Up to so many variables sums with a free ratio are among the first hypotheses: their slopes cost as much as all else.
FEW = 3
#: With more variables than these half the stages are kept: there are hundreds of hypotheses for each.
MANY = 5
#: Of stages whose errors are within this factor of the least the one with the fewest variables is returned too.
ALIKE = 1.3
#: Slopes in two variables belong to one sum of them where their squared cosine is larger; only points within this part
#: of every range count.
PARALLEL, MIDDLE = 0.98, 0.9
#: An exponent is so much less likely than one smaller by 1, relative, and a half so much less than an integer.
DOUBT = 0.05
#: An exponent that the regression of log y finds must be so close to a half.
NEAR_HALF = 0.12
#: Added to the diagonal of the normal equations, relative to it.
RIDGE = 1e-11
#: Errors that differ by less, relative, are of the same stage, written otherwise.
SAME = 1e-3
#: Hypotheses in one batch: memory.
TOGETHER = 48


@dataclass(frozen=True)
class Reduction:
    """y = Π columns^factor · f(groups), the groups being monomials of the columns.

    Parameters
    ----------
    factor : (C,) exponents of the columns, which are the table's D variables and then the sums
    groups : (k, C) exponents
    sums : C − D rows, the further columns as expressions of the columns before them
    """

    factor: torch.Tensor
    groups: torch.Tensor
    sums: Expressions

    @property
    def dimensions(self) -> int:
        """D"""
        return len(self.factor) - len(self.sums)

    @property
    def signature(self) -> tuple:
        """Equal for the same reduction found in another order."""
        factor, *groups = map(tuple, self.written().codes.tolist())
        return factor, tuple(sorted(groups))

    def written(self) -> Expressions:
        """The factor and then the groups as expressions of the table's variables."""
        exponents = torch.cat([self.factor[None], self.groups])
        return unlifted(monomials(exponents, self.sums.vocabulary), self.sums, self.dimensions)

    def values(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The factor (N,) and the groups (N, k) at points (N, D)."""
        values, _ = evaluate(self.written(), x)
        return values[0], values[1:].T.contiguous()

    def rejoined(self, rest: Expressions) -> Expressions:
        """Laws of the groups, which are their variables 0, 1 …, times the factor: laws of the table's variables."""
        parts = self.written()
        codes = torch.where(rest.codes >= VARIABLE, rest.codes + self.dimensions, rest.codes)
        whole = unlifted(Expressions(codes, rest.constants, rest.vocabulary), parts[1:], self.dimensions)
        return parts[:1] * whole if bool((self.factor != 0).any()) else whole


@dataclass(frozen=True)
class _Stage:
    """Where a chain of reductions stands: y = Π columns^factor · Π columns^(p·beside) · f(groups), p unknown."""

    form: Reduction
    beside: torch.Tensor  # (m, C), only where log y is told
    values: torch.Tensor  # (k, N) of the groups
    carrier: torch.Tensor  # (N,) of the factor
    logs: torch.Tensor  # (m, N), logarithms of what stands beside
    error: float
    doubt: float = 1.0

    @property
    def merit(self) -> float:
        """What stages are ordered by: the less the better."""
        return max(self.error, LEAST_ERROR) * self.doubt


@dataclass(frozen=True)
class _Hypotheses:
    """H ways to have one variable less: variable `out` goes, and multiplies y to the power `power` (NaN: any).

    Where `pair` is not −1 the variable `pair` becomes out·pair^exponent, or out + slant·pair where slant is not 0.
    """

    out: torch.Tensor
    pair: torch.Tensor
    exponent: torch.Tensor
    slant: torch.Tensor
    power: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> _Hypotheses:
        return _Hypotheses(self.out[rows], self.pair[rows], self.exponent[rows], self.slant[rows], self.power[rows])

    def __len__(self) -> int:
        return len(self.out)


def reductions(
    x: torch.Tensor, y: torch.Tensor, sigma: torch.Tensor, vocabulary: Vocabulary, *, log: bool
) -> list[Reduction]:
    """Ways to tell y from fewer variables, at most three, the likeliest first; none where each counts for itself.

    Parameters
    ----------
    x : (N, D); y : (N,); sigma : (N,) spread of y up to a factor
    vocabulary : without mul and div there are none; sums need add and sub
    log : whether log|y| is told, where powers need not be guessed; none where y changes its sign. Otherwise y
    """
    x, y, sigma = x[: JUDGING[0]], y[: JUDGING[0]], sigma[: JUDGING[0]]
    d = x.shape[1]
    if d < 2 or "mul" not in vocabulary or "div" not in vocabulary or not bool(y.std() > 0):
        return []
    if math.comb(d + LEAST_DEGREE, d) * POINTS_EACH > len(y) or (log and not bool((y > 0).all() | (y < 0).all())):
        return []
    if log:
        goal = y.abs().log()
        found = _chain(x, goal - goal.mean(), torch.ones_like(y), vocabulary, log=True)
    else:
        size = y.abs()
        typical = size.median() if bool(size.median() > 0) else size.mean()  # of counts most may be zero
        weight = (sigma.median() / sigma).clamp(max=1.0) / (size + typical)
        found = _chain(x, y, weight, vocabulary, log=False)
    return list({reduction.signature: reduction for reduction in found}.values())


def _chain(
    x: torch.Tensor, goal: torch.Tensor, weight: torch.Tensor, vocabulary: Vocabulary, *, log: bool
) -> list[Reduction]:
    """Reductions one after the other; of all stages the simplest of those about as good as the best, the best, and the
    best with one variable more than the simplest: its last step may have been one too many.
    """
    n, d = x.shape
    unit = torch.eye(d, dtype=x.dtype, device=x.device)
    whole = Reduction(torch.zeros_like(unit[0]), unit, empty(vocabulary, x.device))
    first = _Stage(whole, unit[:0], x.T.contiguous(), x.new_ones(n), x.new_zeros(0, n), math.inf)
    own = _errors(first.values[None], first.carrier[None], first.logs[None], goal, weight, JUDGING[1])
    stages, visited = [replace(first, error=float(own[0]))], []
    while stages and len(stages[0].values) > 1:
        look()
        following = [after for stage in stages for after in _following(stage, goal, weight, log=log)]
        most = BEAM if len(stages[0].values) <= MANY else BEAM // 2
        stages = list({_rounded(stage.error): stage for stage in following}.values())
        stages = sorted(stages, key=lambda stage: stage.merit)[:most]
        visited += stages
    if not visited:
        return []
    least = min(visited, key=lambda stage: stage.error)
    alike = [stage for stage in visited if stage.error <= ALIKE * max(least.error, LEAST_ERROR)]
    simplest = min(alike, key=lambda stage: (len(stage.values), stage.merit))
    wider = [stage for stage in visited if len(stage.values) == len(simplest.values) + 1]
    ends = [simplest, least, *sorted(wider, key=lambda stage: stage.error)[:1]]
    return [reduction for stage in ends if (reduction := _finished(stage, goal)) is not None]


def _rounded(error: float) -> int:
    """The same for surfaces that are the same but for rounding: x₁/x₂ and x₂/x₁, or what was found in another order."""
    return round(math.log(max(error, 1e-300)) / SAME)


def _following(stage: _Stage, goal: torch.Tensor, weight: torch.Tensor, *, log: bool) -> list[_Stage]:
    """The best stages with one variable less that tell y about as well; richer hypotheses where plain ones do not."""
    device = stage.values.device
    few = slice(0, CHOOSING[0])
    part = replace(stage, values=stage.values[:, few], carrier=stage.carrier[few], logs=stage.logs[:, few])
    for kinds in _ways(stage, goal, weight, log=log):
        every = _Hypotheses(*(torch.cat(rows).to(device) for rows in zip(*map(_fields, kinds), strict=True)))
        every = every[_simple(stage.form, every)]
        if not len(every):
            continue
        batches = torch.arange(len(every), device=device).split(TOGETHER)
        rough = [_errors(*_tried(part, every[rows]), goal[few], weight[few], CHOOSING[1]) for rows in batches]
        best = every[(torch.cat(rough) * _doubt(every)).argsort(stable=True)[:JUDGED]]
        error = _errors(*_tried(stage, best), goal, weight, JUDGING[1])
        standing = (error.isfinite() & (error <= WORSE * stage.error + LEAST_ERROR)).nonzero()
        if len(standing):
            doubt = stage.doubt * _doubt(best)
            return [_taken(stage, best[i], float(error[i]), float(doubt[i])) for i in standing]  # a handful
    return []


def _ways(stage: _Stage, goal: torch.Tensor, weight: torch.Tensor, *, log: bool) -> Iterator[list[_Hypotheses]]:
    """Kinds of hypotheses: plain ones, and then richer ones; of few variables sums with a free ratio are plain."""
    k, vocabulary = len(stage.values), stage.form.sums.vocabulary
    sums = "add" in vocabulary and "sub" in vocabulary
    slanted = [lambda: _slanted(stage, goal, weight)] if sums and "mul" in vocabulary else []
    plain = [_alone(k, (math.nan,) if log else POWERS)]
    plain.append(_pairs(k, RICH, (math.nan,)) if log else _pairs(k, PLAIN, (0.0,)))
    plain += [_sums(k)] if sums else []
    yield plain + [make() for make in slanted if k <= FEW]
    rich = [_pairs(k, RICH, BESIDE)] if not log and k <= MOST_RICH else []
    rich += [make() for make in slanted if k > FEW]
    if rich:
        yield rich


def _simple(form: Reduction, h: _Hypotheses) -> torch.Tensor:
    """(H,) hypotheses after which all exponents are halves."""
    own, other = form.groups[h.out], form.groups[h.pair.clamp(min=0)]
    exponents = torch.cat([own + h.exponent[:, None] * other, form.factor + h.power.nan_to_num(0.0)[:, None] * own], 1)
    return (exponents == halves(exponents)).all(1)


def _doubt(h: _Hypotheses) -> torch.Tensor:
    """(H,) how many times better a hypothesis must be than that a variable does not matter: sums, large exponents and
    broken ones are rare.
    """
    group = torch.where(h.pair >= 0, h.exponent, 0.0)
    size = sum(e.abs() + (e != e.round()) for e in (group, h.power.nan_to_num(0.0)))
    size = size + 2 * (h.slant != 0) + 2 * (h.slant != h.slant.round())
    return (1 + DOUBT) ** size


def _fields(h: _Hypotheses) -> tuple[torch.Tensor, ...]:
    return h.out, h.pair, h.exponent, h.slant, h.power


def _alone(k: int, powers: Sequence[float]) -> _Hypotheses:
    """Every variable out, to every power."""
    power = torch.tensor(powers, dtype=torch.float64)
    out = torch.arange(k).repeat_interleave(len(power))
    return _Hypotheses(out, torch.full_like(out, -1), out * 0.0, out * 0.0, power.repeat(k))


def _pairs(k: int, exponents: Sequence[float], powers: Sequence[float]) -> _Hypotheses:
    """Every pair of variables as u·vʳ, times every power of u."""
    i, j = torch.triu_indices(k, k, 1)
    exponent = torch.tensor(exponents, dtype=torch.float64).repeat_interleave(len(powers)).repeat(len(i))
    power = torch.tensor(powers, dtype=torch.float64).repeat(len(exponents) * len(i))
    each = len(exponents) * len(powers)
    return _Hypotheses(i.repeat_interleave(each), j.repeat_interleave(each), exponent, exponent * 0.0, power)


def _sums(k: int) -> _Hypotheses:
    """Every pair of variables as their difference and as their sum."""
    i, j = torch.triu_indices(k, k, 1).repeat(1, 2)
    slant = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat_interleave(len(i) // 2)
    return _Hypotheses(i, j, slant * 0.0, slant, slant * 0.0)


def _slanted(stage: _Stage, goal: torch.Tensor, weight: torch.Tensor) -> _Hypotheses:
    """Pairs as u + c·v where ∂f/∂v is c·∂f/∂u nearly everywhere, as in a plane wave: c from a surface's slopes."""
    columns, _ = _columns(stage.values[None], stage.carrier[None], stage.logs[None], weight, JUDGING[1])
    solved = torch.linalg.lstsq(columns[0].T, (weight * goal)[:, None]).solution[:, 0]
    with torch.enable_grad():
        values = stage.values.detach().requires_grad_()
        rows = surfaces(values[None], JUDGING[1])[0]
        (slopes,) = torch.autograd.grad((solved[: len(rows)] @ rows).sum(), values)
    slopes = slopes * (spread_out(values.detach()).abs() < MIDDLE).all(0)  # at its edges a polynomial has wild slopes
    products = slopes @ slopes.T
    i, j = torch.triu_indices(len(values), len(values), 1)
    slant = (products[i, j] / products[i, i]).cpu()
    alike = products[i, j].square() / (products[i, i] * products[j, j])
    kept = ((alike > PARALLEL) & (alike < math.inf)).cpu().nonzero()[:, 0]
    i, j, slant = i[kept], j[kept], slant[kept]
    return _Hypotheses(i, j, slant * 0.0, slant, slant * 0.0)


def _tried(stage: _Stage, h: _Hypotheses) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values (H, k − 1, N), carriers (H, N) and logarithms (H, m or m + 1, N) under each hypothesis."""
    v = stage.values
    index = torch.arange(len(v) - 1, device=v.device)
    others = index + (index >= h.out[:, None])
    u, w = v[h.out], v[h.pair.clamp(min=0)]
    joined = torch.where((h.slant != 0)[:, None], u + h.slant[:, None] * w, u * w.pow(h.exponent[:, None]))
    values = torch.where((others == h.pair[:, None])[:, :, None], joined[:, None], v[others])
    logs = stage.logs.expand(len(h), -1, -1)
    free = h.power.isnan()
    carrier = stage.carrier * u.pow(torch.where(free, 0.0, h.power)[:, None])
    if bool(free.any()):
        logs = torch.cat([logs, torch.where(free[:, None], u.abs().log(), 0.0)[:, None]], 1)
    return values, carrier, logs


def _taken(stage: _Stage, h: _Hypotheses, error: float, doubt: float) -> _Stage:
    """The stage after one hypothesis."""
    values, carrier, logs = _tried(stage, h)
    form, beside, pair = stage.form, stage.beside, int(h.pair)
    groups, factor, sums = form.groups, form.factor, form.sums
    own, other = groups[int(h.out)], groups[pair]
    if bool(h.slant != 0):
        both = monomials(torch.stack([own, other]), sums.vocabulary)
        one, two = both[:1], both[1:]
        if bool(h.slant.abs() == 1):
            total = one.apply("add" if bool(h.slant > 0) else "sub", two)
        else:
            total = one + constant(h.slant, sums.vocabulary, groups.device) * two
        sums = concatenate([sums, total])
        groups, factor, beside = (torch.nn.functional.pad(part, (0, 1)) for part in (groups, factor, beside))
        own, joined = groups[int(h.out)], torch.nn.functional.one_hot(torch.tensor(len(factor) - 1)).to(groups)
    else:
        joined = own + h.exponent * other
    groups = groups.clone()
    if pair >= 0:
        groups[pair] = joined
    rest = torch.arange(len(groups), device=groups.device) != h.out
    if bool(h.power.isnan()):
        beside = torch.cat([beside, own[None]])
    else:
        factor = factor + h.power * own
    return _Stage(Reduction(factor, groups[rest], sums), beside, values[0], carrier[0], logs[0], error, doubt)


def _finished(stage: _Stage, goal: torch.Tensor) -> Reduction | None:
    """The reduction with what stands beside it as part of the factor; None where that has no simple exponents."""
    form = stage.form
    if len(stage.beside):
        columns = torch.cat([surfaces(stage.values[None], JUDGING[1])[0], stage.logs]).T
        power = torch.linalg.lstsq(columns, goal[:, None]).solution[-len(stage.beside) :, 0]
        found = form.factor + power @ stage.beside
        if not bool(((found - halves(found)).abs() <= NEAR_HALF).all()):
            return None
        form = replace(form, factor=halves(found))
    exponents = torch.cat([form.factor[None], form.groups])
    return form if bool(writable(exponents, form.sums.vocabulary).all()) else None


def _columns(
    values: torch.Tensor, carrier: torch.Tensor, logs: torch.Tensor, weight: torch.Tensor, terms: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(H, T, N) weighted columns of y ≈ carrier·surface + Σ p·logs, 0 where one is not finite; and where not (H,)."""
    scale = carrier * weight
    scale = scale / scale.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-300)
    centred = logs - logs.mean(-1, keepdim=True)
    centred = centred / centred.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-300)
    columns = torch.cat([surfaces(values, terms) * scale[:, None], centred * weight], 1)
    sound = columns.isfinite().all(-1).all(-1)
    return torch.where(sound[:, None, None], columns, 0.0), sound


def _errors(
    values: torch.Tensor,
    carrier: torch.Tensor,
    logs: torch.Tensor,
    goal: torch.Tensor,
    weight: torch.Tensor,
    terms: int,
) -> torch.Tensor:
    """(H,) leave-one-out errors of y ≈ carrier·surface + Σ p·logs, weighted; +inf where a value is not finite."""
    columns, sound = _columns(values, carrier, logs, weight, terms)
    normal = columns @ columns.mT
    unit = torch.eye(normal.shape[1], dtype=normal.dtype, device=normal.device)
    size = normal.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-300)
    lower, failed = torch.linalg.cholesky_ex(normal + RIDGE * size[:, None, None] * unit)
    q = torch.linalg.solve_triangular(lower, columns, upper=False)
    rest = weight * goal - ((q @ (weight * goal))[:, None] @ q)[:, 0]
    leverage = q.square().sum(1).clamp(max=0.999)
    each = (rest / (1 - leverage)).abs().sort(-1).values[:, : max(1, int(TOLD * len(goal)))]
    error = each.square().mean(-1).sqrt()
    return torch.where(sound & (failed == 0) & error.isfinite(), error, torch.inf)
