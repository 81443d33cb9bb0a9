"""fit and predict: the two free functions behind every accessor, for pandas and xarray alike."""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import islice
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sr_accessor.errors import ColumnError, InputError, OptionError, SymRegError, SymRegWarning, brief, nearest
from sr_accessor.lazy import is_lazy
from sr_accessor.observations import Observations
from sr_accessor.options import FitOptions, check_keywords
from sr_accessor.tables import as_labels, is_label, is_xarray, kind_of, variables_of

if TYPE_CHECKING:
    import xarray as xr

    from sr_accessor.equation import Equation
    from sr_accessor.groups.result import GroupedResult
    from sr_accessor.groups.split import Groups
    from sr_accessor.handle import FitHandle
    from sr_accessor.result import FitResult

__all__ = ["fit", "load", "predict", "refine"]

#: Keywords about the table; those about the search are the fields of `FitOptions`.
TABLE_KEYWORDS = (
    "target", "features", "sigma", "sigma_x", "absolute_sigma", "sample_weight", "nan_policy", "by", "over", "shared",
    "errors", "reduce_dims", "skipna",
)  # fmt: skip


def fit(
    table: pd.DataFrame | pd.api.typing.DataFrameGroupBy | xr.Dataset | xr.DataArray,
    target: Hashable | list[Hashable] | None = None,
    features: Any = None,
    *,
    sigma: Any = None,
    sigma_x: Mapping[Hashable, Any] | None = None,
    absolute_sigma: bool | None = None,
    sample_weight: Any = None,
    nan_policy: str = "omit",
    background: bool = False,
    by: Any = None,
    over: Any = None,
    shared: bool = True,
    errors: str = "warn",
    reduce_dims: Any = None,
    skipna: bool | None = None,
    **options: Any,
) -> FitResult | FitHandle | GroupedResult | dict[Hashable, Any] | xr.DataTree:
    """Find the law behind a table: the target as a formula of the features.

    Parameters
    ----------
    table : DataFrame; GroupBy (each group is fitted by itself); Dataset; DataArray (is itself the target); DataTree
        (every node that has the target is fitted by itself); Dask DataFrame, or xarray on Dask arrays (a seeded sample
        is searched, the laws are refined on all rows by sums over the chunks; error bars by label or number)
        In xarray features and target broadcast against each other and every point is a row. The table is not changed.
    target : label of the measured quantity; a list of labels: a law for each, of which none reads another one
    features : label or list of labels; None takes all other columns of numbers (for a DataArray: its coordinates)
    sigma : standard error of the target, in its unit: a label, one number, or one number per row; a tuple (downwards,
        upwards) where the two differ; {target: such} where there are several targets
    sigma_x : {feature: its standard error}, each like sigma; needs sigma. Acts by the slope of the law
    absolute_sigma : False takes only the ratios of sigma, and the scale from the residuals; None is True exactly if
        sigma is given
    sample_weight : factor of each squared residual: a label or one number per row; a row of weight 0 is left out
    nan_policy : "omit" leaves out rows with missing values and counts them, "raise" raises
    background : True returns at once, while the search runs in a thread of its own
    by : of a DataFrame, label or labels of columns or index levels: one form for all groups, each its own constants
        (of a Dask DataFrame the columns that matter are brought together; with shared=False its workers do the fits)
    over : of xarray, dimension or dimensions along which there is a law each, in the same way
    reduce_dims : the other way to say `over`, as in xarray's `curvefit`: a law for each point of the dimensions
        that are neither those of the features nor among these
    shared : False fits every group by itself
    errors : of groups without a law: "warn" tells once which, "raise" raises, "ignore" leaves them to ``.status``
    skipna : of xarray: True is nan_policy="omit", False is "raise"
    **options : noise, operators, network, select, constraints, guesses, constants, template, shape, units,
        validation, timeout, max_rounds, device, random_state, progress, callbacks, checkpoint:
        see `sr_accessor.options.FitOptions`

    Returns
    -------
    FitResult; with `background` a FitHandle: `.result()`, `.stop()`, `await`; GroupedResult with `by` or `over`;
    {group: FitResult} for a GroupBy; for a DataTree one of the Datasets that ``result.to_dataset()`` gives; a list of
    targets gives {target: any of these}

    Raises
    ------
    ColumnError, InputError, MissingDataError, SigmaError, OptionError : before anything is computed.

    Warns
    -----
    SymRegWarning : what was left out or looks suspicious; also kept on the result.
    """
    chosen = FitOptions.from_keywords(options, (*TABLE_KEYWORDS, "background"))
    if isinstance(target, list) and target:
        given = {
            "sigma_x": sigma_x, "absolute_sigma": absolute_sigma, "sample_weight": sample_weight,
            "nan_policy": nan_policy, "background": background, "by": by, "over": over, "shared": shared,
            "errors": errors, "reduce_dims": reduce_dims, "skipna": skipna,
        }  # fmt: skip
        return _each_target(table, target, features, sigma, chosen, given | options)
    if _is_tree(table) or isinstance(table, pd.api.typing.DataFrameGroupBy):
        chosen.rows_held_out(0)  # refuses rows that are named: each part would be judged by those of all
    if background and (by is not None or over is not None or reduce_dims is not None or _is_tree(table)):
        raise OptionError("background=True is for one table and one law; leave it out here")
    if _is_tree(table):
        given = {
            "features": features, "sigma": sigma, "sigma_x": sigma_x, "absolute_sigma": absolute_sigma,
            "sample_weight": sample_weight, "nan_policy": nan_policy, "by": by, "over": over, "shared": shared,
            "errors": errors, "reduce_dims": reduce_dims, "skipna": skipna,
        }  # fmt: skip
        return _each_node(table, target, lambda node: fit(node, target, **given, **options))
    nan_policy = _nan_policy(table, nan_policy, skipna)
    about = {
        "features": features, "sigma": sigma, "sigma_x": sigma_x, "absolute_sigma": absolute_sigma,
        "sample_weight": sample_weight, "nan_policy": nan_policy,
    }  # fmt: skip
    over = _over(table, target, features, over, reduce_dims)
    _check_groups(errors, by, over)
    if by is not None or over is not None:
        lazy = is_lazy(table, _labels_of(table))
        groups, sizes = _grouped(table, target, about, by, over)

        from sr_accessor.chunked import on_workers  # loads torch
        from sr_accessor.groups.search import fit_groups

        each = on_workers if lazy else None
        return fit_groups(groups, chosen, shared=shared, sizes=sizes, errors=errors, each=each)
    if is_lazy(table, _labels_of(table)):
        if background:
            raise OptionError("background=True is for a table in memory; leave it out here")

        from sr_accessor.chunked import fit_chunks  # loads torch

        return fit_chunks(table, _target_of(table, target), about, chosen)
    if not isinstance(table, pd.api.typing.DataFrameGroupBy):
        return _fit_one(table, target, about, chosen, background)
    if background:
        raise OptionError("background=True is for one table; fit each group with it, or leave it out")
    if chosen.checkpoint is not None:
        raise OptionError("checkpoint= is one file for one law; fit each group with its own, or leave it out")
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
    by: Any = None,
    over: Any = None,
    shared: bool = False,
    errors: str = "warn",
    reduce_dims: Any = None,
    skipna: bool | None = None,
    restarts: int = 30,
    random_state: int | None = None,
    **unknown: Any,
) -> FitResult | GroupedResult | xr.DataTree:
    """Find the parameters of a known law: `curve_fit` for tables.

    Of a Dask DataFrame or of chunked xarray a seeded sample tells where the likeliest parameters are, and sums over
    the chunks what they are; rows are never gathered.

    Parameters
    ----------
    table, target, sigma, sigma_x, absolute_sigma, sample_weight, nan_policy, noise : as in `fit`
    formula : right-hand side such as "b1*(1 - exp(-b2*x))": names of columns are inputs (others than identifiers in
        backticks), all other names parameters but pi and e (these too where start, bounds or fix name them); written
        numbers stay
    start : {parameter: first value}; parameters without one begin at 1
    bounds : {parameter: (lower, upper)}, None where there is none
    fix : {parameter: value that it keeps}
    by, over, reduce_dims, errors, skipna : as in `fit`: the parameters of every group, all in one batch
    shared : with `by` or `over`: True makes parameters common to all groups that the data do not tell apart
    restarts : further starts, refined in the same batch: half of them near the given one, the others of any magnitude
    random_state : seed of the restarts; None draws one, which the result records

    Returns
    -------
    FitResult of this one law; ``.best.params`` has the formula's own names. GroupedResult with `by` or `over`

    Raises
    ------
    ParseError : the formula is no expression; says where.
    ColumnError, InputError, MissingDataError, SigmaError, NoiseModelError, OptionError, UnknownNameError
    """
    check_keywords(unknown, [name for name in inspect.signature(refine).parameters if name != "unknown"])
    if not isinstance(restarts, Integral) or isinstance(restarts, bool):
        raise OptionError(f"restarts={brief(restarts)}; give a whole number")
    if restarts < 0:
        raise InputError(f"restarts={restarts!r} is out of range; give a whole number from 0")

    if _is_tree(table):
        given = {
            "start": start, "bounds": bounds, "fix": fix, "sigma": sigma, "sigma_x": sigma_x,
            "absolute_sigma": absolute_sigma, "sample_weight": sample_weight, "nan_policy": nan_policy, "noise": noise,
            "by": by, "over": over, "shared": shared, "errors": errors, "reduce_dims": reduce_dims, "skipna": skipna,
            "restarts": restarts, "random_state": random_state,
        }  # fmt: skip
        return _each_node(table, target, lambda node: refine(node, target, formula, **given))

    from sr_accessor.known_law import read_law  # loads torch
    from sr_accessor.refining import refine_law
    from sr_accessor.scatter import noises_of

    lazy = is_lazy(table, _labels_of(table))
    if not (lazy or is_xarray(table) or isinstance(table, pd.DataFrame)):
        own = "; of a GroupBy give its DataFrame and by=" if isinstance(table, pd.api.typing.DataFrameGroupBy) else ""
        raise OptionError(
            f"cannot refine on a {kind_of(table)}; give a pandas DataFrame, or an xarray Dataset or DataArray{own}"
        )
    labels = list(variables_of(table)) if is_xarray(table) else list(table.columns)
    law = read_law(formula, labels, target, start=start, bounds=bounds, fix=fix)
    _check_parameters(table, law.numbers.names)
    about = {
        "features": list(law.names), "sigma": sigma, "sigma_x": sigma_x, "absolute_sigma": absolute_sigma,
        "sample_weight": sample_weight, "nan_policy": _nan_policy(table, nan_policy, skipna), "keep_constant": True,
    }  # fmt: skip
    over = _over(table, target, law.names, over, reduce_dims)
    _check_groups(errors, by, over)
    seed = {"restarts": restarts, "random_state": random_state}
    if by is not None or over is not None:
        groups, sizes = _grouped(table, target, about, by, over)

        from sr_accessor.groups.known import refine_groups

        chosen = noises_of(noise, groups.observations)
        return refine_groups(groups, law, chosen, shared=shared, sizes=sizes, errors=errors, **seed)
    if lazy:
        from sr_accessor.chunked import refine_chunks

        return refine_chunks(table, _target_of(table, target), law, about, noise, **seed)
    observations = _observe(table, target, about)
    for remark in observations.remarks:
        warnings.warn(remark, stacklevel=3)
    chosen = noises_of(noise, observations)
    return refine_law(observations, law, chosen, **seed)


def _check_parameters(table: Any, names: Sequence[str]) -> None:
    """Raise ColumnError where a parameter has the name of something that was meant as an input."""
    if is_xarray(table):
        lost, words = table.dims, "a dimension without coordinates: assign_coords gives it values"
    else:
        index = getattr(table, "_meta", table).index  # of a Dask DataFrame that of its empty twin
        lost, words = index.names, "a level of the index, and inputs are columns: reset_index() makes it one"
    if meant := [name for name in names if name in lost]:
        raise ColumnError(f"{meant[0]!r} is {words}, or call the parameter something else")


def load(source: str | os.PathLike) -> FitResult | GroupedResult:
    """The result that its `save` wrote to a file, or the text of its `to_json`.

    Parameters
    ----------
    source : path of the file; a text that begins with "{" is the result itself

    Raises
    ------
    FileNotFoundError : no such file.
    LoadError : what is not ours, or was changed, or needs an operator or noise model of a plugin that is not here.
    """
    from sr_accessor import regression
    from sr_accessor.files.envelope import from_text, read_text
    from sr_accessor.groups.result import GroupedResult
    from sr_accessor.result import FitResult

    text = isinstance(source, str) and source.lstrip()[:1] == "{"
    document, time = from_text(source if text else read_text(source))
    if "groups" in document:
        return GroupedResult.from_document(document, time)
    return FitResult.from_document(document, time, regression.resume)


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


def _fit_one(
    table: Any, target: Hashable | None, about: dict[str, Any], options: FitOptions, background: bool = False
) -> FitResult | FitHandle:
    observations = _observe(table, target, about)
    for remark in observations.remarks:
        if remark.code != "SKIPPED":  # a note: most tables have a column of names, and nothing is wrong with it
            warnings.warn(remark, stacklevel=4)  # the line that called the accessor

    held_out = None
    if options.names_its_judges:
        observations, held_out = _judged(table, target, about, observations, options.validation)
        options = dataclasses.replace(options, validation=None)

    from sr_accessor import regression  # loads torch, which wrong input should not have to wait for

    return (regression.launch if background else regression.fit)(observations, options, held_out=held_out)


def _judged(
    table: Any, target: Hashable | None, about: dict[str, Any], seen: Observations, validation: Any
) -> tuple[Observations, Observations]:
    """Rows to learn from and rows to judge by, which a table of their own has, or a splitter tells.

    Raises
    ------
    OptionError : a splitter of xarray, or one with several splits; error bars that belong to rows of the other table.
    InputError : no row on one of the sides.
    ColumnError, SigmaError, UnitError : of the table, as of the fitted one.
    """
    if hasattr(validation, "split"):
        if is_xarray(table):
            raise OptionError(f"validation={brief(validation)} parts rows of a DataFrame; of xarray give two tables")
        splits = list(islice(validation.split(table), 2))
        if len(splits) != 1:
            raise OptionError(
                f"validation={brief(validation)} parts the rows several times, and a fit holds rows out once; give "
                "ShuffleSplit(n_splits=1) or PredefinedSplit"
            )
        training, judging = (seen.take(np.flatnonzero(np.isin(seen.rows, part))) for part in splits[0])
        if not (training.count and judging.count):
            raise InputError(
                f"validation={brief(validation)} leaves {training.count} rows and {judging.count} held out"
            )
        return training, judging
    for name in ("sigma", "sigma_x", "sample_weight"):
        if _is_by_row(about[name]):
            raise OptionError(f"{name}= has a number for each row of the fitted table; name a column that both have")
    given = about | {"features": list(seen.names), "keep_constant": True}
    read = _observe(validation, target, given)
    units = dict(zip((*seen.names, seen.target), (*seen.units, seen.target_unit), strict=True))
    return seen, dataclasses.replace(read.in_units(units), rows=np.full(read.count, -1))


def _is_by_row(given: Any) -> bool:
    """Whether error bars or weights are an array, or hold one."""
    parts = given.values() if isinstance(given, Mapping) else given if isinstance(given, tuple) else (given,)
    return any(isinstance(part, list) or getattr(part, "ndim", 0) for part in parts)


def _each_target(
    table: Any, targets: list[Hashable], features: Any, sigma: Any, options: FitOptions, given: dict[str, Any]
) -> dict[Hashable, Any]:
    """A fit of each target; by default of the columns that are neither of another one nor its error bars.

    Raises
    ------
    OptionError : error bars that do not say whose they are; one checkpoint for all; features that must be named.
    ColumnError : error bars of what is no target.
    """
    if not (sigma is None or isinstance(sigma, Mapping)):
        raise OptionError(f"sigma={brief(sigma)} of several targets; give a dictionary {{target: its error bars}}")
    if options.checkpoint is not None:
        raise OptionError("checkpoint= is one file for one law; fit each target with its own, or leave it out")
    bars = dict(sigma or {})
    if lost := [label for label in bars if label not in targets]:
        raise ColumnError(f"sigma names {lost[0]!r}, which is no target; {nearest(lost[0], targets)}")
    if features is None and not (is_xarray(table) or hasattr(table, "drop")):
        raise OptionError(f"name the features of several targets of a {kind_of(table)}")
    found = {}
    for target in targets:
        beside = [label for other in targets if other != target for label in (other, bars.get(other))]
        rows = _without(table, beside) if features is None else table
        found[target] = fit(rows, target, features, sigma=bars.get(target), **given)
    return found


def _without(table: Any, labels: list[Any]) -> Any:
    """A table without those columns, or variables, that it has of these."""
    known = list(variables_of(table)) if is_xarray(table) else list(table.columns)
    gone = [label for label in labels if is_label(label) and label in known]
    return table.drop_vars(gone) if is_xarray(table) else table.drop(columns=gone)


def _labels_of(table: Any) -> list[Hashable]:
    """Labels of what a table of xarray holds; of others none are needed."""
    return list(variables_of(table)) if is_xarray(table) else []


def _is_tree(table: Any) -> bool:
    xr = sys.modules.get("xarray")
    return xr is not None and isinstance(table, getattr(xr, "DataTree", ()))


def _each_node(tree: xr.DataTree, target: Hashable | None, fitted: Callable[[xr.Dataset], Any]) -> xr.DataTree:
    """The tree of what `to_dataset` makes of the fit of every node that has the target.

    Raises
    ------
    ColumnError : no node has it.
    """
    import xarray as xr

    nodes = {node.path: node.to_dataset() for node in tree.subtree}
    found = {path: dataset for path, dataset in nodes.items() if target in dataset.variables}
    if not found:
        known = dict.fromkeys(label for dataset in nodes.values() for label in dataset.variables)
        raise ColumnError(f"no node of the tree has {target!r}; {nearest(target, known)}")
    results = {}
    for path, dataset in found.items():
        try:
            results[path] = fitted(dataset).to_dataset()
        except SymRegError as error:
            error.add_note(f"in node {path!r}")
            raise
    return xr.DataTree.from_dict(results, name=tree.name)


def _nan_policy(table: Any, nan_policy: str, skipna: bool | None) -> str:
    """What to do with missing values, said in pandas' words or in xarray's."""
    if skipna is None:
        return nan_policy
    if not is_xarray(table) or not isinstance(skipna, bool):
        raise OptionError(f"skipna={skipna!r} is xarray's word, True or False; of a DataFrame say nan_policy='omit'")
    return "omit" if skipna else "raise"


def _over(table: Any, target: Hashable | None, features: Any, over: Any, reduce_dims: Any) -> Any:
    """The dimensions along which there is a law each: as given, or those that `reduce_dims` leaves."""
    if reduce_dims is None:
        return over
    if over is not None:
        raise OptionError("over= and reduce_dims= say the same in two ways; give one of them")
    if not is_xarray(table):
        raise OptionError(
            f"reduce_dims={reduce_dims!r} names dimensions of xarray; of a DataFrame name groups with by="
        )
    variables = variables_of(table)
    own = table if target is None or not hasattr(table, "data_vars") else variables[target]
    dims = list(own.dims)
    gone = [] if reduce_dims is ... else as_labels(reduce_dims, dims)
    if lost := [dim for dim in gone if dim not in dims]:
        raise ColumnError(f"reduce_dims names {lost[0]!r}, which is no dimension; {nearest(lost[0], dims)}")
    if features is not None:
        gone = [*gone, *(dim for label in as_labels(features, list(variables)) for dim in variables[label].dims)]
    kept = tuple(dim for dim in dims if dim not in gone)
    return kept if kept and reduce_dims is not ... else None


def _check_groups(errors: Any, by: Any, over: Any) -> None:
    if errors not in ("warn", "raise", "ignore"):
        raise OptionError(f"errors={errors!r} is not known; {nearest(str(errors), ('warn', 'raise', 'ignore'))}")
    if errors == "raise" and by is None and over is None:
        raise OptionError("errors='raise' is about groups without a law; name the groups with by= or over=")


def _grouped(
    table: Any, target: Hashable | None, about: dict[str, Any], by: Any, over: Any
) -> tuple[Groups, dict[Hashable, Any] | None]:
    """Observations and the groups of their rows; of xarray also the dimensions of the groups and their labels."""
    from sr_accessor.chunked import in_memory  # loads torch
    from sr_accessor.groups.split import Groups, keys_of, keys_over

    if is_lazy(table, _labels_of(table)):
        table = in_memory(table, _target_of(table, target), about, by)
    if is_xarray(table):
        if by is not None:
            raise OptionError(f"by={by!r} names columns of a DataFrame; of xarray name the dimensions: over={by!r}")
        observations = _observe(table, target, about)
        labels, keys, code, sizes = keys_over(table, observations, over)
    else:
        if over is not None:
            raise OptionError(f"over={over!r} names dimensions of xarray; of a DataFrame name the columns: by={over!r}")
        if not isinstance(table, pd.DataFrame):
            raise OptionError(f"cannot fit the groups of a {kind_of(table)}; give a pandas DataFrame and by=")
        labels, keys, code = keys_of(table, by)
        if target in labels:
            raise InputError(f"by names the target {target!r}; name what tells the groups apart")
        if not len(keys):
            raise InputError(f"no row has a group: {', '.join(map(repr, labels))} is missing everywhere")
        kept = table.loc[:, [label not in labels for label in table.columns]] if about["features"] is None else table
        observations, sizes = _observe(kept, target, about), None
    for remark in observations.remarks:
        if remark.code != "SKIPPED":
            warnings.warn(remark, stacklevel=4)
    code = code[observations.rows]
    if (code < 0).any():
        observations, code = _with_group(observations, labels, code)
    return Groups(labels, keys, observations, code), sizes


def _with_group(observations: Observations, labels: Any, code: Any) -> tuple[Observations, Any]:
    """The rows that have a group, and a warning about the others."""
    told = f"{int((code < 0).sum())} rows without {', '.join(map(repr, labels))} are left out"
    remark = SymRegWarning("DROPPED", told)
    warnings.warn(remark, stacklevel=5)
    kept = observations.take(code >= 0)
    return dataclasses.replace(kept, remarks=(*observations.remarks, remark)), code[code >= 0]


def _target_of(table: Any, target: Hashable | None) -> Hashable:
    """The target's label; a DataArray is itself the target.

    Raises
    ------
    OptionError : none is given, or another one than the DataArray.
    """
    if is_xarray(table) and not hasattr(table, "data_vars"):
        own = "y" if table.name is None else table.name
        if target is not None and target != own:
            raise OptionError(
                f"the DataArray {own!r} is itself the target; name only features: fit(da, features=[...])"
            )
        return own
    if target is None:
        raise OptionError('no target is given; name the measured column: fit(table, "y")')
    return target


def _observe(table: Any, target: Hashable | None, about: dict[str, Any]) -> Observations:
    return Observations.of(table, _target_of(table, target), **about)
