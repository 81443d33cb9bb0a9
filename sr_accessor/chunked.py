"""Chunked tables: a law searched on a sample, refined on all rows by sums over the chunks of a Dask table.

Rows are never gathered: a chunk gives its loss, slope and curvature (JᵀWJ, JᵀWr, χ²) for all laws at once, and only
these few numbers travel. A chunk that is lost with its worker is computed again by Dask.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from sr_accessor import regression
from sr_accessor.device import DTYPE, seed_of
from sr_accessor.errors import InputError, OptionError, SymRegWarning
from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.expressions.description import constant_bits, literal_bits, structure_bits
from sr_accessor.noise.gaussian import FLOOR, Gaussian
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import LARGEST, Observations
from sr_accessor.options import FitOptions
from sr_accessor.refinement.levenberg_marquardt import solve_normal
from sr_accessor.refinement.pieces import curvature
from sr_accessor.result import FitResult
from sr_accessor.scatter import noise_of
from sr_accessor.search.front import Front
from sr_accessor.search.selection import MOST_ROWS, best_front
from sr_accessor.tables import column, is_xarray, numbers, obstacle
from sr_accessor.uncertainty.laplace import Laplace

__all__ = ["fit_chunks"]

#: Laws of the shortest descriptions that are refined on all rows; of these, so many with their literals freed too.
MOST_LAWS, MOST_FREED = 6, 2
#: Passes over all rows at most; a step that promises fewer nats, or brings what it promised but for these, is the last.
PASSES, FLAT = 12, 0.01
#: Damping after a step that made the loss worse, from none; and factors between the steps.
FIRST_DAMPING, LESS, MORE = 1e-2, 0.1, 10.0
#: Constants that move all values along less than this share of the others are not identifiable.
RANK_TOLERANCE = 1e-13


def fit_chunks(table: Any, target: Hashable | None, about: dict[str, Any], options: FitOptions) -> FitResult:
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
    OptionError : error bars that are no label of a column and no number.
    InputError : an infinite value in some chunk.
    """
    frame, target = _as_frame(table, target, about["features"])
    _check_labels(about)
    seed = seed_of(options.random_state)
    options = dataclasses.replace(options, random_state=seed)
    needed = _needed(frame, target, about)
    parts = frame[needed].to_delayed() if needed is not None else frame.to_delayed()
    sizes = _computed([_delayed(len)(part) for part in parts])
    shares = _shares(sizes)
    plan = enumerate(zip(parts, shares, strict=True))
    drawn = _computed([_delayed(_sample)(part, share, (seed, i)) for i, (part, share) in plan])
    sample = pd.concat(drawn, ignore_index=True)
    sample.attrs.update(getattr(frame._meta, "attrs", {}))
    observations = Observations.from_frame(sample, target, **about)
    for remark in observations.remarks:
        if remark.code != "SKIPPED":
            warnings.warn(remark, stacklevel=4)
    result = regression.fit(observations, options)
    if result.status == "no_model" or len(sample) == sum(sizes):
        return result
    return _on_all_chunks(result, parts, about)


# ---------------------------------------------------------------------------- the table in chunks
def _as_frame(table: Any, target: Hashable | None, features: Any) -> tuple[Any, Hashable]:
    """The table as a Dask DataFrame, one row per point."""
    if not is_xarray(table):
        if target is None:
            raise OptionError('no target is given; name the measured column: fit(table, "y")')
        return table, target
    own = target
    if not hasattr(table, "data_vars"):
        own = "y" if table.name is None else table.name
        table = table.to_dataset(name=own)
    dims = table[own].dims
    kept = [label for label, v in table.variables.items() if set(v.dims) <= set(dims) and v.dims]
    dataset = table[[label for label in kept if label in table.data_vars]].unify_chunks()
    units = {label: table[label].attrs["units"] for label in kept if "units" in table[label].attrs}
    frame = dataset.to_dask_dataframe(dim_order=list(dims))
    frame._meta.attrs["units"] = units
    return frame, own


def _check_labels(about: dict[str, Any]) -> None:
    """Error bars and weights stand in columns of the chunks, or are one number."""
    for role in ("sigma", "sample_weight"):
        given = about[role]
        if not (given is None or isinstance(given, str | int | float)):
            raise OptionError(f"{role} of a chunked table is the label of a column, or one number; not {type(given)}")
    if about["sigma_x"] is not None:
        raise OptionError("sigma_x of a chunked table is not read; fit a sample: fit(table.sample(...).compute())")


def _needed(frame: Any, target: Hashable, about: dict[str, Any]) -> list[Hashable] | None:
    """The columns that are read; None where all are."""
    if about["features"] is None:
        return None
    features = about["features"] if isinstance(about["features"], list | tuple) else [about["features"]]
    beside = [about[role] for role in ("sigma", "sample_weight") if about[role] in list(frame.columns)]
    return list(dict.fromkeys([target, *features, *beside]))


def _delayed(function: Callable) -> Callable:
    import dask

    return dask.delayed(function, pure=True)


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
    """What chunks know of F laws, added up.

    Parameters
    ----------
    rows : complete rows; log_sigma : Σ log σ over them
    loss : (F,) nats; of Gaussian noise ½χ² alone
    normal : (F, K, K) JᵀWJ; gradient : (F, K) JᵀWr
    """

    rows: int
    log_sigma: float
    loss: torch.Tensor
    normal: torch.Tensor
    gradient: torch.Tensor

    @classmethod
    def of(cls, parts: Sequence[Sums]) -> Sums:
        """The sum of several."""
        return cls(*(sum(getattr(part, field.name) for part in parts) for field in dataclasses.fields(cls)))


def _chunk_sums(
    frame: pd.DataFrame, expressions: Expressions, observations: Observations, about: dict[str, Any], noise: NoiseModel
) -> Sums:
    """The sums of one chunk; runs where the chunk is.

    Raises
    ------
    InputError : an infinite value.
    """
    names, target = observations.names, observations.target
    beside = about["sigma"] if about["sigma"] is not None else about["sample_weight"]
    labels = [target, *names, *([beside] if isinstance(beside, str) or beside in list(frame.columns) else [])]
    columns = []
    for label in labels:
        series = column(frame, label)
        if (reason := obstacle(series)) is not None:
            raise InputError(f"column {label!r} {reason}")
        columns.append(numbers(series))
    table = np.stack(columns, axis=1) if len(frame) else np.empty((0, len(columns)))
    table = table[~np.isnan(table).any(axis=1)]
    if (huge := np.abs(table) > LARGEST).any():
        label = labels[int(huge.any(axis=0).argmax())]
        raise InputError(f"column {label!r} reaches {np.abs(table).max():.3g} in a chunk; drop or rescale these rows")
    data = torch.from_numpy(np.ascontiguousarray(table))
    y, x = data[:, 0], data[:, 1 : 1 + len(names)].contiguous()
    if beside is None:
        sigma = None
    else:
        given = data[:, -1] if len(labels) > 1 + len(names) else torch.full_like(y, float(beside))
        sigma = given if about["sigma"] is not None else given.clamp(min=torch.finfo(DTYPE).tiny).rsqrt()
    log_sigma = 0.0 if sigma is None else float(sigma.log().sum())
    if isinstance(noise, Gaussian):  # one scale of all chunks, not one of each: χ² adds up
        known = torch.ones_like(y) if sigma is None else sigma
        found = curvature(expressions, x, y, known, dataclasses.replace(noise, absolute=True))
        loss = found.loss - float(known.log().sum()) - len(y) / 2 * math.log(2 * math.pi)
    else:
        found = curvature(expressions, x, y, sigma, noise)
        loss = found.loss
    loss = torch.where(found.valid, loss, torch.inf)
    return Sums(len(y), log_sigma, loss, found.normal, found.gradient)


def _on_all_chunks(result: FitResult, parts: Sequence[Any], about: dict[str, Any]) -> FitResult:
    """The shortest laws of a fit of a sample, refined on all rows by damped Newton steps; one pass for each step."""
    observations, noise = result.observations, noise_of(result.provenance["noise"], result.observations)
    laws = sorted(range(len(result)), key=lambda i: result.front["mdl"][i])[:MOST_LAWS]
    expressions = [result[i].expression for i in laws]
    freed = [e.freed() for e in expressions[:MOST_FREED] if bool(e.freed().free.any())]
    laws_F = concatenate([*expressions, *freed]).trimmed()
    origins = tuple(result[i].origin for i in laws) + tuple(result[i].origin for i in laws[: len(freed)])

    def summed(e: Expressions) -> Sums:
        task = _delayed(_chunk_sums)
        return Sums.of(_computed([task(part, e, observations, about, noise) for part in parts]))

    refined, now = _descended(laws_F, summed, noise, about["sigma"] is not None and observations.absolute_sigma)
    loss, scale = _likelihood(now, noise, observations)
    laplace = _laplace(refined, now, scale, noise, observations)
    held = torch.arange(refined.constants.shape[1]) < refined.number_counts[:, None]
    free = refined.free
    priced = torch.where(free, constant_bits(refined.constants, laplace.stderr), literal_bits(refined.constants))
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


def _row_of(all_laws: Front, front: Front, row: int) -> int:
    """Which of all laws a row of the front is."""
    same = (all_laws.loss == front.loss[row]) & (all_laws.bits == front.bits[row])
    return int(same.nonzero()[0, 0])


def _descended(
    e: Expressions, summed: Callable[[Expressions], Sums], noise: NoiseModel, stated: bool
) -> tuple[Expressions, Sums]:
    """Laws at their optimum over all rows and the sums there.

    Every pass gives loss, slope and curvature at the trial point; a law whose step did not help goes back, damped.
    """
    now = summed(e)
    done = ~now.loss.isfinite() | ~e.free.any(1)
    damping = torch.zeros_like(now.loss)
    for _ in range(PASSES):
        rows = (~done).nonzero()[:, 0]
        if not len(rows):
            break
        # Nats of the profiled likelihood: N/2·log χ², so that steps are judged on the same scale with and without σ.
        unit = torch.ones_like(now.loss)
        if isinstance(noise, Gaussian) and not stated:
            unit = now.rows / (2 * now.loss).clamp(min=1e-300)
        step = solve_normal(now.normal[rows], now.gradient[rows], damping[rows, None])
        step = torch.where(e.free[rows] & step.isfinite(), step, 0.0)
        promised = (step * now.gradient[rows]).sum(1) / 2 * unit[rows]
        small = promised < FLAT
        done[rows[small]] = True
        rows, step, promised = rows[~small], step[~small], promised[~small]
        if not len(rows):
            break
        moved = e[rows].with_constants(e.constants[rows] + step)
        there = summed(moved)
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


def _laplace(e: Expressions, now: Sums, scale: torch.Tensor, noise: NoiseModel, observations: Observations) -> Laplace:
    """Covariance of the constants from the sums of all rows."""
    free, normal = e.free, now.normal
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
