"""Expressions from text over a vocabulary: our own tokenizer and precedence parser; nothing is evaluated.

Normal form: ``x**2``, ``x**3`` and ``1/x`` become square, cube and inv where these are active (write ``x**2.0``
and ``1.0/x`` for pow and div); ``2/3`` with two integers is one number; ``-2`` is one number. One pass over the
text with an explicit stack: time is linear, and hostile text is refused by its length, symbols and depth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch

from sr_accessor.errors import OptionError, ParseError, nearest
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.text import IDENTIFIER, RIGHT_ASSOCIATIVE, SHORTHAND
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, VARIABLE, Vocabulary

__all__ = ["ALIASES", "MAX_DEPTH", "MAX_SYMBOLS", "MAX_TEXT", "Parsed", "parse", "parse_model"]

#: What text may hold: characters, symbols of the result, open brackets and waiting operators.
MAX_TEXT, MAX_SYMBOLS, MAX_DEPTH = 100_000, 5_000, 200
#: Characters of one number; the longest exact double has 767 digits, and nobody writes those.
MAX_DIGITS = 400

#: Other spellings: a prefix code of operator names, numbers (float) and arguments (int), each argument once.
ALIASES: Mapping[str, tuple[str | float | int, ...]] = {
    "ln": ("log", 0),
    "log10": ("div", "log", 0, "log", 10.0),
    "log2": ("div", "log", 0, "log", 2.0),
    "log1p": ("log", "add", 1.0, 0),
    "expm1": ("sub", "exp", 0, 1.0),
    "Abs": ("abs", 0),
    "fabs": ("abs", 0),
    "arcsin": ("asin", 0),
    "arccos": ("acos", 0),
    "arctan": ("atan", 0),
    "sec": ("inv", "cos", 0),
    "csc": ("inv", "sin", 0),
    "cot": ("inv", "tan", 0),
    "power": ("pow", 0, 1),
    "minimum": ("min", 0, 1),
    "maximum": ("max", 0, 1),
    "Min": ("min", 0, 1),
    "Max": ("max", 0, 1),
    "e": ("exp", 1.0),
    "E": ("exp", 1.0),
    "Pi": ("pi",),
    "π": ("pi",),
}
#: Other signs.
SIGNS: Mapping[str, str] = {"^": "**", "·": "*", "×": "*", "−": "-"}
#: Digits of exponents.
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
#: Why a character that many people would try cannot stand in an expression.
HINTS: Mapping[str, str] = {
    "=": "give only the right-hand side of an equation",
    "[": "use round brackets, or backticks around a label such as `T [K]`",
    "{": "use round brackets",
    "|": "write abs(x)",
    "`": "a label that starts with a backtick must end with one",
}


@dataclass(frozen=True)
class Parsed:
    """An expression and what its numbers are called.

    Parameters
    ----------
    expressions : one row
    parameters : K names, one for each column of `expressions.constants`, in order of appearance; None for a
        number that was written as a number. A name that appears twice stands here twice.
    """

    expressions: Expressions
    parameters: tuple[str | None, ...]


@dataclass(frozen=True)
class _Number:
    value: float
    spelled: str  # "" where it was computed
    name: str | None = None
    fixed: bool = False


@dataclass(frozen=True)
class _Pending:
    """What waits on the stack for its operand: an operator, a bracket "(" or a call."""

    kind: str  # "infix", "prefix", "(", "call"
    position: int
    what: str = ""  # the sign, or the function's name
    operator: Operator | None = None
    commas: int = 0


def parse(
    text: str,
    vocabulary: Vocabulary,
    names: Sequence[Hashable],
    *,
    numbers: str = "literal",
) -> Expressions:
    """One expression from infix text.

    Parameters
    ----------
    text : e.g. "2*x**2 + exp(-`T [K]`/300)"
        Signs and functions are the vocabulary's, with `ALIASES`; `^` means `**`. Inactive operators may be used.
    names : labels of the variables; compared as ``str(label)``. Labels that are not identifiers stand in
        backticks. A label wins over a constant of the same name, and over a function unless "(" follows.
    numbers : "literal" or "constant"
        "literal": every number belongs to the structure. "constant": every number is free, except an exponent
        that is written as an integer, a fraction of integers or a multiple of 1/2.

    Returns
    -------
    Expressions, one row

    Raises
    ------
    ParseError : the text is not such an expression; says where.
    """
    return parse_model(text, vocabulary, names, {}, numbers=numbers).expressions


def parse_model(
    text: str,
    vocabulary: Vocabulary,
    names: Sequence[Hashable],
    parameters: Mapping[str, float],
    *,
    numbers: str = "literal",
) -> Parsed:
    """One expression with named parameters, e.g. "A*exp(-k*t)" with {"A": 1.0, "k": 0.1}.

    Parameters
    ----------
    parameters : start values; these identifiers become free constants. Labels win over them.
    text, vocabulary, names, numbers : as in `parse`

    Raises
    ------
    ParseError : the text is not such an expression; says where.
    """
    if numbers not in ("literal", "constant"):
        raise OptionError(f"numbers={numbers!r}: use 'literal' or 'constant'")
    if not isinstance(text, str):
        raise OptionError(f"an expression is given as text, not as {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise ParseError(f"the expression has {len(text)} characters; at most {MAX_TEXT} are read", text, MAX_TEXT)
    builder = _Builder(text, vocabulary, names, parameters)
    return builder.expression(_read(text, builder), numbers)


def _read(text: str, builder: _Builder) -> int:
    """The tokens of `text` in order, with a stack of what waits for its operand; the number of the root node."""
    stack: list[_Pending] = []
    done: list[int] = []  # nodes of finished operands
    want_operand, at = True, 0

    def reduce_top() -> None:
        pending = stack.pop()
        right = done.pop()
        if pending.kind == "prefix":
            done.append(builder.prefix(pending.operator, right, pending.position))
        else:
            done.append(builder.infix(pending.what, pending.operator, done.pop(), right, pending.position))

    def close(position: int) -> None:
        while stack and stack[-1].kind in ("infix", "prefix"):
            reduce_top()
        if not stack:
            hint = "; decimals are written with a point" if text[position] == "," else ""
            raise ParseError(f"this ')' or ',' has no '(' before it{hint}", text, position)

    while match := builder.token.match(text, at):
        kind, token, at = match.lastgroup, match.group(match.lastgroup), match.end()
        position = match.start(kind)
        if len(stack) > MAX_DEPTH:
            raise ParseError(f"more than {MAX_DEPTH} open brackets and operators", text, position)
        sign = SIGNS.get(token, token)
        if kind in ("number", "name", "quoted") or token == "(":
            if not want_operand:
                raise ParseError(f"an operator is missing before {token[:20]!r}, e.g. '*'", text, position)
            if token == "(":
                stack.append(_Pending("(", position))
                continue
            opens = builder.opening.match(text, at)
            if kind == "name" and opens:
                builder.arity(token, position)
                stack.append(_Pending("call", position, token))
                at = opens.end()
                if closes := builder.closing.match(text, at):
                    at = closes.end()
                    done.append(builder.call(token, [], position))
                    stack.pop()
                    want_operand = False
                continue
            done.append(builder.leaf(kind, token, position))
            want_operand = False
        elif want_operand and token in "),":
            raise ParseError(f"an operand is missing before {token!r}", text, position)
        elif token in "),":
            close(position)
            opened = stack.pop()
            if token == ",":
                if opened.kind == "(":
                    raise ParseError(
                        "a comma may only stand between the arguments of a function; decimals are written with a point",
                        text,
                        position,
                    )
                stack.append(_Pending("call", opened.position, opened.what, commas=opened.commas + 1))
                want_operand = True
            elif opened.kind == "call":
                count = opened.commas + 1
                arguments = done[-count:]
                del done[-count:]
                done.append(builder.call(opened.what, arguments, opened.position))
        elif want_operand:
            if sign in builder.prefixes:
                stack.append(_Pending("prefix", position, sign, builder.prefixes[sign]))
            elif sign != "+":
                raise ParseError(f"an operand is missing before {token!r}", text, position)
        elif sign in builder.infixes:
            operator = builder.infixes[sign]
            least = operator.infix[1] + (sign in RIGHT_ASSOCIATIVE)
            while stack and stack[-1].operator is not None and stack[-1].operator.infix[1] >= least:
                reduce_top()
            stack.append(_Pending("infix", position, sign, operator))
            want_operand = True
        else:
            raise ParseError(f"{token!r} cannot stand between two operands", text, position)

    rest = text[at:].lstrip()
    if rest:
        hint = HINTS.get(rest[0], f"signs: {' '.join(sorted(builder.infixes))}")
        raise ParseError(f"{rest[0]!r} cannot stand in an expression; {hint}", text, len(text) - len(rest))
    if not text.strip():
        raise ParseError("no expression: the text is empty")
    if want_operand:
        raise ParseError("the expression ends where an operand is missing", text, len(text))
    while stack:
        if stack[-1].kind in ("(", "call"):
            opened = stack[-1]
            raise ParseError("this '(' is never closed", text, opened.position + len(opened.what))
        reduce_top()
    return done.pop()


class _Builder:
    """Nodes of the expression that is being read, each made once; a node is named by its number."""

    def __init__(self, text: str, vocabulary: Vocabulary, names: Sequence[Hashable], parameters: Mapping[str, float]):
        self.text, self.vocabulary, self.parameters = text, vocabulary, parameters
        self.labels: dict[str, list[int]] = {}
        for d, name in enumerate(names):
            self.labels.setdefault(str(name), []).append(d)
        self.heads: list[int | _Number] = []  # operator id, variable id, or a number
        self.children: list[tuple[int, ...]] = []
        self.infixes = {o.infix[0]: o for o in vocabulary.operators if o.infix and o.arity == 2}
        self.prefixes = {o.infix[0]: o for o in vocabulary.operators if o.infix and o.arity == 1}
        self.built_in = {o.name: o.arity for o in vocabulary.operators}
        self.functions = dict(self.built_in)
        for alias, template in ALIASES.items():
            if all(not isinstance(part, str) or part in self.functions for part in template):
                self.functions.setdefault(alias, sum(type(part) is int for part in template))
        signs = sorted({*self.infixes, *self.prefixes, *SIGNS, "+"}, key=len, reverse=True)
        self.token = re.compile(
            r"\s*(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
            rf"|(?P<name>{IDENTIFIER.pattern})|(?P<quoted>`(?:[^`]|``)*`(?!`))"
            rf"|(?P<sign>{'|'.join(map(re.escape, signs))}|[(),]))"
        )
        self.opening, self.closing = re.compile(r"\s*\("), re.compile(r"\s*\)")

    def error(self, message: str, position: int) -> ParseError:
        return ParseError(message, self.text, position)

    def new(self, head: int | _Number, children: tuple[int, ...], position: int) -> int:
        if len(self.heads) >= MAX_SYMBOLS:
            raise self.error(f"the expression has more than {MAX_SYMBOLS} symbols", position)
        self.heads.append(head)
        self.children.append(children)
        return len(self.heads) - 1

    # ------------------------------------------------------------------ operands
    def leaf(self, kind: str, token: str, position: int) -> int:
        if kind == "number":
            if len(token) > MAX_DIGITS:
                raise self.error(f"a number of {len(token)} characters; at most {MAX_DIGITS} are read", position)
            if not math.isfinite(float(token)):
                raise self.error("the number is too large for a double", position)
            return self.new(_Number(float(token), token), (), position)
        name = token[1:-1].replace("``", "`") if kind == "quoted" else token
        at = self.labels.get(name, [])
        if len(at) > 1:
            raise self.error(f"{len(at)} variables are called {name!r}; rename all but one", position)
        if at:
            return self.new(VARIABLE + at[0], (), position)
        if kind == "quoted":
            raise self.error(f"no variable {name[:40]!r}; {nearest(name[:40], self.labels)}", position)
        if any(mark in name for mark in RAISED):  # \w takes them for letters: x² would be a parameter
            raise self.error(f"{name[:40]!r} is no variable; write a power with its sign: x**2", position)
        if name in self.parameters:
            return self.new(_Number(float(self.parameters[name]), "", name), (), position)
        if self.functions.get(name) == 0:
            return self.call(name, [], position)
        if name in self.functions:
            raise self.error(f"{name!r} is a function: write {name}(...)", position)
        known = [*self.labels, *self.parameters, *self.functions]
        shown = name[:40]  # a long name is somebody's joke, and comparing it with all others takes long
        raise self.error(f"no variable, parameter or function {shown!r}; {nearest(shown, known)}", position)

    def arity(self, name: str, position: int) -> int:
        if name not in self.functions:
            if name in self.labels or name in self.parameters:
                raise self.error(f"{name!r} is not a function; an operator is missing, e.g. {name}*(...)", position)
            raise self.error(f"no function {name[:40]!r}; {nearest(name[:40], self.functions)}", position)
        return self.functions[name]

    # ------------------------------------------------------------------ operators
    def call(self, name: str, arguments: list[int], position: int) -> int:
        arity = self.arity(name, position)
        if len(arguments) != arity:
            raise self.error(f"{name} takes {arity} argument{'s' * (arity != 1)}, not {len(arguments)}", position)
        if name in self.built_in:
            return self.new(self.vocabulary.id(name), tuple(arguments), position)
        stack: list[int] = []
        for part in reversed(ALIASES[name]):
            if isinstance(part, str):
                taken = tuple(stack.pop() for _ in range(self.vocabulary.operator(part).arity))
                stack.append(self.new(self.vocabulary.id(part), taken, position))
            else:  # numbers of a definition, such as the 10 of log10, are not free
                stack.append(
                    arguments[part] if type(part) is int else self.new(_Number(part, "", fixed=True), (), position)
                )
        return stack.pop()

    def prefix(self, operator: Operator, node: int, position: int) -> int:
        number = self.heads[node]
        if operator.infix[0] == "-" and isinstance(number, _Number) and number.name is None:
            return self.new(_Number(-number.value, f"-{number.spelled}" * bool(number.spelled)), (), position)
        return self.new(self.vocabulary.id(operator.name), (node,), position)

    def infix(self, sign: str, operator: Operator, left: int, right: int, position: int) -> int:
        a, b = self.heads[left], self.heads[right]
        if sign == "/" and _is_integer(a) and _is_integer(b) and b.value != 0:
            return self.new(_Number(a.value / b.value, f"{a.spelled}/{b.spelled}"), (), position)
        for name, (of, place, integer) in SHORTHAND.items():
            number, other = ((a, right), (b, left))[place]
            if of == sign and name in self.vocabulary and isinstance(number, _Number) and number.spelled == integer:
                return self.new(self.vocabulary.id(name), (other,), position)
        return self.new(self.vocabulary.id(operator.name), (left, right), position)

    # ------------------------------------------------------------------ the result
    def expression(self, root: int, numbers: str) -> Parsed:
        """Prefix code of the node `root`."""
        codes: list[int] = []
        values: list[float] = []
        called: list[str | None] = []
        power = self.infixes["**"] if "**" in self.infixes else None
        stack = [(root, False)]
        while stack:
            node, is_exponent = stack.pop()
            head = self.heads[node]
            if isinstance(head, _Number):
                structural = head.fixed or (is_exponent and _is_simple(head))
                free = head.name is not None or (numbers == "constant" and not structural)
                codes.append(CONSTANT if free else LITERAL)
                values.append(head.value)
                called.append(head.name)
                continue
            codes.append(head)
            in_power = power is not None and head == self.vocabulary.id(power.name)
            children = self.children[node]
            stack.extend((children[i], in_power and i == 1) for i in reversed(range(len(children))))
        expressions = Expressions(
            torch.tensor([codes], dtype=torch.int64),
            torch.tensor([values], dtype=torch.float64).reshape(1, len(values)),
            self.vocabulary,
        )
        return Parsed(expressions, tuple(called))


def _is_integer(head: int | _Number) -> bool:
    return isinstance(head, _Number) and head.spelled.removeprefix("-").isdigit()


def _is_simple(number: _Number) -> bool:
    """Whether an exponent reads as part of the law: an integer, a fraction of integers, a multiple of 1/2."""
    return "/" in number.spelled or (2 * number.value).is_integer()
