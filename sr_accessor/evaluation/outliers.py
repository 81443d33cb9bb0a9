"""evaluation outliers: laws found under Student-t noise among gross outliers, beside those found without them."""

from __future__ import annotations

import time
import warnings

import click
import numpy as np
import pandas as pd

from sr_accessor.errors import SymRegWarning
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.problems import Record, load, select
from sr_accessor.frontends.functions import fit

__all__ = ["measure_outliers", "outliers"]

#: Noise relative to the root mean square of the target; gross errors, in its standard deviations, of either sign.
NOISE, GROSS = 0.001, (5.0, 20.0)
#: A law is found if it predicts the clean test rows to this share of their variance.
FOUND = 1e-4


def measure_outliers(
    record: Record, share: float, *, seconds: float, rounds: int | None, seed: int
) -> dict[str, object]:
    """One problem without and with gross outliers: whether each law is found, and process seconds."""
    problem = load(record, seed, NOISE, max_train=300)
    random = np.random.default_rng(seed)
    spoilt, target = problem.train.copy(), record.target
    hit = random.choice(len(spoilt), round(share * len(spoilt)), replace=False)
    size = random.uniform(*GROSS, len(hit)) * random.choice([-1.0, 1.0], len(hit)) * spoilt[target].std()
    spoilt.loc[hit, target] += size
    row: dict[str, object] = {"problem": record.name}
    for name, train, noise in (("clean", problem.train, "gaussian"), ("outliers", spoilt, "student_t")):
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SymRegWarning)
            law = fit(train, target, noise=noise, timeout=seconds, max_rounds=rounds, random_state=seed).best
            values = law.predict(problem.test).to_numpy()
        y = problem.test[target].to_numpy()
        lost = float(np.mean((values - y) ** 2) / np.var(y))
        row |= {name: lost < FOUND, f"{name}, CPU s": time.process_time() - began, f"{name}, law": law.to_text(4)[:60]}
    return row


@click.command()
@click.option("--laws", default=11, show_default=True, help="Visible Feynman laws, evenly spaced.")
@click.option("--share", default=0.05, show_default=True, help="Share of rows that are far off.")
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--rounds", default=None, type=int, help="Rounds of each search at most.")
@click.option("--seed", default=0, show_default=True)
def outliers(laws: int, share: float, seconds: float, rounds: int | None, seed: int) -> None:
    """Laws found with gross outliers under Student-t noise: goal 9 of 10 of those found without."""
    records = select(["feynman"])
    chosen = [records[i] for i in np.linspace(0, len(records) - 1, laws).round().astype(int)]
    rows = []
    for record in chosen:
        rows.append(measure_outliers(record, share, seconds=seconds, rounds=rounds, seed=seed))
        click.echo(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1))
    both = sum(bool(row["clean"] and row["outliers"]) for row in rows)
    click.echo(
        f"found without outliers {sum(bool(row['clean']) for row in rows)}, with them too {both}, of {len(rows)}"
    )
    click.echo(provenance(seed=seed))
