"""Every proposal that is refined, and every simplification of it, is written with active operators only."""

import pytest
import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.prior.examples import sample_expressions
from sr_accessor.search.loop import start, step
from sr_accessor.search.selection import Data

VOCABULARY = Vocabulary(ELEMENTARY)
GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(60, 2, dtype=torch.float64, generator=GENERATOR) + 0.5
Y = X[:, 0] * X[:, 1] ** 2 + torch.sin(X[:, 0]) + 0.05 * torch.randn(60, dtype=torch.float64, generator=GENERATOR)


@pytest.mark.parametrize(
    "excluded", [{"div", "inv", "sqrt", "square", "cube", "pow"}, {"mul"}, {"add", "sub"}], ids=str
)
def test_rounds_keep_to_the_vocabulary(excluded):
    vocabulary = VOCABULARY.restricted([o.name for o in ELEMENTARY if o.name not in excluded])
    state = start(Data(X, Y, None, GAUSSIAN), vocabulary, seed=0)
    for _ in range(3):
        state = step(state)
        assert bool(state.population.expressions.permitted.all()) and bool(state.front.expressions.permitted.all())
    assert len(state.front) > 1 or excluded == {"mul"}  # the first screens write sums of products only


@pytest.mark.parametrize("text", ["x + x + x", "x*x", "x*x*x", "x - z - x - x", "exp(x)*exp(x)", "1/x*z", "x/z/z"])
def test_simplifying_writes_no_excluded_operator(text):
    names = {o.name for o in ELEMENTARY}
    law = parse(text, VOCABULARY, ["x", "z"])
    used = {VOCABULARY.operator(code).name for code in law.codes[0].tolist() if 8 <= code < 256}
    for excluded in names - used:
        vocabulary = VOCABULARY.restricted(sorted(names - {excluded}))
        assert bool(simplify_batch(type(law)(law.codes, law.constants, vocabulary)).permitted.all()), excluded


def test_the_prior_writes_no_excluded_operator():
    for names in (["add", "sub"], ["mul", "div"], ["add", "mul", "sin"], ["exp"]):
        drawn = sample_expressions("science", 200, 2, VOCABULARY.restricted(names), torch.Generator().manual_seed(1))
        assert bool(drawn.permitted.all()), names
