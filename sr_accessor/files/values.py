"""Values in a file: labels of any hashable kind, numbers, arrays and rows as plain JSON values, and back.

A text is a text and a whole number a number; any other label says its kind: {"tuple": ["u", "x"]}. A number that JSON
lacks is null (NaN), "inf" or "-inf". Rows are base64 of their little-endian float64, which is exact and short.
Everything that reads raises LoadError for what is not as it writes it.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from sr_accessor.device import DTYPE
from sr_accessor.errors import InputError, LoadError

__all__ = [
    "array",
    "from_array",
    "from_label",
    "from_number",
    "from_tensor",
    "label",
    "number",
    "plain",
    "read",
    "tensor",
]

#: Elements of one stored array; labels inside one another.
MOST_ELEMENTS, MOST_DEPTH = 10**9, 8


# ---------------------------------------------------------------------- labels
def from_label(given: Hashable, depth: int = 0) -> Any:
    """A label as a JSON value.

    Raises
    ------
    InputError : a label of a kind that no file can hold.
    """
    if isinstance(given, np.generic) and not isinstance(given, np.datetime64 | np.timedelta64):
        given = given.item()
    match given:
        case bool():
            return {"bool": given}
        case str():
            return str(given)
        case int() if abs(given) < 10**18:
            return int(given)
        case float():
            return {"float": from_number(float(given))}
        case None:
            return {"none": None}
        case tuple() if depth < MOST_DEPTH:
            return {"tuple": [from_label(one, depth + 1) for one in given]}
        case np.datetime64() | pd.Timestamp() | datetime.datetime():
            return {"timestamp": pd.Timestamp(given).isoformat()}
        case datetime.date():
            return {"date": given.isoformat()}
        case np.timedelta64() | pd.Timedelta() | datetime.timedelta():
            return {"timedelta": pd.Timedelta(given).isoformat()}
        case pd.Period():
            return {"period": [str(given), given.freqstr]}
        case pd.Interval() if depth < MOST_DEPTH:
            return {"interval": [*(from_label(side, depth + 1) for side in (given.left, given.right)), given.closed]}
    raise InputError(
        f"the label {given!r} ({type(given).__name__}) cannot be written to a file; rename the column to a text"
    )


#: Kind of a label -> how it is read.
_KINDS: Mapping[str, Callable[[Any, int], Hashable]] = {
    "bool": lambda given, depth: read(given, bool),
    "float": lambda given, depth: number(given),
    "none": lambda given, depth: None,
    "tuple": lambda given, depth: tuple(label(one, depth + 1) for one in read(given, list)),
    "timestamp": lambda given, depth: pd.Timestamp(read(given, str)),
    "date": lambda given, depth: datetime.date.fromisoformat(read(given, str)),
    "timedelta": lambda given, depth: pd.Timedelta(read(given, str)),
    "period": lambda given, depth: pd.Period(*_these(given, 2, str)),
    "interval": lambda given, depth: _interval(*_these(given, 3), depth + 1),
}


def _these(given: Any, count: int, kind: type = object) -> list[Any]:
    """So many values of a kind."""
    values = [read(one, kind) if kind is not object else one for one in read(given, list)]
    if len(values) != count:
        raise LoadError(f"{str(given)[:80]!r} stands where {count} values were expected")
    return values


def _interval(left: Any, right: Any, closed: Any, depth: int) -> pd.Interval:
    sides = label(left, depth), label(right, depth)
    if not all(isinstance(side, float | int | pd.Timestamp | pd.Timedelta) for side in sides):
        raise LoadError(f"an interval from {str(left)[:80]!r} to {str(right)[:80]!r}")
    if len({isinstance(side, pd.Timestamp) - isinstance(side, pd.Timedelta) for side in sides}) > 1:
        raise LoadError("an interval between a time and a number")
    return pd.Interval(*sides, closed=read(closed, str))


def label(given: Any, depth: int = 0) -> Hashable:
    """A label from its JSON value."""
    if isinstance(given, str) or (isinstance(given, int) and not isinstance(given, bool)):
        return given
    if not isinstance(given, dict) or len(given) != 1 or depth > MOST_DEPTH:
        raise LoadError(f"{str(given)[:80]!r} is no label")
    ((kind, value),) = given.items()
    if kind not in _KINDS:
        raise LoadError(f"a label of the kind {kind[:80]!r}; known: {', '.join(_KINDS)}")
    try:
        return _KINDS[kind](value, depth)
    except (ValueError, TypeError) as error:
        raise LoadError(f"{str(value)[:80]!r} is no {kind}: {error}") from error


# ---------------------------------------------------------------------- numbers
def from_number(value: float) -> float | str | None:
    """A number as a JSON value."""
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else ("inf" if value > 0 else "-inf")


def number(given: Any) -> float:
    """A number from its JSON value."""
    if given is None:
        return math.nan
    if isinstance(given, str) and given in ("inf", "-inf"):
        return float(given)
    if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given):
        return float(given)
    raise LoadError(f"{str(given)[:80]!r} is no number")


def from_tensor(values: torch.Tensor) -> Any:
    """A small tensor as nested lists of numbers."""
    return _nested(values.tolist())


def _nested(values: Any) -> Any:
    return [_nested(one) for one in values] if isinstance(values, list) else from_number(values)


def tensor(given: Any, *shape: int) -> torch.Tensor:
    """A float64 tensor of this shape from nested lists of numbers."""
    return torch.tensor(_numbers(given, shape), dtype=DTYPE).reshape(shape)


def _numbers(given: Any, shape: tuple[int, ...]) -> Any:
    if not shape:
        return number(given)
    if not isinstance(given, list) or len(given) != shape[0]:
        found = len(given) if isinstance(given, list) else type(given).__name__
        raise LoadError(f"a list of {shape[0]} was expected, not {found}")
    return [_numbers(one, shape[1:]) for one in given]


# ---------------------------------------------------------------------- rows
def from_array(values: np.ndarray | None) -> dict[str, Any] | None:
    """An array of rows, as float64 or int64."""
    if values is None:
        return None
    kind = "<i8" if values.dtype.kind in "iu" else "<f8"
    content = np.ascontiguousarray(values, kind).tobytes()
    return {"type": kind, "shape": list(values.shape), "base64": base64.b64encode(content).decode()}


def array(given: Any, *shape: int, finite: bool = True) -> np.ndarray | None:
    """An array of rows; None where there is none.

    Parameters
    ----------
    shape : that it must have
    finite : whether missing and infinite values are refused
    """
    if given is None:
        return None
    kind, content = read(given, dict).get("type"), read(given.get("base64"), str)
    if kind not in ("<f8", "<i8") or given.get("shape") != list(shape):
        raise LoadError(f"rows of type {str(kind)[:20]!r} and shape {str(given.get('shape'))[:80]}, expected {shape}")
    try:
        raw = base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise LoadError(f"rows that are no base64: {error}") from error
    if len(raw) != 8 * math.prod(shape):
        raise LoadError(f"rows of {len(raw)} bytes, and their shape {shape} needs {8 * math.prod(shape)}")
    values = np.frombuffer(raw, kind).reshape(shape).astype("f8" if kind == "<f8" else "i8")
    if finite and not np.isfinite(values).all():
        raise LoadError("rows with missing or infinite values")
    return values


# ---------------------------------------------------------------------- anything else
def plain(value: Any) -> Any:
    """A value of a result's provenance as JSON: what JSON lacks becomes text; labels as keys become text too."""
    match value:
        case None | bool() | str():
            return value if value is None or isinstance(value, bool) else str(value)
        case int():
            return value if abs(value) < 10**18 else str(value)
        case float():
            return from_number(value)
        case np.generic():
            return plain(value.item())
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(one) for one in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    return str(value)


def read(given: Any, kind: type | tuple[type, ...], *, absent: Any = ...) -> Any:
    """`given` if it is of this kind (a bool is not a number), or the value for what is absent."""
    if given is None and absent is not ...:
        return absent
    if not isinstance(given, kind) or (isinstance(given, bool) and kind is not bool):
        wanted = getattr(kind, "__name__", " or ".join(k.__name__ for k in kind) if isinstance(kind, tuple) else "")
        raise LoadError(f"{str(given)[:80]!r} stands where {wanted} was expected")
    return given
