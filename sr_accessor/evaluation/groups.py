"""evaluation groups: one form refined in many groups at once, beside one group after the other."""

from __future__ import annotations

import time

import click
import pandas as pd
import torch

from sr_accessor.device import DTYPE, generator
from sr_accessor.evaluation.machine import provenance
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.refinement.likelihood import most_likely

__all__ = ["groups", "measure_groups"]

#: The form; the ranges of its constants over the groups, and the standard deviation of the noise.
LAW, RANGES, NOISE = "1.0*exp(-1.0*x) + 1.0", ((1.0, 4.0), (0.3, 1.3), (-1.0, 1.0)), 0.01


def measure_groups(count: int, rows: int, alone: int, seed: int) -> dict[str, float]:
    """Process seconds for `count` groups of `rows` rows in one batch, and, from `alone` of them, one by one."""
    random = generator(seed)
    x = 5 * torch.rand(count, rows, 1, generator=random, dtype=DTYPE)
    low, high = torch.tensor(RANGES, dtype=DTYPE).T
    a, k, b = (low + (high - low) * torch.rand(count, 3, generator=random, dtype=DTYPE)).T[:, :, None]
    y = a * torch.exp(-k * x[:, :, 0]) + b + NOISE * torch.randn(count, rows, generator=random, dtype=DTYPE)
    form = parse(LAW, Vocabulary(ELEMENTARY), ["x"]).freed()
    form = form.with_constants(torch.ones_like(form.constants))  # nothing of the truth in the start
    forms = form[[0] * count]
    most_likely(forms[:2], x[:2], y[:2], GAUSSIAN)  # what only the first call needs is not counted

    began = time.process_time()
    together = most_likely(forms, x, y, GAUSSIAN)
    at_once = time.process_time() - began
    began = time.process_time()
    single = [most_likely(forms[[i]], x[i], y[i], GAUSSIAN) for i in range(alone)]  # one by one is what is measured
    one_by_one = (time.process_time() - began) * count / alone
    apart = torch.cat([one.expressions.constants for one in single]) - together.expressions.constants[:alone]
    return {
        "groups": count, "rows of each": rows, "at once, s": at_once, "one by one, s": one_by_one,
        "ratio": one_by_one / at_once, "largest difference": float(apart.abs().max()),
    }  # fmt: skip


@click.command()
@click.option("--count", default=2000, show_default=True, help="Groups.")
@click.option("--rows", default=30, show_default=True, help="Rows of each group.")
@click.option("--alone", default=200, show_default=True, help="Groups that are refined one by one.")
@click.option("--seed", default=0, show_default=True)
def groups(count: int, rows: int, alone: int, seed: int) -> None:
    """One form in many groups: seconds at once and one by one (goal: 20 times faster)."""
    row = measure_groups(count, rows, alone, seed)
    click.echo(pd.DataFrame([row]).to_string(index=False))
    click.echo(provenance(seed=seed))
