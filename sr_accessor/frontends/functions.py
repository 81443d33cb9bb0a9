"""fit and predict: the two free functions behind every accessor, for pandas and xarray alike."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from sr_accessor.errors import InputError, OptionError, SymRegError
from sr_accessor.observations import Observations
from sr_accessor.options import FitOptions, check_keywords
from sr_accessor.tables import is_xarray, kind_of, variables_of

if TYPE_CHECKING:
    import xarray as xr

    from sr_accessor.equation import Equation
    from sr_accessor.result import FitResult

__all__ = ["fit", "load", "predict", "refine"]

#: Keywords about the table; those about the search are the fields of `FitOptions`.
TABLE_KEYWORDS = ("target", "features", "sigma", "sigma_x", "absolute_sigma", "sample_weight", "nan_policy")


def fit(
    table: pd.DataFrame | pd.api.typing.DataFrameGroupBy | xr.Dataset | xr.DataArray,
    target: Hashable | None = None,
    features: Any = None,
    *,
    sigma: Any = None,
    sigma_x: Mapping[Hashable, Any] | None = None,
    absolute_sigma: bool | None = None,
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
    sigma : standard error of the target, in its unit: a label, one number, or one number per row; a tuple (downwards,
        upwards) where the two differ
    sigma_x : {feature: its standard error}, each like sigma; needs sigma. Acts by the slope of the law
    absolute_sigma : False takes only the ratios of sigma, and the scale from the residuals; None is True exactly if
        sigma is given
    sample_weight : factor of each squared residual: a label or one number per row
    nan_policy : "omit" leaves out rows with missing values and counts them, "raise" raises
    **options : noise, operators, network, select, constraints, guesses, constants, template, shape, units,
        validation, timeout, max_rounds, device, random_state, progress, callbacks, checkpoint:
        see `sr_accessor.options.FitOptions`

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
    about = {
        "features": features, "sigma": sigma, "sigma_x": sigma_x, "absolute_sigma": absolute_sigma,
        "sample_weight": sample_weight, "nan_policy": nan_policy,
    }  # fmt: skip
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


def refine(
    table: pd.DataFrame | xr.Dataset | xr.DataArray,
    target: Hashable,
    formula: str,
    *,
    start: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    fix: Mapping[str, float] | None = None,
    sigma: Any = None,
    sigma_x: Mapping[Hashable, Any] | None = None,
    absolute_sigma: bool | None = None,
    sample_weight: Any = None,
    nan_policy: str = "omit",
    noise: Any = "gaussian",
    restarts: int = 30,
    random_state: int | None = None,
    **unknown: Any,
) -> FitResult:
    """Find the parameters of a known law: `curve_fit` for tables.

    Parameters
    ----------
    table, target, sigma, sigma_x, absolute_sigma, sample_weight, nan_policy, noise : as in `fit`
    formula : right-hand side such as "b1*(1 - exp(-b2*x))": names of columns are inputs (others than identifiers in
        backticks), all other names parameters; written numbers stay
    start : {parameter: first value}; parameters without one begin at 1
    bounds : {parameter: (lower, upper)}, None where there is none
    fix : {parameter: value that it keeps}
    restarts : further starts, refined in the same batch: half of them near the given one, the others of any magnitude
    random_state : seed of the restarts; None draws one, which the result records

    Returns
    -------
    FitResult of this one law; ``.best.params`` has the formula's own names

    Raises
    ------
    ParseError : the formula is no expression; says where.
    ColumnError, InputError, MissingDataError, SigmaError, NoiseModelError, OptionError, UnknownNameError
    """
    check_keywords(unknown, [name for name in inspect.signature(refine).parameters if name != "unknown"])
    if restarts != int(restarts) or restarts < 0:
        raise InputError(f"restarts={restarts!r} is out of range; give a whole number from 0")

    from sr_accessor import known_law  # loads torch
    from sr_accessor.scatter import noises_of

    if not is_xarray(table) and not isinstance(table, pd.DataFrame):
        raise OptionError(
            f"cannot refine on a {kind_of(table)}; give a pandas DataFrame, or an xarray Dataset or DataArray"
        )
    labels = list(variables_of(table)) if is_xarray(table) else list(table.columns)
    law = known_law.read_law(formula, labels, target, start=start, bounds=bounds, fix=fix)
    observations = _observe(
        table, target, {
            "features": list(law.names), "sigma": sigma, "sigma_x": sigma_x, "absolute_sigma": absolute_sigma,
            "sample_weight": sample_weight, "nan_policy": nan_policy,
        },
    )  # fmt: skip
    for remark in observations.remarks:
        warnings.warn(remark, stacklevel=3)
    chosen = noises_of(noise, observations)
    return known_law.refine_law(observations, law, chosen, restarts=int(restarts), random_state=random_state)


def load(source: str | os.PathLike) -> FitResult:
    """The result that `FitResult.save` wrote to a file, or the text of `FitResult.to_json`.

    Parameters
    ----------
    source : path of the file; a text that begins with "{" is the result itself

    Raises
    ------
    FileNotFoundError : no such file.
    LoadError : what is not ours, or was changed, or needs an operator or noise model of a plugin that is not here.
    """
    from sr_accessor import regression
    from sr_accessor.files.envelope import read_text
    from sr_accessor.result import FitResult

    text = isinstance(source, str) and source.lstrip()[:1] == "{"
    return FitResult.from_json(source if text else read_text(source), regression.resume)


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
