"""Unit forms: laws that units suggest: products with the target's unit, sums of equal units, dimensionless groups."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, literal, variable
from sr_accessor.expressions.build import monomials, writable
from sr_accessor.expressions.dimensions import Dimensions, products
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.features import features

__all__ = ["unit_forms"]

#: Products that carry the unit, groups without one, and products that are added, the simplest of each.
CARRIERS, GROUPS, SUMMANDS = 24, 16, 14
#: Powers of a sum or difference of two columns of one unit.
POWERS = (-2.0, -1.0, 1.0, 2.0)
#: Where the constant inside of a function starts.
STARTS = (1.0, -1.0)
#: Exponents closer than this are equal.
SLACK = 1e-9


def unit_forms(dimensions: Dimensions, vocabulary: Vocabulary) -> Expressions:
    """Candidates that are consistent whatever their constants, which have no unit [Buckingham 1914, Phys. Rev. 4, 345].

    Every law whose constants have no unit is a product with the target's unit times a function of dimensionless
    groups: here one product times one function of one group, sums of two products, and their roots and reciprocals.

    Parameters
    ----------
    dimensions : of all columns, which are known

    Returns
    -------
    Expressions; free constants where numbers may be
    """
    device = dimensions.inputs.device
    one = constant([1.0], vocabulary, device)
    carriers = _written(dimensions, dimensions.target, CARRIERS, vocabulary)
    groups = _groups(dimensions, vocabulary)
    if "mul" not in vocabulary:
        return carriers
    found = [one * carriers]
    found += [one * part for part in _with_sums(dimensions, vocabulary)]
    left, right = (index.reshape(-1) for index in _grid(len(carriers), len(groups), device))
    for start in STARTS if len(left) else ():
        inner = constant([start], vocabulary, device) * groups[right]
        found += [one * carriers[left] * feature.build(inner) for feature in features(vocabulary)]
        if "div" in vocabulary and "add" in vocabulary:
            found.append(one * carriers[left] / (literal([1.0], vocabulary, device) + inner))
        if "sqrt" in vocabulary and "add" in vocabulary:
            root = (literal([1.0], vocabulary, device) + inner).apply("sqrt")
            found.append(one * carriers[left] * root)
            found += [one * carriers[left] / root] if "div" in vocabulary else []
    if "pow" in vocabulary and len(left):
        found.append(one * carriers[left] * groups[right] ** constant([0.5], vocabulary, device))
    if "add" in vocabulary:
        found.append(_sums(dimensions, dimensions.target, vocabulary))
        if "sqrt" in vocabulary:
            found.append(_sums(dimensions, 2 * dimensions.target, vocabulary).apply("sqrt"))
        if "div" in vocabulary:
            found.append(one / _sums(dimensions, -dimensions.target, vocabulary))
    return concatenate([part for part in found if len(part)])


def _grid(rows: int, columns: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    return torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")


def _written(dimensions: Dimensions, wanted: torch.Tensor, most: int, vocabulary: Vocabulary) -> Expressions:
    """The simplest products of powers of columns with a wanted unit; the literal 1 among them where that is none."""
    exponents = products(dimensions, wanted)
    if bool((wanted.abs() < SLACK).all()):
        exponents = torch.cat([exponents.new_zeros(1, exponents.shape[1]), exponents])
    exponents = exponents[writable(exponents, vocabulary)] if len(exponents) else exponents
    return monomials(exponents[:most], vocabulary)


def _groups(dimensions: Dimensions, vocabulary: Vocabulary) -> Expressions:
    """Columns that are pure numbers, and products of powers that are."""
    none = torch.zeros_like(dimensions.target)
    plain = ((dimensions.inputs.abs() < SLACK).all(1) & dimensions.known).nonzero()[:, 0]
    alone = [variable(plain, vocabulary, plain.device)] if len(plain) else []
    exponents = products(dimensions, none)[:GROUPS]
    exponents = exponents[writable(exponents, vocabulary)] if len(exponents) else exponents
    return concatenate([*alone, monomials(exponents, vocabulary)])


def _with_sums(dimensions: Dimensions, vocabulary: Vocabulary) -> Iterator[Expressions]:
    """Products in which one factor is a sum or a difference of two columns of one unit, to some power."""
    device = dimensions.inputs.device
    alike = torch.cdist(dimensions.inputs, dimensions.inputs) < SLACK
    pairs = (alike & dimensions.known[:, None] & dimensions.known).triu(1).nonzero().tolist()
    for i, j in pairs:  # of the few columns of a table
        one, other = variable([i], vocabulary, device), variable([j], vocabulary, device)
        both = ([one + other] if "add" in vocabulary else []) + ([one - other] if "sub" in vocabulary else [])
        for power in POWERS:
            rest = _written(dimensions, dimensions.target - power * dimensions.inputs[i], GROUPS, vocabulary)
            for factor in both if len(rest) else ():
                raised = factor if abs(power) == 1 else factor * factor
                if power > 0:
                    yield rest * raised
                elif "div" in vocabulary:
                    yield rest / raised


def _sums(dimensions: Dimensions, wanted: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """Sums of two products of a wanted unit."""
    terms = _written(dimensions, wanted, SUMMANDS, vocabulary)
    if len(terms) < 2:
        return terms[:0]
    i, j = torch.combinations(torch.arange(len(terms), device=wanted.device)).T
    one = constant([1.0], vocabulary, wanted.device)
    return one * terms[i] + one * terms[j]
