"""Levenberg–Marquardt against SciPy, against itself one by one, and against linear algebra."""

import math

import pytest
import torch
from scipy.optimize import least_squares

from sr_accessor.expressions.batch import Expressions, concatenate, constant, literal, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.expressions.linear import linear_constants
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.prior.examples import sample_expressions
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt, solve_normal
from sr_accessor.refinement.solution import Reason

VOCABULARY = Vocabulary(ELEMENTARY)


def c(*values):
    return constant(list(values), VOCABULARY)


X = variable([0], VOCABULARY)
ONE = literal([1.0], VOCABULARY)


def uniform(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_problems(count: int, points: int = 40):
    """Random laws whose value is finite, their points (N, 2), and targets (B, N): the law plus 5 % noise."""
    generator = torch.Generator().manual_seed(11)
    drawn = sample_expressions("science", 6 * count, 2, VOCABULARY, generator)
    laws = drawn.freed()
    x = uniform(points, 2, seed=1) * 2 + 0.5
    values, valid = evaluate(laws, x)
    size = values.square().mean(1).sqrt()
    free = laws.free.sum(1)
    good = valid.all(1) & (size > 1e-2) & (size < 1e3) & (free > 0) & (free < 7)
    laws, values, size = laws[good][:count].trimmed(), values[good][:count], size[good][:count]
    assert len(laws) == count
    return laws, x, values + 0.05 * size[:, None] * normal(count, points, seed=2)


def loss_of(laws: Expressions, x, y, weight=None):
    squares = (y - evaluate(laws, x)[0]).square()
    return (squares if weight is None else squares * weight).sum(1)


# -------------------------------------------------------------------------------------------- optima
def test_as_low_as_scipy_on_random_laws():
    laws, x, y = random_problems(40)
    start = laws.with_constants(torch.where(laws.free, laws.constants * 1.1 + 0.02, laws.constants))
    found = levenberg_marquardt(start, x, y, steps=100)
    worse = []
    for row in range(len(laws)):
        one, mask = start[row].trimmed(), start.free[row][: int(start.number_counts[row])]

        def at(values, one=one, mask=mask):
            numbers = one.constants.clone()
            numbers[0, mask] = torch.from_numpy(values)
            return one.with_constants(numbers)

        reference = least_squares(
            lambda v, at=at, row=row: (evaluate(at(v), x)[0][0] - y[row]).nan_to_num(nan=1e6).clamp(-1e6, 1e6).numpy(),
            one.constants[0, mask].numpy(),
            lambda v, at=at, mask=mask: jacobian(at(v), x)[1][0, mask].T.nan_to_num().numpy(),
            method="lm",
        )  # fmt: skip
        if float(found.loss[row]) > 2 * reference.cost * (1 + 1e-6) + 1e-18:
            worse.append((row, float(found.loss[row]) / (2 * reference.cost)))
    assert not worse


def test_the_loss_reported_is_the_loss_of_the_constants_reported():
    laws, x, y = random_problems(60)
    found = levenberg_marquardt(laws, x, y)
    torch.testing.assert_close(found.loss, loss_of(found.expressions, x, y), rtol=1e-9, atol=1e-12)


def test_no_candidate_becomes_worse():
    laws, x, y = random_problems(60)
    start = laws.with_constants(torch.where(laws.free, laws.constants * -0.7 + 0.1, laws.constants))
    before = torch.nan_to_num(loss_of(start, x, y), nan=torch.inf)
    found = levenberg_marquardt(start, x, y, steps=3)
    invalid = found.reason == Reason.INVALID_START
    assert bool((found.loss <= before * (1 + 1e-9))[~invalid].all())
    assert int((~invalid).sum()) > 40


def test_a_linear_law_is_solved_in_one_step():
    x = uniform(30, 1)
    y = 3 - 2 * x[:, 0] + 0.1 * normal(30)
    found = levenberg_marquardt(c(100.0) + c(-7.0) * X, x, y)
    design = torch.cat([torch.ones_like(x), x], 1)
    expected = torch.linalg.lstsq(design, y[:, None]).solution[:, 0]
    torch.testing.assert_close(found.expressions.constants[0], expected, rtol=1e-11, atol=0.0)
    assert int(found.steps[0]) == 1 and found.reason[0] == Reason.CONVERGED


def test_an_exact_law_is_reached_to_rounding():
    x = 4 * uniform(50, 1)
    y = 2.5 * torch.exp(-1.3 * x[:, 0]) + 0.7
    found = levenberg_marquardt(c(1.0) * (c(-0.5) * X).apply("exp") + c(0.0), x, y, steps=40)
    assert float(found.loss[0]) < 1e-28 * float(y.square().sum())
    torch.testing.assert_close(
        found.expressions.constants[0], torch.tensor([2.5, -1.3, 0.7], dtype=torch.float64), rtol=1e-12, atol=0.0
    )


def test_exponents_and_inner_constants_are_found():
    x = uniform(60, 1) + 0.5
    y = 3 * x[:, 0] ** 1.7
    found = levenberg_marquardt(c(1.0) * X ** c(1.0), x, y, steps=40)
    assert found.expressions.constants[0].tolist() == pytest.approx([3.0, 1.7], rel=1e-10)


def test_a_point_without_a_derivative_does_not_stop_the_others():
    """sqrt(c·x) at x = 0."""
    x = torch.arange(9, dtype=torch.float64)[:, None]
    found = levenberg_marquardt(concatenate([(c(1.0) * X).apply("sqrt")] * 2), x, 3 * x[:, 0].sqrt(), steps=40)
    assert found.expressions.constants[:, 0].tolist() == pytest.approx([9.0, 9.0], rel=1e-10)


# -------------------------------------------------------------------------------------------- batches
def test_a_batch_is_its_rows_one_by_one():
    laws, x, y = random_problems(40)
    together = levenberg_marquardt(laws, x, y)
    for row in range(len(laws)):
        alone = levenberg_marquardt(laws[row].trimmed(), x, y[row])
        k = alone.expressions.constants.shape[1]
        assert float(together.loss[row]) == pytest.approx(float(alone.loss[0]), rel=1e-6)
        if together.reason[row] == Reason.CONVERGED and int(together.steps[row]) == int(alone.steps[0]):
            fitted = evaluate(together.expressions[row], x)[0], evaluate(alone.expressions, x)[0]
            torch.testing.assert_close(*fitted, rtol=1e-4, atol=1e-4 * float(y[row].abs().max()))
        assert bool((together.expressions.constants[row, k:] == laws.constants[row, k:]).all())


def test_pieces_of_a_large_batch_are_joined_in_order(monkeypatch):
    from sr_accessor.refinement import levenberg_marquardt as module

    laws, x, y = random_problems(40)
    whole = levenberg_marquardt(laws, x, y)
    monkeypatch.setattr(module, "PIECE_BYTES", 1)  # pieces of 16
    pieces = levenberg_marquardt(laws, x, y)
    torch.testing.assert_close(pieces.loss, whole.loss, rtol=1e-6, atol=1e-12)
    assert torch.equal(pieces.expressions.codes, laws.codes) and pieces.expressions.constants.shape == (
        whole.expressions.constants.shape
    )


def test_each_candidate_may_have_its_own_target():
    x = uniform(25, 1)
    slopes = torch.tensor([1.0, -2.0, 30.0], dtype=torch.float64)
    laws = concatenate([c(1.0) * X] * 3)
    found = levenberg_marquardt(laws, x, slopes[:, None] * x[:, 0])
    torch.testing.assert_close(found.expressions.constants[:, 0], slopes, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("per_candidate", [False, True])
def test_weights_count_points(per_candidate):
    """A weight of two is the same as having the point twice, a weight of zero as not having it."""
    x, y = uniform(20, 1), normal(20, seed=4)
    copies = torch.tensor([0, 1, 2, 3, 1] * 4)
    law = concatenate([c(0.5) * (c(0.8) * X).apply("sin") + c(0.1), (c(0.3) + c(1.2) * X).apply("tanh")])
    weight = copies.double()
    weight = weight.expand(2, -1).clone() if per_candidate else weight
    weighted = levenberg_marquardt(law, x, y, weight, steps=60)
    repeated = levenberg_marquardt(law, x.repeat_interleave(copies, 0), y.repeat_interleave(copies), steps=60)
    torch.testing.assert_close(weighted.loss, repeated.loss, rtol=1e-8, atol=0.0)
    torch.testing.assert_close(weighted.expressions.constants, repeated.expressions.constants, rtol=1e-3, atol=1e-6)


def test_literals_stay():
    x = uniform(20, 1) + 0.5
    law = literal([2.5], VOCABULARY) * X ** literal([2.0], VOCABULARY) + c(0.0) * X
    found = levenberg_marquardt(law, x, x[:, 0] ** 3)
    assert found.expressions.constants[0, :2].tolist() == [2.5, 2.0]
    assert float(found.expressions.constants[0, 2]) != 0.0
    assert torch.equal(found.expressions.codes, law.codes)


# -------------------------------------------------------------------------------------------- reasons
def test_reasons():
    x = uniform(20, 1) + 0.5
    y = 2 * torch.exp(0.5 * x[:, 0])
    decaying = c(1.0) * (c(-3.0) * X).apply("exp")
    laws = concatenate(
        [
            X.apply("sqrt"),  # nothing to refine
            (c(-1.0) * X).apply("sqrt"),  # not a number anywhere
            decaying,
            X + ONE,
        ]
    )
    found = levenberg_marquardt(laws, x, y, steps=60)
    assert found.reason.tolist() == [
        Reason.NO_CONSTANTS, Reason.INVALID_START, Reason.CONVERGED, Reason.NO_CONSTANTS,
    ]  # fmt: skip
    assert math.isinf(float(found.loss[1])) and bool(found.loss[[0, 2, 3]].isfinite().all())
    assert float(found.expressions.constants[1, 0]) == -1.0  # an invalid start stays as it was
    assert found.converged.tolist() == [True, False, True, True]
    assert levenberg_marquardt(decaying, x, y, steps=1).reason.tolist() == [Reason.STEPS_SPENT]


def test_all_without_constants():
    x = uniform(10, 1)
    found = levenberg_marquardt(concatenate([X, X.apply("log") / X.apply("sin")]), x - 0.5, x[:, 0])
    assert found.reason.tolist() == [Reason.NO_CONSTANTS] * 2
    assert float(found.loss[0]) == pytest.approx(10 * 0.25) and math.isinf(float(found.loss[1]))


def test_every_reason_has_a_sentence():
    assert len({reason.sentence for reason in Reason}) == len(Reason)


# -------------------------------------------------------------------------------------------- normal equations
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_solve_normal_is_a_linear_solve(damping):
    columns = normal(50, 5, 12) * 10.0 ** torch.tensor([0.0, 4.0, -6.0, 2.0, 0.0], dtype=torch.float64)[None, :, None]
    matrix, right = columns @ columns.transpose(1, 2), normal(50, 5, seed=5)
    damped = matrix + torch.diag_embed(damping * matrix.diagonal(dim1=1, dim2=2))
    scale = damped.diagonal(dim1=1, dim2=2).rsqrt()  # the comparison needs unit columns as well
    unit = damped * scale[:, :, None] * scale[:, None, :]
    expected = torch.linalg.solve(unit, right * scale) * scale
    torch.testing.assert_close(solve_normal(matrix, right, damping), expected, rtol=1e-8, atol=0.0)


def test_solve_normal_of_singular_systems():
    """Equal columns share the solution; absent columns (zero) get zero; what is fitted is the projection."""
    columns = normal(3, 4, 12, seed=6)
    columns[0, 1] = columns[0, 0]
    columns[1, 2] = 0.0
    columns[2, 3] = columns[2, 0] + columns[2, 1]
    target = normal(12, seed=7)
    right = columns @ target
    found = solve_normal(columns @ columns.transpose(1, 2), right)
    assert bool(found.isfinite().all()) and float(found[1, 2]) == 0.0
    for row in range(3):
        fitted = found[row] @ columns[row]
        expected = columns[row].T @ (torch.linalg.pinv(columns[row].T, rtol=1e-10) @ target)
        torch.testing.assert_close(fitted, expected, rtol=0.0, atol=1e-6)


def test_duplicated_terms_do_not_hurt():
    x, y = uniform(30, 1), normal(30, seed=8)
    doubled = c(1.0) * X + c(2.0) * X + c(0.0)
    single = c(1.0) * X + c(0.0)
    a, b = levenberg_marquardt(doubled, x, y).loss, levenberg_marquardt(single, x, y).loss
    torch.testing.assert_close(a, b, rtol=1e-9, atol=0.0)


def test_linear_constants_of_random_laws_enter_linearly():
    """f(x; c) = f(x; c with the marked ones 0) + Σ cₖ ∂f/∂cₖ, and those derivatives do not depend on them."""
    laws, x, _ = random_problems(80)
    marked = linear_constants(laws)
    assert bool((marked & laws.free).any(1).sum() > 30) and not bool((marked & ~laws.free).any())
    moved = laws.with_constants(torch.where(marked, normal(*laws.constants.shape, seed=9), laws.constants))
    _, columns, _ = jacobian(laws, x)
    values, columns_moved, _ = jacobian(moved, x)
    pair = marked[:, :, None].expand_as(columns)
    torch.testing.assert_close(columns[pair], columns_moved[pair], rtol=1e-9, atol=1e-9)
    base, _ = evaluate(laws, x)
    predicted = base + ((moved.constants - laws.constants)[:, :, None] * torch.where(pair, columns, 0.0)).sum(1)
    torch.testing.assert_close(values, predicted, rtol=1e-9, atol=1e-7)
