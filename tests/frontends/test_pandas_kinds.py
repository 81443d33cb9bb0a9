"""Tables of every kind that pandas knows: MultiIndex, nullable and Arrow columns, subclasses, GroupBy, assign."""

import numpy as np
import pandas as pd
import pytest

import sr_accessor as sr

OPTIONS = {"random_state": 0, "timeout": 100, "max_rounds": 1, "validation": None}
LINE = {"restarts": 0, "random_state": 0}


@pytest.fixture(scope="module")
def plain():
    x = np.linspace(1, 4, 24)
    return pd.DataFrame({"x": x, "n": np.arange(24) % 5, "y": 2.5 * x**2 - 1})


@pytest.fixture(scope="module")
def law(plain):
    return plain.symreg.refine("y", "a*x**2 + b", **LINE).best.params["value"]


class Lab(pd.DataFrame):
    """A subclass, as GeoDataFrame is one."""

    _metadata = ["place"]

    @property
    def _constructor(self):
        return Lab


KINDS = {
    "nullable": lambda t: t.astype({"x": "Float64", "y": "Float64", "n": "Int64"}),
    "arrow": lambda t: t.astype({"x": "double[pyarrow]", "y": "double[pyarrow]", "n": "int32[pyarrow]"}),
    "float32": lambda t: t.astype({"n": "int16"}),
    "objects": lambda t: t.astype(object),
    "subclass": Lab,
    "rows by two labels": lambda t: t.set_index(pd.MultiIndex.from_product([range(4), list("abcdef")])),
    "dates": lambda t: t.set_index(pd.date_range("2026-01-01", periods=24)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_law(plain, law, kind):
    table = KINDS[kind](plain)
    before = table.copy()
    result = table.symreg.refine("y", "a*x**2 + b", **LINE)
    assert np.allclose(result.best.params["value"], law, rtol=1e-9)
    out = table.assign(yhat=result.predict, r=result.residuals)
    assert out.index.equals(table.index) and type(out) is type(table)
    assert np.allclose(out["yhat"].astype(float), plain["y"]) and np.allclose(out["r"].astype(float), 0, atol=1e-9)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("kind", ["nullable", "arrow"])
def test_missing_values_of_new_dtypes(plain, kind):
    table = KINDS[kind](plain)
    table.iloc[3, 0] = pd.NA
    with pytest.warns(sr.errors.SymRegWarning, match="DROPPED: 1 of 24 rows"):
        result = table.symreg.refine("y", "a*x**2 + b", **LINE)
    assert np.isnan(result.predict(table).iloc[3]) and result.predict(table).notna().sum() == 23


def test_columns_by_two_labels(plain):
    table = plain.set_axis(pd.MultiIndex.from_tuples([("in", "x"), ("in", "n"), ("out", "y")]), axis=1)
    result = table.symreg.fit(("out", "y"), [("in", "x")], **OPTIONS)
    assert result.best.names == (("in", "x"),)
    assert np.allclose(result.predict(table), plain["y"], rtol=1e-6)
    groups = sr.refine(table.droplevel(0, axis=1), "y", "a*x**2 + b", by="n", **LINE)
    assert len(groups) == 5


@pytest.mark.parametrize("kind", ["nullable", "arrow", "category", "subclass"])
def test_groups_by_keys_of_every_kind(plain, kind):
    table = plain.astype({"n": "category"}) if kind == "category" else KINDS[kind](plain)
    result = table.symreg.refine("y", "a*x**2 + b", by="n", **LINE)
    assert result.keys.tolist() == [0, 1, 2, 3, 4]
    assert np.allclose(result.predict(table), plain["y"])


def test_group_by_and_pipe(plain):
    results = plain.groupby(plain["x"] > 2.5).pipe(sr.fit, "y", "x", **OPTIONS)
    assert set(results) == {False, True}
    for key, group in plain.groupby(plain["x"] > 2.5):
        assert np.allclose(group.assign(yhat=results[key].predict)["yhat"], group["y"], rtol=1e-6)
