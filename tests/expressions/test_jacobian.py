"""Derivatives by constants and by inputs against central differences."""

import torch

from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import input_derivative, jacobian
from sr_accessor.expressions.parse import parse

SMOOTH = "add sub mul div pow neg inv sqrt square cube log exp sin cos tan atan tanh".split()


def agree(ours, value_at, step_size):
    """Whether a derivative agrees with central differences wherever those of two steps agree among themselves."""
    coarse, fine = ((value_at(h) - value_at(-h)) / (2 * h) for h in (step_size, step_size / 2))
    usable = torch.isfinite(coarse) & ((coarse - fine).abs() < 1e-5 * (1 + fine.abs()))
    usable &= (fine.abs() < 1e6) & (value_at(0.0).abs() < 1e5)  # larger values drown differences in rounding
    assert usable.double().mean() > 0.3
    error = (ours - fine).abs()[usable]
    assert (error <= 1e-4 * (1 + fine.abs()[usable])).all()


def test_jacobian_is_that_of_central_differences(random_expressions, points):
    batch = random_expressions(300, seed=21, operators=SMOOTH)
    values, columns, valid = jacobian(batch, points)
    expected, expected_valid = evaluate(batch, points)
    torch.testing.assert_close(values, expected, rtol=1e-9, atol=1e-12, equal_nan=True)
    assert torch.equal(valid, expected_valid)
    assert columns.shape == (300, batch.constants.shape[1], len(points))
    assert (columns[~batch.free] == 0).all()  # literals and absent constants
    for k in range(batch.constants.shape[1]):
        rows = batch.free[:, k].nonzero()[:, 0]
        if len(rows) < 20:
            continue
        some = batch[rows]
        unit = torch.zeros_like(some.constants)
        unit[:, k] = 1.0
        agree(
            columns[rows, k],
            lambda h, some=some, unit=unit: evaluate(some.with_constants(some.constants + h * unit), points)[0],
            1e-5,
        )


def test_jacobian_of_known_laws(vocabulary, points):
    e = parse("2.0*exp(-0.5*x) + 3.0", vocabulary, ["x"], numbers="constant")
    _, columns, _ = jacobian(e, points)
    decay = torch.exp(-0.5 * points[:, 0])
    expected = torch.stack([decay, 2 * points[:, 0] * decay, torch.ones_like(decay)])
    expected[1] = columns[0, 1].sign() * expected[1].abs()  # the sign depends on whether -0.5 is one number
    torch.testing.assert_close(columns[0], expected, rtol=1e-13, atol=1e-14)


def test_input_derivative_is_that_of_central_differences(random_expressions, points):
    batch = random_expressions(300, seed=22, operators=SMOOTH)
    values, slopes = input_derivative(batch, points)
    torch.testing.assert_close(values, evaluate(batch, points)[0], rtol=1e-9, atol=1e-12, equal_nan=True)
    assert slopes.shape == (300, 3, len(points))
    for d in range(3):
        unit = torch.zeros(3, dtype=torch.float64)
        unit[d] = 1.0
        agree(slopes[:, d], lambda h, unit=unit: evaluate(batch, points + h * unit)[0], 1e-5)
        assert (slopes[~batch.uses(d), d].nan_to_num(0.0) == 0).all()


def test_derivatives_of_a_batch_without_numbers(vocabulary, points):
    e = parse("x*y", vocabulary, ["x", "y"])
    assert jacobian(e, points)[1].shape == (1, 0, len(points))
    torch.testing.assert_close(input_derivative(e, points)[1][0, :2], points[:, [1, 0]].T.contiguous())


def test_fixed_exponents_of_negative_bases(vocabulary):
    x = torch.tensor([[-2.0]], dtype=torch.float64)
    e = parse("(1.5*x)**3.0 + x**(-2)", vocabulary, ["x"], numbers="constant")
    assert e.free[0].tolist() == [True, False, False]
    assert input_derivative(e, x)[1].item() == 3 * 1.5**3 * 4 + 0.25
    assert jacobian(e, x)[1][0, 0].item() == 3 * 1.5**2 * -8
