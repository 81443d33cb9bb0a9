"""The recipe: observations in, a FitResult out; split, search round by round until done, choose.

It owns the clock, the seed and the record of what was done; it knows neither tables nor screens.
"""

from __future__ import annotations

import dataclasses
import platform
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch

from sr_accessor.constraints import Constraints
from sr_accessor.device import DTYPE, alone, resolve
from sr_accessor.errors import InputError, OptionError, SymRegWarning
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.observations import Observations
from sr_accessor.options import FitOptions
from sr_accessor.plugins.manager import noise_model, vocabulary
from sr_accessor.result import FitResult
from sr_accessor.search.all_rows import on_all_rows
from sr_accessor.search.columns import MOST_COLUMNS, relevant_columns
from sr_accessor.search.constants import check_constants, with_constants
from sr_accessor.search.constraints import Admission, constrained
from sr_accessor.search.given import Given
from sr_accessor.search.guesses import read_guesses
from sr_accessor.search.loop import SearchState, start, step
from sr_accessor.search.rules import check_rule
from sr_accessor.search.selection import MOST_ROWS, Data
from sr_accessor.search.template import read_template
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
        (`max_rounds` spent), "interrupted" (Ctrl-C: the best so far), or "no_model": nothing that the constraints
        allow was found, and the mean stands in.

    Raises
    ------
    UnknownNameError : no such noise model, operator or rule, or a constraint on what is not there.
    ParseError : a guess or a template that is no expression.
    DeviceError : no such device.
    """
    began = time.perf_counter()
    noise, operators = noise_model(options.noise), _operators(options.operators)
    check_rule(options.select)
    device = resolve(options.device)
    seed = int(np.random.SeedSequence().entropy % 2**31) if options.random_state is None else int(options.random_state)
    constraints = options.constraints or Constraints()
    operators = constrained(operators, constraints, observations.names)
    observations = _without(observations, constraints.forbid)
    operators = with_constants(operators, check_constants(options.constants or {}), observations.names)
    offered = len(observations.names)
    observations, remarks = _selected(observations, options, constraints, operators, seed)
    training, held_out = _split(observations, options.rows_held_out(len(observations.y)), seed)
    data = _data(training, noise, device)
    noise.check_data(data.y, observations.target, data.sigma)
    given = _given(options, constraints, operators, observations.names, data)
    some = data.rows(_some_rows(len(data), seed, device))
    state = start(some, operators, seed=seed, network=_network(options.network, device), given=given)
    state, status, threads = _search(state, options, began)
    front = state.front if len(some) == len(data) else on_all_rows(state.front, data, given)
    if not given.admits(front):
        words = "; ".join(_asked(options)["constraints"]) or f"template {options.template!r}"
        why = f"no law was found that is as asked for ({words}), so the mean stands here; ask for less, or for longer"
        status, remarks = "no_model", (*remarks, SymRegWarning("NO_MODEL", why))
    result = FitResult(
        observations=training,
        held_out=held_out,
        front=front,
        noise=noise,
        rule=options.select,
        status=status,
        rounds=state.round,
        seconds=time.perf_counter() - began,
        remarks=remarks,
        provenance=_provenance(options, seed, device, threads, state, operators)
        | {"features_offered": offered, "features_searched": len(observations.names), "rows_searched": len(some)},
    )
    for remark in result.warnings[len(observations.remarks) :]:
        warnings.warn(remark, stacklevel=4)
    return result


def _operators(spec: Any) -> Vocabulary:
    """The vocabulary of `operators=`; names that begin with "-" are taken out of the default one.

    Raises
    ------
    OptionError : names with and without "-".
    """
    if isinstance(spec, Vocabulary):
        return vocabulary(spec)
    entries = [spec] if isinstance(spec, str) else list(spec)
    excluded = [entry[1:] for entry in entries if isinstance(entry, str) and entry.startswith("-")]
    if not excluded:
        return vocabulary(spec)
    if len(excluded) < len(entries):
        raise OptionError(f"operators={entries!r}: name either those to use, or with '-' those to leave out")
    default = vocabulary("default")
    for name in excluded:
        default.id(name)  # raises where there is none
    return default.restricted([o.name for o in default if o.name not in excluded])


def _without(observations: Observations, forbidden: Sequence[Hashable]) -> Observations:
    """The observations without forbidden features."""
    kept = [i for i, name in enumerate(observations.names) if name not in forbidden]
    if not kept:
        raise InputError("the constraints forbid every feature; allow at least one")
    return _only(observations, kept)


def _only(observations: Observations, kept: Sequence[int]) -> Observations:
    """The observations with these features only."""
    if len(kept) == len(observations.names):
        return observations
    names, units = (tuple(given[i] for i in kept) for given in (observations.names, observations.units))
    return dataclasses.replace(observations, x=np.ascontiguousarray(observations.x[:, kept]), names=names, units=units)


def _selected(
    observations: Observations, options: FitOptions, constraints: Constraints, operators: Vocabulary, seed: int
) -> tuple[Observations, tuple[SymRegWarning, ...]]:
    """The observations with no more features than a search handles well, and what was left out.

    What the user speaks of stays: features required, in a shape, in a guess or in the template.
    """
    names = observations.names
    if len(names) <= MOST_COLUMNS or float(np.ptp(observations.y)) == 0:
        return observations, ()
    spoken = {*constraints.require, *(shape.feature for shape in options.shape if hasattr(shape, "feature"))}
    always = {i for i, name in enumerate(names) if name in spoken}
    guesses = read_guesses(options.guesses, operators, names, constraints.forbid)
    if guesses is not None:
        always |= _variables_in(guesses)
    if options.template is not None:
        template = read_template(options.template, operators, names)
        always |= {i for i in _variables_in(template.outline) if i < len(names)}.union(
            *(p.variables for p in template.parts)
        )
    found = relevant_columns(
        observations.x, observations.y, seed=seed, always=sorted(always), most=max(MOST_COLUMNS, len(always))
    )
    kept = sorted(found.kept, key=lambda i: -found.strength[i])
    lost = sorted(set(range(len(names))) - set(kept), key=lambda i: -found.strength[i])
    told = (", ".join(f"{names[i]!r} ({found.strength[i]:.1f})" for i in some) for some in (kept, lost[:5]))
    more = f", … ({len(lost)} in all)" if len(lost) > 5 else ""
    text = (
        f"{len(names)} features are more than a law is searched in ({MOST_COLUMNS}); by their say about "
        f"{observations.target!r} in {found.rows} rows, in standard errors: kept {next(told)}; "
        f"left out {next(told)}{more}. To keep another, name it in Constraints(require=[...]) or give fewer features"
    )
    return _only(observations, sorted(kept)), (SymRegWarning("SELECTED", text),)


def _variables_in(e: Expressions) -> set[int]:
    """Numbers of the variables that occur in a batch."""
    return set((e.codes[e.codes >= VARIABLE] - VARIABLE).tolist())


def _some_rows(count: int, seed: int, device: torch.device) -> torch.Tensor:
    """The rows that the search looks at: all, or `MOST_ROWS` of them drawn with the seed."""
    if count <= MOST_ROWS:
        return torch.arange(count, device=device)
    rows = np.random.default_rng(seed + 1).choice(count, MOST_ROWS, replace=False)
    return torch.from_numpy(np.sort(rows)).to(device)


def _given(
    options: FitOptions, constraints: Constraints, operators: Vocabulary, names: Sequence[Hashable], data: Data
) -> Given:
    """Constraints, guesses and template bound to the operators and the features."""
    guesses = read_guesses(options.guesses, operators, names, constraints.forbid)
    template = None if options.template is None else read_template(options.template, operators, names)
    bound = options.constraints is not None or bool(options.shape)
    admission = Admission.bind(constraints, options.shape, operators, names, data.x, data.y) if bound else None
    return Given(admission, guesses, template, tuple(options.constants or ()))


def _asked(options: FitOptions) -> dict[str, Any]:
    """What was asked for, in words."""
    form = () if options.constraints is None else options.constraints.words
    return {
        "constraints": [*form, *(shape.words for shape in options.shape)],
        "guesses": [str(guess) for guess in options.guesses],
        "constants": dict(options.constants or {}),
        "template": options.template,
    }


def _search(state: SearchState, options: FitOptions, began: float) -> tuple[SearchState, str, int]:
    """The rounds, in a worker thread: the last state, why they ended, and the threads that torch used there.

    An interrupt of the calling thread lets the round in progress end; a second one does not wait for it.
    """
    if float(state.workspace.data.y.max()) == float(state.workspace.data.y.min()):
        return state, "converged", 1  # a constant target is its own law
    stop = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="symreg") as pool:
        running = pool.submit(_rounds, state, options, began, stop)
        try:
            return running.result()
        except KeyboardInterrupt:
            stop.set()
            return running.result()


def _rounds(
    state: SearchState, options: FitOptions, began: float, stop: threading.Event
) -> tuple[SearchState, str, int]:
    """Rounds until the search is finished, the time or the rounds are spent, or someone stops it."""
    alone()
    threads, show, last = torch.get_num_threads(), _progress(options), 0.0
    try:
        while not state.finished:
            elapsed = time.perf_counter() - began
            if stop.is_set():
                return state, "interrupted", threads
            # Half a round over the limit is nearer to it than half a round short of it.
            if elapsed + 0.5 * last >= options.timeout:
                return state, "timeout", threads
            if options.max_rounds is not None and state.round >= options.max_rounds:
                return state, "rounds", threads
            state = step(state)
            last = time.perf_counter() - began - elapsed
            show(state)
            for callback in options.callbacks:
                callback(state)
    except KeyboardInterrupt:  # from a callback
        return state, "interrupted", threads
    finally:
        show(None)
    return state, "converged", threads


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
    options: FitOptions, seed: int, device: torch.device, threads: int, state: SearchState, operators: Any
) -> dict[str, Any]:
    """Everything needed to do it again."""
    return {
        "sr_accessor": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(device),
        "threads": threads,
        "random_state": seed,
        "network": None if options.network is None else str(options.network),
        "operators": [o.name for o in operators],
        **_asked(options),
        "candidates_refined": state.refined,
        "proposed": dict(state.proposed),
        "timeout": options.timeout,
        "max_rounds": options.max_rounds,
        "validation": options.validation,
    }
