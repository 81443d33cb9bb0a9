"""Scores of answers to the visible pack, the command that resumes, refusals as rows, and the summary."""

import math

import pandas as pd
import pytest
import sympy
from click.testing import CliRunner

from sr_accessor.errors import InputError
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.problems import load, select
from sr_accessor.evaluation.runner import read_rows
from sr_accessor.evaluation.scoring import COLUMNS, Answer, score, summary
from sr_accessor.expressions.symbolic import to_sympy


def knows_the_truth(problem, seconds, added=0.0, factor=1.0):
    """A method that answers the true law with an added and a multiplied constant."""
    record = problem.record
    if record.formula is None:
        return Answer(lambda x: x.iloc[:, 0].to_numpy(), None, "converged", seconds=0.5)
    law = to_sympy(record.expression, record.features)[0]
    law = law + added if added else law * factor if factor != 1 else law  # 1.0*x has more nodes than x
    return Answer(lambda x: factor * record.values(x) + added, law, "converged", seconds=0.5, complexity=7)


def refuses(problem, seconds):
    raise InputError("no")


def scored(name, **change):
    problem = load(*select(names=[name]), 860)
    return score(problem, knows_the_truth(problem, 1.0, **change))


def test_the_truth_scores_full():
    row = scored("Nguyen-9")
    assert set(row) == set(COLUMNS)
    assert (row["r2"], row["solved"], row["exact"], row["equivalent"]) == (1.0, True, True, True)
    assert row["relation"] == "equal" and row["size"] == row["truth_size"] == 7  # sin(x1) + sin(x2**2)


def test_a_shifted_law_is_exact_only_above_the_floor():
    near, far = scored("Nguyen-9", added=1e-2), scored("Nguyen-9", added=100.0)
    assert near["exact"] and near["relation"] == "shifted"
    assert not far["exact"] and far["relation"] == "R2 <= 0.5" and far["equivalent"]


@pytest.mark.parametrize(("factor", "exact"), [(1.00001, True), (2.0, True)])
def test_large_constants_are_compared_by_value(factor, exact):
    row = scored("empirical_kepler", factor=factor)
    assert row["relation"] == "by value" and row["exact"] is exact


def test_a_wrong_law_by_value():
    problem = load(*select(names=["empirical_hubble"]), 860)
    law = Answer(lambda x: 70 * x["D"].to_numpy() + 30, 70 * sympy.Symbol("D") + 30, "timeout", 1.0)
    assert score(problem, law)["exact"] is False


def test_a_table_without_a_law_has_no_exactness():
    row = scored("diabetes")
    assert "exact" not in row and "size" not in row and row["r2"] < 1


def run_visible(*arguments, command="visible"):
    done = CliRunner().invoke(commands, [command, *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_command_resumes_and_prints_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr("sr_accessor.evaluation.visible.fit_table", knows_the_truth)
    out = tmp_path / "rows.csv"
    arguments = ["--suite", "jin,blackbox", "--subset", "4", "--noise", "0,0.1", "--out", str(out), "--seconds", "3"]
    first = run_visible(*arguments)
    content = out.read_bytes()
    assert len(read_rows(out)) == 8
    monkeypatch.setattr("sr_accessor.evaluation.visible.fit_table", refuses)
    again = run_visible(*arguments)
    assert out.read_bytes() == content and again.splitlines()[-4] == first.splitlines()[-4]
    (line,) = [row.split() for row in first.splitlines() if "jin" in row and " 0.0 " in row]
    assert "2/2" in line and "100%" in line
    assert "seed 23654" in first and "budget 3 s" in first


def test_a_refused_table_is_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr("sr_accessor.evaluation.visible.fit_table", refuses)
    out = tmp_path / "rows.csv"
    run_visible("--problem", "Jin-1", "--out", str(out))
    (row,) = read_rows(out).to_dict("records")
    assert row["status"] == "InputError: no" and row["exact"] is False and row["r2"] == -math.inf


def test_units_are_compared_on_tables_that_have_them(tmp_path, monkeypatch):
    asked = []

    def fit_table(problem, seconds, units="report"):
        asked.append((problem.record.name, units))
        assert problem.train.attrs["units"] == dict(problem.record.units)
        return knows_the_truth(problem, seconds)

    monkeypatch.setattr("sr_accessor.evaluation.units.fit_table", fit_table)
    out = tmp_path / "units.csv"
    shown = run_visible("--suite", "feynman,jin", "--subset", "2", "--out", str(out), command="units")
    assert len({name for name, _ in asked}) == 2 and all(name.startswith("feynman") for name, _ in asked)
    assert [units for _, units in asked] == ["report", "strict"] * 2
    assert [line.split()[0] for line in shown.splitlines() if " feynman " in line] == ["report", "strict"]


@pytest.mark.parametrize(("option", "value"), [("--noise", "a"), ("--noise", "-1"), ("--subset", "0")])
def test_options_that_cannot_be(option, value):
    assert CliRunner().invoke(commands, ["visible", option, value]).exit_code == 2


def test_summary_counts_and_medians():
    rows = pd.DataFrame(
        {
            "suite": ["jin", "jin", "blackbox"], "method": "ours", "noise": 0.0,
            "exact": [True, False, None], "equivalent": [True, True, None], "solved": [True, True, False],
            "r2": [1.0, 0.9999, 0.5], "size": [6, 20, 9], "truth_size": [5, 10, None], "seconds": [1.0, 3.0, 2.0],
        }
    )  # fmt: skip
    table = summary(rows, {"blackbox": 1, "jin": 4})
    jin, tables, whole = (table.loc[("ours", 0.0, suite)] for suite in ("jin", "blackbox", "all"))
    assert jin["done"] == "2/4" and jin["exact"] == "1/2  50% (9-91)" and jin["equivalent"].startswith("2/2 100%")
    assert jin["size/truth"] == "1.60" and jin["size/truth, exact"] == "1.20" and jin["median s"] == "2.00"
    assert tables["exact"] == "-" and tables["median R2"] == "0.5000"
    assert whole["done"] == "3/5" and whole["exact"].startswith("1/2") and whole["max s"] == "3.0"
