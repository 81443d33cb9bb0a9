"""xarray in full: a law along dimensions, results as Datasets, trees, lazy predictions."""

import numpy as np
import pytest
import xarray as xr

import sr_accessor as sr
from sr_accessor.errors import ColumnError, InputError, MissingDataError, OptionError

pytestmark = pytest.mark.filterwarnings("ignore:DROPPED")
OPTIONS = {"start": {"k": 1}, "restarts": 1, "random_state": 0}
FORMULA = "a*exp(-k*t)"


@pytest.fixture(scope="module")
def runs():
    """Voltage y(run, t) of six runs, one of them empty; the time is a variable in "s"."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 4, 12)
    a, k = rng.uniform(1, 3, 6), rng.uniform(0.5, 1.5, 6)
    y = a[:, None] * np.exp(-k[:, None] * t) + 0.01 * rng.normal(size=(6, 12))
    y[3] = np.nan
    y[0, 3] = np.nan
    return xr.Dataset(
        {"y": (("run", "t"), y, {"units": "V"}), "T": ("run", np.arange(6.0))},
        coords={"run": list("abcdef"), "t": ("t", t, {"units": "s"})},
    )


@pytest.fixture(scope="module")
def result(runs):
    return runs.symreg.refine("y", FORMULA, over="run", errors="ignore", **OPTIONS)


def test_the_result_has_the_layout_of_curvefit(runs, result):
    ours, theirs = result.to_dataset(), runs.y.curvefit("t", lambda t, a, k: a * np.exp(-k * t), errors="ignore")
    theirs = theirs.rename(curvefit_coefficients="y_symreg_coefficients", curvefit_covariance="y_symreg_covariance")
    for name in theirs.data_vars:
        assert ours[name].dims == theirs[name].dims
        assert np.allclose(ours[name], theirs[name], rtol=1e-3, equal_nan=True)
    assert ours["y_symreg_status"].values.tolist() == ["ok", "ok", "ok", "no_data", "ok", "ok"]
    assert ours["param_units"].values.tolist() == ["V", "1/s"]
    assert ours["y_symreg_stats"].sel(fit_stat="nobs").values.tolist() == [11, 12, 12, 0, 12, 12]
    assert ours.attrs["equation"] == "y = a*exp(-k*t)" and ours.attrs["latex"].startswith("y = ")


def test_netcdf_round_trip(result, tmp_path):
    dataset = result.to_dataset()
    dataset.to_netcdf(tmp_path / "laws.nc", engine="scipy")
    again = xr.load_dataset(tmp_path / "laws.nc", engine="scipy")
    assert again.equals(dataset) and again.attrs["equation"] == dataset.attrs["equation"]


def test_a_single_law_as_a_dataset(runs):
    law = runs.isel(run=1).symreg.refine("y", FORMULA, **OPTIONS)
    dataset = law.to_dataset()
    assert dataset["y_symreg_coefficients"].values == pytest.approx(law.best.params["value"].to_numpy())
    assert dataset["y_symreg_covariance"].values == pytest.approx(law.best.covariance.to_numpy())
    assert dataset["y_symreg_status"] == "converged"


def test_predictions_broadcast_and_are_lazy_on_dask(runs, result):
    law = runs.symreg.predict(result)
    assert law.dims == ("run", "t") and law.attrs["units"] == "V" and bool(law.sel(run="d").isnull().all())
    assert float(abs(law - runs.y).max()) < 0.05
    some = xr.Dataset({"t": ("i", np.linspace(0, 1, 9))}).chunk(i=3)
    lazy = some.symreg.predict(result)
    assert hasattr(lazy.data, "dask") and set(lazy.dims) == {"i", "run"}
    assert np.allclose(lazy.sel(run="b"), result["b"].predict(some.compute()))
    one = result["b"].predict(some)
    assert hasattr(one.data, "dask") and one.attrs["units"] == "V" and np.allclose(one, lazy.sel(run="b"))
    with pytest.raises(ColumnError, match="no variable 't'"):
        xr.Dataset({"time": ("i", [1.0])}).symreg.predict(result)


@pytest.mark.parametrize("shared", [True, False])
def test_predictions_are_of_the_groups_that_the_table_has(runs, result, shared):
    some = runs.isel(run=[1, 2, 4])
    options = {"network": None, "max_rounds": 1, "timeout": 60, "random_state": 0, "progress": False}
    laws = result if shared else some.symreg.fit("y", "t", over="run", shared=False, **options)
    whole = laws.predict(some)
    swapped = laws.predict(some.sel(run=["c", "b"]))
    assert swapped["run"].values.tolist() == ["c", "b"]
    assert np.allclose(swapped.sel(run="b"), whole.sel(run="b")) and not np.allclose(*whole.sel(run=["b", "c"]))
    one = laws.predict(some.sel(run="e"))
    assert one.dims == ("t",) and np.allclose(one, whole.sel(run="e"))
    with pytest.warns(sr.errors.SymRegWarning, match="GROUP: there is no law for 'q': NaN stands there"):
        strange = laws.predict(some.assign_coords(run=["b", "q", "e"]))
    assert strange.sel(run="q").isnull().all() and np.allclose(strange.sel(run="e"), whole.sel(run="e"))


def test_dimensions_are_named_in_either_way(runs, result):
    other = runs.y.symreg.refine(FORMULA, reduce_dims="t", errors="ignore", **OPTIONS)
    assert other.params.equals(result.params)
    with pytest.raises(OptionError, match="two ways"):
        runs.symreg.refine("y", FORMULA, over="run", reduce_dims="t")
    with pytest.raises(ColumnError, match="over names 'rum', which is no dimension; did you mean 'run'"):
        runs.symreg.refine("y", FORMULA, over="rum")
    with pytest.raises(InputError, match="leaves no points in a group"):
        runs.symreg.refine("y", FORMULA, over=["run", "t"])
    with pytest.raises(InputError, match=r"'p', which is stacked; name what it is made of: over=\['run', 'i'\]"):
        runs.rename(t="i").assign(t=("i", runs.t.values)).stack(p=("run", "i")).symreg.refine("y", FORMULA, over="p")
    with pytest.raises(OptionError, match="of xarray name the dimensions"):
        runs.symreg.refine("y", FORMULA, by="run")


def test_missing_values_and_cells_without_a_law(runs):
    with pytest.raises(MissingDataError, match="'y': 13"):
        runs.symreg.refine("y", FORMULA, over="run", skipna=False)
    with pytest.raises(InputError, match="group 'd' has no law: no_data"):
        runs.symreg.refine("y", FORMULA, over="run", errors="raise", **OPTIONS)


def test_a_variable_of_the_group_may_stand_in_the_law(runs):
    """T does not vary within a run: with own constants it says nothing, and still broadcasts."""
    law = runs.symreg.refine("y", "a*exp(-t*k) + 0*T", over="run", errors="ignore", **OPTIONS)
    assert law.params["value"].notna().all()


def test_every_node_of_a_tree(runs):
    tree = xr.DataTree.from_dict({"/cold": runs, "/warm/later": runs.isel(run=slice(3)), "/notes": xr.Dataset()})
    found = tree.symreg.refine("y", FORMULA, over="run", errors="ignore", **OPTIONS)
    assert found["/cold/y_symreg_coefficients"].shape == (6, 2)
    assert found["/warm/later/y_symreg_coefficients"].shape == (3, 2)
    with pytest.raises(ColumnError, match="names 'run', which is no dimension") as error:
        xr.DataTree.from_dict({"/one": runs.isel(run=0)}).symreg.refine("y", FORMULA, over="run")
    assert error.value.__notes__ == ["in node '/one'"]
    with pytest.raises(ColumnError, match="no node of the tree has 'z'"):
        tree.symreg.refine("z", FORMULA)


def test_a_fit_along_a_dimension(runs):
    some = runs.isel(run=[1, 2, 4])
    law = some.symreg.fit("y", "t", over="run", timeout=100, max_rounds=1, random_state=0, errors="ignore")
    assert law.keys.tolist() == ["b", "c", "e"] and law.shared and law.to_dataset().sizes["run"] == 3
    assert sr.predict(some, law).dims == ("run", "t")
