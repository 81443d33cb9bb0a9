"""Constraints bind: what violates one is never returned, and the best law that does not is."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import sr_accessor as sr
from sr_accessor.constraints import Constraints, limit, monotone, positive
from sr_accessor.errors import ColumnError, InputError, OptionError, UnknownNameError
from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.constraints import Admission, constrained

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = ["x", "z"]
X = torch.rand(80, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 + 0.5


def laws(*texts, vocabulary=VOCABULARY):
    return concatenate([parse(text, vocabulary, NAMES) for text in texts])


def bound(constraints=None, shape=(), y=X[:, 0], vocabulary=VOCABULARY):
    return Admission.bind(constraints or Constraints(), shape, vocabulary, NAMES, X, y)


FORMS = [
    (Constraints(max_complexity=3), ["x*z", "sin(x)"], ["sin(x*z)", "x*z + 1"]),
    (Constraints(max_depth=2), ["x", "x*z"], ["sin(x*z)", "x*z + x"]),
    (Constraints(require=["z", "exp"]), ["exp(z)", "z + exp(x)"], ["z", "exp(x)", "x"]),
    (Constraints(max_uses={"x": 1, "sin": 1}), ["x**2", "sin(z) + x"], ["x*sin(x)", "sin(x) + sin(z)"]),
    (
        Constraints(nested={"sin": {"sin": 0, "exp": 1}}),
        ["sin(x) + sin(z)", "exp(exp(x))", "sin(exp(x) + exp(z))", "exp(sin(x))"],
        ["sin(1 + sin(x))", "sin(x*exp(exp(z)))", "cos(sin(2*sin(x)))"],
    ),
]


@pytest.mark.parametrize(("constraints", "good", "bad"), FORMS, ids=lambda v: str(getattr(v, "words", "")))
def test_forms_of_a_batch(constraints, good, bad):
    fine = bound(constraints).formed(laws(*good, *bad))
    assert fine.tolist() == [True] * len(good) + [False] * len(bad)


SHAPES = [
    ([monotone("x")], ["x", "x**3 + z", "z", "x*z"], ["-x", "sin(3*x)", "z - x", "(x - 1.5)**2"]),
    ([monotone("x", "decreasing")], ["-x", "1/x", "z"], ["x", "sin(3*x)"]),
    ([positive()], ["x", "x*z", "(x - z)**2", "0*x"], ["x - z", "log(x/3)", "sqrt(x - z)"]),
    ([limit("x", math.inf, 0)], ["exp(-x)", "1/x", "z/(1 + x**2)"], ["x", "sin(x)", "exp(x)", "z", "sqrt(5 - x)"]),
    ([limit("x", math.inf, 1)], ["tanh(x)", "x/(1 + x)", "exp(x)/(1 + exp(x))"], ["x", "2*tanh(x)"]),
    ([limit("x", -math.inf, 0)], ["exp(x)", "1/x"], ["exp(-x)", "x"]),
    ([limit("x", 0.0, 2)], ["2 + x*z", "2*sin(x)/x", "2*cos(z*x)"], ["x", "1/x", "2 + z", "2 + 0.1*cos(x)"]),
    ([monotone("x"), positive()], ["x"], ["x - 2", "1/x"]),
]


@pytest.mark.parametrize(("shape", "good", "bad"), SHAPES, ids=lambda v: str([getattr(s, "words", "") for s in v]))
def test_shapes_of_a_batch(shape, good, bad):
    fine = bound(shape=shape).shaped(laws(*good, *bad))
    assert fine.tolist() == [True] * len(good) + [False] * len(bad)


def test_many_candidates_are_tested_in_pieces():
    many = concatenate([laws("x", "-x", "x*z")] * 200)
    assert bound(shape=[monotone("x")]).shaped(many).tolist() == [True, False, True] * 200


def test_costs_count_everywhere():
    vocabulary = constrained(VOCABULARY, Constraints(costs={"sin": 3}), NAMES)
    assert laws("sin(x)", "cos(x)", vocabulary=vocabulary).complexity.tolist() == [4, 2]
    assert laws("sin(x)").complexity.tolist() == [2]  # the vocabulary of others stays as it was
    fine = bound(Constraints(max_complexity=3), vocabulary=vocabulary)
    assert fine.formed(laws("sin(x)", "cos(x)", vocabulary=vocabulary)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"max_complexity": 0}, InputError, "max_complexity=0 is out of range"),
        ({"max_depth": 2.5}, OptionError, "max_depth=2.5; give a whole number"),
        ({"max_uses": ["x"]}, OptionError, "give a dictionary"),
        ({"max_uses": {"x": -1}}, InputError, "whole number from 0"),
        ({"nested": {"sin": 1}}, OptionError, "nested['sin']=1"),
        ({"costs": {"sin": 0}}, InputError, "costs['sin']=0"),
        ({"require": 3}, OptionError, "give a list of labels"),
        ({"require": ["x"], "forbid": ["x"]}, InputError, "'x' cannot be required and forbidden"),
    ],
)
def test_wrong_constraints_are_refused(keywords, error, message):
    with pytest.raises(error) as raised:
        Constraints(**keywords)
    assert message in str(raised.value)


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match="did you mean 'increasing'"):
        monotone("x", "increasin")
    with pytest.raises(OptionError, match="not a number"):
        limit("x", "far", 0)
    with pytest.raises(InputError, match="only finite limits"):
        limit("x", 0, math.inf)


RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"x": RNG.uniform(0.5, 3, 60), "z": RNG.uniform(0.5, 3, 60)})


def fit(y, rounds=2, **options):
    kept = {"validation": None, "random_state": 0, "timeout": 60, "device": "cpu", "progress": False}
    return sr.fit(TABLE.assign(y=y), "y", max_rounds=rounds, **kept | options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"constraints": Constraints(require=["T"])}, UnknownNameError, "require: no feature or operator 'T'"),
        ({"constraints": Constraints(forbid=["sine"])}, UnknownNameError, "did you mean 'sin'"),
        ({"constraints": Constraints(costs={"x": 2})}, UnknownNameError, "costs: no operator 'x'"),
        ({"constraints": Constraints(nested={"sin": {"cosine": 0}})}, UnknownNameError, "nested: no operator 'cosine'"),
        ({"constraints": Constraints(forbid=["x", "z"])}, InputError, "forbid every feature"),
        ({"constraints": {"max_depth": 2}}, OptionError, "give sr_accessor.Constraints"),
        ({"shape": [monotone("w")]}, ColumnError, "shape: no feature 'w'"),
        ({"shape": ["positive"]}, OptionError, "give monotone(...)"),
        ({"operators": ["-tann"]}, UnknownNameError, "did you mean 'tan'"),
        ({"operators": ["-tan", "sin"]}, OptionError, "with '-' those to leave out"),
    ],
)
def test_wrong_wishes_name_what_is_wrong(options, error, message):
    with pytest.raises(error) as raised:
        fit(TABLE.x**2, **options)
    assert message in str(raised.value)


def test_a_forbidden_operator_and_its_cost():
    y = TABLE.x * np.exp(TABLE.z)
    assert fit(y, rounds=5).to_text() == "x*exp(z)"
    without = fit(y, constraints=Constraints(forbid=["exp"]))
    assert not any("exp" in text for text in without.front.equation)
    minus = fit(y, operators=["-exp", "-tan"])
    assert "exp" not in minus.provenance["operators"] and "tan" not in minus.provenance["operators"]
    assert fit(y, rounds=5, constraints=Constraints(costs={"exp": 4})).best.complexity == 7


def test_a_forbidden_feature_leaves_the_best_law_without_it():
    result = fit(TABLE.x**2 + 1e-3 * TABLE.z, constraints=Constraints(forbid=["z"]))
    assert result.names == ("x",) and result.best.names == ("x",)
    assert result.to_text().startswith(("x**2", "0.0"))


def test_size_and_required_names():
    y = 2 * TABLE.x + 0.5 * np.sin(5 * TABLE.z)
    small = fit(y, constraints=Constraints(max_complexity=3))
    assert small.front.complexity.max() <= 3 and small.best.names == ("x",)
    needed = fit(2 * TABLE.x**2, constraints=Constraints(require=["z"]))
    assert all("z" in law.names for law in needed)
    assert "'z' occurs" in needed.provenance["constraints"]


def test_the_best_law_of_the_right_shape():
    y = TABLE.x - 0.3 * np.sin(6 * TABLE.x)
    free, rising = fit(y, rounds=6), fit(y, rounds=6, shape=[monotone("x")])
    grid = pd.DataFrame({"x": np.linspace(TABLE.x.min(), TABLE.x.max(), 400), "z": 1.0})
    assert min(law.predict(grid).diff().min() for law in free) < -1e-3
    assert all(law.predict(grid).diff().min() >= -1e-9 for law in rising)
    assert rising.front.r2.max() > 0.8  # the line alone has 0.9
    assert rising.provenance["constraints"] == ["increasing in 'x'"]


def test_nothing_admissible_is_said_and_the_mean_stands_in():
    with pytest.warns(sr.errors.SymRegWarning, match=r"NO_MODEL: no law .*depth at most 1; 'sin' occurs"):
        result = fit(TABLE.x * TABLE.z, constraints=Constraints(max_depth=1, require=["sin"]))
    assert result.status == "no_model" and len(result) == 1
    assert [w.code for w in result.warnings] == ["NO_MODEL"]


def test_constrained_fits_are_deterministic():
    options = {"constraints": Constraints(max_uses={"x": 1}), "shape": [positive()]}
    one, two = (fit(np.sin(TABLE.x) * TABLE.z + TABLE.x, **options) for _ in range(2))
    assert one.front.equation.tolist() == two.front.equation.tolist()
