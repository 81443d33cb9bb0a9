"""Definitions: written out they compute the same; recognised again they are the same expression."""

import pytest
import sympy
import torch

from sr_accessor.errors import OperatorError
from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.definitions import base_operators, definition, expanded, lifted, unlifted
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse, parse_model
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.testing import check_operator

NAMES = ["x", "z"]
BUMP = Operator("bump", 1, lambda u: torch.exp(-u * u), lambda u: sympy.exp(-(u**2)), definition="exp(-u**2)")
HYPOT = Operator(
    "hypot", 2, torch.hypot, lambda a, b: sympy.sqrt(a**2 + b**2), definition="sqrt(u**2 + w**2)", commutative=True
)
LINE = Operator("line", 1, lambda u: 1 / (1 + u * u), lambda u: 1 / (1 + u**2), definition="1/(1 + u**2)")
TWICE = Operator("twice", 1, lambda u: u * torch.exp(-u * u), lambda u: u * sympy.exp(-(u**2)), definition="u*bump(u)")
VOCABULARY = Vocabulary((*ELEMENTARY, BUMP, HYPOT, LINE, TWICE))
TEXTS = [
    "bump(x)",
    "2*bump(x - 1.5) + 1",
    "bump(bump(z))*hypot(x, 2*z)",
    "hypot(hypot(x, z), bump(x + z)) - x",
    "line(x/3)*line(z*bump(x))",
    "x + z",
    "twice(x*z)",
]
X = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 - 1


def batch():
    return concatenate([parse(text, VOCABULARY, NAMES) for text in TEXTS])


def test_written_out_is_the_same_function():
    laws = batch()
    written = expanded(laws)
    assert bool(written.well_formed.all())
    for name in ("bump", "hypot", "line", "twice"):
        assert not bool((written.codes == VOCABULARY.id(name)).any()), name
    torch.testing.assert_close(evaluate(written, X)[0], evaluate(laws, X)[0], rtol=1e-12, atol=1e-14)
    assert to_text(written[[1]], NAMES)[0] == "2*exp(-(x - 1.5)**2) + 1"
    only = expanded(laws, ["hypot"])
    assert bool((only.codes == VOCABULARY.id("bump")).any()) and not bool((only.codes == VOCABULARY.id("hypot")).any())
    assert to_text(only[[5]], NAMES) == to_text(laws[[5]], NAMES)


def test_free_constants_keep_their_values():
    law = parse_model("A*bump(k*x) + B", VOCABULARY, NAMES, {"A": 2.0, "k": 0.5, "B": -1.0}).expressions
    written = expanded(law)
    assert written.constants[0, written.free[0]].tolist() == [2.0, 0.5, -1.0]


def test_definitions_that_cannot_be():
    def of(name, text):
        return Operator(name, 1, torch.sin, sympy.sin, definition=text)

    one, two = of("one", "two(u)"), of("two", "one(u) + 1")
    circle = Vocabulary((*ELEMENTARY, one, two))
    with pytest.raises(OperatorError, match="definitions lead in a circle: one -> two -> one"):
        expanded(parse("one(x)", circle, NAMES))
    with pytest.raises(OperatorError, match="'self' is defined by itself"):
        definition(itself := of("self", "self(u)"), Vocabulary((*ELEMENTARY, itself)))
    with pytest.raises(OperatorError, match=r"'odd': its definition cannot be read"):
        definition(of("odd", "sin(v)"), VOCABULARY)
    with pytest.raises(OperatorError, match="'sin' has no definition"):
        definition(VOCABULARY.operator("sin"), VOCABULARY)
    with pytest.raises(OperatorError, match="definition must be text"):
        of("f", 3)
    assert base_operators(TWICE, VOCABULARY) == {"mul", "exp", "neg", "square"}


def test_registration_checks_the_definition():
    check_operator(BUMP)
    check_operator(HYPOT)
    wrong = Operator("bump", 1, BUMP.torch, BUMP.sympy, definition="exp(-u**3)")
    with pytest.raises(OperatorError, match=r"fails the check 'torch = definition': at u = \(.*'exp\(-u\*\*3\)'"):
        check_operator(wrong)
    with pytest.raises(OperatorError, match="cannot be read"):
        check_operator(Operator("bump", 1, BUMP.torch, BUMP.sympy, definition="gauss(u)"))
    with pytest.raises(OperatorError, match=r"printers\['c'\].*IndexError"):
        check_operator(Operator("bump", 1, BUMP.torch, BUMP.sympy, printers={"c": "bump({1})"}))


def test_operators_as_columns_and_back():
    x = X[:, :2].abs() + 0.5
    wide, columns = lifted(x, VOCABULARY, ["bump", "line"], 3)
    assert wide.shape == (50, 5) and to_text(columns, NAMES) == ["bump(x)", "bump(z)", "line(x)"]
    labels = [*NAMES, "p", "q", "r"]
    texts = ["2*p + x", "q*r*q - p", "x/z", "sin(3*p)**2"]
    laws = concatenate([parse(text, VOCABULARY, labels) for text in texts])
    back = unlifted(laws, columns, 2)
    assert to_text(back, NAMES) == ["2*bump(x) + x", "bump(z)*line(x)*bump(z) - bump(x)", "x/z", "sin(3*bump(x))**2"]
    torch.testing.assert_close(evaluate(back, x)[0], evaluate(laws, wide)[0], rtol=1e-12, atol=1e-14)


def test_only_sound_columns_are_lifted():
    x = torch.tensor([[1.0, 2.0], [-1.0, 2.0], [0.5, 2.0]], dtype=torch.float64)
    wide, columns = lifted(x, VOCABULARY, ["log", "exp", "sin"], 9)
    assert to_text(columns, NAMES) == ["exp(x)", "sin(x)"]  # no logarithm of -1, and z does not vary
    assert lifted(x, VOCABULARY, [], 9)[0] is x and wide.shape == (3, 4)
