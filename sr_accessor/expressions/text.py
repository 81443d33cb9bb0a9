"""Expressions as infix text, e.g. ``2*x**2 - 1/3``, that `parse.py` reads back to the same values bit for bit.

It knows how text is written: signs, parentheses, quoted labels, numbers; the parser takes these facts from here.
`fold` is the one walk over a prefix code that this printer, the LaTeX printer and the way to sympy share.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from sr_accessor.errors import InputError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.description import LARGEST_TERM
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, PAD, VARIABLE

__all__ = ["ATOM", "IDENTIFIER", "RIGHT_ASSOCIATIVE", "SHORTHAND", "fold", "fraction", "label", "quoted", "to_text"]

#: What may stand in text without backticks.
IDENTIFIER = re.compile(r"[^\W\d]\w*")
#: Signs that bind to the right: a**b**c is a**(b**c).
RIGHT_ASSOCIATIVE = frozenset({"**"})
#: Operators written with another operator's sign and an integer: (sign, place of the integer, integer).
#: The parser reads 1/x and x**2 as these where they are active; 1.0/x and x**2.0 are div and pow.
SHORTHAND: Mapping[str, tuple[str, int, str]] = {
    "inv": ("/", 0, "1"),
    "square": ("**", 1, "2"),
    "cube": ("**", 1, "3"),
}
#: Fractions up to this denominator are simple ones.
LARGEST_DENOMINATOR = 12
#: Binding strength of what never needs parentheses.
ATOM = 100

Node = TypeVar("Node")


def fold(
    expressions: Expressions,
    row: int,
    number: Callable[[float, bool, int], Node],
    variable: Callable[[int], Node],
    apply: Callable[[Operator, list[Node]], Node],
) -> Node:
    """One expression read from its leaves to its root, without recursion.

    Parameters
    ----------
    number : (value, whether it is free, its column in `constants`) -> node
    variable : index -> node
    apply : (operator, its arguments' nodes) -> node
    """
    codes = [c for c in expressions.codes[row].tolist() if c != PAD]
    values = expressions.constants[row].tolist()
    slot = sum(c in (CONSTANT, LITERAL) for c in codes)
    stack: list[Node] = []
    for code in reversed(codes):
        if code in (CONSTANT, LITERAL):
            slot -= 1
            stack.append(number(values[slot], code == CONSTANT, slot))
        elif code >= VARIABLE:
            stack.append(variable(code - VARIABLE))
        else:
            operator = expressions.vocabulary.operator(code)
            stack.append(apply(operator, [stack.pop() for _ in range(operator.arity)]))
    return stack.pop()


def fraction(value: float) -> tuple[int, int] | None:
    """(p, q) where `value` is exactly the double p/q, and 2 <= q <= `LARGEST_DENOMINATOR` and |p| <= 100, or both are
    at most `LARGEST_TERM` and p/q is no finite decimal; else None."""
    for q in range(2, LARGEST_DENOMINATOR + 1):
        p = value * q
        if abs(p) <= 100.5 and round(p) / q == value and math.gcd(round(p), q) == 1:
            return round(p), q
    if not 1 / LARGEST_TERM <= abs(value) <= LARGEST_TERM:
        return None
    near = Fraction(value).limit_denominator(LARGEST_TERM)
    p, q = near.numerator, near.denominator
    finite = 10 ** q.bit_length() % q == 0
    return (p, q) if abs(p) <= LARGEST_TERM and p / q == value and not finite else None


def label(names: Sequence[Hashable], d: int) -> str:
    """The label of variable `d` as text.

    Raises
    ------
    InputError : fewer names than variables.
    """
    if d >= len(names):
        raise InputError(f"the expression uses variable {d}, but only {len(names)} names are given; name them all")
    return str(names[d])


def quoted(text: str) -> str:
    """A label as it stands in an expression: as it is, or in backticks where it is not an identifier."""
    return text if IDENTIFIER.fullmatch(text) else "`" + text.replace("`", "``") + "`"


def to_text(expressions: Expressions, names: Sequence[Hashable], *, digits: int | None = None) -> list[str]:
    """Every expression as infix text with the fewest parentheses.

    Parameters
    ----------
    expressions : Expressions, B rows
    names : labels of the variables
    digits : significant digits of free constants, for reading. None writes every number exactly: then parsing
        the text gives the same values bit for bit.

    Returns
    -------
    list of B texts

    Raises
    ------
    InputError : fewer names than variables.
    """
    vocabulary = expressions.vocabulary
    taken = {str(name) for name in names}
    signs = {o.infix[0]: o for o in vocabulary.operators if o.infix and o.arity == 2}

    def number(value: float, free: bool, slot: int) -> tuple[str, int]:
        parts = None if free or len(repr(value)) < 12 else fraction(value)  # 1/3, but 0.25 and 1.9
        if parts is not None:
            return f"{parts[0]}/{parts[1]}", signs["/"].infix[1] if "/" in signs else ATOM
        if free and digits is not None:
            text = f"{value:.{digits}g}"
        elif value.is_integer() and abs(value) < 1e15 and not (value == 0 and math.copysign(1, value) < 0):
            text = str(int(value))
        else:
            text = repr(value)
        return text, (signs["*"].infix[1] if "*" in signs else 0) if text.startswith("-") else ATOM

    def variable(d: int) -> tuple[str, int]:
        return quoted(label(names, d)), ATOM

    def infix(operator: Operator, left: tuple[str, int], right: tuple[str, int]) -> tuple[str, int]:
        sign, strength = operator.infix
        if digits is None:  # keep 1/x and x**2 for the operators inv and square
            for name, (of, place, integer) in SHORTHAND.items():
                if of == sign and name in vocabulary and (left, right)[place][0] == integer:
                    left, right = ((f"{integer}.0", ATOM), right) if place == 0 else (left, (f"{integer}.0", ATOM))
        # Rounded text need not keep the order of additions: a + (b + c) reads better as a + b + c.
        loose_right = sign in RIGHT_ASSOCIATIVE or (operator.commutative and digits is not None)
        # a + -b is a - b and a - -b is a + b, to the last bit.
        other = {"+": "-", "-": "+"}.get(sign)
        if other in signs and right[0].startswith("-") and right[1] >= strength + (not loose_right):
            sign, right = other, (right[0][1:], right[1])
        a = _enclosed(left, strength + (sign in RIGHT_ASSOCIATIVE))
        b = _enclosed(right, ATOM if right[0].startswith("-") else strength + (not loose_right))
        return f"{a} {sign} {b}" if other else f"{a}{sign}{b}", strength

    def apply(operator: Operator, arguments: list[tuple[str, int]]) -> tuple[str, int]:
        short = SHORTHAND.get(operator.name)
        if short is not None and operator.name in vocabulary and short[0] in signs:
            sign, place, integer = short
            strength = signs[sign].infix[1]
            if place == 0:
                return f"{integer}{sign}{_enclosed(arguments[0], strength + 1)}", strength
            return f"{_enclosed(arguments[0], strength + 1)}{sign}{integer}", strength
        if operator.infix and operator.arity == 2:
            return infix(operator, *arguments)
        if operator.infix:
            sign, strength = operator.infix
            signed = arguments[0][0].startswith(sign)  # -(-x), not --x
            return sign + _enclosed(arguments[0], ATOM if signed else strength), strength
        if operator.arity == 0 and operator.name not in taken:
            return operator.name, ATOM
        return f"{operator.name}({', '.join(text for text, _ in arguments)})", ATOM

    return [fold(expressions, row, number, variable, apply)[0] for row in range(len(expressions))]


def _enclosed(entry: tuple[str, int], strength: int) -> str:
    """The text of an entry, in parentheses where it binds less than `strength`."""
    text, binding = entry
    return text if binding >= strength else f"({text})"
