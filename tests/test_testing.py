"""check_operator passes every built-in and tells each way an operator can be wrong; the same for noise models."""

import time
from dataclasses import dataclass

import pytest
import sympy
import torch

from sr_accessor.errors import NoiseModelError, OperatorError, PluginError
from sr_accessor.exports.exporter import Exporter
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator
from sr_accessor.noise.gaussian import Gaussian
from sr_accessor.plugins.builtin import NOISE_MODELS
from sr_accessor.testing import (
    _check_device,
    _check_noise_device,
    check_exporter,
    check_noise_model,
    check_operator,
)


@pytest.mark.parametrize("operator", ELEMENTARY, ids=lambda o: o.name)
def test_builtins_pass(operator):
    check_operator(operator)


def test_one_operator_takes_milliseconds():
    started = time.perf_counter()
    for operator in ELEMENTARY:
        check_operator(operator)
    assert (time.perf_counter() - started) / len(ELEMENTARY) < 0.05


def test_strangers_with_and_without_derivative_pass():
    check_operator(Operator("erf", 1, torch.erf, "sympy:erf"))
    check_operator(Operator("relu", 1, torch.relu, lambda x: sympy.Max(x, 0)))
    bessel = Operator(
        *("j0", 1, torch.special.bessel_j0, lambda x: sympy.besselj(0, x)),
        derivative=(lambda v, a: -torch.special.bessel_j1(a),),
    )
    check_operator(bessel)


def raises(x):
    if (x < 0).any():
        raise ValueError("negative")
    return torch.sqrt(x)


def writes(x):
    return x.mul_(2)


def random(x):
    return x + torch.rand_like(x)


class Opaque(sympy.Function):
    pass


POSITIVE = {"domain": lambda x: x > 0}
WRONG = {
    "raises": (raises, sympy.sqrt, {}, "no exception.*ValueError: negative"),
    "single precision": (lambda x: x.float(), lambda x: x, {}, "dtype.*float32"),
    "a sum": (lambda x: x.sum(), lambda x: x, {}, "'shape'"),
    "not a tensor": (lambda x: 1.0, lambda x: x, {}, "'shape'.*must return a tensor, not float"),
    "writes": (writes, lambda x: 2 * x, {}, "unchanged input"),
    "random": (random, lambda x: x, {}, "determinism"),
    "hides NaN": (lambda x: torch.nan_to_num(x), lambda x: x, {}, "NaN in, NaN out"),
    "no domain": (torch.log, sympy.log, {}, "'domain'.*inside the declared domain, the value is nan"),
    "pole": (torch.reciprocal, lambda x: 1 / x, {}, r"'domain': \(0\) is inside .* value is inf"),
    "small domain": (torch.sin, sympy.sin, POSITIVE, "outside the declared domain, the value is -?0."),
    "wide domain": (lambda x: torch.sqrt(x - 1), lambda x: sympy.sqrt(x - 1), POSITIVE, "inside the declared domain"),
    "empty domain": (lambda x: x * torch.nan, lambda x: x, {"domain": lambda x: x > 1e9}, "none of the probe points"),
    "domain's type": (torch.log, sympy.log, {"domain": lambda x: 1.0 * (x > 0)}, "must return a bool tensor"),
    "derivative": (
        torch.sin,
        sympy.sin,
        {"derivative": (lambda v, a: -torch.cos(a),)},
        r"derivative\[0\]'.*differences",
    ),
    "derivative's shape": (torch.sin, sympy.sin, {"derivative": (lambda v, a: 1,)}, "or a float"),
    "no autograd": (torch.special.bessel_j0, lambda x: sympy.besselj(0, x), {}, r"derivative\[0\]'.*raised"),
    "another sympy": (torch.sin, sympy.cos, {}, "'torch = sympy'.*torch gives .* sympy"),
    "complex sympy": (
        *(lambda x: torch.sign(x) * x.abs().pow(1 / 3), lambda x: sympy.Pow(x, sympy.Rational(1, 3))),
        *({}, "'torch = sympy'.*at \\(-25.3\\)"),
    ),
    "opaque sympy": (torch.sin, Opaque, {}, "give its class `_eval_evalf`"),
    "no sympy": (torch.sin, "sympy:nosuch", {}, "'sympy'.*AttributeError"),
    "latex": (torch.sin, sympy.sin, {"latex": r"\sin {x}"}, "'latex'.*KeyError"),
    "latex without argument": (torch.sin, sympy.sin, {"latex": r"\sin"}, "leaves out argument {0}"),
}


@pytest.mark.parametrize("case", WRONG)
def test_faults_are_told(case):
    function, form, more, message = WRONG[case]
    with pytest.raises(OperatorError, match=message) as caught:
        check_operator(Operator("f", 1, function, form, **more))
    assert "operator 'f' fails the check" in str(caught.value)


def test_a_false_claim_of_commutativity_is_told():
    with pytest.raises(OperatorError, match="commutative"):
        check_operator(Operator("minus", 2, torch.sub, lambda a, b: a - b, commutative=True))


@pytest.mark.parametrize(
    ("function", "form", "linear"),
    [
        (torch.mul, lambda a, b: a * b, "joint"),
        (lambda a, b: a * b + 1, lambda a, b: a * b + 1, "each"),
        (lambda a, b: a * a * b, lambda a, b: a * a * b, "first"),
    ],
)
def test_a_false_claim_of_linearity_is_told(function, form, linear):
    with pytest.raises(OperatorError, match=rf"'linear'.*declared '{linear}'.*u = \(.*2 f\(u\)"):
        check_operator(Operator("f", 2, function, form, linear=linear))


@pytest.mark.parametrize("value", [lambda: 1, lambda: float("nan"), lambda: torch.tensor(1.0)])
def test_a_named_constant_is_a_finite_float(value):
    with pytest.raises(OperatorError, match="'value'"):
        check_operator(Operator("k", 0, value, lambda: sympy.Integer(1)))
    with pytest.raises(OperatorError, match="torch = sympy"):
        check_operator(Operator("k", 0, lambda: 3.14, lambda: sympy.pi))


# ---------------------------------------------------------------------- noise models
@dataclass(frozen=True)
class Poisson(Gaussian):
    """A model without own parameters and without sigma, to see that the interface carries it."""

    name: str = "poisson"
    support: str = "count"
    uses_sigma: bool = False

    def own_names(self, sigma):
        return ()

    def estimate(self, y, values, sigma):
        return values.new_empty(len(values), 0)

    def log_density(self, y, values, sigma, parameters):
        return y * values.log() - values - torch.lgamma(y + 1)

    def negative_log_likelihood(self, y, values, sigma=None):
        return super(Gaussian, self).negative_log_likelihood(y, values, sigma)

    def working(self, y, values, sigma):
        valid = torch.isfinite(values) & (values > 0)
        return torch.where(valid, y - values, 0.0), torch.where(valid, 1 / values, 0.0)

    def dispersion(self, values, sigma, parameters):
        return values.sqrt()

    def sample(self, generator, values, sigma=None, parameters=None):
        return torch.poisson(values, generator=generator)


def test_a_counting_model_fits_the_interface():
    check_noise_model(Poisson())
    with pytest.raises(NoiseModelError, match="'n' has error bars, but noise model 'poisson'"):
        Poisson().check_data(torch.ones(3, dtype=torch.float64), "n", torch.ones(3, dtype=torch.float64))
    with pytest.raises(NoiseModelError, match=r"'n', row 1 is 2.5 .*counts 0, 1, 2"):
        Poisson().check_data(torch.tensor([1.0, 2.5], dtype=torch.float64), "n")


class WrongSlope(Poisson):
    def working(self, y, values, sigma):
        residual, weight = super().working(y, values, sigma)
        return residual, weight**2


class WrongSum(Gaussian):
    def negative_log_likelihood(self, y, values, sigma=None):
        return super().negative_log_likelihood(y, values, sigma) + 1


class ForgetsInvalid(Gaussian):
    def negative_log_likelihood(self, y, values, sigma=None):
        return super().negative_log_likelihood(y, values.nan_to_num(0, 0, 0), sigma)


class OwnRandom(Gaussian):
    def sample(self, generator, values, sigma=None, parameters=None):
        return values + torch.randn_like(values)


class NamesNoOwn(Gaussian):
    def own_names(self, sigma):
        return ()


class NoCounts(Poisson):
    def sample(self, generator, values, sigma=None, parameters=None):
        return torch.poisson(values, generator=generator) + 0.5


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (WrongSlope, "working = slope of the loss.*without sigma"),
        (WrongSum, "loss = Σ log density"),
        (ForgetsInvalid, "invalid predictions"),
        (OwnRandom, "the same seed gives different draws"),
        (NamesNoOwn, r"must give finite numbers \(3, 0\), one column for each of own_names \(\)"),
        (NoCounts, "row 0 is .*counts"),
    ],
)
def test_faulty_noise_models_are_told(model, message):
    with pytest.raises(NoiseModelError, match=message):
        check_noise_model(model())


def test_another_device_must_give_the_same_numbers_and_keep_them():
    point = (torch.linspace(0.1, 2, 9, dtype=torch.float64),)
    good = Operator("f", 1, torch.exp, sympy.exp)
    _check_device(good, point, torch.exp(point[0]), "cpu")
    with pytest.raises(
        OperatorError, match=r"fails the check 'cpu': at \(0.1\) it gives 1.10517091808, on the CPU 1.1"
    ):
        _check_device(good, point, torch.exp(point[0]) + 1e-6, "cpu")
    stays = Operator("f", 1, lambda x: torch.exp(x).to("meta"), sympy.exp)
    with pytest.raises(OperatorError, match="arguments on cpu must give values there, not on meta"):
        _check_device(stays, point, torch.exp(point[0]), "cpu")


def test_another_device_must_give_the_same_likelihood_and_keep_it():
    y, values = torch.arange(1.0, 5, dtype=torch.float64), torch.full((2, 4), 2.5, dtype=torch.float64)
    expected = Poisson().assess(y, values, None)
    _check_noise_device(Poisson(), y, values, None, expected, "cpu")
    loss, *others = expected
    with pytest.raises(NoiseModelError, match=r"fails the check 'cpu': its loss of values there differs by up to 0\.5"):
        _check_noise_device(Poisson(), y, values, None, (loss + 0.5, *others), "cpu")

    class Stays(Poisson):
        def working(self, y, values, sigma):
            return tuple(part.to("meta") for part in super().working(y, values, sigma))

    with pytest.raises(NoiseModelError, match="its residual of values there must be there, not on meta"):
        _check_noise_device(Stays(), y, values, None, expected, "cpu")


@pytest.mark.cuda
@pytest.mark.parametrize("model", NOISE_MODELS, ids=lambda m: m.name)
def test_built_in_noise_models_give_the_same_numbers_on_a_gpu(model):
    check_noise_model(model)  # compares with CUDA where there is one


@pytest.mark.cuda
@pytest.mark.parametrize("operator", ELEMENTARY, ids=lambda o: o.name)
def test_builtins_give_the_same_numbers_on_a_gpu(operator):
    check_operator(operator)  # compares with CUDA where there is one
    if operator.arity:
        points = tuple(torch.linspace(0.1, 0.9, 9, dtype=torch.float64) for _ in range(operator.arity))
        _check_device(operator, points, operator.torch(*points), "cuda")


def test_exporters_are_tried():
    check_exporter(Exporter("plain", lambda formula: "x", suffix=".txt"))
    check_exporter(Exporter("thing", lambda formula: formula.used))
    with pytest.raises(PluginError, match=r"exporter 'plain' must return text for '.txt', not None"):
        check_exporter(Exporter("plain", lambda formula: None, suffix=".txt"))
    with pytest.raises(PluginError, match="exporter 'plain' raised ZeroDivisionError"):
        check_exporter(Exporter("plain", lambda formula: 1 / 0))
