"""SRBench's rule: relations of pairs of formulas, each truth its own solution, limits of time, sizes."""

import pytest
import sympy

from sr_accessor.evaluation.problems import read_records
from sr_accessor.evaluation.symbolic_solution import check, model_size, relation, round_floats
from sr_accessor.expressions.symbolic import to_sympy

x, y, z = sympy.symbols("x y z")
RECORDS = [r for r in read_records() if r.formula is not None]

CASES = [  # candidate, truth, relation
    (x**2 + y, x**2 + y, "equal"),
    (x**2 + y + 3.2, x**2 + y, "shifted"),
    (2.5 * x**2 + 2.5 * y, x**2 + y, "scaled"),
    (x + 1e-2 * x**2, x, "different"),
    (x + 1e-5 * x**2, x, "equal"),  # |c| < 1e-4 is rounded away
    (1.0004 * x * y + 2.0, x * y, "shifted"),  # three decimals
    (1.02 * x + y, x + y, "different"),
    (sympy.sin(1.0000001 * x), sympy.sin(x), "equal"),
    (sympy.Float(3.7), x, "constant"),
    (sympy.nan, x, "constant"),
    (sympy.sin(x) ** 2 + sympy.cos(x) ** 2 + y, y, "shifted"),
    (sympy.log(3 * x) * 2, 2 * sympy.log(x), "shifted"),
    (x**2.0 * y**0.5, x**2 * sympy.sqrt(y), "scaled"),
    (x / (y * z), 4 * sympy.pi * x / (y * z), "scaled"),
    (3.14159265 * x + y**2, sympy.pi * x + y**2, "equal"),
    (2 * x + 2 * y + 1, x + y, "different"),  # a scale and a shift are two constants
    (1 / x, x, "different"),
    (sympy.sqrt(x**2), x, "different"),  # symbols are complex, as in SRBench
]


@pytest.mark.parametrize(("candidate", "truth", "expected"), CASES)
def test_relation(candidate, truth, expected):
    assert relation(candidate, truth) == expected


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.name)
def test_every_truth_is_its_own_solution(record):
    truth = to_sympy(record.expression, record.features)[0]
    assert relation(truth, truth) == "equal"
    assert relation(truth + sympy.Float(0.37), truth) == "shifted"
    if not truth.atoms(sympy.Float):  # SRBench's three digits break the ratio of most sums with floats
        assert relation(2 * truth, truth) == "scaled"


def test_check_asks_another_process():
    assert check((x + y) ** 2 + 1.5, x**2 + 2 * x * y + y**2).relation == "shifted"


def test_check_ends_a_long_thought():
    # thirty nested radicals: simplify takes minutes
    slow = sum(sympy.sqrt(x**k + sympy.sqrt(y + k * sympy.sqrt(x + k))) for k in range(1, 12))
    slow = slow**3 / (sympy.sin(slow) + sympy.cos(x * y) ** 3)
    verdict = check(slow, slow.subs(x, x + 1e-3), seconds=1.0)
    assert verdict.relation == "out of time" and not verdict.exact and verdict.seconds < 20


def test_model_size_counts_sympys_nodes():
    assert model_size(x - y) == 5  # Add(x, Mul(-1, y))
    assert model_size(x / y) == 5  # Mul(x, Pow(y, -1))
    assert model_size(x + 1e-6 * y) == 1  # rounded first
    assert model_size(x + 1e-6 * y, rounded=False) == 5
    assert model_size(1.5 * sympy.sin(x)) == 4


def test_round_floats():
    assert round_floats(0.00009 * x + 0.12345 * y) == sympy.Float(0.123, 3) * y
