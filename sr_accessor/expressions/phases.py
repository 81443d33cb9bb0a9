"""Phases: numbers that are added inside sines and cosines, and the same law with waves turned by quarter turns.

cos(x − 2.429…) is −sin(x − 4): which of the four is the simplest a law does not say until its phase is written.
"""

from __future__ import annotations

import math

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import PAD

__all__ = ["phases", "turnable", "turned"]

#: What turns into what by a quarter: sin(w − kπ/2) and cos(w − kπ/2) for k = 0, 1, 2, 3, and their signs.
WAVES = ("sin", "cos")
SHIFTED = (("sin", "cos", "sin", "cos"), ("cos", "sin", "cos", "sin"))
SIGNS = ((1, -1, -1, 1), (1, 1, -1, -1))


def turnable(e: Expressions) -> bool:
    """Whether the vocabulary can write every turn."""
    return all(name in e.vocabulary for name in (*WAVES, "neg"))


def phases(e: Expressions) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers added to the argument of a sine or cosine.

    Returns
    -------
    which (B, K) they are, and the position (B, K) of the wave; 0 elsewhere
    """
    length, slots = e.codes.shape[1], e.constants.shape[1]
    wave = torch.zeros_like(e.codes, dtype=torch.bool)
    for name in WAVES:
        if name in e.vocabulary:
            wave |= e.codes == e.vocabulary.id(name)
    inside = e.children[0]
    sums = torch.zeros_like(wave)
    for name in ("add", "sub"):
        if name in e.vocabulary:
            sums |= e.codes.gather(1, inside) == e.vocabulary.id(name)
    here = wave & sums
    where = torch.zeros(len(e), slots + 1, dtype=torch.int64, device=e.device)
    found = torch.zeros(len(e), slots + 1, dtype=torch.bool, device=e.device)
    position = torch.arange(length, device=e.device).expand_as(e.codes)
    # u + c, c + u and c − u alike: what is added to c is added to the argument.
    first, second = (child.gather(1, inside) for child in e.children)
    plus = e.codes.gather(1, inside) == (e.vocabulary.id("add") if "add" in e.vocabulary else PAD)
    for term, whole in ((first, torch.ones_like(plus)), (second, plus)):
        number = here & whole & e.is_number.gather(1, term)
        slot = torch.where(number, e.number_slot.gather(1, term), slots)
        found.scatter_(1, slot, True)
        where.scatter_(1, slot, position)
    return found[:, :-1], torch.where(found, where, 0)[:, :-1]


def turned(e: Expressions, slot: torch.Tensor, node: torch.Tensor, quarters: torch.Tensor) -> Expressions:
    """Each row with its phase in column `slot` (B,), of the wave at `node` (B,), grown by `quarters` (B,) of π/2, and
    that wave replaced so that the values stay.

    Returns
    -------
    Expressions, B rows over the same, `turnable` vocabulary
    """
    rows = torch.arange(len(e), device=e.device)
    numbers = e.constants.clone()
    numbers[rows, slot] += quarters.to(numbers) * (math.pi / 2)
    ids = torch.tensor([e.vocabulary.id(name) for name in WAVES], device=e.device)
    names = torch.tensor([[e.vocabulary.id(name) for name in row] for row in SHIFTED], device=e.device)
    signs = torch.tensor(SIGNS, device=e.device)
    kind, turn = (e.codes[rows, node] == ids[1]).long(), quarters.remainder(4).long()
    codes = e.codes.clone()
    codes[rows, node] = names[kind, turn]
    # A place more in each row: before the wave where its sign changes, at the end elsewhere.
    minus = signs[kind, turn] < 0
    place = torch.arange(codes.shape[1] + 1, device=e.device).expand(len(e), -1)
    at = torch.where(minus, node, codes.shape[1])[:, None]
    source = (place - (place > at).long()).clamp(max=codes.shape[1] - 1)
    added = torch.where(minus, e.vocabulary.id("neg"), PAD)[:, None]
    codes = torch.where(place == at, added, codes.gather(1, source))
    return Expressions(codes, numbers, e.vocabulary).trimmed()
