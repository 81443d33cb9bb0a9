"""Timings: their problems, how they are taken and printed, each in a process of its own, a fit from its launch."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sr_accessor.errors import UnknownNameError
from sr_accessor.evaluation import cold_fit
from sr_accessor.evaluation import speed as module
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.speed import (
    MEASUREMENTS,
    Measurement,
    best_seconds,
    measure,
    mixed_structures,
    ten_constants,
)
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt


def test_refinement_problem_has_ten_constants_and_a_known_optimum():
    start, x, y = ten_constants(10, 200)
    assert (start.free.sum(1) == 10).all() and x.shape == (200, 3) and y.shape == (10, 200)
    before = (evaluate(start, x)[0] - y).square().mean(1)
    after = levenberg_marquardt(start, x, y).loss / 200
    noise = 1e-4 * y.square().mean(1)
    assert (after < before).all() and ((after / noise - 0.95).abs() < 0.4).all()  # ten of 200 degrees are fitted
    again = ten_constants(10, 200)
    assert torch.equal(again[1], x) and torch.equal(again[2], y)


def test_mixed_structures_are_six_constants_each_and_no_two_alike():
    start, x, y = mixed_structures(20, 50)
    assert len(start) == 20 and (start.free.sum(1) == 6).all() and len(start.codes.unique(dim=0)) == 20
    assert x.shape == (50, 3) and y.isfinite().all() and evaluate(start, x)[1].all()


def test_best_seconds_warms_up_and_repeats():
    calls = []
    assert best_seconds(lambda: calls.append(0), repeats=4) >= 0 and len(calls) == 5


def test_fit_table_has_the_stated_noise():
    clean, noisy = cold_fit.table(0.0, 1), cold_fit.table(0.01, 1)
    assert clean.shape == (200, 4) and clean.drop(columns="y").equals(noisy.drop(columns="y"))
    assert np.std(noisy["y"] - clean["y"]) == pytest.approx(0.01 * np.sqrt(np.mean(clean["y"] ** 2)), rel=0.15)


def test_command_prints_each_line_with_its_goal(monkeypatch):
    lines = [
        Measurement("this", "9 ms", "90 ms", 10.0, ">= 5 x", True),
        Measurement("that", "1 GB", "-", None, "< 1 GB", False),
    ]
    monkeypatch.setattr(module, "measure", lambda name: lines if name == "jacobian" else [])
    done = CliRunner().invoke(commands, ["speed", "--only", "jacobian"])
    assert done.exit_code == 0, done.output
    this, that = done.output.splitlines()[1:3]
    assert this.split()[-5:] == ["10.00", ">=", "5", "x", "yes"] and that.split()[-5:] == ["-", "<", "1", "GB", "NO"]
    assert "torch" in done.output.splitlines()[3]


def test_a_measurement_runs_in_a_process_of_its_own():
    done = subprocess.run(
        [sys.executable, "-m", "sr_accessor.evaluation.speed", "jacobian"], capture_output=True, text=True, check=True
    )
    (line,) = [Measurement(**m) for m in json.loads(done.stdout)]
    assert line.goal == "<= 4 x" and line.ratio > 1


def test_unknown_measurement():
    with pytest.raises(UnknownNameError, match="did you mean 'jacobian'"):
        measure("jacobean")
    assert set(MEASUREMENTS) == {"generator", "refinement", "candidates", "jacobian", "pairs", "fit"}


def test_the_first_fit_is_timed_from_the_launch(monkeypatch, capsys):
    seen = []

    def fit(frame, target, **options):
        seen.append(frame)
        return SimpleNamespace(front=f"front {len(seen)}")

    monkeypatch.setattr(cold_fit.sr, "fit", fit)
    cold_fit.main(0.01, time.time() - 100)
    *fronts, line = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert fronts == ["front 1", "front 2"] and not seen[0].equals(seen[1])
    assert 100 < found["cold"] < 110 and 0 <= found["second"] < 10 and found["peak"] > 1e7
