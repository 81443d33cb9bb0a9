"""A resumable run: tasks solved one after another, one row of a CSV file each.

A run that was killed goes on where it stopped: rows present are skipped, a half-written last line is cut off.
It knows tasks and files, not methods or scores.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from sr_accessor.errors import LoadError

__all__ = ["Task", "read_rows", "run"]


@dataclass(frozen=True)
class Task:
    """What a row is about; no two rows of a file have the same.

    Parameters
    ----------
    budget : seconds the method may use
    noise : SRBench's γ on the training target
    """

    suite: str
    problem: str
    seed: int
    noise: float
    method: str
    budget: float


_KEY = tuple(f.name for f in fields(Task))


def run(
    tasks: Sequence[Task],
    solve: Callable[[Task], Mapping[str, object]],
    columns: Sequence[str],
    path: Path,
    *,
    minutes: float | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Solve the tasks that the file has no row of, and append their rows.

    Parameters
    ----------
    solve : task -> values of `columns`; None or a missing name is an empty cell
    minutes : no task is begun after this time
    progress : show a bar

    Returns
    -------
    DataFrame
        The rows of `tasks` that there are, in their order; other rows of the file are left alone.

    Raises
    ------
    LoadError : the file has other columns.
    """
    header = [*_KEY, *columns]
    done = set(_tasks(_repaired(path, header)))
    end = None if minutes is None else time.monotonic() + 60 * minutes
    with tqdm(tasks, disable=not progress, unit="problem", dynamic_ncols=True) as bar:
        for task in bar:
            if task in done:
                continue
            if end is not None and time.monotonic() > end:
                break
            bar.set_postfix_str(task.problem)
            values = solve(task)
            _append(path, [*asdict(task).values(), *(values.get(c) for c in columns)])
            done.add(task)
    rows = read_rows(path)
    place = {task: i for i, task in enumerate(tasks)}
    order = pd.Series([place.get(task, -1) for task in _tasks(rows)], dtype=int)
    return rows.loc[order[order >= 0].sort_values(kind="stable").index].reset_index(drop=True)


def read_rows(path: Path) -> pd.DataFrame:
    """All rows of a file that `run` wrote."""
    # As text first: a noise level or a budget must come back to the last bit to be found again.
    rows = pd.read_csv(path, dtype=dict.fromkeys(_KEY, str))
    numbers = {name: rows[name].map(float) for name in ("noise", "budget") if name in rows}
    return rows.assign(**numbers)


def _tasks(rows: pd.DataFrame) -> list[Task]:
    columns = (rows[name].tolist() for name in _KEY)
    return [
        Task(suite, problem, int(seed), float(noise), method, float(budget))
        for suite, problem, seed, noise, method, budget in zip(*columns, strict=True)
    ]


def _repaired(path: Path, header: Sequence[str]) -> pd.DataFrame:
    """The rows present; the file is begun where there is none and freed of a last line without an end."""
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_line(header), encoding="utf-8")
    elif len(whole) < len(content):
        os.truncate(path, len(whole))
    rows = read_rows(path)
    if list(rows.columns) != list(header):
        raise LoadError(
            f"{path} has the columns {', '.join(map(str, rows.columns))}; this run writes {', '.join(header)}. "
            "Choose another file with --out"
        )
    return rows


def _append(path: Path, values: Sequence[object]) -> None:
    """One line in one write, on the disk before the next task begins."""
    with path.open("ab", buffering=0) as file:
        file.write(_line(values).encode())
        os.fsync(file.fileno())


def _line(values: Sequence[object]) -> str:
    text = io.StringIO()
    # Text in a cell may hold a line break; a row must stay one line, so that a cut one can be seen.
    flat = [" ".join(v.split()) if isinstance(v, str) else v for v in values]
    csv.writer(text, lineterminator="\n").writerow(flat)
    return text.getvalue()
