"""Moves: new structures from old ones as array operations: cross, insert, delete, replace, change an operator.

All are one operation, `splice`: cut the sub-expression at a position and put another expression there. Children of
a thousand parents are made by joining arrays, without a loop over candidates.
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, join, literal, variable
from sr_accessor.expressions.vocabulary import PAD

__all__ = ["offspring", "splice"]

#: Children larger than this are not made.
MOST_SYMBOLS = 40


def splice(parents: Expressions, position: torch.Tensor, donors: Expressions) -> Expressions:
    """Parents whose sub-expression at `position` is replaced by the donor of the same row.

    Parameters
    ----------
    parents : Expressions, B rows
    position : (B,) index of the symbol where the replaced sub-expression begins
    donors : Expressions, B rows
    """
    rows = torch.arange(len(parents), device=parents.device)
    end = parents.ends[rows, position]
    columns = torch.arange(parents.codes.shape[1], device=parents.device)
    before = columns < position[:, None]
    head = Expressions(torch.where(before, parents.codes, PAD), parents.constants, parents.vocabulary)
    tail_columns = (end[:, None] + columns).clamp(max=parents.codes.shape[1] - 1)
    inside = end[:, None] + columns < parents.lengths[:, None]
    tail_codes = torch.where(inside, parents.codes.gather(1, tail_columns), PAD)
    slots = parents.constants.shape[1]
    number_before_end = (parents.is_number & (columns < end[:, None])).sum(1)
    index = (number_before_end[:, None] + torch.arange(slots, device=parents.device)).clamp(max=max(slots - 1, 0))
    tail = Expressions(
        tail_codes, parents.constants.gather(1, index) if slots else parents.constants, parents.vocabulary
    )
    return join(head, donors, tail).trimmed()


def offspring(
    parents: Expressions,
    weight: torch.Tensor,
    groups: Expressions,
    dimensions: int,
    count: int,
    generator: torch.Generator,
) -> Expressions:
    """Children of a population.

    Parameters
    ----------
    parents : Expressions, candidates in any order
    weight : (P,) how often each becomes a parent, relatively
    groups : sub-expressions that may be put in (the library)
    dimensions : number of variables
    count : children, before those that are too large are dropped
    generator : on the CPU

    Returns
    -------
    Expressions, at most `count` rows; new constants start at random, old ones keep their values
    """
    device, vocabulary = parents.device, parents.vocabulary
    chance = weight.cpu().double()
    mother = torch.multinomial(chance, count, replacement=True, generator=generator).to(device)
    father = torch.multinomial(chance, count, replacement=True, generator=generator).to(device)
    bodies = parents[mother]
    place = _random_place(bodies, generator)
    rows = torch.arange(count, device=device)
    below = bodies.subexpression(rows, place)
    kind = torch.randint(0, 6, (count,), generator=generator).to(device)

    unary = [o.name for o in vocabulary if o.arity == 1]
    binary = [o.name for o in vocabulary if o.arity == 2]
    crossed = parents[father]
    donor_cross = crossed.subexpression(rows, _random_place(crossed, generator))
    leaf = _random_leaves(count, dimensions, vocabulary, generator, device)
    picked = groups[torch.randint(0, len(groups), (count,), generator=generator).to(device)]
    scale = constant(torch.randn(count, generator=generator, dtype=torch.float64), vocabulary, device)
    new = [leaf, picked, scale * picked, donor_cross] if "mul" in vocabulary else [leaf, picked, donor_cross]
    fresh = _mixed(new, count, generator, device)

    donors: list[Expressions] = [donor_cross, fresh]
    donors.append(_wrapped(below, fresh, binary, count, generator, device) if binary else fresh)
    donors.append(_applied(below, unary, count, generator, device) if unary else fresh)
    shifted = constant(0.1 * torch.randn(count, generator=generator, dtype=torch.float64), vocabulary, device)
    one = constant(torch.ones(count), vocabulary, device)
    affine = [one * below] if "mul" in vocabulary else [below]
    if "add" in vocabulary:
        affine.append(shifted + below)
    donors.append(_mixed(affine, count, generator, device))
    inside = below.subexpression(rows, _random_place(below, generator))
    donors.append(inside)  # what lies deeper takes the place: deletes what is between
    children = []
    for move, donor in enumerate(donors):  # six kinds of moves
        here = kind == move
        if bool(here.any()):
            children.append(splice(bodies[here], place[here], donor[here]))
    out = concatenate(children)
    return out[(out.lengths <= MOST_SYMBOLS)].trimmed()


def _random_place(e: Expressions, generator: torch.Generator) -> torch.Tensor:
    """(B,) a uniformly random symbol of each row."""
    share = torch.rand(len(e), generator=generator).to(e.device)
    return (share * e.lengths).long().clamp(max=e.codes.shape[1] - 1)


def _random_leaves(count: int, dimensions: int, vocabulary, generator, device) -> Expressions:
    """Variables, some with a free factor, some constants."""
    x = variable(torch.randint(0, dimensions, (count,), generator=generator), vocabulary, device)
    number = constant(torch.randn(count, generator=generator, dtype=torch.float64), vocabulary, device)
    small = literal(torch.randint(1, 4, (count,), generator=generator).double(), vocabulary, device)
    choices = [x, x, number, small]
    if "mul" in vocabulary:
        choices.append(number * x)
    return _mixed(choices, count, generator, device)


def _mixed(choices: list[Expressions], count: int, generator: torch.Generator, device) -> Expressions:
    """Row by row one of several batches."""
    pool = concatenate(choices)
    which = torch.randint(0, len(choices), (count,), generator=generator).to(device)
    return pool[which * count + torch.arange(count, device=device)]


def _applied(below: Expressions, names: list[str], count: int, generator: torch.Generator, device) -> Expressions:
    """A random unary function of each row."""
    return _headed(below, names, count, generator, device)


def _wrapped(below, fresh, names: list[str], count: int, generator: torch.Generator, device) -> Expressions:
    """A random binary operator of each row and something fresh, in either order."""
    swap = torch.rand(count, generator=generator).to(device) < 0.5
    pool = concatenate([below, fresh])
    rows = torch.arange(count, device=device)
    left = pool[torch.where(swap, count + rows, rows)]
    right = pool[torch.where(swap, rows, count + rows)]
    return join(_headed(left, names, count, generator, device), right)


def _headed(body: Expressions, names: list[str], count: int, generator: torch.Generator, device) -> Expressions:
    """Codes of random operators, drawn by price, in front of each row (a prefix: binary ones need one more part)."""
    vocabulary = body.vocabulary
    chance = torch.tensor([2.0 ** (-vocabulary.operator(n).bits / 3) for n in names], dtype=torch.float64)
    ids = torch.tensor([vocabulary.id(n) for n in names])
    drawn = ids[torch.multinomial(chance, count, replacement=True, generator=generator)].to(device)
    head = Expressions(drawn[:, None], torch.zeros(count, 0, dtype=torch.float64, device=device), vocabulary)
    return join(head, body)
