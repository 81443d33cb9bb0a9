"""python -m sr_accessor.training: train a network, or the `pair` of the paper's comparison; `merge` shards, `card`."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from sr_accessor.errors import run_commands
from sr_accessor.prior.examples import PRESETS as PRIORS
from sr_accessor.training.card import write_card
from sr_accessor.training.optimizer import SCHEDULES
from sr_accessor.training.stream import BATCH_POINTS
from sr_accessor.training.train import CLIP, Budget, Intervals, make_plan, train
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import INPUTS, PRESETS
from sr_accessor.writing import write_whole

__all__ = ["commands"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@click.option("--preset", type=click.Choice(list(PRESETS)), help="Network; default base, or that of --from.")
@click.option("--layers", metavar="E+D", help="Layers of encoder and decoder; default those of the preset.")
@click.option("--inputs", type=click.Choice(INPUTS), help="How numbers are read; default as in the preset.")
@click.option("--prior", default="science", show_default=True, help=f"{', '.join(PRIORS)}, or several: science+paper.")
@click.option("--targets", type=click.Choice(["e2e", "skeleton"]), default="e2e", show_default=True)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Budget of the run, restarts included.")
@click.option("--steps", type=click.IntRange(min=1), help="Updates of the run, restarts included.")
@click.option(
    "--operations", type=click.FloatRange(min=0, min_open=True), help="Of the run, floating-point: 1e13, say."
)
@click.option("--from", "start_from", help="Weights to begin with: default, a name, or a file.")
@click.option("--operators", default="", help="Further operators to learn, of plugins, separated by commas.")
@click.option("--out", type=_FOLDER, help="Folder of the run; default training-PRESET-PRIOR.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads; default as torch has it.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--schedule", type=click.Choice(list(SCHEDULES)), help="Default stable; for preset paper, paper.")
@click.option("--lr", "peak", type=float, help="Largest learning rate; default by preset, less with --from.")
@click.option("--clip", type=float, default=CLIP, show_default=True, help="Largest norm of the gradient.")
@click.option("--batch-points", type=int, help=f"Points of a batch; default {BATCH_POINTS:,}, or as --from had.")
@click.option("--shards", type=int, default=1, show_default=True, help="Batches per update, shared by the processes.")
@click.option("--validation", type=int, default=10_000, show_default=True, help="Held-out functions.")
@click.option("--validate-every", type=float, default=Intervals.validate, show_default=True, help="Seconds.")
@click.option("--save-every", type=float, default=Intervals.save, show_default=True, help="Seconds.")
@click.option("--log-every", type=float, default=Intervals.log, show_default=True, help="Seconds.")
@click.option("--shard-size", type=click.FloatRange(min=0, min_open=True), help="Also cut the weights, MiB each.")
@click.option("--compile/--no-compile", "compiled", default=False, show_default=True, help="For long runs on a GPU.")
@click.option("--progress/--no-progress", default=True, show_default=True)
@click.pass_context
def commands(
    context, preset, layers, inputs, prior, targets, minutes, steps, operations, start_from, operators, out, device,
    precision, threads, seed, schedule, peak, clip, batch_points, shards, validation, validate_every, save_every,
    log_every, shard_size, compiled, progress,
) -> None:  # fmt: skip
    """Train a network on functions of a prior, until the budget is spent or the validation accuracy saturates.

    The same command again goes on where the folder's last saved state is. Under torchrun every process takes its part
    of the --shards. SIGTERM and Ctrl-C save and end.
    """
    if context.invoked_subcommand:
        return
    if threads is not None:
        torch.set_num_threads(threads)
    plan = make_plan(
        preset_name=preset, prior=prior, targets=targets, seed=seed, schedule=schedule, peak=peak, clip=clip,
        shards=shards, batch_points=batch_points, validation=validation, start_from=start_from,
        operators=[name.strip() for name in operators.split(",") if name.strip()], layers=layers, inputs=inputs,
    )  # fmt: skip
    outcome = train(
        plan,
        out or Path(f"training-{plan.preset}-{prior}"),
        Budget(minutes, steps, operations),
        start_from=start_from,
        device=device,
        precision=precision,
        intervals=Intervals(log_every, validate_every, save_every),
        compiled=compiled,
        progress=progress,
    )
    if outcome.leader:
        counters = outcome.counters
        click.echo(
            f"{outcome.reason}: {counters.step:,} steps, {counters.examples:,} examples, {counters.seconds:,.0f} s; "
            f"weights in {outcome.weights}"
        )
        if shard_size is not None:
            for piece in checkpoint.shard(outcome.weights, int(shard_size * 2**20)):
                click.echo(str(piece))


#: The pair that is bundled: updates of each network, and points of a batch.
PAIR_STEPS, PAIR_POINTS = 4280, 2000


@commands.command()
@click.option("--steps", type=click.IntRange(min=1), default=PAIR_STEPS, show_default=True, help="Updates of each.")
@click.option("--out", type=_FOLDER, default="training-pair", show_default=True, help="Folder of both runs.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads; default as torch has it.")
@click.option("--validation", type=click.IntRange(min=2), default=1000, show_default=True, help="Held-out functions.")
@click.option("--progress/--no-progress", default=True, show_default=True)
def pair(steps, out, device, threads, validation, progress) -> None:
    """Train the two networks of the paper's comparison, one after the other, on the same examples of its prior.

    paper-e2e writes constants, paper-skeleton a placeholder for each; size, seed and examples are the same. The same
    command again goes on where it stood.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    for targets in ("e2e", "skeleton"):
        plan = make_plan(
            preset_name="pair", prior="paper", targets=targets, batch_points=PAIR_POINTS, validation=validation
        )
        outcome = train(plan, out / targets, Budget(steps=steps), device=device, progress=progress)
        if outcome.reason == "asked":
            break
        place = out / f"paper-{targets}.safetensors"
        write_whole(place, outcome.weights.read_bytes())
        click.echo(f"{outcome.counters.examples:,} examples, {outcome.counters.seconds:,.0f} s; weights in {place}")


@commands.command()
@click.argument("pieces", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=_FILE, required=True)
def merge(pieces, out) -> None:
    """Join the pieces that --shard-size made, in any order, and check the whole."""
    click.echo(str(checkpoint.merge(pieces, out)))


@commands.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--evaluation", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A table to include.")
def card(folder, evaluation) -> None:
    """Write FOLDER/MODEL_CARD.md from the run's log and weights."""
    click.echo(str(write_card(folder, evaluation)))


if __name__ == "__main__":
    run_commands(commands, "python -m sr_accessor.training")
