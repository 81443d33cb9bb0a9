"""evaluation scaling: laws recovered over seconds, for the network, its control, the library and all together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pandas as pd

from sr_accessor.display import figure
from sr_accessor.errors import InputError
from sr_accessor.evaluation.control import DRAWN, WRITTEN, methods_of, only
from sr_accessor.evaluation.intervals import share, wilson
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.options import numbers, words
from sr_accessor.evaluation.problems import SEEDS, select, stratified
from sr_accessor.evaluation.visible import evaluate_methods

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DEFAULT", "draw", "scaling", "scaling_table"]

#: The columns of `control` that are drawn: each with refinement.
DEFAULT = f"{WRITTEN},{DRAWN},library,everything"


def scaling_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Exact laws, lines are methods and columns seconds, with Wilson's 95 % intervals."""
    known = rows[rows["exact"].notna()]
    cells = {
        (method, f"{budget:g} s"): share((group["exact"].astype(str) == "True").tolist())
        for (method, budget), group in known.groupby(["method", "budget"], sort=False)
    }
    table = pd.Series(cells).unstack().fillna("-")
    order = sorted(table.columns, key=lambda name: float(name.split()[0]))
    return table.loc[list(dict.fromkeys(known["method"])), order]


def draw(rows: pd.DataFrame) -> Figure:
    """Share of exact laws over seconds, a line with its 95 % band for each method.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    page = figure.page(6, 4)
    ax = page.add_subplot()
    known = rows[rows["exact"].notna()]
    for i, (method, group) in enumerate(known.groupby("method", sort=False)):
        line = (group["exact"].astype(str) == "True").groupby(group["budget"]).agg(["sum", "size"]).sort_index()
        band = [wilson(int(hits), int(of)) for hits, of in line.itertuples(index=False)]
        ax.plot(line.index, 100 * line["sum"] / line["size"], "o-", color=f"C{i}", label=method)
        ax.fill_between(line.index, *(100 * pd.DataFrame(band).T.to_numpy()), color=f"C{i}", alpha=0.12, lw=0)
    ax.set(xscale="log", xlabel="seconds for each law", ylabel="exact laws, %", ylim=(-3, 103))
    ax.legend(frameon=False, fontsize="small")
    return page


@click.command()
@click.option("--network", default="default", show_default=True, help="A network's name or file.")
@click.option("--method", "methods", default=DEFAULT, show_default=True, callback=words)
@click.option("--suite", "suites", callback=words, help="Suites, e.g. nguyen,jin; default all with a known law.")
@click.option("--subset", type=click.IntRange(min=1), default=20, show_default=True, help="Problems.")
@click.option("--seconds", "budgets", default="0.5,1,2,5,10", show_default=True, callback=numbers)
@click.option("--minutes", type=float, help="Begin nothing after this time; a later run goes on.")
@click.option("--seed", default=SEEDS[0], show_default=True, help="Of the rows, the subset and the fits.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="scaling.csv", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), default="scaling.png", show_default=True)
def scaling(network, methods, suites, subset, budgets, minutes, seed, out, plot) -> None:
    """Fit the same problems in more and more seconds; print and draw how many laws each part recovers."""
    known = only(methods_of(network), methods)
    if not budgets:
        raise InputError("--seconds is empty; give e.g. 1,5")
    records = stratified([r for r in select(suites) if r.formula is not None], seed)[:subset]
    rows = pd.concat(
        [
            evaluate_methods(known, records, out, budget=budget, seed=seed,
                             minutes=None if minutes is None else minutes / len(budgets))
            for budget in sorted(budgets)
        ],
        ignore_index=True,
    )  # fmt: skip
    click.echo(scaling_table(rows).rename_axis("exact").reset_index().to_string(index=False))
    draw(rows).savefig(plot, dpi=150)
    click.echo(
        "exact: SRBench's symbolic solution (95 % Wilson intervals); seconds of the processor for network and prior"
    )
    click.echo(provenance(network=network, seed=seed, rows=out, plot=plot))
