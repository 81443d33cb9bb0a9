"""Phases: where they are, and waves turned by quarter turns that keep their values."""

import pytest
import torch

from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.phases import phases, turnable, turned
from sr_accessor.expressions.vocabulary import Vocabulary

VOCABULARY = Vocabulary(ELEMENTARY)
X = torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None]
LAWS = ("2*cos(x + -2.4)", "exp(sin(0.3 + 1.7*x)) + x", "x*sin(0.5 - x)", "3*cos(x*x + 1.0) - 2")


def law(text):
    return parse(text, VOCABULARY, ["x"], numbers="constant")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("cos(x + -2.5)", [2.5]), ("sin(0.3 + 7.0*x) + 0.1", [0.3]), ("sin(2.0*x)", []), ("exp(x + 1.0)", [])],
)
def test_a_phase_is_a_number_added_within_a_wave(text, expected):
    e = law(text)
    found, _ = phases(e)
    assert e.constants[found].abs().tolist() == expected


@pytest.mark.parametrize("quarters", range(-5, 6))
def test_turned_waves_have_the_same_values(quarters):
    e = concatenate([law(text) for text in LAWS])
    found, node = phases(e)
    slot = found.long().argmax(1)
    rows = torch.arange(len(e))
    again = turned(e, slot, node[rows, slot], torch.full((len(e),), quarters))
    assert again.well_formed.all()
    torch.testing.assert_close(evaluate(again, X)[0], evaluate(e, X)[0])
    moved = again.constants[rows, slot] - e.constants[rows, slot]
    torch.testing.assert_close(moved, torch.full_like(moved, quarters * torch.pi / 2))


def test_a_vocabulary_without_cosine_turns_nothing():
    assert turnable(law("sin(x)"))
    assert not turnable(parse("sin(x)", VOCABULARY.restricted(["sin", "neg", "add"]), ["x"]))
