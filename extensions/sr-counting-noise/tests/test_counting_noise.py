"""Counting noise against scipy's distributions, sr_accessor's checks, and laws that least squares would miss."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from sr_counting_noise import CensoredPoisson, PoissonBackground

import sr_accessor as sr
from sr_accessor.testing import check_noise_model


@pytest.mark.parametrize(
    "model",
    [
        PoissonBackground(),
        PoissonBackground(background=3.2),
        CensoredPoisson(),
        CensoredPoisson("small", limit=6.0),
        CensoredPoisson("large", limit=65535.0),
    ],
    ids=repr,
)
def test_registration_checks_pass(model):
    check_noise_model(model)


def test_log_density_is_scipys():
    y = torch.arange(0.0, 12, dtype=torch.float64)
    rates = torch.tensor([[0.3], [4.0], [25.0]], dtype=torch.float64).expand(3, 12)
    none = torch.zeros(3, 0, dtype=torch.float64)
    known = PoissonBackground(background=1.5)
    wanted = scipy.stats.poisson.logpmf(y.numpy(), rates.numpy() + 1.5)
    np.testing.assert_allclose(known.log_density(y, rates, None, none).numpy(), wanted, rtol=1e-12)
    counter = CensoredPoisson(limit=8.0)
    wanted = np.where(
        y.numpy() >= 8,
        scipy.stats.poisson.logsf(7, rates.numpy()),
        scipy.stats.poisson.logpmf(y.numpy(), rates.numpy()),
    )
    np.testing.assert_allclose(counter.log_density(y, rates, None, none).numpy(), wanted, rtol=1e-11)
    # where the probability of a full counter is no double any more
    faint = CensoredPoisson(limit=65535.0).log_density(y[:1] + 65535, rates[:1, :1], None, none[:1])
    assert float(faint[0, 0]) == pytest.approx(scipy.stats.poisson.logpmf(65535, 0.3), rel=1e-9)


def test_the_background_is_the_most_likely_one():
    generator = torch.Generator().manual_seed(0)
    signal = torch.linspace(0.0, 9.0, 400, dtype=torch.float64)[None]
    y = torch.poisson(signal + 2.5, generator=generator)[0]
    model = PoissonBackground()
    b = model.estimate(y, signal, None)
    around = torch.tensor([0.99, 1.0, 1.01], dtype=torch.float64)[:, None] * b
    likelihood = model.log_density(y, signal.expand(3, -1), None, around).sum(1)
    assert int(likelihood.argmax()) == 1 and float(b[0, 0]) == pytest.approx(2.5, abs=0.3)
    assert float(model.estimate(y * 0, signal, None)[0, 0]) < 1e-9  # nothing was counted


def test_information_is_the_mean_square_of_the_score():
    counter = CensoredPoisson(limit=7.0)
    for f in (0.5, 3.0, 6.5, 15.0):
        n = torch.arange(0.0, 80, dtype=torch.float64)
        y = n.clamp(max=7)
        residual, weight = counter.working(y, torch.full((1, 80), f, dtype=torch.float64), None)
        chance = torch.tensor(scipy.stats.poisson.pmf(n.numpy(), f))
        mean_square = float((chance * (residual * weight)[0].square()).sum())
        assert float(weight[0, 0]) == pytest.approx(mean_square, rel=1e-9)


def test_the_plugin_is_installed():
    row = sr.plugins.table().set_index("name").loc["counting"]
    assert (row.distribution, row.status) == ("sr-counting-noise", "loaded"), row.error
    assert {"poisson_background", "poisson_8bit", "poisson_16bit"} <= set(sr.plugins.noise_models()["name"])


def test_a_full_counter_is_no_ceiling_of_the_law():
    """The likeliest amplitude of a decay is the true one, where most of the early counts are full."""
    generator = torch.Generator().manual_seed(1)
    t = torch.linspace(0.0, 5.0, 400, dtype=torch.float64)
    counter = CensoredPoisson(limit=255.0)
    y = counter.sample(generator, 400 * torch.exp(-0.9 * t)[None])[0]
    assert int((y == 255).sum()) > 30
    amplitude = torch.linspace(200.0, 600.0, 401, dtype=torch.float64)
    laws = amplitude[:, None] * torch.exp(-0.9 * t)
    best = amplitude[counter.negative_log_likelihood(y, laws).argmin()]
    assert float(best) == pytest.approx(400, abs=15)
    naive = amplitude[(laws - y).square().sum(1).argmin()]
    assert float(naive) < 350


def test_a_law_is_found_on_a_background():
    random = np.random.default_rng(4)
    t = random.uniform(0.0, 5.0, 300)
    decay = pd.DataFrame({"t": t, "counts": random.poisson(400 * np.exp(-0.9 * t) + 6.0)})
    options = {"operators": ["add", "sub", "mul", "div", "exp"], "random_state": 0, "max_rounds": 3, "timeout": 30.0}
    result = sr.fit(decay, "counts", noise="poisson_background", guesses=["A*exp(k*t)"], **options)
    early, late = result.best.predict(pd.DataFrame({"t": [0.1, 2.0]}))
    assert early == pytest.approx(400 * np.exp(-0.09), rel=0.05)
    assert late == pytest.approx(400 * np.exp(-1.8), rel=0.1)
    assert result.best.noise_parameters["b"] == pytest.approx(6.0, abs=1.5)
