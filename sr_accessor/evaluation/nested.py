"""evaluation nested: does the network help where functions stand within functions? `sr.fit` with it and without."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from sr_accessor.evaluation.in_domain import (
    SCORES,
    budget,
    fit_options,
    measure,
    paper_functions,
    product,
    product_name,
)
from sr_accessor.evaluation.intervals import paired, share
from sr_accessor.evaluation.machine import provenance
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.prior.inputs import POINTS
from sr_accessor.transformer.checkpoint import find, load

__all__ = ["nested", "nested_table"]


def nested_table(rows: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Lines are scores, columns two methods and whether they differ, on the functions that both have fitted.

    Accuracies are counted shares with Wilson's 95 % intervals; R² is a mean.
    """
    cells = pd.MultiIndex.from_product([SCORES, (first, second)])
    both = rows.pivot(index="problem", columns="method", values=list(SCORES)).reindex(columns=cells).dropna()
    lines = {}
    for score in SCORES:
        one, other = both[score, first], both[score, second]
        if score == "R2":
            lines[score] = {first: f"{one.astype(float).mean():.3f}", second: f"{other.astype(float).mean():.3f}"}
        else:
            one, other = (column.astype(str) == "True" for column in (one, other))
            lines[score] = {first: share(one), second: share(other), "the same functions": paired(one, other)}
    return pd.DataFrame.from_dict(lines, orient="index").fillna("")


@click.command()
@click.option("--functions", type=click.IntRange(min=1), default=100, show_default=True, help="Held out.")
@click.option("--unaries", type=click.IntRange(min=0), default=3, show_default=True, help="Of a function, at least.")
@click.option("--network", default="default", show_default=True, help="A network's name or file.")
@click.option("--points", type=click.IntRange(5, POINTS), default=POINTS, show_default=True, help="Given.")
@fit_options
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="nested.csv", show_default=True)
def nested(functions, unaries, network, points, seconds, rounds, minutes, seed, out) -> None:
    """Fit functions of the paper's prior with many unaries with a network and without; print who finds more."""
    known = vocabulary().restricted(load(find(network)).model.config.operators)
    some = paper_functions(functions, known, seed=seed, least_unaries=unaries)
    first, second = f"{product_name(rounds)}, network", f"{product_name(rounds)}, none"
    both = {first: product(rounds, network=network), second: product(rounds, network=None)}
    rows = measure(some, both, out, sizes=(points,), seconds=seconds, seed=seed, minutes=minutes)
    click.echo(nested_table(rows, first, second).rename_axis("score").reset_index().to_string(index=False))
    click.echo(
        f"functions of the prior 'paper' with {unaries} unaries or more, the first {points} of their {POINTS} points "
        "given, judged at fresh ones;\nR2: mean of max(0, R²); Acc t: error at most t·|y| at 95 % of the points "
        "(95 % Wilson intervals)"
    )
    drafts = rows.loc[rows["method"] == first, "drafts"]
    click.echo(f"the network had its turn in {(drafts > 0).sum()} of {len(drafts)} fits")
    click.echo(provenance(network=network, budget=budget(seconds, rounds), seed=seed, rows=out))
