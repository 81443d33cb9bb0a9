"""Random input points: system.md §1.4 for the paper, and the kinds of measured inputs."""

import torch

from sr_accessor.prior.inputs import POINTS, mixed, paper_clusters, sample_paper_points, sample_science_points


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_numbers_of_points():
    d = torch.arange(1, 11).repeat(2000)
    n = sample_paper_points(d, generator(1))
    for k in range(1, 11):
        here = n[d == k].double()
        assert (int(here.min()), int(here.max())) == (5 * k, POINTS)
        assert abs(float(here.mean()) - (5 * k + POINTS) / 2) < 5
    n = sample_science_points(d, generator(2))
    assert int(n[d == 1].min()) == 10 and int(n[d == 10].min()) == 30 and int(n.max()) == POINTS


def drawn(points: int, dimensions: int, rows: int, seed: int) -> torch.Tensor:
    return paper_clusters(torch.full((rows,), points), torch.full((rows,), dimensions), generator(seed)).double()


def test_standardised_over_own_points_and_padded_with_zeros():
    d = torch.arange(400) % 10 + 1
    n = sample_paper_points(d, generator(3))
    x = paper_clusters(n, d, generator(4)).double()
    assert x.shape == (400, int(n.max()), 10)
    inside = (torch.arange(x.shape[1]) < n[:, None])[:, :, None] & (torch.arange(10) < d[:, None])[:, None]
    assert not x[~inside].any()
    mean = x.sum(1) / n[:, None]
    std = (x.square().sum(1) / n[:, None]).sqrt()
    column = torch.arange(10) < d[:, None]
    assert float(mean[column].abs().max()) < 1e-5
    assert float((std[column] - 1).abs().max()) < 1e-4


def test_one_to_nine_clusters_lie_in_order():
    """With one cluster neighbours are as far apart as strangers; with many they are nearer: both occur."""
    x = drawn(200, 1, 3000, 5)[:, :, 0]
    near = (x[:, 1:] - x[:, :-1]).square().mean(1)  # 2 for independent points, 2·(1 - between) with clusters
    assert 0.07 < float((near > 1.7).double().mean()) < 0.30  # about one in nine has one cluster
    assert float(near.mean()) < 1.2
    assert float(near.median()) < 1.2


def test_gaussian_or_uniform_once_per_function():
    """Rows of one cluster: kurtosis 3 (gaussian) or 1.8 (box), half of them each."""
    x = drawn(200, 1, 4000, 6)[:, :, 0]
    single = x[(x[:, 1:] - x[:, :-1]).square().mean(1) > 1.85]
    kurtosis = single.pow(4).mean(1)
    box = float((kurtosis < 2.15).double().mean())
    assert len(single) > 150 and 0.35 < box < 0.65


def test_rotated():
    """Without rotation the coordinates within a cluster would be uncorrelated; with it they are not, in either sign."""
    x = drawn(200, 2, 3000, 7)
    single = ((x[:, 1:] - x[:, :-1]).square().mean((1, 2))) > 1.8  # one cluster
    correlation = (x[single, :, 0] * x[single, :, 1]).mean(1)
    assert float(correlation.abs().mean()) > 0.15
    assert abs(float(correlation.mean())) < 0.1


def test_rotation_is_orthogonal_and_isotropic():
    from sr_accessor.prior.inputs import _orthogonal

    q = _orthogonal(2000, 4, generator(8)).double()
    error = q @ q.transpose(1, 2) - torch.eye(4, dtype=torch.float64)
    assert float(error.abs().max()) < 2e-3 and float(error.abs().mean()) < 1e-6  # single precision
    assert float(q.mean(0).abs().max()) < 0.05
    assert float((q.square().mean(0) - 0.25).abs().max()) < 0.03


def test_multinomial_counts():
    from sr_accessor.prior.inputs import _multinomial

    share = torch.tensor([0.2, 0.0, 0.5, 0.3]).double().expand(4000, 4)
    counts = _multinomial(torch.full((4000,), 50), share, generator(9))
    assert bool((counts.sum(1) == 50).all()) and not counts[:, 1].any()
    assert float((counts.double().mean(0) / 50 - share[0]).abs().max()) < 0.01
    assert abs(float(counts[:, 2].double().var()) - 50 * 0.5 * 0.5) < 1.0


def test_science_has_all_kinds_of_inputs():
    n, d = torch.full((4000,), 100), torch.full((4000,), 2)
    x = mixed(n, d, generator(10)).double()
    assert bool(torch.isfinite(x).all())
    positive = (x > 0).all(2).all(1)
    assert 0.45 < float(positive.double().mean()) < 0.75
    low, high = x[positive].amin(1), x[positive].amax(1)
    assert float((high / low > 300).double().mean()) > 0.05  # decades
    assert float((high / low < 3).double().mean()) > 0.08  # far from zero
    size = x.abs().amax(1)
    assert float((size > 100).double().mean()) > 0.02 and float((size < 0.05).double().mean()) > 0.02
    step = x[:, 1:, 0] - x[:, :-1, 0]
    ascending = (step > 0).all(1)
    assert 0.08 < float(ascending.double().mean()) < 0.3  # grids and ramps
    even = ascending & ((step.amax(1) / step.amin(1)) < 1.01)
    assert float(even.double().mean()) > 0.05
    smooth = (step.square().sum(1) / (x[:, :, 0] - x[:, :, 0].mean(1, keepdim=True)).square().sum(1)) < 0.1
    assert 0.15 < float(smooth.double().mean()) < 0.4  # in the order of a trajectory or a grid


def test_the_same_seed_gives_the_same_points():
    n, d = torch.tensor([30, 200, 50]), torch.tensor([1, 3, 2])
    for draw in (paper_clusters, mixed):
        assert torch.equal(draw(n, d, generator(11)), draw(n, d, generator(11)))
        assert not torch.equal(draw(n, d, generator(11)), draw(n, d, generator(12)))
