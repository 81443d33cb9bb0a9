"""sympy both ways keeps values, exactness and labels."""

import subprocess
import sys
import time

import pytest
import sympy
import torch

from sr_accessor.errors import InputError, UnknownNameError
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.symbolic import from_sympy, to_sympy
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL

NAMES = ["x", "y"]
x, y = sympy.symbols("x y")


@pytest.mark.parametrize("seed", range(2))
def test_there_and_back_keeps_the_values(seed, random_expressions, vocabulary, names, points):
    positive = points.abs()  # sympy may cancel, so that more points are valid: compared where ours are
    batch = random_expressions(150, seed=seed + 30, depth=3)
    values, valid = evaluate(batch, positive)
    for row, symbolic in enumerate(to_sympy(batch, names)):
        if not valid[row].any():
            continue
        again = from_sympy(symbolic, vocabulary, names)
        have = evaluate(again, positive)[0][0]
        ours = values[row][valid[row]]
        tame = ours.abs() < 1e8
        torch.testing.assert_close(have[valid[row]][tame], ours[tame], rtol=1e-7, atol=1e-9, msg=str(symbolic))


def test_large_fractions_are_exact_beside_exact_numbers_only(vocabulary):
    exact, measured = to_sympy(parse("x/108 + 1/3*y - 19/36", vocabulary, NAMES), NAMES) + to_sympy(
        parse("71/15*x + 1/3*y + 0.23", vocabulary, NAMES), NAMES
    )
    assert exact == x / 108 + y / 3 - sympy.Rational(19, 36)
    assert measured.coeff(x).is_Float and measured.coeff(y) == sympy.Rational(1, 3)


def test_exactness(vocabulary):
    e = parse("2*x + 1/3*y + 0.1 + 12345678", vocabulary, NAMES)
    [literal] = to_sympy(e, NAMES)
    assert literal == 2 * x + y / 3 + sympy.Float(0.1) + sympy.Float(12345678)
    [free] = to_sympy(e.freed(), NAMES)
    assert free.atoms(sympy.Rational) <= {sympy.Integer(1)}
    value = 0.1234567890123456789
    [number] = to_sympy(parse(repr(value), vocabulary, [], numbers="constant"), [])
    assert float(number) == value and number.is_Float
    back = from_sympy(sympy.Float(value) * x + sympy.Rational(2, 3) * y, vocabulary, NAMES)
    kinds = dict(zip(back.constants[0].tolist(), back.free[0].tolist(), strict=True))
    assert kinds == {value: True, 2 / 3: False}
    assert {CONSTANT, LITERAL} <= set(back.codes[0].tolist())


def test_symbols_carry_the_labels(vocabulary):
    names = ["T [K]", 3, "I", "lambda"]
    [symbolic] = to_sympy(parse("`T [K]` + `3`*I/lambda", vocabulary, names), names)
    assert {s.name for s in symbolic.free_symbols} == {"T [K]", "3", "I", "lambda"}
    assert symbolic == sympy.Symbol("T [K]") + sympy.Symbol("3") * sympy.Symbol("I") / sympy.Symbol("lambda")


@pytest.mark.parametrize(
    ("symbolic", "text"),
    [
        (1 / x, "1/x"),
        (sympy.sqrt(x), "sqrt(x)"),
        (1 / sympy.sqrt(x), "1/sqrt(x)"),
        (x**2 * y**3, "x**2*y**3"),
        (x**-2, "1/x**2"),
        (x / y**2, "x/y**2"),
        (1 / (x * y), "1/(x*y)"),
        (x - y, "x - y"),
        (-x - y, "-x - y"),
        (y - x, "y - x"),
        (-x / 4, "-x/4"),
        (sympy.Rational(3, 4) * x, "0.75*x"),
        (-2 * x * y, "-2*x*y"),
        (x ** sympy.Rational(2, 3), "x**(2/3)"),
        (sympy.exp(-x) + sympy.E, "exp(1) + exp(-x)"),
        (sympy.pi * x, "pi*x"),
        (sympy.Max(x, y, 3), "max(max(3, x), y)"),
        (sympy.log(sympy.Abs(x)), "log(abs(x))"),
        (sympy.Integer(0), "0"),
        (2, "2"),
    ],
)
def test_normal_forms(symbolic, text, vocabulary):
    assert to_text(from_sympy(symbolic, vocabulary, NAMES), NAMES) == [text]


def test_operators_that_are_not_active_are_avoided(vocabulary):
    few = vocabulary.restricted(["add", "mul", "div", "pow", "neg"])
    names = {few.operator(c).name for c in from_sympy(sympy.sqrt(x) / y**2 + x**3, few, NAMES).codes[0] if 8 <= c < 256}
    assert names == {"add", "div", "pow"}


def test_operators_of_plugins(vocabulary):
    with pytest.raises(UnknownNameError, match="no operator computes sympy's erf"):
        from_sympy(sympy.erf(x), vocabulary, NAMES)
    more = vocabulary.extended([Operator("erf", 1, torch.erf, "sympy:erf")])
    assert to_text(from_sympy(sympy.erf(x) ** 2, more, NAMES), NAMES) == ["erf(x)**2"]


@pytest.mark.parametrize("wrong", [sympy.zoo, sympy.oo, sympy.nan, sympy.I * x, sympy.Float("1e400") * x])
def test_what_is_not_a_real_number_is_refused(wrong, vocabulary):
    with pytest.raises(InputError, match="not a finite real number"):
        from_sympy(wrong, vocabulary, NAMES)


def test_unknown_symbols_are_refused(vocabulary):
    with pytest.raises(UnknownNameError, match="no variable 'xx'; did you mean 'x'"):
        from_sympy(sympy.Symbol("xx"), vocabulary, NAMES)


@pytest.mark.parametrize("text", ["9**9**9**9", "((2*x)**10000)**10000", "exp(exp(exp(exp(9))))", "2**(10**10)*x"])
def test_towers_of_powers_do_not_hang(text, vocabulary):
    start = time.perf_counter()
    to_sympy(parse(text, vocabulary, NAMES), NAMES)
    assert time.perf_counter() - start < 1


def test_sympy_is_imported_only_when_used():
    code = (
        "import sys, sr_accessor.expressions.simplify, sr_accessor.expressions.latex; assert 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("text", ["x + 1", "__import__('os').getcwd()"])
def test_text_is_no_expression_and_is_not_evaluated(vocabulary, text):
    with pytest.raises(InputError, match="text is read by parse"):
        from_sympy(text, vocabulary, ["x"])
