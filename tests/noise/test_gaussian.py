"""Gaussian noise against scipy.stats and against its own definition."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from sr_accessor.errors import NoiseModelError
from sr_accessor.noise.gaussian import FLOOR, GAUSSIAN, Gaussian
from sr_accessor.testing import check_noise_model

N, B = 50, 4


@pytest.fixture
def case():
    random = torch.Generator().manual_seed(1)
    y = torch.randn(N, generator=random, dtype=torch.float64) * 3 + 10
    values = y + torch.randn(B, N, generator=random, dtype=torch.float64) * torch.tensor([[0.1], [1.0], [5.0], [1e3]])
    sigma = torch.rand(N, generator=random, dtype=torch.float64) + 0.1
    return y, values, sigma


def test_stated_sigma_is_scipys_sum(case):
    y, values, sigma = case
    expected = [-scipy.stats.norm.logpdf(y.numpy(), v.numpy(), sigma.numpy()).sum() for v in values]
    np.testing.assert_allclose(GAUSSIAN.negative_log_likelihood(y, values, sigma).numpy(), expected, rtol=1e-12)


def test_unknown_scale_is_scipys_sum_at_the_most_likely_scale(case):
    y, values, _ = case
    loss = GAUSSIAN.negative_log_likelihood(y, values).numpy()
    for row, value in enumerate(values.numpy()):
        residual = y.numpy() - value
        _, scale = scipy.stats.norm.fit(residual, floc=0)
        assert loss[row] == pytest.approx(-scipy.stats.norm.logpdf(residual, 0, scale).sum(), rel=1e-12)
        for other in (0.9 * scale, 1.1 * scale):  # no other scale is likelier
            assert loss[row] < -scipy.stats.norm.logpdf(residual, 0, other).sum()


def test_loss_is_the_sum_of_log_densities(case):
    y, values, sigma = case
    for s in (None, sigma):
        density = GAUSSIAN.log_density(y, values, s, GAUSSIAN.estimate(y, values, s))
        assert density.shape == (B, N)
        torch.testing.assert_close(-density.sum(1), GAUSSIAN.negative_log_likelihood(y, values, s))


def test_exact_fits_are_equal_whatever_their_rounding(case):
    y, _, _ = case
    exact = torch.stack([y, y * (1 + torch.finfo(torch.float64).eps), y * (1 + 1e-12)])
    loss = GAUSSIAN.negative_log_likelihood(y, exact)
    rms = float(y.square().mean().sqrt())
    assert loss[0] == loss[1] == pytest.approx(N / 2 * (math.log(2 * math.pi * (FLOOR * rms) ** 2) + 1))
    assert loss[2] > loss[0] + N  # a relative error of 1e-12 is told from an exact law


def test_the_floor_scales_with_the_data():
    y = torch.linspace(1, 2, N, dtype=torch.float64)
    for unit in (1e-60, 1.0, 1e60):
        loss = GAUSSIAN.negative_log_likelihood(y * unit, (y * unit)[None])
        assert float(loss - N * math.log(unit)) == pytest.approx(float(GAUSSIAN.negative_log_likelihood(y, y[None])))


def test_all_zero_measurements_fitted_exactly_have_a_finite_loss():
    zero = torch.zeros(N, dtype=torch.float64)
    assert torch.isfinite(GAUSSIAN.negative_log_likelihood(zero, zero[None])).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e200])
def test_invalid_predictions_lose_without_an_exception(case, bad):
    y, values, sigma = case
    broken = values.clone()
    broken[1, 7] = bad
    for s in (None, sigma):
        loss = GAUSSIAN.negative_log_likelihood(y, broken, s)
        assert loss[1] == math.inf
        torch.testing.assert_close(loss[[0, 2, 3]], GAUSSIAN.negative_log_likelihood(y, values, s)[[0, 2, 3]])
        residual, weight = GAUSSIAN.working(y, broken, s)
        assert torch.isfinite(residual).all() and torch.isfinite(weight).all()


def test_working_gives_the_slope_of_the_loss(case):
    y, values, sigma = case
    for s in (None, sigma):
        moving = values.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(GAUSSIAN.negative_log_likelihood(y, moving, s).sum(), moving)
        residual, weight = GAUSSIAN.working(y, values, s)
        torch.testing.assert_close(-(weight * residual), slope)


def test_own_parameters_are_counted(case):
    y, values, sigma = case
    for s, count in ((None, 1), (sigma, 0)):
        assert GAUSSIAN.degrees(s) == count
        assert GAUSSIAN.estimate(y, values, s).shape == (B, count)


def test_samples_are_normal_with_the_given_spread_and_repeat_with_the_seed():
    values = torch.full((2, 4000), 5.0, dtype=torch.float64)
    scale = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    draw = GAUSSIAN.sample(torch.Generator().manual_seed(3), values, parameters=scale)
    for row, spread in zip(draw.numpy(), (0.5, 2.0), strict=True):
        assert scipy.stats.kstest(row, scipy.stats.norm(5.0, spread).cdf).pvalue > 0.001
    again = GAUSSIAN.sample(torch.Generator().manual_seed(3), values, parameters=scale)
    assert torch.equal(draw, again)
    sigma = torch.linspace(0.1, 1, 4000, dtype=torch.float64)
    pulls = (GAUSSIAN.sample(torch.Generator().manual_seed(4), values, sigma) - values) / sigma
    assert scipy.stats.kstest(pulls[0].numpy(), scipy.stats.norm.cdf).pvalue > 0.001


def test_unusable_data_is_named():
    y = torch.tensor([1.0, math.inf, math.nan], dtype=torch.float64)
    with pytest.raises(NoiseModelError, match=r"column 'F', row 1 is inf \(2 such rows\).*'gaussian'.*noise="):
        GAUSSIAN.check_data(y, "F")
    GAUSSIAN.check_data(y[:1], "F")


def test_a_model_is_a_value():
    assert Gaussian() == GAUSSIAN and hash(Gaussian()) == hash(GAUSSIAN)
    with pytest.raises(NoiseModelError, match="support must be one of"):
        Gaussian(support="complex")
    with pytest.raises(NoiseModelError, match="identifier"):
        Gaussian(name="two words")


def test_it_passes_the_checks_that_plugin_authors_run():
    check_noise_model(GAUSSIAN)
