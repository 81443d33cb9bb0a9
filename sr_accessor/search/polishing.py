"""Polishing: what was proposed, refined on few points, the best on more, the last on all; and what a good law is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.expressions.description import structure_bits
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.expressions.products import collected, distributed
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import PAD, VARIABLE
from sr_accessor.refinement.solution import Refined
from sr_accessor.search.constants import name_numbers
from sr_accessor.search.front import Front
from sr_accessor.search.selection import Data, Scored, refit, rough_bits, score, snap, snap_savings, stack, turns
from sr_accessor.search.state import MOST_SECOND, Proposal, Workspace
from sr_accessor.search.surfaces import NOISE_SIGMAS, neighbours_alike
from sr_accessor.search.targets import Target
from sr_accessor.search.views import view_of

__all__ = ["LONG", "best_of_each", "distinct", "is_exact", "passes_as_noise", "polish", "rank_within"]

#: (points, Levenberg–Marquardt steps, candidates kept) of each stage of polishing; then all rows.
STAGES = ((64, 8, 160), (256, 10, 50))
FINAL_STEPS, MOST_ROWS = 16, 20_000
#: Stages of a problem within another, whose laws are refined again: simplified only after the first.
QUICK_STAGES = ((64, 8, 60),)
#: The best few that have not converged by then are given so many steps more.
MOST_LONGER, LONGER_STEPS = 8, 60
#: Laws of more symbols only approximate.
LONG = 60
#: Candidates of one round whose numbers are snapped.
MOST_SNAPPED = 8
#: A law with this relative error (root mean square) is exact in float64 arithmetic; free constants it may have, when
#: simple numbers are snapped and when not.
EXACT, MOST_FREE, MOST_UNSNAPPED = 1e-12, 3, 6
#: Rows that a law must leave over beyond its free constants.
SPARE_ROWS = 3
#: Above 2·ln M this much (χ² units) is left to chance: M rows are not independent, so the true excess is smaller.
NOISE_MARGIN = 4.0


def polish(proposals: Sequence[Proposal], work: Workspace, known: float) -> Scored:
    """Everything proposed is refined on few points, the best on more, the last on all.

    Numbers are snapped where that can make a candidate shorter than the shortest description `known`.
    """
    origins = [name for name, e in proposals for _ in range(len(e))]
    candidates, given = concatenate([e for _, e in proposals]), work.given
    # The parts of a template are simplified alone, so that its outline stays.
    if given.template is None and work.snapping:
        candidates = _plain_magnitudes(simplify_batch(candidates), work)
    keep = distinct(candidates)
    # A screen may have needed an operator that the user excluded.
    keep = keep[given.formed(candidates[keep], nameless=True)]
    candidates, origins = candidates[keep], [origins[i] for i in keep.tolist()]
    data = work.data
    if not len(candidates):
        return score(candidates, data, ())
    count = len(data)
    for points, steps, most in STAGES if work.snapping else QUICK_STAGES:
        if points >= count:
            break
        part = data.rows(work.order[:points])
        refined = refit(candidates, part, steps=steps)
        length = _rough_length(refined, part, count, work)
        length = torch.where(given.shaped(refined.expressions), length, torch.inf)
        best = length.topk(min(most, len(length)), largest=False)
        keep = best.indices[best.values.isfinite()]
        candidates, origins = refined.expressions[keep], [origins[i] for i in keep.tolist()]
        if not len(candidates):
            return score(candidates, data, ())
    if not work.snapping:
        candidates = simplify_batch(candidates)
    rows = data if count <= MOST_ROWS else data.rows(work.order[:MOST_ROWS])
    refined = refit(candidates, rows, steps=FINAL_STEPS)
    length = _rough_length(refined, rows, len(rows), work)
    length = torch.where(given.shaped(refined.expressions), length, torch.inf)
    best = length.topk(min(50, len(length)), largest=False)
    keep = best.indices[best.values.isfinite()]
    if not len(keep):
        return score(refined.expressions[keep], data, ())
    # In a valley sixteen steps are not enough.
    longer = torch.arange(len(keep), device=keep.device)[: MOST_LONGER if work.snapping else 0]
    longer = longer[~refined.converged[keep[longer]]]
    e = refined.expressions[keep]
    if len(longer):
        further = refit(e[longer], rows, steps=LONGER_STEPS).expressions
        order = torch.cat([torch.arange(len(e), device=keep.device), longer])
        e, keep = concatenate([e, further]), keep[order]
    scored = score(e, data, tuple(origins[i] for i in keep.tolist()))
    if given.template is not None:
        scored = stack([scored, score(simplify_batch(scored.expressions), data, scored.origins)])
    scored = scored[scored.loss.isfinite().nonzero()[:, 0]]
    if not len(scored):
        return scored
    order = torch.argsort(scored.description_length)
    hopeful = scored.description_length - snap_savings(scored) < known
    close = order[hopeful[order]][: MOST_SNAPPED if work.snapping else 0]
    if len(close) and given.template is None:
        short = close[scored.expressions[close].complexity <= LONG]  # each way costs milliseconds for every level
        few = scored.expressions[short]
        waves, waving = turns(scored[short])
        ways = concatenate([few, few, distributed(collected(few)), waves])
        first, second = (torch.arange(len(ways), device=ways.device) // max(1, len(few)) == k for k in (0, 1))
        every = concatenate([scored.expressions[close], simplify_batch(ways, outward=first, inward=second)])
        every = _plain_magnitudes(every, work)
        kept, rows = distinct(every), torch.cat([close, short, short, short, short[waving]])
        tried = score(every[kept], data, tuple(scored.origins[i] for i in rows[kept].tolist()))
        final = stack([snap(tried, data), scored[order]])
    elif len(close):
        final = stack([snap(scored[close], data), scored[order]])
    else:
        final = scored[order]
    if given.named:
        final = stack([*name_numbers(final, data, given.named), final])
    # Snapping may have dropped what must stay, or moved a number by a standard error.
    return final[(given.formed(final.expressions) & given.shaped(final.expressions)).nonzero()[:, 0]]


def _rough_length(refined: Refined, data: Data, rows: int, work: Workspace) -> torch.Tensor:
    """Description length guessed from few points: half a double's digits per constant, degrees of freedom counted."""
    e, points = refined.expressions, len(data)
    free = e.free.sum(1)
    floor = points * (1e-11 * work.screen.y.square().mean().sqrt()) ** 2 + 1e-300
    if work.data.sigma is not None:
        floor = floor * float(work.data.sigma.median()) ** -2
    bits = rough_bits(refined, data, rows, floor)
    bits = torch.where(free <= max(1, rows - SPARE_ROWS), bits, torch.inf)  # as many constants as rows fit anything
    return bits + structure_bits(e, work.dimensions) + 12.0 * free


def _plain_magnitudes(e: Expressions, work: Workspace) -> Expressions:
    """|u| written as u for variables u that are positive in all rows, which rewriting does not know; not where the
    user requires magnitudes.
    """
    positive = (work.data.x > 0).all(0)
    if "abs" not in e.vocabulary or e.codes.shape[1] < 2:
        return e
    following = torch.nn.functional.pad(e.codes[:, 1:] - VARIABLE, (0, 1), value=-1)
    known = positive[following.clamp(min=0)] & (following >= 0)
    needless = known & (e.codes == e.vocabulary.id("abs"))
    if not bool(needless.any()):
        return e
    order = torch.argsort(needless.long(), dim=1, stable=True)  # what goes moves behind the end
    plain = Expressions(torch.where(needless, PAD, e.codes).gather(1, order), e.constants, e.vocabulary)
    spoilt = work.given.formed(e, nameless=True) & ~work.given.formed(plain, nameless=True)
    rows = torch.arange(len(e), device=e.device)
    return concatenate([plain, e])[torch.where(spoilt, len(e) + rows, rows)].trimmed()


def distinct(e: Expressions) -> torch.Tensor:
    """Rows without repetitions of structure with numbers equal to three digits; the first of each stays."""
    if not len(e):
        return torch.zeros(0, dtype=torch.int64, device=e.device)
    size = e.constants.abs().clamp(min=1e-300)
    digits = torch.round(torch.sign(e.constants) * torch.log10(size) * 300).to(torch.int64)
    digits = torch.where(e.constants == 0, 0, digits)
    key = torch.cat([e.codes, digits], 1)
    _, inverse = torch.unique(key, dim=0, return_inverse=True)
    first = torch.full((int(inverse.max()) + 1,), len(e), dtype=torch.int64, device=e.device)
    first.scatter_reduce_(0, inverse, torch.arange(len(e), device=e.device), "amin")
    return torch.sort(first).values


def best_of_each(scored: Scored, each: int) -> Scored:
    """The `each` best fits of every complexity, one of each structure and numbers, simple ones first.

    Not the shortest descriptions overall: on smooth data these are a dozen near-equal polynomials, and nothing new
    comes from crossing them.
    """
    scored = scored[distinct(scored.expressions)]
    order = torch.argsort(scored.loss, stable=True)
    complexity = scored.expressions.complexity[order]
    order = order[torch.argsort(complexity, stable=True)]
    rank = rank_within(scored.expressions.complexity[order])
    kept = order[(rank < each) & scored.loss[order].isfinite()]
    return scored[kept]


def rank_within(group: torch.Tensor) -> torch.Tensor:
    """Position of each entry among equal neighbours of a sorted tensor: 5 5 7 9 9 9 -> 0 1 0 0 1 2."""
    index = torch.arange(len(group), device=group.device)
    first = torch.ones_like(group, dtype=torch.bool)
    first[1:] = group[1:] != group[:-1]
    return index - torch.where(first, index, 0).cummax(0).values


def is_exact(front: Front, work: Workspace) -> bool:
    """Whether the shortest description fits to float64 arithmetic and is a law rather than an approximant.

    A ratio of polynomials with a dozen free coefficients follows any smooth function to 1e-13; a law has few
    numbers that are not simple.
    """
    best = int(front.description_length.argmin())
    law = front.expressions[best]
    values, valid = evaluate(law, work.data.x)
    error = (values[0] - work.data.y).square().mean().sqrt()
    exact = bool(valid.all()) and float(error) <= EXACT * float(work.data.y.square().mean().sqrt())
    return exact and int(law.free.sum()) <= (MOST_FREE if work.snapping else MOST_UNSNAPPED)


def passes_as_noise(front: Front, work: Workspace) -> bool:
    """Whether the best law's residuals look like independent noise.

    Two tests, the law's own tangent space projected out first. No row of the linear screens and no kernel explains
    anything (the largest of M squared correlations of pure noise is about 2·ln M / N). And neighbours do not resemble
    each other, along any variable or in all together: structure that no row has shows there.
    """
    best = int(front.description_length.argmin())
    law = front.expressions[best]
    data = work.wide
    values, columns, _ = jacobian(law, data.x)
    residual, weight = data.noise.working(data.y, values, data.spread(law))
    weight = weight.expand_as(values)[0].sqrt()
    residual = residual.expand_as(values)[0] * weight
    base = torch.cat([torch.ones_like(data.y)[None], columns[0][law.free[0]]]) * weight
    if not bool(base.isfinite().all()) or not bool(residual.isfinite().all()):
        return False
    q = torch.linalg.qr((base / base.norm(dim=1, keepdim=True).clamp(min=1e-300)).T).Q
    residual = residual - q @ (q.T @ residual)
    left = len(residual) - q.shape[1]
    spread = residual.square().sum() / max(left, 1)
    if left < 3 or not bool(spread > 0):
        return True
    unit = residual / spread.sqrt()
    few = work.rows[:MOST_SECOND]
    rows = evaluate(few.expressions, data.x)[0] * weight
    rows = rows[rows.isfinite().all(1)]
    rows = rows - (rows @ q) @ q.T
    heard = (rows @ unit).square() / torch.linalg.vecdot(rows, rows).clamp(min=1e-300)
    if float(heard.max()) > 2 * math.log(len(rows)) + NOISE_MARGIN:
        return False
    some, kernels = slice(0, len(work.screen)), work.kernels.single  # kernels are kept at the screening points
    if len(kernels):
        rest = Target.of(view_of("y"), residual[some], torch.ones_like(residual[some]))
        explained = 1 - kernels.shares(rest, base[:, some]).min()
        if float(explained) * left * len(work.screen) / len(data) > 2 * math.log(len(kernels)) + NOISE_MARGIN:
            return False
    return float(neighbours_alike(data.x, unit)) < NOISE_SIGMAS
