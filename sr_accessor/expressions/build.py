"""Batches of expressions built from arrays: monomials, powers and linear combinations, no loop over rows.

Unfinished prefixes (operator codes without their arguments) are joined with what follows; only whole results
leave this file.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sr_accessor.expressions.batch import Expressions, constant, join, literal
from sr_accessor.expressions.vocabulary import LITERAL, PAD, VARIABLE, Vocabulary
from sr_accessor.stopping import look

__all__ = ["exponents_up_to", "linear_combination", "monomials", "power", "present", "writable"]


#: Powers that have an operator of their own, used where it is active.
NAMED_POWERS = {1.0: None, 2.0: "square", 3.0: "cube", 0.5: "sqrt"}
#: Without `pow`, whole powers up to this are written as products: x·x·x·x.
MOST_REPEATED = 10


def heads(name: str, count: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """`count[b]` times the operator's code in row b: an unfinished prefix, for `join` only."""
    rows, width = len(count), max(1, int(count.max()) if len(count) else 0)
    codes = torch.full((rows, width), vocabulary.id(name), device=count.device)
    codes = codes.masked_fill(torch.arange(width, device=count.device) >= count[:, None], PAD)
    return Expressions(codes, torch.zeros(rows, 0, dtype=torch.float64, device=count.device), vocabulary)


def present(part: Expressions, where: torch.Tensor) -> Expressions:
    """The rows of `part` (one row broadcasts) where the mask (B,) holds, nothing elsewhere: for `join` only."""
    codes = torch.where(where[:, None], part.codes, PAD)
    constants = torch.where(where[:, None], part.constants, 0.0)
    return Expressions(codes, constants, part.vocabulary)


def monomials(exponents: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """Π x_d^e as expressions, through the operators that are active.

    Parameters
    ----------
    exponents : (M, D); any real numbers, integers and halves are written with mul, div (or inv), square, sqrt ...;
        what active operators cannot write (`writable`) is written with pow and div all the same

    Returns
    -------
    Expressions, M rows; a row of zeros is the literal 1
    """
    look()
    dimensions = exponents.shape[1]
    device = exponents.device
    magnitude = exponents.abs()
    up, down = (exponents > 0).sum(1), (exponents < 0).sum(1)
    inverse = "inv" in vocabulary and "div" not in vocabulary
    both = (down > 0) & (up > 0)

    def factors(wanted: torch.Tensor) -> list[Expressions]:
        return [
            _variable_power(d, torch.where(wanted[:, d], magnitude[:, d], 0.0), vocabulary) for d in range(dimensions)
        ]

    return join(
        heads("mul", both.long(), vocabulary) if inverse else heads("div", (down > 0).long(), vocabulary),
        heads("mul", (up - 1).clamp(min=0), vocabulary),
        *factors(exponents > 0),
        present(literal([1.0], vocabulary, device), (up == 0) & (down == 0) if inverse else up == 0),
        *([heads("inv", (down > 0).long(), vocabulary)] if inverse else []),
        heads("mul", (down - 1).clamp(min=0), vocabulary),
        *factors(exponents < 0),
    ).trimmed()


def exponents_up_to(dimensions: int, degree: int) -> torch.Tensor:
    """(P, D) int64 exponents of all monomials of total degree 0 to `degree`, by degree.

    Those of degree 1 are the variables in their order, those of degree 2 their products in the order of `triu_indices`.
    """
    rows = [torch.zeros(1, dimensions, dtype=torch.int64)]
    for k in range(1, degree + 1 if dimensions else 1):
        chosen = torch.combinations(torch.arange(dimensions), k, with_replacement=True)
        rows.append(torch.nn.functional.one_hot(chosen, dimensions).sum(1))
    return torch.cat(rows)


def writable(exponents: torch.Tensor, vocabulary: Vocabulary) -> torch.Tensor:
    """(M,) whether `monomials` writes these exponents (M, D) with active operators only."""
    size = exponents.abs()
    each = (size == 0) | ("pow" in vocabulary)
    for value, name in NAMED_POWERS.items():
        if name is None or name in vocabulary:
            each = each | (size == value)
    if "mul" in vocabulary:
        each = each | ((size == size.round()) & (size <= MOST_REPEATED))
    up, down = (exponents > 0).sum(1), (exponents < 0).sum(1)
    divides = (down == 0) | ("div" in vocabulary) | ("inv" in vocabulary)
    inverse = "inv" in vocabulary and "div" not in vocabulary
    multiplies = (up <= 1) & (down <= 1) & ~((up > 0) & (down > 0) & inverse)
    return each.all(1) & divides & (multiplies | ("mul" in vocabulary))


def _variable_power(d: int, exponent: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """`power` of the variable d; its few forms are looked up instead of joined (five times faster)."""
    device, symbol = exponent.device, VARIABLE + d
    codes = torch.zeros(len(exponent), 3, dtype=torch.int64, device=device)
    rest = exponent != 0
    for value, name in NAMED_POWERS.items():
        if name is None or name in vocabulary:
            form = [symbol, PAD, PAD] if name is None else [vocabulary.id(name), symbol, PAD]
            here = exponent == value
            codes = torch.where(here[:, None], torch.tensor(form, device=device), codes)
            rest = rest & ~here
    if "mul" in vocabulary and "pow" not in vocabulary:
        repeated = rest & (exponent == exponent.round()) & (exponent <= MOST_REPEATED)
        most = int(exponent[repeated].max()) if bool(repeated.any()) else 1
        codes = torch.nn.functional.pad(codes, (0, max(0, 2 * most - 1 - codes.shape[1])))
        place, k = torch.arange(codes.shape[1], device=device), exponent[:, None]
        form = torch.where(place < k - 1, vocabulary.id("mul"), torch.where(place < 2 * k - 1, symbol, PAD))
        codes = torch.where(repeated[:, None], form, codes)
        rest = rest & ~repeated
    general = [vocabulary.id("pow"), symbol, LITERAL] + [PAD] * (codes.shape[1] - 3)
    codes = torch.where(rest[:, None], torch.tensor(general, device=device), codes)
    numbers = torch.where(rest, exponent, 0.0)[:, None]
    return Expressions(codes, numbers, vocabulary)


def power(base: Expressions, exponent: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """base^e for each e >= 0 of (M,), through square, cube and sqrt where they are active.

    Parameters
    ----------
    base : M rows, or one for all
    exponent : (M,); where it is 0 the row is left empty, for `join` only
    """
    device = exponent.device
    rest = exponent != 0
    parts: list[Expressions] = []
    for value, name in NAMED_POWERS.items():
        if name is None or name in vocabulary:
            here = exponent == value
            if name is not None:
                parts.append(heads(name, here.long(), vocabulary))
            rest = rest & ~here
    parts.append(heads("pow", rest.long(), vocabulary))
    parts.append(present(base, exponent != 0))
    number = literal(exponent, vocabulary, device)
    parts.append(present(number, rest))
    return join(*parts)


def linear_combination(terms: Sequence[Expressions], coefficients: torch.Tensor, used: torch.Tensor) -> Expressions:
    """Σ cⱼ·termⱼ with free coefficients, in each row over the terms it uses.

    Parameters
    ----------
    terms : T batches of B rows, or of one row for all; a term that is the literal 1 becomes its coefficient alone
    coefficients : (B, T) start values
    used : (B, T) bool, at least one per row
    """
    vocabulary = terms[0].vocabulary
    device = coefficients.device
    parts = [heads("add", (used.sum(1) - 1).clamp(min=0), vocabulary)]
    for j, term in enumerate(terms):
        number = constant(coefficients[:, j], vocabulary, device)
        one = is_one(term)
        parts.append(heads("mul", (used[:, j] & ~one).long(), vocabulary))
        parts.append(present(number, used[:, j]))
        parts.append(present(term, used[:, j] & ~one))
    return join(*parts).trimmed()


def is_one(term: Expressions) -> torch.Tensor:
    """(B,) rows that are nothing but the literal 1."""
    if not term.constants.shape[1]:
        return torch.zeros(len(term), dtype=torch.bool, device=term.device)
    return (term.codes[:, 0] == LITERAL) & (term.constants[:, 0] == 1.0)
