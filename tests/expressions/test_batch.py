"""Structure of batches against slow references that read one row at a time."""

import pytest
import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty, join, literal, variable
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, PAD, VARIABLE


@pytest.fixture(scope="module")
def batch(random_expressions):
    return random_expressions(60, seed=5)


def codes_of(batch, row):
    return [c for c in batch.codes[row].tolist() if c != PAD]


def arity(batch, code):
    return int(batch.vocabulary.arities[min(code, VARIABLE)])


def end(batch, codes, at):
    """Just after the sub-expression at `at`, by recursion."""
    after = at + 1
    for _ in range(arity(batch, codes[at])):
        after = end(batch, codes, after)
    return after


def height(batch, codes, at):
    tops, after = [-1], at + 1
    for _ in range(arity(batch, codes[at])):
        tops.append(height(batch, codes, after))
        after = end(batch, codes, after)
    return max(tops) + 1


def test_ends_children_heights_complexity(batch):
    first, second = batch.children
    for row in range(len(batch)):
        codes = codes_of(batch, row)
        assert batch.lengths[row] == batch.complexity[row] == len(codes)
        for at in range(len(codes)):
            assert batch.ends[row, at] == end(batch, codes, at)
            assert batch.heights[row, at] == height(batch, codes, at)
            if arity(batch, codes[at]) == 2:
                assert (first[row, at], second[row, at]) == (at + 1, end(batch, codes, at + 1))


def test_number_slots_and_free_mask(batch):
    for row in range(len(batch)):
        kinds = [c for c in codes_of(batch, row) if c in (CONSTANT, LITERAL)]
        assert batch.number_counts[row] == len(kinds)
        assert batch.free[row].tolist()[: len(kinds)] == [c == CONSTANT for c in kinds]
        assert not batch.free[row, len(kinds) :].any()
        slots = batch.number_slot[row][batch.is_number[row]].tolist()
        assert slots == list(range(len(kinds)))


def test_well_formed(batch, vocabulary):
    assert batch.well_formed.all()
    add, sin, x = vocabulary.id("add"), vocabulary.id("sin"), VARIABLE
    broken = [
        [0, 0, 0, 0],  # nothing
        [add, x, 0, 0],  # an argument is missing
        [x, x, 0, 0],  # two expressions
        [sin, 0, x, 0],  # a gap
        [x, sin, 0, 0],  # ends, then begins again
        [add, x, 1, 0],  # its number is missing
    ]
    assert not Expressions(torch.tensor(broken), torch.zeros(6, 0, dtype=torch.float64), vocabulary).well_formed.any()
    right = Expressions(torch.tensor([[add, x, 1, 0]]), torch.zeros(1, 1, dtype=torch.float64), vocabulary)
    assert right.well_formed.all()


def test_every_subexpression(batch):
    row, at = batch.present.nonzero(as_tuple=True)
    parts = batch.subexpression(row, at)
    assert parts.well_formed.all()
    for i, (r, p) in enumerate(zip(row.tolist(), at.tolist(), strict=True)):
        codes = codes_of(batch, r)
        stop = end(batch, codes, p)
        assert codes_of(parts, i) == codes[p:stop]
        before = sum(c in (CONSTANT, LITERAL) for c in codes[:p])
        count = sum(c in (CONSTANT, LITERAL) for c in codes[p:stop])
        assert parts.constants[i, :count].tolist() == batch.constants[r, before : before + count].tolist()


def test_join_and_concatenate(batch, random_expressions):
    other = random_expressions(60, seed=6, depth=2)
    joined = join(batch, other)
    for row in range(len(batch)):
        assert codes_of(joined, row) == codes_of(batch, row) + codes_of(other, row)
        numbers = [e.constants[row, : e.number_counts[row]].tolist() for e in (batch, other)]
        assert joined.constants[row, : joined.number_counts[row]].tolist() == numbers[0] + numbers[1]
    both = concatenate([other, batch])
    assert len(both) == 120 and both.well_formed.all()
    assert [codes_of(both, r) for r in (0, 60)] == [codes_of(other, 0), codes_of(batch, 0)]


def test_arithmetic_broadcasts_one_row(batch, vocabulary, points, names):
    x, two = variable([0], vocabulary), literal([2.0], vocabulary)
    assert to_text(-((x + two) ** two) / x - constant([1.5], vocabulary) * x, names) == ["-(x + 2)**2.0/x - 1.5*x"]
    values, _ = evaluate(batch + x, points)
    torch.testing.assert_close(values, evaluate(batch, points)[0] + points[:, 0], rtol=0, atol=0, equal_nan=True)
    assert to_text(variable([0, 1], vocabulary).apply("sin"), names) == ["sin(x)", "sin(`T [K]`)"]


def test_selection_and_literals(batch, vocabulary, names):
    assert len(batch[3]) == 1 and codes_of(batch[-1], 0) == codes_of(batch, 59)
    assert [codes_of(batch[[5, 2]], i) for i in (0, 1)] == [codes_of(batch, 5), codes_of(batch, 2)]
    fixed = batch.with_literals(batch.free)
    assert not fixed.free.any() and torch.equal(fixed.constants, batch.constants)
    assert torch.equal(fixed.freed().codes, batch.freed().codes)
    assert batch.freed().free.sum() == batch.number_counts.sum()
    some = batch.with_literals(torch.arange(batch.constants.shape[1]).expand_as(batch.constants) == 0)
    assert torch.equal(some.free[:, 1:], batch.free[:, 1:]) and not some.free[:, 0].any()
    assert batch.uses(1).tolist() == [VARIABLE + 1 in codes_of(batch, r) for r in range(60)]
    assert len(empty(vocabulary)) == 0 and empty(vocabulary).well_formed.tolist() == []
    assert codes_of(batch[:2].trimmed(), 0) == codes_of(batch, 0)
