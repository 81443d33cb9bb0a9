"""evaluation network: what a network reads from points, what it writes, and what that finds beside the prior alone.

`--gate OLD NEW` decides whether new weights replace old ones: they must recover more held-out functions and more of
the visible pack at equal seconds. `--fit N` compares the public fit with and without it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click
import pandas as pd
import torch

from sr_accessor.decoding.draft import draft
from sr_accessor.device import generator
from sr_accessor.evaluation.finders import (
    PRIOR,
    Finder,
    Found,
    beam_proposals,
    find_within,
    finder,
    method_of,
    network_proposals,
    prior_proposals,
)
from sr_accessor.evaluation.functions import RECOVERED, Function, functions_in_own_units, functions_of, recovered
from sr_accessor.evaluation.intervals import paired, share
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.metrics import SOLVED_R2
from sr_accessor.evaluation.problems import select, stratified
from sr_accessor.evaluation.scoring import Method
from sr_accessor.evaluation.side_by_side import fit_both, side_by_side
from sr_accessor.evaluation.visible import evaluate_methods
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.plugins.manager import vocabulary as registered
from sr_accessor.prior.examples import PRESETS
from sr_accessor.training.stream import Batch
from sr_accessor.training.validation import held_out_for, validate_here
from sr_accessor.transformer.checkpoint import load
from sr_accessor.transformer.model import Transformer
from sr_accessor.transformer.tokenizer import Tokenizer, layout

__all__ = ["constants_within", "network", "recovery", "recovery_table", "verdict"]

#: A constant counts as right within this part of itself; refinement mends the rest.
CONSTANT_TOLERANCE = 0.1
#: Seconds for one function: of a finder alone, and of a fit.
FINDER_SECONDS, FIT_SECONDS = 2.0, 10.0


@torch.no_grad()
def constants_within(model: Transformer, batches: Sequence[Batch], tolerance: float = CONSTANT_TOLERANCE) -> float:
    """Share of the numbers that the likeliest three tokens, each after the right ones before it, write within
    `tolerance` of the truth; NaN where none are written.
    """
    tokenizer, ids = Tokenizer(model.config, registered()), layout(model.config)
    # Where the tokens of a number lie: a word, or sign, mantissa and exponent.
    edges = [(ids.numbers.start, ids.numbers.stop)]
    if model.config.numbers == "triples":
        exponents = model.config.highest_exponent - model.config.lowest_exponent + 1
        edges += [(ids.mantissa, ids.exponent), (ids.exponent, ids.exponent + exponents)]
    right = total = 0
    for batch in batches:
        likeliest = model(batch.points, batch.tokens[:, :-1]).argmax(-1)
        truth = batch.tokens[:, 1:]
        row, at = ((truth >= ids.numbers.start) & (truth < ids.numbers.stop)).nonzero(as_tuple=True)
        bounds = torch.tensor(edges, device=at.device).T
        places = at[:, None] + torch.arange(len(edges), device=at.device)
        wrote, meant = likeliest[row[:, None], places], truth[row[:, None], places]
        is_number = ((wrote >= bounds[0]) & (wrote < bounds[1])).all(1)
        value, target = (tokenizer.decode_numbers(torch.where(is_number[:, None], t, meant)) for t in (wrote, meant))
        right += int((is_number & ((value - target).abs() <= tolerance * target.abs())).sum())
        total += len(row)
    return right / total if total else float("nan")


def greedy(model: Transformer, functions: Sequence[Function], known: Vocabulary) -> tuple[int, int]:
    """Of the functions, how many greedy sequences are complete expressions, and how many of those are finite at all
    fresh points."""
    complete = finite = 0
    random = generator(0)
    for f in functions:
        law = draft(model, f.x, f.y, vocabulary=known, generator=random, bags=1, temperature=0.0).expressions
        complete += len(law) == 1 and bool(law.well_formed.all())
        finite += len(law) == 1 and bool(evaluate(law, f.fresh_x)[1].all())
    return complete, finite


# ---------------------------------------------------------------------- the command
@click.command()
@click.option("--weights", default="default", show_default=True, help="A network's name or file.")
@click.option(
    "--prior", type=click.Choice(PRESETS), default="science", show_default=True, help="Of held-out functions."
)
@click.option("--functions", type=click.IntRange(min=1), default=50, show_default=True, help="To recover.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    help=f"For each of them.  [default: {FINDER_SECONDS:g}; with --fit {FIT_SECONDS:g}]",
)
@click.option("--validation", type=click.IntRange(min=20), default=1000, show_default=True, help="For nats per token.")
@click.option("--gate", nargs=2, metavar="OLD NEW", help=f"Compare two networks; OLD may be {PRIOR!r}, for no network.")
@click.option("--fit", type=click.IntRange(min=1), metavar="N", help="Fit N functions with and without the network.")
@click.option("--visible", type=click.IntRange(min=1), help="--gate: so many visible problems, not all.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the held-out functions.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the table here too.")
def network(weights, prior, functions, seconds, validation, gate, fit, visible, seed, report) -> None:
    """Print nats per token, constants, validity and recovery of a network; or what --gate or --fit asks."""
    if gate and fit:
        raise click.UsageError("--gate and --fit are different tables; ask for one at a time")
    seconds = seconds if seconds is not None else FIT_SECONDS if fit else FINDER_SECONDS
    passed = True
    if fit:
        text = describe_fits(weights, fit, seconds, seed)
    elif gate:
        text, passed = verdict(gate[0], gate[1], prior, functions, visible, seconds, seed)
    else:
        text = describe(weights, prior, functions, seconds, validation, seed)
    text += "\n" + provenance(seed=seed, budget=f"{seconds:g} s")
    if report is not None:
        report.write_text(text + "\n", encoding="utf-8")
    click.echo(text)
    if not passed:
        sys.exit(1)


def describe(weights: str, prior: str, count: int, seconds: float, validation: int, seed: int) -> str:
    """The table of one network."""
    model = load(weights).model
    known = registered().restricted(model.config.operators)
    batches = held_out_for(model, prior, validation)
    found = validate_here(model, batches)
    some = functions_of(prior, count, known, seed=seed, variables=model.config.variables)
    complete, finite = greedy(model, some, known)
    lines = {
        f"nats/token given own points ({found.functions} functions)": f"{found.own:.3f}",
        "nats/token given another function's points": f"{found.other:.3f}",
        "difference": f"{found.gap:.3f}",
        "tokens right": f"{found.accuracy:.1%}",
        f"constants within {CONSTANT_TOLERANCE:.0%}": f"{constants_within(model, batches):.1%}",
        "greedy: complete expressions": f"{complete}/{count}",
        "greedy: finite at all fresh points": f"{finite}/{count}",
    }
    width = max(map(len, lines))
    head = "\n".join(f"{what:<{width}}  {value}" for what, value in lines.items())
    drawn, written = prior_proposals(prior, known), network_proposals(model, known)
    finders = {
        "network": partial(find_within, written, refine=False),
        "network + refinement": partial(find_within, written),
        "network, beams + refinement": partial(find_within, beam_proposals(model, known)),
        "prior samples": partial(find_within, drawn, refine=False),
        "prior samples + refinement": partial(find_within, drawn),
    }
    rows = recovery(finders, some, seconds, seed)
    note = (
        f"recovery of {count} held-out functions of `{prior}`, without noise, at {seconds:g} s each;\n"
        f"exact: squared error at fresh points <= {RECOVERED:g} of Σy²"
    )
    return f"{head}\n\n{note}\n{recovery_table(rows).to_string(index=False)}"


def describe_fits(weights: str, count: int, seconds: float, seed: int) -> str:
    """The public fit with and without a network."""
    config = load(weights).model.config
    known = registered().restricted(config.operators)
    some = functions_in_own_units(count, known, seed=seed, variables=config.variables)
    note = f"{count} held-out functions of `science` in the user's units, without noise; sr.fit, {seconds:g} s each"
    return f"{note}\n{side_by_side(fit_both(some, weights, seconds, seed))}"


def recovery(finders: Mapping[str, Finder], some: Sequence[Function], seconds: float, seed: int) -> pd.DataFrame:
    """One row per function and finder; finders alternate, so that a machine that slows down slows all of them."""
    rows = []
    for place, function in enumerate(some):
        for name, find in finders.items():
            found: Found = find(function.x, function.y, seconds, generator(seed + place))
            exact, close = recovered(found.law, function)
            facts = dict(exact=exact, close=close, candidates=found.candidates, seconds=found.seconds)
            rows.append(dict(finder=name, function=place, **facts))
    return pd.DataFrame(rows)


def recovery_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares with Wilson's 95 % interval, and means."""
    lines = []
    for name, group in rows.groupby("finder", sort=False):
        lines.append(
            {
                "finder": name,
                "exact": share(group["exact"]),
                f"R2>{SOLVED_R2}": share(group["close"]),
                "candidates": f"{group['candidates'].mean():,.0f}",
                "mean s": f"{group['seconds'].mean():.2f}",
            }
        )
    return pd.DataFrame(lines)


def verdict(
    old: str, new: str, prior: str, count: int, visible: int | None, seconds: float, seed: int
) -> tuple[str, bool]:
    """The gate's table and whether NEW may replace OLD: more exact laws of both kinds."""
    known = registered()
    finders = {"old": finder(old, known, prior=prior), "new": finder(new, known, prior=prior)}
    rows = recovery(finders, functions_of(prior, count, known, seed=seed), seconds, seed)
    methods: dict[str, Method] = {name: method_of(find) for name, find in finders.items()}
    records = stratified([r for r in select() if r.formula is not None], seed)[:visible]
    with tempfile.TemporaryDirectory() as folder:
        seen = evaluate_methods(methods, records, Path(folder) / "rows.csv", budget=seconds)
    seen = seen.assign(finder=seen["method"], function=seen["problem"], exact=seen["exact"].astype(bool))
    compared = [_compared(f"held-out {prior}", rows), _compared("visible pack", seen)]
    passed = all(risen for _, risen in compared)
    lines = [
        f"old: {old}    new: {new}    each with refinement, {seconds:g} s per law, no search",
        recovery_table(rows).to_string(index=False),
        *(text for text, _ in compared),
        f"gate: {'PASSED' if passed else 'NOT PASSED'} (both must rise)",
    ]
    return "\n".join(lines), passed


def _compared(what: str, rows: pd.DataFrame) -> tuple[str, bool]:
    """Exact laws of "old" and "new" on the same functions, and whether they have become more."""
    exact = rows.pivot(index="function", columns="finder", values="exact").astype(bool)
    old, new = exact["old"], exact["new"]
    return f"{what}: exact {share(old)} -> {share(new)}; {paired(new, old)}", int(new.sum()) > int(old.sum())
