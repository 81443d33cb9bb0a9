"""Command-line options that the commands share: lists separated by commas."""

from __future__ import annotations

import click

__all__ = ["numbers", "words"]


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
