"""Description length in bits: a prefix code for structures, prices of fixed and of free numbers.

The symbol prices are those of search_findings §6 (a uniform price chose tan and arcsin far too often),
normalised over what a vocabulary's search may write, so that they are the lengths of a real code [Kraft 1949].
"""

from __future__ import annotations

import math

import torch

from sr_accessor.device import DTYPE
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, VARIABLE, Vocabulary

__all__ = [
    "CONVERGENTS",
    "DECIMAL_BITS",
    "DENOMINATORS",
    "FACTORS",
    "LARGEST_NUMERATOR",
    "MOST_DIGITS",
    "constant_bits",
    "convergents",
    "decimals",
    "literal_bits",
    "structure_bits",
    "symbol_bits",
]

#: Bits before normalisation: that a number or a variable stands here; numbers are one class for each kind.
NUMBER_BITS, VARIABLE_BITS = 1.0, 2.5
#: Factors of a snapped number p/q·factor and their price.
FACTORS: tuple[tuple[float, float], ...] = (
    (1.0, 0.0),
    (math.pi, 3.0),
    (1 / math.pi, 3.0),
    (math.pi**2, 6.0),
    (math.sqrt(2), 4.0),  # near 0.7 and 1.4, which laboratories mean more often
    (math.sqrt(2 * math.pi) ** -1, 9.0),
)
DENOMINATORS = (1, 2, 3, 4, 5, 6, 8)
#: Numerators that are looked for above a denominator or beside a factor; plain integers may be larger.
LARGEST_NUMERATOR = 10
#: Other fractions p/q have terms up to this; steps of the continued fraction that are looked at, and what it costs
#: that a number is one of these.
LARGEST_TERM, CONVERGENTS, FRACTION_BITS = 1000, 6, 3.0
#: A short decimal (1.3, 0.54) costs its digits and where the point stands; longer ones are doubles.
DECIMAL_BITS, MOST_DIGITS = 3.0, 6
#: Bits of a number that is no such product: a double as it is.
DOUBLE_BITS = 64.0


def symbol_bits(vocabulary: Vocabulary, dimensions: int) -> torch.Tensor:
    """(VARIABLE + 1,) bits of one symbol by id; the last entry is the price of each of `dimensions` variables.

    2**-bits sums to one over the two kinds of numbers, the variables and the active operators. An inactive operator
    (only a user's own text can bring one in) is priced like an active one, outside that sum. PAD costs nothing.
    """
    raw = torch.full((VARIABLE + 1,), math.inf, dtype=DTYPE)
    raw[CONSTANT] = raw[LITERAL] = NUMBER_BITS
    raw[VARIABLE] = VARIABLE_BITS
    written = torch.zeros(VARIABLE + 1, dtype=torch.bool)
    written[CONSTANT] = written[LITERAL] = True
    written[VARIABLE] = dimensions > 0
    for i, operator in enumerate(vocabulary.operators):
        raw[FIRST_OPERATOR + i] = operator.bits
        written[FIRST_OPERATOR + i] = operator.name in vocabulary
    bits = raw + torch.log2(torch.exp2(-raw[written]).sum())
    bits[VARIABLE] += math.log2(max(dimensions, 1))
    bits[0] = 0.0
    return bits


def structure_bits(expressions: Expressions, dimensions: int) -> torch.Tensor:
    """Bits of each structure, without its numbers' values.

    Parameters
    ----------
    expressions : Expressions, B rows
    dimensions : D, how many variables there are to choose from

    Returns
    -------
    Tensor (B,) float64
    """
    table = symbol_bits(expressions.vocabulary, dimensions).to(expressions.device)
    return table[expressions.codes.clamp(max=VARIABLE)].sum(1)


def literal_bits(values: torch.Tensor) -> torch.Tensor:
    """Bits of fixed numbers: 1 + 2 log2 p + 2 log2 q for ±p/q, more for a factor such as pi; a short decimal by its
    digits; 1 for zero.

    Parameters
    ----------
    values : Tensor of any shape, float64

    Returns
    -------
    Tensor of that shape: the cheapest product that is the number to 4 units in the last place, else 64 bits
    """
    size = values.abs().to(DTYPE)[..., None, None]
    factor, price = torch.tensor(FACTORS, dtype=DTYPE, device=values.device).T[..., None]  # (F, 1) each
    q = torch.tensor(DENOMINATORS, dtype=DTYPE, device=values.device)
    p = (size / factor * q).round()  # (..., F, Q)
    exact = (p / q * factor - size).abs() <= 4 * torch.finfo(DTYPE).eps * size
    integer = (factor == 1) & (q == 1)
    fits = exact & (p >= 1) & ((p <= LARGEST_NUMERATOR) | integer)
    bits = torch.where(fits, 1 + 2 * torch.log2(p.clamp(min=1)) + 2 * torch.log2(q) + price, DOUBLE_BITS)
    rational = bits.flatten(-2).amin(-1)
    fractions, price = convergents(values)
    exact = (fractions - values.abs()[..., None]).abs() <= 4 * torch.finfo(DTYPE).eps * values.abs()[..., None]
    other = torch.where(exact, price, DOUBLE_BITS).amin(-1)
    every = torch.stack([rational, other, decimal_bits(values)]).amin(0)
    return torch.where(values == 0, 1.0, every.clamp(max=DOUBLE_BITS))


def convergents(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fractions p/q near the magnitudes of numbers, by their continued fractions.

    Returns
    -------
    (..., CONVERGENTS) each and its bits, +inf where p or q is larger than `LARGEST_TERM`
    """
    rest = values.abs().to(DTYPE)
    p, before_p = rest.floor(), torch.ones_like(rest)
    q, before_q = torch.ones_like(rest), torch.zeros_like(rest)
    found, price = [], []
    for _ in range(CONVERGENTS):
        found.append(p / q)
        bits = 1 + FRACTION_BITS + 2 * torch.log2(p.clamp(min=1)) + 2 * torch.log2(q)
        price.append(torch.where((p >= 1) & (p <= LARGEST_TERM) & (q <= LARGEST_TERM), bits, math.inf))
        rest = (rest - rest.floor()).reciprocal().clamp(max=1e9)  # 1e9: nothing is left
        whole = rest.floor()
        p, before_p = whole * p + before_p, p
        q, before_q = whole * q + before_q, q
    return torch.stack(found, -1), torch.stack(price, -1)


def decimals(values: torch.Tensor) -> torch.Tensor:
    """(..., MOST_DIGITS): the values rounded to 1, 2 ... significant decimal digits."""
    size = values.abs().to(DTYPE).clamp(min=1e-300)
    # 10**negative is not a float64 power of ten: scale up by dividing, so that 13/10 is the double nearest to 1.3
    place = torch.arange(1, MOST_DIGITS + 1, device=values.device) - 1 - torch.floor(torch.log10(size))[..., None]
    up, down = 10.0 ** place.clamp(min=0, max=300), 10.0 ** (-place).clamp(min=0, max=300)
    return torch.sign(values)[..., None] * ((size[..., None] * up / down).round() * down / up)


def decimal_bits(values: torch.Tensor) -> torch.Tensor:
    """Bits of numbers with at most `MOST_DIGITS` significant decimal digits, +inf for others."""
    close = (decimals(values) - values[..., None]).abs() <= 4 * torch.finfo(DTYPE).eps * values.abs()[..., None]
    price = DECIMAL_BITS + torch.arange(1, MOST_DIGITS + 1, device=values.device) * math.log2(10)
    return torch.where(close, price, math.inf).amin(-1)


def constant_bits(values: torch.Tensor, stderr: torch.Tensor) -> torch.Tensor:
    """Bits of free constants at the precision the data give: 2 + log2(1 + |c|/se).

    A constant within two standard errors of zero costs 15 bits more: without this, ill-determined constants are
    cheap, and ``a - a*exp(-tiny*z)`` beats the monomial that it imitates.

    Parameters
    ----------
    values, stderr : Tensors of one shape, same units; an unknown standard error (NaN, inf) means undetermined

    Returns
    -------
    Tensor of that shape, float64
    """
    ratio = (values.abs() / stderr.abs()).to(DTYPE)
    ratio = torch.where(torch.isnan(ratio), torch.where(stderr == 0, 0.0, ratio), ratio)
    ratio = ratio.nan_to_num(nan=0.0, posinf=2.0**52).clamp(max=2.0**52)  # a double holds no more
    return 2 + torch.log2(1 + ratio) + torch.where(ratio < 2, 15.0, 0.0)
