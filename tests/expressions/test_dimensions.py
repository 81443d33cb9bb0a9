"""Dimensions: which laws are consistent, the unit of each constant, the column that does not fit."""

import pytest
import torch

from sr_accessor.errors import UnitError
from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.dimensions import (
    Dimensions,
    check_reachable,
    consistent,
    constant_units,
    mismatch,
    products,
)
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse, parse_model

NAMES = ["m", "a", "t", "x", "n"]
SI = ["kg", "m/s^2", "s", "m", ""]
PARAMETERS = dict.fromkeys(["A", "B", "C", "k", "w", "phi"], 1.0)


@pytest.fixture
def mechanics():
    return Dimensions.of(SI, "N", NAMES, "F")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("m*a", None),
        ("m*x/t**2", None),
        ("sin(x/(a*t**2))*m*a", None),
        ("2*m*a*n", None),
        ("sqrt(m**2*a**2)", None),
        ("m*a*min(n, 1.0)", None),
        ("abs(-m*a)", None),
        ("m*a*n**n", None),
        ("m*a*x**0.5/sqrt(x)", None),
        ("m*a*pi", None),
        ("m*a*exp(-n)", None),
        ("m**3*a/m**2", None),
        ("m/(1/a)", None),
        ("m + a", "add needs equal units, not m [kg] and a [m/s^2]"),
        ("m*a + 1", "add needs equal units, not m*a [kg m/s^2] and 1 [no unit]"),
        ("sin(x)*m*a", "sin needs a number without unit, not x [m]"),
        ("m*a*exp(t)", "exp needs a number without unit, not t [s]"),
        ("m*a**n", "a [m/s^2] to the power n [no unit]: an exponent has no unit"),
        ("m*a*n**x", "n [no unit] to the power x [m]"),
        ("max(x, t)*m*a", "max needs equal units, not x [m] and t [s]"),
        ("m*x", "the law m*x [kg m] cannot be the target 'F' [N]"),
    ],
)
def test_consistency_and_what_is_wrong(vocabulary, mechanics, text, told):
    law = parse(text, vocabulary, NAMES)
    assert consistent(law, mechanics).tolist() == [told is None]
    found = mismatch(law, mechanics, NAMES, "F")
    assert found is None if told is None else told in found


def test_a_batch_is_judged_row_by_row(vocabulary, mechanics):
    texts = ["m*a", "m + a", "n", "m*x/t**2", "sin(x)"]
    batch = concatenate([parse(text, vocabulary, NAMES) for text in texts])
    assert consistent(batch, mechanics).tolist() == [True, False, False, True, False]
    assert consistent(batch[[]], mechanics).tolist() == []


def test_free_constants_may_carry_a_unit_in_a_report_only(vocabulary, mechanics):
    law = parse_model("A*x + B", vocabulary, NAMES, PARAMETERS).expressions
    assert consistent(law, mechanics).tolist() == [False]
    assert consistent(law, mechanics, free_constants=True).tolist() == [True]
    assert consistent(parse("2*x + 3", vocabulary, NAMES), mechanics, free_constants=True).tolist() == [False]


def test_a_known_number_may_have_any_unit_and_pi_has_none(vocabulary, mechanics):
    known = vocabulary.extended([Operator("g0", 0, lambda: 9.81, lambda: 9.81, units="same")])
    assert consistent(parse("m*g0", known, NAMES), mechanics).tolist() == [True]
    assert consistent(parse("m*pi", known, NAMES), mechanics).tolist() == [False]
    assert consistent(parse("m*a + m*sin(g0*x)*a", known, NAMES), mechanics).tolist() == [True]
    assert consistent(parse("m*g0 + m*x", known, NAMES), mechanics).tolist() == [False]


def test_a_column_without_unit_may_have_any(vocabulary):
    some = Dimensions.of(["kg", None, "s", "m", ""], "N", NAMES, "F")
    assert consistent(parse("m*a + m*x/t**2", vocabulary, NAMES), some).tolist() == [True]
    assert consistent(parse("m*a + m*x", vocabulary, NAMES), some).tolist() == [False]
    none = Dimensions.of([None] * 5, None, NAMES, "F")
    assert consistent(parse("m*a + sin(x)", vocabulary, NAMES), none).tolist() == [True]


def test_what_is_consistent_scales_as_its_unit_does(vocabulary, random_expressions, points):
    """Soundness on random laws: if each base unit is made smaller by a factor, values grow by the law's own power."""
    names = ["x", "T [K]", "m_0"]
    dimensions = Dimensions.of(["m", "1/m", "m/s"], None, names, "y")
    laws = random_expressions(3000, 5, depth=3)
    fine = consistent(laws, dimensions)
    assert 100 < int(fine.sum()) < 2900
    laws = laws[fine]
    from sr_accessor.expressions.dimensions import _upward

    root = _upward(laws, dimensions.inputs, dimensions.known, False).vectors[:, 0]
    scale = torch.tensor([1.0, 3.7, 0.6, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    before = evaluate(laws, points.abs())[0]
    after = evaluate(laws, points.abs() * scale.pow(dimensions.inputs).prod(1))[0]
    wanted = before * scale.pow(root).prod(1)[:, None]
    judged = before.isfinite() & after.isfinite() & (before.abs() < 1e6)
    assert int(judged.sum()) > 1000
    # tan, sin of large numbers and differences of nearly equal parts lose digits, not their unit
    close = (after - wanted).abs() <= 1e-6 * wanted.abs() + 1e-9
    assert float(close[judged].double().mean()) > 0.995


@pytest.mark.parametrize(
    ("text", "si", "own"),
    [
        ("A*m*a + B", ("", "N"), ("", "N")),
        ("A*exp(-k*t)", ("N", "1/s"), ("N", "1/h")),
        ("A*x**1.5", ("kg/(m^(1/2) s^2)", ""), ("N/km^(3/2)", "")),
        ("A/(B + t)", ("kg m/s", "s"), ("h N", "h")),
        ("sqrt(A*m)", ("kg m^2/s^4",), ("N^2/kg",)),
        ("m*a*sin(w*t + phi)", ("1/s", ""), ("1/h", "")),
        ("A*x*C", (None, None), (None, None)),  # only their product is told
        ("A*(m + B)*a", ("", "kg"), ("", "kg")),
        ("sin(x)*A", (None,), (None,)),  # inconsistent anyway
        ("m*a*n**k", ("",), ("",)),
        ("A**2*a*m", ("",), ("",)),
        ("A/B", (None, None), (None, None)),
    ],
)
def test_units_of_constants_in_the_users_own_units(vocabulary, mechanics, text, si, own):
    law = parse_model(text, vocabulary, NAMES, PARAMETERS).expressions
    mine = Dimensions.of(["kg", "m/s^2", "h", "km", ""], "N", NAMES, "F")
    free = law.free[0].tolist()
    for dimensions, wanted in ((mechanics, si), (mine, own)):
        (told,) = constant_units(law, dimensions)
        assert [unit for unit, own in zip(told, free, strict=True) if own] == [
            unit for unit, own in zip(wanted, free, strict=False) if own
        ]


def test_products_are_the_groups_and_carriers(mechanics):
    carriers = products(mechanics, mechanics.target)
    assert carriers[0].tolist() == [1, 1, 0, 0, 0] and [1, 0, -2, 1, 0] in carriers.tolist()
    groups = products(mechanics, torch.zeros(7, dtype=torch.float64))
    assert [0, 1, 2, -1, 0] in groups.tolist()
    assert torch.allclose(groups @ mechanics.inputs, torch.zeros(7, dtype=torch.float64))
    alone = Dimensions.of(["kg", "s"], "m", ["m", "t"], "x")
    assert products(alone, alone.target).shape == (0, 2)


def test_bad_units_are_told_with_their_columns():
    with pytest.raises(UnitError) as caught:
        Dimensions.of(["kgg", "degC"], "N", ["m", "T"], "F")
    assert "2 problems" in str(caught.value)
    assert "column 'm': no unit 'kgg'; did you mean" in str(caught.value)
    assert "column 'T': unit 'degC'" in str(caught.value) and "delta_degC" in str(caught.value)
    lenient = Dimensions.of(["kgg", "K"], "degC", ["m", "T"], "F", lenient=True)
    assert lenient.texts == (None, "K") and lenient.known.tolist() == [False, True] and lenient.target is None
    unknown = Dimensions.of(["a.u.", "K"], "arb. units", ["m", "T"], "F")
    assert unknown.known.tolist() == [False, True] and unknown.target is None


def test_strict_needs_all_units_and_a_product_of_the_targets_unit():
    with pytest.raises(UnitError, match=r"no product of powers of 't' \[s\], 'x' \[m\] has the unit \[kg\] of 'M'"):
        check_reachable(Dimensions.of(["s", "m"], "kg", ["t", "x"], "M"), ["t", "x"], "M")
    with pytest.raises(UnitError, match=r"without one: 'x', the target 'M'.*\['units'\] = {'T': 'K'"):
        check_reachable(Dimensions.of(["s", None], None, ["t", "x"], "M"), ["t", "x"], "M")
    check_reachable(Dimensions.of(["m", "m/s^2"], "s", ["L", "g"], "T"), ["L", "g"], "T")  # square roots too
