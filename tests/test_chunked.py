"""Dask tables: the law of all rows, found on a sample and refined by sums over chunks; lost workers lose nothing."""

import copy
import os
import signal

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import sr_accessor as sr
from sr_accessor import chunked
from sr_accessor.errors import ColumnError, InputError, MissingDataError, OptionError, SigmaError

OPTIONS = {"random_state": 0, "timeout": 100, "max_rounds": 1, "validation": None, "operators": ["add", "mul", "pow"]}
FORMULA = "c*x**k*z"


def rows(seed=0, n=30_000):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.uniform(1, 3, n), "z": rng.uniform(1, 2, n)})
    frame["s"] = 0.05 + 0.1 * rng.random(n)
    frame["y"] = 2.345 * frame["x"] ** 1.27 * frame["z"] + frame["s"] * rng.normal(size=n)
    return frame


@pytest.fixture(scope="module", autouse=True)
def few_rows_to_search_on():
    """A sample of 300 rows instead of 20,000."""
    with pytest.MonkeyPatch.context() as patch, dask.config.set(scheduler="synchronous"):
        patch.setattr(chunked, "MOST_ROWS", 300)
        yield


@pytest.mark.parametrize(
    "beside",
    [{}, {"sigma": "s"}, {"sigma": "s", "absolute_sigma": False}, {"sample_weight": "s"}],
    ids=["plain", "sigma", "relative sigma", "weights"],
)
def test_constants_and_errors_are_those_of_all_rows(beside):
    frame = rows()
    table = dd.from_pandas(frame, npartitions=4)
    result = sr.fit(table, "y", ["x", "z"], **beside, **OPTIONS)
    whole = sr.refine(frame, "y", FORMULA, start={"c": 2, "k": 1.3}, restarts=0, **beside)
    found, known = result.best.params, whole.best.params
    assert np.allclose(sorted(found["value"]), sorted(known["value"]), rtol=0, atol=0.1 * known["stderr"].min())
    assert sorted(found["stderr"]) == pytest.approx(sorted(known["stderr"]), rel=1e-4)
    assert result.best.loss == pytest.approx(whole.best.loss, abs=0.01)
    assert "30000, of which 300 as a sample" in result.report() and len(result.observations.y) == 300
    assert np.allclose(result.predict(table).compute(), whole.predict(frame), rtol=1e-4)


def test_a_sample_is_never_taken_for_all_rows(tmp_path):
    table = dd.from_pandas(rows(), npartitions=4)
    result = sr.fit(table, "y", ["x", "z"], sigma="s", **OPTIONS)
    result.save(tmp_path / "law.json")
    for other in (sr.load(tmp_path / "law.json"), copy.deepcopy(result), result.select(result.rule)):
        assert other.to_dataset()["y_symreg_stats"].sel(fit_stat="nobs") == 30_000 and "30000" in repr(other)
        assert other.best.params.equals(result.best.params) and other.front.equals(result.front)
    law = copy.deepcopy(result.best)
    assert law.params.equals(result.best.params) and law.observations.count == 30_000
    with pytest.raises(InputError, match=r"all 30000 rows .* sample of 300 is here; save without data=True"):
        result.save(tmp_path / "data.json", data=True)
    assert not (tmp_path / "data.json").exists()
    with pytest.raises(InputError, match=r'all 30000 rows .* use interval\(method="curvature"\)'):
        result.best.interval()
    assert result.best.interval(method="curvature").notna().all(axis=None)
    with pytest.raises(InputError, match="no search that could go on"):
        result.resume()


@pytest.mark.filterwarnings("ignore:DROPPED")
def test_a_row_of_weight_none_is_no_row_in_a_chunk_either():
    frame = rows(n=4000).assign(w=lambda f: f.index % 3 / 2)
    given = {"sample_weight": "w", "start": {"c": 2, "k": 1.3}, "restarts": 0, "random_state": 0}
    result, whole = (sr.refine(one, "y", FORMULA, **given) for one in (dd.from_pandas(frame, npartitions=3), frame))
    pd.testing.assert_frame_equal(result.best.params, whole.best.params, rtol=1e-4)
    assert result.best.observations.total == whole.best.observations.total == (frame["w"] > 0).sum()


def test_other_noise_models_add_up_too():
    frame = rows()
    frame["n"] = np.random.default_rng(1).poisson(frame["y"].clip(0) * 5)
    result = sr.fit(dd.from_pandas(frame, npartitions=3), "n", ["x", "z"], noise="poisson", **OPTIONS)
    whole = sr.refine(frame, "n", FORMULA, noise="poisson", start={"c": 10, "k": 1.3}, restarts=0)
    assert sorted(result.best.params["value"]) == pytest.approx(sorted(whole.best.params["value"]), rel=1e-4)


def test_chunked_xarray_and_missing_values():
    frame = rows(n=6000)
    frame.loc[::50, "x"] = np.nan
    dataset = xr.Dataset({name: ("i", frame[name].to_numpy(), {"units": ""}) for name in "xyz"}).chunk(i=1500)
    with pytest.warns(sr.errors.SymRegWarning, match="DROPPED"):
        result = dataset.symreg.fit("y", ["x", "z"], **OPTIONS)
    whole = sr.refine(frame.dropna(), "y", FORMULA, start={"c": 2, "k": 1.3}, restarts=0)
    assert sorted(result.best.params["value"]) == pytest.approx(sorted(whole.best.params["value"]), rel=1e-4)


def test_a_small_table_is_its_own_sample_and_the_sample_is_drawn_by_the_seed():
    frame = rows(n=200)
    small = sr.fit(dd.from_pandas(frame, npartitions=2), "y", ["x", "z"], **OPTIONS)
    assert small.best.to_text() == sr.fit(frame, "y", ["x", "z"], **OPTIONS).best.to_text()
    table = dd.from_pandas(rows(), npartitions=3)
    one, two = (sr.fit(table, "y", ["x", "z"], **OPTIONS) for _ in range(2))
    assert one.provenance["data_hash"] == two.provenance["data_hash"]
    assert one.best.to_text() == two.best.to_text()


@pytest.mark.parametrize(
    "errors",
    [
        {"sigma": "s", "sigma_x": {"x": "e", "z": 0.02}},
        {"sigma": ("s", "u")},
        {"sigma": "s", "sigma_x": {"x": "e"}, "absolute_sigma": False},
    ],
    ids=["of x", "of two sides", "of x, relative"],
)
def test_errors_that_depend_on_the_law_count_on_all_rows(errors):
    rng = np.random.default_rng(4)
    frame = rows().assign(e=lambda f: 0.03 + 0.05 * rng.random(len(f)), u=lambda f: 2 * f["s"])
    frame["x"] += frame["e"] * rng.normal(size=len(frame))
    given = {"start": {"c": 2, "k": 1.3}, "restarts": 0, "random_state": 0} | errors
    result = sr.refine(dd.from_pandas(frame, npartitions=4), "y", FORMULA, **given)
    whole = sr.refine(frame, "y", FORMULA, **given)
    found, known = result.best.params, whole.best.params
    assert (np.abs(found["value"] - known["value"]) < 0.1 * known["stderr"]).all()
    assert list(found["stderr"]) == pytest.approx(list(known["stderr"]), rel=1e-3)
    assert result.best.loss == pytest.approx(whole.best.loss, abs=0.1)
    if "sigma_x" in errors and "absolute_sigma" not in errors:
        searched = sr.fit(dd.from_pandas(frame, npartitions=4), "y", ["x", "z"], **errors, **OPTIONS)
        assert sorted(searched.best.params["value"]) == pytest.approx(sorted(known["value"]), rel=1e-3)


@pytest.mark.filterwarnings("ignore:SINGULAR")
def test_a_known_law_with_ties_bounds_and_held_numbers():
    frame, law = rows(), "c*(x**k*z + b*z - z/c*0) + b + n*0"
    table = dd.from_pandas(frame, npartitions=4)
    given = {"fix": {"n": 1.0}, "bounds": {"k": (None, 1.2), "c": (0, None)}, "restarts": 1, "random_state": 0}
    result, whole = (sr.refine(one, "y", law, sigma="s", **given) for one in (table, frame))
    assert result.best.params["value"]["k"] == whole.best.params["value"]["k"] == 1.2
    pd.testing.assert_frame_equal(result.best.params, whole.best.params, rtol=1e-3)
    dataset = xr.Dataset({name: ("i", frame[name].to_numpy()) for name in ("x", "z", "y", "s")}).chunk(i=7000)
    again = dataset.symreg.refine("y", law, sigma="s", **given)
    pd.testing.assert_frame_equal(again.best.params, result.best.params, rtol=1e-4)
    counts = frame.assign(n=np.random.default_rng(1).poisson(frame["y"].clip(0) * 5)).drop(columns="s")
    given = {"noise": "auto", "start": {"c": 10, "k": 1.3}, "restarts": 0, "random_state": 0}
    result, whole = (sr.refine(one, "n", FORMULA, **given) for one in (dd.from_pandas(counts, npartitions=3), counts))
    assert result.provenance["noise"] == whole.provenance["noise"] == "poisson"
    pd.testing.assert_frame_equal(result.best.params, whole.best.params, rtol=1e-3)


def test_groups_of_a_dask_table():
    frame = rows(n=600).assign(g=np.arange(600) % 3, junk="x")
    table = dd.from_pandas(frame, npartitions=3)
    given = {"by": "g", "start": {"c": 2, "k": 1.3}, "restarts": 0, "random_state": 0}
    result, whole = (sr.refine(one, "y", FORMULA, **given) for one in (table, frame))
    pd.testing.assert_frame_equal(result.params, whole.params)
    result, whole = (sr.fit(one, "y", ["x", "z"], by="g", shared=False, **OPTIONS) for one in (table, frame))
    assert result.equation == whole.equation and "junk" not in result.predict(frame)


@pytest.mark.filterwarnings("ignore:GROUP")
def test_what_a_law_says_of_a_dask_table_is_lazy_and_the_same():
    frame = rows(n=400).assign(g=np.arange(400) % 3)
    frame.loc[5, "x"] = np.nan
    frame.loc[6, "g"] = 7  # unknown
    table = dd.from_pandas(frame, npartitions=3)
    options = {"restarts": 0, "random_state": 0, "start": {"c": 2, "k": 1.3}}
    known = frame.dropna().query("g < 7")
    law, groups = (known.symreg.refine("y", FORMULA, **options, **by) for by in ({}, {"by": "g"}))
    many = known.symreg.fit("y", ["x", "z"], **OPTIONS)
    constant = many[0]
    assert not constant.names
    for act in (
        law.predict, law.residuals, constant.predict, constant.residuals, groups.predict, groups.residuals, many.spread,
        lambda t: law.predict(t, "confidence", level=0.9), lambda t: law.predict(t, "prediction", sigma=0.3),
    ):  # fmt: skip
        lazy = act(table)
        assert hasattr(lazy, "dask")
        wanted, found = act(frame), lazy.compute()
        assert type(found) is type(wanted) and found.index.equals(frame.index)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    indexed = frame.set_index("g").sort_index()
    np.testing.assert_allclose(groups.predict(dd.from_pandas(indexed, npartitions=2)), groups.predict(indexed))
    assert len(groups.predict(frame[:0])) == 0 and groups.predict(frame.assign(g=np.nan)).isna().all()
    for act in (law.predict, law.residuals, groups.predict, many.spread):
        with pytest.raises(ColumnError, match="no column 'z'"):
            act(table.drop(columns="z"))
    with pytest.raises(OptionError, match="one number"):
        law.predict(table, "prediction", sigma=np.ones(400))


def test_what_cannot_be():
    table = dd.from_pandas(rows(n=1000).assign(g=1), npartitions=2)
    with pytest.raises(OptionError, match="label of a column, or one number"):
        sr.fit(table, "y", sigma=np.ones(1000))
    with pytest.raises(OptionError, match=r"sigma_x\['x'\] of a chunked table is the label"):
        sr.fit(table, "y", sigma="s", sigma_x={"x": np.ones(1000)})
    with pytest.raises(OptionError, match="no target is given"):
        sr.fit(table)
    dataset = xr.Dataset({name: ("i", rows(n=100)[name].to_numpy()) for name in "xyz"}).chunk(i=50)
    with pytest.raises(ColumnError, match="no column 'w'"):
        dataset.symreg.fit("w", ["x"])
    with pytest.raises(OptionError, match="'y' is itself the target"):
        sr.fit(dataset["y"].assign_coords(x=dataset["x"]), "w", ["x"])


@pytest.mark.parametrize(
    ("label", "value", "given", "error", "words"),
    [
        ("x", np.inf, {}, InputError, "column 'x' (is infinite|reaches inf in a chunk)"),
        ("s", -1.0, {"sigma": "s"}, SigmaError, "sigma is not a positive number in 1 row, first -1 in row 7"),
        ("s", np.nan, {"sigma": "s"}, SigmaError, "sigma is not a positive number in 1 row, first nan"),
        ("s", -1.0, {"sample_weight": "s"}, InputError, "(?i)negative or (infinite|missing) values"),
        ("x", np.nan, {"nan_policy": "raise"}, MissingDataError, "missing values"),
    ],
)
def test_a_bad_value_in_any_chunk_is_told(label, value, given, error, words):
    for at in (7, 12_345):  # in the sample or not
        broken = rows(n=20_000)
        broken.loc[at, label] = value
        with pytest.raises(error, match=words):
            sr.refine(dd.from_pandas(broken, npartitions=2), "y", FORMULA, restarts=0, random_state=0, **given)
        words = words.replace("row 7", "row 12345")


@pytest.mark.filterwarnings("ignore")  # Dask's own processes and sockets
def test_a_killed_worker_loses_nothing():
    from distributed import Client, LocalCluster

    frame = rows().assign(g=lambda f: np.arange(len(f)) % 5)
    table, few = dd.from_pandas(frame, npartitions=6), frame[:200]
    alone = sr.fit(table, "y", ["x", "z"], **OPTIONS)
    apart = sr.fit(few, "y", ["x", "z"], by="g", shared=False, **OPTIONS)
    with (
        LocalCluster(n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
        dask.config.set(scheduler=client),
    ):
        victims, passes = list(client.run(os.getpid).values()), []

        def killing(tasks):
            passes.append(len(tasks))
            futures = client.compute(tasks)
            if len(passes) in (3, last):  # the first sums over all chunks, and the fits of groups
                os.kill(victims.pop(), signal.SIGKILL)
            return client.gather(futures)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunked, "_computed", killing)
            last = 0
            result = sr.fit(table, "y", ["x", "z"], **OPTIONS)
            last = len(passes) + 1
            groups = sr.fit(dd.from_pandas(few, npartitions=2), "y", ["x", "z"], by="g", shared=False, **OPTIONS)
        seeds = client.map(lambda seed: sr.fit(few, "y", ["x", "z"], **OPTIONS | {"random_state": seed}), range(4))
        laws = client.gather(seeds)
    assert len(victims) == 1 and 3 < len(passes) == last and passes[-1] == 5
    assert result.best.params["value"].to_numpy() == pytest.approx(alone.best.params["value"].to_numpy(), rel=1e-12)
    assert groups.equation == apart.equation
    assert [law.provenance["random_state"] for law in laws] == [0, 1, 2, 3]
