"""Random numbers: their values, and where the paper puts them."""

import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, PAD, VARIABLE, Vocabulary
from sr_accessor.prior.constants import (
    MAGNITUDE,
    POWERS,
    SIMPLE,
    draw_paper_numbers,
    paper_prefactors,
    science_numbers,
)
from sr_accessor.prior.trees import EXPONENT, science_trees

VOCABULARY = Vocabulary(ELEMENTARY)


def placed(text: str) -> str:
    codes = [[VARIABLE + int(w[1:]) if w[0] == "x" else VOCABULARY.id(w) for w in text.split()]]
    out = paper_prefactors(torch.tensor(codes), VOCABULARY)[0].tolist()
    names = {CONSTANT: "c"}
    return " ".join(
        names.get(c, f"x{c - VARIABLE}") if c >= VARIABLE or c in names else VOCABULARY.operator(c).name
        for c in out
        if c
    )


def test_placement_of_the_paper():
    """system.md §1.3, "reduced constants"."""
    assert placed("x0") == "add c mul c x0"  # nothing inserted: a factor for the whole
    assert placed("mul x0 x1") == "add c mul c mul x0 x1"  # nothing between factors
    assert placed("add x0 x1") == "add c add mul c x0 mul c x1"
    assert placed("add sub x0 x1 x2") == "add c add sub mul c x0 mul c x1 mul c x2"
    assert placed("mul sin x0 x1") == "add c mul sin add c mul c x0 x1"
    assert placed("mul sin add x0 x1 x1") == "add c mul sin add mul c x0 mul c x1 x1"
    assert placed("add sin mul x0 x1 x2") == "add c add mul c sin add c mul c mul x0 x1 mul c x2"


def test_values_of_the_paper():
    """sign ±1, mantissa 1..999, exponent -3..-1: 0.001 … 99.9 with at most three significant digits."""
    codes = torch.full((4000, 5), CONSTANT)
    values = draw_paper_numbers(codes, VOCABULARY, torch.Generator().manual_seed(1)).constants.view(-1)
    assert abs(float((values > 0).double().mean()) - 0.5) < 0.01
    size = values.abs()
    assert float(size.min()) >= 0.001 and float(size.max()) <= 99.9
    thousandths = size * 1000
    assert float((thousandths - thousandths.round()).abs().max()) < 1e-9
    three_digits = size / 10 ** (size.log10().floor() - 2)
    assert float((three_digits - three_digits.round()).abs().max()) < 1e-9
    assert abs(float(size.mean()) - 500 * (0.1 + 0.01 + 0.001) / 3) < 0.5


def test_absent_numbers_are_zero():
    codes = torch.tensor([[CONSTANT, PAD], [VOCABULARY.id("sin"), VARIABLE]])
    e = draw_paper_numbers(codes, VOCABULARY, torch.Generator().manual_seed(2))
    assert e.constants.shape == (2, 1) and e.constants[1].item() == 0.0


def test_numbers_of_science():
    g = torch.Generator().manual_seed(3)
    trees = science_trees(torch.full((6000,), 3), VOCABULARY, g)
    e = science_numbers(trees, VOCABULARY, g)
    assert bool(e.well_formed.all())
    assert not ((e.codes > LITERAL) & (e.codes < 8)).any()  # no placeholder is left
    free = e.constants[e.free]
    literal = e.constants[(torch.arange(e.constants.shape[1]) < e.number_counts[:, None]) & ~e.free]
    assert set(literal.abs().tolist()) <= {abs(v) for v in (*SIMPLE, *POWERS)}
    assert 0.3 < len(free) / (len(free) + len(literal)) < 0.6
    assert float(free.abs().max()) <= MAGNITUDE[1]
    # log-uniform: as many below as above the middle of the decades
    wide = free[free.abs() >= 3]  # beyond the exponents' range
    assert abs(float((wide.abs() < 60**0.5).double().mean()) - 0.5) < 0.06
    assert 0.1 < float((free < 0).double().mean()) < 0.4
    # prefactors are not obligatory
    assert float((e.number_counts == 0).double().mean()) > 0.1
    longer = e.lengths - (trees != PAD).sum(1)
    assert 0.2 < float((longer > 0).double().mean()) < 0.8


def test_exponents_are_simple_or_real():
    g = torch.Generator().manual_seed(4)
    codes = torch.tensor([[VOCABULARY.id("pow"), VARIABLE, EXPONENT]]).expand(5000, 3).contiguous()
    e = science_numbers(codes, VOCABULARY, g)
    simple = e.codes[:, 2] == LITERAL
    plain = e.lengths == 3  # without factors or offsets
    values = e.constants[:, 0][plain & simple]
    assert set(values.tolist()) == set(POWERS)
    assert abs(float((values == 2).double().mean()) - POWERS[2.0] / sum(POWERS.values())) < 0.03
    real = e.constants[:, 0][plain & ~simple]
    assert float(real.abs().max()) <= 3.0 and len(real) > 300
