"""pieces: the same loss, slope and curvature however the rows are cut, and Newton steps that end at the optimum."""

import pytest
import torch

from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.noise.poisson import POISSON
from sr_accessor.noise.student_t import STUDENT_T
from sr_accessor.refinement import pieces
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.likelihood import LawErrors, most_likely
from sr_accessor.refinement.pieces import Curvature, curvature, descend
from sr_accessor.refinement.solution import Reason

VOCABULARY = Vocabulary(ELEMENTARY)
GENERATOR = torch.Generator().manual_seed(2)
X = torch.rand(1000, 2, dtype=torch.float64, generator=GENERATOR) + 0.5
Y = 2 * torch.exp(-0.7 * X[:, 0]) + 0.3 * X[:, 1] + 0.05 * torch.randn(1000, dtype=torch.float64, generator=GENERATOR)
SIGMA = 0.03 + 0.04 * torch.rand(1000, dtype=torch.float64, generator=GENERATOR)


def laws(*texts):
    return concatenate([parse(t, VOCABULARY, ["a", "b"], numbers="constant") for t in texts])


LAWS = ("1.9*exp(-0.6*a) + 0.2*b", "1.1*a + 0.3*b", "log(a - 1)", "a*b", "1.5/(0.4 + a)")


@pytest.fixture
def small_pieces(monkeypatch):
    """Rows by 64 and candidates by two."""
    monkeypatch.setattr(pieces, "POINTS", 64)
    monkeypatch.setattr(pieces, "CELLS", 2000)


@pytest.mark.parametrize("sigma", [None, SIGMA], ids=["scale unknown", "sigma"])
def test_curvature_is_that_of_the_whole_jacobian(sigma, small_pieces):
    batch = laws(*LAWS)
    found = curvature(batch, X, Y, sigma, GAUSSIAN)
    values, columns, valid = jacobian(batch, X)
    _, weight = GAUSSIAN.working(Y, values, sigma)
    torch.testing.assert_close(found.loss, GAUSSIAN.negative_log_likelihood(Y, values, sigma))
    assert found.valid.tolist() == valid.all(1).tolist() == [True, True, False, True, True]
    sound = found.valid
    weighted = columns * weight[:, None]
    torch.testing.assert_close(found.normal[sound], (weighted @ columns.mT)[sound])
    torch.testing.assert_close(found.gradient[sound], (weighted @ (Y - values)[:, :, None])[sound][:, :, 0])
    assert found.normal.isfinite().all() and found.loss[2].isinf()


def test_pieces_do_not_change_the_answer(monkeypatch):
    whole = curvature(laws(*LAWS), X, Y, SIGMA, GAUSSIAN)
    for points in (1, 333, 1000):
        monkeypatch.setattr(pieces, "POINTS", points)
        cut = curvature(laws(*LAWS), X, Y, SIGMA, GAUSSIAN)
        for name in Curvature.__dataclass_fields__:
            torch.testing.assert_close(getattr(cut, name), getattr(whole, name), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("sigma", [None, SIGMA], ids=["scale unknown", "sigma"])
def test_descent_ends_where_levenberg_marquardt_does(sigma, small_pieces):
    batch = laws(LAWS[0], LAWS[1], LAWS[4])
    found = descend(batch, X, Y, sigma, GAUSSIAN, steps=12)
    best = levenberg_marquardt(batch, X, Y, None if sigma is None else sigma**-2, steps=60)
    torch.testing.assert_close(found.expressions.constants, best.expressions.constants, rtol=1e-4, atol=1e-6)
    assert found.reason.tolist() == [Reason.CONVERGED] * 3 and bool((found.steps <= 12).all())
    again = curvature(found.expressions, X, Y, sigma, GAUSSIAN)
    torch.testing.assert_close(found.loss, again.loss)


def test_a_step_that_makes_it_worse_is_not_taken():
    """From far away the first whole step overshoots; the loss never rises, and in the end it has fallen."""
    far = laws("0.1*exp(-6*a) + 0.2*b")
    start = float(curvature(far, X, Y, SIGMA, GAUSSIAN).loss[0])
    losses = [float(descend(far, X, Y, SIGMA, GAUSSIAN, steps=n).loss[0]) for n in range(1, 25)]
    assert all(after <= before for before, after in zip([start, *losses], losses, strict=False))
    best = descend(laws(LAWS[0]), X, Y, SIGMA, GAUSSIAN, steps=12).loss[0]
    assert losses[-1] == pytest.approx(float(best), abs=1e-3)


def test_what_cannot_move_says_so():
    found = descend(laws("a*b", "log(a - 1)", "0.5*log(a - 1)"), X, Y, None, GAUSSIAN, steps=3)
    assert found.reason.tolist() == [Reason.NO_CONSTANTS, Reason.INVALID_START, Reason.INVALID_START]
    assert found.loss.isfinite().tolist() == [True, False, False] and found.steps.tolist() == [1, 1, 1]


def test_any_noise_model_is_followed(small_pieces):
    """Student's t with a scale and degrees of freedom of its own; counts; errors of x, which follow the slope."""
    wild = Y.clone()
    wild[::50] += 3.0
    counts = torch.poisson(20 * torch.exp(-0.7 * X[:, 0]), generator=torch.Generator().manual_seed(1))
    errors = LawErrors(torch.stack([SIGMA, SIGMA], 1), torch.full_like(X, 0.05))
    batch, rate = laws(LAWS[0]), laws("18*exp(-0.6*a)")
    for start, y, noise, sigma, law_errors in (
        (batch, wild, STUDENT_T, None, None),
        (rate, counts, POISSON, None, None),
        (batch, Y, GAUSSIAN, SIGMA, errors),
    ):
        found = descend(start, X, y, sigma, noise, law_errors, steps=30)
        best = most_likely(start, X, y, noise, sigma, errors=law_errors, steps=60)
        assert float(found.loss[0]) < float(best.loss[0]) + 0.02
        torch.testing.assert_close(found.expressions.constants, best.expressions.constants, rtol=0.05, atol=5e-3)
        before = float(curvature(start, X, y, sigma, noise, law_errors).loss[0])
        assert float(found.loss[0]) < before - 1
