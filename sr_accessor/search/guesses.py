"""Guesses: laws that a user thinks of, as text or as sympy expressions; unknown names become free constants."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from sr_accessor.errors import InputError, OptionError
from sr_accessor.expressions.batch import Expressions, concatenate, constant
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import ALIASES, parse_model
from sr_accessor.expressions.symbolic import from_sympy
from sr_accessor.expressions.text import IDENTIFIER
from sr_accessor.expressions.vocabulary import CONSTANT, VARIABLE, Vocabulary
from sr_accessor.refinement.refine import refine
from sr_accessor.search.moves import splice
from sr_accessor.search.selection import Data

if TYPE_CHECKING:
    import sympy

__all__ = ["NAME", "parts_of", "read_guesses", "refine_guesses", "unknown_names"]

#: Names in text: what is quoted or a number is passed over; a name before "(" is a call.
NAME = re.compile(
    rf"`(?:[^`]|``)*`|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    rf"|(?P<name>{IDENTIFIER.pattern})(?P<call>\s*\()?"
)
#: Where free constants start, restarts of each guess, steps of each start.
START, RESTARTS, STEPS = 1.0, 40, 40


def read_guesses(
    guesses: Sequence[Any], vocabulary: Vocabulary, names: Sequence[Hashable], left_out: Sequence[Hashable] = ()
) -> Expressions | None:
    """Guesses as one batch, None without any. Numbers are start values, whole exponents belong to the structure.

    Parameters
    ----------
    guesses : texts such as "a*x**2 + b", or sympy expressions
    left_out : labels that the user excludes; these are no constants

    Raises
    ------
    ParseError : text that is no expression.
    InputError : a guess with an excluded operator or feature.
    OptionError : neither text nor sympy.
    """
    read = [_read(guess, vocabulary, names, left_out) for guess in guesses]
    for guess, e in zip(guesses, read, strict=True):
        if not bool(e.permitted):
            codes = [c for c in e.codes[0].tolist() if c < VARIABLE]
            excluded = sorted({o.name for o in map(vocabulary.operator, filter(lambda c: c >= 8, codes))})
            excluded = [name for name in excluded if name not in vocabulary]
            raise InputError(
                f"guess {str(guess)!r} needs the excluded operator {', '.join(map(repr, excluded))}; "
                "include it in operators=, or leave the guess out"
            )
    return concatenate(read) if read else None


def _read(guess: Any, vocabulary: Vocabulary, names: Sequence[Hashable], left_out: Sequence[Hashable]) -> Expressions:
    if isinstance(guess, str):
        unknown = unknown_names(guess, vocabulary, names)
        _check_left_out(unknown, left_out, guess)
        return parse_model(guess, vocabulary, names, dict.fromkeys(unknown, START), numbers="constant").expressions
    if not hasattr(guess, "free_symbols"):
        raise OptionError(f"guesses: {guess!r} is neither text nor a sympy expression; give e.g. 'a*x**2 + b'")
    return _from_sympy(guess, vocabulary, names, left_out)


def _from_sympy(
    guess: sympy.Expr, vocabulary: Vocabulary, names: Sequence[Hashable], left_out: Sequence[Hashable]
) -> Expressions:
    """Symbols that are no features are read as further variables first, and then made constants."""
    labels = {str(name) for name in names}
    more = sorted(symbol.name for symbol in guess.free_symbols if symbol.name not in labels)
    constants = [o.name for o in vocabulary if o.arity == 0]
    _check_left_out([name for name in more if name not in constants], left_out, guess)
    e = from_sympy(guess, vocabulary, [*names, *more])
    for i, name in enumerate(more):
        code = VARIABLE + len(names) + i
        if name in constants:
            e = Expressions(torch.where(e.codes == code, vocabulary.id(name), e.codes), e.constants, vocabulary)
            continue
        while bool((e.codes == code).any()):  # each place where the symbol stands
            e = splice(e, (e.codes == code).long().argmax(1), constant([START], vocabulary))
    return e


def unknown_names(
    text: str, vocabulary: Vocabulary, names: Sequence[Hashable], meant: Collection[str] = ()
) -> list[str]:
    """Names in `text` that are neither features nor constants of the vocabulary (pi, e, a declared one), in order.

    Parameters
    ----------
    meant : names that are free constants whatever else they are called. E always is, an energy and not 2.718, and so
        is a plugin's function without brackets: no plugin may change what `gamma` means in exp(-gamma*t)
    """
    taken = {o.name for o in vocabulary.operators if o.arity == 0} | {o.name for o in ELEMENTARY}
    taken |= ALIASES.keys() - {"E"}
    known = {str(name) for name in names} | taken - set(meant)
    found = [match["name"] for match in NAME.finditer(text) if match["name"] and not match["call"]]
    return [name for name in dict.fromkeys(found) if name not in known]


def _check_left_out(unknown: Sequence[str], left_out: Sequence[Hashable], guess: Any) -> None:
    if both := [name for name in unknown if name in map(str, left_out)]:
        raise InputError(f"{str(guess)!r} names {both[0]!r}, which the constraints forbid; mend one of the two")


def refine_guesses(guesses: Expressions, data: Data, generator: torch.Generator) -> Expressions:
    """The guesses with their constants refined from many starts."""
    many = {"restarts": RESTARTS, "generator": generator, "steps": STEPS}
    return refine(guesses, data.x, data.y, data.weight, **many).expressions


def parts_of(guesses: Expressions) -> Expressions:
    """Their sub-expressions without free constants that are no leaves: what may join the library."""
    row, position = (guesses.arities > 0).nonzero(as_tuple=True)
    parts = guesses.subexpression(row, position)
    return parts[~(parts.codes == CONSTANT).any(1)].trimmed()
