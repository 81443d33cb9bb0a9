"""Lazy tables: predictions on Dask arrays and Dask DataFrames, computed chunk by chunk when somebody asks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sr_accessor.observations import conversion, inputs_of
from sr_accessor.tables import is_xarray, label_problems, raise_all, variables_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["in_parts", "is_dask_frame", "is_lazy", "lazily", "like_target"]


def is_dask_frame(table: Any) -> bool:
    """Whether it is a Dask DataFrame; Dask is not imported to find out."""
    module = sys.modules.get("dask.dataframe")
    return module is not None and isinstance(table, module.DataFrame)


def is_lazy(table: Any, names: Sequence[Hashable]) -> bool:
    """Whether the values of these columns are not computed yet."""
    if is_xarray(table):
        variables = variables_of(table)
        return any(hasattr(variables[name].data, "dask") for name in names if name in variables)
    return is_dask_frame(table)


def lazily(
    table: Any,
    names: Sequence[Hashable],
    target: Hashable,
    units: Mapping[Hashable, str | None],
    law: Callable[..., np.ndarray],
) -> Any:
    """A law of columns, to be computed when somebody asks; nothing is warned about, since no value is known.

    Parameters
    ----------
    names : the columns that the law reads, in its order
    target : what the prediction is called; dimensions come in the order of this variable where there is one
    units : {label: unit that the law was fitted in}
    law : (N,) values of rows (N, len(names))

    Returns
    -------
    DataArray, or Dask Series

    Raises
    ------
    ColumnError : labels that are missing.
    """
    if not is_xarray(table):

        def part(frame: pd.DataFrame) -> pd.Series:
            read = inputs_of(frame, tuple(names), target, units)
            return read.like(law(read.x))

        return in_parts(table, names, part, target)
    import xarray as xr

    variables = variables_of(table)
    raise_all(label_problems(names, list(variables)))
    factors = {name: conversion(name, variables[name].attrs.get("units"), units) for name in names}
    raise_all([factor for factor in factors.values() if isinstance(factor, Exception)])

    def of_columns(*columns: np.ndarray) -> np.ndarray:
        full = np.broadcast_arrays(*columns)
        rows = np.stack([np.asarray(part, dtype=np.float64).reshape(-1) for part in full], axis=1)
        values = law(rows * np.array(list(factors.values())))
        return np.where(np.isnan(rows).any(axis=1), np.nan, values).reshape(full[0].shape)

    given = [variables[name] for name in names]
    out = xr.apply_ufunc(of_columns, *given, dask="parallelized", output_dtypes=[np.float64], join="exact")
    return like_target(out, variables, target, units.get(target))


def in_parts(
    table: Any, names: Sequence[Hashable], part: Callable[[pd.DataFrame], Any], made: Hashable | list[str]
) -> Any:
    """What becomes of every part of a Dask DataFrame, to be computed when somebody asks.

    Parameters
    ----------
    names : labels that the parts need
    part : a pandas DataFrame in, numbers with its index out
    made : what the Series is called that comes out, or the columns of the DataFrame

    Raises
    ------
    ColumnError : labels that are missing.
    """
    raise_all(label_problems(names, list(table.columns)))
    index = table._meta.index[:0]
    if isinstance(made, list):
        return table.map_partitions(part, meta=pd.DataFrame(0.0, index=index, columns=made))
    return table.map_partitions(part, meta=pd.Series([], dtype=np.float64, name=made, index=index))


def like_target(
    law: xr.DataArray, variables: Mapping[Hashable, xr.Variable | xr.DataArray], target: Hashable, unit: str | None
) -> xr.DataArray:
    """A prediction with the target's name and unit, its dimensions in the order of the measured ones if these exist."""
    first = [dim for dim in variables[target].dims if dim in law.dims] if target in variables else []
    law = law.transpose(*first, *(dim for dim in law.dims if dim not in first)).rename(target)
    return law.assign_attrs({} if unit is None else {"units": unit})
