"""Description length: a code that Kraft's inequality allows, and the prices of numbers."""

import math

import pytest
import torch

from sr_accessor.expressions.description import (
    FACTORS,
    FRACTION_BITS,
    constant_bits,
    convergents,
    literal_bits,
    structure_bits,
    symbol_bits,
)
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, VARIABLE


@pytest.mark.parametrize("dimensions", [0, 1, 3, 500])
@pytest.mark.parametrize("active", [None, ["add"], ["add", "mul", "sin", "pi"]])
def test_kraft(dimensions, active, vocabulary):
    chosen = vocabulary if active is None else vocabulary.restricted(active)
    bits = symbol_bits(chosen, dimensions)
    usable = [CONSTANT, LITERAL, *(chosen.id(o.name) for o in chosen)]
    total = torch.exp2(-bits[usable]).sum() + dimensions * torch.exp2(-bits[VARIABLE])
    assert total.item() == pytest.approx(1, abs=1e-12)


def test_kraft_over_whole_expressions(vocabulary):
    """Expressions of at most 7 symbols, counted by their open places: their code lengths leave room for longer ones."""
    chosen = vocabulary.restricted(["add", "mul", "sin"])
    bits, dimensions = symbol_bits(chosen, 2), 2
    weight = [0.0, 0.0, 0.0]  # by arity
    for code, count in [(CONSTANT, 1), (LITERAL, 1), (VARIABLE, dimensions), *((chosen.id(o.name), 1) for o in chosen)]:
        weight[int(chosen.arities[code])] += count * 2 ** -bits[code].item()
    open_places, complete = {1: 1.0}, 0.0
    for _ in range(7):
        following: dict[int, float] = {}
        for places, mass in open_places.items():
            for arity, w in enumerate(weight):
                following[places - 1 + arity] = following.get(places - 1 + arity, 0.0) + mass * w
        complete += following.pop(0, 0.0)
        open_places = following
    assert 0.5 < complete <= 1


def test_structure_bits_add_up(random_expressions, vocabulary):
    batch = random_expressions(50, seed=60)
    bits, table = structure_bits(batch, 3), symbol_bits(vocabulary, 3)
    for row in range(50):
        codes = batch.codes[row, : batch.lengths[row]].tolist()
        assert bits[row].item() == pytest.approx(sum(table[min(c, VARIABLE)].item() for c in codes))
    assert bits.dtype == torch.float64


def test_order_of_prices(vocabulary):
    table = symbol_bits(vocabulary, 3)
    prices = [table[vocabulary.id(n)].item() for n in ("mul", "div", "add", "sqrt", "exp", "sin", "tanh", "tan")]
    assert prices == sorted(prices)
    narrow = symbol_bits(vocabulary.restricted(["add", "mul"]), 3)
    assert narrow[vocabulary.id("mul")] < table[vocabulary.id("mul")]  # less choice, fewer bits
    assert torch.isfinite(narrow[FIRST_OPERATOR : FIRST_OPERATOR + 25]).all()  # a user's text may use the others
    assert symbol_bits(vocabulary, 8)[VARIABLE] == pytest.approx(symbol_bits(vocabulary, 1)[VARIABLE].item() + 3)


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (0.0, 1),
        (1.0, 1),
        (-1.0, 1),
        (2.0, 3),
        (0.5, 3),
        (-1 / 3, 1 + 2 * math.log2(3)),
        (3 / 4, 1 + 2 * math.log2(3) + 4),
        (math.pi, 4),
        (2 * math.pi, 6),
        (1 / math.pi, 4),
        (math.pi**2 / 6, 1 + 2 * math.log2(6) + 6),
        (math.sqrt(2), 5.0),
        (1 / math.sqrt(2 * math.pi), 10),
        (1000.0, 3 + math.log2(10)),
        (0.3127, 3 + 4 * math.log2(10)),
        (-6.02e23, 3 + 3 * math.log2(10)),
        (0.31271828, 64),
        (1e300, 3 + math.log2(10)),
        (math.nan, 64),
        (math.inf, 64),
    ],
)
def test_literals(value, bits):
    assert literal_bits(torch.tensor([[value]], dtype=torch.float64)).tolist() == [[pytest.approx(bits)]]


def test_convergents_are_those_of_pi():
    """3, 22/7, 333/106, 355/113 [Khinchin 1964, §6]; those with larger terms are not offered."""
    fractions, bits = convergents(torch.tensor([-math.pi], dtype=torch.float64))
    assert fractions[0, :4].tolist() == [3, 22 / 7, 333 / 106, 355 / 113]
    assert bits[0].isfinite().tolist() == [True] * 4 + [False] * 2


def test_a_fraction_costs_its_terms():
    value = torch.tensor([19 / 36, -1 / 108], dtype=torch.float64)
    expected = [1 + FRACTION_BITS + 2 * math.log2(19 * 36), 1 + FRACTION_BITS + 2 * math.log2(108)]
    assert literal_bits(value).tolist() == pytest.approx(expected)


def test_literals_are_vectorised_and_scalars_work():
    values = torch.tensor([f for f, _ in FACTORS], dtype=torch.float64).repeat(4, 1)
    assert literal_bits(values).shape == values.shape and (literal_bits(values) < 64).all()
    assert literal_bits(torch.tensor(2.0, dtype=torch.float64)).item() == 3


def test_free_constants():
    values = torch.tensor([8.0, -8.0, 1.0, 0.0, 3.0, 5.0, 3.0], dtype=torch.float64)
    stderr = torch.tensor([0.1, 0.1, 1.0, 1.0, 1.0, 0.0, math.nan], dtype=torch.float64)
    expected = [2 + math.log2(81), 2 + math.log2(81), 2 + 1 + 15, 2 + 15, 4, 54, 17]
    assert constant_bits(values, stderr).tolist() == pytest.approx(expected)


def test_a_simpler_law_costs_less(vocabulary):
    def bits(text):
        return structure_bits(parse(text, vocabulary, ["x", "y"]), 2).item()

    assert bits("x*y") < bits("x + y") < bits("sin(x + y)") < bits("tan(x + y)") < bits("tan(x + y) + y")
