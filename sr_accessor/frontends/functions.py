"""fit and predict: the two free functions behind every accessor, for pandas and xarray alike."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import pandas as pd

from sr_accessor.errors import OptionError, SymRegError
from sr_accessor.observations import Observations
from sr_accessor.options import FitOptions
from sr_accessor.tables import is_xarray, kind_of

if TYPE_CHECKING:
    import xarray as xr

    from sr_accessor.equation import Equation
    from sr_accessor.result import FitResult

__all__ = ["fit", "predict"]

#: Keywords about the table; those about the search are the fields of `FitOptions`.
TABLE_KEYWORDS = ("target", "features", "sigma", "sample_weight", "nan_policy")


def fit(
    table: pd.DataFrame | pd.api.typing.DataFrameGroupBy | xr.Dataset | xr.DataArray,
    target: Hashable | None = None,
    features: Any = None,
    *,
    sigma: Any = None,
    sample_weight: Any = None,
    nan_policy: str = "omit",
    **options: Any,
) -> FitResult | dict[Hashable, FitResult]:
    """Find the law behind a table: the target as a formula of the features.

    Parameters
    ----------
    table : DataFrame; GroupBy (each group is fitted by itself); Dataset; DataArray (is itself the target)
        In xarray features and target broadcast against each other and every point is a row. The table is not changed.
    target : label of the measured quantity
    features : label or list of labels; None takes all other columns of numbers (for a DataArray: its coordinates)
    sigma : standard error of the target, in its unit: a label, one number, or one number per row
    sample_weight : factor of each squared residual: a label or one number per row
    nan_policy : "omit" leaves out rows with missing values and counts them, "raise" raises
    **options : noise, operators, network, select, constraints, guesses, constants, template, shape, units,
        validation, timeout, max_rounds, device, random_state, progress, callbacks: see `sr_accessor.options.FitOptions`

    Returns
    -------
    FitResult, or {group: FitResult} for a GroupBy

    Raises
    ------
    ColumnError, InputError, MissingDataError, SigmaError, OptionError : before anything is computed.

    Warns
    -----
    SymRegWarning : what was left out or looks suspicious; also kept on the result.
    """
    chosen = FitOptions.from_keywords(options, TABLE_KEYWORDS)
    about = {"features": features, "sigma": sigma, "sample_weight": sample_weight, "nan_policy": nan_policy}
    if not isinstance(table, pd.api.typing.DataFrameGroupBy):
        return _fit_one(table, target, about, chosen)
    results = {}
    for key, group in table:
        # What defines a group is constant in it: no feature, and nothing to be warned about.
        inside = group if features is not None else group.drop(columns=[*table.exclusions], errors="ignore")
        try:
            results[key] = _fit_one(inside, target, about, chosen)
        except SymRegError as error:
            error.add_note(f"in group {key!r}")
            raise
    return results


def predict(table: pd.DataFrame | xr.Dataset | xr.DataArray, law: FitResult | Equation) -> pd.Series | xr.DataArray:
    """The target according to a law, from the columns of a table that the law names.

    Returns
    -------
    A Series with the table's index, or a DataArray with the dimensions of the inputs broadcast against each other;
    named like the target. NaN where an input is missing. Other columns, and their order, do not matter.

    Raises
    ------
    ColumnError : columns that the law needs and the table lacks.
    """
    return law.predict(table)


def _fit_one(table: Any, target: Hashable | None, about: dict[str, Any], options: FitOptions) -> FitResult:
    observations = _observe(table, target, about)
    for remark in observations.remarks:
        if remark.code != "SKIPPED":  # a note: most tables have a column of names, and nothing is wrong with it
            warnings.warn(remark, stacklevel=4)  # the line that called the accessor

    from sr_accessor import regression  # loads torch, which wrong input should not have to wait for

    return regression.fit(observations, options)


def _observe(table: Any, target: Hashable | None, about: dict[str, Any]) -> Observations:
    if is_xarray(table) and not hasattr(table, "data_vars"):
        own = "y" if table.name is None else table.name
        if target is not None and target != own:
            raise OptionError(
                f"the DataArray {own!r} is itself the target; name only features: fit(da, features=[...])"
            )
        return Observations.from_xarray(table, own, **about)
    if target is None:
        raise OptionError('no target is given; name the measured column: fit(table, "y")')
    if is_xarray(table):
        return Observations.from_xarray(table, target, **about)
    if isinstance(table, pd.DataFrame):
        return Observations.from_frame(table, target, **about)
    raise OptionError(
        f"cannot fit a {kind_of(table)}; give a pandas DataFrame or GroupBy, or an xarray Dataset or DataArray"
    )
