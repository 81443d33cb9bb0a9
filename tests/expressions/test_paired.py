"""Paired evaluation equals the prefix reader row by row."""

import pytest
import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty, literal, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import read_prefix
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.paired import evaluate_paired, lay_out, run_paired
from sr_accessor.expressions.vocabulary import FIRST_OPERATOR, VARIABLE, Vocabulary
from sr_accessor.prior.examples import sample_expressions

VOCABULARY = Vocabulary(ELEMENTARY)


def expressions(count: int, seed: int, dimensions: int = 3) -> Expressions:
    generator = torch.Generator().manual_seed(seed)
    half = count // 2
    return concatenate(
        [
            sample_expressions("science", half, dimensions, VOCABULARY, generator),
            sample_expressions("paper", count - half, dimensions, VOCABULARY, generator),
        ]
    )


def points(rows: int, n: int, dimensions: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, n, dimensions, generator=generator, dtype=torch.float64)


def test_equals_the_prefix_reader_row_by_row():
    e, x = expressions(300, 1), points(300, 7, 3, 2)
    values, valid = evaluate_paired(e, x)
    for row in range(len(e)):
        expected, expected_valid = read_prefix(e[row], x[row])
        torch.testing.assert_close(values[row : row + 1], expected, rtol=1e-12, atol=0, equal_nan=True)
        assert torch.equal(valid[row : row + 1], expected_valid)
    assert valid.any() and not valid.all()


def test_every_operator_alone():
    rows = []
    for i, operator in enumerate(ELEMENTARY):
        codes = [FIRST_OPERATOR + i, VARIABLE, VARIABLE + 1][: operator.arity + 1]
        rows.append(Expressions(torch.tensor([codes]), torch.zeros(1, 0, dtype=torch.float64), VOCABULARY))
    e, x = concatenate(rows), points(len(rows), 5, 2, 3)
    values, _ = evaluate_paired(e, x)
    for row in range(len(e)):
        torch.testing.assert_close(values[row : row + 1], read_prefix(e[row], x[row])[0], equal_nan=True)


def test_leaves_alone():
    pi = Expressions(torch.tensor([[VOCABULARY.id("pi")]]), torch.zeros(1, 0, dtype=torch.float64), VOCABULARY)
    e = concatenate([constant([2.5], VOCABULARY), literal([3.0], VOCABULARY), variable([1], VOCABULARY), pi])
    x = points(4, 3, 2, 4)
    values, valid = evaluate_paired(e, x)
    assert valid.all()
    assert values[0].tolist() == [2.5] * 3 and values[1].tolist() == [3.0] * 3
    assert torch.equal(values[2], x[2, :, 1])
    assert values[3].tolist() == [torch.pi] * 3


def test_numbers_in_every_place():
    """Factors and offsets are no nodes of their own: in any nesting, beside variables, sums and functions."""
    x, c = variable([0], VOCABULARY), constant([0.7], VOCABULARY)
    rows = [x, c * x, c + x, c + c * x, c * (c + x), c + (c + x), c * (c * x), x * c, x + c, c * c, c + c * c]
    rows += [c + c * (c + c * x), c + c * (x * x), (c + c * x) * (c * x), c - x, (c * x).apply("sin"), x / (c + c * x)]
    rows += [c + (c + c * x).apply("exp"), c * (c + c * x.apply("cos")), x ** (c * c), (c * x) ** c, c ** (c + x)]
    points_ = 1 + points(1, 4, 1, 13).abs()
    for e in [c, *rows, concatenate(rows)]:
        values, _ = evaluate_paired(e, points_.expand(len(e), -1, -1))
        torch.testing.assert_close(values, read_prefix(e, points_[0])[0], rtol=1e-13, atol=0)


def test_the_sign_of_zero_is_kept():
    e = variable([0], VOCABULARY)
    e = concatenate([e, e.apply("inv"), (constant([2.0], VOCABULARY) * e).apply("inv")])
    values, _ = evaluate_paired(e, torch.full((3, 1, 1), -0.0, dtype=torch.float64))
    assert torch.signbit(values[0]).all() and values[1:].tolist() == [[-torch.inf]] * 2


def test_pieces_of_a_batch_change_nothing(monkeypatch):
    e, x = expressions(60, 5), points(60, 9, 3, 6)
    whole, _ = evaluate_paired(e, x)
    monkeypatch.setattr("sr_accessor.expressions.paired.TABLE_BYTES", 4000)
    pieces, _ = evaluate_paired(e, x)
    torch.testing.assert_close(pieces, whole, rtol=0, atol=0, equal_nan=True)


def test_ragged_rows_agree_up_to_their_own_points():
    e, x = expressions(40, 7), points(40, 12, 3, 8)
    n = torch.arange(40) % 12 + 1
    ragged, whole = run_paired(lay_out(e), x, n), evaluate_paired(e, x)[0]
    inside = torch.arange(12) < n[:, None]
    torch.testing.assert_close(ragged[inside], whole[inside], equal_nan=True)


def test_input_is_not_changed_and_single_precision_points_are_widened():
    e, x = expressions(20, 9), points(20, 6, 3, 10)
    before = x.clone()
    evaluate_paired(e, x)
    assert torch.equal(x, before)
    values, _ = evaluate_paired(e, x.float())
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, evaluate_paired(e, x.float().double())[0], rtol=0, atol=0, equal_nan=True)


def test_no_rows():
    values, valid = evaluate_paired(empty(VOCABULARY), torch.zeros(0, 5, 2, dtype=torch.float64))
    assert values.shape == valid.shape == (0, 5)


def test_a_strangers_operator_is_evaluated():
    twice = Operator("twice", 1, lambda a: 2 * a, "sympy:Id")
    vocabulary = VOCABULARY.extended([twice])
    e = variable([0], vocabulary).apply("twice")
    values, _ = evaluate_paired(e, torch.full((1, 2, 1), 1.5, dtype=torch.float64))
    assert values.tolist() == [[3.0, 3.0]]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu():
    e, x = expressions(200, 11), points(200, 30, 3, 12)
    here, _ = evaluate_paired(e, x)
    there, _ = evaluate_paired(e.to("cuda"), x.cuda())
    torch.testing.assert_close(there.cpu(), here, rtol=1e-9, atol=1e-12, equal_nan=True)
