"""evaluation new-operators: what further training on new operators has taught a network, and what it has cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd
import torch

from sr_accessor.decoding.draft import draft
from sr_accessor.device import generator
from sr_accessor.errors import InputError
from sr_accessor.evaluation.functions import Function, functions_of
from sr_accessor.evaluation.machine import provenance
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.prior.examples import PRESETS
from sr_accessor.training.validation import held_out_for, validate_here
from sr_accessor.transformer.checkpoint import load
from sr_accessor.transformer.model import Transformer

__all__ = ["LARGEST_RISE", "new_operators", "old_loss", "written"]

#: What the design allows: the loss on laws of the old operators may rise by this part of itself.
LARGEST_RISE = 0.05


def old_loss(before: Transformer, after: Transformer, prior: str, count: int) -> tuple[float, float]:
    """Nats per token of both networks on the same `count` held-out functions of the older one's operators.

    Ids of tokens only grow, so the tokens of the older network are those of the newer.
    """
    batches = held_out_for(before, prior, count)
    return validate_here(before, batches).own, validate_here(after, batches).own


def written(
    model: Transformer, some: Sequence[Function], names: Sequence[str], known: Vocabulary, samples: int
) -> pd.DataFrame:
    """For every function: whether its law has each operator, and the share of the samples written for it that do."""
    rows = []
    for place, f in enumerate(some):
        drafts = draft(model, f.x, f.y, vocabulary=known, generator=generator(place), samples=samples, bags=1)
        for name in names:
            has = _has(drafts.expressions, known.id(name))
            share = float(drafts.counts[has].sum() / max(1, drafts.samples))
            rows.append({"operator": name, "true": bool(_has(f.law, known.id(name))[0]), "share": share})
    return pd.DataFrame(rows)


def _has(laws: Expressions, code: int) -> torch.Tensor:
    return (laws.codes == code).any(1)


@click.command("new-operators")
@click.argument("network")
@click.option("--before", default="default", show_default=True, help="The network it began with.")
@click.option("--prior", type=click.Choice(PRESETS), default="science", show_default=True)
@click.option("--validation", type=click.IntRange(min=20), default=1000, show_default=True, help="For nats per token.")
@click.option("--functions", type=click.IntRange(min=1), default=20, show_default=True, help="With each new operator.")
@click.option("--samples", type=click.IntRange(min=1), default=100, show_default=True, help="Drafts of each function.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the held-out functions.")
def new_operators(network: str, before: str, prior, validation, functions, samples, seed) -> None:
    """Print how often NETWORK, a name or file, writes the operators it has learnt since --before, and what it forgot.

    Functions with each new operator, and as many without, are held out.
    """
    newer, older = load(network).model, load(before).model
    shared = len(older.config.operators)
    if newer.config.operators[:shared] != older.config.operators or len(newer.config.operators) == shared:
        raise InputError(
            f"{Path(network)} does not write the operators of {before!r} and some more; train it --from that"
        )
    names = newer.config.operators[shared:]
    known = vocabulary().restricted(newer.config.operators)
    chosen = _functions(prior, names, known, functions, seed)
    rows = written(newer, chosen, names, known, samples)
    table = rows.groupby(["operator", "true"], sort=False)["share"].agg(["size", "mean"]).unstack("true")
    click.echo(f"share of drafts that write an operator, {samples} drafts of each held-out function of {prior!r}:")
    for name in names:
        counts, shares = table.loc[name, "size"], table.loc[name, "mean"]
        click.echo(
            f"  {name:<12} {shares[True]:6.1%} where the law has it ({counts[True]:.0f} functions), "
            f"{shares[False]:6.1%} where not ({counts[False]:.0f})"
        )
    first, last = old_loss(older, newer, prior, validation)
    rise = last / first - 1
    click.echo(f"nats/token on {validation} held-out functions of the old operators: {first:.3f} -> {last:.3f}")
    verdict = "yes" if rise <= LARGEST_RISE else "no"
    click.echo(f"rise {rise:+.1%}, at most {LARGEST_RISE:.0%}: {verdict}")
    click.echo(provenance(network=network, before=before, seed=seed))


def _functions(prior: str, names: Sequence[str], known: Vocabulary, count: int, seed: int) -> list[Function]:
    """`count` functions with each of the operators, and as many with none."""
    wanted = {**dict.fromkeys(names, count), None: count}
    found: list[Function] = []
    while any(wanted.values()):
        for f in functions_of(prior, 50, known, seed=seed):
            of_this = next((n for n in names if bool(_has(f.law, known.id(n))[0])), None)
            if wanted[of_this]:
                wanted[of_this] -= 1
                found.append(f)
        seed += 1
    return found
