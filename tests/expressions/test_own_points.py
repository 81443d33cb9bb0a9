"""Candidates with points of their own: the same values, slopes and refined constants as one after the other."""

import pytest
import torch

from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.evaluate import evaluate, forms_of
from sr_accessor.expressions.jacobian import input_derivative, jacobian
from sr_accessor.expressions.parse import parse_model
from sr_accessor.plugins.manager import noise_model, vocabulary
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.likelihood import LawErrors, most_likely
from sr_accessor.uncertainty.laplace import covariance

LAWS = ("a*exp(-b*x)", "a*x**2 + b*z", "a", "sin(x)*z", "a*exp(-b*x)", "a*x**3 + b*z", "a/(x + 2)")


@pytest.fixture(scope="module")
def laws():
    operators = vocabulary("default")
    read = [parse_model(text, operators, ["x", "z"], {"a": 1.5 + i, "b": 0.5}) for i, text in enumerate(LAWS)]
    return concatenate([one.expressions for one in read])


@pytest.fixture(scope="module")
def x(laws):
    return torch.rand(len(laws), 12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5


def test_values_and_derivatives_are_those_of_each_alone(laws, x):
    values, valid = evaluate(laws, x)
    again, columns, _ = jacobian(laws, x)
    inputs, slopes = input_derivative(laws, x)
    assert bool(valid.all()) and torch.equal(values, again) and torch.equal(values, inputs)
    for i in range(len(laws)):
        alone, by_constants, _ = jacobian(laws[[i]], x[i])
        assert torch.allclose(values[i], alone[0], rtol=1e-14)
        assert torch.allclose(columns[i], by_constants[0], rtol=1e-14)
        assert torch.allclose(slopes[i], input_derivative(laws[[i]], x[i])[1][0], rtol=1e-14)


def test_candidates_of_one_form_are_evaluated_together(laws, x):
    rows = sorted(sorted(form.rows.tolist()) for form in forms_of(laws, x))
    assert rows == [[0, 4], [1], [2], [3], [5], [6]]  # another written exponent is another form


@pytest.mark.parametrize("noise", ["gaussian", "student_t", "laplace"])
def test_refinement_is_that_of_each_alone(laws, x, noise):
    truth = laws.with_constants(laws.constants * 1.2)
    y = evaluate(truth, x)[0]
    y = y + 0.01 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    model = noise_model(noise)
    found = most_likely(laws, x, y, model)
    for i in range(len(laws)):
        alone = most_likely(laws[[i]], x[i], y[i], model)
        assert torch.allclose(found.expressions.constants[i], alone.expressions.constants[0], rtol=1e-6, atol=1e-9)
        assert float(found.loss[i]) == pytest.approx(float(alone.loss[0]), abs=1e-6)
    told = covariance(found.expressions, x, y)
    alone = covariance(found.expressions[[1]], x[1], y[1])
    assert torch.allclose(told.stderr[1], alone.stderr[0], rtol=1e-9, equal_nan=True)


def test_weights_and_errors_of_x_belong_to_each_candidate(laws, x):
    laws, x = laws[[0, 4]], x[[0, 4]]
    y = evaluate(laws, x)[0] * 1.1
    weight = torch.rand(2, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 0.1
    found = levenberg_marquardt(laws, x, y, weight)
    alone = levenberg_marquardt(laws[[1]], x[1], y[1], weight[1])
    assert torch.allclose(found.expressions.constants[1], alone.expressions.constants[0], rtol=1e-9)
    sides, of_x = weight[:, :, None].expand(-1, -1, 2), 0.1 * x
    together = LawErrors(sides, of_x).sigma(laws, x, y)
    assert torch.allclose(together[1], LawErrors(sides[1], of_x[1]).sigma(laws[[1]], x[1], y[1])[0])
