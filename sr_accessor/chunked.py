"""Chunked tables: a law searched on a sample, refined on all rows by sums over the chunks of a Dask table.

Rows are never gathered: a chunk gives its loss, slope and curvature (JᵀWJ, JᵀWr, χ²) for all laws at once, and only
these few numbers travel. A chunk that is lost with its worker is computed again by Dask.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from sr_accessor import regression
from sr_accessor.device import DTYPE, seed_of
from sr_accessor.errors import InputError, MissingDataError, OptionError, SymRegWarning
from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.expressions.description import constant_bits, literal_bits, structure_bits
from sr_accessor.known_law import KnownLaw
from sr_accessor.noise.gaussian import FLOOR, Gaussian
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import (
    LARGEST,
    SIDES,
    Observations,
    beside_roles,
    check_sigma,
    factors_of,
    read_beside,
    role_of,
)
from sr_accessor.options import FitOptions
from sr_accessor.refinement.levenberg_marquardt import solve_normal
from sr_accessor.refinement.likelihood import LawErrors, Parameters
from sr_accessor.refinement.pieces import CELLS, curvature
from sr_accessor.refining import refine_law
from sr_accessor.result import FitResult
from sr_accessor.scatter import noise_of, noises_of
from sr_accessor.search.front import Front
from sr_accessor.search.selection import MOST_ROWS, best_front
from sr_accessor.tables import as_labels, column, is_xarray, label_problems, numbers, obstacle, raise_all
from sr_accessor.uncertainty.laplace import Laplace

__all__ = ["fit_chunks", "in_memory", "on_workers", "refine_chunks"]

#: Laws of the shortest descriptions that are refined on all rows; of these, so many with their literals freed too.
MOST_LAWS, MOST_FREED = 6, 2
#: Passes over all rows at most; a step that promises fewer nats, or brings what it promised but for these, is the last.
PASSES, FLAT = 12, 0.01
#: Times at most that error bars which depend on the law are computed anew after its constants were refined.
ERROR_PASSES = 10
#: Damping after a step that made the loss worse, from none; and factors between the steps.
FIRST_DAMPING, LESS, MORE = 1e-2, 0.1, 10.0
#: Constants that move all values along less than this share of the others are not identifiable.
RANK_TOLERANCE = 1e-13


def fit_chunks(table: Any, target: Hashable, about: dict[str, Any], options: FitOptions) -> FitResult:
    """The law behind a chunked table: `sr_accessor.fit`.

    Parameters
    ----------
    table : Dask DataFrame, or Dataset or DataArray on Dask arrays
    about : keywords about the table, as `Observations.from_frame` takes them; error bars and weights as labels
    options : how to look; the seed draws the sample too

    Returns
    -------
    FitResult whose front was refined on all rows. Its plots and residual statistics are those of the sample; loss,
    criteria and errors of the constants those of all rows.

    Raises
    ------
    OptionError : error bars that are no label of a column and no number; a checkpoint.
    InputError, SigmaError, MissingDataError : an infinite value in some chunk, an error bar that is not positive, a
        missing value where none is allowed.
    """
    if options.checkpoint is not None:
        raise OptionError("checkpoint= keeps the rows, and those of a chunked table stay where they are; leave it out")
    seed = seed_of(options.random_state)
    options = dataclasses.replace(options, random_state=seed)
    drawn = _drawn(table, target, about, seed)
    result = regression.fit(drawn.observations, options)
    if result.status == "no_model" or drawn.whole:
        return result
    laws = sorted(range(len(result)), key=lambda i: result.front["mdl"][i])[:MOST_LAWS]
    expressions = [result[i].expression for i in laws]
    freed = [e.freed() for e in expressions[:MOST_FREED] if bool(e.freed().free.any())]
    origins = tuple(result[i].origin for i in laws) + tuple(result[i].origin for i in laws[: len(freed)])
    return _on_all_chunks(result, drawn, concatenate([*expressions, *freed]).trimmed(), origins, None)


def refine_chunks(
    table: Any, target: Hashable, law: KnownLaw, about: dict[str, Any], noise: Any, *, restarts: int, random_state: Any
) -> FitResult:
    """The parameters of a known law from all rows of a chunked table: `sr_accessor.refine`.

    The sample tells where the likeliest parameters are, sums over all rows what they are. Parameters, result and
    errors are as in `fit_chunks` and in `refining.refine_law`.
    """
    seed = seed_of(random_state)
    drawn = _drawn(table, target, about, seed)
    noises = noises_of(noise, drawn.observations)
    result = refine_law(drawn.observations, law, noises, restarts=restarts, random_state=seed)
    if drawn.whole:
        return result
    return _on_all_chunks(result, drawn, result[0].expression, (result[0].origin,), law.numbers)


def in_memory(table: Any, target: Hashable, about: dict[str, Any], by: Any) -> Any:
    """The rows of a chunked table brought together, for groups: of a DataFrame only the columns that matter.

    Parameters
    ----------
    by : labels of what tells the groups apart
    """
    if is_xarray(table):
        return table.compute()
    needed = _needed(table, target, about)
    if needed is not None:
        columns = list(table.columns)
        needed = list(dict.fromkeys([*needed, *(label for label in as_labels(by, columns) if label in columns)]))
    return (table if needed is None else table[needed]).compute()


def on_workers(function: Callable, given: Sequence[tuple]) -> list[Any]:
    """The function of each of the arguments, by the active client of `dask.distributed` or by Dask's threads.

    What is lost with a worker is done again by another one.
    """
    return _computed([_tasks(function, [first], *others)[0] for first, *others in given])


# ---------------------------------------------------------------------------- the table in chunks
def _as_frame(table: Any, own: Hashable) -> Any:
    """The table as a Dask DataFrame, one row per point."""
    if not is_xarray(table):
        return table
    table = table if hasattr(table, "data_vars") else table.to_dataset(name=own)
    raise_all(label_problems([own], list(table.variables)))
    dims = table[own].dims
    kept = [label for label, v in table.variables.items() if set(v.dims) <= set(dims) and v.dims]
    dataset = table[[label for label in kept if label in table.data_vars]].unify_chunks()
    units = {label: table[label].attrs["units"] for label in kept if "units" in table[label].attrs}
    frame = dataset.to_dask_dataframe(dim_order=list(dims))
    frame._meta.attrs["units"] = units
    return frame


@dataclass(frozen=True)
class _Columns:
    """What is read of every chunk.

    Parameters
    ----------
    target, names : labels of the law's columns
    roles : {what it is called: label or number} of what stands beside them
    factors : what these are multiplied by to be in the unit of the column whose errors they are
    nan_policy : what to do with missing values
    """

    target: Hashable
    names: tuple[Hashable, ...]
    roles: Mapping[str, Any]
    factors: Mapping[str, float]
    nan_policy: str


@dataclass(frozen=True)
class _Drawn:
    """A table in chunks and a sample of its rows.

    Parameters
    ----------
    parts : the chunks, delayed
    observations : the sample
    columns : what is read of every chunk
    whole : whether the sample is all there is
    """

    parts: Sequence[Any]
    observations: Observations
    columns: _Columns
    whole: bool


def _drawn(table: Any, target: Hashable, about: dict[str, Any], seed: int) -> _Drawn:
    """The chunks of a table, and a sample drawn from all of them by the seed."""
    frame = _as_frame(table, target)
    roles = _roles(about, list(frame.columns))
    needed = _needed(frame, target, about)
    parts = frame[needed].to_delayed() if needed is not None else frame.to_delayed()
    sizes = _computed(_tasks(len, parts))
    shares = _shares(sizes)
    plan = enumerate(zip(parts, shares, strict=True))
    drawn = _computed([_tasks(_sample, [part], share, (seed, i))[0] for i, (part, share) in plan])
    sample = pd.concat(drawn, ignore_index=True)
    sample.attrs.update(getattr(frame._meta, "attrs", {}))
    observations = Observations.from_frame(sample, target, **about)
    for remark in observations.remarks:
        if remark.code != "SKIPPED":
            warnings.warn(remark, stacklevel=5)
    factors = factors_of(sample, target, observations.names, roles, [])
    read = _Columns(target, observations.names, roles, factors, about["nan_policy"])
    return _Drawn(parts, observations, read, len(sample) == sum(sizes))


def _roles(about: dict[str, Any], known: list[Hashable]) -> dict[str, Any]:
    """What stands beside the columns of the law: columns of the chunks, or one number."""
    roles = beside_roles(about["sigma"], about["sigma_x"], about["sample_weight"], known)
    for role, given in roles.items():
        if not isinstance(given, str | int | float | tuple):
            raise OptionError(f"{role} of a chunked table is the label of a column, or one number; not {type(given)}")
    return roles


def _needed(frame: Any, target: Hashable, about: dict[str, Any]) -> list[Hashable] | None:
    """The columns that are read; None where all are."""
    if about["features"] is None:
        return None
    columns = list(frame.columns)
    features = about["features"] if isinstance(about["features"], list | tuple) else [about["features"]]
    beside = [given for given in _roles(about, columns).values() if given in columns]
    return list(dict.fromkeys([target, *features, *beside]))


def _tasks(function: Callable, parts: Sequence[Any], *given: Any) -> list[Any]:
    """function(part, *given) of every chunk, to be computed; what is given to all of them travels once."""
    import dask

    # Dask would look into every value, and name each task by all of its arguments, which takes longer than the task.
    shared = dask.delayed(given, traverse=False, pure=False)
    task = dask.delayed(_applied, pure=False)
    return [task(function, part, shared) for part in parts]


def _applied(function: Callable, part: Any, given: tuple) -> Any:
    return function(part, *given)


def _computed(tasks: Sequence[Any]) -> list[Any]:
    """Values of delayed tasks, by the active client or by Dask's threads."""
    import dask

    return list(dask.compute(*tasks))


def _shares(sizes: Sequence[int]) -> list[int]:
    """Rows of the sample from each chunk, in proportion to its rows; all where these are few."""
    total = sum(sizes)
    if total <= MOST_ROWS:
        return list(sizes)
    return [math.ceil(MOST_ROWS * size / total) for size in sizes]


def _sample(frame: pd.DataFrame, share: int, seed: tuple[int, int]) -> pd.DataFrame:
    """Some rows of one chunk, in their order."""
    rows = np.random.default_rng(seed).choice(len(frame), min(share, len(frame)), replace=False)
    return frame.iloc[np.sort(rows)]


# ---------------------------------------------------------------------------- sums over chunks
@dataclass(frozen=True)
class Sums:
    """What chunks know of F laws with P parameters, added up.

    Parameters
    ----------
    rows : complete rows; log_sigma : Σ log σ over them, (F,) where σ depends on the law
    loss : (F,) nats; of Gaussian noise ½χ² alone
    normal : (F, P, P) JᵀWJ; gradient : (F, P) JᵀWr
    """

    rows: int
    log_sigma: float | torch.Tensor
    loss: torch.Tensor
    normal: torch.Tensor
    gradient: torch.Tensor

    @classmethod
    def of(cls, parts: Sequence[Sums]) -> Sums:
        """The sum of several."""
        return cls(*(sum(getattr(part, field.name) for part in parts) for field in dataclasses.fields(cls)))

    def by(self, parameters: Parameters) -> Sums:
        """The same by parameters, of which each may stand at several numbers of the law."""
        places = torch.nn.functional.one_hot(parameters.index, len(parameters.lower)).to(self.normal)
        return dataclasses.replace(self, normal=places.T @ self.normal @ places, gradient=self.gradient @ places)


@dataclass(frozen=True)
class _Chunk:
    """The complete rows of one chunk, as `scatter.measured` gives those of a table."""

    x: torch.Tensor
    y: torch.Tensor
    sigma: torch.Tensor | None
    errors: LawErrors | None

    @classmethod
    def of(cls, frame: pd.DataFrame, read: _Columns) -> _Chunk:
        """Read and checked.

        Raises
        ------
        InputError, MissingDataError, SigmaError : a value that is infinite, missing or no error bar.
        """
        names, problems = read.names, []
        labels = [read.target, *names]
        columns = []
        for label in labels:
            series = column(frame, label)
            if (reason := obstacle(series)) is not None:
                raise InputError(f"column {label!r} {reason}")
            columns.append(numbers(series))
        beside = {role: read_beside(frame, given, role, problems) for role, given in read.roles.items()}
        raise_all(problems)
        table = np.stack(columns, axis=1)
        missing = np.isnan(table)
        if read.nan_policy == "raise" and missing.any():
            label = labels[int(missing.any(axis=0).argmax())]
            raise MissingDataError(f"column {label!r} has missing values; fill them, or leave out nan_policy='raise'")
        rows = ~missing.any(axis=1)
        table, beside = table[rows], {role: values[rows] * read.factors[role] for role, values in beside.items()}
        if (huge := np.abs(table) > LARGEST).any():
            label = labels[int(huge.any(axis=0).argmax())]
            raise InputError(
                f"column {label!r} reaches {np.abs(table).max():.3g} in a chunk; drop or rescale these rows"
            )
        weight = beside.pop("sample_weight", None)
        if weight is not None and not (weight >= 0).all():
            raise InputError("sample_weight has negative or missing values in a chunk")
        for role, values in beside.items():
            check_sigma(values, frame.index[rows], role, problems)
        raise_all(problems)
        if weight is not None:  # a row of weight 0 is no row
            table, beside = table[weight > 0], {role: values[weight > 0] for role, values in beside.items()}
            weight = weight[weight > 0]
        data, given = torch.from_numpy(table), {role: torch.from_numpy(values) for role, values in beside.items()}
        sigma, sides = given.get("sigma"), [given[side] for side in SIDES if side in given]
        if weight is not None:
            sigma = torch.from_numpy(weight).rsqrt()
        zeros = torch.zeros(len(data), dtype=DTYPE)
        of_x = [given.get(role_of(name), zeros) for name in names]
        errors = None
        if sides or any(role_of(name) in given for name in names):
            sides = sides or [sigma, sigma]
            errors = LawErrors(torch.stack(sides, 1), torch.stack(of_x, 1))
        return cls(data[:, 1:].contiguous(), data[:, 0].contiguous(), sigma, errors)


def _chunk_sums(
    frame: pd.DataFrame, expressions: Expressions, reference: Expressions, read: _Columns, noise: NoiseModel
) -> Sums:
    """The sums of one chunk; runs where the chunk is.

    Parameters
    ----------
    reference : the laws whose values and slopes say what the error bars are, where these depend on the law
    """
    chunk = _Chunk.of(frame, read)
    if chunk.errors is None:
        return _summed(expressions, chunk.x, chunk.y, chunk.sigma, noise)
    together, parts = max(1, CELLS // len(expressions)), []
    for start in range(0, max(1, len(chunk.y)), together):  # rows of which all laws' error bars fit the memory
        rows = slice(start, start + together)
        x, y = chunk.x[rows], chunk.y[rows]
        sigma, lacking = chunk.errors[rows].measure(reference, x, y)
        parts.append(_summed(expressions, x, y, sigma, noise, lacking))
    return Sums.of(parts)


def _summed(
    e: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    sigma: torch.Tensor | None,
    noise: NoiseModel,
    lacking: torch.Tensor | float = 0.0,
) -> Sums:
    """The sums of some rows; `lacking` as `LawErrors.measure` says."""
    log_sigma = 0.0 if sigma is None else sigma.log().sum(-1)
    if isinstance(noise, Gaussian):  # one scale of all chunks, not one of each: χ² adds up
        known = torch.ones_like(y) if sigma is None else sigma
        found = curvature(e, x, y, known, dataclasses.replace(noise, absolute=True))
        loss = found.loss - log_sigma - len(y) / 2 * math.log(2 * math.pi)
    else:
        found = curvature(e, x, y, sigma, noise)
        loss = found.loss + lacking
    return Sums(len(y), log_sigma + lacking, torch.where(found.valid, loss, torch.inf), found.normal, found.gradient)


def _on_all_chunks(
    result: FitResult, drawn: _Drawn, laws: Expressions, origins: tuple[str, ...], parameters: Parameters | None
) -> FitResult:
    """Laws of a fit of a sample refined on all rows by damped Newton steps; one pass for each step."""
    observations = drawn.observations
    noise = noise_of(result.provenance["noise"], observations)
    own = _alone(laws) if parameters is None else parameters

    def summed(e: Expressions, reference: Expressions) -> Sums:
        tasks = _tasks(_chunk_sums, drawn.parts, e, reference, drawn.columns, noise)
        return Sums.of(_computed(tasks)).by(own)

    stated = observations.sigma is not None and observations.absolute_sigma
    profiled = isinstance(noise, Gaussian) and not stated
    refined, now = _descended(laws, own, summed, profiled)
    if observations.sigma_sides is not None or observations.sigma_x is not None:
        for _ in range(ERROR_PASSES):
            before = own.values(refined.constants)
            refined, now = _descended(refined, own, summed, profiled)
            step = own.values(refined.constants) - before
            moved = (step[:, None] @ now.normal @ step[:, :, None])[:, 0, 0] / 2 * _nats(now, profiled)
            if not bool((moved > FLAT).any()):
                break
        now = summed(refined, refined)
    loss, scale = _likelihood(now, noise, observations)
    laplace = _laplace(refined, own, now, scale, noise, observations)
    held = torch.arange(refined.constants.shape[1]) < refined.number_counts[:, None]
    stderr = laplace.stderr[:, own.index]
    priced = torch.where(refined.free, constant_bits(refined.constants, stderr), literal_bits(refined.constants))
    bits = structure_bits(refined, len(observations.names)) + torch.where(held, priced, 0.0).sum(1)
    kept = loss.isfinite().nonzero()[:, 0]
    if not len(kept):
        told = "no law of the sample has a value in all rows; look at the rows where it fails, or constrain the law"
        warnings.warn(SymRegWarning("DOMAIN", told), stacklevel=5)
        return result
    all_laws = Front(refined[kept], loss[kept], bits[kept], tuple(origins[i] for i in kept.tolist()))
    front = best_front([all_laws])
    place = [_row_of(all_laws, front, i) for i in range(len(front))]
    return result.refined_elsewhere(front, laplace[kept][torch.tensor(place)], now.rows)


def _alone(e: Expressions) -> Parameters:
    """Each number as a parameter of its own, without bounds."""
    infinite = torch.full(e.constants.shape[1:], torch.inf, dtype=DTYPE)
    return Parameters(torch.arange(len(infinite)), -infinite, infinite, e.free, ("",) * len(infinite))


def _row_of(all_laws: Front, front: Front, row: int) -> int:
    """Which of all laws a row of the front is."""
    same = (all_laws.loss == front.loss[row]) & (all_laws.bits == front.bits[row])
    return int(same.nonzero()[0, 0])


def _descended(
    e: Expressions, p: Parameters, summed: Callable[[Expressions, Expressions], Sums], profiled: bool
) -> tuple[Expressions, Sums]:
    """Laws at their optimum over all rows and the sums there, with error bars as the laws have them at the start.

    Every pass gives loss, slope and curvature at the trial point; a law whose step did not help goes back, damped.

    Parameters
    ----------
    p : what the numbers of the laws are; one row of `free`, or one for each law
    summed : sums over all rows of some laws, with the error bars that others have
    profiled : whether the scale of Gaussian noise is unknown
    """
    start, free = e, p.free.expand(len(e), -1)
    now = summed(e, e)
    done = ~now.loss.isfinite() | ~free.any(1)
    damping = torch.zeros_like(now.loss)
    for _ in range(PASSES):
        rows = (~done).nonzero()[:, 0]
        if not len(rows):
            break
        unit = _nats(now, profiled)
        at, gradient = p.values(e.constants[rows]), now.gradient[rows]
        held = (at <= p.lower) & (gradient < 0) | (at >= p.upper) & (gradient > 0)
        moving = free[rows] & ~held
        normal = torch.where(moving[:, :, None] & moving[:, None, :], now.normal[rows], 0.0)
        gradient = torch.where(moving, gradient, 0.0)
        step = solve_normal(normal, gradient, damping[rows, None])
        step = torch.where(moving & step.isfinite(), step, 0.0)
        promised = (step * gradient).sum(1) / 2 * unit[rows]
        small = promised < FLAT
        done[rows[small]] = True
        rows, promised, at = rows[~small], promised[~small], (at + step)[~small].clamp(p.lower, p.upper)
        if not len(rows):
            break
        moved = e[rows].with_constants(at[:, p.index])
        there = summed(moved, start[rows])
        fall = (now.loss[rows] - there.loss) * unit[rows]
        better = fall > 0
        taken = rows[better]
        constants, parts = e.constants.clone(), [t.clone() for t in (now.loss, now.normal, now.gradient)]
        constants[taken] = moved.constants[better]
        for whole, part in zip(parts, (there.loss, there.normal, there.gradient), strict=True):
            whole[taken] = part[better]
        e, now = e.with_constants(constants), Sums(now.rows, now.log_sigma, *parts)
        damping[rows] = torch.where(better, damping[rows] * LESS, damping[rows].clamp(min=FIRST_DAMPING) * MORE)
        done[rows[better & ((fall - promised).abs() < FLAT)]] = True
    return e, now


def _nats(now: Sums, profiled: bool) -> torch.Tensor:
    """(F,) nats that a unit of the loss is worth.

    Of the profiled likelihood, N/2·log χ², so that steps are judged on the same scale with and without σ.
    """
    return now.rows / (2 * now.loss).clamp(min=1e-300) if profiled else torch.ones_like(now.loss)


def _likelihood(now: Sums, noise: NoiseModel, observations: Observations) -> tuple[torch.Tensor, torch.Tensor]:
    """(F,) nats over all rows, and (F,) what JᵀWJ is divided by to be Fisher's information."""
    if not isinstance(noise, Gaussian):
        return now.loss, torch.ones_like(now.loss)
    stated = observations.sigma is not None and observations.absolute_sigma
    half = now.rows / 2
    if stated:
        return now.loss + now.log_sigma + half * math.log(2 * math.pi), torch.ones_like(now.loss)
    measure = observations.y if observations.sigma is None else observations.y / observations.sigma
    size = FLOOR**2 * float(np.mean(np.square(measure)))
    square = (2 * now.loss / now.rows).clamp(min=size)
    loss = half * (math.log(2 * math.pi) + 1 + square.log()) + now.log_sigma
    return torch.where(now.loss.isfinite(), loss, torch.inf), square


def _laplace(
    e: Expressions, p: Parameters, now: Sums, scale: torch.Tensor, noise: NoiseModel, observations: Observations
) -> Laplace:
    """Covariance of the parameters from the sums of all rows."""
    free = p.off_bounds(e.constants).free
    normal = torch.where(free[:, :, None] & free[:, None, :], now.normal, 0.0)
    diagonal = normal.diagonal(dim1=1, dim2=2)
    size = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    unit = torch.where(normal.isfinite(), normal, 0.0) * size[:, :, None] * size[:, None, :]
    values, vectors = torch.linalg.eigh(unit)
    known = values > RANK_TOLERANCE * values[:, -1:].clamp(min=0)
    root = vectors * torch.where(known, values.clamp(min=1e-300).rsqrt(), 0.0)[:, None, :] * size[:, :, None]
    null = torch.where(known[:, None, :], 0.0, vectors) * free[:, :, None]
    degrees = now.rows - free.sum(1)
    variance = scale * now.rows / degrees.clamp(min=1) if float((scale - 1).abs().max()) > 0 else scale
    square = root @ root.mT * variance[:, None, None]
    told = free & (torch.linalg.vector_norm(null, dim=2) < 1e-6) & (diagonal > 0)
    square = torch.where(told[:, :, None] & told[:, None, :], square, torch.nan)
    absolute = noise.degrees(None if observations.sigma is None else torch.tensor(observations.sigma)) == 0
    return Laplace(
        square, square.diagonal(dim1=1, dim2=2).sqrt(), told, variance, degrees, absolute, root,
        null * size[:, :, None],
    )  # fmt: skip
