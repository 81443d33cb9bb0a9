"""A stranger's operator enters every stage at once, and the report says by which route each was searched."""

import numpy as np
import pandas as pd
import pytest
import sympy
import torch

import sr_accessor as sr
from sr_accessor.expressions.batch import variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.plugins import manager
from sr_accessor.prior.examples import sample_expressions
from sr_accessor.search.features import features
from sr_accessor.search.moves import offspring


def _wave(x):
    return torch.sin(x) * torch.exp(-x * x / 8)


WAVE = Operator("wave", 1, _wave, lambda x: sympy.sin(x) * sympy.exp(-(x**2) / 8), definition="sin(u)*exp(-u**2/8)")
HYPOT = Operator(
    "hypot", 2, torch.hypot, lambda a, b: sympy.sqrt(a**2 + b**2), units="same", commutative=True, bits=2.0,
    definition="sqrt(u**2 + w**2)",
)  # fmt: skip
STEP = Operator("ramp", 1, torch.relu, lambda x: sympy.Max(x, 0), units="same")


@pytest.fixture
def strangers(monkeypatch):
    monkeypatch.setattr(manager, "_catalogue", None)
    monkeypatch.setenv(manager.LOAD_VARIABLE, "")
    for operator in (WAVE, HYPOT, STEP):
        sr.register_operator(operator)
    return manager.vocabulary()


def holds(expressions, name):
    return int((expressions.codes == expressions.vocabulary.id(name)).any(1).sum())


def test_screens_moves_and_random_trees_use_it(strangers):
    assert "wave" in {feature.name for feature in features(strangers)}
    generator = torch.Generator().manual_seed(0)
    drawn = sample_expressions("science", 2000, 2, strangers, generator)
    parents = variable([0, 1] * 200, strangers)
    children = offspring(parents, torch.ones(400, dtype=torch.float64), drawn, 2, 3000, generator)
    for name in ("wave", "hypot", "ramp"):
        assert holds(drawn, name) > 0, name
        assert holds(children, name) > 0, name


@pytest.mark.parametrize("operators", ["default", ["add", "mul", "hypot", "wave"]])
def test_laws_of_a_strangers_operators_are_found(strangers, operators):
    random = np.random.default_rng(1)
    table = pd.DataFrame({"a": random.uniform(0.5, 4, 80), "b": random.uniform(0.5, 4, 80)})
    table["y"] = 2.5 * _wave(torch.tensor(1.3 * table["a"].to_numpy())).numpy()
    result = sr.fit(table, "y", operators=operators, random_state=0, timeout=20.0, max_rounds=6, network=None)
    assert "wave(" in result.to_text() and result.front["rmse"].min() < 1e-9
    assert result.provenance["routes"]["wave"] == ["screens", "moves"]
    assert result.provenance["routes"]["hypot"] == ["moves"]


def test_routes(strangers):
    base = [o.name for o in ELEMENTARY]
    assert manager.routes(strangers) == dict.fromkeys(["wave", "ramp"], ("screens", "moves")) | {"hypot": ("moves",)}
    told = manager.routes(strangers, base)
    assert told["wave"][-1] == "rewritten" and told["hypot"][-1] == "rewritten"
    assert told["ramp"][-1] == "lifted"
    assert manager.routes(strangers, [*base, "ramp"])["ramp"][-1] == "native"
    few = manager.routes(strangers, ["add", "mul"])
    assert few["wave"][-1] == "lifted" and few["hypot"][-1] == "not by the network"
    assert manager.routes(Vocabulary(ELEMENTARY)) == {}
    assert set(manager.routes(manager.vocabulary(["add", "wave"]))) == {"wave"}
