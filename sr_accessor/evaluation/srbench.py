"""evaluation srbench: SRBench's protocol on the visible pack: rows split 75/25, several seeds, noise on the target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import pandas as pd

from sr_accessor.display import figure
from sr_accessor.evaluation.intervals import wilson
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.metrics import SOLVED_R2
from sr_accessor.evaluation.options import numbers, words
from sr_accessor.evaluation.problems import SEEDS, select, stratified
from sr_accessor.evaluation.scoring import report
from sr_accessor.evaluation.visible import evaluate_methods, fit_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CLOSE_R2", "draw", "shares", "srbench"]

#: "Solved" in the E2E and TPSR papers; SRBench's own is `SOLVED_R2`.
CLOSE_R2 = 0.99


def shares(rows: pd.DataFrame, planned: int) -> pd.DataFrame:
    """By noise: exact laws, and test R² above both limits, as hits of trials; a refused or failed fit is a miss.

    Parameters
    ----------
    planned : trials at each noise of a complete run
    """
    lines = []
    for noise, group in rows.groupby("noise"):
        known = group[group["exact"].notna()]
        counted = {
            "exact": known["exact"].astype(str) == "True",
            f"R2>{CLOSE_R2}": group["r2"].astype(float) > CLOSE_R2,
            f"R2>{SOLVED_R2}": group["r2"].astype(float) > SOLVED_R2,
        }
        for what, hits in counted.items():
            low, high = wilson(int(hits.sum()), len(hits))
            lines.append(
                {"noise": noise, "score": what, "hits": int(hits.sum()), "of": len(hits), "planned": planned,
                 "share": hits.mean(), "low": low, "high": high}
            )  # fmt: skip
    return pd.DataFrame(lines)


def draw(table: pd.DataFrame) -> Figure:
    """Bars of the three scores by noise, with 95 % intervals.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    page = figure.page(6.5, 4)
    ax = page.add_subplot()
    noises, scores = sorted(set(table["noise"])), list(dict.fromkeys(table["score"]))
    for i, score in enumerate(scores):
        part = table[table["score"] == score].set_index("noise").loc[noises]
        at, middle = np.arange(len(noises)) + 0.26 * (i - 1), 100 * part["share"]
        around = [(middle - 100 * part["low"]).clip(lower=0), (100 * part["high"] - middle).clip(lower=0)]
        ax.bar(at, middle, width=0.24, color=f"C{i}", label=score)
        ax.errorbar(at, middle, around, fmt="none", color="#404040", capsize=3, lw=1)
    ax.set(xticks=range(len(noises)), xticklabels=[f"{n:g}" for n in noises], xlabel="noise of the training target",
           ylabel="% of trials", ylim=(0, 105))  # fmt: skip
    ax.legend(frameon=False, ncols=len(scores), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return page


@click.command()
@click.option("--suite", "suites", callback=words, help="Suites, e.g. feynman,blackbox; default all.")
@click.option("--subset", type=click.IntRange(min=0), default=20, show_default=True, help="Problems; 0: all.")
@click.option("--seeds", type=click.IntRange(1, len(SEEDS)), default=3, show_default=True, help="Trials, as SRBench's.")
@click.option("--noise", "noises", default="0,0.001,0.01,0.1", show_default=True, callback=numbers)
@click.option("--seconds", default=10.0, show_default=True, help="Budget of each fit.")
@click.option("--minutes", type=float, help="Begin no fit after this time; a later run goes on.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="srbench.csv", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), default="srbench.png", show_default=True)
def srbench(suites, subset, seeds, noises, seconds, minutes, out, plot) -> None:
    """Fit a seeded subset of the visible pack under SRBench's seeds and noises; print exact laws, R², size, seconds."""
    records = stratified(select(suites), SEEDS[0])[: subset or None]
    share = None if minutes is None else minutes / seeds
    rows = pd.concat(
        [
            evaluate_methods({"sr_accessor": fit_table}, records, out, budget=seconds, noises=noises, seed=seed,
                             minutes=share)
            for seed in SEEDS[:seeds]
        ],
        ignore_index=True,
    )  # fmt: skip
    click.echo(report(rows, records, seeds))
    table = shares(rows, seeds * len(records))
    draw(table).savefig(plot, dpi=150)
    close = table[table["score"] == f"R2>{CLOSE_R2}"]
    for line in close.itertuples():
        click.echo(f"noise {line.noise:g}: test R2 > {CLOSE_R2} in {line.hits}/{line.of} ({line.share:.0%})")
    click.echo(provenance(budget=f"{seconds:g} s", seeds=",".join(map(str, SEEDS[:seeds])), rows=out, plot=plot))
