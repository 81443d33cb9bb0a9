"""Rows that look like outliers before a law is known."""

import pytest
import torch

from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.noise.laplace import LAPLACE
from sr_accessor.noise.poisson import POISSON
from sr_accessor.noise.screening import suspects
from sr_accessor.noise.student_t import STUDENT_T


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def measured(inputs: int, rows: int = 300):
    """A smooth function of several inputs with 1 % noise, every twentieth row far off."""
    x = 1 + 4 * torch.rand(rows, inputs, generator=draws(), dtype=torch.float64)
    y = x[:, 0] * x[:, -1] + torch.sin(x[:, 0]) + 3 / x[:, -1]
    y = y + 0.05 * torch.randn(rows, generator=draws(1), dtype=torch.float64)
    off = torch.zeros(rows, dtype=torch.bool)
    off[::20] = True
    y[off] += 30 * (1 - 2 * torch.rand(15, generator=draws(2), dtype=torch.float64).round())
    return x, y, off


@pytest.mark.parametrize("inputs", [1, 3, 6])
@pytest.mark.parametrize("noise", [STUDENT_T, LAPLACE], ids=lambda m: m.name)
def test_gross_outliers_are_suspected_and_hardly_anything_else(inputs, noise):
    x, y, off = measured(inputs)
    found = suspects(noise, x, y, None)
    assert bool(found[off].all()) and int(found[~off].sum()) <= 6
    assert torch.equal(suspects(noise, x, 1e9 * y, None), found)  # whatever the units


@pytest.mark.parametrize("noise", [GAUSSIAN, POISSON], ids=lambda m: m.name)
def test_models_without_heavy_tails_suspect_nobody(noise):
    x, y, _ = measured(2)
    assert not bool(suspects(noise, x, y, None).any())


def test_rows_with_wide_error_bars_may_be_far_off():
    x, y, off = measured(2)
    sigma = torch.where(off, 30.0, 0.05).double()
    assert int(suspects(STUDENT_T, x, y, sigma).sum()) <= 6


def test_few_rows_and_exact_data_suspect_nobody():
    x, y, _ = measured(2)
    assert not bool(suspects(STUDENT_T, x[:10], y[:10], None).any())
    assert not bool(suspects(STUDENT_T, x, 2 * x[:, 0] + 1, None).any())


def test_screening_sigma_follows_the_scatter():
    y = torch.tensor([0.0, 3.0, 99.0], dtype=torch.float64)
    assert POISSON.screening_sigma(y, None).tolist() == [1, 2, 10]
    assert GAUSSIAN.screening_sigma(y, None).tolist() == [1, 1, 1]
    assert GAUSSIAN.screening_sigma(y, y + 1).tolist() == [1, 4, 100]
