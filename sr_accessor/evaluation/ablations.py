"""evaluation ablations: one thing of the training changed at a time, equal operations, the same held-out functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import pandas as pd
import torch

from sr_accessor.errors import UnknownNameError, nearest
from sr_accessor.evaluation.machine import provenance
from sr_accessor.training.train import Budget, Intervals, make_plan, train
from sr_accessor.training.validation import held_out_for, validate_here
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import PRESETS

__all__ = ["ABLATIONS", "Ablation", "ablate", "ablations", "ablations_table"]


@dataclass(frozen=True)
class Ablation:
    """What differs from the recipe of the bundled network.

    Parameters
    ----------
    judged : prior of the held-out functions
    changed : keywords of `make_plan`
    """

    judged: str = "science"
    changed: Mapping[str, object] = field(default_factory=dict)


#: In the order of the table. Of `mini`, "tokens" are numbers of two digits down to a thousandth. "paper" gives y as it
#: comes; `mini` divides it by its root mean square, `pair` does not.
ABLATIONS: Mapping[str, Ablation] = {
    "recipe": Ablation(),
    "layers-1+4": Ablation(changed={"layers": "1+4"}),
    "layers-5+1": Ablation(changed={"layers": "5+1"}),
    "bits": Ablation(changed={"inputs": "bits"}),
    "tokens": Ablation(changed={"inputs": "tokens"}),
    "exact": Ablation(changed={"prior": "exact"}),
    "raw": Ablation(changed={"prior": "raw"}),
    "mixture": Ablation(changed={"prior": "science+paper"}),
    "adam": Ablation(changed={"schedule": "adam"}),
    "adam-slower": Ablation(changed={"schedule": "adam", "peak": 1e-3}),
    "paper-adam": Ablation(changed={"schedule": "paper"}),
    "cosine": Ablation(changed={"schedule": "cosine"}),
    "y-scaled": Ablation("paper", {"prior": "paper"}),
    "y-as-it-is": Ablation("paper", {"prior": "paper", "preset_name": "pair"}),
}


def ablate(
    name: str, folder: Path, *, preset: str, operations: float, batch_points: int, validation: int,
    seed: int, progress: bool,
) -> dict[str, object] | None:  # fmt: skip
    """Train one network in its folder, or go on there, and judge it; None where someone asked to stop."""
    what = ABLATIONS[name]
    settings = {"preset_name": preset, "batch_points": batch_points, "validation": validation, "seed": seed}
    plan = make_plan(**settings | what.changed)
    rarely = Intervals(validate=float("inf"))
    outcome = train(plan, folder, Budget(operations=operations), intervals=rarely, progress=progress)
    if outcome.reason == "asked":
        return None
    model = checkpoint.load(outcome.weights).model
    found = validate_here(model, held_out_for(model, what.judged, validation))
    return {
        "ablation": name, "parameters": sum(p.numel() for p in model.parameters()),
        "updates": outcome.counters.step, "examples": outcome.counters.examples, "judged": what.judged,
        "own": found.own, "other": found.other, "difference": found.gap, "tokens right": found.accuracy,
    }  # fmt: skip


def ablations_table(rows: Sequence[Mapping[str, object]]) -> str:
    """As text: counts with commas, nats per token to three digits."""
    table = pd.DataFrame(rows)
    forms = {"parameters": "{:,}", "updates": "{:,}", "examples": "{:,}", "tokens right": "{:.1%}"}
    forms |= dict.fromkeys(("own", "other", "difference"), "{:.3f}")
    return table.assign(**{name: table[name].map(form.format) for name, form in forms.items()}).to_string(index=False)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--preset", type=click.Choice(list(PRESETS)), default="mini", show_default=True, help="Of the recipe.")
@click.option("--operations", type=click.FloatRange(min=0, min_open=True), default=4e12, show_default=True)
@click.option("--batch-points", type=int, default=2000, show_default=True, help="Points of a batch.")
@click.option("--validation", type=click.IntRange(min=20), default=1000, show_default=True, help="Held-out functions.")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads; default as torch has it.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the training.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default="ablations", show_default=True)
@click.option("--progress/--no-progress", default=True, show_default=True)
def ablations(names, preset, operations, batch_points, validation, threads, seed, out, progress) -> None:
    """Train networks that differ from the bundled recipe in one thing each; print what each reads from the points.

    Without NAMES all; a run that was ended goes on in its folder of --out.
    """
    for name in names:
        if name not in ABLATIONS:
            raise UnknownNameError(f"no ablation {name!r}; {nearest(name, ABLATIONS)}")
    if threads is not None:
        torch.set_num_threads(threads)
    rows = []
    for name in names or ABLATIONS:
        row = ablate(
            name, out / name, preset=preset, operations=operations, batch_points=batch_points, validation=validation,
            seed=seed, progress=progress,
        )  # fmt: skip
        if row is None:
            return
        rows.append(row)
    click.echo(ablations_table(rows))
    click.echo(
        f"nats per token on {validation} held-out functions of the prior 'judged', given a function's own points and "
        "another's;\none run each: the same command with another --seed tells how far two runs lie apart; where "
        "targets are\nwritten in other forms (raw; y-scaled and y-as-it-is) only the difference compares"
    )
    click.echo(provenance(preset=preset, operations=f"{operations:g} each", seed=seed, runs=out))
