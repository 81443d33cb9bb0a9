"""Scores of predictions: R² as scikit-learn's, accuracy within a tolerance, equality up to one constant."""

import numpy as np
import pytest

from sr_accessor.evaluation.metrics import accuracy_within, equal_up_to_constant, r2

X = np.linspace(0.5, 3, 200)
Y = X**2 + np.sin(X)


def test_r2():
    y = np.array([1.0, 2.0, 3.0])
    assert r2(y, y) == 1.0
    assert r2(y, np.full(3, 2.0)) == 0.0
    assert r2(y, np.array([1.0, 2.0, 4.0])) == pytest.approx(0.5)
    assert r2(y, np.array([1.0, np.nan, 3.0])) == -np.inf
    assert r2(np.ones(3), np.ones(3)) == 1.0 and r2(np.ones(3), y) == 0.0
    with pytest.raises(ValueError, match=r"\(3,\).*\(3, 1\)"):  # broadcasting would score N x N differences
        r2(y, y[:, None])


def test_accuracy_within_tolerance_discards_the_worst_twentieth():
    y = np.full(100, 2.0)
    prediction = y * 1.005
    assert accuracy_within(y, prediction, 0.01) and not accuracy_within(y, prediction, 0.001)
    prediction[:5] = np.nan
    assert accuracy_within(y, prediction, 0.01)
    prediction[5] = 7.0
    assert not accuracy_within(y, prediction, 0.01)


@pytest.mark.parametrize(
    ("prediction", "equal"),
    [
        (Y, True),
        (Y + 5, True),
        (-3 * Y, True),
        (Y + 1e-9 * X, True),
        (Y + 1e-4 * X, False),
        (2 * Y + 1, False),
        (np.ones_like(Y), False),
        (np.full_like(Y, np.nan), False),
        (np.where(X > 1, Y, np.nan), True),
    ],
)
def test_equal_up_to_one_constant(prediction, equal):
    assert equal_up_to_constant(Y, prediction, 1e-6) is equal
