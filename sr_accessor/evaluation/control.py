"""evaluation control: does the network earn its place? Five columns, from the network alone to everything together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import click
import pandas as pd

import sr_accessor as sr
from sr_accessor.errors import ModelNotFoundError, UnknownNameError, nearest
from sr_accessor.evaluation.finders import ROWS, find_within, method_of, network_proposals, prior_proposals
from sr_accessor.evaluation.intervals import paired, share
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.metrics import SOLVED_R2
from sr_accessor.evaluation.options import numbers, words
from sr_accessor.evaluation.problems import SEEDS, Problem, select, stratified
from sr_accessor.evaluation.scoring import Answer, Method
from sr_accessor.evaluation.visible import evaluate_methods
from sr_accessor.plugins.manager import vocabulary as registered
from sr_accessor.transformer.checkpoint import find, load

__all__ = ["COLUMNS", "DRAWN", "WRITTEN", "control", "control_table", "methods_of", "only", "twice"]

#: Laws that the network writes, and laws drawn from the prior it has learnt, both refined: what it has to beat.
WRITTEN, DRAWN = "network + refinement", "prior + refinement"
#: The columns in the order of the table, and whether they need a network.
COLUMNS: Mapping[str, bool] = {
    "network": True,
    WRITTEN: True,
    DRAWN: False,
    "library": False,
    "everything": True,
}
#: The prior whose samples are the control: that which the networks are trained on.
PRIOR = "science"


def methods_of(network: str | Path | None) -> dict[str, Method]:
    """The columns as methods; without a network those that need none.

    Raises
    ------
    ModelNotFoundError : no such network.
    """
    known = registered()
    drawn = partial(find_within, prior_proposals(PRIOR, known))
    methods = {DRAWN: method_of(drawn), "library": partial(_fitted, network=None)}
    if network is not None:
        written = network_proposals(load(find(network)).model, known)
        methods["network"] = method_of(partial(find_within, written, refine=False))
        methods[WRITTEN] = method_of(partial(find_within, written))
        methods["everything"] = partial(_fitted, network=network)
    return {name: methods[name] for name in COLUMNS if name in methods}


def only(methods: Mapping[str, Method], names: Collection[str] | None) -> dict[str, Method]:
    """Those of these names; None is all.

    Raises
    ------
    UnknownNameError : no column has the name.
    """
    for name in names or ():
        if name not in COLUMNS:
            raise UnknownNameError(f"no method {name!r}; {nearest(name, COLUMNS)}")
    return {name: method for name, method in methods.items() if names is None or name in names}


def _fitted(problem: Problem, seconds: float, network: str | Path | None) -> Answer:
    """The public fit, with the network as one source of candidates or without one."""
    record = problem.record
    began = time.perf_counter()
    result = sr.fit(
        problem.train, record.target, record.features, network=network, timeout=seconds, random_state=problem.seed,
        progress=False,
    )  # fmt: skip
    took = time.perf_counter() - began
    predict = lambda inputs: result.predict(inputs).to_numpy()  # noqa: E731
    return Answer(predict, result.best.to_sympy(), result.status, took, result.best.complexity)


def control_table(rows: pd.DataFrame, planned: Mapping[str, int], inner: Collection[str] = ()) -> pd.DataFrame:
    """Exact laws by suite (lines) and column, with Wilson's 95 % intervals; then all suites: exact, R², seconds.

    Parameters
    ----------
    planned : suite -> problems that are asked for
    inner : names of the problems whose laws have an inner constant, which get a line of their own
    """
    methods = [name for name in COLUMNS if name in set(rows["method"])]
    lines = {}
    for suite in planned:
        lines[f"{suite} ({planned[suite]})"] = {
            name: share(_known(rows[(rows["method"] == name) & (rows["suite"] == suite)])) for name in methods
        }
    own = {name: rows[rows["method"] == name] for name in methods}
    lines[f"all ({sum(planned.values())})"] = {name: share(_known(own[name])) for name in methods}
    if inner:
        lines[f"inner constant ({len(inner)})"] = {
            name: share(_known(own[name][own[name]["problem"].isin(inner)])) for name in methods
        }
    lines[f"R2>{SOLVED_R2}"] = {name: share(own[name]["solved"].dropna().astype(bool)) for name in methods}
    exact = {name: own[name].loc[own[name]["exact"].fillna(False).astype(bool), "seconds"] for name in methods}
    lines["median s, exact"] = {name: f"{s.median():.2f}" if len(s) else "-" for name, s in exact.items()}
    return pd.DataFrame.from_dict(lines, orient="index", columns=methods)


def twice(rows: pd.DataFrame) -> str:
    """Whether `WRITTEN` finds at least twice the laws that `DRAWN` does, of the problems that both have tried."""
    both = rows.pivot(index="problem", columns="method", values="exact")[[WRITTEN, DRAWN]].dropna().astype(bool)
    one, other = both[WRITTEN], both[DRAWN]
    return (
        f"{'yes' if one.sum() >= max(1, 2 * other.sum()) else 'no '}  {WRITTEN} finds at least twice as many laws with "
        f"an inner constant as {DRAWN}: {one.sum()} and {other.sum()} of {len(both)}, {paired(one, other)}"
    )


def _known(rows: pd.DataFrame) -> pd.Series:
    """Whether exact, for the problems whose law is known."""
    return rows["exact"].dropna().astype(bool)


@click.command()
@click.option("--network", default="default", show_default=True, help="A network's name or file.")
@click.option("--method", "wanted", callback=words, help="Columns, e.g. library,everything; default all.")
@click.option("--inner", is_flag=True, help="Only laws with a number that no linear fit would find.")
@click.option("--suite", "suites", callback=words, help="Suites, e.g. nguyen,jin; default all with a known law.")
@click.option("--seconds", default=10.0, show_default=True, help="Budget of each problem and column.")
@click.option("--minutes", type=float, help="Begin no problem after this time; a later run goes on.")
@click.option("--noise", "noises", default="0", show_default=True, callback=numbers, help="One noise level.")
@click.option(
    "--subset", type=click.IntRange(min=1), default=60, show_default=True, help="In proportion to the suites."
)
@click.option("--seed", default=SEEDS[0], show_default=True, help="Of the rows, the subset and the fits.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="control.csv", show_default=True)
def control(network, wanted, inner, suites, seconds, minutes, noises, subset, seed, out) -> None:
    """Fit the same problems by each part of the search alone and by all together; print exact laws, R² and seconds."""
    if len(noises) > 1:
        raise click.UsageError("one noise level at a time: the table has a column for each part of the search")
    try:
        methods, missing = methods_of(network), None
    except ModelNotFoundError as error:
        methods, missing = methods_of(None), error
    methods = only(methods, wanted)
    known = [r for r in select(suites) if r.formula is not None and (r.has_inner_constant or not inner)]
    records = stratified(known, seed)[:subset]
    rows = evaluate_methods(methods, records, out, budget=seconds, noises=noises, seed=seed, minutes=minutes)
    planned = dict(sorted(Counter(r.suite for r in records).items()))
    names = [r.name for r in records if r.has_inner_constant]
    click.echo(control_table(rows, planned, names).rename_axis("exact").reset_index().to_string(index=False))
    if {WRITTEN, DRAWN} <= set(rows["method"]):
        click.echo(twice(rows[rows["problem"].isin(names)]))
    if missing is not None:
        without = ", ".join(name for name, needs in COLUMNS.items() if needs)
        click.echo(f"not measured: {without}: {missing}")
    click.echo(
        f"exact: SRBench's symbolic solution (95 % Wilson intervals); columns without library see {ROWS} rows; "
        f"prior: {PRIOR!r}; inner constant: a number that no linear fit would find"
    )
    click.echo(provenance(network=network if missing is None else None, noise=noises[0], budget=f"{seconds:g} s",
                          seed=seed, rows=out))  # fmt: skip
