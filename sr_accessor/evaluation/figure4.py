"""evaluation figure4: the paper's figure 4: accuracy by complexity, dimension, points, extrapolation and noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pandas as pd

from sr_accessor.display import figure
from sr_accessor.evaluation.in_domain import NOISES, SCALES, checks, measure, prepared, shared_options
from sr_accessor.evaluation.intervals import wilson
from sr_accessor.evaluation.machine import provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curves", "draw", "figure4"]

_ACCURACY = "Acc 0.1"


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per panel, mode and place on its axis: functions counted, share within 10 %, Wilson's 95 % interval.

    A unaries, B binaries, C variables and D points, all without noise; E scale of the test points and F noise, at the
    largest number of points.
    """
    rows = rows.assign(points=rows["suite"].str.split().str[0].astype(int))
    clean = rows[rows["noise"] == 0]
    most = rows[rows["points"] == rows["points"].max()]
    wide = clean[clean["points"] == clean["points"].max()].melt(
        id_vars="method", value_vars=[f"scale {s}" for s in SCALES], var_name="scale", value_name="hit"
    )
    wide = wide.assign(scale=wide["scale"].str.split().str[1].astype(int)).dropna(subset="hit")
    panels = [
        ("A", "unaries", clean), ("B", "binaries", clean), ("C", "variables", clean), ("D", "points", clean),
        ("E", "scale", wide), ("F", "noise", most),
    ]  # fmt: skip
    found = []
    for panel, axis, part in panels:
        hit = "hit" if panel == "E" else _ACCURACY
        for (method, at), group in part.groupby(["method", axis], sort=False):
            hits, of = int(group[hit].map(_true).sum()), len(group)
            low, high = wilson(hits, of)
            found.append(
                {"panel": panel, "axis": axis, "method": method, "at": at, "n": of, "share": hits / of,
                 "low": low, "high": high}
            )  # fmt: skip
    return pd.DataFrame(found).sort_values(["panel", "method", "at"], kind="stable").reset_index(drop=True)


def _true(cell: object) -> bool:
    """A cell of the results file, which is text where the column also has empty cells."""
    return str(cell) == "True"


_TITLES: dict[str, str] = {
    "A": "unary operators", "B": "binary operators", "C": "input dimension", "D": "given points",
    "E": "scale of the test points", "F": "multiplicative noise",
}  # fmt: skip
_SCALED: dict[str, Callable[[Any], Any]] = {
    "E": lambda ax: ax.set_xscale("log", base=2),
    "F": lambda ax: ax.set_xscale("symlog", linthresh=min(NOISES)),
}


def draw(table: pd.DataFrame) -> Figure:
    """Six panels, a line with its 95 % band for each mode.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    page = figure.page(11, 6.2)
    panels = dict(zip(_TITLES, page.subplots(2, 3, sharey=True).flat, strict=True))
    methods = list(dict.fromkeys(table["method"]))
    for panel, ax in panels.items():
        for i, method in enumerate(methods):
            line = table[(table["panel"] == panel) & (table["method"] == method)]
            at = line["at"].to_numpy(float)
            ax.plot(at, 100 * line["share"], "o-", color=f"C{i}", ms=3, label=method)
            ax.fill_between(at, 100 * line["low"], 100 * line["high"], color=f"C{i}", alpha=0.12, lw=0)
        _SCALED.get(panel, lambda ax: None)(ax)
        ax.set(title=f"{panel}", xlabel=_TITLES[panel], ylim=(-3, 103))
    for ax in (panels["A"], panels["D"]):
        ax.set_ylabel(f"{_ACCURACY}, % of functions")
    page.legend(*panels["A"].get_legend_handles_labels(), loc="outside lower center", ncols=len(methods), frameon=False)
    return page


@click.command()
@shared_options
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="in-domain.csv", show_default=True)
@click.option("--table", type=click.Path(dir_okay=False, path_type=Path), default="figure4.csv", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), default="figure4.png", show_default=True)
def figure4(
    functions, weights, skeleton, refinement, sizes, with_product, seconds, rounds, minutes, seed, out, table, plot
) -> None:  # fmt: skip
    """Draw accuracy over unaries, binaries, dimension, points, scale of the test points and noise, four modes each.

    The rows without noise are those of `in-domain`: with the same options and --out none is measured twice.
    """
    asked = prepared(functions, weights, skeleton, refinement, with_product, rounds, seed)
    rows = measure(
        asked.functions, asked.ways, out, sizes=sizes, noises=NOISES, seconds=seconds, seed=seed, minutes=minutes
    )
    lines = curves(rows)
    lines.to_csv(table, index=False)
    draw(lines).savefig(plot, dpi=150)
    wide = lines.assign(cell=[f"{s:.2f}" for s in lines["share"]])
    for panel, title in _TITLES.items():
        part = wide[wide["panel"] == panel].pivot(index="method", columns="at", values="cell").fillna("-")
        click.echo(f"{panel}  {_ACCURACY} by {title}\n{part.rename_axis(None).to_string()}")
    for line in (*checks(rows), asked.missing):
        if line:
            click.echo(line)
    counted = int(np.sum(lines["n"][lines["panel"] == "D"]))
    click.echo(provenance(functions=functions, refinement=refinement, seed=seed, laws=counted, rows=out, plot=plot))
