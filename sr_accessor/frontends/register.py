"""The accessors enter pandas and xarray here, under one name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pandas as pd

from sr_accessor.frontends.pandas_accessor import DataFrameAccessor
from sr_accessor.frontends.xarray_accessor import DataArrayAccessor, DatasetAccessor, DataTreeAccessor

__all__ = ["NAME", "register_accessors"]

NAME = "symreg"


def register_accessors() -> None:
    """Make `df.symreg`, and where xarray is installed `ds.symreg`, `da.symreg` and, if it knows trees, `dt.symreg`."""
    _attach(pd.DataFrame, DataFrameAccessor, pd.api.extensions.register_dataframe_accessor)
    if importlib.util.find_spec("xarray") is None:
        return
    import xarray as xr

    _attach(xr.Dataset, DatasetAccessor, xr.register_dataset_accessor)
    _attach(xr.DataArray, DataArrayAccessor, xr.register_dataarray_accessor)
    if hasattr(xr, "register_datatree_accessor"):  # xarray 2025.3
        _attach(xr.DataTree, DataTreeAccessor, xr.register_datatree_accessor)


def _attach(owner: type, accessor: type, registrar: Callable[[str], Callable[[type], Any]]) -> None:
    present = getattr(owner, NAME, None)
    if getattr(present, "__module__", None) == accessor.__module__:
        delattr(owner, NAME)  # ours from an earlier import: replaced, which is nothing to warn about
    registrar(NAME)(accessor)
