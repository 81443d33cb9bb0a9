"""Each kind of bad input gives one error that says what, why and how to mend it; and the frame stays as it was."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import sr_accessor as sr
from sr_accessor.errors import (
    ColumnError,
    InputError,
    MissingDataError,
    OptionError,
    SigmaError,
    SymRegError,
    SymRegWarning,
    UnitError,
    UnknownNameError,
)
from sr_accessor.observations import Observations, inputs_of


def table(rows: int = 5, **columns) -> pd.DataFrame:
    x = np.arange(1.0, rows + 1)
    made = pd.DataFrame(
        {"mass": x, "force": x**2 + 1, "dF": 0.1, "label": [f"r{i}" for i in range(rows)]}, index=x * 10
    )
    return made.assign(**columns)


def with_value(column: str, value: float, *rows: int) -> pd.DataFrame:
    made = table()
    made.iloc[list(rows), made.columns.get_loc(column)] = value
    return made


def duplicated() -> pd.DataFrame:
    return table().rename(columns={"dF": "mass"})


DATES = pd.date_range("2020-01-01", periods=5)

CASES = {
    "unknown target": (table(), ("forse",), {}, ColumnError, ["no column 'forse'", "did you mean 'force'?", "'dF'"]),
    "unknown features": (
        table(),
        ("force", ["mas", "mass", "labell"]),
        {},
        ColumnError,
        ["2 problems", "no column 'mas'; did you mean 'mass'", "no column 'labell'; did you mean 'label'"],
    ),
    "unknown sigma": (table(), ("force",), {"sigma": "dG"}, ColumnError, ["no column 'dG'", "did you mean 'dF'"]),
    "only first ten columns": (
        pd.DataFrame(np.arange(60.0).reshape(5, 12)),
        ("a",),
        {},
        ColumnError,
        ["'9', … (12 in all)"],
    ),
    "target among features": (
        table(),
        ("force", ["mass", "force"]),
        {},
        InputError,
        ["target 'force' is also among the features", "leave it out"],
    ),
    "feature twice": (table(), ("force", ["mass", "mass"]), {}, InputError, ["more than once: 'mass'"]),
    "no feature": (table(), ("force", []), {}, InputError, ["no feature is given"]),
    "unordered features": (table(), ("force", {"mass"}), {}, OptionError, ["have no order", "give a list"]),
    "features that are no labels": (table(), ("force", [["mass"]]), {}, OptionError, ["['mass'] cannot be"]),
    "a set of targets": (
        table(),
        ({"force", "mass"},),
        {},
        OptionError,
        ["target must be one label", "a list of labels"],
    ),
    "no targets": (table(), ([],), {}, OptionError, ["target must be one label", "a list of labels"]),
    "error bars of several targets": (
        table(),
        (["force", "mass"],),
        {"sigma": 0.1},
        OptionError,
        ["sigma=0.1 of several targets", "dictionary"],
    ),
    "one file for several targets": (
        table(),
        (["force", "mass"],),
        {"checkpoint": "law.json"},
        OptionError,
        ["checkpoint= is one file"],
    ),
    "error bars of what is no target": (
        table(),
        (["force"],),
        {"sigma": {"farce": 0.1}},
        ColumnError,
        ["'farce', which is no target", "did you mean 'force'"],
    ),
    "no target": (table(), (), {}, OptionError, ["no target is given"]),
    "no numeric feature": (
        table()[["force", "label"]].assign(when=DATES),
        ("force",),
        {},
        InputError,
        ["no numeric feature", "'force'", "'label' (str)", "'when' (datetime64["],
    ),
    "no other column": (table()[["force"]], ("force",), {}, InputError, ["there is no other column"]),
    "inputs in the index": (
        table().set_index(["mass", "label"])[["force"]],
        ("force",),
        {},
        InputError,
        ["there is no other column; reset_index() makes columns of the index, 'mass', 'label'"],
    ),
    "duplicate labels": (duplicated(), ("force",), {}, InputError, ["duplicate column labels: 'mass' (2 times)"]),
    "too few rows": (table(2), ("force", "mass"), {}, InputError, ["2 rows to learn from", "0 of 2", "at least 3"]),
    "too few complete rows": (
        with_value("mass", np.nan, 0, 2, 3),
        ("force",),
        {},
        InputError,
        ["2 rows to learn from", "3 of 5 dropped", "at least 3"],
    ),
    "no row": (table(0), ("force", "mass"), {}, InputError, ["0 rows to learn from"]),
    "NaN that must not be": (
        with_value("mass", np.nan, 1, 3),
        ("force",),
        {"nan_policy": "raise"},
        MissingDataError,
        ["'mass': 2", "first 'mass' in row 20.0", "nan_policy='omit'"],
    ),
    "all rows dropped": (
        table(mass=np.nan),
        ("force",),
        {},
        MissingDataError,
        ["no row is complete", "'mass': 5", "leave out column 'mass'"],
    ),
    "infinite feature": (
        with_value("mass", -np.inf, 2, 4),
        ("force",),
        {},
        InputError,
        ["column 'mass' is infinite in 2 rows, first in row 30.0", "mark them as missing"],
    ),
    "infinite target": (with_value("force", np.inf, 0), ("force",), {}, InputError, ["'force' is infinite in 1 row,"]),
    "overflow": (
        with_value("mass", 1e301, 1),
        ("force",),
        {},
        InputError,
        ["'mass' reaches 1e+301 in row 20.0", "overflows", "rescale it or take its logarithm"],
    ),
    "integer beyond float64": (
        table(n=pd.Series([10**400, 1, 2, 3, 4], dtype=object, index=table().index)),
        ("force", "n"),
        {},
        InputError,
        ["'n' is infinite in 1 row, first in row 10.0"],
    ),
    "no feature varies": (table(mass=1.0), ("force", ["mass", "dF"]), {}, InputError, ["'mass', 'dF' are constant"]),
    "text": (table(), ("force", ["label"]), {}, InputError, ["'label' is text (str)", "pd.to_numeric"]),
    "text target": (table(), ("label",), {}, InputError, ["column 'label' is text"]),
    "text in object": (
        table(o=pd.Series([1, 2, "three", 4, 5], dtype=object, index=table().index)),
        ("force", "o"),
        {},
        InputError,
        ["'o' holds str (first 'three' in row 30.0)"],
    ),
    "dates": (table(t=DATES), ("force", "t"), {}, InputError, ["'t' is a date", "t - t.min() is read as seconds"]),
    "dates with a zone": (table(t=DATES.tz_localize("UTC")), ("force", "t"), {}, InputError, ["'t' is a date"]),
    "period": (table(t=DATES.to_period("D")), ("force", "t"), {}, InputError, ["a period", ".dt.to_timestamp()"]),
    "interval": (table(t=pd.interval_range(0, 5)), ("force", "t"), {}, InputError, ["an interval", ".mid"]),
    "sparse": (
        table(s=pd.arrays.SparseArray([0.0, 1, 0, 0, 2])),
        ("force", "s"),
        {},
        InputError,
        ["sparse", ".sparse.to_dense()"],
    ),
    "category": (table(c=pd.Categorical([1, 2, 1, 2, 1])), ("force", "c"), {}, InputError, ["a category", "by="]),
    "complex": (table(z=1j), ("force", "z"), {}, InputError, ["'z' is complex", "real part, imaginary part or abs()"]),
    "complex in object": (
        table(z=pd.Series([1, 2j, 3, 4, 5], dtype=object, index=table().index)),
        ("force", "z"),
        {},
        InputError,
        ["'z' holds complex numbers (first 2j in row 20.0)"],
    ),
    "several bad columns at once": (
        table(z=1j, t=DATES),
        ("force", ["mass", "z", "t", "label"]),
        {},
        InputError,
        ["3 problems", "'z' is complex", "'t' is a date", "'label' is text"],
    ),
    "wrong keyword": (table(), ("force",), {"sigmas": 1}, OptionError, ["no keyword sigmas=1; did you mean 'sigma'"]),
    "weights": (
        table(),
        ("force",),
        {"weights": [1] * 5},
        OptionError,
        ["w = 1/s (", "sigma=1/w", "w = 1/s**2 (", "sample_weight=w"],
    ),
    "nan_policy": (table(), ("force",), {"nan_policy": "omitt"}, InputError, ["'omitt'", "did you mean 'omit'"]),
    "sigma and weight": (
        table(),
        ("force",),
        {"sigma": "dF", "sample_weight": "mass"},
        InputError,
        ["both sigma and sample_weight", "standard error", "give one of them"],
    ),
    "sigma zero": (
        with_value("dF", 0.0, 3),
        ("force",),
        {"sigma": "dF"},
        SigmaError,
        ["sigma is not a positive number in 1 row, first 0 in row 40.0"],
    ),
    "sigma negative": (table(), ("force",), {"sigma": -1}, SigmaError, ["in 5 rows, first -1 in row 10.0"]),
    "sigma missing": (
        with_value("dF", np.nan, 1, 2),
        ("force",),
        {"sigma": "dF"},
        SigmaError,
        ["in 2 rows, first nan in row 20.0"],
    ),
    "sigma beyond double precision": (
        with_value("dF", 1e-170, 2),
        ("force",),
        {"sigma": "dF"},
        SigmaError,
        ["sigma is as small as 1e-170 in row 30.0", "overflows", "correct it"],
    ),
    "noise as others call it": (
        table(),
        ("force", ["mass"]),
        {"noise": "normal"},
        UnknownNameError,
        ["it is called 'gaussian'"],
    ),
    "operators in a dictionary": (
        table(),
        ("force", ["mass"]),
        {"operators": {"add": 1}},
        OptionError,
        ["operators={'add': 1}; give a list of names: operators=['add']"],
    ),
    "errors as matplotlib calls them": (
        table(),
        ("force",),
        {"yerr": 1},
        OptionError,
        ["no keyword yerr=1; write sigma="],
    ),
    "sigma of another length": (table(), ("force",), {"sigma": [1, 2]}, SigmaError, ["2 values for 5 rows"]),
    "sigma of another index": (
        table(),
        ("force",),
        {"sigma": pd.Series(np.ones(5))},
        SigmaError,
        ["another index", "add it as a column"],
    ),
    "sigma text": (table(), ("force",), {"sigma": "label"}, SigmaError, ["sigma is text"]),
    "sigma a number that is a column": (
        pd.DataFrame({1: [1.0, 2, 3], "y": [1.0, 4, 9]}),
        ("y",),
        {"sigma": 1},
        SigmaError,
        ["sigma=1 is a number and also a column", "df[1] or 1.0"],
    ),
    "weight negative": (
        table(),
        ("force",),
        {"sample_weight": [1, 1, -2, 1, 1]},
        InputError,
        ["Negative or infinite values in `sample_weight` in 1 row, first -2 in row 30.0"],
    ),
    "weight zero": (table(), ("force",), {"sample_weight": [0] * 5}, InputError, ["zero in every row"]),
    "few rows with a weight": (
        table(),
        ("force",),
        {"sample_weight": [0, 0, 0, 1, 2]},
        InputError,
        ["2 rows to learn from, the others have weight 0", "at least 3"],
    ),
    "decimal commas": (
        table(mass=["1,5", "2,5", "3", "4", "5"]),
        ("force", "mass"),
        {},
        InputError,
        ["'mass' is text (str) such as '1,5'", 'decimal=","', '.str.replace(",", ".")'],
    ),
    "decimal commas in the only feature": (
        table(mass=["1,5"] * 5).drop(columns="dF"),
        ("force",),
        {},
        InputError,
        ["no numeric feature: column 'mass' is text", 'decimal=","'],
    ),
    "commas in thousands": (
        table(m=["1,000.5"] * 5),
        ("force", "m"),
        {},
        InputError,
        ["such as '1,000.5'", 'thousands=","'],
    ),
    "percent signs": (table(p=["3 %"] * 5), ("force", "p"), {}, InputError, ["such as '3 %'", '.str.rstrip("% ")']),
    "below a limit": (
        table(c=pd.Series(["<0.1", 1.0, 2.0, 3.0, 4.0], dtype=object, index=table().index)),
        ("force", "c"),
        {},
        InputError,
        ["'c' holds str (first '<0.1' in row 10.0)", 'errors="coerce"'],
    ),
    "a row of units": (table(m=["[kg]", "1", "2", "3", "4"]), ("force", "m"), {}, InputError, ["such as '[kg]'"]),
    "target is a column's values": (
        table(),
        (table()["force"],),
        {},
        OptionError,
        ["target must be one label, not a pandas.Series"],
    ),
    "sigma in percent": (
        table(),
        ("force",),
        {"sigma": "2%"},
        SigmaError,
        ["'2%' is no column", "0.02*df['force'].abs()"],
    ),
    "sigma as a switch": (table(), ("force",), {"sigma": True}, SigmaError, ["sigma=True; give the label of a column"]),
    "sigma as a dictionary": (table(), ("force",), {"sigma": {"force": 1}}, SigmaError, ["sigma={'force': 1}; give"]),
    "sigma as two rows": (
        table(),
        ("force",),
        {"sigma": np.ones((2, 5))},
        SigmaError,
        ["10 values for 5 rows", "or a tuple (downwards, upwards)"],
    ),
    "sigma as a list of two sides": (
        table(),
        ("force",),
        {"sigma": ["dF", 0.1]},
        SigmaError,
        ["sigma is text", "or a tuple (downwards, upwards)"],
    ),
    "operators by their signs": (
        table().drop(columns="dF"),
        ("force",),
        {"operators": ["+", "*"]},
        OptionError,
        ["'+' is called 'add' here", "'mul'"],
    ),
    "operators as functions": (
        table().drop(columns="dF"),
        ("force",),
        {"operators": [np.sin]},
        OptionError,
        ["give names such as 'sin'"],
    ),
    "no operators": (
        table().drop(columns="dF"),
        ("force",),
        {"operators": []},
        OptionError,
        ["operators=(); give a name, a list of names"],
    ),
    "a unit that is no text": (
        table().drop(columns="dF"),
        ("force",),
        {"units": {"mass": 3}},
        UnitError,
        ["'mass'", "unit 3 is no text"],
    ),
    "a table as an option": (
        table(),
        ("force",),
        {"template": table()},
        OptionError,
        ["dF label …; give text such as"],
    ),
    "by the target": (table(), ("force",), {"by": "force"}, InputError, ["by names the target 'force'"]),
    "a word of another program": (
        table(),
        ("force",),
        {"niterations": 40},
        OptionError,
        ["no keyword niterations=40; write max_rounds="],
    ),
    "not a table": (np.ones((5, 2)), ("y",), {}, OptionError, ["cannot fit a numpy.ndarray", "pandas DataFrame"]),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case):
    data, arguments, keywords, error, told = CASES[case]
    with pytest.raises(error) as caught:
        sr.fit(data, *arguments, **keywords)
    assert type(caught.value) is error
    for words in told:
        assert words in str(caught.value)
    if isinstance(data, pd.DataFrame):
        with pytest.raises(error, match=re.escape(str(caught.value))):
            data.symreg.fit(*(arguments or (None,)), **keywords)


def test_numbers_as_text_beside_real_ones_are_told():
    """Names of samples may be text; a column of measurements that is left out must not go unnoticed."""
    made = table(t=[f"{v},5" for v in range(5)], name=["a1", "2", "b", "c", "d"])
    remarks = {remark.code: str(remark) for remark in Observations.from_frame(made, "force").remarks}
    assert "column 't' holds numbers as text, such as '0,5', and is not used" in remarks["TEXT"]
    assert "'name'" not in remarks["TEXT"] and "'name' (str)" in remarks["SKIPPED"]
    with pytest.warns(SymRegWarning, match="TEXT: column 't'"):
        sr.fit(made.drop(columns="dF"), "force", network=None, max_rounds=1, random_state=0)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ColumnError, KeyError),
        (InputError, ValueError),
        (MissingDataError, ValueError),
        (SigmaError, ValueError),
        (OptionError, TypeError),
    ],
)
def test_errors_are_what_pandas_and_sklearn_users_catch(error, builtin):
    assert issubclass(error, builtin) and issubclass(error, SymRegError)


def test_errors_and_warnings_travel_between_processes():
    for one in (
        ColumnError("no column 'a'"),
        sr.errors.ParseError("no expression", "x +", 3),
        sr.errors.SymRegWarning("LEAK", "'a' is a copy"),
    ):
        again = pickle.loads(pickle.dumps(one))
        assert type(again) is type(one) and str(again) == str(one) and vars(again) == vars(one)


def state(frame: pd.DataFrame) -> tuple:
    """Everything about a frame that a caller can see."""
    bits = [frame.iloc[:, j].to_numpy(copy=True) for j in range(frame.shape[1])]
    return (
        [(b.dtype, b.tobytes() if b.dtype != object else pickle.dumps(b.tolist())) for b in bits],
        id(frame.index),
        id(frame.columns),
        pickle.dumps((frame.index, frame.columns, frame.attrs)),
        frame.flags.allows_duplicate_labels,
        list(frame.dtypes),
    )


def test_the_frame_stays_bit_for_bit_unchanged():
    made = table(
        t=pd.to_timedelta(range(5), unit="s"), o=pd.Series([1, None, 2, 3, 4], dtype=object, index=table().index)
    )
    made.attrs.update({"units": {"mass": "kg"}, "note": ["a", 1]})
    before, columns, index = state(made), made.columns, made.index
    Observations.from_frame(made, "force", sigma="dF")
    inputs_of(made, ("mass", "t"), "force").like(np.zeros(5))
    with pytest.raises(InputError):
        sr.fit(made, "force", ["label"])
    assert state(made) == before
    assert made.columns is columns and made.index is index


def test_xarray_stays_unchanged():
    made = xr.Dataset({"y": ("t", [1.0, np.nan, 3.0, 9.0])}, coords={"t": ("t", [1, 2, 3, 4], {"units": "s"})})
    before = made.copy(deep=True)
    Observations.from_xarray(made, "y", "t")
    inputs_of(made, ("t",), "y").like(np.zeros(4))
    xr.testing.assert_identical(made, before)


# ---------------------------------------------------------------------------- xarray, arrays, predictions


def grid() -> xr.Dataset:
    return xr.Dataset(
        {"y": (("run", "t"), [[1.0, 2.0, np.inf], [3.0, 4.0, 5.0]])}, coords={"t": [1, 2, 3], "run": ["a", "b"]}
    )


@pytest.mark.parametrize(
    ("data", "arguments", "keywords", "error", "told"),
    [
        (grid(), ("z",), {}, ColumnError, "no column 'z'"),
        (grid(), ("y", ["T"]), {}, ColumnError, "no column 'T'"),
        (grid(), ("y", "t"), {}, InputError, "first in row ('a', 3)"),
        (grid(), ("y", ["t", "run"]), {}, InputError, "column 'run' is text"),
        (grid(), ({"y"},), {}, OptionError, "target must be one label"),
        (grid(), ("y", "t"), {"sigma": xr.DataArray([1, 2], dims="t")}, InputError, "'y', 't', sigma do not lie on"),
        (grid()["y"], (["t"],), {}, OptionError, "the DataArray 'y' is itself the target"),
    ],
)
def test_bad_xarray(data, arguments, keywords, error, told):
    with pytest.raises(error) as caught:
        sr.fit(data, *arguments, **keywords)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("x", "y", "keywords", "told"),
    [
        (np.ones((3, 2)), np.ones(4), {}, "x has shape (3, 2) and y (4,)"),
        (np.ones((3, 2, 1)), np.ones(3), {}, "x has shape (3, 2, 1)"),
        (np.ones((3, 2)), np.ones(3), {"names": ["a"]}, "1 names for the 2 columns"),
        (np.ones((3, 2)), np.ones(3), {"names": ["a", "y"]}, "target 'y' is also among the names"),
        (np.ones((3, 2)), np.ones(3), {"names": ["a", "a"]}, "'a' (2 times)"),
        (np.ones((3, 2)) * 1j, np.ones(3), {}, "'x0' is complex"),
    ],
)
def test_bad_arrays(x, y, keywords, told):
    with pytest.raises(InputError) as caught:
        Observations.from_arrays(x, y, **keywords)
    assert told in str(caught.value)


def test_prediction_names_every_missing_column():
    with pytest.raises(ColumnError) as caught:
        inputs_of(table(), ("mas", "mass", "spin"), "force")
    assert "no column 'mas'; did you mean 'mass'" in str(caught.value) and "no column 'spin'" in str(caught.value)
    with pytest.raises(ColumnError, match="no column 'spin'"):
        inputs_of(grid(), ("t", "spin"), "y")
    with pytest.raises(InputError, match="'label' is text"):
        inputs_of(table(), ("mass", "label"), "force")
    with pytest.raises(OptionError, match=r"numpy\.ndarray has no columns"):
        inputs_of(np.ones((3, 2)), ("x",), "y")
