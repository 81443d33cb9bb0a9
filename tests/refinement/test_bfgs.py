"""SciPy's BFGS one by one: the same optimum as Levenberg–Marquardt where the valley is one."""

import math

import pytest
import torch

from sr_accessor.expressions.batch import concatenate, constant, literal, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.refinement.bfgs import bfgs
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.solution import Reason

VOCABULARY = Vocabulary(ELEMENTARY)


def c(*values):
    return constant(list(values), VOCABULARY)


T, U = variable([0], VOCABULARY), variable([1], VOCABULARY)
LAWS = concatenate(
    [
        c(1.0) * T + c(0.0),
        c(1.0) * (c(-0.5) * T).apply("exp") + c(0.5) * U,
        c(1.0) / (literal([1.0], VOCABULARY) + c(0.5) * T.apply("square")),
        (c(0.8) + c(0.3) * T * U).apply("exp"),
    ]
)
GENERATOR = torch.Generator().manual_seed(5)
X = torch.rand(40, 2, dtype=torch.float64, generator=GENERATOR)
Y = 1.5 * torch.exp(-0.8 * X[:, 0]) + 0.2 * X[:, 1] + 0.02 * torch.randn(40, dtype=torch.float64, generator=GENERATOR)


@pytest.mark.parametrize("weight", [None, torch.linspace(0.1, 2, 40, dtype=torch.float64)], ids=["equal", "weighted"])
def test_same_optimum_as_levenberg_marquardt(weight):
    one, other = bfgs(LAWS, X, Y, weight), levenberg_marquardt(LAWS, X, Y, weight, steps=60)
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-5, atol=1e-9)
    squares = (Y - evaluate(one.expressions, X)[0]).square() * (1.0 if weight is None else weight)
    torch.testing.assert_close(one.loss, squares.sum(1), rtol=1e-10, atol=0.0)


def test_own_targets():
    targets = torch.stack([2 * X[:, 0] + 1, -3 * X[:, 0]])
    found = bfgs(concatenate([LAWS[0], LAWS[0]]), X, targets)
    torch.testing.assert_close(
        found.expressions.constants[:, :2], torch.tensor([[2.0, 1.0], [-3.0, 0.0]], dtype=torch.float64),
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip


def test_reasons_and_literals():
    laws = concatenate([T, (c(-1.0) - T).apply("log"), literal([3.0], VOCABULARY) * T + c(0.0)])
    found = bfgs(laws, X, Y)
    assert found.reason.tolist() == [Reason.NO_CONSTANTS, Reason.INVALID_START, Reason.CONVERGED]
    assert math.isinf(float(found.loss[1])) and found.expressions.constants[1, 0] == -1.0
    assert float(found.expressions.constants[2, 0]) == 3.0
    best = (Y - 3 * X[:, 0]).mean()
    assert float(found.expressions.constants[2, 1]) == pytest.approx(float(best), rel=1e-5)
    assert bfgs(LAWS[1], X, Y, steps=1).reason.tolist() == [Reason.STEPS_SPENT]
