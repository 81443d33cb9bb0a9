"""Random input points for both presets, all rows at once: clusters, boxes, decades, trajectories.

Points of all rows lie one after the other without gaps while they are drawn (a padded table of 200 × 10 would be
three quarters empty) and are padded at the end. Nothing here knows expressions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["POINTS", "mixed", "paper_clusters", "sample_paper_points", "sample_science_points"]

POINTS = 200  # most points of an example, both presets
BLOCK = 8
CLUSTERS = 9  # paper: uniform on 1..9
#: Coordinates are drawn in single precision, twice as fast, and widened: no measured input has more digits.
DRAWN = torch.float32


def sample_paper_points(dimensions_B: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B,) numbers of points, uniform on min(5D, 200)..200."""
    return _uniform_integers((5 * dimensions_B).clamp(max=POINTS), generator)


def sample_science_points(dimensions_B: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B,) numbers of points, uniform on max(10, 3D)..200."""
    return _uniform_integers((3 * dimensions_B).clamp(min=10), generator)


def _uniform_integers(low_B: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    draw = torch.rand(len(low_B), generator=generator, device=generator.device, dtype=torch.float64)
    return low_B + (draw * (POINTS + 1 - low_B)).long().clamp(max=POINTS)


def _by_dimension(
    points_B: torch.Tensor, dimensions_B: torch.Tensor, draw: Callable[[torch.Tensor, int, int], torch.Tensor]
) -> torch.Tensor:
    """(B, max N, max D), padded with zeros, in memory (B, D, N): rows of each number of dimensions in turn.

    `draw(rows, D, width)` gives the points of these rows as (rows, D, width), 0 beyond their own.
    """
    width, most = (int(t.max()) for t in (points_B, dimensions_B))
    present = torch.bincount(dimensions_B).nonzero()[:, 0].tolist()
    if len(present) == 1:
        rows = torch.arange(len(points_B), device=points_B.device)
        return draw(rows, most, width).transpose(1, 2)
    out = torch.zeros(len(points_B), most, width, dtype=DRAWN, device=points_B.device)
    for d in present:
        rows = (dimensions_B == d).nonzero()[:, 0]
        n = int(points_B[rows].max())
        out[rows, :d, :n] = draw(rows, d, n)
    return out.transpose(1, 2)


# ---------------------------------------------------------------- paper: system.md §1.4
def paper_clusters(points_B: torch.Tensor, dimensions_B: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, N, D): 1..9 rotated gaussian or uniform clusters, standardised; points stay grouped by cluster.

    Weights U(0,1) share the points out (multinomial); centre ~ N(0,1)^D, variances ~ U(0,1)^D, gaussian or uniform
    once per function; each cluster is turned about the origin by a Haar-random rotation. (Orthogonal instead of
    special-orthogonal matrices: a reflected centre and cluster are as likely as the others, so nothing differs.)
    """
    device, rows = generator.device, len(points_B)
    clusters = torch.randint(1, CLUSTERS + 1, (rows,), generator=generator, device=device)
    share = torch.rand(rows, CLUSTERS, generator=generator, device=device, dtype=torch.float64)
    share = share.masked_fill(torch.arange(CLUSTERS, device=device) >= clusters[:, None], 0.0)
    count = _multinomial(points_B, share, generator)
    gaussian = torch.rand(rows, generator=generator, device=device) < 0.5

    def draw(rows: torch.Tensor, d: int, width: int) -> torch.Tensor:
        n = points_B[rows, None]
        counts = count[rows].reshape(-1)
        alive = counts.nonzero()[:, 0]  # clusters that got a point
        centre = torch.randn(len(alive), d, generator=generator, device=device, dtype=DRAWN)
        spread = torch.rand(len(alive), d, generator=generator, device=device, dtype=DRAWN).sqrt()
        # Points in blocks of one cluster each, so that a rotation is fetched once for eight points; gaussian first.
        is_box = ~gaussian[rows][alive // CLUSTERS]
        blocks = (counts[alive] + BLOCK - 1) // BLOCK
        order = is_box.long().argsort(stable=True)
        blocks_ordered = blocks[order]
        cluster = torch.repeat_interleave(order, blocks_ordered)
        begin = torch.zeros_like(counts)
        begin[alive[order]] = blocks_ordered.cumsum(0) - blocks_ordered
        normal = int((blocks * ~is_box).sum())
        # Behind the blocks lie zeros for the padding.
        zeros = -(-width // BLOCK)
        noise = torch.empty(len(cluster), BLOCK, d, dtype=DRAWN, device=device)
        noise[:normal].normal_(generator=generator)
        noise[normal:].uniform_(-1, 1, generator=generator)
        x = torch.empty(len(cluster) + zeros, BLOCK, d, dtype=DRAWN, device=device)
        x[len(cluster) :] = 0.0
        turn = _orthogonal(len(alive), d, generator)
        centre = torch.bmm(centre[:, None], turn)
        torch.bmm(noise, (spread[:, :, None] * turn).index_select(0, cluster), out=x[: len(cluster)])
        x[: len(cluster)] += centre.index_select(0, cluster)
        # A cluster's points fill its blocks in order; the rest of its last block is not used.
        parts = torch.cat([counts.view(-1, CLUSTERS), width - n], 1)
        source = torch.cat([begin.view(-1, CLUSTERS), torch.full_like(n, len(cluster))], 1) * BLOCK
        target = parts.view(-1).cumsum(0) - parts.view(-1)
        which = torch.repeat_interleave(source.view(-1) - target, parts.view(-1))
        which += torch.arange(len(which), device=device)
        x = x.view(-1, d).index_select(0, which).view(len(rows), width, d).transpose(1, 2).contiguous()
        inside = (torch.arange(width, device=device) < n).to(DRAWN)[:, None]
        x.addcmul_(x.sum(2, keepdim=True) / n[:, None], inside, value=-1)
        scale = n[:, None].sqrt() / torch.linalg.vector_norm(x, dim=2, keepdim=True).clamp(min=1e-15)
        return x.mul_(scale)

    return _by_dimension(points_B, dimensions_B, draw)


def _multinomial(total_B: torch.Tensor, share_BK: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, K) counts that add up to `total`, as a chain of binomials; the last open class takes what is left."""
    left = total_B.double()
    rest = share_BK.flip(1).cumsum(1).flip(1)
    counts = []
    for k in range(share_BK.shape[1]):
        p = torch.where(rest[:, k] > 0, share_BK[:, k] / rest[:, k], 0.0).clamp(max=1.0)
        taken = torch.binomial(left, p, generator=generator)
        counts.append(taken)
        left = left - taken
    return torch.stack(counts, 1).long()


def _orthogonal(count: int, d: int, generator: torch.Generator) -> torch.Tensor:
    """(count, d, d) Haar-random orthogonal matrices: Gram-Schmidt on gaussian rows, all matrices at once."""
    q = torch.randn(count, d, d, generator=generator, device=generator.device, dtype=DRAWN)
    for i in range(d):
        v, basis = q[:, i : i + 1], q[:, :i]
        if i:
            v -= torch.bmm(torch.bmm(v, basis.transpose(1, 2)), basis)
        v /= torch.linalg.vector_norm(v, dim=2, keepdim=True)
    return q


# ---------------------------------------------------------------- science
KINDS = ("uniform", "decades", "clusters", "grid", "trajectory")
KIND_WEIGHTS = (0.40, 0.18, 0.17, 0.10, 0.15)
POSITIVE = 0.6  # all columns of the example are positive
WIDE = 0.2  # the columns' units are decades apart
OFFSET = 0.4  # a column starts away from zero


def mixed(points_B: torch.Tensor, dimensions_B: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, N, D) in a scientist's own units: boxes, decades, clusters, grids and trajectories; not standardised.

    Each row has one kind and one reading of signs (all columns positive, or any sign); each column has its own scale
    and offset. A grid's first column ascends evenly; a trajectory's columns are smooth functions of one hidden time,
    in its order. The others are shuffled by nature.
    """
    device, rows = generator.device, len(points_B)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, device=device, dtype=DRAWN)

    bounds = torch.tensor(KIND_WEIGHTS, dtype=DRAWN, device=device).cumsum(0)
    kind = torch.searchsorted(bounds, uniform(rows), right=True).clamp(max=len(KINDS) - 1)
    positive, wide = uniform(rows) < POSITIVE, uniform(rows) < WIDE

    def draw(rows: torch.Tensor, d: int, width: int) -> torch.Tensor:
        n = len(rows)
        owner = torch.repeat_interleave(torch.arange(n, device=device), points_B[rows])
        kinds = kind[rows][owner][:, None]
        u = uniform(len(owner), d)
        # hidden time of ordered rows: 0..1 evenly
        length = points_B[rows]
        time = torch.arange(len(owner), device=device) - (length.cumsum(0) - length)[owner]
        time = time / (length - 1).clamp(min=1)[owner]
        # clusters: up to three narrow heaps in the box
        centre = uniform(n, 3, d)
        heap = (uniform(len(owner)) * (1 + 3 * uniform(n))[owner].clamp(max=3)).long().clamp(max=2)
        near = centre[owner, heap] + 0.12 * (u + uniform(len(owner), d) - 1)
        # trajectories: half a wave to two and a half, or a monotone power of time
        wave = 0.5 + 0.5 * torch.sin(
            (1 + 4 * uniform(n, d))[owner] * torch.pi * time[:, None] + 6.3 * uniform(n, d)[owner]
        )
        ramp = time[:, None] ** torch.exp(1.4 * uniform(n, d) - 0.7)[owner]
        track = torch.where((uniform(n, d) < 0.5)[owner], wave, ramp)
        grid = u.clone()
        grid[:, 0] = time
        unit = torch.where(kinds == 2, near, torch.where(kinds == 3, grid, torch.where(kinds == 4, track, u)))
        unit = unit.clamp(0.0, 1.0)
        # units and offsets of the columns
        scale = torch.where(wide[rows][:, None], 10 ** (6 * uniform(n, d) - 3), 10 ** (1.2 * uniform(n, d) - 0.4))
        start = torch.where(uniform(n, d) < OFFSET, 2 * uniform(n, d), 0.02)
        above = start[owner] + unit
        around = 2 * unit - 1 + torch.where(uniform(n, d) < OFFSET, uniform(n, d) - 0.5, 0.0)[owner]
        span = torch.log(torch.tensor(10.0, device=device)) * (1 + 3 * uniform(n, d))
        decades = torch.exp(span[owner] * (unit - 1))
        decades = torch.where(
            positive[rows][owner][:, None], decades, decades * torch.sign(uniform(len(owner), d) - 0.5)
        )
        x = torch.where(kinds == 1, decades, torch.where(positive[rows][owner][:, None], above, around))
        out = torch.zeros(n, d, width, dtype=DRAWN, device=device)
        inside = torch.arange(width, device=device) < length[:, None]
        out.transpose(1, 2)[inside] = x * scale[owner]
        return out

    return _by_dimension(points_B, dimensions_B, draw)
