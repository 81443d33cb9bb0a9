"""Text is read back to the same values bit for bit, and has no needless parentheses."""

import pytest
import torch

from sr_accessor.errors import InputError
from sr_accessor.expressions.batch import constant
from sr_accessor.expressions.evaluate import read_prefix
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.text import fraction, to_text

WITHOUT_SHORTHAND = "add sub mul div pow neg abs sqrt log exp sin min max".split()


@pytest.mark.parametrize("seed", range(4))
def test_parsing_the_text_gives_the_same_values_bit_for_bit(seed, random_expressions, vocabulary, names, points):
    # The prefix reader computes every row alike: the program's last bit depends on places in its slabs.
    batch = random_expressions(150, seed=seed, depth=4)
    for row, text in enumerate(to_text(batch, names)):
        again = parse(text, vocabulary, names)
        expected, have = read_prefix(batch[row], points)[0], read_prefix(again, points)[0]
        assert torch.equal(expected.nan_to_num(7.7), have.nan_to_num(7.7)), text


def test_text_without_the_shorthand_operators(random_expressions, vocabulary, names, points):
    active = vocabulary.restricted(WITHOUT_SHORTHAND)
    batch = random_expressions(150, seed=9, operators=WITHOUT_SHORTHAND)
    for row, text in enumerate(to_text(batch, names)):
        again = parse(text, active, names)
        same = read_prefix(batch[row], points)[0].nan_to_num(7.7) == read_prefix(again, points)[0].nan_to_num(7.7)
        assert same.all(), text


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("((x)+((y)))", "x + y"),
        ("x+(y+x)", "x + (y + x)"),
        ("(x+y)+x", "x + y + x"),
        ("x-(y-x)", "x - (y - x)"),
        ("x-(-y)", "x + y"),
        ("x+(-2*y)", "x - 2*y"),
        ("x*(y*x)", "x*(y*x)"),
        ("x/(y/x)", "x/(y/x)"),
        ("x/(y*2)", "x/(y*2)"),
        ("(x/y)*2", "x/y*2"),
        ("(x**y)**2", "(x**y)**2"),
        ("x**(y**2)", "x**y**2"),
        ("(-x)**2", "(-x)**2"),
        ("-(x**2)", "-x**2"),
        ("(-x)*y", "-x*y"),
        ("-(-x)", "-(-x)"),
        ("x*(-y)", "x*(-y)"),
        ("-(x+y)", "-(x + y)"),
        ("x^-2", "x**(-2)"),
        ("inv(x)", "1/x"),
        ("div(1, x)", "1.0/x"),
        ("pow(x, 2)", "x**2.0"),
        ("square(x) + cube(y)", "x**2 + y**3"),
        ("x*(1/3)", "x*(1/3)"),
        ("2/3*x", "2/3*x"),
        ("0.25*x + 19/10", "0.25*x + 1.9"),
        ("1e300*x + 1e-7", "1e+300*x + 1e-07"),
        ("min(x, -y)*pi", "min(x, -y)*pi"),
        ("log10(x)", "log(x)/log(10)"),
    ],
)
def test_normal_form(given, written, vocabulary):
    assert to_text(parse(given, vocabulary, ["x", "y"]), ["x", "y"]) == [written]


def test_rounded_text_is_for_reading(vocabulary):
    e = parse("1.23456789*x + (0.1*y + 1/3*x**(2/3)) + 2.00000001", vocabulary, ["x", "y"], numbers="constant")
    assert to_text(e, ["x", "y"], digits=4) == ["1.235*x + 0.1*y + 0.3333*x**(2/3) + 2"]
    assert to_text(e, ["x", "y"]) == ["1.23456789*x + (0.1*y + 0.3333333333333333*x**(2/3)) + 2.00000001"]


def test_labels(vocabulary):
    names = ["T [K]", "a`b", 3, "λ", "exp", "pi", ("flow", "in"), "x\ny", "1e5"]
    text = " + ".join(
        ["`T [K]`", "`a``b`", "`3`", "λ", "exp", "pi", "`('flow', 'in')`", "`x\ny`", "`1e5`", "exp(pi())"]
    )
    e = parse(text, vocabulary, names)
    assert to_text(e, names) == [text]
    assert [bool(e.uses(d)) for d in range(len(names))] == [True] * len(names)


def test_numbers_are_exact(vocabulary):
    values = [0.1, 1 / 3, -2 / 7, 1e-320, 1.7976931348623157e308, -0.0, 123456789012345680.0, 2.0**53, -7.0]
    for value in values:
        again = parse(to_text(constant([value], vocabulary), [])[0], vocabulary, [])
        assert again.constants.tolist() == [[value]] and str(again.constants.item()) == str(value)


def test_fractions():
    assert fraction(1 / 3) == (1, 3) and fraction(-0.5) == (-1, 2) and fraction(25 / 12) == (25, 12)
    assert fraction(-1 / 108) == (-1, 108) and fraction(0.003) is None
    assert fraction(0.3333) is None and fraction(2.0) is None and fraction(float("inf")) is None


def test_operators_of_plugins(vocabulary):
    more = vocabulary.extended([Operator("erf", 1, torch.erf, "sympy:erf"), Operator("g0", 0, lambda: 9.8, float)])
    assert to_text(parse("erf(x)**2*g0", more, ["x"]), ["x"]) == ["erf(x)**2*g0"]


def test_too_few_names(vocabulary):
    with pytest.raises(InputError, match="uses variable 1, but only 1 names"):
        to_text(parse("x + y", vocabulary, ["x", "y"]), ["x"])
