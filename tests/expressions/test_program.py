"""The compiled program computes what the prefix reader means, with common sub-expressions once."""

import torch

from sr_accessor.expressions.batch import concatenate, constant, literal
from sr_accessor.expressions.evaluate import bind, evaluate, read_prefix
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.program import compile_program


def test_values_and_validity_are_those_of_the_prefix_reader(random_expressions, points):
    for seed in range(5):
        batch = random_expressions(200, seed=seed, depth=5)
        before = batch.codes.clone(), batch.constants.clone(), points.clone()
        values, valid = evaluate(batch, points)
        expected, expected_valid = read_prefix(batch, points)
        assert torch.equal(valid, expected_valid)
        assert 0.2 < valid.double().mean() < 0.98  # both kinds occur
        # The last bit depends on a value's place in its slab (SIMD lanes and remainders), and cancellation lifts it.
        torch.testing.assert_close(values, expected, rtol=1e-9, atol=1e-12, equal_nan=True)
        assert all(torch.equal(a, b) for a, b in zip(before, (batch.codes, batch.constants, points), strict=True))


def test_literals_give_the_same_values_as_constants(random_expressions, points):
    batch = random_expressions(300, seed=11)
    as_literals, _ = evaluate(batch.with_literals(batch.free), points)
    torch.testing.assert_close(evaluate(batch, points)[0], as_literals, rtol=1e-9, atol=1e-12, equal_nan=True)
    torch.testing.assert_close(evaluate(batch.freed(), points)[0], as_literals, rtol=1e-9, atol=1e-12, equal_nan=True)


def test_common_subexpressions_are_computed_once(vocabulary, random_expressions):
    a = parse("sin(x*y) + exp(x*y)", vocabulary, ["x", "y"])
    program = compile_program(a)
    assert program.size == 2 + 4  # x, y; x*y, sin, exp, +
    swapped = parse("exp(y*x) + sin(x*y)", vocabulary, ["x", "y"])
    assert compile_program(concatenate([a, swapped])).size == program.size  # both sums are one node
    batch = random_expressions(300, seed=7)
    assert compile_program(batch).size < int(batch.lengths.sum())
    twice = compile_program(concatenate([batch.with_literals(batch.free)] * 2))
    assert twice.size == compile_program(batch.with_literals(batch.free)).size


def test_slabs_cover_every_row_once_and_look_only_down(random_expressions):
    program = compile_program(random_expressions(200, seed=8))
    at = len(program.variables) + len(program.numbers) + len(program.named)
    for slab in program.shared + program.bearing:
        assert slab.start == at and slab.stop > at
        for argument in slab.arguments:
            assert len(argument.index) == slab.stop - slab.start
            assert argument.kind == 2 or int(argument.index.max()) < slab.start
        at = slab.stop
    assert at == program.size


def test_free_constants_are_not_in_the_shared_rows(vocabulary, points):
    e = parse("2.5*x + sin(x)", vocabulary, ["x"], numbers="constant")
    bound = bind(compile_program(e), points)
    assert bound.shared.shape == (2, len(points))  # x, sin(x)


def test_bare_numbers_variables_and_empty_batches(vocabulary, points):
    batch = concatenate([constant([1.5, -2.0], vocabulary), literal([4.0], vocabulary)])
    assert evaluate(batch, points)[0][:, 0].tolist() == [1.5, -2.0, 4.0]
    none, valid = evaluate(batch[:0], points)
    assert none.shape == valid.shape == (0, len(points))
    assert evaluate(batch, points[:0])[0].shape == (3, 0)


def test_invalid_parts_stay_invalid(vocabulary):
    x = torch.tensor([[-1.0]], dtype=torch.float64)
    for text in ["log(x)**0", "1.0**log(x)", "0*log(x)", "min(log(x), 1)", "max(1, sqrt(x))", "0*(1/(x+1))"]:
        assert not evaluate(parse(text, vocabulary, ["x"]), x)[1].any(), text
