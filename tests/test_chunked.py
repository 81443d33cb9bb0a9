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
from sr_accessor.errors import ChunkError, InputError, OptionError

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


def test_what_cannot_be():
    table = dd.from_pandas(rows(n=1000).assign(g=1), npartitions=2)
    with pytest.raises(ChunkError, match=r"spread over its chunks; bring their rows together with .compute\(\)"):
        sr.fit(table, "y", by="g")
    with pytest.raises(OptionError, match="label of a column, or one number"):
        sr.fit(table, "y", sigma=np.ones(1000))
    with pytest.raises(OptionError, match="sigma_x of a chunked table"):
        sr.fit(table, "y", sigma="s", sigma_x={"x": 0.1})
    with pytest.raises(OptionError, match="no target is given"):
        sr.fit(table)
    broken = rows(n=1000)
    broken.loc[7, "x"] = np.inf
    with pytest.raises(InputError, match=r"column 'x' (is infinite|reaches inf in a chunk)"):
        sr.fit(dd.from_pandas(broken, npartitions=2), "y", ["x", "z"], **OPTIONS)


@pytest.mark.filterwarnings("ignore")  # Dask's own processes and sockets
def test_a_killed_worker_loses_nothing():
    from distributed import Client, LocalCluster

    frame = rows()
    table = dd.from_pandas(frame, npartitions=6)
    alone = sr.fit(table, "y", ["x", "z"], **OPTIONS)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
        dask.config.set(scheduler=client),
    ):
        victim, passes = next(iter(client.run(os.getpid).values())), []

        def killing(tasks):
            passes.append(len(tasks))
            futures = client.compute(tasks)
            if len(passes) == 3:  # the first sums over all chunks
                os.kill(victim, signal.SIGKILL)
            return client.gather(futures)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunked, "_computed", killing)
            result = sr.fit(table, "y", ["x", "z"], **OPTIONS)
    assert len(passes) > 3
    assert result.best.params["value"].to_numpy() == pytest.approx(alone.best.params["value"].to_numpy(), rel=1e-12)
