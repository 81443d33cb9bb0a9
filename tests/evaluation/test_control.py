"""The five columns: who answers what, that a missing network leaves two of them, and the table with its intervals."""

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from sr_accessor.device import generator
from sr_accessor.evaluation import control
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.finders import find_within, method_of
from sr_accessor.evaluation.problems import load, select
from sr_accessor.evaluation.runner import read_rows
from sr_accessor.evaluation.scoring import Answer, score
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.symbolic import to_sympy
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build

VOCABULARY = Vocabulary(ELEMENTARY)


def writes(text):
    law = parse(text, VOCABULARY, ["a", "b"], numbers="literal").freed()
    return method_of(lambda *given: find_within(lambda x, y, random: lambda: law, *given))


def test_a_finder_answers_a_problem():
    problem = load(*select(names=["Nguyen-9"]), 860)
    row = score(problem, writes("sin(1.1*a) + sin(0.9*b^2)")(problem, 0.0))
    assert row["exact"] and row["seconds"] > 0, row
    row = score(problem, writes("log(-1.0 - a*a)")(problem, 0.0))
    assert row["relation"] == "no law" and not row["exact"] and row["r2"] == -float("inf")


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(build(preset("tiny"), generator(0)), path)
    return path


def test_the_columns(weights):
    assert list(control.methods_of(weights)) == list(control.COLUMNS)
    without = [name for name, needs in control.COLUMNS.items() if not needs]
    assert list(control.methods_of(None)) == without == ["prior + refinement", "library"]


def test_the_fit_is_asked_for_its_network(monkeypatch):
    asked = []
    fit = control.sr.fit
    monkeypatch.setattr(control.sr, "fit", lambda *a, network, **k: asked.append(network) or fit(*a, network=None, **k))
    problem = load(*select(names=["empirical_hubble"]), 860)
    for network in (None, "default"):
        answer = control._fitted(problem, 0.5, network)
        assert answer.seconds > 0 and len(answer.predict(problem.train)) == len(problem.train)
    assert asked == [None, "default"]


def knows(problem, seconds):
    record = problem.record
    return Answer(record.values, to_sympy(record.expression, record.features)[0], "done", seconds=0.5)


def test_command_resumes_prints_intervals_and_says_what_is_missing(tmp_path, monkeypatch):
    methods = {"library": knows, "prior + refinement": writes("1.0*a")}
    monkeypatch.setattr(control, "methods_of", lambda network: refuse() if network else methods)
    threads = torch.get_num_threads()

    def refuse():
        raise control.ModelNotFoundError("no network 'none'")

    out = tmp_path / "rows.csv"
    options = ["control", "--network", "none", "--suite", "jin,nguyen", "--subset", "4", "--seconds", "0"]
    first = CliRunner().invoke(commands, [*options, "--out", str(out)])
    assert first.exit_code == 0, first.output
    assert "jin (1)" in first.stdout and "4/4 100% (51-100)" in first.stdout and "0/4   0% (0-49)" in first.stdout
    assert "not measured: network, network + refinement, everything: no network 'none'" in first.stdout
    rows = read_rows(out)
    assert rows["method"].tolist()[:2] == ["library", "prior + refinement"]
    content = out.read_bytes()
    methods["library"] = None  # not called again
    again = CliRunner().invoke(commands, [*options, "--out", str(out)])
    assert again.exit_code == 0 and out.read_bytes() == content and torch.get_num_threads() == threads
    assert CliRunner().invoke(commands, [*options, "--noise", "0,0.1"]).exit_code == 2
    refused = CliRunner().invoke(commands, [*options, "--method", "libary"])
    assert "no method 'libary'; did you mean 'library'" in str(refused.exception)


def test_some_columns_on_laws_with_an_inner_constant(tmp_path, monkeypatch):
    nothing = Answer(lambda inputs: np.zeros(len(inputs)), None, "done", seconds=0.5)
    methods = {control.WRITTEN: knows, control.DRAWN: lambda problem, seconds: nothing, "library": None}
    monkeypatch.setattr(control, "methods_of", lambda network: methods)
    options = ["control", "--method", f"{control.WRITTEN},{control.DRAWN}", "--inner", "--suite", "constant"]
    done = CliRunner().invoke(commands, [*options, "--subset", "2", "--out", str(tmp_path / "rows.csv")])
    assert done.exit_code == 0, done.output
    assert "constant (2)" in done.stdout and "inner constant (2)" in done.stdout
    assert "yes  network + refinement finds at least twice as many laws with an inner constant" in done.stdout
    assert ": 2 and 0 of 2, won 2, lost 0" in done.stdout


def test_twice_as_many_of_those_that_both_tried():
    exact = {control.WRITTEN: [True, True, True, False], control.DRAWN: [True, True, False, None]}
    rows = pd.concat(
        [pd.DataFrame({"problem": list("abcd"), "method": name, "exact": hits}) for name, hits in exact.items()]
    )
    assert control.twice(rows).startswith("no ") and "3 and 2 of 3, won 1, lost 0" in control.twice(rows)
    rows.loc[rows["method"] == control.DRAWN, "exact"] = [True, False, False, False]
    assert control.twice(rows).startswith("yes") and "3 and 1 of 4, won 2, lost 0" in control.twice(rows)


def test_the_table_counts_unknown_laws_only_for_r2():
    rows = pd.DataFrame(
        {
            "suite": ["jin", "jin", "blackbox"], "method": "library", "exact": [True, False, None],
            "solved": [True, True, False], "seconds": [1.0, 3.0, 9.0],
        }
    )  # fmt: skip
    table = control.control_table(rows, {"jin": 2, "blackbox": 1})["library"]
    assert table["jin (2)"].startswith("1/2") and table["blackbox (1)"] == "-" and table["all (3)"].startswith("1/2")
    assert table["R2>0.999"].startswith("2/3") and table["median s, exact"] == "1.00"
    named = control.control_table(rows.assign(problem=["a", "b", "c"]), {"jin": 2, "blackbox": 1}, ["a", "c"])
    assert named.loc["inner constant (2)", "library"].startswith("1/1") and "inner constant (2)" not in table


def test_inner_constants_are_numbers_that_no_linear_fit_finds():
    records = {r.name: r for r in select() if r.formula is not None}
    for name in ("Korns-7", "Constant-8", "Keijzer-1", "Constant-6", "nist_Chwirut1"):
        assert records[name].has_inner_constant, name
    for name in ("Korns-1", "Nguyen-1", "Nguyen-7", "Jin-1"):
        assert not records[name].has_inner_constant, name
