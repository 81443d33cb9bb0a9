"""Frames without a law: columns that tell nothing, what counts as a claim, the command and its table."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from sr_accessor.evaluation import pure_noise
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.pure_noise import INPUTS, SCATTER, judge_frame, noise_frame, noise_table
from sr_accessor.evaluation.runner import read_rows


def says(claimed):
    return lambda frame, seconds, seed: {
        "status": "converged", "claimed": claimed(frame), "saved_bits": 0.0, "r2": 0.0, "rounds": 11, "seconds": 2.0,
        "expression": "0",
    }  # fmt: skip


def run_noise(*arguments):
    return CliRunner().invoke(commands, ["noise", *arguments])


@pytest.mark.parametrize("scatter", SCATTER)
@pytest.mark.parametrize("inputs", INPUTS)
def test_columns_tell_nothing_about_the_target(scatter, inputs):
    frame = noise_frame(4000, 2, scatter, inputs, 7, 3)
    assert list(frame) == ["x0", "x1", "y"] and np.isfinite(frame.to_numpy()).all()
    pd.testing.assert_frame_equal(frame, noise_frame(4000, 2, scatter, inputs, 7, 3))
    assert frame.rank().corr().to_numpy()[np.triu_indices(3, 1)] == pytest.approx(0, abs=0.07)
    other = noise_frame(4000, 2, scatter, inputs, 7, 4)
    assert abs(frame["y"].corr(other["y"])) < 0.07


def test_a_law_that_reads_a_column_is_a_claim():
    x = np.linspace(1, 2, 12)
    line = judge_frame(pd.DataFrame({"x0": x, "y": 2 * x}), 5.0, 0)
    level = judge_frame(pd.DataFrame({"x0": x, "y": 3.5}), 5.0, 0)
    assert line["claimed"] and line["expression"] == "2*x0" and line["saved_bits"] > 100
    assert not level["claimed"] and level["saved_bits"] == 0.0
    assert set(line) == set(pure_noise.COLUMNS)


def test_command_counts_by_size_and_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr(pure_noise, "judge_frame", says(lambda frame: len(frame) == 20))
    out = tmp_path / "rows.csv"
    arguments = ["--rows", "20,100", "--frames", "3", "--columns", "1", "--out", str(out)]
    first = run_noise(*arguments)
    assert first.exit_code == 0, first.output
    lines = [line.split() for line in first.stdout.splitlines()]
    assert ["20", "rows", "3/3", "3/3", "100%", "(44-100)", "11", "2.0"] in lines
    assert ["100", "rows", "3/3", "0/3", "0%", "(0-56)", "11", "2.0"] in lines
    assert len(read_rows(out)) == 6
    monkeypatch.setattr(pure_noise, "judge_frame", says(lambda frame: pytest.fail("done before")))
    assert run_noise(*arguments).exit_code == 0
    cut = run_noise(*arguments, "--scatter", "student", "--minutes", "-1")
    assert "0/3" in cut.stdout and len(read_rows(out)) == 6


@pytest.mark.parametrize("sizes", ["2", "20,x", ""])
def test_sizes_that_cannot_be(sizes):
    assert run_noise("--rows", sizes).exit_code == 2


def test_table_of_a_run_that_has_not_begun():
    rows = pd.DataFrame({"suite": [], "claimed": [], "rounds": [], "seconds": []})
    assert noise_table(rows, {"20 rows": 5}).loc["20 rows"].tolist() == ["0/5", "-", "-", "-"]
