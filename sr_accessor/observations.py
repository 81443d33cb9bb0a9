"""Observations: what was measured, as float64 arrays with names, units and error bars; checked once.

Every complaint about the data is made here, before torch is loaded. It does not know how a law is found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from sr_accessor.errors import (
    ColumnError,
    InputError,
    MissingDataError,
    OptionError,
    SigmaError,
    SymRegError,
    SymRegWarning,
    UnitError,
    nearest,
)
from sr_accessor.tables import (
    as_labels,
    broadcast,
    column,
    frame_from,
    is_label,
    is_quantity,
    is_xarray,
    kind_of,
    label_problems,
    nominal,
    numbers,
    obstacle,
    raise_all,
    text_number,
    uncertain,
    unit_of,
    variables_of,
)
from sr_accessor.units import Unit, parse_unit, pint_text

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FEWEST_ROWS",
    "SIDES",
    "Inputs",
    "Observations",
    "beside_roles",
    "check_sigma",
    "conversion",
    "factors_of",
    "inputs_of",
    "read_beside",
    "role_of",
]

#: Fewer points than this fit a straight line whatever was measured.
FEWEST_ROWS = 3
#: Beyond this a sum of squares overflows double precision (1.8e308).
LARGEST = 1e150
#: Magnitudes outside of these cost digits in sums and steps.
SMALL, LARGE = 1e-12, 1e12
#: Rows that are put side by side at once.
BLOCK = 4096
#: A correlation with the target closer to 1 than this is a copy, not a measurement.
LEAK = 1e-12
#: Attributes with an entry for every row, or None.
BY_ROW = ("x", "y", "sigma", "sample_weight", "rows", "sigma_sides", "sigma_x")


@dataclass(frozen=True, eq=False)
class Observations:
    """N points of D variables, checked and complete: no missing value, no infinity, no constant variable.

    Arrays are read-only copies; ``torch.tensor(x)`` copies them, ``torch.from_numpy`` would warn.

    Parameters
    ----------
    x : (N, D) float64, C-contiguous, in the user's units
    y : (N,) float64, the target
    sigma : (N,) positive, the standard error of each y, or None; the mean of the two sides where these differ
    sample_weight : (N,) factors of the squared residuals, or None; rows of weight 0 are left out
    names, target : the caller's own labels of the D variables and of y
    units, target_unit : as plain text, None where unknown; durations are in "s"
    rows : (N,) positions of the points in the caller's table; -1 of rows of another one, held out to judge by
    dropped : {label: number of missing values}; empty if every row is complete
    remarks : warnings about the data (DROPPED, CONSTANT, LEAK, SCALE, TEXT) and the note SKIPPED
    sigma_sides : (N, 2) standard errors downwards and upwards, or None where they are equal
    sigma_x : (N, D) standard errors of x, 0 where x is exact, or None
    absolute_sigma : whether sigma is in units of y, or only its ratios count; True exactly if sigma is given
    sample_of : rows of the table that these are a sample of, where laws were refined on all of it; None: these are all
    """

    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray | None
    sample_weight: np.ndarray | None
    names: tuple[Hashable, ...]
    target: Hashable
    units: tuple[str | None, ...]
    target_unit: str | None
    rows: np.ndarray
    dropped: Mapping[Hashable, int]
    remarks: tuple[SymRegWarning, ...]
    sigma_sides: np.ndarray | None = None
    sigma_x: np.ndarray | None = None
    absolute_sigma: bool = False
    sample_of: int | None = None

    def __post_init__(self) -> None:
        for name in BY_ROW:
            if (array := getattr(self, name)) is not None:
                array.setflags(write=False)

    def __repr__(self) -> str:
        return f"Observations({self.target!r} from {', '.join(map(repr, self.names))}; {len(self.y)} rows)"

    @property
    def count(self) -> int:
        """N"""
        return len(self.y)

    @property
    def total(self) -> int:
        """Rows that the laws were refined on: N, or those of the whole table."""
        return self.count if self.sample_of is None else self.sample_of

    @property
    def has_sigma(self) -> bool:
        """Whether error bars are given."""
        return self.sigma is not None

    @property
    def has_weight(self) -> bool:
        """Whether rows are weighted."""
        return self.sample_weight is not None

    @cached_property
    def low(self) -> np.ndarray:
        """(D,) least value of each variable."""
        return self.x.min(0)

    @cached_property
    def high(self) -> np.ndarray:
        """(D,) largest value of each variable."""
        return self.x.max(0)

    @cached_property
    def variance(self) -> float:
        """Mean squared deviation of y from its mean."""
        return float(np.var(self.y))

    @cached_property
    def data_hash(self) -> str:
        """sha256 of labels and values: equal exactly for equal data, in hexadecimal."""
        digest = hashlib.sha256(repr((self.target, self.names, self.x.shape)).encode())
        for array in (self.x, self.y, self.sigma, self.sample_weight, self.sigma_sides, self.sigma_x):
            digest.update(b"-" if array is None else np.ascontiguousarray(array, "<f8"))
        return digest.hexdigest()

    def take(self, rows: np.ndarray) -> Observations:
        """Some of the rows, by number."""
        given = {name: getattr(self, name) for name in BY_ROW}
        return replace(self, **{name: None if a is None else a[rows] for name, a in given.items()})

    def in_units(self, units: Mapping[Hashable, str | None]) -> Observations:
        """The same numbers in these units, {label: unit}; a column of which either unit is unknown stays as it is.

        Raises
        ------
        UnitError : columns in units that cannot be converted.
        """
        given = dict(zip((*self.names, self.target), (*self.units, self.target_unit), strict=True))
        factors = {name: conversion(name, unit, units) for name, unit in given.items()}
        raise_all([factor for factor in factors.values() if isinstance(factor, UnitError)])
        own, x = factors.pop(self.target), np.array(list(factors.values()))
        scales = {"x": x, "sigma_x": x, "y": own, "sigma": own, "sigma_sides": own}
        arrays = {name: getattr(self, name) for name in scales}
        arrays = {name: array if array is None else array * scales[name] for name, array in arrays.items()}
        told = {name: units.get(name) or unit for name, unit in given.items()}
        return replace(self, **arrays, units=tuple(told[name] for name in self.names), target_unit=told[self.target])

    def with_features(self, kept: Sequence[int]) -> Observations:
        """All rows, and of the variables those with these numbers."""
        if len(kept) == len(self.names):
            return self
        names, units = (tuple(given[i] for i in kept) for given in (self.names, self.units))
        x, of_x = (a if a is None else np.ascontiguousarray(a[:, kept]) for a in (self.x, self.sigma_x))
        return replace(self, x=x, sigma_x=of_x, names=names, units=units)

    @classmethod
    def of(cls, table: Any, target: Hashable, features: Any = None, **about: Any) -> Observations:
        """Rows of a DataFrame, Dataset or DataArray: `from_frame` or `from_xarray`.

        Raises
        ------
        OptionError : another kind of table.
        """
        if is_xarray(table):
            return cls.from_xarray(table, target, features, **about)
        if isinstance(table, pd.DataFrame):
            return cls.from_frame(table, target, features, **about)
        raise OptionError(
            f"cannot fit a {kind_of(table)}; give a pandas DataFrame or GroupBy, or an xarray Dataset or DataArray"
        )

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        target: Hashable,
        features: Any = None,
        *,
        sigma: Any = None,
        sigma_x: Mapping[Hashable, Any] | None = None,
        absolute_sigma: bool | None = None,
        sample_weight: Any = None,
        nan_policy: str = "omit",
        keep_constant: bool = False,
    ) -> Observations:
        """Columns of a frame, which stays as it is.

        Parameters
        ----------
        target : label of the measured quantity
        features : label or list of labels; None takes every other column of numbers. Columns of the package
            ``uncertainties`` bring their errors along: sigma of the target, sigma_x of a feature, where none is given
        sigma : standard error of y: a label, one number, or N numbers in the order of the rows; a tuple of two such
            is the error downwards and upwards
        sigma_x : {feature: standard error of it}, each like sigma; needs sigma
        absolute_sigma : False takes only the ratios of sigma; None is True exactly if sigma is given
        sample_weight : factor of each squared residual, not negative: a label or N numbers
        nan_policy : "omit" leaves out rows with a missing value and counts them, "raise" raises
        keep_constant : whether features that do not vary stay, as for a law that is known

        Raises
        ------
        ColumnError : a label is not there.
        MissingDataError : missing values and nan_policy="raise", or no row is complete.
        SigmaError : sigma is not positive, or not one per row.
        InputError : anything else that cannot be used.
        """
        if nan_policy not in ("omit", "raise"):
            raise InputError(f"nan_policy={nan_policy!r} is not known; {nearest(nan_policy, ('omit', 'raise'))}")
        frame, sigma, sigma_x = _with_own_errors(frame, target, features, sigma, sigma_x, sample_weight)
        known = list(frame.columns)
        _check_errors(sigma, sigma_x, absolute_sigma, sample_weight)
        beside = beside_roles(sigma, sigma_x, sample_weight, known)
        for role, given in beside.items():
            if isinstance(given, Real) and _label_in(given, known):
                told = f"{role}={given!r} is a number and also a column; give df[{given!r}] or {float(given)!r}"
                raise SigmaError(told)
            if isinstance(given, str) and given.endswith("%") and given not in known:
                told = f"of relative errors give sigma=0.02*df[{target!r}].abs(), or noise='multiplicative' finds them"
                raise SigmaError(f"{role}={given!r} is no column; {told}")
        names, notes = _choose(frame, target, features, *(_label_in(given, known) for given in beside.values()))
        if lost := [label for label in sigma_x or () if label not in names]:
            raise ColumnError(f"sigma_x names {lost[0]!r}, which is no feature; {nearest(lost[0], names)}")

        problems: list[SymRegError] = []
        read = {label: _read(frame, label, problems) for label in (target, *names)}
        errors = {role: read_beside(frame, given, role, problems) for role, given in beside.items()}
        factors = factors_of(frame, target, names, beside, problems)
        raise_all(problems)
        weight = errors.pop("sample_weight", None)
        errors = {role: values if factors[role] == 1 else values * factors[role] for role, values in errors.items()}

        looked_at = read if weight is None else {**read, "sample_weight": weight}
        rows, dropped, remarks = _complete_rows(frame.index, looked_at, nan_policy)
        if weight is not None:
            rows, weight, told = _that_count(weight[rows], rows, frame.index)
            remarks += told
        y, columns = read.pop(target)[rows], {name: _those(read.pop(name), rows) for name in names}
        errors = {role: values[rows] for role, values in errors.items()}
        for role, values in errors.items():
            check_sigma(values, frame.index[rows], role, problems)
        raise_all(problems)
        _check_precision(y, errors, frame.index[rows], problems)
        raise_all(problems)
        sides = [errors[role] for role in SIDES if role in errors]
        spread = errors.get("sigma") if not sides else np.mean(sides, axis=0)
        kept = tuple(name for name, values in columns.items() if keep_constant or values.min() < values.max())
        spread_x = [errors.get(role_of(name), np.zeros(len(rows))) for name in kept] if sigma_x else None
        follows = (
            "it does not tell the parameters of a law that varies" if keep_constant else "the law is that constant"
        )
        remarks += _remarks({} if keep_constant else columns, y, target, follows)
        remarks += _scales({target: y, **columns})
        if not kept:
            raise InputError(
                f"no feature varies: {', '.join(map(repr, names))} "
                f"{'is' if len(names) == 1 else 'are'} constant over the {len(y)} rows; add one that does"
            )
        units = {label: unit_of(label, frame.attrs, column(frame, label)) for label in (target, *names)}
        return cls(
            x=_side_by_side([columns[name] for name in kept]),
            y=y,
            sigma=spread,
            sample_weight=weight,
            names=kept,
            target=target,
            units=tuple(units[name] for name in kept),
            target_unit=units[target],
            rows=rows,
            dropped=MappingProxyType(dropped),
            remarks=(*notes, *remarks),
            sigma_sides=np.column_stack(sides) if sides else None,
            sigma_x=_side_by_side(spread_x) if spread_x else None,
            absolute_sigma=sigma is not None if absolute_sigma is None else absolute_sigma,
        )

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        names: Any = None,
        target: Hashable = "y",
        **beside: Any,
    ) -> Observations:
        """Points x (N, D) or (N,) and values y (N,); `names` default to x0, x1, … `beside` is as in `from_frame`."""
        x, y = np.asarray(x), np.asarray(y)
        x = x[:, None] if x.ndim == 1 else x
        if x.ndim != 2 or y.shape != x.shape[:1]:
            raise InputError(f"x has shape {x.shape} and y {y.shape}; give x as (N, D) or (N,) and y as (N,)")
        labels = [f"x{j}" for j in range(x.shape[1])] if names is None else list(names)
        if len(labels) != x.shape[1]:
            raise InputError(f"{len(labels)} names for the {x.shape[1]} columns of x; give one for each")
        if target in labels:
            raise InputError(f"target {target!r} is also among the names {labels!r}; call it something else")
        raise_all(label_problems(labels, labels))
        frame = frame_from({label: x[:, j] for j, label in enumerate(labels)} | {target: y})
        return cls.from_frame(frame, target, labels, **beside)

    @classmethod
    def from_xarray(
        cls,
        table: xr.Dataset | xr.DataArray,
        target: Hashable,
        features: Any = None,
        *,
        sigma: Any = None,
        sigma_x: Mapping[Hashable, Any] | None = None,
        absolute_sigma: bool | None = None,
        sample_weight: Any = None,
        nan_policy: str = "omit",
        keep_constant: bool = False,
    ) -> Observations:
        """Variables and coordinates by name, broadcast against each other; each point is a row.

        `features` None takes all that have dimensions, and none that the target lacks; errors and `sample_weight`
        may also be a DataArray that broadcasts. The rest is as in `from_frame`.
        """
        variables = variables_of(table)
        raise_all(label_problems([_one(target)], list(variables)))
        if features is None:
            allowed = set(variables[target].dims)
            wanted = [label for label, v in variables.items() if v.dims and allowed.issuperset(v.dims)]
        else:
            wanted = as_labels(features, list(variables))
        _check_errors(sigma, sigma_x, absolute_sigma, sample_weight)
        roles = beside_roles(sigma, sigma_x, sample_weight, list(variables))
        beside = {role: a for role, a in roles.items() if is_xarray(a)}
        for role, given in roles.items():
            if role not in beside:
                wanted += _label_in(given, list(variables))
        raise_all(label_problems(wanted, list(variables)))
        frame, _ = broadcast(
            {label: variables[label] for label in dict.fromkeys((target, *wanted))}
            | {_Beside(role): array for role, array in beside.items()}
        )
        problems: list[SymRegError] = []
        factors = factors_of(frame, target, list(sigma_x or ()), {role: _Beside(role) for role in beside}, problems)
        raise_all(problems)
        roles |= {role: column(frame, _Beside(role)).to_numpy() * factors[role] for role in beside}
        frame = frame.loc[:, [not isinstance(label, _Beside) for label in frame.columns]]
        return cls.from_frame(
            frame,
            target,
            features,
            sigma=tuple(roles[side] for side in SIDES) if SIDES[0] in roles else roles.get("sigma"),
            sigma_x=None if sigma_x is None else {label: roles[role_of(label)] for label in sigma_x},
            absolute_sigma=absolute_sigma,
            sample_weight=roles.get("sample_weight"),
            nan_policy=nan_policy,
            keep_constant=keep_constant,
        )


def _with_own_errors(
    frame: pd.DataFrame, target: Hashable, features: Any, sigma: Any, sigma_x: Any, sample_weight: Any
) -> tuple[pd.DataFrame, Any, Any]:
    """The frame with plain numbers in the place of values with errors, and these errors where none are given."""
    known = list(frame.columns)
    found = {i: uncertain(frame.iloc[:, i]) for i, dtype in enumerate(frame.dtypes) if types.is_object_dtype(dtype)}
    found = {i: errors for i, errors in found.items() if errors is not None}
    if not found:
        return frame, sigma, sigma_x
    wanted = known if features is None else as_labels(features, known)
    plain = {i: nominal(frame.iloc[:, i]) if i in found else frame.iloc[:, i] for i in range(len(known))}
    made = pd.concat(plain, axis=1)
    made.columns = frame.columns
    made.attrs.update(frame.attrs)
    of_x = dict(sigma_x or {})
    for i, errors in found.items():
        if known[i] == target and sigma is None and sample_weight is None and errors.any():
            sigma = errors
        elif known[i] != target and known[i] in wanted and errors.any():
            of_x.setdefault(known[i], errors)
    return made, sigma, of_x or None


class _Beside(NamedTuple):
    """Label of an array that has a role but no name: never equal to a label of the caller."""

    role: str

    def __repr__(self) -> str:
        return self.role


class Inputs(NamedTuple):
    """Inputs of a law read from a table, and the way back.

    Parameters
    ----------
    x : (N, D) float64; NaN where missing
    template : an empty prediction: a Series with the table's index, or a DataArray on the coordinates of the inputs
    """

    x: np.ndarray
    template: Any

    def like(self, values: np.ndarray) -> Any:
        """Values (N,) as a prediction beside the table; NaN where an input is missing."""
        values = np.where(np.isnan(self.x).any(axis=1), np.nan, values)
        if isinstance(self.template, pd.Series):
            return pd.Series(values, index=self.template.index, name=self.template.name)
        return self.template.copy(data=values.reshape(self.template.shape))


def inputs_of(
    table: Any, names: tuple[Hashable, ...], target: Hashable, units: Mapping[Hashable, str | None] | None = None
) -> Inputs:
    """The columns or variables `names` of a table, in this order, for a prediction that will be called `target`.

    Other columns do not matter, except that dimensions come in the order of the variable `target` where there is one.

    Parameters
    ----------
    units : {label: the unit that the law was fitted in}; a column that comes in another unit is converted, one of
        which either unit is unknown is taken as it is

    Raises
    ------
    ColumnError : labels that are missing, all of them.
    UnitError : columns in units that cannot be converted.
    InputError : columns that are not numbers.
    OptionError : not a DataFrame, Dataset or DataArray.
    """
    if is_xarray(table):
        variables = variables_of(table)
        raise_all(label_problems(names, list(variables)))
        dims = variables[target].dims if target in variables else ()
        frame, template = broadcast({name: variables[name] for name in names}, dims)
        beside = [label for label, c in table.coords.items() if set(c.dims) <= set(template.dims)]
        coords = table.coords.to_dataset()[beside].coords
        template = type(template)(np.full(template.shape, np.nan), coords, template.dims, target)
    elif isinstance(table, pd.DataFrame):
        raise_all(label_problems(names, list(table.columns)))
        frame, template = table, pd.Series(np.nan, index=table.index, name=target)
    else:
        raise OptionError(f"{kind_of(table)} has no columns; give a pandas DataFrame or an xarray Dataset or DataArray")
    columns = {name: column(frame, name) for name in names}
    reasons = {name: obstacle(series) for name, series in columns.items()}
    raise_all([InputError(f"column {name!r} {reason}") for name, reason in reasons.items() if reason is not None])
    factors = {name: conversion(name, unit_of(name, frame.attrs, columns[name]), units) for name in names}
    raise_all([factor for factor in factors.values() if isinstance(factor, UnitError)])
    return Inputs(np.column_stack([numbers(columns[name]) * factors[name] for name in names]), template)


def conversion(name: Hashable, given: str | None, units: Mapping[Hashable, str | None] | None) -> float | UnitError:
    """What the numbers of a column are multiplied by to be in the law's unit; or why they cannot be."""
    wanted = (units or {}).get(name)
    if wanted is None or given is None or wanted == given:
        return 1.0
    try:
        theirs, ours = parse_unit(given), parse_unit(wanted)
    except UnitError as error:
        return UnitError(f"column {name!r} is in {given!r}, the law was fitted in {wanted!r}: {error}")
    if not theirs.same_dimensions(ours):
        return UnitError(f"column {name!r} is in {given!r}, which is no {wanted!r}, the unit the law was fitted in")
    return theirs.factor / ours.factor


# ---------------------------------------------------------------------------- which columns


def _label_in(given: Any, known: list[Hashable]) -> list[Hashable]:
    """[given] if it names a column, else []; a text always means a column."""
    if given is None or isinstance(given, float) or not is_label(given):
        return []
    return [given] if isinstance(given, str) or given in set(known) else []


#: What error bars of two sides are called in messages.
SIDES = ("sigma (downwards)", "sigma (upwards)")


def role_of(label: Hashable) -> str:
    """What the error bars of a feature are called in messages."""
    return f"sigma_x[{label!r}]"


def _check_errors(sigma: Any, sigma_x: Any, absolute_sigma: Any, sample_weight: Any) -> None:
    """Keywords about errors that do not go together."""
    if sigma is not None and sample_weight is not None:
        raise InputError(
            "both sigma and sample_weight are given: sigma is the standard error of each y (weight 1/sigma**2), "
            "sample_weight a factor such as a number of repeats; give one of them"
        )
    if absolute_sigma not in (None, True, False):
        raise OptionError(f"absolute_sigma={absolute_sigma!r}; give True, False or None")
    if absolute_sigma is not None and sigma is None:
        raise InputError(f"absolute_sigma={absolute_sigma} says how to take sigma, but there is none; give sigma too")
    if sigma_x is None:
        return
    if not isinstance(sigma_x, Mapping):
        raise OptionError(f"sigma_x={sigma_x!r}; give a dictionary from feature to its error, e.g. {{'t': 0.1}}")
    if sigma is None:
        raise InputError(
            "sigma_x is given without sigma: where the law is flat, errors of x leave y exact; give the error of y too"
        )


def beside_roles(sigma: Any, sigma_x: Any, sample_weight: Any, known: list[Hashable]) -> dict[str, Any]:
    """{what it is called: label, number or array} of all that stands beside the columns of the law."""
    roles: dict[str, Any] = {}
    if isinstance(sigma, tuple) and len(sigma) == 2 and not _label_in(sigma, known):
        roles |= dict(zip(SIDES, sigma, strict=True))
    elif sigma is not None:
        roles["sigma"] = sigma
    roles |= {role_of(label): given for label, given in (sigma_x or {}).items()}
    return roles if sample_weight is None else {**roles, "sample_weight": sample_weight}


def factors_of(
    frame: pd.DataFrame,
    target: Hashable,
    names: Sequence[Hashable],
    beside: Mapping[str, Any],
    problems: list[SymRegError],
) -> dict[str, float]:
    """{role: what its error bars are multiplied by to be in the unit of the column whose errors they are}.

    A unit that nobody reads is taken for a remark: then they are in the column's.
    """
    owners, factors = {role_of(name): name for name in names}, {}
    for role, given in beside.items():
        owner, factors[role] = owners.get(role, target), 1.0
        if role == "sample_weight" or owner not in list(frame.columns):
            continue
        theirs, ours = _unit_of_errors(frame, given), unit_of(owner, frame.attrs, column(frame, owner))
        own, wanted = _unit_or_none(theirs), _unit_or_none(ours)
        if own is None or wanted is None:
            continue
        if own.same_dimensions(wanted):
            factors[role] = own.factor / wanted.factor
        else:
            problems.append(UnitError(f"{role} is in {theirs!r}, which is no {ours!r}, the unit of {owner!r}"))
    return factors


def _unit_of_errors(frame: pd.DataFrame, given: Any) -> str | None:
    """The unit of error bars from a label, a quantity or a Series of quantities."""
    if is_quantity(given):
        return pint_text(given.units)
    if isinstance(given, pd.Series):
        return pint_text(given.dtype.units) if hasattr(given.dtype, "units") else None
    known = list(frame.columns)
    labels = [given] if isinstance(given, _Beside) else _label_in(given, known)
    return unit_of(labels[0], frame.attrs, column(frame, labels[0])) if labels and labels[0] in known else None


def _unit_or_none(text: str | None) -> Unit | None:
    """The unit of a text, None where it is none: a label may end with other words in brackets."""
    try:
        return None if text is None else parse_unit(text)
    except UnitError:
        return None


def _one(target: Any) -> Hashable:
    if not is_label(target):
        given = repr(target) if isinstance(target, list | tuple | set) else f"a {kind_of(target)}"
        raise OptionError(f"target must be one label, not {given}; a list of labels is several targets")
    return target


def _choose(
    frame: pd.DataFrame, target: Hashable, features: Any, *beside: list[Hashable]
) -> tuple[list[Hashable], list[SymRegWarning]]:
    """The labels of the features, and a note about columns that are no numbers."""
    known = list(frame.columns)
    reserved = [_one(target), *(label for labels in beside for label in labels)]
    if features is not None:
        names = as_labels(features, known)
        problems = label_problems([*reserved, *names], known)
        if target in names:
            problems.append(InputError(f"target {target!r} is also among the features; leave it out of them"))
        if twice := [label for label in dict.fromkeys(names) if names.count(label) > 1]:
            problems.append(InputError(f"features named more than once: {', '.join(map(repr, twice))}; name each once"))
        if not names:
            problems.append(InputError("no feature is given; name at least one, or leave `features` out to use all"))
        raise_all(problems)
        return names, []

    raise_all(label_problems([*reserved, *known], known))
    others = [label for label in known if label not in reserved]
    skipped = {label: column(frame, label).dtype for label in others if obstacle(column(frame, label)) is not None}
    names = [label for label in others if label not in skipped]
    written = {label: text_number(column(frame, label)) for label in skipped}
    written = {label: text for label, text in written.items() if text is not None}
    told = ", ".join(f"{label!r} ({dtype})" for label, dtype in skipped.items())
    if not names:
        if written:
            label = next(iter(written))
            raise InputError(f"no numeric feature: column {label!r} {obstacle(column(frame, label))}")
        found = f"only {told}" if told else "no other column"
        levels = ", ".join(repr(name) for name in frame.index.names if name is not None)
        mend = f"reset_index() makes columns of the index, {levels}" if levels else "add a column of numbers"
        raise InputError(f"no numeric feature: beside the target {target!r} there is {found}; {mend}")
    notes = [SymRegWarning("SKIPPED", f"not numbers, so not used as features: {told}")] if skipped else []
    notes += [
        SymRegWarning("TEXT", f"column {label!r} holds numbers as text, such as {text!r}, and is not used; convert it, "
                      "or name the features")
        for label, text in written.items()
    ]  # fmt: skip
    return names, notes


# ---------------------------------------------------------------------------- their values


def _shown(label: Any) -> str:
    """A row's label without numpy's "np.int64(...)" around it."""
    if isinstance(label, tuple):
        return f"({', '.join(map(_shown, label))})"
    return repr(label.item() if isinstance(label, np.generic) else label)


def _rows(n: int) -> str:
    return f"{n} row{'' if n == 1 else 's'}"


def _read(frame: pd.DataFrame, label: Hashable, problems: list[SymRegError]) -> np.ndarray:
    """A column as float64 (N,); what is wrong with it is added to `problems`."""
    series = column(frame, label)
    if (reason := obstacle(series)) is not None:
        problems.append(InputError(f"column {label!r} {reason}"))
        return np.full(len(series), np.nan)
    values = numbers(series)
    huge = np.abs(values) > LARGEST
    infinite = np.isinf(values) if huge.any() else huge
    if infinite.any():
        problems.append(
            InputError(
                f"column {label!r} is infinite in {_rows(infinite.sum())}, first in row "
                f"{_shown(frame.index[infinite.argmax()])}; drop these rows or mark them as missing (NaN)"
            )
        )
    elif huge.any():
        problems.append(
            InputError(
                f"column {label!r} reaches {values[huge.argmax()]:.3g} in row {_shown(frame.index[huge.argmax()])}: "
                "its square overflows double precision; rescale it or take its logarithm"
            )
        )
    return values


def read_beside(frame: pd.DataFrame, given: Any, role: str, problems: list[SymRegError]) -> np.ndarray | None:
    """What stands beside the columns, from a label, a number or an array, as (N,) float64; checked for shape only."""
    kind, n = InputError if role == "sample_weight" else SigmaError, len(frame)
    given = given.magnitude if is_quantity(given) else given
    given = given.item() if isinstance(given, np.ndarray) and given.ndim == 0 else given
    if isinstance(given, bool | Mapping):
        problems.append(kind(f"{role}={given!r}; give the label of a column, one number, or a number for each row"))
        return None
    if label := _label_in(given, list(frame.columns)):
        series = column(frame, label[0])
    elif isinstance(given, Real) and role != "sample_weight":
        return np.full(n, float(given))
    elif not isinstance(given, pd.Series):
        series = pd.Series(np.asarray(given).reshape(-1))
    elif len(given) == n and not given.index.equals(frame.index):
        problems.append(kind(f"{role} has another index than the table; add it as a column and give its label"))
        return None
    else:
        series = given
    sides = ", or a tuple (downwards, upwards)" if role == "sigma" and len(series) in (2, 2 * n) else ""
    if (reason := obstacle(series)) is not None:
        problems.append(kind(f"{role} {reason}{sides}"))
        return None
    if len(series) != n:
        problems.append(kind(f"{role} has {len(series)} values for {_rows(n)}; give one per row of the table{sides}"))
        return None
    return numbers(series)


def _complete_rows(
    index: pd.Index, read: Mapping[Hashable, np.ndarray], nan_policy: str
) -> tuple[np.ndarray, dict[Hashable, int], list[SymRegWarning]]:
    """Positions of the rows without a missing value, {label: missing}, and the remark about the others."""
    missing = {label: np.isnan(values) for label, values in read.items()}
    dropped = {label: int(m.sum()) for label, m in missing.items() if m.any()}
    complete = ~np.logical_or.reduce(list(missing.values()))
    rows, n = np.flatnonzero(complete), len(index)
    told = ", ".join(f"{label!r}: {count}" for label, count in dropped.items())
    if dropped and nan_policy == "raise":
        first = ", ".join(f"{label!r} in row {_shown(index[missing[label].argmax()])}" for label in dropped)
        raise MissingDataError(
            f"missing values ({told}), first {first}; fill them, or leave these rows out with nan_policy='omit'"
        )
    if n and not len(rows):
        raise MissingDataError(
            f"no row is complete: missing values ({told}) among {_rows(n)}; "
            f"leave out column {max(dropped, key=dropped.__getitem__)!r}"
        )
    if len(rows) < FEWEST_ROWS:
        raise InputError(
            f"{_rows(len(rows))} to learn from ({n - len(rows)} of {n} dropped for missing values); "
            f"a law needs at least {FEWEST_ROWS}"
        )
    if not dropped:
        return rows, dropped, []
    text = f"{n - len(rows)} of {_rows(n)} with missing values ({told}) left out; {_rows(len(rows))} used"
    return rows, dropped, [SymRegWarning("DROPPED", text)]


def check_sigma(sigma: np.ndarray, index: pd.Index, role: str, problems: list[SymRegError]) -> None:
    """Errors of y are positive; those of x may be 0."""
    of_x = role.startswith("sigma_x")
    if (good := ((sigma >= 0 if of_x else sigma > 0) & np.isfinite(sigma))).all():
        return
    first = (~good).argmax()
    what = "negative or no number" if of_x else "not a positive number"
    means = "a standard error in the feature's unit" if of_x else "the standard error of y, in y's unit"
    problems.append(
        SigmaError(
            f"{role} is {what} in {_rows((~good).sum())}, first {sigma[first]:g} in row "
            f"{_shown(index[first])}; it is {means}: correct it, or drop these rows"
        )
    )


def _check_precision(
    y: np.ndarray, errors: Mapping[str, np.ndarray], index: pd.Index, problems: list[SymRegError]
) -> None:
    """Errors of y that are so small that no sum of squares of residuals in their units exists."""
    for role, sigma in errors.items():
        if role.startswith("sigma_x") or not (fine := sigma * LARGEST < np.maximum(np.abs(y), 1)).any():
            continue
        first = fine.argmax()
        problems.append(
            SigmaError(
                f"{role} is as small as {sigma[first]:.3g} in row {_shown(index[first])}: the square of y/sigma "
                "overflows double precision; it is the standard error of y, in y's unit: correct it, or drop these rows"
            )
        )


def _that_count(
    weight: np.ndarray, rows: np.ndarray, index: pd.Index
) -> tuple[np.ndarray, np.ndarray, list[SymRegWarning]]:
    """Of rows at these positions those that have a weight, their weights, and a remark about the others.

    A row of weight 0 is no row: it must not make the scatter about the law look better known than it is.
    """
    if (bad := (weight < 0) | ~np.isfinite(weight)).any():
        raise InputError(
            f"Negative or infinite values in `sample_weight` in {_rows(bad.sum())}, first {weight[bad.argmax()]:g} "
            f"in row {_shown(index[rows[bad.argmax()]])}; weights are finite and at least 0"
        )
    counts = weight > 0
    if counts.all():
        return rows, weight, []
    if not counts.any():
        raise InputError("`sample_weight` is zero in every row; at least one row must count")
    if counts.sum() < FEWEST_ROWS:
        raise InputError(
            f"{_rows(counts.sum())} to learn from, the others have weight 0; a law needs at least {FEWEST_ROWS}"
        )
    told = f"{_rows((~counts).sum())} of weight 0 left out; {_rows(counts.sum())} used"
    return rows[counts], weight[counts], [SymRegWarning("DROPPED", told)]


def _those(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """These rows; the array itself where that is all of them."""
    return values if len(rows) == len(values) else values[rows]


def _side_by_side(columns: list[np.ndarray]) -> np.ndarray:
    """(N, D) of columns (N,), block by block: 100 columns of a million rows at once would miss the cache each time."""
    x = np.empty((len(columns[0]), len(columns)))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        np.stack([values[rows] for values in columns], axis=1, out=x[rows])
    return x


def _remarks(
    columns: Mapping[Hashable, np.ndarray], y: np.ndarray, target: Hashable, follows: str
) -> list[SymRegWarning]:
    """CONSTANT and LEAK for columns (N,) and y (N,); what follows where y does not vary."""
    remarks = []
    of_y = _direction(y)
    if of_y is None:
        remarks.append(SymRegWarning("CONSTANT", f"target {target!r} is {y[0]:g} in every row: {follows}"))
    for name, values in columns.items():
        if values.min() == values.max():
            text = f"feature {name!r} is {values[0]:g} in every row and is left out"
            remarks.append(SymRegWarning("CONSTANT", text))
        elif of_y is not None and (far := 1 - abs(float(_direction(values) @ of_y))) < LEAK:
            remarks.append(
                SymRegWarning(
                    "LEAK",
                    f"feature {name!r} is a copy of the target {target!r} up to scale and offset "
                    f"(1 - |correlation| = {max(far, 0.0):.1g}); leave it out if it was computed from it",
                )
            )
    return remarks


def _scales(columns: Mapping[Hashable, np.ndarray]) -> list[SymRegWarning]:
    """SCALE for columns (N,)."""
    remarks = []
    for name, values in columns.items():
        largest = np.abs(values).max()
        if largest > LARGE or 0 < largest < SMALL:
            remarks.append(
                SymRegWarning(
                    "SCALE",
                    f"column {name!r} reaches {largest:.3g}; constants are found more surely between "
                    f"{SMALL:g} and {LARGE:g}: choose another unit, or the logarithm",
                )
            )
    return remarks


def _direction(values: np.ndarray) -> np.ndarray | None:
    """Values (N,) without their mean, of length 1, so that products are correlations; None of a constant."""
    if values.min() == values.max():
        return None
    scaled = values / np.abs(values).max()
    scaled -= scaled.mean()
    return scaled / np.sqrt(scaled @ scaled)
