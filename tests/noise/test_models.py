"""Every built-in noise model: scipy's densities, slopes by autograd, own parameters, samples, support."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch

from sr_accessor.errors import NoiseModelError
from sr_accessor.noise.binomial import BINOMIAL
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.noise.heteroscedastic import HETEROSCEDASTIC
from sr_accessor.noise.laplace import LAPLACE
from sr_accessor.noise.lognormal import LOGNORMAL
from sr_accessor.noise.multiplicative import MULTIPLICATIVE
from sr_accessor.noise.negative_binomial import NEGATIVE_BINOMIAL
from sr_accessor.noise.newton import minimum
from sr_accessor.noise.poisson import POISSON
from sr_accessor.noise.student_t import STUDENT_T
from sr_accessor.plugins.builtin import NOISE_MODELS
from sr_accessor.testing import check_noise_model

N, B = 60, 3
RELATIVE = [replace(model, absolute=False) for model in (GAUSSIAN, LAPLACE, STUDENT_T)]
stats = scipy.stats


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rates(low: float = 0.5, high: float = 20.0) -> torch.Tensor:
    """(B, N) positive predictions, each row near the first."""
    base = low + (high - low) * torch.rand(N, generator=draws(), dtype=torch.float64)
    return base * (1 + 0.2 * torch.rand(B, N, generator=draws(1), dtype=torch.float64))


# model, own parameters, sigma?, scipy's frozen distribution of y at values f with them
CASES = {
    "gaussian": (GAUSSIAN, [0.7], False, lambda f, s, p: stats.norm(f, p[0])),
    "gaussian, sigma": (GAUSSIAN, [], True, lambda f, s, p: stats.norm(f, s)),
    "gaussian, relative": (RELATIVE[0], [2.0], True, lambda f, s, p: stats.norm(f, 2.0 * s)),
    "heteroscedastic": (HETEROSCEDASTIC, [0.5, 0.1], False, lambda f, s, p: stats.norm(f, np.hypot(0.5, 0.1 * f))),
    "heteroscedastic, sigma": (HETEROSCEDASTIC, [0.1], True, lambda f, s, p: stats.norm(f, np.hypot(s, 0.1 * f))),
    "multiplicative": (MULTIPLICATIVE, [0.2], False, lambda f, s, p: stats.norm(f, 0.2 * f)),
    "lognormal": (LOGNORMAL, [0.3], False, lambda f, s, p: stats.lognorm(0.3, scale=f)),
    "student_t": (STUDENT_T, [4.0, 0.5], False, lambda f, s, p: stats.t(4.0, f, 0.5)),
    "student_t, sigma": (STUDENT_T, [4.0], True, lambda f, s, p: stats.t(4.0, f, s)),
    "laplace": (LAPLACE, [0.5], False, lambda f, s, p: stats.laplace(f, 0.5)),
    "laplace, sigma": (LAPLACE, [], True, lambda f, s, p: stats.laplace(f, s / 2**0.5)),
    "poisson": (POISSON, [], False, lambda f, s, p: stats.poisson(f)),
    "negative_binomial": (NEGATIVE_BINOMIAL, [0.5], False, lambda f, s, p: stats.nbinom(2.0, 2.0 / (2.0 + f))),
}
DISCRETE = {"poisson", "negative_binomial"}


def case(name: str):
    model, own, with_sigma, distribution = CASES[name]
    values = rates()
    sigma = 0.1 + torch.rand(N, generator=draws(2), dtype=torch.float64) if with_sigma else None
    parameters = torch.tensor([own] * B, dtype=torch.float64)
    y = model.sample(draws(3), values[:1], sigma, parameters[:1])[0]
    frozen = distribution(values.numpy(), None if sigma is None else sigma.numpy(), own)
    return model, y, values, sigma, parameters, frozen


@pytest.mark.parametrize("name", CASES)
def test_density_is_scipys(name):
    model, y, values, sigma, parameters, frozen = case(name)
    log = frozen.logpmf if name in DISCRETE else frozen.logpdf
    density = model.log_density(y, values, sigma, parameters)
    np.testing.assert_allclose(density.numpy(), log(y.numpy()), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_dispersion_and_interval_are_scipys(name):
    model, _, values, sigma, parameters, frozen = case(name)
    spread = model.dispersion(values, sigma, parameters).expand_as(values)
    np.testing.assert_allclose(spread.numpy(), np.broadcast_to(frozen.std(), values.shape), rtol=1e-9)
    low, high = model.interval(values, sigma, parameters, 0.8)
    np.testing.assert_allclose(low.expand_as(values).numpy(), frozen.ppf(0.1), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(high.expand_as(values).numpy(), frozen.ppf(0.9), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_samples_follow_the_density(name):
    model, _, _, sigma, parameters, _ = case(name)
    frozen = CASES[name][3](3.0, 0.4, CASES[name][1])
    sigma = None if sigma is None else torch.full((4000,), 0.4, dtype=torch.float64)
    one = torch.full((1, 4000), 3.0, dtype=torch.float64)
    drawn = model.sample(draws(7), one, sigma, parameters[:1])[0].numpy()
    if name in DISCRETE:
        counts = np.bincount(drawn.astype(int), minlength=9)[:9]
        expected = 4000 * frozen.pmf(np.arange(9))
        assert ((counts - expected) ** 2 / expected).sum() < 28  # chi², 9 cells, p = 0.001
    else:
        assert stats.kstest(drawn, frozen.cdf).pvalue > 0.001


@pytest.mark.parametrize("name", CASES)
def test_own_parameters_are_the_likeliest_and_the_loss_is_stationary_in_them(name):
    model, y, values, sigma, _, _ = case(name)
    best = model.estimate(y, values, sigma)
    assert best.shape == (B, model.degrees(sigma))
    loss = model.negative_log_likelihood(y, values, sigma)
    for column in range(best.shape[1]):
        for factor in (0.8, 0.99, 1.01, 1.25):
            other = best.clone()
            other[:, column] *= factor
            worse = -model.log_density(y, values, sigma, other).sum(1)
            border = (best[:, column] > 199) | (best[:, column] < 1e-3)
            border |= (model.name == "student_t") & (column == 0) & (best[:, column] < 2.06)
            assert bool((worse > loss - 1e-9)[~border].all()), (column, factor)


@pytest.mark.parametrize("name", CASES)
def test_working_and_descent_give_the_slope_of_the_loss(name):
    model, y, values, sigma, _, _ = case(name)
    moving = values.clone().requires_grad_(True)
    own = model.estimate(y, values, sigma)
    (slope,) = torch.autograd.grad(-model.log_density(y, moving, sigma, own).sum(), moving)
    for residual, weight in (model.working(y, values, sigma), model.descent(y, values, sigma)):
        assert bool((weight >= 0).all())
        smooth = (y - values).abs() > 1e-3 if model.name == "laplace" else torch.ones_like(values, dtype=torch.bool)
        given = -(residual * weight).expand_as(values)
        torch.testing.assert_close(given[smooth], slope[smooth], rtol=1e-8, atol=1e-8)


EXPECTED_CURVATURE = [n for n in CASES if n not in ("multiplicative", "heteroscedastic", "heteroscedastic, sigma")]


@pytest.mark.parametrize("name", EXPECTED_CURVATURE)
def test_the_weight_is_the_expected_curvature(name):
    """The variance of the score, from samples [McCullagh & Nelder 1989, §2.5]; at the true own parameters."""
    model, _, _, sigma, parameters, _ = case(name)
    one = torch.full((1, 40_000), 4.0, dtype=torch.float64)
    sigma = None if sigma is None else torch.full((40_000,), 0.4, dtype=torch.float64)
    y = model.sample(draws(9), one, sigma, parameters[:1])
    moving = one.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(model.log_density(y, moving, sigma, parameters[:1]).sum(), moving)
    weight = model.working(y[0], one, sigma)[1].mean()
    assert float(weight) == pytest.approx(float(slope.square().mean()), rel=0.06)


@pytest.mark.parametrize("name", CASES)
def test_own_measurements_of_each_candidate_equal_one_by_one(name):
    model, _, values, sigma, parameters, _ = case(name)
    y = model.sample(draws(5), values, sigma, parameters)
    wide = None if sigma is None else sigma.expand(B, N)
    together = model.negative_log_likelihood(y, values, wide)
    residual, weight = (part.expand(B, N) for part in model.descent(y, values, wide))
    for row in range(B):
        one = values[row : row + 1]
        torch.testing.assert_close(together[row : row + 1], model.negative_log_likelihood(y[row], one, sigma))
        alone = model.descent(y[row], one, sigma)
        torch.testing.assert_close(residual[row], alone[0].expand(1, N)[0], rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(weight[row], alone[1].expand(1, N)[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "model", [*NOISE_MODELS, *RELATIVE], ids=lambda m: m.name + ("" if m.absolute else " relative")
)
def test_it_passes_the_checks_that_plugin_authors_run(model):
    check_noise_model(model)


# ------------------------------------------------------------------------------------------ support
OUTSIDE = [
    (POISSON, [3.0, 0.0, 5.0], [[2.0, -0.1, 4.0], [2.0, 0.0, 4.0], [0.0, 1.0, 4.0]], [True, False, True]),
    (NEGATIVE_BINOMIAL, [3.0, 0.0, 5.0], [[2.0, -0.1, 4.0], [2.0, 0.5, 4.0]], [True, False]),
    (LOGNORMAL, [3.0, -2.0, 5.0], [[2.0, 0.1, 4.0], [2.0, -1.0, 4.0]], [True, False]),
    (BINOMIAL, [1.0, 0.0, 1.0], [[0.5, -0.1, 0.9], [0.5, 0.1, 1.1], [0.0, 0.1, 0.9], [1.0, 0.0, 0.9]], [1, 1, 1, 0]),
]


@pytest.mark.parametrize("model, y, values, lost", OUTSIDE, ids=lambda v: getattr(v, "name", ""))
def test_predictions_outside_the_support_are_impossible_and_stay_alone(model, y, values, lost):
    y, values = torch.tensor(y, dtype=torch.float64), torch.tensor(values, dtype=torch.float64)
    loss = model.negative_log_likelihood(y, values)
    assert (loss == math.inf).tolist() == [bool(one) for one in lost]
    for part in (*model.working(y, values, None), *model.descent(y, values, None)):
        assert bool(torch.isfinite(part).all())


def test_data_that_a_model_cannot_describe():
    with pytest.raises(NoiseModelError, match=r"column 'k', row 1 is 2.5 \(1 such rows\).*'poisson' describes counts"):
        POISSON.check_data(torch.tensor([1.0, 2.5]), "k")
    with pytest.raises(NoiseModelError, match=r"row 0 is 0.0 .*'lognormal' describes numbers other than 0"):
        LOGNORMAL.check_data(torch.tensor([0.0, 2.5]), "k")
    with pytest.raises(NoiseModelError, match="tells the spread itself; leave sigma out, or use noise='gaussian'"):
        POISSON.check_data(torch.tensor([1.0, 2.0]), "k", torch.ones(2))
    with pytest.raises(NoiseModelError, match=r"row 1 is 0.5 .*of 1 trials that is no whole.*sample_weight="):
        BINOMIAL.check_data(torch.tensor([1.0, 0.5]), "share")
    BINOMIAL.check_data(torch.tensor([1.0, 0.5]), "share", torch.tensor([1.0, 8**-0.5]))


def test_binomial_with_trials_is_scipys():
    n = torch.tensor([5.0, 8.0, 20.0, 1.0], dtype=torch.float64)
    values = torch.tensor([[0.2, 0.5, 0.9, 0.3]], dtype=torch.float64)
    y = torch.tensor([2.0, 4.0, 17.0, 0.0], dtype=torch.float64) / n
    sigma = n.rsqrt()
    own = values.new_empty(1, 0)
    expected = stats.binom(n.numpy(), values.numpy()[0])
    np.testing.assert_allclose(
        BINOMIAL.log_density(y, values, sigma, own)[0].numpy(), expected.logpmf([2, 4, 17, 0]), rtol=1e-8
    )
    np.testing.assert_allclose(BINOMIAL.dispersion(values, sigma, own)[0], expected.std() / n.numpy(), rtol=1e-9)
    np.testing.assert_allclose(BINOMIAL.interval(values, sigma, own, 0.8)[1][0] * n, expected.ppf(0.9), atol=1e-9)
    drawn = BINOMIAL.sample(draws(), values.expand(4000, 4), sigma)
    np.testing.assert_allclose(drawn.mean(0), values[0], atol=0.02)
    np.testing.assert_allclose((drawn * n).round(), drawn * n, atol=1e-9)


# ------------------------------------------------------------------------------------------ robustness
def test_student_t_tells_outliers_and_normal_data():
    values = torch.zeros(2, 400, dtype=torch.float64)
    y = torch.randn(2, 400, generator=draws(), dtype=torch.float64)
    y[1, ::20] += 1e6
    nu, scale = STUDENT_T.estimate(y, values, None).T
    assert float(nu[0]) > 15 and float(nu[1]) < 2.1  # at the border
    assert float(scale[0]) == pytest.approx(1, rel=0.15) and float(scale[1]) == pytest.approx(1, rel=0.3)
    _, weight = STUDENT_T.descent(y, values, None)
    assert float(weight[1, 0]) < 1e-9 * float(weight[1, 1])


def test_student_t_of_a_law_that_is_exact_but_for_outliers_is_finite_and_best():
    y = torch.linspace(1, 2, 40, dtype=torch.float64)
    exact = y.clone()
    exact[::10] += 5
    loss = STUDENT_T.negative_log_likelihood(y, torch.stack([exact, y + 1e-3, y]))
    assert bool(torch.isfinite(loss).all()) and bool(loss[0] < loss[1]) and bool(loss[2] < loss[0])


def test_absolute_errors_do_not_matter_to_relative_noise_and_the_reverse():
    """Kepler's decades: a mistake of 1 % at the largest row, or at the smallest."""
    y = torch.logspace(-1, 3, 30, dtype=torch.float64)
    y = y * (1 + 0.01 * torch.randn(30, generator=draws(), dtype=torch.float64))
    small, large = y.clone(), y.clone()
    small[0] *= 2
    large[-1] *= 1.05
    values = torch.stack([small, large])
    absolute, relative = (m.negative_log_likelihood(y, values) for m in (GAUSSIAN, MULTIPLICATIVE))
    assert absolute[0] < absolute[1] and relative[1] < relative[0]


def test_a_law_through_zero_is_no_singularity_of_relative_noise():
    y = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    values = torch.tensor([[0.0, 1.1, 1.9, 3.1], [0.1, 1.1, 1.9, 3.1]], dtype=torch.float64)
    assert bool(torch.isfinite(MULTIPLICATIVE.negative_log_likelihood(y, values)).all())
    for part in MULTIPLICATIVE.working(y, values, None):
        assert bool(torch.isfinite(part).all())


def test_relative_error_bars_count_by_their_ratios():
    y, values, sigma = case("gaussian, sigma")[1:4]
    model = RELATIVE[0]
    loss = model.negative_log_likelihood(y, values, sigma)
    torch.testing.assert_close(model.negative_log_likelihood(y, values, 7 * sigma), loss)
    scale = model.estimate(y, values, sigma)
    torch.testing.assert_close(loss[:1], GAUSSIAN.negative_log_likelihood(y, values[:1], sigma * scale[0]))


def test_minimum_is_found_at_borders_and_inside():
    target = torch.tensor([[-3.0], [0.3], [9.0]], dtype=torch.float64)
    at = minimum(lambda t: (4 * (t - target) ** 3, 12 * (t - target) ** 2), torch.zeros(3, 1).double(), -1.0, 1.0)
    torch.testing.assert_close(at, target.clamp(-1, 1), atol=1e-3, rtol=0)
