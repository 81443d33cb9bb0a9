"""Errors of constants: NIST's certified standard deviations, scipy.optimize.curve_fit, and what cannot be known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import curve_fit

from sr_accessor.expressions.batch import Expressions, concatenate, constant, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.uncertainty import laplace
from sr_accessor.uncertainty.laplace import covariance

CERTIFIED = Path(__file__).parents[1] / "certified" / "data"
VOCABULARY = Vocabulary(ELEMENTARY)
X = variable([0], VOCABULARY)


def c(value: float) -> Expressions:
    return constant([value], VOCABULARY)


def exp(e: Expressions) -> Expressions:
    return e.apply("exp")


# model with certified constants, certified standard deviations [NIST StRD, nonlinear regression]
NIST = {
    "Chwirut2": (
        exp(-(c(0.16657666537) * X)) / (c(0.0051653291286) + c(0.012150007096) * X),
        [0.03830328681, 0.00066621605126, 0.0015304234767],
    ),
    "MGH10": (
        c(0.005609636471) * exp(c(6181.3463463) / (X + c(345.22363462))),
        [0.00015687892471, 23.309021107, 0.78486103508],
    ),
    "Rat42": (
        c(72.462237576) / (c(1.0).with_literals(torch.tensor([[True]])) + exp(c(2.6180768402) - c(0.067359200066) * X)),
        [1.7340283401, 0.088295217536, 0.0034465663377],
    ),
    "Lanczos3": (
        c(0.086816414977) * exp(-(c(0.95498101505) * X))
        + c(0.84400777463) * exp(-(c(2.9515951832) * X))
        + c(1.5825685901) * exp(-(c(4.9863565084) * X)),
        [0.017197908859, 0.097041624475, 0.041488663282, 0.10766312506, 0.058371576281, 0.034436403035],
    ),
}


@pytest.mark.parametrize("name", NIST)
def test_nist_standard_deviations(name):
    law, certified = NIST[name]
    data = pd.read_csv(CERTIFIED / f"nist_{name}.csv")
    x, y = torch.tensor(data[["x"]].values), torch.tensor(data["y"].values)
    found = covariance(law, x, y)
    stderr = found.stderr[0, law.free[0]]
    # Constants are certified to 11 digits; Lanczos3's residuals (1e-8) are what is left of them.
    torch.testing.assert_close(stderr, torch.tensor(certified, dtype=torch.float64), rtol=1e-5, atol=0.0)
    assert int(found.degrees[0]) == len(y) - len(certified)


def decay(points: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    t = np.linspace(0, 4, points)
    sigma = rng.uniform(0.02, 0.2, points)
    return t, 2 * np.exp(-0.7 * t) + 0.5 + sigma * rng.normal(size=points), sigma


@pytest.mark.parametrize("with_sigma, absolute", [(False, None), (True, None), (True, False)])
def test_agrees_with_scipy(with_sigma, absolute):
    t, y, sigma = decay()
    given = sigma if with_sigma else None
    values, expected = curve_fit(
        lambda t, a, b, d: a * np.exp(-(b * t)) + d, t, y, p0=(1.0, 1.0, 0.0), sigma=given, ftol=1e-15, xtol=1e-15,
        absolute_sigma=with_sigma if absolute is None else absolute,
        jac=lambda t, a, b, d: np.stack([np.exp(-(b * t)), -a * t * np.exp(-(b * t)), np.ones_like(t)], 1),
    )  # fmt: skip
    law = c(values[0]) * exp(-(c(values[1]) * X)) + c(values[2])
    sigmas = None if given is None else torch.tensor(given)
    found = covariance(law, torch.tensor(t)[:, None], torch.tensor(y), sigmas, absolute_sigma=absolute)
    torch.testing.assert_close(found.covariance[0], torch.tensor(expected), rtol=1e-5, atol=0.0)


def test_doubled_sigma_doubles_only_absolute_errors():
    t, y, sigma = decay()
    law = c(2.0) * exp(-(c(0.7) * X)) + c(0.5)
    x, y, sigma = torch.tensor(t)[:, None], torch.tensor(y), torch.tensor(sigma)
    for absolute, factor in ((True, 2.0), (False, 1.0)):
        once = covariance(law, x, y, sigma, absolute_sigma=absolute).stderr
        twice = covariance(law, x, y, 2 * sigma, absolute_sigma=absolute).stderr
        torch.testing.assert_close(twice, factor * once)


def test_batch_equals_rows_one_by_one_and_pieces_equal_the_whole(monkeypatch):
    t, y, _ = decay()
    x, y = torch.tensor(t)[:, None], torch.tensor(y)
    batch = concatenate([c(1.0), c(2.0) * X + c(0.5), c(2.0) * exp(-(c(0.7) * X)) + c(0.5), X])
    whole = covariance(batch, x, y)
    monkeypatch.setattr(laplace, "POINTS", 7)
    pieces = covariance(batch, x, y)
    torch.testing.assert_close(pieces.stderr, whole.stderr, equal_nan=True, rtol=1e-9, atol=0.0)
    for row in range(len(batch)):
        alone = covariance(batch[row], x, y)
        torch.testing.assert_close(alone.stderr[0], whole.stderr[row], equal_nan=True, rtol=1e-9, atol=0.0)
    assert whole.stderr[3].isnan().all()  # no free constant there


def test_constants_that_cannot_be_told_apart_are_nan_and_the_others_are_not():
    t, y, _ = decay()
    x, y = torch.tensor(t)[:, None], torch.tensor(y)
    found = covariance(c(2.0) * c(-0.3) * X + c(2.0), x, y)
    plain = covariance(c(-0.6) * X + c(2.0), x, y)
    assert found.identifiable.tolist() == [[False, False, True]]
    assert found.stderr[0, :2].isnan().all() and found.covariance[0, 0].isnan().all()
    torch.testing.assert_close(found.stderr[0, 2], plain.stderr[0, 1])
    # c0·c1 is known though neither factor is: the band of the values is that of the plain line.
    slope = x[:, 0] * torch.tensor([[-0.3], [2.0], [0.0]]) + torch.tensor([[0.0], [0.0], [1.0]])
    line = torch.stack([x[:, 0], torch.ones_like(y)])
    torch.testing.assert_close(found.value_variance(slope[None]), plain.value_variance(line[None]))
    assert found.value_variance(torch.eye(3, dtype=torch.float64)[None])[0, :2].isnan().all()


def test_a_constant_without_effect_and_constants_of_any_size():
    x = torch.linspace(1, 2, 30, dtype=torch.float64)[:, None]
    y = 3e-9 * x[:, 0] + 5e8 + torch.sin(50 * x[:, 0])
    law = c(3e-9) * X + c(5e8) + (c(4.0) * X).apply("abs").apply("neg").apply("exp") * c(0.0)
    found = covariance(law, x, y)
    assert found.identifiable.tolist() == [[True, True, False, True]]


@pytest.mark.parametrize("rows", [1, 2])
def test_no_residual_degrees_no_errors(rows):
    x = torch.arange(1.0, rows + 1, dtype=torch.float64)[:, None]
    found = covariance(c(2.0) * X + c(1.0), x, 2 * x[:, 0] + 1)
    assert found.stderr.isnan().all() and found.variance.isnan().all()


def test_exact_law_has_tiny_errors_but_not_zero():
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    stderr = covariance(c(2.0) * X + c(1.0), x, 2 * x[:, 0] + 1).stderr
    assert ((stderr > 0) & (stderr < 1e-14)).all()


def test_law_that_is_not_finite_on_a_row_has_no_errors():
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    found = covariance(c(2.0) * X.apply("inv") + c(1.0), x, x[:, 0])
    assert found.stderr.isnan().all() and found.variance.isnan().all()
