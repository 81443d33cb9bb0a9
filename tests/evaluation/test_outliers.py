"""The measurement of outliers: what is spoilt, an easy law found either way, and how laws are drawn."""

import numpy as np
from click.testing import CliRunner

from sr_accessor.evaluation import outliers
from sr_accessor.evaluation.problems import load, select


def _problem():
    (record,) = select(names=["feynman_I_25_13"])
    return load(record, 3, outliers.NOISE, max_train=100)


def test_a_share_of_the_rows_is_far_off_and_the_others_are_as_they_were():
    problem = _problem()
    target, spoilt = problem.record.target, outliers.with_outliers(problem, 0.05)
    off = (spoilt[target] - problem.train[target]).abs()
    assert (off > 0).sum() == 5
    assert off[off > 0].min() > 4.9 * np.std(problem.clean)
    assert spoilt.equals(outliers.with_outliers(problem, 0.05))


def test_an_easy_law_is_found_among_outliers():
    problem = _problem()
    row = outliers.fitted(problem, outliers.with_outliers(problem, 0.05), "student_t", seconds=60, rounds=1)
    assert row["found"], row["law"]


def test_laws_are_drawn_until_enough_are_found_without_outliers(monkeypatch):
    asked = []

    def fitted(problem, train, noise, *, seconds, rounds):
        asked.append((problem.record.name, noise))
        return {"found": noise == "gaussian" and len(asked) != 1, "CPU s": 0.0, "law": "a law"}

    monkeypatch.setattr(outliers, "fitted", fitted)
    printed = CliRunner().invoke(outliers.outliers, ["--laws", "2", "--seed", "1"]).output
    assert [noise for _, noise in asked] == ["gaussian", *["gaussian", "student_t"] * 2]
    assert len({name for name, _ in asked}) == 3
    assert "found with outliers too: 0 of 2 laws that are found without; without outliers 2 of 3" in printed
