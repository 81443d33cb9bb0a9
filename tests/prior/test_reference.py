"""The clear version: reproducible, legal, and of the same distribution as the fast one."""

import math

import pytest
import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.prior.examples import sample_examples
from sr_accessor.prior.reference import reference_example, ways

VOCABULARY = Vocabulary(ELEMENTARY)
COUNT = 500


@pytest.fixture(scope="module")
def drawn():
    return [reference_example(seed, VOCABULARY) for seed in range(COUNT)]


def test_ways_counts_trees():
    assert [ways(1, n) for n in range(6)] == [1, 1, 2, 5, 14, 42]  # Catalan


def test_same_seed_same_example():
    one, two = reference_example(7, VOCABULARY), reference_example(7, VOCABULARY)
    assert torch.equal(one[0].codes, two[0].codes) and torch.equal(one[1], two[1]) and torch.equal(one[2], two[2])


def test_legal_and_evaluated(drawn):
    for expression, x, y in drawn[:50]:
        assert bool(expression.well_formed.all())
        torch.testing.assert_close(evaluate(expression, x)[0][0], y, rtol=1e-10, atol=0)
        assert float(x.mean(0).abs().max()) < 1e-9 and float((x.std(0, correction=0) - 1).abs().max()) < 1e-9


def test_same_distribution_as_the_fast_one(drawn):
    fast = sample_examples("paper", 4000, torch.Generator().manual_seed(1), VOCABULARY)
    features = {
        "nodes": (lambda e, x, y: float(e.lengths[0]), fast.expressions.lengths.double()),
        "numbers": (lambda e, x, y: float(e.number_counts[0]), fast.expressions.number_counts.double()),
        "leaves": (
            lambda e, x, y: float((e.codes >= VARIABLE).sum()),
            (fast.expressions.codes >= VARIABLE).sum(1).double(),
        ),
        "points": (lambda e, x, y: float(len(y)), fast.points.double()),
        "dimensions": (lambda e, x, y: float(x.shape[1]), fast.dimensions.double()),
        "size of y": (
            lambda e, x, y: math.log10(float(y.abs().max())) > 4,
            (fast.y.abs().amax(1).log10() > 4).double(),
        ),
        "neighbours": (
            lambda e, x, y: float((x[1:] - x[:-1]).square().mean()),
            ((fast.x[:, 1:] - fast.x[:, :-1]).square().sum(2) * (torch.arange(199) < fast.points[:, None] - 1)).sum(1)
            / (fast.points - 1)
            / fast.dimensions,
        ),
    }
    for name, (of, values) in features.items():
        slow = torch.tensor([float(of(*example)) for example in drawn], dtype=torch.float64)
        error = (slow.var() / len(slow) + values.var() / len(values)).sqrt()
        assert float((slow.mean() - values.mean()).abs() / error) < 3.5, name
