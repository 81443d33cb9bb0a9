"""Kernels: planted rows with two inner constants come first, and are written as what they evaluate to."""

import pytest
import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.search.features import features
from sr_accessor.search.kernels import build_kernels, sharp_kernels, written
from sr_accessor.search.library import build_library
from sr_accessor.search.power_screens import log_law, regress
from sr_accessor.search.screens import screen_one
from sr_accessor.search.targets import Rows, Target
from sr_accessor.search.views import VIEWS

VOCABULARY = Vocabulary(ELEMENTARY)
GENERATOR = torch.Generator().manual_seed(5)
X = torch.rand(200, 2, dtype=torch.float64, generator=GENERATOR) * 9 + 0.5
NOISE = torch.randn(200, dtype=torch.float64, generator=GENERATOR)


@pytest.fixture(scope="module")
def kernels():
    return build_kernels(build_library(X, VOCABULARY, count=100), features(VOCABULARY), VOCABULARY)


def target(y: torch.Tensor, *, relative: bool = False) -> Target:
    return Target.of(VIEWS[0], y, y.abs() if relative else torch.ones_like(y), relative=relative)


def left_over(found: Expressions, y: torch.Tensor) -> float:
    """Least share of the variance of y that the laws leave after refinement."""
    loss = levenberg_marquardt(found, X, y, None, steps=30).loss
    return float(loss[loss.isfinite()].min() / (y - y.mean()).square().sum())


def test_rows_are_what_their_expressions_say(kernels):
    some = kernels[torch.arange(0, len(kernels), 97)]
    rows = written(some)
    values, valid = evaluate(rows.expressions, X)
    assert valid.all()
    torch.testing.assert_close(values, rows.values, rtol=1e-9, atol=1e-9)
    unit = rows.values / rows.values.abs().amax(1, keepdim=True)
    torch.testing.assert_close(some.values, unit.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "formula",
    [
        "3.2*exp(-0.8*(a - 4.7)**2) + 0.5",
        "1.7/(1 + 2.1*(b - 3.3)**2)",
        "0.4 + 2*sin(4.13*a + 0.7)",
        "5/(1 + exp(-1.9*(a - 5.2))) - 2",
        "2*exp(-(0.31*b)**1.7)",
        "log(1 + exp(1.3*a - 6))",
        "2*exp(3/(b + 1.2))",
        "(a + 0.7)**1.63 + 2",
        "exp(1.5*cos(0.9*a))",
    ],
)
def test_planted_kernels_are_found_under_noise(kernels, formula):
    clean = evaluate(parse(formula, VOCABULARY, ["a", "b"]), X)[0][0]
    y = clean + 0.01 * clean.std() * NOISE
    one = Rows(parse("1", VOCABULARY, ["a", "b"]), torch.ones_like(X[:, 0])[None])
    best = kernels.best(kernels.shares(target(y), one.values), 6, 60)
    assert left_over(screen_one(target(y), one, written(kernels[best]), keep=60), y) < 1.3e-4


def test_a_kernel_times_a_power_law(kernels):
    y = X[:, 1] ** 2 * (1 + 0.4 * torch.exp(-0.9 * (X[:, 0] - 3))) ** -2.5
    fit = regress([target(y, relative=True)], X.index_fill(1, torch.tensor([0]), 1.0))
    logs = kernels.logarithms.of(0)
    base = torch.cat([torch.ones_like(fit.logs[:1]), fit.logs])
    rows = written(logs[logs.best(logs.shares(target(y, relative=True).logarithm, base), 6, 60)])
    assert left_over(log_law(fit, [rows], VOCABULARY, free=True), y) < 1e-12


def test_sharp_kernels_see_one_variable_beside_the_others(kernels):
    y = torch.exp(-1.25 * (X[:, 0] - 3).square()) + 0.1 * X[:, 1] ** 1.5
    rows = sharp_kernels(kernels, target(y), X, log=False)
    peaks = [text for text in to_text(rows.expressions, ["a", "b"], digits=4) if "exp" in text and "square" not in text]
    peak = torch.exp(-1.25 * (X[:, 0] - 3).square())
    centred = rows.values - rows.values.mean(1, keepdim=True)
    alike = torch.nn.functional.cosine_similarity(centred, (peak - peak.mean())[None]).abs()
    assert peaks and float(alike.max()) > 0.98


def test_excluded_operators_appear_nowhere():
    few = Vocabulary(ELEMENTARY, [o.name for o in ELEMENTARY if o.name not in ("pow", "square", "sin", "cos")])
    found = build_kernels(build_library(X, few, count=100), features(few), few)
    assert len(found) and not len(found.waves)
    assert bool(written(found).expressions.permitted.all())


def test_powers_of_what_has_both_signs_are_powers_of_its_magnitude():
    x = X * torch.where(torch.arange(len(X)) % 2 == 0, 1.0, -1.0)[:, None]
    found = build_kernels(build_library(x, VOCABULARY, count=100), features(VOCABULARY), VOCABULARY)
    mine = target(1 / (1 + (x[:, 0].abs() / 3) ** 4))
    base = torch.ones_like(mine.values)[None]
    best = found.of(0).best(found.of(0).shares(mine, base), 1, 1)
    (text,) = to_text(written(found.of(0)[best]).expressions, ["a", "b"], digits=3)
    assert "abs(a)" in text and "**" in text


def test_no_positive_variable_no_powers():
    x = X - 5
    found = build_kernels(build_library(x, VOCABULARY, count=100), features(VOCABULARY), VOCABULARY)
    assert bool(found.values.isfinite().all())
    assert not any("**" in t and "(" not in t for t in to_text(written(found.rates).expressions, ["a", "b"], digits=3))


def test_a_variable_that_does_not_vary_has_none():
    x = X.index_fill(1, torch.tensor([1]), 3.0)
    found = build_kernels(build_library(x, VOCABULARY, count=100), features(VOCABULARY), VOCABULARY)
    assert not len(found.of(1)) and len(found.of(0))
    assert len(sharp_kernels(found, target(X[:, 0].sin()), x, log=False))
