"""The benchmark problems: records of the pack, and a record made into train and test rows.

SRBench's protocol (cavalab/srbench, experiment/evaluate_model.py): rows split 75/25; noise on the training target
only; the test rows stay clean. What is drawn depends on (seed, name) alone, so a problem is the same in any run.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch

from sr_accessor.errors import InputError, UnknownNameError, nearest
from sr_accessor.evaluation.rows import Variable, add_noise, grid_inputs, sample_inputs, split_indices
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.linear import linear_constants
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import Vocabulary

__all__ = ["SEEDS", "Certified", "Problem", "Record", "load", "read_records", "select", "stratified"]

#: The first of the seeds that SRBench uses for its trials.
SEEDS = (23654, 15795, 860, 5390, 16850, 29910, 4426, 21962, 14423, 28020)

_PACK = files("sr_accessor.evaluation") / "pack"
_VOCABULARY = Vocabulary(ELEMENTARY)


@dataclass(frozen=True)
class Certified:
    """What NIST certifies of a nonlinear regression.

    Parameters
    ----------
    model : formula in the variables and the parameters
    values, errors, starts : per parameter the certified value, its standard deviation, NIST's two starting values
    residual_sum_of_squares, residual_std : at the certified values
    """

    model: str
    values: Mapping[str, float]
    errors: Mapping[str, float]
    starts: Mapping[str, tuple[float, float]]
    residual_sum_of_squares: float
    residual_std: float


@dataclass(frozen=True)
class Record:
    """A problem as the pack states it; see pack/README.md for the fields."""

    suite: str
    name: str
    target: str
    formula: str | None
    variables: tuple[Variable, ...]
    rows: int  # training rows in the source
    test: tuple[tuple[Variable, ...], int] | None  # where the source tests elsewhere
    largest: float  # rows with larger |y| are drawn again
    table: str | None
    relative: bool  # constants far from 1: exactness is judged on values
    units: Mapping[str, str]  # of the variables and the target, by their physics; empty where the source has none
    certified: Certified | None
    source: str

    @property
    def features(self) -> list[str]:
        return [v.name for v in self.variables]

    @cached_property
    def expression(self) -> Expressions:
        """The formula as one expression with literal numbers.

        Raises
        ------
        InputError : the problem has no known formula.
        """
        if self.formula is None:
            raise InputError(f"problem {self.name!r} has no known formula; it can be scored by R² only")
        return parse(self.formula, _VOCABULARY, self.features, numbers="literal")

    @cached_property
    def has_inner_constant(self) -> bool:
        """Whether the formula, simplified, has a number other than an integer that no linear fit would find."""
        law = simplify_batch(parse(self.formula, _VOCABULARY, self.features, numbers="constant"))
        inner = law.free & ~linear_constants(law)
        return bool((inner & (law.constants != law.constants.round())).any())

    def values(self, inputs: pd.DataFrame) -> np.ndarray:
        """The formula at the rows of `inputs`; NaN or ±inf where it is not a real number."""
        x = torch.from_numpy(inputs[self.features].to_numpy(float, copy=True))
        return evaluate(self.expression, x)[0][0].numpy()

    def inputs(self, rows: int, seed: int, widen: float = 1.0) -> pd.DataFrame:
        """`rows` points on the ranges, or on ranges `widen` times as wide, which unmasks good approximations."""
        variables = [v if widen == 1.0 else v.widened(widen) for v in self.variables]
        return sample_inputs(variables, rows, np.random.default_rng(seed))


@dataclass(frozen=True)
class Problem:
    """A record with its rows.

    Parameters
    ----------
    train, test : frames with the features and the target; noise is on the training target only
    clean : (N,) the training target before noise
    seed, noise : what the rows were drawn with
    """

    record: Record
    train: pd.DataFrame
    test: pd.DataFrame
    clean: np.ndarray
    seed: int
    noise: float


@cache
def read_records() -> tuple[Record, ...]:
    """All records of the visible pack, in its order."""
    return tuple(_record(raw) for raw in json.loads((_PACK / "problems.json").read_text("utf-8")))


def select(suites: Collection[str] | None = None, names: Collection[str] | None = None) -> list[Record]:
    """Records of these suites and of these names; None is all.

    Raises
    ------
    UnknownNameError : no such suite or problem.
    """
    records = read_records()
    for what, wanted, known in (
        ("suite", suites, dict.fromkeys(r.suite for r in records)),
        ("problem", names, dict.fromkeys(r.name for r in records)),
    ):
        for name in wanted or ():
            if name not in known:
                raise UnknownNameError(f"no {what} {name!r}; {nearest(name, known, shown=20)}")
    return [r for r in records if (suites is None or r.suite in suites) and (names is None or r.name in names)]


def stratified(records: Sequence[Record], seed: int) -> list[Record]:
    """The records in an order of which every beginning holds each suite in about its share."""
    random = np.random.default_rng(seed)
    places = np.empty(len(records))
    suites = np.array([r.suite for r in records])
    for suite in dict.fromkeys(suites):
        inside = np.flatnonzero(suites == suite)
        places[inside] = (random.permutation(len(inside)) + random.uniform(size=len(inside))) / len(inside)
    return [records[i] for i in np.argsort(places, kind="stable")]


def load(
    record: Record,
    seed: int = SEEDS[0],
    noise: float = 0.0,
    *,
    max_train: int = 1000,
    points: str = "srbench",
    units: bool = False,
) -> Problem:
    """The rows of a problem.

    Parameters
    ----------
    seed : SRBench's trial seed; draws depend on it and on the record's name only
    noise : SRBench's γ, relative to the root mean square of the training target
    max_train : training rows at most (SRBench: 10,000; formulas are sampled afresh, so fewer are enough)
    points : "srbench" splits sampled rows or the table 75/25; "source" uses the row counts, grids and test
        ranges of the publication a formula comes from
    units : True writes the record's units into ``train.attrs["units"]``, where a fit finds them
    """
    random = np.random.default_rng([seed, zlib.crc32(record.name.encode())])
    if points == "source" and record.table is None:
        train = _source_rows(record, record.variables, record.rows, random)
        variables, rows = record.test or (record.variables, record.rows)
        test = _source_rows(record, variables, rows, random, gridded=record.test is not None)
    else:
        if record.table is not None:
            with (_PACK / record.table).open(encoding="utf-8") as file:
                frame = pd.read_csv(file)[[*record.features, record.target]]
        else:
            frame = _sampled(record, record.variables, math.ceil(max_train / 0.75), random)
        train, test = (frame.iloc[rows] for rows in split_indices(len(frame), seed))
        if len(train) > max_train:
            train = train.iloc[random.choice(len(train), max_train, replace=False)]
    train = train.reset_index(drop=True).astype(float)
    test = test.reset_index(drop=True).astype(float)
    clean = train[record.target].to_numpy(copy=True)
    train[record.target] = add_noise(clean, noise, random)
    if units:
        train.attrs["units"] = dict(record.units)
    return Problem(record, train, test, clean, seed, noise)


def _sampled(
    record: Record, variables: Sequence[Variable], rows: int, random: np.random.Generator, rounds: int = 200
) -> pd.DataFrame:
    """`rows` valid rows; those that are not finite or larger than the source allows are drawn again."""
    parts: list[pd.DataFrame] = []
    have, drawn, draw = 0, 0, max(64, rows)
    for _ in range(rounds):
        parts.append(_valid_rows(record, sample_inputs(variables, draw, random)))
        have, drawn = have + len(parts[-1]), drawn + draw
        if have >= rows:
            return pd.concat(parts, ignore_index=True).iloc[:rows]
        rate = max(have / drawn, 1e-3)
        draw = int(min(200_000, 1.2 * (rows - have) / rate + 64))
    raise InputError(f"{record.name}: only {have} of {rows} rows are valid after {drawn} draws")


def _valid_rows(record: Record, inputs: pd.DataFrame) -> pd.DataFrame:
    y = record.values(inputs)
    return inputs.assign(**{record.target: y})[np.isfinite(y) & (np.abs(y) < record.largest)]


def _source_rows(
    record: Record,
    variables: Sequence[Variable],
    rows: int,
    random: np.random.Generator,
    gridded: bool = True,
) -> pd.DataFrame:
    if gridded and all(v.distribution == "grid" for v in variables):
        return _valid_rows(record, grid_inputs(variables))
    return _sampled(record, variables, rows, random)


def _variables(raw: Sequence[Mapping]) -> tuple[Variable, ...]:
    return tuple(Variable(**v) for v in raw)


def _record(raw: Mapping) -> Record:
    test, certified = raw.get("test"), None
    if "model" in raw:
        parameters: Mapping[str, Mapping[str, float]] = raw["parameters"]
        certified = Certified(
            model=raw["model"],
            values=MappingProxyType({k: p["certified"] for k, p in parameters.items()}),
            errors=MappingProxyType({k: p["std_dev"] for k, p in parameters.items()}),
            starts=MappingProxyType({k: (p["start1"], p["start2"]) for k, p in parameters.items()}),
            residual_sum_of_squares=raw["certified"]["residual_sum_of_squares"],
            residual_std=raw["certified"]["residual_std_dev"],
        )
    return Record(
        suite=raw["suite"],
        name=raw["name"],
        target=raw["target"],
        formula=raw["formula"],
        variables=_variables(raw["variables"]),
        rows=raw["n_points"],
        test=(_variables(test["variables"]), test["n_points"]) if test else None,
        largest=raw.get("reject", {}).get("y_abs_max", math.inf),
        table=raw["data"],
        relative=raw.get("exact_rule") == "relative",
        units=MappingProxyType(raw.get("units", {})),
        certified=certified,
        source=raw["source"],
    )
