"""The user's data are never changed: every public method that takes a table, on every kind of table."""

import copy
import inspect
import pickle
from contextlib import contextmanager

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.base import BaseEstimator

import sr_accessor as sr
from sr_accessor.equation import Equation
from sr_accessor.errors import InputError
from sr_accessor.frontends import pandas_accessor, xarray_accessor
from sr_accessor.groups.result import GroupedResult
from sr_accessor.result import FitResult
from sr_accessor.sklearn import SymbolicRegressor, SymbolicTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")

QUICK = {"network": None, "validation": None, "max_rounds": 1, "timeout": 60.0, "random_state": 0}
SEARCH = QUICK | {"progress": False, "operators": ["mul"], "constraints": sr.Constraints(max_complexity=5)}
KNOWN = {"restarts": 0, "random_state": 0}
FORMULA = "c*m*`T [K]`"


def table(rows=40):
    """A frame as labs have them: missing values, many dtypes, a strict flag, nested attrs, an index of two levels."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"m": random.uniform(1, 3, rows), "T [K]": random.uniform(1, 2, rows).astype(np.float32)})
    frame["y"] = 2.5 * frame["m"] * frame["T [K]"] + random.normal(0, 0.01, rows)
    frame["dy"] = pd.array([0.01, *[0.02] * (rows - 1)], dtype="Float64")
    frame["dm"] = 0.001
    frame["w"] = np.arange(1, rows + 1)
    frame["run"] = pd.Categorical(np.array(["a", "b"])[np.arange(rows) % 2])
    frame["note"] = ["text", None] * (rows // 2)
    frame["when"] = pd.date_range("2026-01-01", periods=rows)
    frame["lists"] = [[i] for i in range(rows)]
    frame.loc[3, "m"] = np.nan
    frame.index = pd.MultiIndex.from_arrays([np.arange(rows) // 20, random.permutation(rows)], names=["day", "row"])
    frame.columns.name = "quantity"
    frame = frame.set_flags(allows_duplicate_labels=False)
    frame.attrs = {"units": {"m": "kg"}, "lab": {"rooms": [1, 2]}}
    return frame


def cube():
    frame = table()
    columns = {name: (("run", "i"), frame[name].to_numpy(float).reshape(2, 20).copy()) for name in ("m", "y", "dm")}
    columns["T [K]"] = ("i", np.linspace(1, 2, 20))
    dataset = xr.Dataset(columns, {"run": ["a", "b"], "i": np.arange(20.0)}, {"lab": {"rooms": [1, 2]}})
    dataset["m"].attrs, dataset["m"].encoding = {"units": "kg"}, {"dtype": "float32"}
    dataset["y"] = 2.5 * dataset["m"] * dataset["T [K]"] + 0.01 * np.sin(dataset["i"] ** 2)
    return dataset


def state(given):
    """Everything about a table, or about an argument, that its owner can see."""
    if isinstance(given, pd.DataFrame):
        columns = [given.iloc[:, j] for j in range(given.shape[1])]
        about = [(str(c.dtype), pickle.dumps(c.array if c.dtype == object else c.to_numpy()), c.attrs) for c in columns]
        axes = [(id(axis), pickle.dumps((axis, axis.names))) for axis in (given.index, given.columns)]
        return type(given), about, axes, copy.deepcopy(given.attrs), given.flags.allows_duplicate_labels
    if isinstance(given, xr.DataTree):
        return {node.path: state(node.to_dataset()) for node in given.subtree}
    if isinstance(given, xr.Dataset | xr.DataArray):
        parts = given.variables if isinstance(given, xr.Dataset) else {None: given.variable} | dict(given.coords)
        about = {
            name: (v.dims, id(v.data) if hasattr(v.data, "dask") else v.values.tobytes(), str(v.dtype), v.encoding)
            for name, v in parts.items()
        }
        return about, copy.deepcopy([given.attrs, *(v.attrs for v in parts.values())]), dict(given.sizes), [*parts]
    if isinstance(given, dd.DataFrame):
        return given._name, list(given.columns), list(given.dtypes), given.divisions, copy.deepcopy(given._meta.attrs)
    return pickle.dumps(given)


@contextmanager
def unchanged(*given):
    before = [state(one) for one in given]
    yield
    for one, was in zip(given, before, strict=True):
        assert state(one) == was


@pytest.fixture(scope="module")
def law():
    return table().symreg.fit("y", ["m", "T [K]"], **SEARCH)


@pytest.fixture(scope="module")
def groups():
    return table().symreg.refine("y", FORMULA, by="run", **KNOWN)


#: What is done with a frame: the methods that it covers, and how.
ON_FRAMES = {
    "fit": ("fit", lambda f, *_: sr.fit(f, "y", ["m", "T [K]"], sigma="dy", sigma_x={"m": "dm"}, **SEARCH)),
    "fit by default": ("DataFrameAccessor.fit", lambda f, *_: f.symreg.fit("y", sample_weight="w", **SEARCH)),
    "fit by a column": (None, lambda f, *_: f.symreg.fit("y", ["m", "T [K]"], by="run", **SEARCH)),
    "fit by a level": (None, lambda f, *_: f.symreg.fit("y", ["m", "T [K]"], by="day", shared=False, **SEARCH)),
    "GroupBy.pipe": (None, lambda f, *_: f.groupby("run", observed=True).pipe(sr.fit, "y", ["m", "T [K]"], **SEARCH)),
    "strict units": (None, lambda f, *_: f.symreg.fit("y", ["m", "T [K]"], units={"m": "g", "y": "g"}, **SEARCH)),
    "in the background": (None, lambda f, *_: f.symreg.fit("y", ["m"], background=True, **SEARCH).result()),
    "refine": ("refine", lambda f, *_: sr.refine(f, "y", FORMULA, sigma=("dy", 0.02), **KNOWN)),
    "refine by": ("DataFrameAccessor.refine", lambda f, *_: f.symreg.refine("y", FORMULA, by=["run"], **KNOWN)),
    "refine with auto": (None, lambda f, *_: f.symreg.refine("y", FORMULA, by="run", noise="auto", **KNOWN)),
    "predict": ("predict", lambda f, law, _: sr.predict(f, law)),
    "a prediction's door": ("DataFrameAccessor.predict", lambda f, law, _: f.symreg.predict(law.best)),
    "a result's prediction": ("FitResult.predict", lambda f, law, _: law.predict(f, "prediction", sigma=0.1)),
    "an equation's": ("Equation.predict", lambda f, law, _: law.best.predict(f, "confidence")),
    "residuals": ("FitResult.residuals", lambda f, law, _: f.assign(r=law.residuals)),
    "an equation's residuals": ("Equation.residuals", lambda f, law, _: law.best.residuals(f)),
    "refit": ("Equation.refit", lambda f, law, _: law.best.refit(f, sigma="dy", sigma_x={"m": "dm"})),
    "spread": ("FitResult.spread", lambda f, law, _: law.spread(f)),
    "resume": ("FitResult.resume", lambda f, law, _: law.resume(f, max_rounds=1, timeout=60.0)),
    "a prediction of groups": ("GroupedResult.predict", lambda f, _, groups: f.assign(p=groups.predict)),
    "residuals of groups": ("GroupedResult.residuals", lambda f, _, groups: groups.residuals(f)),
}


@pytest.mark.parametrize("case", ON_FRAMES)
def test_frames(case, law, groups):
    frame = table()
    with unchanged(frame):
        ON_FRAMES[case][1](frame, law, groups)


def test_frames_of_which_nothing_can_be_made(law):
    frame = table()
    with unchanged(frame):
        for wrong in (
            lambda: frame.symreg.fit("y", ["note"]),
            lambda: frame.symreg.fit("y", ["m"], by="m", sigma="w", sample_weight="w"),
            lambda: frame.symreg.refine("note", FORMULA),
            lambda: law.predict(frame.drop(columns="m").assign(m="text")),
        ):
            with pytest.raises(InputError):
                wrong()


ON_CUBES = {
    "DatasetAccessor.fit": lambda ds: ds.symreg.fit("y", ["m", "T [K]"], **SEARCH),
    "DatasetAccessor.refine": lambda ds: ds.symreg.refine("y", FORMULA, over="run", sigma=0.01, **KNOWN),
    "DatasetAccessor.predict": lambda ds: ds.symreg.predict(ds.symreg.refine("y", FORMULA, over="run", **KNOWN)),
    "DataArrayAccessor.fit": lambda ds: as_target(ds).symreg.fit(["i", "T [K]"], over="run", **SEARCH),
    "DataArrayAccessor.refine": lambda ds: as_target(ds).symreg.refine("a*`T [K]` + b", reduce_dims="i", **KNOWN),
    "DataArrayAccessor.predict": lambda ds: as_target(ds).symreg.predict(ds.symreg.refine("y", "a*i", **KNOWN)),
    "DataTreeAccessor.fit": lambda ds: as_tree(ds).symreg.fit("y", ["m", "T [K]"], **SEARCH),
    "DataTreeAccessor.refine": lambda ds: as_tree(ds).symreg.refine("y", FORMULA, over="run", **KNOWN),
}


def as_target(dataset):
    return dataset["y"].assign_coords({"T [K]": dataset["T [K]"]})


def as_tree(dataset):
    return xr.DataTree.from_dict({"/one": dataset, "/notes": xr.Dataset()})


@pytest.mark.parametrize("chunks", [None, 10], ids=["in memory", "in chunks"])
@pytest.mark.parametrize("case", ON_CUBES)
def test_cubes(case, chunks):
    dataset = cube() if chunks is None else cube().chunk(i=chunks)
    array, tree = as_target(dataset), as_tree(dataset)
    with dask.config.set(scheduler="synchronous"), unchanged(dataset, array, tree):
        ON_CUBES[case](dataset)


def test_dask_frames(law):
    frame = table().drop(columns=["note", "when", "lists"]).set_flags(allows_duplicate_labels=True)
    frame = frame.reset_index(drop=True).rename_axis(columns=None)
    lazy = dd.from_pandas(frame, npartitions=2)
    with dask.config.set(scheduler="synchronous"):
        with unchanged(lazy, frame):
            sr.fit(lazy, "y", ["m", "T [K]"], sigma="dy", **SEARCH)
            sr.fit(lazy, "y", ["m", "T [K]"], by="run", shared=False, **SEARCH)
            sr.refine(lazy, "y", FORMULA, by="run", **KNOWN)
            sr.refine(lazy, "y", FORMULA, sigma=("dy", 0.02), **KNOWN)
            law.predict(lazy).compute(), law.residuals(lazy).compute()
        pd.testing.assert_frame_equal(lazy.compute(), frame)


@pytest.mark.parametrize("kind", [SymbolicRegressor, SymbolicTransformer])
def test_estimators(kind):
    frame = table().dropna(subset="m")
    X, y, weight = frame[["m", "T [K]"]], frame["y"], frame["w"].to_numpy()
    given = {"operators": ["mul"], "guesses": ["m*`T [K]`"], "constants": {"g": 9.81}}
    made = kind(**QUICK, **given)
    with unchanged(X, y.to_frame(), weight, given):
        made.fit(X, y, sample_weight=weight).fit(X, y, sigma=frame["dy"].to_numpy(float))
        for act in ("predict", "transform"):
            if hasattr(made, act):
                getattr(made, act)(X)
        if hasattr(made, "score"):
            made.score(X, y, weight)
        else:
            made.fit_transform(X, y)


def test_arguments_beside_the_table():
    frame = table()
    given = {
        "features": ["m", "T [K]"], "sigma": np.full(len(frame), 0.02), "sigma_x": {"m": np.full(len(frame), 0.001)},
        "operators": ["mul"], "constants": {"g": 9.81}, "guesses": ["m*k"], "units": {"m": "kg", "y": "kg"},
    }  # fmt: skip
    known = {"start": {"c": 2}, "bounds": {"c": (0, None)}, "fix": {"d": 0.0}}
    with unchanged(given, known):
        frame.symreg.fit("y", **QUICK, **given)
        frame.symreg.refine("y", FORMULA + " + d", **KNOWN, **known)


def test_no_method_that_takes_a_table_is_forgotten():
    accessors = [
        pandas_accessor.DataFrameAccessor, xarray_accessor.DatasetAccessor, xarray_accessor.DataArrayAccessor,
        xarray_accessor.DataTreeAccessor,
    ]  # fmt: skip
    public = {
        f"{kind.__name__}.{name}"
        for kind in (FitResult, Equation, GroupedResult)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and "table" in inspect.signature(method).parameters
    }
    public |= {f"{kind.__name__}.{name}" for kind in accessors for name in vars(kind) if not name.startswith("_")}
    public |= {
        name for name in sr.__all__
        if inspect.isfunction(getattr(sr, name)) and "table" in inspect.signature(getattr(sr, name)).parameters
    }  # fmt: skip
    assert public == {covered for covered, _ in ON_FRAMES.values() if covered} | ON_CUBES.keys()
    takes_x = {
        name for kind in (SymbolicRegressor, SymbolicTransformer)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and "X" in inspect.signature(method).parameters and not hasattr(BaseEstimator, name)
    }  # fmt: skip
    assert takes_x == {"fit", "predict", "transform", "fit_transform", "score"}
