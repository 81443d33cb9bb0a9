"""Units: text such as "kg m/s^2" as a factor and seven exponents of the SI's base dimensions, and back.

Our own small algebra: rational exponents, SI factors, no temperature offsets. pint stays at the border: its short
texts are read here, and `to_pint` hands over. It knows units; it does not know columns or expressions.
"""

from __future__ import annotations

import difflib
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from sr_accessor.errors import MissingDependencyError, UnitError

__all__ = ["ARBITRARY", "BASE", "DIMENSIONLESS", "Unit", "parse_unit", "pint_text", "to_pint", "unit_text"]

#: Symbols of the seven base units of the SI, in the order of all exponent vectors.
BASE = ("kg", "m", "s", "A", "K", "mol", "cd")
#: Exponents this close to a fraction with a denominator up to `LARGEST_DENOMINATOR` are written as that fraction.
EXPONENT_SLACK, LARGEST_DENOMINATOR = 1e-6, 12

#: What people write where they do not know the unit; nothing is wrong with it, and nothing follows from it.
ARBITRARY = frozenset(
    {"a.u.", "a. u.", "arb", "arb.", "arb.u.", "arb. u.", "arb. units", "arb units", "arbitrary", "?"}
)

_ZERO = (Fraction(0),) * len(BASE)


@dataclass(frozen=True)
class Unit:
    """A unit: so many times a product of powers of base units.

    Parameters
    ----------
    factor : size in SI base units; 1000.0 for "km"
    exponents : of kg, m, s, A, K, mol, cd
    """

    factor: float = 1.0
    exponents: tuple[Fraction, ...] = _ZERO

    def __mul__(self, other: Unit) -> Unit:
        pairs = zip(self.exponents, other.exponents, strict=True)
        return Unit(self.factor * other.factor, tuple(a + b for a, b in pairs))

    def __truediv__(self, other: Unit) -> Unit:
        return self * other ** Fraction(-1)

    def __pow__(self, exponent: Fraction | int) -> Unit:
        return Unit(self.factor ** float(exponent), tuple(a * exponent for a in self.exponents))

    @property
    def dimensionless(self) -> bool:
        return self.exponents == _ZERO

    def same_dimensions(self, other: Unit) -> bool:
        """Whether the two measure the same kind of quantity."""
        return self.exponents == other.exponents

    def __str__(self) -> str:
        scale = "" if self.factor == 1 else f"{self.factor:g} "
        return (scale + unit_text(self.exponents)).strip()


#: A number without a unit.
DIMENSIONLESS = Unit()

# ---------------------------------------------------------------------- the table
_PREFIXES = {
    "Q": 30, "R": 27, "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "µ": -6, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
    "quetta": 30, "ronna": 27, "yotta": 24, "zetta": 21, "exa": 18, "peta": 15, "tera": 12, "giga": 9, "mega": 6,
    "kilo": 3, "hecto": 2, "deca": 1, "deci": -1, "centi": -2, "milli": -3, "micro": -6, "nano": -9, "pico": -12,
    "femto": -15, "atto": -18, "zepto": -21, "yocto": -24,
}  # fmt: skip

#: symbol, full name (its plural ends in s), what it is in units above it; these take prefixes.
_PREFIXED: tuple[tuple[str, str, str], ...] = (
    ("m", "meter", ""), ("g", "gram", ""), ("s", "second", ""), ("A", "ampere", ""), ("K", "kelvin", ""),
    ("mol", "mole", ""), ("cd", "candela", ""),
    ("Hz", "hertz", "1/s"), ("N", "newton", "kg m/s^2"), ("Pa", "pascal", "N/m^2"), ("J", "joule", "N m"),
    ("W", "watt", "J/s"), ("C", "coulomb", "A s"), ("V", "volt", "W/A"), ("Ω", "ohm", "V/A"), ("S", "siemens", "A/V"),
    ("F", "farad", "C/V"), ("Wb", "weber", "V s"), ("T", "tesla", "Wb/m^2"), ("H", "henry", "Wb/A"),
    ("Bq", "becquerel", "1/s"), ("Gy", "gray", "J/kg"), ("Sv", "sievert", "J/kg"), ("kat", "katal", "mol/s"),
    ("lm", "lumen", "cd"), ("lx", "lux", "cd/m^2"), ("rad", "radian", "1"), ("sr", "steradian", "1"),
    ("eV", "electron_volt", "1.602176634e-19 J"), ("Da", "dalton", "1.66053906892e-27 kg"), ("bar", "bar", "1e5 Pa"),
    ("L", "liter", "1e-3 m^3"), ("l", "litre", "1e-3 m^3"), ("t", "tonne", "1e3 kg"), ("cal", "calorie", "4.184 J"),
    ("pc", "parsec", "3.0856775814913673e16 m"), ("yr", "year", "31557600 s"), ("Jy", "jansky", "1e-26 W/m^2/Hz"),
    ("G", "gauss", "1e-4 T"), ("erg", "erg", "1e-7 J"), ("dyn", "dyne", "1e-5 N"), ("P", "poise", "0.1 Pa s"),
    ("M", "molar", "1e3 mol/m^3"), ("Wh", "watt_hour", "3600 J"), ("Ci", "curie", "3.7e10 Bq"),
)  # fmt: skip

#: The same without prefixes.
_PLAIN: tuple[tuple[str, str, str], ...] = (
    ("1", "dimensionless", "1"), ("%", "percent", "0.01"), ("‰", "permille", "1e-3"), ("ppm", "ppm", "1e-6"),
    ("ppb", "ppb", "1e-9"), ("count", "count", "1"), ("cps", "count_per_second", "1/s"),
    ("cpm", "count_per_minute", "0.016666666666666666 1/s"), ("°", "degree", "0.017453292519943295"),
    ("deg", "deg", "0.017453292519943295"), ("arcmin", "arcminute", "2.908882086657216e-4"),
    ("arcsec", "arcsecond", "4.84813681109536e-6"), ("rev", "turn", "6.283185307179586"),
    ("min", "minute", "60 s"), ("h", "hour", "3600 s"), ("d", "day", "86400 s"), ("wk", "week", "604800 s"),
    ("AU", "astronomical_unit", "149597870700 m"), ("au", "au", "149597870700 m"),
    ("ly", "light_year", "9460730472580800 m"), ("Å", "angstrom", "1e-10 m"), ("in", "inch", "0.0254 m"),
    ("ft", "foot", "0.3048 m"), ("yd", "yard", "0.9144 m"), ("mi", "mile", "1609.344 m"),
    ("nmi", "nautical_mile", "1852 m"), ("ha", "hectare", "1e4 m^2"), ("lb", "pound", "0.45359237 kg"),
    ("oz", "ounce", "0.028349523125 kg"), ("atm", "standard_atmosphere", "101325 Pa"),
    ("Torr", "torr", "133.32236842105263 Pa"), ("mmHg", "millimeter_Hg", "133.322387415 Pa"),
    ("psi", "pound_force_per_square_inch", "6894.757293168361 Pa"), ("hp", "horsepower", "745.6998715822702 W"),
    ("rpm", "revolutions_per_minute", "0.10471975511965977 1/s"), ("kph", "kilometer_per_hour", "km/h"),
    ("mph", "mile_per_hour", "mi/h"), ("delta_degC", "delta_degree_Celsius", "K"), ("Δ°C", "kelvin_difference", "K"),
    ("delta_degF", "delta_degree_Fahrenheit", "0.5555555555555556 K"),
    ("degR", "degree_Rankine", "0.5555555555555556 K"),
    ("M_sun", "solar_mass", "1.988409870698051e30 kg"), ("R_sun", "solar_radius", "6.957e8 m"),
    ("L_sun", "solar_luminosity", "3.828e26 W"),
)  # fmt: skip
#: Other spellings of what the two tables hold.
_ALIASES = {
    "metre": "meter", "sec": "s", "ohm": "Ω", "Ohm": "Ω", "mho": "S", "amp": "A", "ampère": "A", "hr": "h", "a": "yr",
    "counts": "count", "cts": "count", "micron": "µm", "degrees": "degree", "cc": "cm^3", "feet": "foot", "ua": "AU",
    "inches": "inch", "Angstrom": "Å", "angstroms": "Å", "atmosphere": "atm", "henries": "henry", "fraction": "1",
    "unitless": "1", "none": "1", "-": "1", "pH": "1", "mol%": "%", "wt%": "%", "vol%": "%", "at%": "%", "amu": "Da",
}  # fmt: skip
#: Scales with an offset: a law's products and powers mean nothing on them. text -> (scale's name, difference, absolute)
_OFFSETS = {
    name: ("Celsius", "delta_degC")
    for name in ("degC", "°C", "℃", "celsius", "Celsius", "degree_Celsius", "degreeC", "deg_C", "deg C")
} | {
    name: ("Fahrenheit", "delta_degF")
    for name in ("degF", "°F", "℉", "fahrenheit", "Fahrenheit", "degree_Fahrenheit", "deg_F")
}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
#: Characters that look like another one; the Kelvin, Ohm and Ångström signs are normalised by Unicode's own rules.
_TWINS = str.maketrans({"\u03bc": "\u00b5", "−": "-", "·": "*", "⋅": "*", "×": "*", "∕": "/"})

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|(?:\*\*|\^)\s*(?:(?P<power>[-+]?\d+(?:\.\d+)?)"
    r"|\(\s*(?P<top>[-+]?\d+(?:\.\d+)?)\s*(?:/\s*(?P<bottom>[1-9]\d*)\s*)?\))"
    r"|(?P<sign>[*/()]|\.(?=[^\W\d]))|(?P<raised>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|(?P<name>(?:mol|wt|vol|at)%|[^\W\d⁰¹²³⁴⁵⁶⁷⁸⁹]+|Δ?°[CF]?|℃|℉|%|‰|-(?!\d))(?P<attached>[-+]?\d+)?)"
)


@cache
def _known() -> Mapping[str, tuple[Unit, bool]]:
    """Every name -> (unit, whether it takes prefixes); the base units first, the others by their definitions."""
    table: dict[str, tuple[Unit, bool]] = {}

    def unit(i: int, factor: float = 1.0) -> Unit:
        return Unit(factor, tuple(Fraction(int(i == j)) for j in range(len(BASE))))

    base = {"g": unit(0, 1e-3)} | {symbol: unit(i) for i, symbol in enumerate(BASE) if i}
    for rows, prefixed in ((_PREFIXED, True), (_PLAIN, False)):
        for symbol, name, definition in rows:
            made = base[symbol] if not definition else _read(definition, table)
            for spelled in dict.fromkeys((symbol, name, f"{name}s")):
                table[spelled] = (made, prefixed)
    return table


def _named(name: str, table: Mapping[str, tuple[Unit, bool]]) -> Unit | None:
    """The unit of this name, with a prefix where it takes one; None where there is none."""
    name = _ALIASES.get(name, name)
    if name in table:
        return table[name][0]
    for length in range(min(6, len(name) - 1), 0, -1):
        prefix, rest = name[:length], name[length:]
        rest = _ALIASES.get(rest, rest)
        if prefix in _PREFIXES and rest in table and table[rest][1]:
            return Unit(10.0 ** _PREFIXES[prefix]) * table[rest][0]
    return _read(name, table) if "^" in name else None  # an alias such as cm^3


# ---------------------------------------------------------------------- text
@cache
def parse_unit(text: str) -> Unit:
    """A unit from text: "m/s^2", "kg m**2 / s^3", "m s-1", "10 km", "eV", "meter / second ** 2", "" (dimensionless).

    A space, `*`, or a dot before a letter multiplies; `/` divides by the next factor alone, so that "J/kg K" is
    (J/kg)·K: brackets say otherwise. Powers are whole numbers or fractions: "Hz^(1/2)", "m^0.5".

    Raises
    ------
    UnitError : a name that is not known, with the nearest ones; a scale with an offset; text that is no product.
    """
    if not isinstance(text, str):
        raise UnitError(f"unit {text!r} is no text; write it such as 'm/s^2', and '' for a pure number")
    return _read(text, _known())


def _read(text: str, table: Mapping[str, tuple[Unit, bool]]) -> Unit:
    plain = " ".join(unicodedata.normalize("NFC", text).translate(_TWINS).split())
    if plain in ("", "None"):
        return DIMENSIONLESS
    if plain in _OFFSETS:
        raise UnitError(_offset(plain))
    tokens, at = [], 0
    while at < len(plain):
        found = _TOKEN.match(plain, at)
        if found is None or found.end() == at:
            raise UnitError(f"unit {text!r}: {plain[at]!r} cannot stand there; write a product such as 'kg m/s^2'")
        tokens.append(found)
        at = found.end()
    return _Reader(text, tokens, table).unit()


def _offset(name: str) -> str:
    scale, difference = _OFFSETS[name]
    return (
        f"unit {name!r}: zero {scale} is not zero temperature, so that no product or power of it means anything; "
        f"convert the column to kelvin, or call it {difference!r} if it holds differences"
    )


class _Reader:
    """One text's tokens, read from left to right: product = factor ((`*` | `/` | nothing) factor)*."""

    def __init__(self, text: str, tokens: list[re.Match[str]], table: Mapping[str, tuple[Unit, bool]]):
        self.text, self.tokens, self.table, self.at = text, tokens, table, 0

    def unit(self) -> Unit:
        made = self.product()
        if self.at < len(self.tokens):
            raise self.wrong("a bracket is closed that was never opened")
        return made

    def peek(self, kind: str) -> str | None:
        return self.tokens[self.at][kind] if self.at < len(self.tokens) else None

    def wrong(self, why: str) -> UnitError:
        return UnitError(f"unit {self.text!r}: {why}; write a product such as 'kg m/s^2'")

    def product(self) -> Unit:
        made = DIMENSIONLESS if self.peek("sign") == "/" else self.factor()  # "/s"
        while self.at < len(self.tokens) and self.peek("sign") != ")":
            sign = self.peek("sign")
            if self.peek("name") == "per":
                sign = "/"
                self.at += 1
            elif sign in ("*", "/", "."):
                self.at += 1
            made = made / self.factor() if sign == "/" else made * self.factor()
        return made

    def factor(self) -> Unit:
        if self.at == len(self.tokens):
            raise self.wrong("it ends where a unit should follow")
        token = self.tokens[self.at]
        self.at += 1
        if token["sign"] == "(":
            made = self.product()
            if self.peek("sign") != ")":
                raise self.wrong("a bracket is not closed")
            self.at += 1
        elif token["number"]:
            made = Unit(float(token["number"]))
            if made.factor == 0:
                raise self.wrong("nothing is measured in multiples of 0")
        elif token["name"]:
            made = self.named(token["name"])
            if token["attached"]:  # "m s-1", as the CF conventions write it
                made = made ** Fraction(token["attached"])
        else:
            raise self.wrong(f"{token[0].strip()!r} cannot stand there")
        exponent = self.exponent()
        return made if exponent is None else made**exponent

    def exponent(self) -> Fraction | None:
        """The power that follows, or None."""
        for kind in ("raised", "power", "top"):
            if (digits := self.peek(kind)) is not None:
                bottom = self.peek("bottom")
                self.at += 1
                return Fraction(digits.translate(_SUPERSCRIPTS)) / int(bottom or 1)
        return None

    def named(self, name: str) -> Unit:
        if name in _OFFSETS:
            raise UnitError(_offset(name))
        made = _named(name, self.table)
        if made is not None:
            return made
        known = [*self.table, *_ALIASES, *_OFFSETS]
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        where = "" if name == self.text else f" in {self.text!r}"
        raise UnitError(f"no unit {name!r}{where}; {hint}give SI symbols such as 'kg m/s^2', or leave the unit out")


def unit_text(exponents: Iterable[float | Fraction]) -> str:
    """Exponents of the base units as text that `parse_unit` reads: "kg m/s^2"; "" where there are none."""
    above, below = [], []
    for symbol, exponent in zip(BASE, exponents, strict=True):
        near = Fraction(exponent).limit_denominator(LARGEST_DENOMINATOR)
        if abs(float(near) - float(exponent)) > EXPONENT_SLACK:
            near = Fraction(f"{float(exponent):.6g}")
        if near:
            size = abs(near)
            if not 1 < size.denominator <= LARGEST_DENOMINATOR:
                power = f"^{float(size):g}"
            else:
                power = f"^({size})"
            (above if near > 0 else below).append(symbol + ("" if size == 1 else power))
    if not above and len(below) == 1:
        return f"1/{below[0]}"
    denominator = "" if not below else f"/{below[0]}" if len(below) == 1 else f"/({' '.join(below)})"
    return (" ".join(above) or ("1" if below else "")) + denominator


# ---------------------------------------------------------------------- pint
def to_pint(text: str) -> Any:
    """The unit as one of pint's application registry.

    Raises
    ------
    MissingDependencyError : pint is not installed.
    UnitError : the text is no unit.
    """
    unit = parse_unit(text)
    try:
        import pint
    except ImportError:
        raise MissingDependencyError(
            f"the unit {text!r} as a pint unit needs pint: pip install 'sr-accessor[units]'"
        ) from None
    registry = pint.get_application_registry()
    made = registry.Quantity(unit.factor)
    for symbol, exponent in zip(BASE, unit.exponents, strict=True):
        made = made * registry.Quantity(1.0, symbol) ** float(exponent)
    return made


def pint_text(unit: Any) -> str:
    """A pint unit as text that `parse_unit` reads; names that it does not know go by their SI base units."""
    text = f"{unit:~C}"
    try:
        parse_unit(text)
    except UnitError:
        if any(part in _OFFSETS for part in (text, str(unit))):
            return text  # to be refused with what to do about it
        registry = sys.modules["pint"].get_application_registry()
        return f"{registry.Quantity(1.0, str(unit)).to_base_units():~C}"
    return text
