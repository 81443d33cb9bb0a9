"""evaluation figure3: what the points of a function of one variable look at in the encoder, by layer and head."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd
import torch

from sr_accessor.decoding.maps import draw_maps, maps_of
from sr_accessor.device import DTYPE
from sr_accessor.errors import InputError
from sr_accessor.evaluation.machine import provenance
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.transformer.checkpoint import load

__all__ = ["figure3", "reach"]


def reach(maps: torch.Tensor) -> pd.DataFrame:
    """By layer and head: mean distance of what is looked at, in points (N/3 if all points count alike), and the
    largest share of the weight that one point gets from all others together: a head that watches special points.
    """
    count = maps.shape[-1]
    place = torch.arange(count, dtype=maps.dtype)
    distance = (maps * (place[:, None] - place).abs()).sum(-1).mean(-1)
    rows = [
        {"layer": i + 1, "head": j + 1, "mean distance": float(distance[i, j]),
         "most watched": float(maps[i, j].mean(0).max())}
        for i in range(maps.shape[0]) for j in range(maps.shape[1])
    ]  # fmt: skip
    return pd.DataFrame(rows)


@click.command()
@click.option("--network", default="default", show_default=True, help="A network's name or file.")
@click.option("--function", default="sin(x)/x", show_default=True, help="Of x.")
@click.option("--range", "span", nargs=2, type=float, default=(-20.0, 20.0), show_default=True, help="Of x.")
@click.option("--points", type=click.IntRange(min=3), help="Evenly spaced, at most as many as the network reads.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="figure3.csv", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), default="figure3.png", show_default=True)
def figure3(network, function, span, points, out, plot) -> None:
    """Draw the attention of the encoder's heads for points of a function, in the order of x."""
    model = load(network).model
    points = min(points or 100, model.config.points)
    law = parse(function, vocabulary(), ["x"], numbers="literal")
    x = torch.linspace(*span, points, dtype=DTYPE)[:, None]
    values, valid = evaluate(law, x)
    if not bool(valid.all()):
        raise InputError(f"{function} has no value at {x[~valid[0]][0].item():g}; give another --range or --points")
    maps = maps_of(model, x, values[0], vocabulary())
    table = reach(maps)
    table.to_csv(out, index=False)
    draw_maps(maps, "x").savefig(plot, dpi=150)
    click.echo(table.round(3).to_string(index=False))
    click.echo(f"distance in points of {points}; all alike would give {points / 3:.1f} and {1 / points:.3f}")
    click.echo(provenance(network=network, function=function, rows=out, plot=plot))
