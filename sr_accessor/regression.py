"""The recipe: observations in, a FitResult out; split, search round by round until done, choose.

It owns the clock, the seed and the record of what was done; it knows neither tables nor screens.
"""

from __future__ import annotations

import dataclasses
import platform
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from sr_accessor.device import DTYPE, resolve
from sr_accessor.observations import Observations
from sr_accessor.options import FitOptions
from sr_accessor.plugins.manager import noise_model, vocabulary
from sr_accessor.result import FitResult
from sr_accessor.search.loop import SearchState, start, step
from sr_accessor.search.rules import check_rule
from sr_accessor.search.selection import Data
from sr_accessor.transformer.checkpoint import find, load
from sr_accessor.transformer.model import Transformer
from sr_accessor.version import __version__

__all__ = ["fit"]


def fit(observations: Observations, options: FitOptions) -> FitResult:
    """Search for the law behind the observations.

    Parameters
    ----------
    observations : checked rows
    options : how to look

    Returns
    -------
    FitResult
        Status "converged" (an exact law, the noise floor, or nothing more to find), "timeout", "rounds"
        (`max_rounds` spent) or "interrupted" (Ctrl-C: the best so far).

    Raises
    ------
    UnknownNameError : no such noise model, operator or rule.
    DeviceError : no such device.
    """
    began = time.perf_counter()
    noise, operators = noise_model(options.noise), vocabulary(options.operators)
    check_rule(options.select)
    device = resolve(options.device)
    seed = int(np.random.SeedSequence().entropy % 2**31) if options.random_state is None else int(options.random_state)
    training, held_out = _split(observations, options.rows_held_out(len(observations.y)), seed)
    data = _data(training, noise, device)
    noise.check_data(data.y, observations.target, data.sigma)
    state = start(data, operators, seed=seed, network=_network(options.network, device))
    state, status = _search(state, options, began)
    result = FitResult(
        observations=training,
        held_out=held_out,
        front=state.front,
        noise=noise,
        rule=options.select,
        status=status,
        rounds=state.round,
        seconds=time.perf_counter() - began,
        provenance=_provenance(options, seed, device, state, operators),
    )
    for remark in result.warnings[len(observations.remarks) :]:
        warnings.warn(remark, stacklevel=4)
    return result


def _search(state: SearchState, options: FitOptions, began: float) -> tuple[SearchState, str]:
    """Rounds until the search is finished, the time or the rounds are spent, or the user interrupts."""
    if float(state.workspace.data.y.max()) == float(state.workspace.data.y.min()):
        return state, "converged"  # a constant target is its own law
    show = _progress(options)
    last = 0.0
    try:
        while not state.finished:
            elapsed = time.perf_counter() - began
            # Half a round over the limit is nearer to it than half a round short of it.
            if elapsed + 0.5 * last >= options.timeout:
                return state, "timeout"
            if options.max_rounds is not None and state.round >= options.max_rounds:
                return state, "rounds"
            state = step(state)
            last = time.perf_counter() - began - elapsed
            show(state)
            for callback in options.callbacks:
                callback(state)
    except KeyboardInterrupt:
        return state, "interrupted"
    finally:
        show(None)
    return state, "converged"


def _split(observations: Observations, held_out: int, seed: int) -> tuple[Observations, Observations | None]:
    """Rows to learn from and rows to judge by, drawn with the seed."""
    if not held_out:
        return observations, None
    order = np.random.default_rng(seed).permutation(len(observations.y))
    return _take(observations, np.sort(order[held_out:])), _take(observations, np.sort(order[:held_out]))


def _take(observations: Observations, rows: np.ndarray) -> Observations:
    columns = ("x", "y", "sigma", "sample_weight", "rows")
    given = {name: getattr(observations, name) for name in columns}
    return dataclasses.replace(observations, **{k: None if v is None else v[rows] for k, v in given.items()})


def _data(observations: Observations, noise: Any, device: torch.device) -> Data:
    def tensor(array: np.ndarray | None) -> torch.Tensor | None:
        return None if array is None else torch.tensor(array, dtype=DTYPE, device=device)

    sigma = tensor(observations.sigma)
    if sigma is None and observations.sample_weight is not None:
        weight = tensor(observations.sample_weight)
        sigma = torch.where(weight > 0, weight, torch.finfo(DTYPE).tiny).rsqrt()
    return Data(tensor(observations.x), tensor(observations.y), sigma, noise)


def _network(name: Any, device: torch.device) -> Callable[[], Transformer] | None:
    """A function that loads the network once, when it is first needed; whether it is there is checked now.

    Raises
    ------
    ModelNotFoundError : there is none of that name.
    """
    if name is None:
        return None
    path = find(name)
    return cache(lambda: load(path, device=device).model.eval())


def _progress(options: FitOptions) -> Callable[[SearchState | None], None]:
    """A tqdm bar on a terminal (or with progress=True); nothing otherwise."""
    if options.progress is False or (options.progress == "auto" and not sys.stderr.isatty()):
        return lambda state: None
    from tqdm import tqdm

    bar = tqdm(total=None, unit=" laws", desc="symreg")

    def show(state: SearchState | None) -> None:
        if state is None:
            bar.close()
            return
        bar.set_postfix_str(f"{state.doing}; front of {len(state.front)}")
        bar.update(state.refined - bar.n)

    return show


def _provenance(
    options: FitOptions, seed: int, device: torch.device, state: SearchState, operators: Any
) -> dict[str, Any]:
    """Everything needed to do it again."""
    return {
        "sr_accessor": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "random_state": seed,
        "network": None if options.network is None else str(options.network),
        "operators": [o.name for o in operators],
        "candidates_refined": state.refined,
        "timeout": options.timeout,
        "max_rounds": options.max_rounds,
        "validation": options.validation,
    }
