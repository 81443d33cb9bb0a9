"""evaluation units: do units help? Laws found with units="strict" beside those found without, in equal seconds."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.options import pack_options
from sr_accessor.evaluation.problems import select, stratified
from sr_accessor.evaluation.scoring import report
from sr_accessor.evaluation.visible import evaluate_methods, fit_table

__all__ = ["units"]


@click.command()
@pack_options
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="units.csv", show_default=True)
def units(suites, names, seconds, minutes, noises, subset, seed, out) -> None:
    """Fit the problems that have units with units="strict" and with "report".

    Goal, on the Feynman laws: strict finds no fewer exactly, and its median time is lower.
    """
    records = stratified([r for r in select(suites, names) if r.units], seed)[:subset]
    methods = {"report": fit_table, "strict": partial(fit_table, units="strict")}
    given = {"budget": seconds, "noises": noises, "seed": seed, "minutes": minutes, "units": True}
    rows = evaluate_methods(methods, records, out, **given)
    click.echo(report(rows, records))
    click.echo(provenance(budget=f"{seconds:g} s", seed=seed, rows=out))
