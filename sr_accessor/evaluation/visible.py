"""evaluation visible: `sr.fit` with its defaults on the visible pack, scored by SRBench's rules."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pandas as pd

import sr_accessor as sr
from sr_accessor.errors import SymRegError
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.options import pack_options
from sr_accessor.evaluation.problems import SEEDS, Problem, Record, load, select, stratified
from sr_accessor.evaluation.runner import Task, run
from sr_accessor.evaluation.scoring import COLUMNS, Answer, Method, report, score

__all__ = ["evaluate_methods", "fit_table", "visible"]


def fit_table(problem: Problem, seconds: float, **options: Any) -> Answer:
    """The public `sr.fit` on the training frame, everything at its default but time, seed, the bar and `options`."""
    record = problem.record
    began = time.perf_counter()
    result = sr.fit(
        problem.train,
        record.target,
        record.features,
        timeout=seconds,
        random_state=problem.seed,
        progress=False,
        **options,
    )
    took = time.perf_counter() - began
    return Answer(
        predict=lambda inputs: result.predict(inputs).to_numpy(),
        expression=result.best.to_sympy(),
        status=result.status,
        seconds=took,
        complexity=result.best.complexity,
    )


def evaluate_methods(
    methods: Mapping[str, Method],
    records: Sequence[Record],
    path: Path,
    *,
    budget: float,
    noises: Sequence[float] = (0.0,),
    seed: int = SEEDS[0],
    minutes: float | None = None,
    points: str = "srbench",
    units: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Every method on every record at every noise level; the rows of `runner.run` with `scoring.COLUMNS`.

    `points` and `units` are those of `problems.load`.

    Methods and noise levels alternate problem by problem, so that a run cut short has compared them on the same.
    """
    by_name = {r.name: r for r in records}

    def solve(task: Task) -> dict[str, object]:
        problem = load(by_name[task.problem], task.seed, task.noise, points=points, units=units)
        try:
            answer = methods[task.method](problem, task.budget)
        except SymRegError as error:  # the method refused this table: a result, not an accident
            known = problem.record.formula is not None
            missed = {"exact": False, "equivalent": False} if known else {}
            return {"status": f"{type(error).__name__}: {error}", "r2": float("-inf"), "solved": False, **missed}
        return score(problem, answer)

    tasks = [
        Task(record.suite, record.name, seed, noise, name, budget)
        for record in records
        for noise in noises
        for name in methods
    ]
    return run(tasks, solve, COLUMNS, path, minutes=minutes, progress=progress)


@click.command()
@pack_options
@click.option("--points", type=click.Choice(["srbench", "source"]), default="srbench", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="visible.csv", show_default=True)
def visible(suites, names, seconds, minutes, noises, subset, seed, points, out) -> None:
    """Fit the problems of the visible pack and print exact laws, R², size and seconds by suite."""
    records = stratified(select(suites, names), seed)[:subset]
    rows = evaluate_methods(
        {"sr_accessor" if points == "srbench" else "sr_accessor, source points": fit_table},
        records,
        out,
        budget=seconds,
        noises=noises,
        seed=seed,
        minutes=minutes,
        points=points,
    )
    click.echo(report(rows, records))
    click.echo(provenance(budget=f"{seconds:g} s", seed=seed, rows=out))
