"""evaluation outliers: laws found under Student-t noise among gross outliers, beside those found without them."""

from __future__ import annotations

import time
import warnings

import click
import numpy as np
import pandas as pd

from sr_accessor.errors import SymRegWarning
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.problems import Problem, load, select, stratified
from sr_accessor.frontends.functions import fit

__all__ = ["NOISE", "fitted", "outliers", "with_outliers"]

#: Training rows of a problem at most.
ROWS = 300
#: Noise relative to the root mean square of the target; gross errors, in its standard deviations, of either sign.
NOISE, GROSS = 0.001, (5.0, 20.0)
#: A law is found if it misses the clean values of the test rows by less than this share of the noise, in the root mean
#: square: one form with free constants is off by a tenth of it, another form by more than the noise would hide.
FOUND = 1 / 3


def fitted(
    problem: Problem, train: pd.DataFrame, noise: str, *, seconds: float, rounds: int | None
) -> dict[str, object]:
    """A fit of these rows of a problem: whether its law is found, process seconds, and the law."""
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SymRegWarning)
        law = fit(
            train, problem.record.target, noise=noise, timeout=seconds, max_rounds=rounds, random_state=problem.seed
        ).best
        values = law.predict(problem.test).to_numpy()
    y = problem.test[problem.record.target].to_numpy()
    found = bool(np.mean((values - y) ** 2) < (FOUND * NOISE) ** 2 * np.mean(y**2))
    return {"found": found, "CPU s": round(time.process_time() - began, 1), "law": law.to_text(4)}


def with_outliers(problem: Problem, share: float) -> pd.DataFrame:
    """The training rows with gross errors in a share of them, drawn by the problem's seed."""
    random = np.random.default_rng(problem.seed)
    train, target = problem.train.copy(), problem.record.target
    hit = random.choice(len(train), round(share * len(train)), replace=False)
    size = random.uniform(*GROSS, len(hit)) * random.choice([-1.0, 1.0], len(hit)) * train[target].std()
    train.loc[hit, target] += size
    return train


@click.command()
@click.option("--laws", default=10, show_default=True, help="Visible Feynman laws to compare: those found without.")
@click.option("--share", default=0.05, show_default=True, help="Share of rows that are far off.")
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--rounds", default=None, type=int, help="Rounds of each search at most.")
@click.option("--seed", default=0, show_default=True, help="Of the order of the laws, of the rows and of the fits.")
def outliers(laws: int, share: float, seconds: float, rounds: int | None, seed: int) -> None:
    """Laws found with gross outliers under Student-t noise: goal 9 of 10 of those found without.

    The visible Feynman laws in an order drawn by the seed; each that a fit of clean rows finds is compared, until
    there are enough.
    """
    compared = both = tried = 0
    for record in stratified(select(["feynman"]), seed):
        if compared == laws:
            break
        problem = load(record, seed, NOISE, max_train=ROWS)
        tried += 1
        clean = fitted(problem, problem.train, "gaussian", seconds=seconds, rounds=rounds)
        rows = {"clean": clean}
        if clean["found"]:
            rows["outliers"] = fitted(
                problem, with_outliers(problem, share), "student_t", seconds=seconds, rounds=rounds
            )
            compared, both = compared + 1, both + rows["outliers"]["found"]
        for name, row in rows.items():
            click.echo(
                f"{record.name:22} {name:9}{'found' if row['found'] else 'missed':7}{row['CPU s']:7.1f} s  {row['law']}"
            )
    click.echo(
        f"found with outliers too: {both} of {compared} laws that are found without; "
        f"without outliers {compared} of {tried}"
    )
    click.echo(provenance(seed=seed))
