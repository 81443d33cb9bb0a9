"""Screens for ratios p(x)/q(x) over a dictionary of monomials, from what p(x) − T·q(x) = 0 says of their coefficients.

ratio        the null vector of the columns, columns dropped while it stays
noisy ratio  Gauss–Newton steps on the coefficients, then elimination
short ratio  all choices of few terms
fraction     1, g, u and g·u above and below, for groups g and features u
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, empty, literal
from sr_accessor.expressions.description import structure_bits
from sr_accessor.refinement.levenberg_marquardt import solve_normal
from sr_accessor.search.screens import MOST_TERMS, eliminate, sum_of
from sr_accessor.search.targets import Rows, Target, scaled

__all__ = ["screen_fraction", "screen_noisy_ratio", "screen_ratio", "screen_short_ratio"]

#: A ratio is proposed when the smallest singular value of its unit columns is below this; 3 % is noise's share.
NO_NULL_VECTOR = 3e-2
#: Times that the errors of a noisy ratio are weighted by its denominator; the least of that, of its median; and steps.
REWEIGHTED, LEAST_DENOMINATOR, NEWTON_STEPS = 5, 1e-2, 4
#: Terms of p and of q in short ratios; choices of each kind that are judged, and weighted by 1/q so many times.
SHORT_RATIOS, JUDGED_RATIOS, REWEIGHTED_SHORT = ((1, 2), (2, 2), (1, 3)), 200, 3
#: Terms of one sum whose unit Gram matrix has an eigenvalue below this are not told apart.
TERMS_APART = 1e-4
#: Terms whose unit Gram matrix has an eigenvalue below this depend on each other: they have a ratio that says nothing.
DEPENDENT = 1e-9
#: Columns that are eliminated one by one at most; more only where the null vector is unique.
MOST_COLUMNS = 44


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
    numerator = sum_of(top, (coefficients[: len(top)] / lead)[None], up[None])
    denominator = sum_of(bottom, (coefficients[len(top) :] / lead)[None], down[None])
    return target.view.undo(numerator / denominator)


def screen_noisy_ratio(target: Target, top: Rows, bottom: Rows, first: torch.Tensor | None = None) -> Expressions:
    """p(x)/q(x) where noise leaves no null vector: p − T·q = 0 with errors q·σ, Gauss–Newton steps, and elimination.

    Each term of q in turn has the coefficient 1, since which of them are there is not known. The noise of T in its own
    columns biases the first solution [Sanathanan & Koerner 1963, IEEE Trans. Autom. Control 8, 56] and makes terms
    seem to matter; with p/q in its place they do not. At 10 % noise it comes out as a constant, p = c·q: there what a
    surface says of T is the better start.

    Parameters
    ----------
    first : (N,) what to begin with in the place of T

    Returns
    -------
    at most one proposal for each term of q
    """
    t, p_rows, q_rows = target.values, scaled(top.values), scaled(bottom.values)
    above, many = len(p_rows), len(q_rows)
    nothing = empty(bottom.expressions.vocabulary, t.device)
    if above + many > len(t) // 4:
        return nothing
    own = torch.arange(many, device=t.device)

    def linear(f: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The problem around p/q = f: weighted columns (many, P + Q, N) and what they are to sum to (many, N)."""
        columns = torch.cat([p_rows.expand(many, -1, -1), -f[:, None] * q_rows], 1) / q[:, None]
        columns[own, above + own] = 0.0
        return columns * target.weight, (t - f + f * q_rows / q) * target.weight

    f, q = (t if first is None else first).expand(many, -1), torch.ones_like(q_rows)
    best, best_f, best_q = t.new_full((many,), torch.inf), f, q
    for turn in range(REWEIGHTED + NEWTON_STEPS):
        columns, goal = linear(f, q)
        solution = solve_normal(columns @ columns.mT, (columns @ goal[:, :, None])[:, :, 0])
        q = q_rows + solution[:, above:] @ q_rows
        least = LEAST_DENOMINATOR * q.abs().median(1, keepdim=True).values
        q = torch.where(q.abs() < least, torch.where(q < 0, -least, least), q)
        ratio = solution[:, :above] @ p_rows / q
        loss = ((t - ratio) * target.weight).square().sum(1)
        better = loss < best
        best = torch.where(better, loss, best)
        best_f, best_q = torch.where(better[:, None], ratio, best_f), torch.where(better[:, None], q, best_q)
        if turn >= REWEIGHTED - 1:
            f = ratio
    columns, goal = linear(best_f, best_q)
    sound = (columns.isfinite().all(2).all(1) & goal.isfinite().all(1)).nonzero()[:, 0]
    if not len(sound):
        return nothing
    coefficients, used = eliminate(columns[sound], goal[sound])
    row, lead = torch.arange(len(sound), device=t.device), above + own[sound]
    coefficients[row, lead], used[row, lead] = 1.0, True
    coefficients = coefficients / torch.cat([rows.values.abs().amax(1).clamp(min=1e-300) for rows in (top, bottom)])
    coefficients = coefficients / coefficients[row, lead][:, None]
    up, down = used[:, :above], used[:, above:]
    fine = up.any(1) & (down.sum(1) > 1) & (used.sum(1) <= MOST_TERMS)
    if not bool(fine.any()):
        return nothing
    numerator = sum_of(top, coefficients[fine, :above], up[fine])
    return target.view.undo(numerator / sum_of(bottom, coefficients[fine, above:], down[fine]))


def screen_short_ratio(target: Target, dictionary: Rows, smooth: torch.Tensor, *, keep: int = 12) -> Expressions:
    """T ≈ p(x)/q(x) with few terms each, all choices of them: as rates, isotherms and means are, under any noise.

    Elimination from all terms goes astray where noise is large. Here T's own noise is out of p − T·q = 0 at once, with
    what a surface says in its place, and for each choice the null vector of three or four columns is in closed form;
    the best are weighted by 1/q as their errors are, and judged by T itself.

    Parameters
    ----------
    dictionary : rows of p and of q
    smooth : (N,) T without most of its noise
    """
    t, rows = target.values, scaled(dictionary.values)
    many, vocabulary = len(rows), dictionary.expressions.vocabulary
    columns = torch.cat([rows, -smooth * rows]) * target.weight
    scale = columns.norm(dim=1).clamp(min=1e-300)
    unit = columns / scale[:, None]
    gram = unit @ unit.T
    index = torch.arange(many, device=t.device)
    found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for above, below in SHORT_RATIOS:
        if max(above, below) > many:
            continue
        tops, bottoms = (torch.combinations(index, r) for r in (above, below))
        i, j = torch.cartesian_prod(torch.arange(len(tops)), torch.arange(len(bottoms))).T.to(t.device)
        chosen = torch.cat([tops[i], many + bottoms[j]], 1)
        part = gram[chosen[:, :, None], chosen[:, None, :]]
        both = (part[:, :above, :above], part[:, above:, above:])  # terms alike have a null vector that says nothing
        told = torch.stack([torch.linalg.eigvalsh(each)[:, 0] > TERMS_APART for each in both]).all(0)
        value, vector = torch.linalg.eigh(part)
        best = torch.where(told, value[:, 0], torch.inf).topk(min(JUDGED_RATIOS, len(value)), largest=False)
        best = best.indices[best.values.isfinite()]
        if not len(best):
            continue
        chosen, vector = chosen[best], vector[best, :, 0]
        for _ in range(REWEIGHTED_SHORT):
            q = (vector[:, above:, None] * unit[chosen[:, above:]]).sum(1).abs()
            least = (LEAST_DENOMINATOR * q.median(1, keepdim=True).values).clamp(min=1e-150)
            weighted = unit[chosen] / torch.maximum(q, least)[:, None]
            vector = torch.linalg.eigh(weighted @ weighted.mT).eigenvectors[:, :, 0]
        numbers = vector / scale[chosen]
        top, bottom = (
            (numbers[:, k, None] * rows[chosen[:, k] % many]).sum(1)
            for k in (torch.arange(above), torch.arange(above, above + below))
        )
        loss = ((t - top / bottom) * target.weight).square().sum(1).nan_to_num(nan=torch.inf, posinf=torch.inf)
        price = structure_bits(dictionary.expressions, 1)[chosen % many].sum(1)
        length = 0.5 * len(t) * torch.log2(loss.clamp(min=1e-300)) + price
        full = numbers.new_zeros(len(chosen), 2 * many).scatter_(1, chosen, numbers)
        found.append((length, full, full.new_zeros(full.shape, dtype=torch.bool).scatter_(1, chosen, True)))
    if not found:
        return empty(vocabulary, t.device)
    length, numbers, used = (torch.cat(parts) for parts in zip(*found, strict=True))
    best = length.topk(min(keep, len(length)), largest=False)
    best = best.indices[best.values.isfinite()]
    if not len(best):
        return empty(vocabulary, t.device)
    numbers = numbers[best] / dictionary.values.abs().amax(1).clamp(min=1e-300).repeat(2)
    lead = numbers[:, many:].abs().argmax(1, keepdim=True) + many
    numbers, used = numbers / numbers.gather(1, lead), used[best]
    above = sum_of(dictionary, numbers[:, :many], used[:, :many])
    return target.view.undo(above / sum_of(dictionary, numbers[:, many:], used[:, many:]))


def screen_fraction(target: Target, groups: Rows, rows: Rows, *, keep: int = 6) -> Expressions:
    """T ≈ p(g, u)/q(g, u) with p and q of the terms 1, g, u and g·u, for every group g and row u.

    Ranked by what the null vector of the columns leaves of T; pairs whose terms depend on each other are left out.
    """
    t = target.values
    i, j = torch.cartesian_prod(torch.arange(len(groups)), torch.arange(len(rows))).T
    one = Rows(literal([1.0], rows.expressions.vocabulary, t.device), torch.ones_like(t)[None])
    weight = 1 / (t.abs() + 1e-3 * t.abs().median())
    both = groups.values[i] * rows.values[j]
    terms = torch.stack([torch.ones_like(both), groups.values[i], rows.values[j], both], 1) * weight  # (P, 4, N)
    columns = torch.cat([terms, -t * terms], 1)
    size = columns.norm(dim=2, keepdim=True).clamp(min=1e-300)
    columns = columns / size
    sound = columns.isfinite().all(-1).all(-1)
    columns = torch.where(sound[:, None, None], columns, 0.0)
    gram = columns @ columns.mT
    apart = torch.linalg.eigvalsh(gram[:, :4, :4])[:, 0] > DEPENDENT
    null = torch.linalg.eigh(gram).eigenvectors[:, :, 0] / size[:, :, 0]
    top, bottom = ((part[:, None] @ terms)[:, 0] for part in (null[:, :4], null[:, 4:]))
    rest = (top / bottom - t) * weight
    least = torch.where(sound & apart, rest.abs().median(1).values, torch.inf).nan_to_num(
        nan=torch.inf, posinf=torch.inf
    )
    found = [empty(rows.expressions.vocabulary, t.device)]
    best = least.topk(min(keep, len(least)), largest=False)
    for k in best.indices[best.values.isfinite()].tolist():  # a handful
        g, u = groups[i[k] : i[k] + 1], rows[j[k] : j[k] + 1]
        some = Rows(
            concatenate([one.expressions, g.expressions, u.expressions, g.expressions * u.expressions]),
            torch.cat([one.values, g.values, u.values, g.values * u.values]),
        )
        exact = screen_ratio(target, some, some)
        found += [] if exact is None else [exact]
        found.append(screen_noisy_ratio(target, some, some))
    return concatenate(found)


def _null_vectors(columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest singular value (B,) and its right vector (B, m) of each of B matrices (B, n, m)."""
    _, s, vh = torch.linalg.svd(columns, full_matrices=False)
    return s[:, -1], vh[:, -1]
