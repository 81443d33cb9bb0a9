"""Code: a law as one line of a programming language, through the operators' own printers; and names for labels.

It knows signs, brackets and numbers; what each operator is called there stands in the operator's declaration.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sr_accessor.errors import OperatorError
from sr_accessor.exports.exporter import Formula
from sr_accessor.expressions.definitions import expanded
from sr_accessor.expressions.latex import GREEK
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.text import ATOM, fold

__all__ = ["Language", "Written", "expression_text", "function", "identifiers"]

_CALL = re.compile(r"[\w.]+\((?:\{\d\}(?:, )?)*\)\Z|[\w.]+\((?:\{0\}), \d+\)\Z|[\w.]+(?:\(\))?\Z")
_POWER = "**"


@dataclass(frozen=True)
class Language:
    """How a language writes numbers and arithmetic.

    Parameters
    ----------
    name : under which operators carry their printers
    signs : our sign -> its sign, where they differ
    number : a float -> its text, by default the shortest that is read back exactly
    boxed : template for a number that is an argument of a function; "" where it needs none
    whole_exponents : whether a whole exponent is written without a point
    """

    name: str
    signs: Mapping[str, str] = field(default_factory=dict)
    number: Callable[[float], str] = repr
    boxed: str = ""
    whole_exponents: bool = False


def expression_text(formula: Formula, language: Language, variable: Callable[[int], str]) -> str:
    """The right-hand side as one expression of a language.

    Parameters
    ----------
    variable : index -> how that variable is written; must need no brackets

    Raises
    ------
    OperatorError : an operator has no printer for this language, and no definition in operators that have.
    """
    expression = formula.expression
    operators = expression.vocabulary.operators
    known = {o.name for o in operators if o.infix or language.name in o.printers or o.arity == 0}
    expression = expanded(expression, [o.name for o in operators if o.name not in known])

    def number(value: float, free: bool, slot: int) -> _Entry:
        text = language.number(value)
        return _Entry(text, 0 if text.startswith("-") else ATOM, value)

    def named(d: int) -> _Entry:
        return _Entry(variable(d), ATOM)

    def apply(operator: Operator, arguments: list[_Entry]) -> _Entry:
        template = operator.printers.get(language.name)
        if template is not None:
            return _templated(template, arguments, language)
        if operator.arity == 0:  # a number with a name: there it is the number
            return number(float(operator.torch()), False, 0)
        if operator.infix is None:
            raise OperatorError(
                f"operator {operator.name!r} cannot be written in {language.name!r}: it has no printer for it. Declare "
                f"Operator({operator.name!r}, ..., printers={{{language.name!r}: '...({{0}})'}}), or take a law without"
            )
        sign, strength = operator.infix
        spelled = language.signs.get(sign, sign)
        if operator.arity == 1:
            return _Entry(spelled + _enclosed(arguments[0], ATOM), strength)
        left, right = arguments
        if sign == _POWER:
            if language.whole_exponents and right.value is not None and right.value.is_integer():
                right = _Entry(str(int(right.value)), right.binding, right.value)
            return _Entry(f"{_enclosed(left, ATOM)}{spelled}{_enclosed(right, ATOM)}", strength)
        pad = " " if strength == 1 else ""
        return _Entry(f"{_enclosed(left, strength)}{pad}{spelled}{pad}{_enclosed(right, strength + 1)}", strength)

    return fold(expression, 0, number, named, apply).text


@dataclass(frozen=True)
class _Entry:
    """Text of a part, how strongly it binds, and its value where it is a number."""

    text: str
    binding: int
    value: float | None = None


def _enclosed(entry: _Entry, strength: int) -> str:
    return entry.text if entry.binding >= strength and not entry.text.startswith("-") else f"({entry.text})"


def _templated(template: str, arguments: Sequence[_Entry], language: Language) -> _Entry:
    call = _CALL.match(template) is not None
    texts = []
    for argument in arguments:
        if call:
            box = language.boxed if argument.value is not None and language.boxed else "{0}"
            texts.append(box.format(argument.text))
        else:
            texts.append(_enclosed(argument, ATOM))
    return _Entry(template.format(*texts), ATOM if call else 0)


# ---------------------------------------------------------------------- names
#: Words that mean something to one of the languages, or to the code around the law.
_RESERVED = frozenset(keyword.kwlist) | frozenset(
    "math np numpy torch jnp jax law pi e i j auto break case char const continue default do double else enum extern "
    "float for goto if int long register return short signed sizeof static struct switch typedef union unsigned void "
    "volatile while function end begin module using local global let true false abs min max sin cos tan exp log sqrt "
    "asin acos atan sinh cosh tanh pow real integer program subroutine implicit none kind result params c".split()
)


def identifiers(labels: Sequence[Hashable], reserved: Collection[str] = ()) -> list[str]:
    """A name for each label: ASCII letters, digits and _; no two alike, whatever the case; no reserved word."""
    taken = {word.lower() for word in (*_RESERVED, *reserved)}
    names = []
    for label in labels:
        text = "_".join(map(str, label)) if isinstance(label, tuple) else str(label)
        text = "".join(GREEK.get(c, c) for c in text)
        text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        text = re.sub(r"\W+", "_", text).strip("_")
        text = text if text[:1].isalpha() else f"x{text}"
        name, count = text, 1
        while name.lower() in taken:
            count += 1
            name = f"{text}_{count}"
        taken.add(name.lower())
        names.append(name)
    return names


class Written(NamedTuple):
    """The parts of a function: comment lines, names of the arguments, and the expression it returns."""

    comments: str
    names: list[str]
    right: str

    @property
    def arguments(self) -> str:
        return ", ".join(self.names)


def function(formula: Formula, language: Language, comment: str) -> Written:
    """A law as the parts of a function of the columns that it needs.

    Parameters
    ----------
    comment : what a comment line begins with; the lines tell which label a name stands for

    Raises
    ------
    OperatorError : an operator has no printer for this language.
    """
    names = identifiers([formula.names[d] for d in formula.used])
    right = expression_text(formula, language, dict(zip(formula.used, names, strict=True)).__getitem__)
    lines = [f"{comment} {formula.target!r} as found by sr_accessor"]
    for d, name in zip(formula.used, names, strict=True):
        if name != str(formula.names[d]):
            lines.append(f"{comment} {name}: {formula.names[d]!r}")
    return Written("".join(f"{ascii(line)[1:-1]}\n" for line in lines), names, right)
