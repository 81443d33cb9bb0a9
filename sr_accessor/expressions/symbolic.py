"""Expressions as sympy expressions and back.

Literals become exact (Integer, Rational), free constants Float with all 53 bits; on the way back Float is free and
the exact kinds are literals. sympy is imported when a function is called, not before.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from sr_accessor.errors import InputError, UnknownNameError, nearest
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.operator import Operator, resolve_reference
from sr_accessor.expressions.text import LARGEST_DENOMINATOR, fold, fraction, label
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, VARIABLE, Vocabulary

if TYPE_CHECKING:
    import sympy

__all__ = ["from_sympy", "to_sympy"]

#: Exact integers are kept up to this size; sympy would compute 9**9**9 exactly and never return.
LARGEST_INTEGER = 10_000
#: Bits of an exact coefficient, beyond which it becomes a Float: ((2*x)**10000)**10000 has 10**8 of them.
LARGEST_COEFFICIENT = 64


def to_sympy(expressions: Expressions, names: Sequence[Hashable]) -> list[sympy.Expr]:
    """Every expression as a sympy expression.

    Parameters
    ----------
    expressions : Expressions, B rows
    names : labels of the variables; the symbols are ``sympy.Symbol(str(label))``, without assumptions

    Returns
    -------
    list of B sympy expressions; nan where an expression without variables has no finite value

    Raises
    ------
    InputError : fewer names than variables.
    """
    import sympy

    # A large fraction, 71/15, beside measured decimals is one of them; 1/108 beside nothing but fractions is exact.
    exact_rows = [
        not bool(free.any()) and all(v.is_integer() or fraction(v) for v in values[:count].tolist())
        for free, values, count in zip(
            expressions.free, expressions.constants, expressions.number_counts.tolist(), strict=True
        )
    ]

    def number(row: int, value: float, free: bool, slot: int) -> tuple[sympy.Expr, float | None]:
        exact = None
        if not free and value.is_integer() and abs(value) <= LARGEST_INTEGER:
            exact = sympy.Integer(int(value))
        elif not free and (parts := fraction(value)) and (exact_rows[row] or parts[1] <= LARGEST_DENOMINATOR):
            exact = sympy.Rational(*parts)
        return (sympy.Float(value) if exact is None else exact), value

    plain: dict[sympy.Expr, sympy.Expr] = {}

    def variable(d: int) -> tuple[sympy.Expr, float | None]:
        # Real while the expression is built: of a complex x, sympy writes |exp(x)| as exp(re(x)).
        symbol = sympy.Symbol(label(names, d), real=True)
        plain[symbol] = sympy.Symbol(symbol.name)
        return symbol, None

    def apply(operator: Operator, arguments: list[tuple]) -> tuple[sympy.Expr, float | None]:
        if any(e is sympy.nan for e, _ in arguments):
            return sympy.nan, math.nan
        if any(value is None for _, value in arguments):
            return _small(operator.to_sympy(*(e for e, _ in arguments))), None
        value = float(operator.torch(*(torch.tensor(v, dtype=torch.float64) for _, v in arguments)))
        if not math.isfinite(value):
            return sympy.nan, value
        if value != 0 and not 1e-15 < abs(value) < 1e15:
            return sympy.Float(value), value
        return _small(operator.to_sympy(*(e for e, _ in arguments))), value

    return [
        fold(expressions, row, partial(number, row), variable, apply)[0].xreplace(plain)
        for row in range(len(expressions))
    ]


def _small(expression: sympy.Expr) -> sympy.Expr:
    """The same expression with an enormous exact coefficient made a Float."""
    import sympy

    coefficient, rest = expression.as_coeff_Mul()
    if not coefficient.is_Rational or max(abs(coefficient.p), coefficient.q).bit_length() <= LARGEST_COEFFICIENT:
        return expression
    return sympy.Float(coefficient) * rest


def from_sympy(expression: sympy.Expr, vocabulary: Vocabulary, names: Sequence[Hashable]) -> Expressions:
    """One expression from a sympy expression.

    Sums and products of many terms are folded to the left; a - b, a/b, 1/a, sqrt, squares and cubes use their own
    operators where these are active. Functions are found through the operators' `sympy`.

    Parameters
    ----------
    expression : of real numbers, symbols called ``str(label)`` and functions of the vocabulary
    names : labels of the variables

    Returns
    -------
    Expressions, one row; Float is CONSTANT, Integer and Rational are LITERAL

    Raises
    ------
    UnknownNameError : a symbol or function the names or the vocabulary do not have.
    InputError : nan, an infinity, an imaginary number; anything that is no sympy expression, text above all.
    """
    return _Reader(vocabulary, names).read(expression)


class _Reader:
    """Rewrites a sympy expression from its root to its leaves into a prefix code."""

    def __init__(self, vocabulary: Vocabulary, names: Sequence[Hashable]):
        import sympy

        self.sympy, self.vocabulary = sympy, vocabulary
        self.labels = {str(name): d for d, name in reversed(list(enumerate(names)))}
        self.heads: dict[type, Operator] = {}
        for operator in vocabulary.operators:
            head = resolve_reference(operator.sympy)
            if operator.arity and isinstance(head, type) and issubclass(head, sympy.Basic):
                self.heads.setdefault(head, operator)

    def read(self, expression: sympy.Expr) -> Expressions:
        codes: list[int] = []
        numbers: list[float] = []
        if isinstance(expression, int | float):
            expression = self.sympy.Integer(expression) if isinstance(expression, int) else self.sympy.Float(expression)
        if not isinstance(expression, self.sympy.Basic):  # sympy would evaluate text, so that nothing else comes in
            raise InputError(f"{type(expression).__name__} is no sympy expression; text is read by parse()")
        stack: list = [expression]
        while stack:
            part = stack.pop()
            if isinstance(part, str):
                codes.append(self.vocabulary.id(part))
            elif isinstance(part, self.sympy.Symbol):
                if part.name not in self.labels:
                    raise UnknownNameError(f"no variable {part.name!r}; {nearest(part.name, self.labels)}")
                codes.append(VARIABLE + self.labels[part.name])
            elif isinstance(part, self.sympy.Float | self.sympy.Rational) and math.isfinite(float(part)):
                codes.append(CONSTANT if part.is_Float else LITERAL)
                numbers.append(float(part))
            else:
                stack.extend(reversed(self.split(part)))
        return Expressions(
            torch.tensor([codes], dtype=torch.int64),
            torch.tensor([numbers], dtype=torch.float64).reshape(1, len(numbers)),
            self.vocabulary,
        )

    def split(self, part: sympy.Expr) -> list:
        """The root of `part` as a prefix code of operator names and smaller sympy expressions."""
        sympy = self.sympy
        if part is sympy.pi:
            return ["pi"] if "pi" in self.vocabulary else [sympy.Float(part)]
        if part is sympy.E:
            return ["exp", sympy.Integer(1)]
        if part.is_Add:
            return self.split_sum(part)
        if part.is_Mul:
            return self.split_product(part)
        if part.is_Pow:
            return self.split_power(part.base, part.exp)
        if type(part) in self.heads:
            operator = self.heads[type(part)]
            arguments = list(part.args)
            if operator.commutative and len(arguments) > 2:  # Max(a, b, c)
                return [operator.name] * (len(arguments) - 1) + arguments
            if len(arguments) == operator.arity:
                return [operator.name, *arguments]
        if part.is_Atom:
            raise InputError(f"{part} is not a finite real number or a variable; the expression has no real values")
        known = sorted(h.__name__ for h in self.heads)
        raise UnknownNameError(
            f"no operator computes sympy's {type(part).__name__} in {str(part)[:80]}; "
            f"{nearest(type(part).__name__, known)}; register one with sympy={type(part).__name__}"
        )

    def split_sum(self, part: sympy.Expr) -> list:
        terms = list(part.as_ordered_terms())
        first = next((i for i, t in enumerate(terms) if not _is_negative(t)), 0)
        terms.insert(0, terms.pop(first))  # -a + b is b - a
        signs = ["sub" if _is_negative(t) else "add" for t in terms[1:]]
        return [*reversed(signs), terms[0], *(-t if _is_negative(t) else t for t in terms[1:])]

    def split_product(self, part: sympy.Expr) -> list:
        sympy = self.sympy
        coefficient, rest = part.as_coeff_Mul()
        if coefficient == -1:
            return ["neg", rest]
        above, below = [], []
        for factor in sympy.Mul.make_args(rest):
            base, exponent = factor.as_base_exp()
            inverse = factor.is_Pow and exponent.is_number and exponent.is_negative
            (below if inverse else above).append(base**-exponent if inverse else factor)
        if coefficient != 1:
            if coefficient.is_Rational and abs(coefficient.p) == 1 and above:
                below.insert(0, sympy.Integer(coefficient.q))  # x/4 rather than 0.25*x
                if coefficient < 0:
                    return ["neg", self.quotient(above, below)]
            else:
                above.insert(0, coefficient)
        return self.quotient_parts(above, below)

    def quotient(self, above: list, below: list) -> sympy.Expr:
        return self.sympy.Mul(*above) / self.sympy.Mul(*below)

    def quotient_parts(self, above: list, below: list) -> list:
        numerator = ["mul"] * (len(above) - 1) + above
        denominator = ["mul"] * (len(below) - 1) + below
        if not below:
            return numerator
        if not above:
            return ["inv", *denominator] if "inv" in self.vocabulary else ["div", self.sympy.Integer(1), *denominator]
        return ["div", *numerator, *denominator]

    def split_power(self, base: sympy.Expr, exponent: sympy.Expr) -> list:
        sympy, half = self.sympy, self.sympy.Rational(1, 2)
        named = {half: "sqrt", sympy.Integer(2): "square", sympy.Integer(3): "cube"}.get(exponent)
        if named is not None and named in self.vocabulary:
            return [named, base]
        if exponent.is_number and exponent.is_negative and exponent.is_Rational:
            inverse = ["inv"] if "inv" in self.vocabulary else ["div", sympy.Integer(1)]
            return [*inverse, base**-exponent]
        return ["pow", base, exponent]


def _is_negative(term: sympy.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)
