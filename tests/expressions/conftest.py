"""What the tests of expressions share: the built-in vocabulary and random expressions, drawn by plain recursion."""

import random

import pytest
import torch

from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, VARIABLE, Vocabulary

VARIABLES = 3


@pytest.fixture(scope="session")
def vocabulary():
    return Vocabulary(ELEMENTARY)


@pytest.fixture(scope="session")
def names():
    return ["x", "T [K]", "m_0"]


@pytest.fixture(scope="session")
def random_expressions(vocabulary):
    """random_expressions(count, seed, depth=4, operators=None) -> Expressions of at most 2**depth leaves."""

    def tree(draw, depth, operators):
        if depth == 0 or draw.random() < 0.2:
            kind = draw.choice(["variable", "variable", "literal", "constant"])
            if kind == "variable":
                return [(VARIABLE + draw.randrange(VARIABLES), None)]
            if kind == "literal":
                value = draw.choice([1.0, 2.0, 3.0, -1.0, 0.5, 1 / 3, -2 / 3, 10.0, 0.1])
                return [(LITERAL, value)]
            return [(CONSTANT, round(draw.gauss(0, 2), draw.choice([0, 2, 17])) + 0.0)]
        operator = draw.choice(operators)
        arguments = [tree(draw, depth - 1, operators) for _ in range(operator.arity)]
        return [(vocabulary.id(operator.name), None), *(symbol for a in arguments for symbol in a)]

    def sample(count, seed, depth=4, operators=None):
        draw = random.Random(seed)
        chosen = [o for o in vocabulary if operators is None or o.name in operators]
        rows = []
        for _ in range(count):
            symbols = tree(draw, depth, chosen)
            rows.append(
                Expressions(
                    torch.tensor([[code for code, _ in symbols]]),
                    torch.tensor([[v for _, v in symbols if v is not None]], dtype=torch.float64),
                    vocabulary,
                )
            )
        return concatenate(rows)

    return sample


@pytest.fixture(scope="session")
def points():
    """(40, 3) points of both signs."""
    return torch.randn(40, VARIABLES, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 2
