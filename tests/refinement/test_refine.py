"""refine(): methods, restarts, and the promise never to be worse than the start."""

import pytest
import torch

from sr_accessor.errors import InputError, UnknownNameError
from sr_accessor.expressions.batch import concatenate, constant, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.prior.examples import sample_expressions
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.refine import METHODS, refine

VOCABULARY = Vocabulary(ELEMENTARY)


def c(*values):
    return constant(list(values), VOCABULARY)


X = variable([0], VOCABULARY)
GRID = torch.linspace(0, 4, 60, dtype=torch.float64)[:, None]
WAVE = 2 * torch.sin(5.3 * GRID[:, 0])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_restarts_leave_a_wrong_valley():
    """From frequency 0.5 least squares ends beside 5.3; some of many starts in the same batch does not."""
    law = c(1.0) * (c(0.5) * X).apply("sin")
    alone, several = refine(law, GRID, WAVE), refine(law, GRID, WAVE, restarts=60, generator=seeded())
    assert float(alone.loss[0]) > 50 and float(several.loss[0]) < 1e-20
    assert abs(float(several.expressions.constants[0, 1])) == pytest.approx(5.3, rel=1e-10)
    assert int(several.steps[0]) > 60  # all starts are counted


def test_restarts_are_drawn_with_the_generator():
    law = c(1.0) * (c(0.5) * X).apply("sin") + c(0.1)
    one, same, other = (refine(law, GRID, WAVE, restarts=4, generator=seeded(s), steps=3) for s in (3, 3, 4))
    assert torch.equal(one.expressions.constants, same.expressions.constants)
    assert not torch.equal(one.expressions.constants, other.expressions.constants)


def test_each_candidate_keeps_its_own_best():
    laws = concatenate([c(1.0) * (c(0.5) * X).apply("sin"), c(3.0) + c(1.0) * X, X.apply("exp")])
    together = refine(laws, GRID, WAVE, restarts=60, generator=seeded())
    assert torch.equal(together.expressions.codes, laws.codes)
    assert float(together.loss[0]) < 1e-20
    torch.testing.assert_close(together.loss[1:], levenberg_marquardt(laws, GRID, WAVE).loss[1:], rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("method", METHODS)
def test_never_worse_than_the_start(method):
    count = 60 if method == "lm" else 12
    laws = sample_expressions("science", count, 1, VOCABULARY, seeded(2)).freed()
    x = GRID + 0.3
    y = 1 + torch.cos(x[:, 0])
    before = torch.nan_to_num((y - evaluate(laws, x)[0]).square().sum(1), nan=torch.inf)
    found = refine(laws, x, y, method=method, restarts=2, generator=seeded(), steps=4)
    assert bool((found.loss <= before).all()) and int(before.isfinite().sum()) > count / 3
    after = (y - evaluate(found.expressions, x)[0]).square().sum(1)
    finite = found.loss.isfinite()
    torch.testing.assert_close(found.loss[finite], after[finite], rtol=1e-7, atol=1e-12)


def test_an_invalid_start_may_be_saved_by_a_restart():
    law = (c(-1.0) * X).apply("sqrt")
    y = 3 * GRID[:, 0].sqrt()
    assert not bool(refine(law, GRID, y).loss.isfinite())
    found = refine(law, GRID, y, restarts=30, generator=seeded())
    assert float(found.expressions.constants[0, 0]) == pytest.approx(9.0, rel=1e-8)


def test_own_targets_and_weights_follow_their_candidates():
    laws = concatenate([c(1.0) * X, c(1.0) * X])
    y = torch.stack([2 * GRID[:, 0], 7 * GRID[:, 0]])
    y[0, -1], y[1, 0] = 1e3, 1e3
    weight = torch.ones_like(y)
    weight[0, -1] = weight[1, 0] = 0.0
    found = refine(laws, GRID, y, weight, restarts=3, generator=seeded())
    assert found.expressions.constants[:, 0].tolist() == pytest.approx([2.0, 7.0])


def test_complaints():
    with pytest.raises(UnknownNameError, match="no refinement method 'bfg'; did you mean 'bfgs'"):
        refine(X, GRID, WAVE, method="bfg")
    with pytest.raises(InputError, match="generator="):
        refine(X, GRID, WAVE, restarts=2)
