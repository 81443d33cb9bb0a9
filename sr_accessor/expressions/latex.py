r"""One expression as LaTeX, e.g. ``2 x^{2} + \frac{1}{3}``, written through the operators' own `latex`.

Plain LaTeX that KaTeX, MathJax and matplotlib's mathtext read alike (mathtext knows neither \# nor \&); sympy is
not needed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from sr_accessor.errors import InputError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.text import ATOM, fold, fraction, label

__all__ = ["label_latex", "number_latex", "to_latex"]

#: Binding strength of x^{2} and \frac{a}{b}, beside `Operator.infix`, where + is 1 and * is 2.
POWER, PRODUCT = 4, 2
#: So many zeros at the end of a whole number are written as a power of ten: they are seldom known.
MANY_ZEROS = "00000"
GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρσςτυφχψωΓΔΘΛΞΠΣΥΦΨΩµ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma varsigma tau upsilon "
        "phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega mu".split(),
        strict=True,
    )
)
#: Characters of a label that mean something to LaTeX. The braces around < keep HTML from seeing a tag.
SPECIAL = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "#": r"\#", "&": r"\&", "_": r"\_",
    "^": r"\wedge ", "~": r"\sim ", "<": "{<}", ">": "{>}", "°": r"^{\circ}", "²": "^{2}", "³": "^{3}",
}  # fmt: skip


def to_latex(
    expressions: Expressions,
    names: Sequence[Hashable],
    *,
    digits: int = 4,
    constants: Sequence[str] | None = None,
) -> str:
    """LaTeX of one expression, without dollar signs.

    Parameters
    ----------
    expressions : Expressions, one row
    names : labels of the variables, set by `label_latex`
    digits : significant digits of free constants; literals are written in full
    constants : LaTeX to show instead of the free constants' values, in order, e.g. ["c_{0}", "c_{1}"]

    Raises
    ------
    InputError : not one row, fewer names than variables, or not one entry of `constants` per free constant.
    """
    if len(expressions) != 1:
        raise InputError(f"to_latex writes one expression, not {len(expressions)}; index the batch first")
    free_slots = expressions.free[0].nonzero()[:, 0].tolist()
    if constants is not None and len(constants) != len(free_slots):
        raise InputError(f"constants has {len(constants)} entries for {len(free_slots)} free constants; give one each")

    def number(value: float, free: bool, slot: int) -> _Entry:
        if free and constants is not None:
            return _Entry(constants[free_slots.index(slot)], ATOM, True)
        parts = None if free else fraction(value)
        if parts is None or (parts[1] > 4 and len(repr(value)) < 12):  # 1/2, 2/3, 5/7, but 1.9
            text = number_latex(value, digits if free else 17)
        else:
            text = rf"{'-' * (value < 0)}\frac{{{abs(parts[0])}}}{{{parts[1]}}}"
        return _Entry(text, ATOM if text.replace(".", "").isdigit() else PRODUCT, r"\times" not in text)

    def variable(d: int) -> _Entry:
        return _Entry(label_latex(label(names, d)), ATOM)

    signs = {o.infix[0]: o for o in expressions.vocabulary.operators if o.infix and o.arity == 2}
    return fold(expressions, 0, number, variable, lambda o, arguments: _applied(o, arguments, signs)).text


def number_latex(value: float, digits: int = 4) -> str:
    r"""A number with `digits` significant digits: ``3.14``, ``-2``, ``1.2 \times 10^{3}``.

    17 digits or more write the shortest decimal that is exactly the double.
    """
    text = repr(value) if digits >= 17 else f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    if mantissa.endswith(".0"):
        mantissa = mantissa[:-2]
    if mantissa.lstrip("-") in ("inf", "nan"):
        return {"inf": r"\infty", "-inf": r"-\infty"}.get(mantissa, r"\mathrm{nan}")
    if not exponent and "." not in mantissa and mantissa.endswith(MANY_ZEROS):
        known = len(mantissa.lstrip("-").rstrip("0"))
        mantissa, _, exponent = f"{value:.{known - 1}e}".partition("e")
    if not exponent:
        return mantissa
    if mantissa in ("1", "-1"):
        return f"{mantissa[:-1]}10^{{{int(exponent)}}}"
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"


def label_latex(text: str) -> str:
    r"""Any label as a symbol: ``x``, ``\lambda``, ``T_{0}``, ``T_{\mathrm{env}}``, ``\mathrm{5\%}``."""
    simple = re.fullmatch(r"([^\W\d_]+)_?([0-9]*)", text) or re.fullmatch(r"([^\W\d_]+)_([^\W_]+)", text)
    if simple is None:
        return rf"\mathrm{{{_escaped(text)}}}" if text.strip() else r"\mathrm{\ }"
    stem, index = simple.groups()
    return _word(stem) + (f"_{{{_word(index)}}}" if index else "")


def _word(text: str) -> str:
    """A letter, the name of a Greek letter, digits, or an upright word."""
    if text in GREEK or text in GREEK.values():
        return "\\" + GREEK.get(text, text)
    if text.isascii() and (len(text) == 1 or text.isdigit()):
        return text
    return rf"\mathrm{{{_escaped(text)}}}"


def _escaped(text: str) -> str:
    """Text that stands inside \\mathrm: special characters escaped, spaces kept, control characters dropped."""
    parts = []
    for character in text:
        if character in GREEK:
            parts.append(f"\\{GREEK[character]} ")
        elif character.isspace():
            parts.append(r"\ ")
        elif character.isprintable():
            parts.append(SPECIAL.get(character, character))
    return "".join(parts)


# ---------------------------------------------------------------------- operators
@dataclass(frozen=True)
class _Entry:
    """LaTeX of a sub-expression, how strongly it binds, and whether it is a number that may stand before a letter."""

    text: str
    binding: int
    is_number: bool = False


@functools.cache
def _form(operator: Operator) -> tuple[tuple[int, ...], int]:
    """For each argument the binding below which it wants parentheses, and the binding of the whole.

    Read from the template: what stands in front of ^ must be an atom, what braces or brackets enclose needs
    nothing, what stands free needs the operator's own strength.
    """
    marks = [chr(i) for i in range(operator.arity)]
    template = operator.latex.format(*marks)
    strength = operator.infix[1] if operator.infix else ATOM
    needs = []
    for i, mark in enumerate(marks):
        before = template[: template.index(mark)]
        if re.search(rf"(?:(?<![A-Za-z}}\]^_])\{{{mark}\}}|{mark})\s*\^", template):
            needs.append(ATOM)
        elif _depth(before) > 0:
            needs.append(0)
        else:
            needs.append(strength + (i == 1 and not operator.commutative))
    if any(c == "^" and _depth(template[:i]) == 0 for i, c in enumerate(template)):
        return tuple(needs), POWER
    return tuple(needs), PRODUCT if template.startswith(r"\frac") else strength


def _depth(text: str) -> int:
    """Braces and brackets that are open at the end of `text`."""
    opened = len(re.findall(r"(?<!\\)[{(\[]|\\left\b", text))
    return opened - len(re.findall(r"(?<!\\)[})\]]|\\right\b", text))


def _applied(operator: Operator, arguments: list[_Entry], signs: Mapping[str, Operator]) -> _Entry:
    needs, binding = _form(operator)
    texts = [a.text for a in arguments]
    sign = operator.infix[0] if operator.infix and operator.arity == 2 else None
    if sign in ("+", "-") and texts[1].startswith("-") and arguments[1].binding >= needs[1]:
        opposite = signs.get({"+": "-", "-": "+"}[sign])  # a + -b is written a - b
        if opposite is not None:
            operator, texts[1] = opposite, texts[1][1:]
    for i, argument in enumerate(arguments):
        signed = texts[i].startswith("-") and needs[i] > 0 and (i > 0 or operator.arity == 1)
        if argument.binding < needs[i] or signed:
            texts[i] = rf"\left({texts[i]}\right)"
    if sign == "*" and arguments[0].is_number and not re.match(r"[0-9]|\\frac\{[0-9]", texts[1]):
        return _Entry(" ".join(texts), binding)
    return _Entry(operator.latex.format(*texts), binding)
