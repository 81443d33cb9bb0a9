"""Rows that judge a front: those of another table, and those that a splitter tells."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.model_selection import KFold, PredefinedSplit, ShuffleSplit

import sr_accessor as sr
from sr_accessor.errors import ColumnError, InputError, OptionError, SymRegWarning

QUICK = {"network": None, "max_rounds": 1, "timeout": 60.0, "random_state": 0, "progress": False}
FEATURES = ["x", "T [K]"]


@pytest.fixture(scope="module")
def tables():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.uniform(1, 3, 60), "T [K]": random.uniform(200, 300, 60), "dy": 0.5})
    frame["y"] = 2.3 * frame["x"] * frame["T [K]"] + 0.5 * random.normal(size=60)
    return frame[:40], frame[40:]


def r2(result, table):
    return 1 - np.mean((table["y"] - result.predict(table)) ** 2) / np.var(table["y"])


def test_another_table_judges_in_its_own_units(tables):
    learnt, judged = tables
    in_millikelvin = judged.assign(**{"T [mK]": 1000 * judged["T [K]"]}).drop(columns="T [K]")
    in_millikelvin = in_millikelvin.rename(columns={"T [mK]": "T [K]"})
    in_millikelvin.attrs["units"] = {"T [K]": "mK"}
    result = sr.fit(learnt, "y", FEATURES, sigma="dy", validation=in_millikelvin, select="validation", **QUICK)
    assert result.observations.count == 40  # all of them teach
    chosen = result.front.set_index("selected").loc[True]
    assert chosen["r2_val"] == pytest.approx(r2(result, judged)) == result.front["r2_val"].max()
    assert result.provenance["validation"] == "rows given"


def test_a_search_goes_on_beside_the_rows_of_another_table(tables):
    learnt, judged = tables
    result = sr.load(sr.fit(learnt, "y", FEATURES, validation=judged, **QUICK).to_json(data=True))
    more = result.resume(learnt, timeout=60.0, max_rounds=1)
    assert more.best.to_text() == result.best.to_text() and more.front["r2_val"].max() > 0.99
    with pytest.raises(InputError, match="the data changed since the fit: 'y' in 40 rows"):
        result.resume(learnt.assign(y=1.0), timeout=60.0)


def test_xarray_is_judged_by_xarray(tables):
    cube = pd.concat(tables).rename_axis("i").to_xarray()
    halves = cube.isel(i=slice(40)), cube.isel(i=slice(40, None))
    result = sr.fit(halves[0], "y", FEATURES, validation=halves[1], **QUICK)
    frame = sr.fit(tables[0], "y", FEATURES, validation=tables[1], **QUICK)
    pd.testing.assert_frame_equal(result.front, frame.front)


def test_a_splitter_numbers_the_rows_of_the_table(tables):
    frame = pd.concat(tables)
    frame.iloc[3, frame.columns.get_loc("y")] = np.nan  # the rows after it keep their numbers
    fold = np.where(np.arange(60) < 40, -1, 0)
    with pytest.warns(SymRegWarning, match="DROPPED"):
        result = sr.fit(frame, "y", FEATURES, validation=PredefinedSplit(fold), **QUICK)
    assert result.observations.rows.tolist() == [*range(3), *range(4, 40)]
    assert result.front["r2_val"].iloc[result.front["selected"].argmax()] == pytest.approx(r2(result, tables[1]))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"validation": KFold(3)}, OptionError, r"KFold.* parts the rows several times.*ShuffleSplit\(n_splits=1\)"),
        ({"validation": "other", "sigma": np.ones(40)}, OptionError, "sigma= has a number for each row of the fitted"),
        ({"validation": "other", "sigma_x": {"x": [0.1] * 40}}, OptionError, "sigma_x= has a number for each row"),
        ({"validation": "lacking"}, ColumnError, "no column 'x'"),
        ({"validation": "other", "by": "dy"}, OptionError, r"DataFrame\(...\) is for one DataFrame or one table"),
        ({"validation": "other", "by": "dy", "shared": False}, OptionError, "give a share of the rows here"),
    ],
)
def test_what_cannot_judge(tables, given, error, words):
    learnt, judged = tables
    named = {"other": judged, "lacking": judged[["y", "T [K]"]]}
    if isinstance(given["validation"], str):
        given = given | {"validation": named[given["validation"]]}
    if "sigma_x" in given:
        given = given | {"sigma": 0.5}
    with pytest.raises(error, match=words):
        sr.fit(learnt, "y", FEATURES, **given, **QUICK)


def test_parts_of_a_table_are_not_judged_by_rows_of_all(tables):
    for parts in (tables[0].groupby("dy"), xr.DataTree.from_dict({"/a": tables[0].to_xarray()})):
        with pytest.raises(OptionError, match="give a share of the rows here"):
            sr.fit(parts, "y", FEATURES, validation=tables[1], **QUICK)


def test_a_splitter_is_not_for_xarray(tables):
    with pytest.raises(OptionError, match=r"ShuffleSplit.* parts rows of a DataFrame; of xarray give two tables"):
        sr.fit(tables[0].to_xarray(), "y", FEATURES, validation=ShuffleSplit(n_splits=1), **QUICK)


def test_a_splitter_whose_rows_are_all_incomplete(tables):
    lost = tables[0].assign(y=tables[0]["y"].where(np.arange(40) < 39))
    with pytest.warns(SymRegWarning, match="DROPPED"), pytest.raises(InputError, match="39 rows and 0 held out"):
        sr.fit(lost, "y", FEATURES, validation=PredefinedSplit([-1] * 39 + [0]), **QUICK)
