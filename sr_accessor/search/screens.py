"""Linear screens: linear algebra that ranks millions of hypotheses about T(y) over a library.

    one     T ≈ B·β + a·u for every row u
    pair    T ≈ B·β + a·u + b·v for all pairs of rows
    product T ≈ B·β + a·u·v, and factor T ≈ u·(a + b·v), for every u and v
    span    T ≈ u·Σ over a small dictionary, for every u
    mixed   T ≈ B·β + u·Σ over a small dictionary, for every u
    chain   T ≈ B·β + Σ aₖ·uₖ, joined greedily
    sparse  T ≈ Σ over a dictionary of monomials, eliminated backwards to the terms that matter
    common  T ≈ a + u·Σ over a dictionary too large to begin with all of it, joined greedily
    recombined  T ≈ Σ piece·Σ over pieces of laws and monomials, joined greedily

A screen proposes structures with start values; refinement and description length decide. Ranks are computed on
the screening points only. Rows whose projection rests on a few points are degenerate and never proposed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty, join
from sr_accessor.expressions.build import heads, is_one, linear_combination, present
from sr_accessor.refinement.levenberg_marquardt import solve_normal
from sr_accessor.search.library import least_points
from sr_accessor.search.pursuit import best_pairs, best_subsets, chains, greedy, pair_share
from sr_accessor.search.targets import LEAST_LEFT, Rows, Target, basis, scaled, unexplained
from sr_accessor.stopping import look

__all__ = [
    "MOST_TERMS",
    "eliminate",
    "screen_chain",
    "screen_common",
    "screen_factor",
    "screen_few",
    "screen_mixed",
    "screen_one",
    "screen_pair",
    "screen_product",
    "screen_recombined",
    "screen_residual",
    "screen_span",
    "screen_sparse",
    "shares_of_mixed",
    "sum_of",
]

#: Sums of more terms than this follow anything and are not proposed.
MOST_TERMS = 16
#: Terms that elimination drops by updates of the inverse before all is solved again; it is at once where a term is not
#: told from the others so well (variance inflation), since subtracting large numbers leaves rounding.
MOST_UPDATES, WELL_KNOWN = 8, 1e6
#: Values in one piece of a mixed screen, and the share of a column's square that the base must leave of it.
MIXED_VALUES, LEAST_LEFT_MIXED = 2_000_000, 1e-8
#: Common factors: points and terms by which they are chosen, how many are, and terms joined beyond `MOST_TERMS`, since
#: the first ones may be wrong.
COMMON_POINTS, FIRST_TERMS, MOST_COMMON, SPARE_TERMS = 200, 6, 8, 8
#: What a symbol costs roughly, to order proposals that fit equally well.
SYMBOL_BITS = 4.0
#: Rows u that a factor screen tries.
MOST_ALIKE = 600


def _project(target: Target, base: Rows, rows: Rows):
    q, _ = basis(base.values, target.weight)
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


def screen_one(target: Target, base: Rows, rows: Rows, *, keep: int = 20, whole: bool = False) -> Expressions:
    """T ≈ B·β + a·u for every row u; with `whole` the whole base stays, for rows whose inner constants are rough."""
    unit, residual, sound = _project(target, base, rows)
    share = torch.where(sound, 1 - (unit @ residual).square(), 1.0)
    best = share.topk(min(keep, len(share)), largest=False).indices
    return _combined(target, base, [rows[best]], price=-math.inf if whole else None)


def screen_chain(target: Target, base: Rows, rows: Rows, *, beams: int = 6, depth: int = 5) -> Expressions:
    """T ≈ B·β + Σ aₖ·uₖ: terms joined greedily, from each of the best first ones."""
    q, _ = basis(base.values, target.weight)
    whole = target.values * target.weight
    residual = whole - q @ (q.T @ whole)
    residual = residual / residual.norm().clamp(min=1e-300)
    out = [
        _combined(target, base, [rows[chain[:, k]] for k in range(chain.shape[1])])
        for chain in chains(rows.values, target.weight, q, residual, beams, depth)
    ]
    return concatenate(out) if out else empty(rows.expressions.vocabulary, whole.device)


def screen_residual(residual: torch.Tensor, tangent: torch.Tensor, rows: torch.Tensor, *, keep: int) -> torch.Tensor:
    """(keep,) indices of the rows (R, N) that explain most of a law's residual (N,) beside its tangents (k, N)."""
    weight = torch.ones_like(residual)
    q, _ = basis(tangent, weight)
    left = residual - q @ (q.T @ residual)
    share = unexplained(rows, weight, q, (left / left.norm().clamp(min=1e-300))[:, None])[0]
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
    i, j = best_pairs(unit.float(), residual.float(), 8 * keep, block)
    # float32 only ranks: a thousand pairs within its rounding of each other are ordered again, simple ones first
    share = pair_share(unit, unit @ residual, i, j)
    symbols = rows.expressions.complexity[i] + rows.expressions.complexity[j]
    length = 0.5 * len(residual) * torch.log2(share.clamp(min=1e-24)) + SYMBOL_BITS * symbols
    best = length.topk(min(keep, len(length)), largest=False).indices
    return _combined(target, base, [rows[i[best]], rows[j[best]]])


def screen_product(target: Target, bases: Sequence[Rows], first: Rows, second: Rows, *, keep: int = 20) -> Expressions:
    """T ≈ B·β + a·u·v for every u of `first` and v of `second`, by matrix products: two, and one per base row.

    Parameters
    ----------
    bases : each the beginning of the next, so that what one base takes away is computed once
    keep : proposals per base
    """
    largest = bases[-1]
    q, _ = basis(largest.values, target.weight)
    whole = target.values * target.weight
    u, v = scaled(first.values) * target.weight, scaled(second.values)
    u32, v32, q32 = u.float(), v.float(), q.T.float()
    before = u32.square() @ v32.square().T
    left = before.clone()
    done, out = 0, []
    symbols_u, symbols_v = first.expressions.complexity, second.expressions.complexity
    for base in bases:
        for column in q32[done : len(base)]:  # base rows
            look()
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
        share = unexplained(u[i] * v[j] / target.weight, target.weight, own, residual[:, None])[0]
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
    u, v = scaled(first.values) * target.weight, scaled(second.values)
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
    b = scaled(dictionary.values)
    k, points = b.shape
    if k > points // 3:
        return empty(dictionary.expressions.vocabulary, b.device)
    u = scaled(first.values)
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
    sums = sum_of(dictionary, coefficients[fine], used[fine])
    return target.view.undo(first.expressions[best[fine]] * sums)


def shares_of_mixed(target: Target, base: Rows, span: Rows, values: torch.Tensor) -> torch.Tensor:
    """(R,) share of the target that B·β + u·Σ cⱼ·bⱼ leaves for each u of (R, N); 1 for those that must not count."""
    q, _ = basis(base.values, target.weight)
    whole = target.values * target.weight
    rest = whole - q @ (q.T @ whole)
    rest = rest / rest.norm().clamp(min=1e-300)
    factors = scaled(span.values) * target.weight
    unit = torch.eye(len(span), dtype=rest.dtype, device=rest.device)
    shares = []
    for part in values.split(max(1, MIXED_VALUES // factors.numel())):
        look()
        u = part.to(rest)
        columns = u[:, None] * factors
        before = columns.square().sum(2)
        columns = columns - (columns @ q) @ q.T
        left = columns.square().sum(2)
        there = left > LEAST_LEFT_MIXED * before
        columns = torch.where(there[:, :, None], columns / left.sqrt().clamp(min=1e-300)[:, :, None], 0.0)
        gram = columns @ columns.mT + (~there)[:, :, None] * unit
        right = columns @ rest
        share = 1 - torch.linalg.vecdot(solve_normal(gram, right), right)
        squares = (u * target.weight).square()
        rests_on = squares.sum(1).square() / squares.square().sum(1).clamp(min=1e-300)
        sound = share.isfinite() & there.any(1) & (rests_on > least_points(u.shape[1], 0.05))
        shares.append(torch.where(sound, share.clamp(min=0.0), 1.0))
    return torch.cat(shares) if shares else values.new_zeros(0)


def screen_mixed(target: Target, base: Rows, span: Rows, rows: Rows, *, keep: int = 20, whole: int = 6) -> Expressions:
    """T ≈ B·β + u·Σ cⱼ·bⱼ for every row u: a polynomial, and another one times a peak, a wave, a pole or a kink.

    Terms that do not matter are eliminated; but the best `whole` of them are proposed with all terms too, since while
    the inner constants are rough the wrong ones may seem to matter.
    """
    share = shares_of_mixed(target, base, span, rows.values)
    best = share.topk(min(keep, len(share)), largest=False)
    u = rows[best.indices[best.values < 1]]
    vocabulary, device = span.expressions.vocabulary, share.device
    found = []
    for some, price in ((u, None), (u[:whole], -math.inf)):
        if not len(some):
            continue
        columns = torch.cat([base.values.expand(len(some), -1, -1), some.values[:, None] * span.values], 1)
        coefficients, used = eliminate(columns * target.weight, target.values * target.weight, price=price)
        fine = used[:, len(base) :].any(1) & (used.sum(1) <= MOST_TERMS)
        if not bool(fine.any()):
            continue
        coefficients, used, plain = coefficients[fine], used[fine], used[fine, : len(base)].any(1)
        beside = used[:, : len(base)].clone()
        beside[~plain, 0] = True  # a sum needs a term, though none of it will be written
        terms = [[rows.expressions[k : k + 1] for k in range(len(rows))] for rows in (base, span)]
        law = join(
            heads("add", plain.long(), vocabulary),
            present(linear_combination(terms[0], coefficients[:, : len(base)], beside), plain),
            heads("mul", torch.ones_like(plain).long(), vocabulary),
            some.expressions[fine],
            linear_combination(terms[1], coefficients[:, len(base) :], used[:, len(base) :]),
        )
        found.append(target.view.undo(law.trimmed()))
    return concatenate(found) if found else empty(vocabulary, device)


def _combined(target: Target, base: Rows, extra: Sequence[Rows], price: float | None = None) -> Expressions:
    """Base and extra rows fitted together, terms that do not matter eliminated, written as expressions of y."""
    count = len(extra[0])
    values = torch.cat([base.values.expand(count, -1, -1), torch.stack([e.values for e in extra], 1)], 1)
    terms = [base.expressions[k] for k in range(len(base))] + [e.expressions for e in extra]
    coefficients, used = eliminate(values * target.weight, target.values * target.weight, price=price)
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
        return beta, inverse, rest

    beta, inverse, rest = solve(used)
    row, updates = torch.arange(count, device=columns.device), 0
    for _ in range(terms - 1):
        look()
        diagonal = inverse.diagonal(dim1=1, dim2=2)
        growth = torch.where(used, beta.square() / diagonal.clamp(min=1e-300), torch.inf)
        least = growth.min(1)
        loses = 0.5 * points * torch.log((rest + least.values + floor) / (rest + floor))
        drop = (loses < price) & (used.sum(1) > 1)
        if not bool(drop.any()):
            break
        k = least.indices
        used = used & ~(drop[:, None] & (k[:, None] == torch.arange(terms, device=k.device)))
        own = diagonal[row, k]
        updates += 1
        if updates == MOST_UPDATES or bool((drop & ~(own < WELL_KNOWN)).any()):
            (beta, inverse, rest), updates = solve(used), 0
            continue
        # One term less is one step of Gauss–Jordan elimination on the inverse.
        share = torch.where(drop[:, None], inverse[row, k] / own[:, None], 0.0)
        beta = (beta - share * beta[row, k][:, None]) * used
        inverse = inverse - share[:, :, None] * inverse[row, k][:, None, :]
        rest = rest + torch.where(drop, least.values, 0.0)
    if updates:
        beta = solve(used)[0]
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
    return target.view.undo(sum_of(*chosen))


def screen_few(target: Target, dictionary: Rows, *, keep: int = 3) -> Expressions:
    """T ≈ Σ over a few of a small dictionary, every choice of them: under noise neither joining nor eliminating one
    after the other finds the best of rows as alike as powers of one variable are.
    """
    columns, goal = dictionary.values * target.weight, target.values * target.weight
    parts = [empty(dictionary.expressions.vocabulary, goal.device)]
    for index, coefficients in best_subsets(columns, goal, keep):
        terms = [dictionary.expressions[index[:, k]] for k in range(index.shape[1])]
        parts.append(linear_combination(terms, coefficients, torch.ones_like(index, dtype=torch.bool)))
    return target.view.undo(concatenate(parts))


def screen_common(target: Target, factors: Rows, dictionary: Rows) -> Expressions:
    """T ≈ a + u·Σ cⱼ·mⱼ for the best of several common factors u: terms joined greedily, and then eliminated.

    Of ten variables there are too many monomials to begin with all of them; and a law is short where what all its terms
    share stands before them. Nothing is divided by u, which may be zero.

    Parameters
    ----------
    factors : rows u; the literal 1 among them
    dictionary : rows m
    """
    weight, rows, along = target.weight, dictionary.values, target.weight / target.weight.norm()
    few = slice(0, COMMON_POINTS)

    def without_constant(part: torch.Tensor, points: slice) -> torch.Tensor:
        q = along[points] / along[points].norm()
        return part - (part @ q)[..., None] * q

    goal = target.values * weight
    columns = without_constant(factors.values[:, None, few] * rows[:, few] * weight[few], few)
    columns = columns / columns.norm(dim=2, keepdim=True).clamp(min=1e-300)
    first = without_constant(goal[few], few)
    _, share = greedy(columns.float(), (first / first.norm().clamp(min=1e-300)).float(), FIRST_TERMS)
    best = share.topk(min(MOST_COMMON, len(share)), largest=False).indices
    u = factors[best]
    columns = u.values[:, None] * rows * weight
    steps = max(1, min(MOST_TERMS + SPARE_TERMS, rows.shape[1] // 6, len(rows)))
    taken, _ = greedy(without_constant(columns, slice(None)), without_constant(goal, slice(None)), steps)
    chosen = columns.gather(1, taken[:, :, None].expand(-1, -1, columns.shape[2]))
    price = math.log(len(goal)) + math.log(len(rows))  # each was the best of all rows
    coefficients, used = eliminate(torch.cat([weight.expand(len(u), 1, -1), chosen], 1), goal, price=price)
    fine = used[:, 1:].any(1) & (used.sum(1) <= MOST_TERMS)
    coefficients, used, taken, u = coefficients[fine], used[fine], taken[fine], u[fine]
    vocabulary = dictionary.expressions.vocabulary
    if not len(u):
        return empty(vocabulary, goal.device)
    terms = [dictionary.expressions[taken[:, k]] for k in range(taken.shape[1])]
    total = linear_combination(terms, coefficients[:, 1:], used[:, 1:])
    plain = is_one(u.expressions)
    law = join(
        heads("add", used[:, 0].long(), vocabulary),
        present(constant(coefficients[:, 0], vocabulary, goal.device), used[:, 0]),
        heads("mul", (~plain).long(), vocabulary),
        present(u.expressions, ~plain),
        total,
    )
    return target.view.undo(law.trimmed())


def screen_recombined(target: Target, pieces: Rows, dictionary: Rows) -> Expressions:
    """T ≈ Σₖ pₖ·Σⱼ cₖⱼ·mⱼ over pieces of laws and monomials: joined greedily, eliminated, written piece by piece.

    Parameters
    ----------
    pieces : rows p, the literal 1 first
    dictionary : rows m, the literal 1 first
    """
    weight, many = target.weight, len(dictionary)
    columns = (pieces.values[:, None] * dictionary.values).flatten(0, 1) * weight
    goal, along = target.values * weight, weight / weight.norm()
    steps = max(1, min(MOST_TERMS + SPARE_TERMS, columns.shape[1] // 6, len(columns)))
    free = columns - (columns @ along)[:, None] * along
    taken, _ = greedy(free[None], goal - (goal @ along) * along, steps)
    taken = torch.cat([torch.zeros_like(taken[0, :1]), taken[0]]).unique()
    price = math.log(len(goal)) + math.log(len(columns))
    coefficients, used = eliminate(columns[taken][None], goal, price=price)
    vocabulary = dictionary.expressions.vocabulary
    at, numbers = taken[used[0]], coefficients[0][used[0]]
    if not 0 < len(at) <= MOST_TERMS:
        return empty(vocabulary, goal.device)
    law = None
    for piece in (at // many).unique().tolist():  # a handful of pieces
        here = at // many == piece
        terms = [dictionary.expressions[j : j + 1] for j in (at[here] % many).tolist()]
        part = linear_combination(terms, numbers[here][None], torch.ones_like(numbers[here][None]).bool())
        part = part if piece == 0 else pieces.expressions[piece : piece + 1] * part
        law = part if law is None else law + part
    return target.view.undo(law.trimmed())


def sum_of(dictionary: Rows, coefficients: torch.Tensor, used: torch.Tensor) -> Expressions:
    """Linear combinations (B) over one shared dictionary, built from the terms that any row uses."""
    some = used.any(0).nonzero()[:, 0]
    terms = [dictionary.expressions[k : k + 1] for k in some.tolist()]
    return linear_combination(terms, coefficients[:, some], used[:, some])
