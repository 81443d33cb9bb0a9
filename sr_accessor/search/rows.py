"""Rows of the linear screens: groups and their features, with many inner constants or with the one that suits best."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.features import DEAR, Feature
from sr_accessor.search.inner import Projection, feature_rows, grid_inner, zoom
from sr_accessor.search.library import Library, effective_points, least_points
from sr_accessor.search.power_screens import regress
from sr_accessor.search.targets import Rows, Target, basis

__all__ = ["linear_rows", "sharp_rows"]

#: Rows of the linear screens: plain groups; groups that meet the features with many starts of c, with several, with
#: two; features that each variable multiplies.
PLAIN_ROWS, LEAST_GROUPS, FEW_GROUPS, MANY_GROUPS, DRESSED = 1200, 8, 30, 110, 300
#: Groups, and powers of each variable, whose features get the inner constant that suits the target best; degree of
#: the polynomials that stand for the other variables meanwhile.
SHARP_GROUPS, SHARP_POWERS, SMOOTH_DEGREE = 16, 4, 6


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
    weight = target.log_weight if log else target.weight
    goal = (target.logs if log else target.values) * weight
    base = [torch.ones_like(weight)[None]]
    if log:
        base.append(x.T[regress([target], x).columns].abs().log())
    base = torch.cat(base)
    d = x.shape[1]
    plain = (~alone).nonzero()[:, 0][:SHARP_GROUPS]
    sides = [(plain[None], base[None])]
    if 1 < d and (d - 1) * SMOOTH_DEGREE < len(weight) / 4:
        scaled = x / x.abs().amax(0).clamp(min=1e-300)
        powers = torch.stack([scaled**k for k in range(1, SMOOTH_DEGREE + 1)], 2)  # (N, D, degree)
        others = torch.stack([torch.cat([powers[:, :k], powers[:, k + 1 :]], 1).flatten(1).T for k in range(d)])
        mine = [(alone & used[:, k]).nonzero()[:, 0][:SHARP_POWERS] for k in range(d)]
        most = min((len(rows) for rows in mine), default=0)
        sides.append((torch.stack([rows[:most] for rows in mine]), torch.cat([base.expand(d, -1, -1), others], 1)))
    else:
        sides.append((alone.nonzero()[:, 0][None, :SHARP_GROUPS], base[None]))
    parts_e, parts_v = [empty(vocabulary, x.device)], [x.new_zeros(0, len(x))]
    for rows, columns in sides:  # (G, P) rows for G bases
        if not rows.numel():
            continue
        groups = library[rows.flatten()]
        q, _ = basis(columns, weight)
        rest = goal - (q @ (q.transpose(1, 2) @ goal[:, None]))[:, :, 0]
        fit = Projection(weight.expand(len(rows), -1), q, rest)
        side = torch.arange(len(rows), device=x.device).repeat_interleave(rows.shape[1])
        for kind in kinds:
            inner = grid_inner(kind, groups.values, fit, side, log, None)[:, 0]
            inner, _ = zoom(kind, groups.values, inner, fit, side, log)
            parts_e.append(kind.build(constant(inner, vocabulary, x.device) * groups.expressions))
            parts_v.append(feature_rows(kind, groups.values, inner[:, None], False)[:, 0])
    return _sound_rows(concatenate(parts_e), torch.cat(parts_v))


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
