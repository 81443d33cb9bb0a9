"""The table of built-in operators: arithmetic, powers, exponentials, circular and hyperbolic functions.

The order is that of the vocabulary's ids and of nothing else; new operators go to the end. `bits` are the
symbol prices of search_findings.md §6: a uniform price for all functions chose tan and arcsin far too often.
"""

from __future__ import annotations

import math

import torch

from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.printers import named, power, same

__all__ = ["ELEMENTARY"]


def _power(base: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    # IEEE says pow(nan, 0) = pow(1, nan) = 1; an invalid part must stay invalid. base*0 carries the NaN.
    return torch.pow(base, exponent) + (base * 0 + exponent * 0)


def _power_by_base(value, base, exponent):
    return torch.where(exponent == 0, 0.0, exponent * torch.pow(base, exponent - 1))


def _power_by_exponent(value, base, exponent):
    return torch.where(value == 0, 0.0, value * torch.log(base))


def _sympy_sub(a, b):
    return a - b


def _sympy_div(a, b):
    return a / b


def _sympy_neg(a):
    return -a


def _sympy_inv(a):
    return 1 / a


def _sympy_square(a):
    return a**2


def _sympy_cube(a):
    return a**3


def _arc(name: str) -> dict[str, str]:
    return dict.fromkeys(("numpy", "jax", "pandas"), name)


def _extreme(name: str, sign: str) -> dict[str, str]:
    """Printers of min and max; |a - b| where a language has nothing else, a case distinction in SQL."""
    half = f"(({{0}}) + ({{1}}) {'-' if name == 'min' else '+'} abs(({{0}}) - ({{1}})))/2.0"
    arrays = dict.fromkeys(("numpy", "torch", "jax"), f"{name}imum")
    case = f"CASE WHEN {{0}} {sign} {{1}} THEN {{0}} ELSE {{1}} END"
    builtin = f"{name}({{0}}, {{1}})"
    return named(name, 2, **arrays, python=builtin, pandas=half, c=f"f{name}", excel=name.upper(), sql=case)


ELEMENTARY: tuple[Operator, ...] = (
    Operator(
        "add", 2, torch.add, "sympy:Add", "{0} + {1}",
        derivative=(lambda v, a, b: 1.0, lambda v, a, b: 1.0), units="same", bits=2.0,
        infix=("+", 1), commutative=True, linear="joint",
    ),
    Operator(
        "sub", 2, torch.sub, _sympy_sub, "{0} - {1}",
        derivative=(lambda v, a, b: 1.0, lambda v, a, b: -1.0), units="same", bits=2.0, infix=("-", 1), linear="joint",
    ),
    Operator(
        "mul", 2, torch.mul, "sympy:Mul", r"{0} \cdot {1}",
        derivative=(lambda v, a, b: b, lambda v, a, b: a), units="product", bits=1.0,
        infix=("*", 2), commutative=True, linear="each",
    ),
    Operator(
        "div", 2, torch.div, _sympy_div, r"\frac{{{0}}}{{{1}}}",
        derivative=(lambda v, a, b: b.reciprocal(), lambda v, a, b: -v / b),
        domain=lambda a, b: b != 0, units="quotient", bits=1.5, infix=("/", 2), linear="first",
    ),
    Operator(
        "pow", 2, _power, "sympy:Pow", "{{{0}}}^{{{1}}}",
        derivative=(_power_by_base, _power_by_exponent),
        domain=lambda a, b: (a > 0) | ((a == 0) & (b >= 0)) | ((a < 0) & (b == b.round())),
        units="power", bits=2.0, infix=("**", 4),
        printers=power("{1}"),
    ),
    Operator(
        "neg", 1, torch.neg, _sympy_neg, "-{0}",
        derivative=(lambda v, a: -1.0,), units="same", bits=2.0, infix=("-", 2), linear="joint",
    ),
    Operator(
        "inv", 1, torch.reciprocal, _sympy_inv, r"\frac{{1}}{{{0}}}",
        derivative=(lambda v, a: -v * v,), domain=lambda a: a != 0, units="inverse", bits=2.5,
        printers=same("1.0/{0}", matlab="1.0./{0}", fortran="1.0d0/{0}", onnx="Reciprocal({0})"),
    ),
    Operator(
        "abs", 1, torch.abs, "sympy:Abs", r"\left|{0}\right|",
        derivative=(lambda v, a: torch.sign(a),), units="same", bits=4.0,
        printers=named("abs", python="math.fabs({0})", c="fabs", excel="ABS", sql="ABS"),
    ),
    Operator(
        "sqrt", 1, torch.sqrt, "sympy:sqrt", r"\sqrt{{{0}}}",
        derivative=(lambda v, a: 0.5 / v,), domain=lambda a: a >= 0, units="half", bits=3.0,
        printers=named("sqrt", excel="SQRT", sql="SQRT"),
    ),
    Operator(
        "square", 1, torch.square, _sympy_square, "{{{0}}}^{{2}}",
        derivative=(lambda v, a: 2 * a,), units="twice", bits=3.0,
        printers=power("2"),
    ),
    Operator(
        "cube", 1, lambda a: a * a * a, _sympy_cube, "{{{0}}}^{{3}}",
        derivative=(lambda v, a: 3 * a * a,), units="thrice", bits=4.0,
        printers=power("3"),
    ),
    Operator(
        "log", 1, torch.log, "sympy:log", r"\log\left({0}\right)",
        derivative=(lambda v, a: a.reciprocal(),), domain=lambda a: a > 0, bits=5.0,
        printers=named("log", excel="LN", sql="LN"),
    ),
    Operator(
        "exp", 1, torch.exp, "sympy:exp", r"e^{{{0}}}",
        derivative=(lambda v, a: v,), domain=lambda a: a < 709.0, bits=4.0,  # exp(709.8) is the largest double
        printers=named("exp", excel="EXP", sql="EXP"),
    ),
    Operator(
        "sin", 1, torch.sin, "sympy:sin", r"\sin\left({0}\right)",
        derivative=(lambda v, a: torch.cos(a),), bits=5.0,
        printers=named("sin", excel="SIN", sql="SIN"),
    ),
    Operator(
        "cos", 1, torch.cos, "sympy:cos", r"\cos\left({0}\right)",
        derivative=(lambda v, a: -torch.sin(a),), bits=5.0,
        printers=named("cos", excel="COS", sql="COS"),
    ),
    Operator(
        "tan", 1, torch.tan, "sympy:tan", r"\tan\left({0}\right)",
        derivative=(lambda v, a: 1 + v * v,), bits=8.0,
        printers=named("tan", excel="TAN", sql="TAN"),
    ),
    Operator(
        "asin", 1, torch.asin, "sympy:asin", r"\arcsin\left({0}\right)",
        derivative=(lambda v, a: torch.rsqrt(1 - a * a),), domain=lambda a: a.abs() <= 1, bits=8.0,
        printers=named("asin", excel="ASIN", sql="ASIN", **_arc("arcsin")),
    ),
    Operator(
        "acos", 1, torch.acos, "sympy:acos", r"\arccos\left({0}\right)",
        derivative=(lambda v, a: -torch.rsqrt(1 - a * a),), domain=lambda a: a.abs() <= 1, bits=8.0,
        printers=named("acos", excel="ACOS", sql="ACOS", **_arc("arccos")),
    ),
    Operator(
        "atan", 1, torch.atan, "sympy:atan", r"\arctan\left({0}\right)",
        derivative=(lambda v, a: (1 + a * a).reciprocal(),), bits=7.0,
        printers=named("atan", excel="ATAN", sql="ATAN", **_arc("arctan")),
    ),
    Operator(
        "sinh", 1, torch.sinh, "sympy:sinh", r"\sinh\left({0}\right)",
        derivative=(lambda v, a: torch.cosh(a),), domain=lambda a: a.abs() < 709.0, bits=7.0,
        printers=named("sinh", excel="SINH", sql="SINH"),
    ),
    Operator(
        "cosh", 1, torch.cosh, "sympy:cosh", r"\cosh\left({0}\right)",
        derivative=(lambda v, a: torch.sinh(a),), domain=lambda a: a.abs() < 709.0, bits=7.0,
        printers=named("cosh", excel="COSH", sql="COSH"),
    ),
    Operator(
        "tanh", 1, torch.tanh, "sympy:tanh", r"\tanh\left({0}\right)",
        derivative=(lambda v, a: 1 - v * v,), bits=7.0,
        printers=named("tanh", excel="TANH", sql="TANH"),
    ),
    Operator(
        "min", 2, torch.minimum, "sympy:Min", r"\min\left({0}, {1}\right)",
        derivative=(lambda v, a, b: (a <= b).to(v.dtype), lambda v, a, b: (a > b).to(v.dtype)),
        units="same", bits=8.0, commutative=True,
        printers=_extreme("min", "<"),
    ),
    Operator(
        "max", 2, torch.maximum, "sympy:Max", r"\max\left({0}, {1}\right)",
        derivative=(lambda v, a, b: (a >= b).to(v.dtype), lambda v, a, b: (a < b).to(v.dtype)),
        units="same", bits=8.0, commutative=True,
        printers=_extreme("max", ">"),
    ),
    Operator(
        "pi", 0, lambda: math.pi, lambda: _sympy_pi(), r"\pi", bits=4.0,
        printers=same("3.141592653589793", excel="PI()", fortran="3.141592653589793d0"),
    ),
)  # fmt: skip


def _sympy_pi():
    import sympy

    return sympy.pi
