"""Drafts in the search: what the network writes is proposed whole, and its parts join the screens."""

from dataclasses import replace
from functools import cache

import sympy
import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.search.loop import _plan, start, step
from sr_accessor.search.proposals import drafted
from sr_accessor.search.selection import Data
from sr_accessor.transformer.checkpoint import find, load

VOCABULARY = Vocabulary(ELEMENTARY)
X = 0.5 + 2 * torch.rand(120, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
DATA = Data(X, X[:, 0] * torch.exp(-X[:, 1]) + 0.3 * X[:, 1], None, GAUSSIAN)


@cache
def network():
    return load(find("default"), device=torch.device("cpu")).model.eval()


def asked(vocabulary: Vocabulary):
    """The state after the first round of the plan and the one that asks the network."""
    state = step(start(DATA, vocabulary, seed=0, network=network))
    (number,) = [n for n, (name, _) in enumerate(_plan(state.workspace)) if name == "network"]
    return step(replace(state, round=number))


def test_laws_and_their_parts_are_proposed():
    drafted = asked(VOCABULARY)
    assert drafted.proposed["network"] > 10
    assert drafted.proposed["network, part of a power law"] > 0
    assert drafted.proposed["network, part of a sum"] > 0


def test_an_excluded_operator_is_not_drafted():
    few = VOCABULARY.restricted([o.name for o in ELEMENTARY if o.name not in ("exp", "sin", "cos", "tan")])
    state = asked(few)
    assert bool(state.population.expressions.permitted.all()) and bool(state.front.expressions.permitted.all())
    assert state.proposed["network"] > 0


def test_what_the_network_cannot_write_it_reads_as_columns():
    ramp = Operator("ramp", 1, lambda u: u.clamp(min=0.0), lambda u: sympy.Max(u, 0))
    centred = Data(X - 1.5, 2.5 * (X[:, 0] - 1.5).clamp(min=0.0) + X[:, 1], None, GAUSSIAN)
    work = start(centred, VOCABULARY.extended([ramp]), seed=0, network=network).workspace
    written = drafted(work, work.data.x, work.data.y, 100, torch.Generator().manual_seed(0))
    texts = to_text(written, ["x", "z"])
    assert any("ramp(x)" in text for text in texts) and any("ramp" not in text for text in texts)
    values, valid = evaluate(written, work.data.x)
    assert bool(valid.any()) and values.shape == (len(written), len(X))
