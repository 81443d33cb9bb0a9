"""evaluation noise: how often a law is claimed where there is none; frames whose target ignores the columns."""

from __future__ import annotations

import time
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
import pandas as pd

import sr_accessor as sr
from sr_accessor.errors import SymRegWarning
from sr_accessor.evaluation.intervals import share
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.options import words
from sr_accessor.evaluation.runner import Task, run

__all__ = ["INPUTS", "SCATTER", "noise", "noise_frame", "noise_table"]

#: How the target scatters, and how the columns lie: (generator, shape) -> values.
SCATTER = {
    "gaussian": lambda random, shape: random.normal(size=shape),
    "uniform": lambda random, shape: random.uniform(-1, 1, shape),
    "student": lambda random, shape: random.standard_t(3, shape),
}
INPUTS = {
    "uniform": lambda random, shape: random.uniform(0, 1, shape),
    "normal": lambda random, shape: random.normal(size=shape),
    "decades": lambda random, shape: 10.0 ** random.uniform(-3, 3, shape),
}
TARGET = "y"
#: Of a row of the results, after its task.
COLUMNS = ("status", "claimed", "saved_bits", "r2", "rounds", "seconds", "expression")
#: What the design allows of Gaussian noise: laws claimed under `mdl`.
GOAL = 0.02


def noise_frame(rows: int, columns: int, scatter: str, inputs: str, seed: int, number: int) -> pd.DataFrame:
    """Columns x0, x1, … and a target y drawn independently of them; the same for the same arguments in any run."""
    random = np.random.default_rng([seed, number, rows, columns, zlib.crc32(f"{scatter} {inputs}".encode())])
    x = INPUTS[inputs](random, (rows, columns))
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(columns)])
    return frame.assign(**{TARGET: SCATTER[scatter](random, rows)})


def judge_frame(frame: pd.DataFrame, seconds: float, seed: int) -> dict[str, object]:
    """The public fit of one frame: `COLUMNS`; a law is claimed if the chosen one depends on any column."""
    began = time.perf_counter()
    with warnings.catch_warnings():  # "no_model" and "few rows" are what is expected here
        warnings.simplefilter("ignore", SymRegWarning)
        result = sr.fit(frame, TARGET, select="mdl", timeout=seconds, random_state=seed, progress=False)
    front = result.front
    chosen = front[front["selected"]].iloc[0]
    return {
        "status": result.status,
        "claimed": bool(result.best.names),
        "saved_bits": round(float(front["mdl"].iloc[0] - chosen["mdl"]), 3),
        "r2": float(chosen["r2"]),
        "rounds": result.provenance["rounds"],
        "seconds": round(time.perf_counter() - began, 3),
        "expression": result.best.to_text(precision=4),
    }


def noise_table(rows: pd.DataFrame, planned: Mapping[str, int]) -> pd.DataFrame:
    """Share of claimed laws by number of rows, with Wilson's 95 % interval; `planned` frames of each suite."""
    lines = {}
    for suite, count in planned.items():
        seen = rows[rows["suite"] == suite]
        lines[suite] = {
            "done": f"{len(seen)}/{count}",
            "laws claimed": share(seen["claimed"].astype(bool)),
            "median rounds": f"{seen['rounds'].median():.0f}" if len(seen) else "-",
            "median s": f"{seen['seconds'].median():.1f}" if len(seen) else "-",
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("frames")


def whole_numbers(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    """ "20,100" as whole numbers of at least 3."""
    found = words(context, parameter, value)
    if not found or not all(w.isdecimal() and int(w) >= 3 for w in found):
        raise click.BadParameter(f"{value!r} is not a list of whole numbers from 3 such as 20,100,1000")
    return [int(w) for w in found]


def measure(
    sizes: Sequence[int],
    columns: int,
    frames: int,
    scatter: str,
    inputs: str,
    path: Path,
    *,
    seconds: float,
    seed: int,
    minutes: float | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Rows of `runner.run` with `COLUMNS`; the sizes alternate frame by frame, so that a run cut short has them all."""

    frame_of = {
        Task(f"{rows} rows", f"{columns} {inputs} columns, {scatter} {n}", seed, 1.0, "sr_accessor", seconds): (rows, n)
        for n in range(frames)
        for rows in sizes
    }

    def solve(task: Task) -> dict[str, object]:
        rows, number = frame_of[task]
        return judge_frame(noise_frame(rows, columns, scatter, inputs, seed, number), task.budget, seed)

    return run([*frame_of], solve, COLUMNS, path, minutes=minutes, progress=progress)


@click.command()
@click.option("--rows", "sizes", default="20,100,1000", show_default=True, callback=whole_numbers, help="Frame sizes.")
@click.option("--columns", default=3, show_default=True, type=click.IntRange(min=1), help="Beside the target.")
@click.option("--frames", default=100, show_default=True, type=click.IntRange(min=1), help="Of each size.")
@click.option("--scatter", type=click.Choice(list(SCATTER)), default="gaussian", show_default=True, help="Of y.")
@click.option("--inputs", type=click.Choice(list(INPUTS)), default="uniform", show_default=True, help="The columns.")
@click.option("--seconds", default=10.0, show_default=True, help="Budget of each frame.")
@click.option("--minutes", type=float, help="Begin no frame after this time; a later run goes on.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the frames and the fits.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="noise.csv", show_default=True)
def noise(sizes, columns, frames, scatter, inputs, seconds, minutes, seed, out) -> None:
    """Fit frames of pure noise and print how often the rule `mdl` claims that the target depends on a column."""
    rows = measure(sizes, columns, frames, scatter, inputs, out, seconds=seconds, seed=seed, minutes=minutes)
    table = noise_table(rows, {f"{n} rows": frames for n in dict.fromkeys(sizes)})
    click.echo(table.reset_index().to_string(index=False))
    click.echo(f"goal: at most {GOAL:.0%} of frames of Gaussian noise claim a law; (95 % Wilson intervals)")
    click.echo(provenance(scatter=scatter, inputs=inputs, budget=f"{seconds:g} s", seed=seed, rows=out))
