"""Units: text read as factor and exponents, written back, refused with what to do; pint's texts at the border."""

import re
import sys
from fractions import Fraction

import pytest

from sr_accessor.errors import MissingDependencyError, UnitError
from sr_accessor.units import BASE, DIMENSIONLESS, Unit, parse_unit, pint_text, to_pint, unit_text


def of(**exponents):
    return tuple(Fraction(exponents.get(symbol, 0)) for symbol in BASE)


NEWTON = of(kg=1, m=1, s=-2)


@pytest.mark.parametrize(
    ("text", "factor", "exponents"),
    [
        ("m/s^2", 1, of(m=1, s=-2)),
        ("m s-2", 1, of(m=1, s=-2)),
        ("m·s⁻²", 1, of(m=1, s=-2)),
        ("W/m²", 1, of(kg=1, s=-3)),
        ("cm³", 1e-6, of(m=3)),
        ("kg.m2.s-2", 1, of(kg=1, m=2, s=-2)),  # as UCUM writes it
        ("/s", 1, of(s=-1)),
        ("cps", 1, of(s=-1)),
        ("pH", 1, of()),  # not a picohenry
        ("mol%", 0.01, of()),
        ("meter / second ** 2", 1, of(m=1, s=-2)),
        ("kg m**2 / s^3", 1, of(kg=1, m=2, s=-3)),
        ("kilograms * meter / second ** 2", 1, NEWTON),
        ("N", 1, NEWTON),
        ("kN", 1e3, NEWTON),
        ("km/h", 1000 / 3600, of(m=1, s=-1)),
        ("km per hour", 1000 / 3600, of(m=1, s=-1)),
        ("eV", 1.602176634e-19, of(kg=1, m=2, s=-2)),
        ("MeV", 1.602176634e-13, of(kg=1, m=2, s=-2)),
        ("10 km", 1e4, of(m=1)),
        ("1e-3 m^3", 1e-3, of(m=3)),
        ("Hz^(1/2)", 1, of(s=Fraction(-1, 2))),
        ("m^0.5", 1, of(m=Fraction(1, 2))),
        ("m^(-3/2)", 1, of(m=Fraction(-3, 2))),
        ("J/(kg K)", 1, of(m=2, s=-2, K=-1)),
        ("J/kg K", 1, of(m=2, s=-2, K=1)),  # from left to right, as the docstring says
        ("\u03bcm", 1e-6, of(m=1)),  # the Greek letter
        ("\u00b5m", 1e-6, of(m=1)),  # the micro sign
        ("\u212b", 1e-10, of(m=1)),  # the Ångström sign
        ("\u2126", 1, of(kg=1, m=2, s=-3, A=-2)),  # the Ohm sign
        ("min", 60, of(s=1)),  # not milli-inches
        ("Pa", 1, of(kg=1, m=-1, s=-2)),  # not peta-years
        ("cd", 1, of(cd=1)),  # not centi-days
        ("cc", 1e-6, of(m=3)),
        ("%", 0.01, of()),
        ("counts", 1, of()),
        ("", 1, of()),
        ("delta_degC", 1, of(K=1)),
    ],
)
def test_text_is_read(text, factor, exponents):
    unit = parse_unit(text)
    assert unit.exponents == exponents
    assert unit.factor == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metr", "no unit 'metr'; did you mean 'metre' or 'meter'"),
        ("kg furlongs", "no unit 'furlongs' in 'kg furlongs'"),
        ("degC", "convert the column to kelvin, or call it 'delta_degC'"),
        ("W/°C", "zero Celsius is not zero temperature"),
        ("degree_Fahrenheit", "'delta_degF'"),
        ("m/", "it ends where a unit should follow"),
        ("(m", "a bracket is not closed"),
        ("m)", "a bracket is closed that was never opened"),
        ("m^x", "'^' cannot stand there"),
        ("m^(1/0)", "cannot stand there"),
        ("V/√Hz", "'√' cannot stand there"),
        ("0 m", "multiples of 0"),
        ("^2", "'^2' cannot stand there"),
    ],
)
def test_text_that_is_no_unit_is_refused(text, told):
    with pytest.raises(UnitError, match=re.escape(told)):
        parse_unit(text)


@pytest.mark.parametrize("text", ["kg m/s^2", "1/s", "m^(1/2)", "1/(s^2 K)", "kg/(m s)", "", "A^(5/3)"])
def test_exponents_as_text_are_read_back(text):
    unit = parse_unit(text)
    assert unit_text(unit.exponents) == text
    assert parse_unit(unit_text(unit.exponents)) == unit


def test_fitted_exponents_are_written_as_fractions_where_they_are_near():
    assert unit_text([0, 0.5 + 1e-9, 0, 0, 0, 0, 0]) == "m^(1/2)"
    assert unit_text([0, 1.4983, 0, 0, 0, 0, 0]) == "m^1.4983"


def test_algebra():
    force, length = parse_unit("N"), parse_unit("cm")
    assert force * length == Unit(0.01, parse_unit("J").exponents)
    assert (force / length).same_dimensions(parse_unit("kg/s^2"))
    assert (length ** Fraction(1, 2)).exponents == of(m=Fraction(1, 2))
    assert (length / length).dimensionless and str(parse_unit("km")) == "1000 m" and str(DIMENSIONLESS) == ""


def test_pint_units_are_read():
    import pint

    registry = pint.get_application_registry()
    for name in ("m/s**2", "kg*m/s", "eV", "furlong", "hartree", "delta_degC", "dimensionless"):
        unit = parse_unit(pint_text(registry.Unit(name)))
        quantity = registry.Quantity(1.0, name).to_base_units()
        assert unit.factor == pytest.approx(quantity.magnitude, rel=1e-9), name
    with pytest.raises(UnitError, match="convert the column to kelvin"):
        parse_unit(pint_text(registry.Unit("degC")))
    assert to_pint("km/h").to("m/s").magnitude == pytest.approx(1000 / 3600)


def test_without_pint_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pint", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'sr-accessor\[units\]'"):
        to_pint("m")
