"""The recipe: observations in, a FitResult out; split, search round by round until done, choose.

It owns the clock, the seed and the record of what was done; it knows neither tables nor screens. All of it runs in a
thread of its own, which looks every now and then whether it was asked to stop.
"""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import torch

from sr_accessor.constraints import Constraints
from sr_accessor.decoding.draft import rank_features
from sr_accessor.device import alone, resolve, seed_of
from sr_accessor.display.progress import Snapshot, Watcher, watch
from sr_accessor.errors import InputError, SymRegWarning
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.dimensions import Dimensions
from sr_accessor.expressions.latex import label_latex, to_latex
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.files.pause import Pause
from sr_accessor.handle import FitHandle, Found
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import Observations
from sr_accessor.options import FitOptions
from sr_accessor.plugins.contributions import FitContext
from sr_accessor.plugins.manager import routes, tell, vocabulary
from sr_accessor.result import FitResult
from sr_accessor.scatter import likeliest, measured, noises_of
from sr_accessor.search.all_rows import on_all_rows
from sr_accessor.search.columns import MOST_COLUMNS, relevant_columns
from sr_accessor.search.constants import check_constants, with_constants
from sr_accessor.search.constraints import Admission, constrained
from sr_accessor.search.front import Front
from sr_accessor.search.given import Given
from sr_accessor.search.guesses import read_guesses
from sr_accessor.search.loop import start
from sr_accessor.search.rounds import Rounds
from sr_accessor.search.rules import check_rule
from sr_accessor.search.selection import MOST_ROWS, Data
from sr_accessor.search.state import SearchState
from sr_accessor.search.template import read_template
from sr_accessor.search.units import demanded, with_units
from sr_accessor.stopping import Stopped, until
from sr_accessor.transformer.checkpoint import find, load, read_header
from sr_accessor.transformer.model import Transformer
from sr_accessor.version import versions

__all__ = ["fit", "launch", "resume"]


def fit(
    observations: Observations, options: FitOptions, *, held_out: Observations | None = None, shown: bool = True
) -> FitResult:
    """Search for the law behind the observations, and wait for it.

    Parameters
    ----------
    observations : checked rows
    options : how to look
    held_out : rows to judge the front by, of the same variables; None: as the options say
    shown : whether a notebook shows the result where it showed progress

    Returns
    -------
    FitResult
        Status "converged" (an exact law, the noise floor, or nothing more to find), "timeout", "rounds"
        (`max_rounds` spent), "interrupted" (Ctrl-C or Stop: the best so far), or "no_model": there was no time, or
        nothing that the constraints allow was found, and the mean stands in.

    Raises
    ------
    UnknownNameError : no such noise model, operator or rule, or a constraint on what is not there.
    ParseError : a guess or a template that is no expression.
    DeviceError : no such device.
    """
    found = launch(observations, options, held_out=held_out, waiting=True, shown=shown).found()
    for remark in found.remarks:
        warnings.warn(remark, stacklevel=4)
    return found.result


def launch(
    observations: Observations,
    options: FitOptions,
    *,
    held_out: Observations | None = None,
    waiting: bool = False,
    shown: bool = True,
) -> FitHandle:
    """Begin to search for the law behind the observations, in a thread of its own.

    Parameters
    ----------
    held_out : rows to judge the front by, of the same variables; None: as the options say
    waiting : whether the calling thread will do nothing but wait; changes what the display of progress advises
    shown : whether a notebook shows the result where it showed progress

    Raises
    ------
    nothing that `fit` raises: the handle's `result` does.
    """
    work = partial(_recipe, observations, held_out, options)
    return _launched(work, observations, options, waiting=waiting, shown=shown)


def resume(
    observations: Observations,
    held_out: Observations | None,
    noise: NoiseModel,
    pause: Pause,
    *,
    rounds: int,
    timeout: float,
    max_rounds: int | None = None,
    select: str = "mdl",
) -> FitResult:
    """Go on with a search where it stopped, and wait for it: n rounds, and m more, find what n + m rounds find.

    Parameters
    ----------
    observations, held_out : the rows that the search was about
    noise : the noise model that it came to
    pause : where it goes on
    rounds : how many it had done; the last of them is done again where `pause` is before it
    timeout, max_rounds : seconds and rounds from now on
    select : the rule that chooses

    Returns
    -------
    FitResult, as of `fit`
    """
    most = None if max_rounds is None else rounds + max_rounds
    options = dataclasses.replace(pause.options, timeout=timeout, max_rounds=most, select=select, noise=noise)
    work = partial(_resumed, observations, held_out, options, pause)
    found = _launched(work, observations, options, waiting=True).found()
    for remark in found.remarks:
        warnings.warn(remark, stacklevel=3)
    return found.result


def _launched(
    work: Callable[[Watcher, FitHandle], Found],
    observations: Observations,
    options: FitOptions,
    *,
    waiting: bool,
    shown: bool = True,
) -> FitHandle:
    watcher = watch(options.progress, str(observations.target), options.timeout, waiting=waiting, shown=shown)
    handle = FitHandle(partial(work, watcher), close=watcher.end, collected=watcher.collected)
    watcher.begin(handle.stop)
    return handle.start()


@dataclasses.dataclass(frozen=True)
class _Task:
    """What a search is about, with everything looked up and checked; `beside`: it may use a second process."""

    training: Observations
    held_out: Observations | None
    options: FitOptions
    noises: tuple[NoiseModel, ...]
    operators: Vocabulary
    constraints: Constraints
    seed: int
    offered: int
    remarks: tuple[SymRegWarning, ...]
    beside: bool
    pause: Pause | None = None


def _on_one_thread() -> bool:
    """Let this thread compute alone; whether torch was set to use more than one, and so a second process may run."""
    several = torch.get_num_threads() > 1
    alone()
    return several


def _recipe(
    observations: Observations,
    held_out: Observations | None,
    options: FitOptions,
    watcher: Watcher,
    handle: FitHandle,
) -> Found:
    """From observations to a result, and the remarks to warn of."""
    beside = _on_one_thread()
    began = time.perf_counter()
    noises, operators = noises_of(options.noise, observations), vocabulary(options.operators)
    check_rule(options.select)
    resolve(options.device)
    seed = seed_of(options.random_state)
    constraints = options.constraints or Constraints()
    operators = constrained(operators, constraints, observations.names)
    observations = _without(with_units(observations, options.units), constraints.forbid)
    operators = with_constants(operators, check_constants(options.constants or {}), observations.names)
    offered = len(observations.names)
    observations, selected = _selected(observations, options, constraints, operators, seed)
    training = observations
    if held_out is None:
        training, held_out = _split(observations, options.rows_held_out(len(observations.y)), seed)
    else:
        held_out = held_out.with_features([held_out.names.index(name) for name in training.names])
    task = _Task(training, held_out, options, noises, operators, constraints, seed, offered, selected, beside)
    return _found(task, FitContext(observations, options, seed, operators), began, watcher, handle)


def _resumed(
    training: Observations,
    held_out: Observations | None,
    options: FitOptions,
    pause: Pause,
    watcher: Watcher,
    handle: FitHandle,
) -> Found:
    """The same for a search that goes on; what the constraints forbid of the features is gone from its rows."""
    beside = _on_one_thread()
    began = time.perf_counter()
    operators, constraints = vocabulary(options.operators), options.constraints or Constraints()
    known = [*training.names, *(operator.name for operator in operators.operators)]
    constraints = dataclasses.replace(constraints, forbid=[name for name in constraints.forbid if name in known])
    operators = constrained(operators, constraints, training.names)
    operators = with_constants(operators, check_constants(options.constants or {}), training.names)
    offered, seed = len(training.names), pause.seed
    noises = (options.noise,)
    task = _Task(training, held_out, options, noises, operators, constraints, seed, offered, (), beside, pause)
    return _found(task, FitContext(training, options, seed, operators), began, watcher, handle)


def _found(task: _Task, context: FitContext, began: float, watcher: Watcher, handle: FitHandle) -> Found:
    """The search, and its result."""
    training, options, seed, operators = task.training, task.options, task.seed, task.operators
    device = resolve(options.device)
    dimensions, unit_remarks = demanded(training, options.units, device)
    data = [_data(training, noise, device) for noise in task.noises]
    given = _given(options, task.constraints, operators, training.names, data[0], dimensions)
    network, rows = _network(options.network, device), _some_rows(len(training.y), seed, device)
    states = [start(part.rows(rows), operators, seed=seed, network=network, given=given) for part in data]
    states = states if task.pause is None else [task.pause.state(states[0])]
    told = tell("fit_started", context=context)
    clock = Clock(began, _in_time_for_all_rows(options, len(training.y)), handle)
    rounds = Rounds(beside=task.beside)

    def result_of(state: SearchState, status: str, front: Front, remarks: Sequence[SymRegWarning] = ()) -> FitResult:
        return FitResult(
            observations=training,
            held_out=task.held_out,
            front=front,
            noise=state.workspace.data.noise,
            rule=options.select,
            status=status,
            rounds=state.round,
            seconds=time.perf_counter() - began,
            remarks=(*task.remarks, *unit_remarks, *told, *remarks),
            provenance=_provenance(options, seed, device, state, operators)
            | ({} if task.held_out is None or options.validation is not None else {"validation": "rows given"})
            | {"features_offered": task.offered, "features_searched": len(training.names), "rows_searched": len(rows)},
            pause=Pause.of(rounds.resting(state), options),
            go_on=resume,
        )

    keep = _checkpoint(options.checkpoint, lambda state: result_of(state, "interrupted", state.front))

    def seen(state: SearchState) -> None:
        handle.publish(lambda: result_of(state, "running", state.front))
        watcher.show(partial(_snapshot, state, training, clock))
        keep(state)

    with rounds:
        state, status, remarks = _search(states, rounds, options, clock, seen, watcher)
    front = state.front
    if len(rows) < len(training.y):
        whole = next(part for part in data if part.noise is state.workspace.data.noise)
        front = on_all_rows(front, whole, given, hurry=status == "interrupted")
    remarks = (*_unread(options, data[0], training.names), *remarks)
    if not given.admits(front):
        words = "; ".join(options.asked["constraints"]) or f"template {options.template!r}"
        why = f"no law was found that is as asked for ({words}), so the mean stands here; ask for less, or for longer"
        status, remarks = "no_model", (*remarks, SymRegWarning("NO_MODEL", why))
    elif status == "timeout" and front.origins == ("mean",):
        why = f"the {options.timeout:g} s ended before any law was tried, so the mean stands here; give timeout= more"
        status, remarks = "no_model", (*remarks, SymRegWarning("NO_MODEL", why))
    result = result_of(state, status, front, remarks)
    ours = result.warnings[len(training.remarks) :]  # this computes the front's table and error bars
    if options.checkpoint is not None:
        result.save(options.checkpoint, data=True)
    every = (*ours, *tell("fit_finished", result=result))
    return Found(result, [r for r in every if r.code != "NOISE"])  # what noise="auto" chose is an answer, no warning


#: Seconds between two writings of a checkpoint, and how many times longer than one writing that must be.
CHECKPOINT_EVERY, CHECKPOINT_SHARE = 5.0, 10.0


def _checkpoint(
    path: str | PathLike | None, result_of: Callable[[SearchState], FitResult]
) -> Callable[[SearchState], None]:
    """A function that writes the result so far, with its data, where the last writing is long enough ago."""
    due = -math.inf

    def keep(state: SearchState) -> None:
        nonlocal due
        began = time.perf_counter()
        if path is None or began < due:
            return
        result_of(state).save(path, data=True)
        ended = time.perf_counter()
        due = ended + max(CHECKPOINT_EVERY, CHECKPOINT_SHARE * (ended - began))

    return keep


def _without(observations: Observations, forbidden: Sequence[Hashable]) -> Observations:
    """The observations without forbidden features."""
    kept = [i for i, name in enumerate(observations.names) if name not in forbidden]
    if not kept:
        raise InputError("the constraints forbid every feature; allow at least one")
    return observations.with_features(kept)


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
    screen = partial(relevant_columns, seed=seed, always=sorted(always), most=max(MOST_COLUMNS, len(always)))
    found = screen(observations.x, observations.y)
    kept = sorted(found.kept, key=lambda i: -found.strength[i])
    lost = sorted(set(range(len(names))) - set(kept), key=lambda i: -found.strength[i])
    told = (", ".join(f"{names[i]!r} ({found.strength[i]:.1f})" for i in some) for some in (kept, lost[:5]))
    more = f", … ({len(lost)} in all)" if len(lost) > 5 else ""
    text = (
        f"{len(names)} features are more than a law is searched in ({MOST_COLUMNS}); by their say about "
        f"{observations.target!r} in {found.rows} rows, in standard errors: kept {next(told)}; "
        f"left out {next(told)}{more}. To keep another, name it in Constraints(require=[...]) or give fewer features"
    )
    return observations.with_features(sorted(kept)), (SymRegWarning("SELECTED", text),)


#: Seconds a row that a front takes on all rows (800,000 rows, 16 laws of up to nine constants: 14 s; 2026-11-21, one
#: core), and how much of the timeout this may be.
SECONDS_A_ROW, MOST_RESERVED = 1.5e-5, 0.4


def _in_time_for_all_rows(options: FitOptions, rows: int) -> FitOptions:
    """The options with a timeout that leaves time to refine on all rows what was found on some."""
    if rows <= MOST_ROWS:
        return options
    reserved = min(SECONDS_A_ROW * rows, MOST_RESERVED * options.timeout)
    return dataclasses.replace(options, timeout=options.timeout - reserved)


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
    options: FitOptions,
    constraints: Constraints,
    operators: Vocabulary,
    names: Sequence[Hashable],
    data: Data,
    dimensions: Dimensions | None,
) -> Given:
    """Constraints, guesses and template bound to the operators and the features."""
    guesses = read_guesses(options.guesses, operators, names, constraints.forbid)
    template = None if options.template is None else read_template(options.template, operators, names)
    admission = None
    if options.constraints is not None or options.shape or dimensions is not None:
        admission = Admission.bind(constraints, options.shape, operators, names, data.x, data.y, dimensions)
    return Given(admission, guesses, template, tuple(options.constants or ()))


class Searched(NamedTuple):
    """The last state, why the rounds ended, and a remark on the choice of noise."""

    state: SearchState
    status: str
    remarks: tuple[SymRegWarning, ...]


#: Rounds of each noise model before "auto" chooses: simple laws, power laws and dictionaries, not yet the slow screens.
PILOT_ROUNDS = 4
#: No round begins that would end, if it takes as long as the shortest of the last three, beyond this many times the
#: timeout; and none but the first goes on so long, or this many seconds beyond the timeout.
OVERTIME, MOST_OVERTIME = 1.1, 0.8


@dataclasses.dataclass(frozen=True)
class Clock:
    """When a search has to end: after `began` (`time.perf_counter`), the options' timeout, or when it is asked to."""

    began: float
    options: FitOptions
    handle: FitHandle

    @property
    def elapsed(self) -> float:
        """Seconds since the fit began."""
        return time.perf_counter() - self.began

    def ends(self, state: SearchState, expected: float) -> str | None:
        """Why no round may begin that will take the `expected` seconds; None if it may."""
        elapsed, timeout = self.elapsed, self.options.timeout
        if self.handle.stopping:
            return "interrupted"
        if elapsed >= timeout or elapsed + expected > OVERTIME * timeout:
            return "timeout"
        return "rounds" if self.options.max_rounds is not None and state.round >= self.options.max_rounds else None

    def breaks(self, first: bool) -> bool:
        """Whether the round in progress has to be given up."""
        timeout = self.options.timeout
        late = not first and self.elapsed > min(OVERTIME * timeout, timeout + MOST_OVERTIME)
        return late or self.handle.stopping


def _search(
    states: Sequence[SearchState],
    rounds: Rounds,
    options: FitOptions,
    clock: Clock,
    seen: Callable[[SearchState], None],
    watcher: Watcher,
) -> Searched:
    """Rounds until the search is finished, the time or the rounds are spent, or someone stops it.

    Of several states, one for each noise model, the best after a few rounds goes on.
    """
    y = states[0].workspace.data.y
    if float(y.max()) == float(y.min()):
        return Searched(states[0], "converged", ())  # a constant target is its own law
    recent = deque([0.0], maxlen=3)

    def asked(state: SearchState) -> bool:
        watcher.tick()
        return clock.breaks(first=state.round == states[0].round)

    def advanced(state: SearchState, most: float) -> tuple[SearchState, str | None]:
        """The state after at most so many rounds, and why the search must end, None if it need not."""
        while not state.finished:
            why = clock.ends(state, min(recent))
            if why is not None or state.round >= most:
                return state, why
            before = clock.elapsed
            try:
                with until(partial(asked, state)):
                    state = rounds.step(state)
            except Stopped:
                return state, "interrupted" if clock.handle.stopping else "timeout"
            recent.append(clock.elapsed - before)
            seen(state)
            try:
                for callback in options.callbacks:
                    callback(state)
                for remark in tell("fit_progress", snapshot=state):
                    warnings.warn(remark, stacklevel=2)
            except KeyboardInterrupt:
                clock.handle.stop()
        return state, "converged"

    state, remarks = states[0], ()
    if len(states) > 1:
        state, remarks = _with_best_noise([advanced(one, PILOT_ROUNDS)[0] for one in states])
    state, status = advanced(state, math.inf)
    return Searched(state, status, remarks)


def _snapshot(state: SearchState, observations: Observations, clock: Clock) -> Snapshot:
    """What there is to be seen of a search."""
    front = state.front
    best = int(front.description_length.argmin())
    law = front.expressions[best]
    names, target = observations.names, str(observations.target)
    return Snapshot(
        phase=state.doing,
        rounds=state.round,
        candidates=state.refined,
        law=f"{target} = {to_text(law, names, digits=4)[0]}",
        latex=f"{label_latex(target)} = {to_latex(law, names, digits=4)}",
        complexity=tuple(front.complexity.tolist()),
        loss=tuple(front.loss.tolist()),
        best=best,
        elapsed=clock.elapsed,
    )


def _with_best_noise(states: Sequence[SearchState]) -> tuple[SearchState, tuple[SymRegWarning, ...]]:
    """The state that describes the observations in the fewest bits, its noise model's own parameters included.

    An exact law needs no noise model: then the first.
    """
    if states[0].exact:
        return states[0], ()
    half = 0.5 * math.log2(len(states[0].workspace.data))
    bits = {
        state.workspace.data.noise.name: float(state.front.description_length.min())
        + half * state.workspace.data.noise.degrees(state.workspace.data.sigma)
        for state in states
    }
    chosen, remark = likeliest(bits)
    state = next(state for state in states if state.workspace.data.noise.name == chosen)
    return state, () if remark is None else (remark,)


def _split(observations: Observations, held_out: int, seed: int) -> tuple[Observations, Observations | None]:
    """Rows to learn from and rows to judge by, drawn with the seed."""
    if not held_out:
        return observations, None
    order = np.random.default_rng(seed).permutation(len(observations.y))
    return observations.take(np.sort(order[held_out:])), observations.take(np.sort(order[:held_out]))


def _data(observations: Observations, noise: NoiseModel, device: torch.device) -> Data:
    x, y, sigma, errors = measured(observations, device)
    return Data(x, y, sigma, noise, errors)


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


def _unread(options: FitOptions, data: Data, names: Sequence[Hashable]) -> tuple[SymRegWarning, ...]:
    """The remark SELECTED, with the ranking, where the network cannot read as many features as there are.

    Raises
    ------
    InputError : the constraints require more features than it reads.
    """
    if options.network is None:
        return ()
    limit = read_header(options.network)[1].variables
    required = [name for name in (options.constraints or Constraints()).require if name in names]
    if len(required) > limit:
        raise InputError(
            f"{len(required)} features are required, but the network {str(options.network)!r} reads at most {limit}; "
            "require fewer, or use network=None"
        )
    if len(names) <= limit:
        return ()
    kept, dropped = (
        ", ".join(repr(names[i]) for i in part) for part in rank_features(data.x, data.y).tensor_split([limit])
    )
    text = (
        f"the network reads {limit} of the {len(names)} features: by relevance for the target {kept}, and not "
        f"{dropped}; the search uses all of them"
    )
    return (SymRegWarning("SELECTED", text),)


def _provenance(
    options: FitOptions, seed: int, device: torch.device, state: SearchState, operators: Any
) -> dict[str, Any]:
    """Everything needed to do it again."""
    network = None if options.network is None else read_header(find(options.network))[1].operators
    return {
        **versions(),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "random_state": seed,
        "network": None if options.network is None else str(options.network),
        "operators": [o.name for o in operators],
        "routes": {name: list(ways) for name, ways in routes(operators, network).items()},
        **options.asked,
        "candidates_refined": state.refined,
        "proposed": dict(state.proposed),
        "units": dict(options.units) if isinstance(options.units, Mapping) else options.units,
        "timeout": options.timeout,
        "max_rounds": options.max_rounds,
        "validation": options.validation,
    }
