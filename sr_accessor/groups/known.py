"""The recipe for a known law in many groups: its parameters in every group, all groups and all starts in one batch."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import torch

from sr_accessor.device import alone, seed_of
from sr_accessor.errors import InputError, SymRegWarning
from sr_accessor.groups.common import Shared, share
from sr_accessor.groups.forms import SharedForm
from sr_accessor.groups.refine import refine_each
from sr_accessor.groups.result import GroupedResult
from sr_accessor.groups.search import report_groups, status_of, told_status
from sr_accessor.groups.split import Groups, told_groups
from sr_accessor.known_law import KnownLaw, starts_of, unit_remarks
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import FEWEST_ROWS
from sr_accessor.refinement.likelihood import MANY_PASSES
from sr_accessor.scatter import likeliest
from sr_accessor.version import versions

__all__ = ["refine_groups"]

#: Steps of every start, and of the best one until nothing is gained: nats a step must promise.
STEPS, FINAL_STEPS, TOLERANCE, FINAL_TOLERANCE = 60, 500, 1e-6, 1e-16


def refine_groups(
    groups: Groups,
    law: KnownLaw,
    noises: Sequence[NoiseModel],
    *,
    shared: bool = False,
    restarts: int = 30,
    random_state: int | None = None,
    sizes: Mapping[Hashable, Any] | None = None,
    errors: str = "warn",
) -> GroupedResult:
    """The likeliest parameters of a known law in every group.

    Parameters
    ----------
    groups : checked rows of `law.names`
    law : from `known_law.read_law`
    noises : the noise models to choose from by description length
    shared : True makes parameters common to all groups that the data do not tell apart; False leaves each to its group
    restarts : further starts in every group
    sizes, errors : as in `groups.search.fit_groups`

    Raises
    ------
    InputError : no group has enough rows, or the law has no finite value in any.
    """
    began = time.perf_counter()
    seed = seed_of(random_state)
    needed = max(FEWEST_ROWS, int(law.numbers.free.sum()))
    enough = np.flatnonzero(groups.counts >= needed)
    if not len(enough):
        most = int(groups.counts.max(initial=0))
        raise InputError(f"no group has the {needed} rows that the law needs (the largest has {most})")
    starts = starts_of(law, restarts, torch.Generator().manual_seed(seed))
    with ThreadPoolExecutor(1, initializer=alone) as pool:
        each = {
            noise.name: pool.submit(_refined, law, starts.constants, groups, enough, noise, shared).result()
            for noise in noises
        }
    half = 0.5 * np.log2(groups.counts[enough]).sum()
    sigma = next(iter(groups.stacks(enough[:1]))).sigma
    bits = {n.name: each[n.name][0].cost + half * n.degrees(sigma) for n in noises}
    chosen, remark = likeliest(bits)
    found, reason, fitted = each[chosen]
    status = status_of(groups, fitted, reason, needed)
    result = GroupedResult(
        groups=groups,
        found=SharedForm(law.expression, law.numbers, found.numbers, found.common, found.laplace, found.loss),
        noise=next(noise for noise in noises if noise.name == chosen),
        status=status,
        forms=pd.DataFrame(),
        sizes=sizes,
        seconds=time.perf_counter() - began,
        remarks=[
            *([] if remark is None else [remark]),
            *told_status(groups, status),
            *_told_constant(groups, needed),
            *unit_remarks(law, groups.observations),
        ],
        provenance={
            **versions(),
            "device": "cpu",
            "random_state": seed,
            "starts": len(starts),
        },
    )
    report_groups(result, errors)
    return result


def _told_constant(groups: Groups, needed: int) -> list[SymRegWarning]:
    """That a target does not vary in groups of enough rows; of one that varies in none the observations tell."""
    y = groups.observations.y
    low, high = np.full(len(groups), np.inf), np.full(len(groups), -np.inf)
    np.minimum.at(low, groups.code, y)
    np.maximum.at(high, groups.code, y)
    told = "have one value of the target, which does not tell the parameters of a law that varies"
    return told_groups("CONSTANT", groups.keys, (low == high) & (groups.counts >= needed) & (y.min() < y.max()), told)


def _refined(
    law: KnownLaw, starts: torch.Tensor, groups: Groups, enough: np.ndarray, noise: NoiseModel, shared: bool
) -> tuple[Shared, np.ndarray, np.ndarray]:
    """The parameters in every group, why their refinement ended, and which groups have them.

    Raises
    ------
    InputError : no start has a likelihood in any group.
    """
    stacks, options = groups.stacks(enough), {"parameters": law.numbers}
    first = refine_each(
        law.expression, starts[:, None], stacks, len(groups), noise, steps=STEPS, tolerance=TOLERANCE, **options
    )
    fitted = first.loss[:, 0].isfinite().numpy()
    if not fitted.any():
        raise InputError(
            "the law has no finite value or no likelihood in any group, from the start and all restarts; give start= "
            "or bounds= that keep it in its domain, e.g. bounds={'a': (0, None)}"
        )
    stacks = groups.stacks(np.flatnonzero(fitted))
    final = refine_each(
        law.expression, first.numbers[:, None], stacks, len(groups), noise, steps=FINAL_STEPS,
        tolerance=FINAL_TOLERANCE, passes=MANY_PASSES, **options,
    )  # fmt: skip
    found = share(law.expression, final.numbers[:, 0], stacks, noise, law.numbers, look=shared)
    return found, final.reason[:, 0].numpy(), fitted
