"""SRBench's seeds and noises, and recovery over seconds: what is counted, printed, drawn and resumed."""

import pandas as pd
from click.testing import CliRunner

from sr_accessor.errors import InputError
from sr_accessor.evaluation import scaling, srbench
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.problems import SEEDS
from sr_accessor.evaluation.runner import read_rows
from sr_accessor.evaluation.scoring import Answer
from sr_accessor.expressions.symbolic import to_sympy


def knows(problem, seconds):
    record = problem.record
    if problem.noise or seconds < 1:
        raise InputError("too hard")
    return Answer(record.values, to_sympy(record.expression, record.features)[0], "done", seconds=0.5)


def test_srbench_counts_failures_over_its_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(srbench, "fit_table", knows)
    out, plot = tmp_path / "rows.csv", tmp_path / "plot.png"
    options = ["srbench", "--suite", "jin", "--subset", "2", "--seeds", "2", "--noise", "0,0.1"]
    done = CliRunner().invoke(commands, [*options, "--out", str(out), "--plot", str(plot)])
    assert done.exit_code == 0, done.output
    rows = read_rows(out)
    assert rows["seed"].astype(int).tolist() == [SEEDS[0]] * 4 + [SEEDS[1]] * 4
    assert "4/4 100%" in done.stdout and "noise 0.1: test R2 > 0.99 in 0/4 (0%)" in done.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    content = out.read_bytes()
    monkeypatch.setattr(srbench, "fit_table", None)
    again = CliRunner().invoke(commands, [*options, "--out", str(out), "--plot", str(plot)])
    assert again.exit_code == 0 and out.read_bytes() == content


def test_shares_by_noise():
    rows = pd.DataFrame({"noise": [0.0, 0.0, 0.1], "exact": [True, None, False], "r2": [0.9999, 0.995, float("-inf")]})
    table = srbench.shares(rows, 3).set_index(["noise", "score"])
    assert table.loc[(0.0, "exact"), ["hits", "of"]].tolist() == [1, 1]
    assert table.loc[(0.0, "R2>0.99"), ["hits", "of", "planned"]].tolist() == [2, 2, 3]
    assert table.loc[(0.0, "R2>0.999"), "hits"] == 1 and table.loc[(0.1, "R2>0.99"), "hits"] == 0
    assert len(srbench.draw(srbench.shares(rows, 3)).axes[0].patches) == 6


def test_scaling_over_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "methods_of", lambda network: {"library": knows, "everything": knows})
    out, plot = tmp_path / "rows.csv", tmp_path / "plot.png"
    options = ["scaling", "--suite", "jin,nguyen", "--subset", "3", "--seconds", "2,0.5", "--out", str(out)]
    done = CliRunner().invoke(commands, [*options, "--method", "library,everything", "--plot", str(plot)])
    assert done.exit_code == 0, done.output
    table = scaling.scaling_table(read_rows(out))
    assert list(table.columns) == ["0.5 s", "2 s"] and list(table.index) == ["library", "everything"]
    assert table.loc["library", "0.5 s"].startswith("0/3") and table.loc["everything", "2 s"].startswith("3/3")
    assert plot.read_bytes().startswith(b"\x89PNG") and table.loc["library", "2 s"] in done.stdout
    assert len(scaling.draw(read_rows(out)).axes[0].lines) == 2
    unknown = CliRunner().invoke(commands, [*options, "--method", "librari", "--plot", str(plot)])
    assert "did you mean 'library'" in str(unknown.exception)
