"""Preset `paper` one example at a time: the clear version and the yardstick of `examples.py`.

The released algorithm step by step, as system.md §1.2-1.5 tells it, with Python loops over nodes and clusters and
with the trees it throws away. Same distribution as `sample_examples("paper", ...)`, not the same numbers.
"""

from __future__ import annotations

import math
import random
from functools import cache

import numpy as np
import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import read_prefix
from sr_accessor.expressions.vocabulary import CONSTANT, VARIABLE, Vocabulary
from sr_accessor.prior.constants import EXPONENTS, MANTISSA
from sr_accessor.prior.examples import PAPER_LARGEST
from sr_accessor.prior.inputs import CLUSTERS, POINTS
from sr_accessor.prior.trees import (
    PAPER_BINARY,
    PAPER_DIMENSIONS,
    PAPER_UNARIES,
    PAPER_UNARY,
    PAPER_UNARY_DEPTH,
)

__all__ = ["Node", "reference_example"]


class Node:
    """A symbol and its arguments; a number is a symbol that is a float."""

    def __init__(self, symbol: str | float, *arguments: Node):
        self.symbol, self.arguments = symbol, arguments

    def prefix(self) -> list[str | float]:
        """Symbols in prefix order."""
        return [self.symbol] + [s for a in self.arguments for s in a.prefix()]

    def size(self) -> int:
        """Number of symbols."""
        return 1 + sum(a.size() for a in self.arguments)


@cache
def ways(empty: int, binaries: int) -> int:
    """Number of ways to hang `binaries` nodes on `empty` open places [Lample & Charton 2020, app. C]."""
    if empty == 0:
        return 0
    if binaries == 0:
        return 1
    return ways(empty - 1, binaries) + ways(empty + 1, binaries - 1)


def _skeleton(binaries: int, rng: random.Random) -> list[str]:
    """Prefix word of "binary" and "leaf", uniform over trees; its open places are filled from the left."""
    word, empty = [], 1
    while binaries:
        # How many places stay leaves before the next binary node.
        shares = [ways(empty - k + 1, binaries - 1) for k in range(empty)]
        skipped = rng.choices(range(empty), shares)[0]
        word += ["leaf"] * skipped + [rng.choices(list(PAPER_BINARY), list(PAPER_BINARY.values()))[0]]
        empty += 1 - skipped
        binaries -= 1
    return word + ["leaf"] * empty


def _tree(word: list[str], leaves: list[str]) -> Node:
    symbol = word.pop(0)
    if symbol == "leaf":
        return Node(leaves.pop(0))
    first = _tree(word, leaves)
    return Node(symbol, first, _tree(word, leaves))


def _with_unaries(node: Node, rng: random.Random) -> Node:
    """A random unary above every argument with a small subtree."""
    arguments = []
    for argument in node.arguments:
        inner = _with_unaries(argument, rng)
        if argument.size() < PAPER_UNARY_DEPTH:
            inner = Node(rng.choices(list(PAPER_UNARY), list(PAPER_UNARY.values()))[0], inner)
        arguments.append(inner)
    return Node(node.symbol, *arguments)


def _without(node: Node, removed: set[int]) -> Node:
    """The tree without the unary nodes whose id is in `removed`."""
    if id(node) in removed:
        return _without(node.arguments[0], removed)
    return Node(node.symbol, *(_without(a, removed) for a in node.arguments))


def _unaries(node: Node) -> list[Node]:
    found = [node] if len(node.arguments) == 1 else []
    return found + [n for a in node.arguments for n in _unaries(a)]


def _number(rng: random.Random) -> Node:
    return Node(rng.choice((-1, 1)) * rng.randint(1, MANTISSA) / 10 ** -rng.choice(EXPONENTS))


def _with_prefactors(node: Node, rng: random.Random) -> Node:
    sums = ("add", "sub")
    arguments = []
    for argument in node.arguments:
        inner = _with_prefactors(argument, rng)
        if node.symbol in sums and argument.symbol not in sums:
            inner = Node("mul", _number(rng), inner)
        elif len(node.arguments) == 1 and argument.symbol not in sums:
            inner = Node("add", _number(rng), Node("mul", _number(rng), inner))
        arguments.append(inner)
    return Node(node.symbol, *arguments)


def _expression(dimensions: int, unaries: int, rng: random.Random) -> Node | None:
    """One attempt, in the order of system.md §1.2; None when a variable has found no leaf."""
    binaries = rng.randint(0, dimensions + 3)
    variables = [f"x_{d}" for d in range(dimensions)]
    leaves = rng.sample(variables, dimensions)[: binaries + 1]
    leaves += [rng.choice(variables) for _ in range(binaries + 1 - dimensions)]
    tree = _with_unaries(_tree(_skeleton(binaries, rng), leaves), rng)
    found = _unaries(tree)
    tree = _without(tree, {id(n) for n in rng.sample(found, max(0, len(found) - unaries))})
    size = tree.size()
    tree = _with_prefactors(tree, rng)
    if tree.size() == size:
        tree = Node("mul", _number(rng), tree)
    tree = Node("add", _number(rng), tree)
    return tree if set(variables) <= set(tree.prefix()) else None


def _points(dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """(N, D) standardised points of 1..9 rotated clusters."""
    count = rng.integers(min(5 * dimensions, POINTS), POINTS + 1)
    clusters = rng.integers(1, CLUSTERS + 1)
    weights = rng.uniform(size=clusters)
    counts = rng.multinomial(count, weights / weights.sum())
    gaussian = rng.uniform() < 0.5
    parts = []
    for n in counts:
        centre, spread = rng.normal(size=dimensions), np.sqrt(rng.uniform(size=dimensions))
        shape = (n, dimensions)
        noise = rng.normal(size=shape) if gaussian else rng.uniform(-1, 1, size=shape)
        part = centre + noise * spread
        if dimensions > 1:
            q, r = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))
            part = part @ (q * np.sign(np.diag(r)))  # Haar [Mezzadri 2007]
        parts.append(part)
    x = np.concatenate(parts)
    return (x - x.mean(0)) / x.std(0)


def _encoded(tree: Node, vocabulary: Vocabulary) -> Expressions:
    codes, numbers = [], []
    for symbol in tree.prefix():
        if isinstance(symbol, float):
            codes.append(CONSTANT)
            numbers.append(symbol)
        elif symbol.startswith("x_"):
            codes.append(VARIABLE + int(symbol[2:]))
        else:
            codes.append(vocabulary.id(symbol))
    return Expressions(torch.tensor([codes]), torch.tensor([numbers], dtype=torch.float64), vocabulary)


def reference_example(seed: int, vocabulary: Vocabulary) -> tuple[Expressions, torch.Tensor, torch.Tensor]:
    """One example of preset `paper`: expression (1 row), x (N, D), y (N,); the same for the same seed."""
    rng, points_rng = random.Random(seed), np.random.default_rng(seed)
    dimensions, unaries = rng.randint(1, PAPER_DIMENSIONS), rng.randint(0, PAPER_UNARIES)
    while True:
        tree = _expression(dimensions, unaries, rng)
        if tree is None:
            continue
        expression = _encoded(tree, vocabulary)
        x = torch.from_numpy(_points(dimensions, points_rng))
        values, valid = read_prefix(expression, x)
        if bool(valid.all()) and math.isfinite(largest := float(values.abs().max())) and largest <= PAPER_LARGEST:
            return expression, x, values[0]
