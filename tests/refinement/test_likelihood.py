"""The greatest likelihood under any noise model: against scipy, itself one by one, ties, bounds, errors of x."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse, parse_model
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.binomial import BINOMIAL
from sr_accessor.noise.gaussian import GAUSSIAN, Gaussian
from sr_accessor.noise.laplace import LAPLACE
from sr_accessor.noise.poisson import POISSON
from sr_accessor.noise.student_t import STUDENT_T
from sr_accessor.plugins.builtin import NOISE_MODELS
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.likelihood import LawErrors, Parameters, most_likely
from sr_accessor.refinement.pieces import curvature
from sr_accessor.refinement.solution import Reason

VOCABULARY = Vocabulary(ELEMENTARY)
OWN = {
    "gaussian": [1.0], "heteroscedastic": [0.5, 0.05], "multiplicative": [0.1], "lognormal": [0.1],
    "student_t": [3.0, 0.5], "laplace": [0.7], "poisson": [], "negative_binomial": [0.05],
}  # fmt: skip
MODELS = [model for model in NOISE_MODELS if model.name in OWN]


def law(text: str):
    return parse(text, VOCABULARY, ["x"]).freed()


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def decay(model, rows: int = 80, seed: int = 0):
    """40·exp(−0.8x) + 3 as `model` measures it."""
    x = torch.linspace(0, 6, rows, dtype=torch.float64)[:, None]
    truth = law("40.0*exp(-0.8*x) + 3.0")
    own = torch.tensor([OWN[model.name]], dtype=torch.float64)
    return truth, x, model.sample(draws(seed), evaluate(truth, x)[0], None, own)[0]


def with_numbers(e, *numbers):
    return e.with_constants(torch.tensor([numbers], dtype=torch.float64))


# ------------------------------------------------------------------------------------------ optima
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_no_optimizer_of_scipy_finds_a_likelier_law(model):
    truth, x, y = decay(model)
    found = most_likely(with_numbers(truth, 30.0, -1.0, 5.0), x, y, model, steps=100)

    def loss(numbers):
        return float(model.negative_log_likelihood(y, evaluate(with_numbers(truth, *numbers), x)[0], None)[0])

    best = minimize(loss, found.expressions.constants[0].numpy(), method="Nelder-Mead", options={"maxfev": 60})
    slack = 2e-3 if model is LAPLACE else 1e-7  # a corner is reached in small steps only
    assert float(found.loss[0]) <= best.fun + slack
    assert float(found.loss[0]) == pytest.approx(loss(found.expressions.constants[0].tolist()), rel=1e-10)


def test_gaussian_noise_goes_the_fast_way():
    truth, x, y = decay(GAUSSIAN)
    start = with_numbers(truth, 30.0, -1.0, 5.0)
    sigma = torch.linspace(0.5, 2, len(y), dtype=torch.float64)
    for given in (None, sigma):
        plain = levenberg_marquardt(start, x, y, None if given is None else given**-2, steps=20)
        found = most_likely(start, x, y, GAUSSIAN, given, steps=20)
        assert torch.equal(found.expressions.constants, plain.expressions.constants)
        values = evaluate(found.expressions, x)[0]
        torch.testing.assert_close(found.loss, GAUSSIAN.negative_log_likelihood(y, values, given))


def test_a_linear_law_of_counts_is_a_regression_of_iterated_weights():
    """Poisson with identity link: the score equation Σ J(y − f)/f = 0."""
    x = torch.linspace(1, 9, 50, dtype=torch.float64)[:, None]
    y = torch.poisson(2 + 3 * x[:, 0], generator=draws())
    found = most_likely(law("1.0 + 1.0*x"), x, y, POISSON)
    values = evaluate(found.expressions, x)[0][0]
    score = torch.stack([torch.ones_like(y), x[:, 0]]) @ ((y - values) / values)
    assert float(score.abs().max()) < 1e-5


def test_outliers_do_not_move_student_t_and_move_least_squares():
    truth, x, y = decay(STUDENT_T)
    spoilt = y.clone()
    spoilt[::16] += 1e4
    start = with_numbers(truth, 30.0, -1.0, 5.0)
    robust = most_likely(start, x, spoilt, STUDENT_T, steps=60).expressions.constants[0]
    plain = most_likely(start, x, spoilt, GAUSSIAN, steps=60).expressions.constants[0]
    torch.testing.assert_close(robust, truth.constants[0], rtol=0.1, atol=0.0)
    assert float((plain / truth.constants[0] - 1).abs().max()) > 1


def test_starts_whose_likelihood_is_zero_are_brought_back():
    truth, x, y = decay(POISSON)
    found = most_likely(with_numbers(truth, -5.0, -0.8, -7.0), x, y, POISSON, steps=60)
    assert found.reason[0] == Reason.CONVERGED
    best = most_likely(truth, x, y, POISSON, steps=60)
    torch.testing.assert_close(found.loss, best.loss, rtol=1e-8, atol=0.0)


def test_a_law_that_cannot_be_is_flagged_and_harms_nobody():
    truth, x, y = decay(POISSON)
    never = law("-1.0*square(2.0*x)")  # not positive whatever its numbers… but one
    undefined = parse("log(-1.0*square(x))", VOCABULARY, ["x"]).freed()
    batch = concatenate([truth, undefined, never])
    found = most_likely(batch, x, y, POISSON, steps=30)
    assert found.loss[1] == torch.inf and found.reason[1] == Reason.INVALID_START
    assert float(found.loss[0]) == pytest.approx(float(most_likely(truth, x, y, POISSON, steps=30).loss[0]), rel=1e-9)


def test_probabilities_follow_their_trials():
    x = torch.linspace(-2, 2, 40, dtype=torch.float64)[:, None]
    truth = parse_model("1/(1 + exp(-(a + b*x)))", VOCABULARY, ["x"], {"a": 0.5, "b": 1.5}).expressions
    trials = torch.full((40,), 400.0, dtype=torch.float64)
    y = BINOMIAL.sample(draws(), evaluate(truth, x)[0], trials.rsqrt())[0]
    start = truth.with_constants(torch.where(truth.free, 1.0, truth.constants))
    found = most_likely(start, x, y, BINOMIAL, trials.rsqrt(), steps=60)
    got = found.expressions.constants[0, found.expressions.free[0]]
    np.testing.assert_allclose(got.numpy(), [0.5, 1.5], atol=0.08)


# ------------------------------------------------------------------------------------------ batches
@pytest.mark.parametrize("model", [POISSON, STUDENT_T], ids=lambda m: m.name)
def test_a_batch_equals_one_by_one(model, monkeypatch):
    truth, x, y = decay(model)
    batch = concatenate([truth, law("20.0 - 3.0*x"), law("50.0/(1.0 + x)"), law("4.0"), truth * law("1.1")])
    together = most_likely(batch, x, y, model, steps=40)
    monkeypatch.setattr("sr_accessor.refinement.likelihood.PIECE_BYTES", 1)  # pieces of 16 candidates
    pieces = most_likely(concatenate([batch] * 4), x, y, model, steps=40)
    torch.testing.assert_close(pieces.loss[-5:], together.loss, rtol=1e-9, atol=0.0)
    for row in range(len(batch)):
        alone = most_likely(batch[row], x, y, model, steps=40)
        assert float(alone.loss[0]) == pytest.approx(float(together.loss[row]), rel=1e-8)


def test_own_targets_of_each_candidate():
    truth, x, _ = decay(POISSON)
    y = torch.stack([decay(POISSON, seed=seed)[2] for seed in range(4)])
    together = most_likely(truth[[0] * 4], x, y, POISSON, steps=40)
    for row in range(4):
        alone = most_likely(truth, x, y[row], POISSON, steps=40)
        torch.testing.assert_close(together.loss[row : row + 1], alone.loss, rtol=1e-9, atol=0.0)


# ------------------------------------------------------------------------------------------ parameters
def parameters(called, names, *, lower=None, upper=None, held=()):
    index = torch.tensor([names.index(one) for one in called])
    low, high = (
        torch.tensor([(given or {}).get(name, side) for name in names], dtype=torch.float64)
        for given, side in ((lower, -torch.inf), (upper, torch.inf))
    )
    free = torch.tensor([[name not in held for name in names]])
    return Parameters(index, low, high, free, tuple(names))


def test_two_places_of_one_parameter_are_one():
    x = torch.linspace(0, 3, 40, dtype=torch.float64)[:, None]
    y = 2 * torch.exp(-0.7 * x[:, 0]) + 0.7 * x[:, 0] + 0.01 * torch.randn(40, generator=draws(), dtype=torch.float64)
    read = parse_model("a*exp(-k*x) + k*x", VOCABULARY, ["x"], {"a": 1.0, "k": 1.0})
    found = most_likely(read.expressions, x, y, GAUSSIAN, parameters=parameters(read.parameters, ["a", "k"]), steps=50)
    a, one, two = found.expressions.constants[0].tolist()
    assert one == two == pytest.approx(0.7, abs=0.01) and a == pytest.approx(2, abs=0.02)

    def loss(numbers):
        return float(((y - numbers[0] * torch.exp(-numbers[1] * x[:, 0]) - numbers[1] * x[:, 0]) ** 2).sum())

    best = minimize(loss, [a, one], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14})
    assert loss([a, one]) <= best.fun * (1 + 1e-9)


def test_bounds_hold_and_the_others_are_the_best_within_them():
    truth, x, y = decay(GAUSSIAN)
    own = parameters(["a", "b", "c"], ["a", "b", "c"], upper={"c": 1.0}, lower={"a": 0.0})
    found = most_likely(with_numbers(truth, 30.0, -1.0, 0.5), x, y, GAUSSIAN, parameters=own, steps=100)
    assert float(found.expressions.constants[0, 2]) == 1.0
    fixed = with_numbers(truth, 30.0, -1.0, 1.0).with_literals(torch.tensor([[False, False, True]]))
    best = most_likely(fixed, x, y, GAUSSIAN, steps=100)
    torch.testing.assert_close(found.loss, best.loss, rtol=1e-8, atol=0.0)


def test_held_parameters_keep_their_value():
    truth, x, y = decay(POISSON)
    own = parameters(["a", "b", "c"], ["a", "b", "c"], held=("b",))
    found = most_likely(with_numbers(truth, 30.0, -0.6, 5.0), x, y, POISSON, parameters=own, steps=100)
    assert float(found.expressions.constants[0, 1]) == -0.6


# ------------------------------------------------------------------------------------------ errors that follow the law
def test_errors_of_x_act_by_the_slope():
    """A straight line has a closed form: effective variance σ² + (bσ_x)² [Orear 1982]."""
    x = torch.linspace(0, 10, 60, dtype=torch.float64)[:, None]
    sigma_x = torch.linspace(0.05, 1.0, 60, dtype=torch.float64)[:, None]
    sigma = torch.full((60,), 0.1, dtype=torch.float64)
    y = 1 + 2 * (x + sigma_x * torch.randn(60, 1, generator=draws(), dtype=torch.float64))[:, 0]
    errors = LawErrors(torch.stack([sigma, sigma], 1), sigma_x)
    found = most_likely(law("1.0 + 1.0*x"), x, y, GAUSSIAN, sigma, errors=errors)
    a, b = found.expressions.constants[0].tolist()
    for _ in range(20):  # the definition, iterated
        w = (sigma.square() + (b * sigma_x[:, 0]).square()).rsqrt().numpy()
        slope, offset = np.polyfit(x[:, 0].numpy(), y.numpy(), 1, w=w)
        b_definition = slope
        b, difference = b_definition, abs(b - b_definition)
        if difference < 1e-12:
            break
    assert found.expressions.constants[0].tolist() == pytest.approx([offset, slope], rel=1e-3)
    expected = (sigma.square() + (b * sigma_x[:, 0]).square()).sqrt()
    torch.testing.assert_close(errors.sigma(found.expressions, x, y)[0], expected, rtol=1e-3, atol=0.0)
    assert a == pytest.approx(1, abs=0.3)


def test_two_sided_errors_take_the_side_of_the_law():
    """Measurements 0 with σ− = 1 and 10 with σ+ = 4: the law in between is as many σ away from both."""
    x = torch.zeros(2, 1, dtype=torch.float64)
    y = torch.tensor([0.0, 10.0], dtype=torch.float64)
    sides = torch.tensor([[9.0, 1.0], [4.0, 9.0]], dtype=torch.float64)
    errors = LawErrors(sides, None)
    found = most_likely(law("5.0"), x, y, GAUSSIAN, sides.mean(1), errors=errors)
    w = torch.tensor([1.0, 1 / 16], dtype=torch.float64)
    assert float(found.expressions.constants[0, 0]) == pytest.approx(float((w * y).sum() / w.sum()))
    assert errors[torch.tensor([1])].sides.tolist() == [[4.0, 9.0]]


def test_the_likelihood_of_two_sides_has_no_step_where_a_law_crosses_a_measurement():
    x, y = torch.zeros(1, 1, dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)
    at = torch.tensor([1.0, 3 - 1e-9, 3 + 1e-9, 3.5], dtype=torch.float64)
    laws = law("1.0")[[0] * 4].with_constants(at[:, None])
    loss = LawErrors(torch.tensor([[1.0, 4.0]], dtype=torch.float64), None).loss(laws, x, y, GAUSSIAN)
    height = math.log(2.5) + math.log(2 * math.pi) / 2  # of a curve whose widths are 1 and 4
    assert loss.tolist() == pytest.approx([height + 2, height, height, height + 0.5**2 / 32], abs=1e-12)
    pieces = curvature(laws, x, y, None, GAUSSIAN, LawErrors(torch.tensor([[1.0, 4.0]], dtype=torch.float64), None))
    torch.testing.assert_close(pieces.loss, loss)


def test_relative_gaussian_is_the_fast_way_too():
    truth, x, y = decay(GAUSSIAN)
    sigma = torch.linspace(1, 3, len(y), dtype=torch.float64)
    start = with_numbers(truth, 30.0, -1.0, 5.0)
    one = most_likely(start, x, y, Gaussian(absolute=False), sigma)
    two = most_likely(start, x, y, Gaussian(absolute=False), 5 * sigma)
    torch.testing.assert_close(one.expressions.constants, two.expressions.constants, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(one.loss, two.loss)
