"""Command-line options that the commands share: lists separated by commas, and which problems of the pack to fit."""

from __future__ import annotations

from collections.abc import Callable

import click

from sr_accessor.evaluation.problems import SEEDS

__all__ = ["numbers", "pack_options", "words"]


def words(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """ "a,b" as a list; None stays None."""
    return None if value is None else [w.strip() for w in value.split(",") if w.strip()]


def numbers(context: click.Context, parameter: click.Parameter, value: str) -> list[float]:
    """ "0,0.01" as numbers, none of them negative."""
    try:
        found = [float(w) for w in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 0,0.01") from None
    if not all(0 <= n < float("inf") for n in found):
        raise click.BadParameter(f"{value!r} has a number that is negative or not finite")
    return found


def pack_options(command: Callable) -> Callable:
    """Options of the commands that fit problems of the visible pack: which, with what noise, and for how long."""
    for option in reversed(
        [
            click.option("--suite", "suites", callback=words, help="Suites, e.g. nguyen,jin; default all."),
            click.option("--problem", "names", callback=words, help="Problems by name; default all."),
            click.option("--seconds", default=10.0, show_default=True, help="Budget of each problem and method."),
            click.option("--minutes", type=float, help="Begin no problem after this time; a later run goes on."),
            click.option("--noise", "noises", default="0", show_default=True, callback=numbers, help="E.g. 0,0.01."),
            click.option("--subset", type=click.IntRange(min=1), help="Only so many, in proportion to the suites."),
            click.option("--seed", default=SEEDS[0], show_default=True, help="Of the rows, the subset and the fits."),
        ]
    ):
        command = option(command)
    return command
