"""Peers: programs that need not be installed here are stood in for; how they are run, read and drawn is tested."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sympy
from click.testing import CliRunner

from sr_accessor.errors import MissingDependencyError
from sr_accessor.evaluation import peers
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.peers import draw, gplearn_table, pyoperon_table
from sr_accessor.evaluation.problems import load, select
from sr_accessor.evaluation.runner import read_rows
from sr_accessor.evaluation.scoring import Answer, score
from sr_accessor.expressions.symbolic import to_sympy


class Operon:
    """Stands in for pyoperon's estimator: the law is 2·x0² up to its scale and offset."""

    made = []

    def __init__(self, **settings):
        self.settings = settings
        Operon.made.append(self)

    def fit(self, x, y):
        assert x.flags.writeable and y.flags.writeable and len(x) == len(y)
        self.model_, self.stats_ = "tree", {"generations": 7, "model_length": 5}

    def get_model_string(self, model, precision, names):
        assert (model, precision) == ("tree", 12)
        return f"(0.25 + (2.000000000000 * (({names[0]}) ^ 2)))"

    def predict(self, x):
        return 0.25 + 2 * x[:, 0] ** 2


class Gplearn:
    """Stands in for gplearn's estimator: div(X0, add(X1, 0.5)) after the third generation, exact from then on."""

    def __init__(self, **settings):
        self.settings, self.seen = settings, []

    def set_params(self, generations):
        self.seen.append(generations)
        return self

    def fit(self, x, y):
        assert self.settings["warm_start"]
        functions = [SimpleNamespace(name=n, arity=2) for n in ("div", "add")]
        program = [functions[0], 0, functions[1], np.int64(1), 0.5]
        self._program = SimpleNamespace(program=program, raw_fitness_=0 if self.seen == [1, 2, 3] else 1.0)

    def predict(self, x):
        return x[:, 0] / (x[:, 1] + 0.5)


@pytest.fixture
def installed(monkeypatch):
    """Both programs, as far as they are asked."""
    for package, module, kind in (("pyoperon", "sklearn", Operon), ("gplearn", "genetic", Gplearn)):
        below = ModuleType(f"{package}.{module}")
        below.SymbolicRegressor = kind
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
        monkeypatch.setitem(sys.modules, f"{package}.{module}", below)
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: object())


def test_pyoperon_is_asked_and_read(installed):
    problem = load(*select(names=["Nguyen-9"]), 860)
    answer = pyoperon_table(problem, 4.4)
    settings = Operon.made[-1].settings
    assert settings["max_time"] == 4 and settings["n_threads"] == 2 and settings["random_state"] == 860
    x1, x2 = (problem.train[name].to_numpy() for name in ("x1", "x2"))
    assert sympy.simplify(answer.expression - (2 * sympy.Symbol("x1") ** 2 + sympy.Rational(1, 4))) == 0
    np.testing.assert_allclose(answer.predict(problem.train[["x1", "x2"]]), 0.25 + 2 * x1**2)
    assert answer.status == "7 generations" and answer.complexity == 5 and len(x2)
    assert score(problem, answer)["exact"] is False


def test_gplearn_stops_when_exact_and_is_read(installed):
    problem = load(*select(names=["Nguyen-9"]), 860)
    answer = gplearn_table(problem, 1000.0)
    a, b = (sympy.Symbol(name) for name in ("x1", "x2"))
    assert sympy.simplify(answer.expression - a / (b + sympy.Float(0.5))) == 0
    assert answer.status == "3 generations" and answer.complexity == 5
    assert gplearn_table(problem, 0.0).status == "1 generations"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ([("sub", 2), ("neg", 1), 0, ("inv", 1), 1], "-x - 1/y"),
        ([("mul", 2), ("sqrt", 1), 0, ("log", 1), 1], "sqrt(x)*log(y)"),
        ([("sin", 1), ("cos", 1), 1.5], "sin(cos(1.5))"),
    ],
)
def test_codes_of_gplearn(program, expected):
    nodes = [SimpleNamespace(name=n[0], arity=n[1]) if isinstance(n, tuple) else n for n in program]
    assert str(peers._from_gplearn(nodes, ["x", "y"])).replace("1.50000000000000", "1.5") in (
        expected, str(sympy.sin(sympy.cos(sympy.Float(1.5)))),
    )  # fmt: skip


def test_a_missing_program_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    ended = CliRunner().invoke(commands, ["peers", "--out", str(tmp_path / "rows.csv")])
    assert isinstance(ended.exception, MissingDependencyError) and not (tmp_path / "rows.csv").exists()
    assert str(ended.exception) == 'pyoperon is not installed; pip install "sr-accessor[peers]"'


def test_an_unknown_method_is_refused(tmp_path):
    ended = CliRunner().invoke(commands, ["peers", "--method", "pyoperonn", "--out", str(tmp_path / "rows.csv")])
    assert "did you mean 'pyoperon'" in str(ended.exception)


def knows(problem, seconds):
    law = to_sympy(problem.record.expression, problem.record.features)[0]
    return Answer(problem.record.values, law, "done", seconds=0.5, complexity=3)


def guesses(problem, seconds):
    return Answer(lambda x: x.iloc[:, 0].to_numpy(), sympy.Symbol(problem.record.features[0]), "done", 9.0)


def test_command_compares_on_the_same_rows_and_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "METHODS", {"sr_accessor": knows, "other": guesses})
    monkeypatch.setattr(peers, "_installed", lambda name: None)
    monkeypatch.setattr(peers, "two_threads", lambda: None)
    out, plot = tmp_path / "rows.csv", tmp_path / "plot.png"
    options = ["--suite", "jin,nguyen", "--subset", "5", "--noise", "0,0.01", "--out", str(out), "--plot", str(plot)]
    done = CliRunner().invoke(commands, ["peers", *options])
    assert done.exit_code == 0, done.output
    rows = read_rows(out)
    assert rows.groupby("method").size().tolist() == [10, 10]
    assert rows["method"].tolist()[:2] == ["sr_accessor", "other"]  # side by side: a run cut short compared the same
    assert "5/5 100%" in done.stdout and "2 threads each" in done.stdout and "median size" in done.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_plot_shows_every_method_and_noise():
    rows = pd.DataFrame(
        {
            "method": ["a", "a", "b", "b"], "noise": [0.0, 0.1] * 2, "exact": [True, False, None, False],
            "solved": [True, True, False, True], "size": [5, 9, 40, 30], "seconds": [0.5, 2.0, 10.0, 10.0],
        }
    )  # fmt: skip
    exact, close = draw(rows).axes
    assert [text.get_text() for text in close.get_legend().get_texts()] == [
        "a, noise 0", "a, noise 0.1", "b, noise 0", "b, noise 0.1",
    ]  # fmt: skip
    assert len(exact.collections) - len(exact.containers) == 3  # no known law, no mark
