"""Pursuit: the pairs and the chains of rows that together explain most of a target.

pairs   all of them, from the Gram matrix in closed form
chains  orthogonal matching pursuit from each of the best first rows
greedy  orthogonal least squares in many dictionaries at once [Chen, Billings & Luo 1989, Int. J. Control 50, 1873]
subsets of one, two, three … rows: all choices while they are few
"""

from __future__ import annotations

import math

import torch

from sr_accessor.search.targets import LEAST_LEFT, unexplained
from sr_accessor.stopping import look

__all__ = ["best_pairs", "best_subsets", "chains", "greedy", "pair_share"]

#: Pairs closer than this (1 − correlation²) drown in float32 rounding [search_findings.md §5].
LEAST_ANGLE = 3e-4
#: Choices of some of a dictionary's rows that are all tried.
MOST_SUBSETS, MOST_TOGETHER = 40_000, 4


def chains(
    values: torch.Tensor, weight: torch.Tensor, q: torch.Tensor, residual: torch.Tensor, beams: int, depth: int
) -> list[torch.Tensor]:
    """Orthogonal matching pursuit from each of the best rows: (P, k) row indices for every length k from 2 on."""
    share = unexplained(values, weight, q, residual[:, None])[0]
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
            share = unexplained(values, weight, basis, (left / left.norm())[:, None])[0]
            chain.append(share.argmin())
            found[length].append(torch.stack(chain))
    return [torch.stack(chains) for chains in found if chains]


def greedy(columns: torch.Tensor, goal: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """In each dictionary the column that leaves least of the goal, then the next beside it, and so on.

    Parameters
    ----------
    columns : (B, T, N); goal : (N,)
    steps : columns taken from each

    Returns
    -------
    (B, steps) the columns taken, in their order; (B,) share of the goal that they leave
    """
    unit = columns / columns.norm(dim=2, keepdim=True).clamp(min=1e-300)
    rest, every = goal.expand(len(columns), -1), torch.arange(len(columns), device=columns.device)
    taken = []
    for _ in range(steps):
        look()
        left = unit.square().sum(2)
        gain = (unit @ rest[:, :, None])[:, :, 0].square() / left
        taken.append(torch.where((left > LEAST_LEFT) & gain.isfinite(), gain, -1.0).argmax(1))
        q = unit[every, taken[-1]]
        q = q / q.norm(dim=1, keepdim=True).clamp(min=1e-300)
        unit = unit - (unit @ q[:, :, None]) * q[:, None]
        rest = rest - torch.linalg.vecdot(rest, q)[:, None] * q
    return torch.stack(taken, 1), rest.square().sum(1) / goal.square().sum().clamp(min=1e-300)


def best_subsets(columns: torch.Tensor, goal: torch.Tensor, keep: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The few columns together that leave least of the goal, out of all choices of one, two, three …

    Parameters
    ----------
    columns : (T, N); goal : (N,)
    keep : choices kept of each size

    Returns
    -------
    for each size k up to `MOST_TOGETHER` with at most `MOST_SUBSETS` choices: (≤ keep, k) columns, their coefficients
    """
    size = columns.norm(dim=1).clamp(min=1e-300)
    unit = columns / size[:, None]
    gram, along = unit @ unit.T, unit @ goal
    found, index = [], torch.arange(len(columns), device=columns.device)[:, None]
    for k in range(1, min(MOST_TOGETHER, len(columns)) + 1):  # sizes
        if math.comb(len(columns), k) > MOST_SUBSETS:
            break
        look()
        index = _one_more(index, len(columns)) if k > 1 else index
        factor, failed = torch.linalg.cholesky_ex(gram[index[:, :, None], index[:, None, :]])
        part = torch.linalg.solve_triangular(factor, along[index][:, :, None], upper=False)
        sound = (failed == 0) & (factor.diagonal(dim1=1, dim2=2).amin(1) ** 2 > LEAST_LEFT)
        explained = torch.where(sound, part.square().sum((1, 2)), -torch.inf)
        best = explained.topk(min(keep, len(index)))
        rows = best.indices[best.values.isfinite()]
        solved = torch.linalg.solve_triangular(factor[rows].mT, part[rows], upper=True)[:, :, 0]
        found.append((index[rows], solved / size[index[rows]]))
    return found


def _one_more(index: torch.Tensor, count: int) -> torch.Tensor:
    """Every ascending choice (S, k) of `count` things with each of the later things beside it: (S', k + 1)."""
    more = count - 1 - index[:, -1]
    rows = torch.repeat_interleave(torch.arange(len(index), device=index.device), more)
    place = torch.arange(len(rows), device=index.device) - (more.cumsum(0) - more)[rows]
    return torch.cat([index[rows], (index[rows, -1] + 1 + place)[:, None]], 1)


def best_pairs(
    unit: torch.Tensor, residual: torch.Tensor, keep: int, block: int = 1024
) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices i < j of the pairs of unit rows that explain most of the residual, from blocks of the Gram matrix."""
    b = unit @ residual
    best_share, best_i, best_j = [], [], []
    for start in range(0, len(unit), block):  # blocks, not candidates
        look()
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


def pair_share(unit: torch.Tensor, b: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
    """(P,) share of the residual that each pair leaves, by orthogonalising: exact where the closed form cancels."""
    residual_left = 1 - b[i].square()
    gram = torch.linalg.vecdot(unit[i], unit[j])
    across = (b[j] - gram * b[i]).square() / (1 - gram.square()).clamp(min=1e-12)
    return (residual_left - across).clamp(min=0.0)
