"""Tables: pandas and xarray read column by column as float64, whatever the labels and dtypes.

It knows labels, dtypes and how variables broadcast; it does not know what a target or an error bar is.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api import types

from sr_accessor.errors import ColumnError, InputError, OptionError, SymRegError, UnitError, brief, nearest
from sr_accessor.units import pint_text

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "array_unit",
    "as_labels",
    "broadcast",
    "column",
    "frame_from",
    "is_duration",
    "is_label",
    "is_quantity",
    "is_xarray",
    "kind_of",
    "label_problems",
    "nominal",
    "numbers",
    "obstacle",
    "plain_array",
    "raise_all",
    "text_number",
    "uncertain",
    "unit_of",
    "variables_of",
]

#: A number as float() reads it; and as people write it: with a decimal comma, a percent sign, below a limit.
_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WRITTEN = re.compile(r"[<>≤≥~≈]?\s*[-+]?(\d{1,3}(,\d{3})+\.\d*|\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?\s*%?")
#: Rows that tell whether a column of texts means numbers.
SEEN = 100
_UNIT_IN_LABEL = re.compile(r"\[([^\[\]]+)\]\s*\Z")


def _is_text(dtype: Any) -> bool:
    return not types.is_object_dtype(dtype) and types.is_string_dtype(dtype)


def is_duration(dtype: Any) -> bool:
    """Whether it holds durations, of numpy or of Arrow; they are read in seconds."""
    return getattr(dtype, "kind", None) == "m"


def _is_number(dtype: Any) -> bool:
    return types.is_numeric_dtype(dtype) or types.is_bool_dtype(dtype) or is_duration(dtype)


#: Dtypes that are not numbers: test of the dtype, what it is, one line to mend it. The first that holds counts.
_NOT_NUMBERS: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
    (
        lambda dtype: isinstance(dtype, pd.CategoricalDtype),
        "a category",
        "name it in by= for constants of each group, or replace it by numbers that measure something",
    ),
    (
        lambda dtype: isinstance(dtype, pd.SparseDtype),
        "sparse",
        "make it dense with .sparse.to_dense()",
    ),
    (
        lambda dtype: isinstance(dtype, pd.PeriodDtype),
        "a period",
        "turn it into a duration: t = t.dt.to_timestamp(); t - t.min() is read as seconds",
    ),
    (lambda dtype: isinstance(dtype, pd.IntervalDtype), "an interval", "use its middle: pd.IntervalIndex(column).mid"),
    (types.is_complex_dtype, "complex", "a law is fitted to real numbers: use its real part, imaginary part or abs()"),
    (types.is_datetime64_any_dtype, "a date", "use the time since the first: t - t.min() is read as seconds"),
    (
        lambda dtype: not (_is_number(dtype) or types.is_object_dtype(dtype)),
        "of another kind",
        "leave it out, or convert it with .astype(float)",
    ),
)


def is_quantity(given: Any) -> bool:
    """Whether it is a number, or an array of them, with a unit of pint."""
    return hasattr(given, "magnitude") and hasattr(given, "units")


def kind_of(thing: Any) -> str:
    """Module and class of something, for a message."""
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def raise_all(problems: Sequence[SymRegError]) -> None:
    """Raise nothing, the one problem, or one error of the first one's kind that tells them all."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise type(problems[0])("\n".join([f"{len(problems)} problems:", *(f"- {p}" for p in problems)]))


# ---------------------------------------------------------------------------- labels


def is_label(given: Any) -> bool:
    """Whether it can label a column, that is, be hashed."""
    try:  # not isinstance(..., Hashable): a tuple with a list in it and a pandas Index pass that
        hash(given)
    except TypeError:
        return False
    return True


def as_labels(given: Any, known: Sequence[Hashable]) -> list[Hashable]:
    """One label or several as a list of labels; a tuple that is a label is one label.

    Raises
    ------
    OptionError : something in it cannot be a label, or it has no order.
    """
    if isinstance(given, set):
        raise OptionError(f"features {given!r} have no order, so two fits could differ; give a list")
    several = isinstance(given, tuple) and not (is_label(given) and given in set(known))
    labels = list(given) if several or not is_label(given) else [given]
    for label in labels:
        if not is_label(label):
            raise OptionError(f"{label!r} cannot be a column label; give a label or a list of labels")
    return labels


def label_problems(wanted: Iterable[Hashable], known: Sequence[Hashable]) -> list[SymRegError]:
    """A ColumnError for each label that is not there, an InputError for those that are there more than once."""
    counts, wanted = Counter(known), list(dict.fromkeys(wanted))
    problems: list[SymRegError] = [
        ColumnError(f"no column {label!r}; {nearest(label, counts)}") for label in wanted if label not in counts
    ]
    if twice := ", ".join(f"{label!r} ({counts[label]} times)" for label in wanted if counts[label] > 1):
        problems.append(InputError(f"duplicate column labels: {twice}; rename them, or name other features"))
    return problems


def unit_of(label: Hashable, attrs: Mapping[Any, Any], series: pd.Series | None = None) -> str | None:
    """Unit of a column as plain text, None where nothing tells it.

    From the dtype (durations are in seconds, pint's dtype has its unit), else from ``attrs["units"]`` ({label: unit}),
    else from a label "T [K]".

    Raises
    ------
    UnitError : ``attrs["units"]`` does not say which column has which unit.
    """
    units = {} if attrs.get("units") is None else attrs["units"]
    if not isinstance(units, Mapping):
        raise UnitError(
            f"df.attrs['units'] is {brief(units)}, which does not say which column has which unit; "
            f"write df.attrs['units'] = {{{label!r}: 'm'}}, or take it off: del df.attrs['units']"
        )
    if series is not None and is_duration(series.dtype):
        return "s"
    if series is not None and hasattr(series.dtype, "units"):
        return pint_text(series.dtype.units)
    if units.get(label) is not None:
        return str(units[label])
    found = _UNIT_IN_LABEL.search(label) if isinstance(label, str) else None
    return found.group(1).strip() if found else None


# ---------------------------------------------------------------------------- values


def column(frame: pd.DataFrame, label: Hashable) -> pd.Series:
    """The column with exactly this label (``frame[label]`` would also take a level of a MultiIndex)."""
    return frame.iloc[:, list(frame.columns).index(label)]


def text_number(series: pd.Series) -> str | None:
    """The first text of a column of texts most of which are numbers as people write them: "1,5", "3 %", "<0.1"."""
    if not (_is_text(series.dtype) or series.dtype == object):
        return None
    seen = [value for value in series.head(SEEN) if isinstance(value, str) and value.strip()]
    alike = [value for value in seen if _WRITTEN.fullmatch(value.strip())]
    return alike[0] if 2 * len(alike) > len(seen) else None


def _text_mend(text: str) -> str:
    """What to do about a text that should be a number."""
    written = _WRITTEN.fullmatch(text.strip())
    if written and "," in text and "." in text:
        return 'read the file with thousands=",", or take the commas off: .str.replace(",", "").astype(float)'
    if written and "," in text:
        return 'read the file with decimal=",", or replace it: .str.replace(",", ".").astype(float)'
    if written and "%" in text:
        return 'take the sign off: .str.rstrip("% ").astype(float)/100'
    if written and text.strip()[0] in "<>≤≥~≈":
        return 'pd.to_numeric(..., errors="coerce") marks what is no number as missing'
    return "leave it out, or convert it with pd.to_numeric(...)"


def obstacle(series: pd.Series) -> str | None:
    """Why a column cannot be read as numbers, and what to do about it; None if it can."""
    if _is_text(series.dtype):
        texts = (value for value in series if isinstance(value, str))
        first = next((value for value in texts if not _PLAIN.fullmatch(value.strip())), None)
        told = "" if first is None else f" such as {brief(first, 40)}"
        return f"is text ({series.dtype}){told}, not real numbers; {_text_mend(first or '')}"
    for test, what, mend in _NOT_NUMBERS:
        if test(series.dtype):
            return f"is {what} ({series.dtype}), not real numbers; {mend}"
    if series.dtype != object:
        return None
    for row, value in zip(series.index, series, strict=True):
        if isinstance(value, Real | Decimal | np.bool_) or value is None or value is pd.NA or value is pd.NaT:
            continue
        if isinstance(value, Complex):
            return f"holds complex numbers (first {value!r} in row {row!r}); use the real part, imaginary part or abs()"
        kind, mend = type(value).__name__, "leave it out or convert it"
        mend = _text_mend(value) if isinstance(value, str) else mend
        return f"holds {kind} (first {brief(value, 40)} in row {row!r}), not real numbers; {mend}"
    return None


def uncertain(series: pd.Series) -> np.ndarray | None:
    """(N,) standard deviations of a column of values with errors, of the package ``uncertainties``; None of others."""
    if series.dtype != object:
        return None
    given = [getattr(value, "std_dev", None) for value in series]
    if all(error is None for error in given):
        return None
    return np.array([0.0 if error is None else float(error) for error in given])


def nominal(series: pd.Series) -> pd.Series:
    """A column of values with errors without these."""
    return series.map(lambda value: getattr(value, "nominal_value", value)).astype(object)


def numbers(series: pd.Series) -> np.ndarray:
    """A column without `obstacle` as float64 (N,): NaN where missing, durations in seconds; the column's own memory
    where it is that already, so not to be written to.
    """
    if series.dtype == np.float64:
        return series.to_numpy()
    if is_duration(series.dtype):
        series = series.dt.total_seconds()
    if series.dtype == object:
        # Element by element: Decimal, Fraction and Python integers of any size have no array conversion.
        return np.array([_number(value) for value in series], dtype=np.float64)
    return np.array(series.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _number(value: Any) -> float:
    if value is None or value is pd.NA or value is pd.NaT:
        return np.nan
    try:
        return float(value)
    except OverflowError:  # an integer beyond 1e308: infinite, which the caller refuses with its row
        return np.inf


# ---------------------------------------------------------------------------- xarray


def is_xarray(table: Any) -> bool:
    """Whether it is a Dataset or a DataArray; xarray is not imported to find out."""
    xr = sys.modules.get("xarray")
    return xr is not None and isinstance(table, xr.Dataset | xr.DataArray)


def variables_of(table: xr.Dataset | xr.DataArray) -> dict[Hashable, xr.DataArray]:
    """Everything in it that has a name: variables and coordinates, and a DataArray itself ("y" if unnamed)."""
    if hasattr(table, "data_vars"):
        return {label: table[label] for label in table.variables}
    return dict(table.coords) | {("y" if table.name is None else table.name): table}


def broadcast(
    arrays: Mapping[Hashable, xr.DataArray], dims: Sequence[Hashable] = ()
) -> tuple[pd.DataFrame, xr.DataArray]:
    """Arrays broadcast against each other: a frame with one row per point, and a template to go back.

    The index of the frame is where each point lies (a MultiIndex of several dimensions), ``attrs["units"]``
    the units of the arrays, pint's own or those in their attributes. The dimensions come in the order of `dims`,
    then of the arrays.
    """
    import xarray as xr

    try:
        full = xr.broadcast(*xr.align(*arrays.values(), join="exact", copy=False))
    except ValueError as error:
        raise InputError(f"{', '.join(map(repr, arrays))} do not lie on the same coordinates: {error}") from error
    order = [*(dim for dim in dims if dim in full[0].dims), *(dim for dim in full[0].dims if dim not in dims)]
    full = [array.transpose(*order) for array in full]
    template = full[0]
    axes = [template.indexes.get(dim, pd.RangeIndex(size)) for dim, size in template.sizes.items()]
    if len(axes) == 1:
        index = axes[0]
    else:
        index = pd.MultiIndex.from_product(axes, names=template.dims) if axes else pd.RangeIndex(1)
    values = {label: _magnitude(array).reshape(-1) for label, array in zip(arrays, full, strict=True)}
    units = {label: array_unit(array) for label, array in arrays.items()}
    return frame_from(values, index, {"units": units}), template


def _magnitude(array: xr.DataArray) -> np.ndarray:
    """The numbers of an array; of pint's quantities without the warning that their unit is taken off."""
    return np.asarray(array.data.magnitude) if hasattr(array.data, "magnitude") else array.values


def plain_array(array: xr.DataArray) -> xr.DataArray:
    """The array without pint: its numbers alone, lazy where they are."""
    return array.copy(data=array.data.magnitude) if hasattr(array.data, "magnitude") else array


def array_unit(array: xr.DataArray) -> str | None:
    """Unit of an array, pint's own or that of its attributes."""
    return pint_text(array.data.units) if hasattr(array.data, "magnitude") else array.attrs.get("units")


def frame_from(
    columns: Mapping[Hashable, np.ndarray], index: pd.Index | None = None, attrs: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """A frame whose labels stay as they are (pandas alone would make a MultiIndex of tuples)."""
    frame = pd.DataFrame(dict(enumerate(columns.values())), index=index)
    frame.columns = pd.Index(list(columns), dtype=object, tupleize_cols=False)
    frame.attrs.update(attrs or {})
    return frame
