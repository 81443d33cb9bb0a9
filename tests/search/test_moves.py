"""Moves: splicing puts exactly the donor in the place of exactly one sub-expression; children are well-formed."""

import pytest
import torch

from sr_accessor.expressions.batch import concatenate, constant, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.prior.examples import sample_expressions
from sr_accessor.search.moves import MOST_SYMBOLS, offspring, splice

VOCABULARY = Vocabulary(ELEMENTARY)
X = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5


def drawn(count: int, seed: int, vocabulary: Vocabulary = VOCABULARY):
    return sample_expressions("science", count, 2, vocabulary, torch.Generator().manual_seed(seed))


def places(laws, seed: int):
    share = torch.rand(len(laws), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (share * laws.lengths).long()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_donor_takes_the_place(seed):
    parents, donors = drawn(200, seed), drawn(200, seed + 10)
    place, rows = places(parents, seed), torch.arange(200)
    replaced = parents.subexpression(rows, place)
    children = splice(parents, place, donors)
    assert bool(children.well_formed.all())
    found = children.subexpression(rows, place)
    width = found.codes.shape[1]
    assert torch.equal(found.codes, donors.trimmed().codes[:, :width])
    count = found.constants.shape[1]
    assert torch.equal(found.constants, donors.trimmed().constants[:, :count])
    assert torch.equal(children.lengths, parents.lengths - replaced.lengths + donors.lengths)
    assert torch.equal(children.number_counts, parents.number_counts - replaced.number_counts + donors.number_counts)


def test_putting_back_gives_the_parent():
    parents, donors = drawn(200, 5), drawn(200, 6)
    place, rows = places(parents, 5), torch.arange(200)
    replaced = parents.subexpression(rows, place)
    again = splice(splice(parents, place, donors), place, replaced)
    assert torch.equal(again.codes, parents.trimmed().codes)
    assert torch.equal(again.constants, parents.trimmed().constants)


def test_a_donor_of_equal_value_changes_no_value():
    parents = drawn(200, 7)
    place, rows = places(parents, 7), torch.arange(200)
    below = parents.subexpression(rows, place)
    # 2·f − f is f up to rounding
    same = constant([2.0], VOCABULARY) * below - below
    one, other = evaluate(parents, X)[0], evaluate(splice(parents, place, same), X)[0]
    tame = one.isfinite().all(1) & (one.abs() < 1e3).all(1)
    assert int(tame.sum()) > 100
    torch.testing.assert_close(one[tame], other[tame], rtol=1e-6, atol=1e-6)


def test_at_the_root_the_donor_is_everything():
    parents, donors = drawn(50, 8), drawn(50, 9)
    children = splice(parents, torch.zeros(50, dtype=torch.int64), donors)
    assert torch.equal(children.codes, donors.trimmed().codes)


@pytest.mark.parametrize(
    "names", [None, ["add", "mul", "sin"], ["mul", "square"], ["add", "sub"], ["exp", "log"]], ids=str
)
def test_children_are_well_formed_and_of_active_operators(names):
    vocabulary = VOCABULARY if names is None else VOCABULARY.restricted(names)
    parents = concatenate([drawn(60, 3, vocabulary), constant([1.5, 2.5], vocabulary)])
    groups = variable([0, 1], vocabulary)
    if "mul" in vocabulary:
        groups = concatenate([groups, groups * variable([1], vocabulary)])
    weight = torch.linspace(9, 1, len(parents), dtype=torch.float64)
    children = offspring(parents, weight, groups, 2, 800, torch.Generator().manual_seed(0))
    assert bool(children.well_formed.all()) and bool(children.permitted.all())
    assert int(children.lengths.max()) <= MOST_SYMBOLS and len(children) > 600
    assert int(children.codes.max()) < 256 + 2
    assert len(torch.unique(children.codes, dim=0)) > 12


def test_children_come_from_the_generator():
    parents, weight = drawn(60, 3), torch.ones(60, dtype=torch.float64)
    groups = variable([0, 1], VOCABULARY)
    one, same, other = (offspring(parents, weight, groups, 2, 200, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one.codes, same.codes) and torch.equal(one.constants, same.constants)
    assert one.codes.shape != other.codes.shape or not torch.equal(one.codes, other.codes)


def test_heavy_parents_have_more_children():
    """Twenty heavy parents with tan, twenty light ones with acos: whose symbol prevails."""
    a, b = (variable([0] * 20, VOCABULARY).apply(name) for name in ("tan", "acos"))
    weight = torch.tensor([30.0] * 20 + [1.0] * 20)
    groups = variable([0], VOCABULARY)
    children = offspring(concatenate([a, b]), weight, groups, 1, 1000, torch.Generator().manual_seed(0))
    heavy, light = (int((children.codes == VOCABULARY.id(n)).any(1).sum()) for n in ("tan", "acos"))
    assert heavy > 4 * light
