"""Doors: every accessor method is its free function, and what goes in and comes out of the engine."""

import sys
import types
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import sr_accessor as sr
from sr_accessor.errors import ColumnError, InputError, OptionError, SymRegWarning
from sr_accessor.frontends.pandas_accessor import DataFrameAccessor
from sr_accessor.frontends.xarray_accessor import DataArrayAccessor, DatasetAccessor
from sr_accessor.observations import Observations, inputs_of
from sr_accessor.options import FitOptions


@dataclass(frozen=True, eq=False)
class SumOfInputs:
    """The smallest honest result: the law "sum of the inputs"."""

    observations: Observations
    options: FitOptions
    held_out: Observations | None = None

    def predict(self, table):
        inputs = inputs_of(table, self.observations.names, self.observations.target)
        return inputs.like(inputs.x.sum(axis=1))

    def __eq__(self, other):
        return (self.observations.data_hash, self.options) == (other.observations.data_hash, other.options)


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    """`regression.fit` that answers at once with `SumOfInputs`."""
    fake = types.ModuleType("sr_accessor.regression")
    fake.fit = SumOfInputs
    monkeypatch.setitem(sys.modules, "sr_accessor.regression", fake)
    monkeypatch.setattr(sr, "regression", fake, raising=False)


@pytest.fixture
def frame():
    return pd.DataFrame({"x": [1.0, 2.0, 4.0, 7.0], "T [K]": [3.0, 1.0, 2.0, 5.0], "y": [1.0, 5.0, 15.0, 50.0]})


@pytest.fixture
def dataset():
    return xr.Dataset(
        {"x": ("t", [1.0, 2.0, 4.0]), "y": (("run", "t"), [[1.0, 4.0, 16.0], [2.0, 5.0, 17.0]])},
        coords={"t": [0.1, 0.2, 0.3], "T": ("run", [300.0, 310.0])},
    )


OPTIONS = {"sigma": 0.1, "timeout": 3, "random_state": 1, "operators": ["add", "mul"]}


@pytest.mark.parametrize("name", ["fit", "predict"])
@pytest.mark.parametrize("kind", ["frame", "dataset", "dataarray"])
def test_door_is_function(name, kind, frame, dataset):
    table = {"frame": frame, "dataset": dataset, "dataarray": dataset["y"]}[kind]
    by_name, given = {"features": ["T"]} if kind == "dataarray" else {}, ("y",) if kind != "dataarray" else ()
    if name == "fit":
        assert table.symreg.fit(*given, **by_name, **OPTIONS) == sr.fit(table, *given, **by_name, **OPTIONS)
    else:
        law = sr.fit(table, *given, **by_name)
        door, function = table.symreg.predict(law), sr.predict(table, law)
        assert type(door) is type(function) and door.name == function.name == "y"
        np.testing.assert_array_equal(door.to_numpy(), function.to_numpy())


@pytest.mark.parametrize("accessor", [DataFrameAccessor, DatasetAccessor, DataArrayAccessor])
def test_accessors_hold_nothing_but_their_object(accessor):
    assert accessor.__slots__ == ("_obj",)
    assert {name for name in vars(accessor) if not name.startswith("_")} == {"fit", "predict", "refine"}
    with pytest.raises(AttributeError):
        accessor(None).memory = 1


def test_options_reach_the_engine(frame):
    result = frame.symreg.fit("y", "x", timeout=3, max_rounds=2, callbacks=print)
    assert result.options == FitOptions(timeout=3, max_rounds=2, callbacks=(print,))
    assert result.observations.names == ("x",)


def test_method_chaining(frame):
    law = frame.pipe(sr.fit, "y")
    predicted = frame.assign(y_hat=law.predict)["y_hat"]
    assert predicted.tolist() == [4.0, 3.0, 6.0, 12.0]


def test_prediction_on_new_data(frame):
    law = frame.symreg.fit("y")
    new = pd.DataFrame({"T [K]": [1.0, np.nan, 3.0], "extra": list("abc"), "x": [10, 20, 30]}, index=[9, 7, 8])
    expected = pd.Series([11.0, np.nan, 33.0], index=[9, 7, 8], name="y")
    pd.testing.assert_series_equal(new.symreg.predict(law), expected)
    with pytest.raises(ColumnError, match=r"no column 'T \[K\]'"):
        new.drop(columns="T [K]").symreg.predict(law)


def test_prediction_keeps_any_index(frame):
    law = frame.symreg.fit("y", "x")
    frame.index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["site", "run"])
    assert frame.sample(4, random_state=0).symreg.predict(law).index.names == ["site", "run"]
    assert frame.symreg.predict(law).index is frame.index or frame.symreg.predict(law).index.equals(frame.index)


def test_groups_are_fitted_one_by_one(frame):
    frame = pd.concat([frame.assign(run=7), frame.assign(run=8, y=frame["y"] * 2)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the grouping column is constant in each group: no reason to warn
        results = frame.groupby("run").pipe(sr.fit, "y")
    assert list(results) == [7, 8]
    assert [r.observations.names for r in results.values()] == [("x", "T [K]")] * 2
    assert results[8].observations.y.tolist() == [2.0, 10.0, 30.0, 100.0]
    by_two = frame.groupby(["run", frame["x"] > 2]).pipe
    with pytest.raises(InputError, match="2 rows to learn from") as caught:
        by_two(sr.fit, "y")
    assert caught.value.__notes__ == ["in group (7, False)"]


@pytest.mark.parametrize("given", [{}, {"features": ["x"]}])
def test_several_targets_are_fitted_one_by_one(frame, given):
    """No other target, nor its error bars, is among the features; what is named is taken as it is."""
    frame = frame.assign(z=2.0 * frame["y"] + frame["x"] ** 3, dz=[0.1, 0.2, 0.3, 0.4])
    found = frame.symreg.fit(["y", "z"], **OPTIONS | given | {"sigma": {"z": "dz"}})
    assert list(found) == ["y", "z"]
    names = given.get("features", ["x", "T [K]"])
    assert found["y"] == sr.fit(frame, "y", names, **OPTIONS | {"sigma": None})
    assert found["z"] == sr.fit(frame, "z", names, **OPTIONS | {"sigma": "dz"})
    as_dataset = sr.fit(xr.Dataset.from_dataframe(frame), ["y", "z"], names, **OPTIONS | {"sigma": {"z": "dz"}})
    assert as_dataset["z"].observations.names == tuple(names)
    groups = frame.assign(run="a").groupby("run")
    with pytest.raises(OptionError, match="name the features of several targets"):
        sr.fit(groups, ["y", "z"], **OPTIONS | {"sigma": None})
    assert sr.fit(groups, ["y", "z"], names, **OPTIONS | {"sigma": None})["y"]["a"] == found["y"]


def test_dataset(dataset):
    law = dataset.symreg.fit("y", ["x", "T"])
    assert law.observations.x.shape == (6, 2)
    prediction = dataset.symreg.predict(law)
    assert prediction.dims == dataset["y"].dims
    xr.testing.assert_identical(prediction, (dataset["T"] + dataset["x"]).rename("y"))


def test_dataarray_is_the_target(dataset):
    law = dataset["y"].symreg.fit(["t"])
    assert law.observations.target == "y" and law.observations.names == ("t",)
    assert dataset["y"].symreg.fit().observations.names == ("t", "T")
    assert sr.fit(dataset["y"], "y", "t") == law
    xr.testing.assert_allclose(dataset["y"].symreg.predict(law), dataset["t"].rename("y"))


def test_warnings_are_given_once_and_kept(frame):
    frame["c"], frame["who"] = 1.0, list("abcd")
    with pytest.warns(SymRegWarning) as caught:
        law = frame.symreg.fit("y")
    assert [w.message.code for w in caught] == ["CONSTANT"]
    assert caught[0].filename == __file__
    assert [r.code for r in law.observations.remarks] == ["SKIPPED", "CONSTANT"]
