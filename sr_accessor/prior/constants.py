"""Random numbers: where they sit in a tree and what they are, for both presets.

It completes the trees of `trees.py` to Expressions; it does not know points or data.
"""

from __future__ import annotations

import math

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.paired import ends
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, PAD, VARIABLE, Vocabulary
from sr_accessor.prior.trees import EXPONENT, NUMBER, parents, splice

__all__ = ["draw_paper_numbers", "paper_prefactors", "science_numbers", "with_values"]

# ---------------------------------------------------------------- paper: system.md §1.3
MANTISSA = 999  # uniform on 1..999
EXPONENTS = (-3, -2, -1)

# ---------------------------------------------------------------- science
SCALED = 0.08  # a node gets a factor in front,
SHIFTED = 0.06  # ... an offset
FREE = 0.5  # a number is free (log-uniform), else simple and part of the structure
MAGNITUDE = (1 / 20, 20.0)  # of free numbers; ODEFormer's range
NEGATIVE = 0.25
SIMPLE = {1.0: 5.0, 2.0: 6.0, 3.0: 3.0, 4.0: 2.0, 5.0: 1.0, 6.0: 0.6, 8.0: 0.4, 10.0: 0.5, 0.5: 2.0, 1 / 3: 0.5,
          0.25: 0.5, 1.5: 0.4, math.pi: 0.8, 2 * math.pi: 0.5}  # fmt: skip
POWERS = {2.0: 8.0, 3.0: 4.0, 4.0: 2.0, 5.0: 0.7, 6.0: 0.4, -1.0: 2.0, -2.0: 3.0, -3.0: 1.0, -4.0: 0.4,
          0.5: 2.0, -0.5: 1.5, 1.5: 1.5, -1.5: 0.7, 2.5: 0.4, 1 / 3: 0.4, 2 / 3: 0.4}  # fmt: skip
FREE_POWER = 0.15  # an exponent is a free real number, uniform on -3..3


def with_values(codes_BL: torch.Tensor, values_BL: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """Expressions whose numbers are read from their own positions in `values_BL`."""
    is_number = (codes_BL == CONSTANT) | (codes_BL == LITERAL)
    slot = is_number.cumsum(1)
    width = int(slot[:, -1].max())
    constants = values_BL.new_zeros(len(codes_BL), width + 1)
    constants.scatter_(1, torch.where(is_number, slot - 1, width), values_BL)
    return Expressions(codes_BL, constants[:, :width].contiguous(), vocabulary)


# ---------------------------------------------------------------- paper
def paper_prefactors(codes_BL: torch.Tensor, vocabulary: Vocabulary) -> torch.Tensor:
    """Codes with the released code's "reduced" constants in their places.

    Each child of add/sub that is not itself add/sub gets a factor; each unary whose child is not add/sub gets
    a·(…)+b inside; if nothing was inserted the whole gets a factor; one additive constant in front of everything.
    """
    add, mul = vocabulary.id("add"), vocabulary.id("mul")
    sums = torch.tensor([add, vocabulary.id("sub")], device=codes_BL.device)
    arity = vocabulary.arities.to(codes_BL.device)[codes_BL.clamp(max=VARIABLE)]
    parent = parents(arity, codes_BL, ends(torch.where(codes_BL == PAD, -1, arity)))
    parent_arity = vocabulary.arities.to(codes_BL.device)[parent.clamp(max=VARIABLE)]
    not_sum = ~torch.isin(codes_BL, sums) & (codes_BL != PAD)
    factor = not_sum & torch.isin(parent, sums)
    affine = not_sum & (parent_arity == 1)
    before = 2 * factor + 4 * affine
    nothing = before.sum(1) == 0
    before[:, 0] = 2 + 2 * nothing
    extra = torch.tensor([add, CONSTANT, mul, CONSTANT], device=codes_BL.device)
    extra = extra.expand(*codes_BL.shape, 4).clone()
    extra[~nothing, 0, 2] = add
    return splice(codes_BL, before, extra)


def draw_paper_numbers(codes_BL: torch.Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Expressions:
    """The codes with a free number sign · mantissa · 10^exponent at every CONSTANT."""
    device = generator.device
    slots = int((codes_BL == CONSTANT).sum(1).max())
    shape = (len(codes_BL), slots)
    mantissa = torch.randint(1, MANTISSA + 1, shape, generator=generator, device=device)
    # 3 exponents × 2 signs in one draw; divided, not multiplied: 7/10 is the double nearest to 0.7, 7·0.1 is not.
    kind = torch.randint(0, 2 * len(EXPONENTS), shape, generator=generator, device=device)
    sign = [1.0] * len(EXPONENTS) + [-1.0] * len(EXPONENTS)
    divisor = torch.tensor([s * 10.0**-e for s, e in zip(sign, EXPONENTS * 2, strict=True)], device=device).double()
    held = torch.arange(slots, device=device) < (codes_BL == CONSTANT).sum(1, keepdim=True)
    return Expressions(codes_BL, torch.where(held, mantissa / divisor[kind], 0.0), vocabulary)


# ---------------------------------------------------------------- science
def science_numbers(codes_BL: torch.Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Expressions:
    """The codes with factors and offsets in a few places, and a value for every number.

    Numbers are free (log-uniform in magnitude) or simple and LITERAL (small integers, halves, thirds, π); exponents
    are LITERAL integers, halves and thirds, or free and real.
    """
    device = generator.device

    def uniform(shape: torch.Size) -> torch.Tensor:
        return torch.rand(shape, generator=generator, device=device, dtype=torch.float64)

    decorated = codes_BL >= FIRST_OPERATOR  # not above a number
    factor = decorated & (uniform(codes_BL.shape) < SCALED) & ("mul" in vocabulary)
    offset = decorated & (uniform(codes_BL.shape) < SHIFTED) & ("add" in vocabulary)
    add = vocabulary.id("add") if "add" in vocabulary else PAD
    mul = vocabulary.id("mul") if "mul" in vocabulary else PAD
    both = torch.tensor([add, NUMBER, mul, NUMBER], device=device)
    extra = both.expand(*codes_BL.shape, 4).clone()
    extra[:, :, 2] = torch.where(factor, mul, add)
    codes = splice(codes_BL, 2 * factor + 2 * offset, extra)

    draw = uniform(codes.shape)
    low, high = (math.log(m) for m in MAGNITUDE)
    magnitude = torch.exp(low + (high - low) * draw)
    sign = torch.where(uniform(codes.shape) < NEGATIVE, -1.0, 1.0)
    free = uniform(codes.shape) < torch.where(codes == EXPONENT, FREE_POWER, FREE)
    free_value = torch.where(codes == EXPONENT, 6 * draw - 3, sign * magnitude)
    simple = torch.where(codes == EXPONENT, _choice(POWERS, draw), sign * _choice(SIMPLE, draw))
    here = (codes == NUMBER) | (codes == EXPONENT)
    values = torch.where(here, torch.where(free, free_value, simple), 0.0)
    codes = torch.where(here, torch.where(free, CONSTANT, LITERAL), codes)
    return with_values(codes, values, vocabulary)


def _choice(table: dict[float, float], draw: torch.Tensor) -> torch.Tensor:
    """The table's keys drawn by their weights with uniform numbers."""
    values = torch.tensor(list(table), dtype=torch.float64, device=draw.device)
    cumulative = torch.tensor(list(table.values()), dtype=torch.float64, device=draw.device).cumsum(0)
    return values[torch.searchsorted(cumulative / cumulative[-1], draw, right=True).clamp(max=len(values) - 1)]
