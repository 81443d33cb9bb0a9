"""The recipe for a known law: observations and its formula in, a FitResult out."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence

import torch

from sr_accessor.device import seed_of
from sr_accessor.known_law import KnownLaw, optimum, starts_of, unit_remarks
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import Observations
from sr_accessor.result import FitResult
from sr_accessor.scatter import likeliest, measured
from sr_accessor.search.selection import Data
from sr_accessor.version import versions

__all__ = ["refine_law"]


def refine_law(
    observations: Observations,
    law: KnownLaw,
    noises: Sequence[NoiseModel],
    *,
    restarts: int = 30,
    random_state: int | None = None,
) -> FitResult:
    """The likeliest parameters of a known law.

    Parameters
    ----------
    observations : checked rows of `law.names`
    law : from `read_law`
    noises : the noise models to choose from by description length, fit for these observations; mostly one
    restarts : further starts: near the given start, and of any magnitude, within the bounds
    random_state : seed of the restarts; None draws one, which the result records

    Returns
    -------
    FitResult of one law, status "converged", or "no_convergence" where the likelihood was still rising

    Raises
    ------
    InputError : the law has no finite value, or no likelihood, on these rows from any start.
    """
    began = time.perf_counter()
    seed = seed_of(random_state)
    starts = starts_of(law, restarts, torch.Generator().manual_seed(seed))
    x, y, sigma, errors = measured(observations)
    optima = {noise.name: optimum(law, starts, Data(x, y, sigma, noise, errors)) for noise in noises}
    half = 0.5 * math.log2(len(y))
    bits = {
        noise.name: float(optima[noise.name].front.description_length) + half * noise.degrees(sigma) for noise in noises
    }
    chosen, remark = likeliest(bits)
    best = optima[chosen]
    result = FitResult(
        observations=observations,
        front=best.front,
        noise=next(noise for noise in noises if noise.name == chosen),
        parameters=law.numbers,
        status="converged" if best.settled else "no_convergence",
        seconds=time.perf_counter() - began,
        remarks=[*([] if remark is None else [remark]), *best.remarks, *unit_remarks(law, observations)],
        provenance={
            **versions(),
            "device": "cpu",
            "random_state": seed,
            "starts": len(starts),
            "starts that reached the optimum": best.reached,
        },
    )
    for told in result.warnings[len(observations.remarks) :]:
        if told.code != "NOISE":  # what noise="auto" chose: an answer, not a warning
            warnings.warn(told, stacklevel=4)
    return result
