"""evaluation wide: laws of three columns among a hundred in a million rows; found or not, seconds and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from sr_accessor.errors import SymRegError, UnknownNameError, nearest
from sr_accessor.evaluation.intervals import share
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.options import words
from sr_accessor.evaluation.runner import Task, run
from sr_accessor.evaluation.scoring import COLUMNS
from sr_accessor.evaluation.wide_tables import LAWS

__all__ = ["measure", "wide"]

#: Of a row of the results, after its task and before `scoring.COLUMNS`.
OWN = ("columns", "kept", "rounds", "processor_seconds", "frame_gb", "peak_gb")
#: Goals of the design: seconds of a fit, gigabytes of the whole process.
SECONDS, GIGABYTES = 60.0, 4.0


def measure(
    laws: Sequence[str],
    rows: int,
    columns: int,
    path: Path,
    *,
    seconds: float,
    noise: float,
    seed: int,
    minutes: float | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Rows of `runner.run`, one for each law; each is fitted in a process of its own."""
    law_of = {Task("wide", f"{law}, {rows} × {columns}", seed, noise, "sr_accessor", seconds): law for law in laws}

    def solve(task: Task) -> dict[str, object]:
        arguments = (law_of[task], rows, columns, noise, seed, seconds)
        command = [sys.executable, "-m", "sr_accessor.evaluation.wide_tables", *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
        if ended.returncode:
            raise SymRegError(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr.strip()[-2000:]}")
        return json.loads(ended.stdout.splitlines()[-1])

    return run([*law_of], solve, (*OWN, *COLUMNS), path, minutes=minutes, progress=progress)


@click.command()
@click.option("--law", "laws", callback=words, help=f"Laws, of {', '.join(LAWS)}; default all.")
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(min=20))
@click.option("--columns", default=100, show_default=True, type=click.IntRange(min=3))
@click.option("--noise", default=0.01, show_default=True, help="Relative to the root mean square of the target.")
@click.option("--seconds", default=30.0, show_default=True, help="Timeout of each fit.")
@click.option("--minutes", type=float, help="Begin no law after this time; a later run goes on.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the tables and the fits.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="wide.csv", show_default=True)
def wide(laws, rows, columns, noise, seconds, minutes, seed, out) -> None:
    """Fit large tables in which few columns matter, and print each law, its seconds and its peak memory."""
    laws = list(LAWS) if laws is None else laws
    for law in laws:
        if law not in LAWS:
            raise UnknownNameError(f"no law {law!r}; {nearest(law, LAWS)}")
    found = measure(laws, rows, columns, out, seconds=seconds, noise=noise, seed=seed, minutes=minutes)
    shown = ["problem", "exact", "kept", "rounds", "seconds", "processor_seconds", "frame_gb", "peak_gb", "expression"]
    click.echo(found[shown].to_string(index=False, max_colwidth=60))
    exact = found["exact"].astype(bool)
    fast = (found["seconds"] < SECONDS) & (found["peak_gb"] < GIGABYTES)
    click.echo(f"exact {share(exact)}; exact in under {SECONDS:g} s and {GIGABYTES:g} GB {share(exact & fast)}")
    click.echo(provenance(rows=rows, columns=columns, noise=noise, timeout=f"{seconds:g} s", seed=seed, file=out))
