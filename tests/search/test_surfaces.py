"""Noise is told from what a surface cannot follow: no scatter is seen in smooth laws, nor structure in noise."""

import pytest
import torch

from sr_accessor.search.surfaces import neighbours_alike, noise_above_surface

LAWS = {
    "a fraction": lambda x: x[:, 0] / (1.2 - x[:, 1]),
    "a wave": lambda x: torch.sin(4 * x[:, 0]) * x[:, 1],
    "an exponential": lambda x: torch.exp(-3 * x[:, 0] * x[:, 1]),
    "a polynomial": lambda x: x[:, 0] ** 3 - x[:, 0] * x[:, 1],
}


def points(seed):
    return torch.rand(700, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def scatter(seed):
    return torch.randn(700, dtype=torch.float64, generator=torch.Generator().manual_seed(100 + seed))


@pytest.mark.parametrize("law", LAWS)
def test_smooth_laws_are_not_noisy(law):
    assert not any(noise_above_surface(points(seed), LAWS[law](points(seed))) for seed in range(10))


@pytest.mark.parametrize("law", LAWS)
def test_scatter_is_noise(law):
    """Of ten at most one: that is what 2.5 standard errors of three correlations allow."""
    noisy = 0
    for seed in range(10):
        y = LAWS[law](points(seed))
        noisy += noise_above_surface(points(seed), y + 0.1 * y.std() * scatter(seed))
    assert noisy >= 9


def test_neither_a_constant_nor_two_points_are_noise():
    assert not noise_above_surface(points(0), torch.ones(700, dtype=torch.float64))
    assert not noise_above_surface(points(0)[:2], scatter(0)[:2])


def test_neighbours_of_a_wave_are_alike():
    x = points(0)
    assert float(neighbours_alike(x, torch.sin(5 * x[:, 0]))) > 10
    assert float(neighbours_alike(x, scatter(0))) < 3.5
