"""Drafts in the search: what the network writes is proposed whole, and its parts join the screens."""

from dataclasses import replace
from functools import cache

import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.search.loop import _plan, start, step
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
