"""Random trees: uniform skeletons, legal prefix words, and the laws of each preset."""

from collections import Counter

import pytest
import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import PAD, VARIABLE, Vocabulary
from sr_accessor.prior.reference import ways
from sr_accessor.prior.trees import (
    EXPONENT,
    NUMBER,
    PAPER_BINARY,
    PAPER_UNARY,
    ends,
    paper_trees,
    parents,
    sample_symbols,
    science_trees,
    skeletons,
    splice,
    weights,
)

VOCABULARY = Vocabulary(ELEMENTARY)
CODE = {o.name: VOCABULARY.id(o.name) for o in ELEMENTARY}
ADD, MUL, SIN, X, Y = CODE["add"], CODE["mul"], CODE["sin"], VARIABLE, VARIABLE + 1


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_skeletons_are_uniform_over_the_binary_trees():
    drawn = skeletons(torch.full((14000,), 4), generator(1))
    counts = Counter(tuple(row) for row in drawn.tolist())
    assert len(counts) == ways(1, 4) == 14  # Catalan(4)
    chi_squared = sum((n - 1000) ** 2 / 1000 for n in counts.values())
    assert chi_squared < 34.5  # 0.1 % of the χ² with 13 degrees of freedom


def test_skeletons_of_mixed_sizes_are_complete_words():
    b = torch.arange(200) % 13
    drawn = skeletons(b, generator(2))
    open_places = 1 + torch.where(drawn == 2, 1, torch.where(drawn == 0, -1, 0)).cumsum(1)
    last = 2 * b
    assert bool((open_places.gather(1, last[:, None]) == 0).all())
    assert bool(((open_places > 0) | (torch.arange(drawn.shape[1]) >= last[:, None])).all())
    assert bool(((drawn == 2).sum(1) == b).all())


def test_ends_and_parents():
    codes = torch.tensor([[ADD, MUL, X, Y, SIN, X, PAD]])
    arity = VOCABULARY.arities[codes.clamp(max=VARIABLE)].masked_fill(codes == PAD, -1)
    assert ends(arity)[0, :6].tolist() == [6, 4, 3, 4, 6, 6]
    assert parents(arity, codes, ends(arity))[0, :6].tolist() == [PAD, ADD, MUL, MUL, ADD, SIN]


def test_splice_puts_the_last_symbols_in_front():
    codes = torch.tensor([[ADD, X, Y], [X, PAD, PAD]])
    extra = torch.tensor([CODE["exp"], SIN]).expand(2, 3, 2)
    out = splice(codes, torch.tensor([[0, 2, 1], [1, 0, 0]]), extra)
    assert out.tolist() == [[ADD, CODE["exp"], SIN, X, SIN, Y], [SIN, X, PAD, PAD, PAD, PAD]]


def test_symbols_follow_the_weights_of_their_family():
    table = torch.zeros(3, VARIABLE, dtype=torch.float64)
    table[0, 10], table[0, 20], table[1, 30] = 1.0, 3.0, 0.1
    family = torch.tensor([0, 1, 2]).repeat(4000)
    drawn = sample_symbols(table, family, 2, generator(3))
    share = (drawn[family == 0] == 20).double().mean()
    assert abs(float(share) - 0.75) < 0.02
    assert set(drawn[family == 0].unique().tolist()) == {10, 20}
    assert drawn[family == 1].unique().tolist() == [30]
    assert drawn[family == 2].unique().tolist() == [PAD]  # a family without operators


def test_paper_trees_before_rejection():
    """Nominal shares (system.md §1.1), leaves, no unary at the root or on a unary, unaries on small subtrees only."""
    d = torch.randint(1, 11, (6000,), generator=generator(4))
    u = torch.randint(0, 5, (6000,), generator=generator(5))
    codes = paper_trees(d, u, VOCABULARY, generator(6))
    leaves = codes >= VARIABLE
    binaries = leaves.sum(1) - 1
    extra = torch.bincount(binaries - d + 1, minlength=5) / len(d)
    assert extra.shape == (5,) and float((extra - 0.2).abs().max()) < 0.02
    for k in range(10):
        assert bool(((codes == VARIABLE + k).any(1) == (d > k)).all())
    arity = VOCABULARY.arities[codes.clamp(max=VARIABLE)]
    unary = arity == 1
    assert not unary[:, 0].any()
    assert not (unary[:, :-1] & unary[:, 1:]).any()
    assert bool((unary.sum(1) <= u).all())
    size = ends(arity.masked_fill(codes == PAD, -1)) - torch.arange(codes.shape[1])
    # a unary's argument has at most 5 operators and leaves, not counting unaries within
    inner = torch.nn.functional.pad(size[:, 1:], (0, 1))
    assert int(inner[unary].max()) <= 5 + 4
    total = sum(PAPER_UNARY.values())
    for name, weight in PAPER_UNARY.items():
        share = float((codes == CODE[name]).sum() / unary.sum())
        assert abs(share - weight / total) < 0.012, name
    binary = {n: float((codes == CODE[n]).sum()) for n in PAPER_BINARY}
    assert max(binary.values()) / min(binary.values()) < 1.05


def science(count: int, seed: int, dimensions: int = 4, vocabulary: Vocabulary = VOCABULARY) -> torch.Tensor:
    return science_trees(torch.full((count,), dimensions), vocabulary, generator(seed))


def test_science_trees_have_what_the_paper_lacks():
    codes = science(6000, 7)
    arity = VOCABULARY.arities[codes.clamp(max=VARIABLE)]
    unary = arity == 1
    assert 0.03 < float(unary[:, 0].double().mean()) < 0.5  # at the root
    assert float((unary[:, :-1] & unary[:, 1:]).any(1).double().mean()) > 0.05  # on each other
    for name, least in {"div": 0.2, "pow": 0.1, "exp": 0.04, "sqrt": 0.04, "tanh": 0.002}.items():
        assert float((codes == CODE[name]).any(1).double().mean()) > least, name
    assert float((codes == EXPONENT).any(1).double().mean()) > 0.1
    assert float((codes == NUMBER).any(1).double().mean()) > 0.05
    used = torch.stack([(codes == VARIABLE + k).any(1) for k in range(4)], 1)
    assert 0.1 < float((~used.all(1)).double().mean()) < 0.35  # irrelevant columns
    assert float((used.double().mean(0) - used.double().mean()).abs().max()) < 0.03  # no column is special
    repeated = (codes >= VARIABLE).sum(1) > used.sum(1)
    assert float(repeated.double().mean()) > 0.2


def test_an_exponent_stands_only_in_a_power():
    codes = science(3000, 8)
    arity = VOCABULARY.arities[codes.clamp(max=VARIABLE)].masked_fill(codes == PAD, -1)
    above = parents(arity, codes, ends(arity))
    assert above[codes == EXPONENT].unique().tolist() == [CODE["pow"]]
    assert bool((codes >= VARIABLE).any(1).all())


def test_only_active_operators_and_strangers_take_part():
    airy = Operator("airy", 1, torch.sin, "sympy:airyai")
    vocabulary = VOCABULARY.extended([airy]).restricted(["add", "mul", "airy"])
    codes = science(2000, 9, vocabulary=vocabulary)
    inner = codes[(codes < VARIABLE) & (codes > NUMBER)]
    assert set(inner.unique().tolist()) == {ADD, MUL, vocabulary.id("airy")}


@pytest.mark.parametrize("names", [["sin", "exp"], ["pow", "sqrt"]])
def test_a_vocabulary_without_sums_still_gives_trees(names):
    codes = science(300, 10, vocabulary=VOCABULARY.restricted(names))
    inner = codes[(codes < VARIABLE) & (codes > NUMBER)]
    assert set(inner.unique().tolist()) <= {CODE[n] for n in names}


def test_weights_read_only_active_operators():
    table = weights(PAPER_BINARY, 2, VOCABULARY.restricted(["add", "sin"]))
    assert table.nonzero().tolist() == [[0, ADD]]
