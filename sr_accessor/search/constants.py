"""Known numbers with names, such as g = 9.81: declared as operators without arguments, put in where they explain.

A search finds the number itself first, inside whatever it stands in; then each number of the best laws that is a
simple multiple of g, g², √g, 1/g, g·h … is written by name, where that makes the description shorter.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

from sr_accessor.errors import InputError, OptionError, PluginConflictError
from sr_accessor.expressions.batch import Expressions, concatenate, join, literal
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.latex import label_latex
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import FIRST_OPERATOR, Vocabulary
from sr_accessor.search.moves import splice
from sr_accessor.search.selection import SNAP_BITS, SNAP_VALUES, Data, Scored, refit, score

__all__ = ["check_constants", "name_numbers", "with_constants"]

#: Who names a number expects it in the law: it is cheaper than a variable.
BITS = 1.0
#: A number may be off by this many standard errors, or by this relative distance.
SIGMAS, RELATIVE = 4.0, 1e-9
#: Of a number that is already snapped no error is known: the likelihood judges within this relative distance.
SNAPPED = 1e-2
#: Laws of which numbers are named; names tried for each number; numbers named in one law.
MOST_LAWS, NAMES_TRIED, ROUNDS = 8, 3, 3


def check_constants(constants: Any) -> dict[str, float]:
    """{name: value} checked for kind; of one of pint's quantities the number in its own unit.

    Raises
    ------
    OptionError : not a dictionary of numbers.
    InputError : a value that is zero or not finite.
    """
    if not isinstance(constants, Mapping):
        raise OptionError(f'constants={constants!r}; give a dictionary such as {{"g": 9.81}}')
    constants = {
        name: np.asarray(value.magnitude).item() if hasattr(value, "magnitude") and hasattr(value, "units") else value
        for name, value in constants.items()
    }
    for name, value in constants.items():
        if not isinstance(value, Real) or isinstance(value, bool):
            raise OptionError(f"constants: {name!r} is {value!r}; give a number, or a quantity of pint's")
        if not math.isfinite(value) or value == 0:
            raise InputError(f"constants: {name!r} is {value!r}; give a finite number other than 0")
    return {name: float(value) for name, value in constants.items()}


def with_constants(vocabulary: Vocabulary, constants: Mapping[str, float], names: Sequence[Hashable]) -> Vocabulary:
    """The vocabulary with an operator of no argument for each constant.

    Raises
    ------
    OperatorError : a name that is no identifier.
    InputError : a name that a feature has.
    PluginConflictError : a name that an operator has.
    """
    operators = [o.name for o in vocabulary.operators]
    for name in constants:
        if name in map(str, names):
            raise InputError(f"constants: {name!r} is also a feature; rename one of the two")
        if name in operators:
            raise PluginConflictError(f"constants: {name!r} is also an operator; choose another name")
    return vocabulary.extended(_declared(name, value) for name, value in constants.items())


def _declared(name: str, value: float) -> Operator:
    def symbol():
        import sympy

        return sympy.Symbol(name)

    latex = label_latex(str(name)).replace("{", "{{").replace("}", "}}")
    return Operator(name, 0, lambda: value, symbol, latex, units="same", bits=BITS)  # of any unit


def name_numbers(scored: Scored, data: Data, names: Sequence[str]) -> list[Scored]:
    """The best laws with numbers written by name, at most `ROUNDS` names in each.

    Parameters
    ----------
    scored : shortest description first
    data : the rows that descriptions are priced on
    names : of the constants

    Returns
    -------
    Scored batches to be stacked with the others; none where no number is a multiple of a named one
    """
    words = _words(scored.expressions.vocabulary, names, scored.expressions.device)
    current, found = scored[torch.arange(min(MOST_LAWS, len(scored)), device=scored.loss.device)], []
    for _ in range(ROUNDS):
        law, named = _named(current, words, data)
        if not len(named):
            break
        refined = refit(named, data, steps=8)
        again = score(refined.expressions, data, tuple(current.origins[i] for i in law.tolist()))
        best = torch.argsort(again.description_length, stable=True)[:MOST_LAWS]
        current = again[best[again.loss[best].isfinite()]]
        if not len(current):
            break
        found.append(current)
    return found


def _words(vocabulary: Vocabulary, names: Sequence[str], device: torch.device) -> Expressions:
    """g, g², √g and their inverses of each constant; products and ratios of each two."""
    none = torch.zeros(1, 0, dtype=torch.float64, device=device)
    plain = {n: Expressions(torch.tensor([[vocabulary.id(n)]], device=device), none, vocabulary) for n in names}
    words = list(plain.values())
    for power in ("square", "sqrt"):
        words += [g.apply(power) for g in plain.values() if power in vocabulary]
    if "mul" in vocabulary:
        words += [a * b for a, b in itertools.combinations(plain.values(), 2)]
    if "div" in vocabulary:
        one = literal([1.0], vocabulary, device)
        words += [one / word for word in words]
        words += [a / b for a, b in itertools.permutations(plain.values(), 2)]
    return concatenate(words)


def _named(scored: Scored, words: Expressions, data: Data) -> tuple[torch.Tensor, Expressions]:
    """Variants with one number written as a simple multiple of a word, and which law each comes from."""
    e = scored.expressions
    if not e.constants.shape[1]:
        return torch.zeros(0, dtype=torch.int64, device=e.device), e[:0]
    unit = evaluate(words, data.x[:1])[0][:, 0]  # (W,)
    ratio = e.constants[:, :, None] / unit  # (B, K, W)
    slack = torch.where(e.free, SIGMAS * scored.stderr.nan_to_num(nan=0.0), SNAPPED * e.constants.abs())
    slack = (slack + RELATIVE * e.constants.abs())[:, :, None] / unit.abs()
    moved = (SNAP_VALUES.to(e.device) - ratio.abs()[..., None]).abs()
    held = torch.arange(e.constants.shape[1], device=e.device) < e.number_counts[:, None]
    close = (moved <= slack[..., None]) & (SNAP_VALUES.to(e.device) > 0) & held[:, :, None, None]
    price = torch.where(close, SNAP_BITS.to(e.device), torch.inf).min(3)
    cost, order = (price.values + words.complexity).sort(dim=2, stable=True)
    law, slot, rank = (cost[:, :, :NAMES_TRIED].isfinite()).nonzero(as_tuple=True)
    word = order[law, slot, rank]
    factor = SNAP_VALUES.to(e.device)[price.indices[law, slot, word]] * torch.sign(ratio[law, slot, word])
    # The position of the slot-th number: numbers are counted from the left.
    position = ((e.number_slot[law] == slot[:, None]) & e.is_number[law]).long().argmax(1)
    if "mul" in e.vocabulary:
        head = torch.full((1, 1), e.vocabulary.id("mul"), device=e.device)
        times = Expressions(head, torch.zeros(1, 0, dtype=torch.float64, device=e.device), e.vocabulary)
        donors = join(times, literal(factor, e.vocabulary, e.device), words[word])
    else:
        law, position, word = (index[factor == 1] for index in (law, position, word))
        donors = words[word]
    if not len(law):
        return law, e[:0]
    variants = simplify_batch(splice(e[law], position, donors))
    keep = variants.permitted & (variants.codes[:, :, None] == _codes(words)).any(2).any(1)
    return law[keep], variants[keep]


def _codes(words: Expressions) -> torch.Tensor:
    """Codes of the constants among the symbols of the words."""
    codes = words.codes.unique()
    vocabulary = words.vocabulary
    named = [c for c in codes.tolist() if c >= FIRST_OPERATOR and vocabulary.operator(c).arity == 0]
    return torch.tensor(named, device=codes.device)
