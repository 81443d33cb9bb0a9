"""A run that is killed, cut or asked for again goes on, without doubles and without losing rows of other tasks."""

import pandas as pd
import pytest

from sr_accessor.errors import LoadError
from sr_accessor.evaluation.runner import Task, read_rows, run

TASKS = [Task("jin", f"Jin-{i}", 860, noise, "ours", 10.0) for i in range(1, 4) for noise in (0.0, 0.1 + 0.2)]


class Solver:
    """Answers, counts, and dies at the n-th call."""

    def __init__(self, dies_at=None):
        self.seen, self.dies_at = [], dies_at

    def __call__(self, task):
        if len(self.seen) == self.dies_at:
            raise KeyboardInterrupt
        self.seen.append(task)
        return {"r2": 0.1 + 0.2, "expression": f"x,\n'{task.problem}'", "exact": task.noise == 0}


def solve_all(path, solver, tasks=TASKS, **options):
    return run(tasks, solver, ["r2", "exact", "expression", "size"], path, progress=False, **options)


def test_a_killed_run_goes_on_without_doubles(tmp_path):
    path = tmp_path / "new" / "rows.csv"
    with pytest.raises(KeyboardInterrupt):
        solve_all(path, Solver(dies_at=2))
    assert len(read_rows(path)) == 2
    second = Solver()
    rows = solve_all(path, second)
    assert second.seen == TASKS[2:]
    assert rows["problem"].tolist() == [t.problem for t in TASKS]
    assert rows["r2"].tolist() == pytest.approx([0.3] * 6)
    assert rows["exact"].tolist() == [True, False] * 3 and rows["size"].isna().all()
    assert rows["expression"][0] == "x, 'Jin-1'"
    third = Solver()
    pd.testing.assert_frame_equal(solve_all(path, third), rows)
    assert third.seen == []


def test_a_cut_last_line_is_done_again(tmp_path):
    path = tmp_path / "rows.csv"
    whole = solve_all(path, Solver())
    path.write_bytes(path.read_bytes()[:-9])
    again = Solver()
    pd.testing.assert_frame_equal(solve_all(path, again), whole)
    assert again.seen == TASKS[-1:]


def test_a_cut_header_is_written_again(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("suite,prob")
    assert len(solve_all(path, Solver())) == 6


def test_rows_of_other_tasks_stay_and_are_not_returned(tmp_path):
    path = tmp_path / "rows.csv"
    solve_all(path, Solver())
    other = [Task("jin", "Jin-1", 860, 0.0, "ours", 60.0)]
    assert len(solve_all(path, Solver(), other)) == 1
    assert len(read_rows(path)) == 7


def test_tasks_asked_for_twice_are_done_once(tmp_path):
    solver = Solver()
    assert len(solve_all(tmp_path / "rows.csv", solver, TASKS + TASKS)) == len(solver.seen) == 6


def test_no_time_begins_nothing(tmp_path):
    solver = Solver()
    assert len(solve_all(tmp_path / "rows.csv", solver, minutes=-1)) == 0 and not solver.seen


def test_a_file_of_other_columns_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(LoadError, match="Choose another file with --out"):
        solve_all(path, Solver())
    assert path.read_text() == "a,b\n1,2\n"
