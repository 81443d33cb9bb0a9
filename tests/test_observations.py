"""Observations: the columns of any table as float64, with labels, units, error bars and what was left out."""

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sr_accessor.observations import Observations, inputs_of


class Quantity(StrEnum):
    MASS = "mass"


LABELS = ["T [K]", "λ", "N", "a b", "100%", "lambda", 3, ("u", "x"), "<b>", "$x$", "symreg", Quantity.MASS]
LABELS += [None, 2.5, True, "", "__class__", "iloc", frozenset("a")]


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"x": [1.0, 2.0, 4.0, 7.0], "y": [1.0, 5.0, 15.0, 50.0]} | columns)


def codes(observations) -> list[str]:
    return [remark.code for remark in observations.remarks]


@pytest.mark.parametrize("label", LABELS, ids=repr)
def test_any_label_is_a_feature_and_a_target(label):
    table = pd.DataFrame({0: [1.0, 2.0, 4.0], 1: [1.0, 4.0, 17.0]})
    table.columns = pd.Index([label, "other"], dtype=object, tupleize_cols=False)
    for features in (None, [label]):
        seen = Observations.from_frame(table, "other", features)
        assert seen.names == (label,) and type(seen.names[0]) is type(label)
        assert inputs_of(table, seen.names, "other").x.tolist() == [[1.0], [2.0], [4.0]]
    if label is not None:
        assert Observations.from_frame(table, "other", label).names == (label,)
    assert Observations.from_frame(table, label).target == label


def test_labels_of_a_multiindex():
    table = pd.DataFrame({("u", "x"): [1.0, 2, 4], ("u", "z"): [3.0, 1, 2], ("v", ""): [1.0, 4, 17]})
    assert Observations.from_frame(table, ("v", "")).names == (("u", "x"), ("u", "z"))
    assert Observations.from_frame(table, ("v", ""), ("u", "z")).names == (("u", "z"),)
    assert Observations.from_frame(table, ("v", ""), (("u", "z"), ("u", "x"))).names == (("u", "z"), ("u", "x"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1, 2, 4, 8], dtype="uint8"), [1, 2, 4, 8]),
        (np.array([1, 2, 4, 8], dtype="float16"), [1, 2, 4, 8]),
        ([True, False, True, True], [1, 0, 1, 1]),
        (pd.array([1, 2, 4, 8], dtype="Int64"), [1, 2, 4, 8]),
        (pd.array([1.5, 2, 4, 8], dtype="Float32"), [1.5, 2, 4, 8]),
        (pd.array([True, False, True, True], dtype="boolean"), [1, 0, 1, 1]),
        (pd.Series([Decimal("1.5"), Fraction(1, 2), 3, np.float32(2)], dtype=object), [1.5, 0.5, 3, 2]),
        (pd.to_timedelta([1, 2, 60, 3600], unit="s"), [1, 2, 60, 3600]),
    ],
    ids=lambda v: str(getattr(v, "dtype", "")),
)
def test_dtypes_that_are_numbers(values, expected):
    seen = Observations.from_frame(frame(z=values), "y", ["z"])
    assert seen.x.dtype == np.float64 and seen.x[:, 0].tolist() == expected


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, None, 4, 8], dtype="Int64"),
        pd.Series([1, None, 4, 8], dtype=object),
        pd.Series([1, pd.NA, 4, 8], dtype=object),
        pd.to_timedelta([1, None, 4, 8], unit="s"),
        [1.0, np.nan, 4.0, 8.0],
    ],
    ids=lambda v: str(getattr(v, "dtype", "")),
)
def test_missing_values_are_dropped_and_counted(values):
    seen = Observations.from_frame(frame(z=values), "y")
    assert seen.rows.tolist() == [0, 2, 3]
    assert seen.y.tolist() == [1.0, 15.0, 50.0] and seen.x[:, 1].tolist() == [1.0, 4.0, 8.0]
    assert dict(seen.dropped) == {"z": 1}
    (remark,) = seen.remarks
    assert str(remark) == "DROPPED: 1 of 4 rows with missing values ('z': 1) left out; 3 rows used"


def test_columns_that_are_no_numbers_are_left_out_with_a_note():
    seen = Observations.from_frame(frame(name=list("abcd"), when=pd.date_range("2020", periods=4)), "y")
    assert seen.names == ("x",)
    (note,) = seen.remarks
    assert note.code == "SKIPPED" and "'name' (str)" in note.message and "'when' (datetime64[" in note.message


def test_units_from_attrs_label_and_durations():
    table = frame(**{"T [K]": [1.0, 3, 2, 4], "p [Pa]": [2.0, 3, 2, 4], "t": pd.to_timedelta([1, 2, 4, 9], "s")})
    table.attrs["units"] = {"p [Pa]": "bar", "y": "m/s"}
    seen = Observations.from_frame(table, "y")
    assert dict(zip(seen.names, seen.units, strict=True)) == {"x": None, "T [K]": "K", "p [Pa]": "bar", "t": "s"}
    assert seen.target_unit == "m/s"


def test_arrays_are_readonly_contiguous_copies():
    table = frame()
    seen = Observations.from_frame(table, "y", sigma=0.1, features=["x"])
    assert seen.x.flags.c_contiguous and seen.x.shape == (4, 1)
    for array in (seen.x, seen.y, seen.sigma, seen.rows):
        assert not array.flags.writeable
    assert not np.shares_memory(seen.x, table["x"].to_numpy())
    assert not np.shares_memory(seen.y, table["y"].to_numpy())


@pytest.mark.parametrize("sigma", ["dy", 0.5, [0.5] * 4, np.full(4, 0.5), pd.Series([0.5] * 4)], ids=lambda s: type(s))
def test_sigma_as_label_number_or_array(sigma):
    seen = Observations.from_frame(frame(dy=0.5), "y", ["x"], sigma=sigma)
    assert seen.sigma.tolist() == [0.5] * 4


def test_sigma_and_weight_columns_are_no_features_and_follow_the_rows():
    table = frame(s=[0.1, 0.2, 0.3, 0.4])
    table.loc[1, "x"] = np.nan
    seen = Observations.from_frame(table, "y", sigma="s")
    assert seen.names == ("x",) and seen.sigma.tolist() == [0.1, 0.3, 0.4]
    seen = Observations.from_frame(table, "y", sample_weight="s")
    assert seen.names == ("x",) and seen.sample_weight.tolist() == [0.1, 0.3, 0.4] and seen.sigma is None


def test_sigma_missing_where_the_row_is_dropped_anyway():
    table = frame(s=[0.1, np.nan, 0.3, 0.4])
    table.loc[1, "y"] = np.nan
    assert Observations.from_frame(table, "y", sigma="s").sigma.tolist() == [0.1, 0.3, 0.4]


def test_constant_feature_is_dropped_and_constant_target_told():
    seen = Observations.from_frame(frame(c=7.0), "y")
    assert seen.names == ("x",) and seen.x.shape == (4, 1)
    assert [str(r) for r in seen.remarks] == ["CONSTANT: feature 'c' is 7 in every row and is left out"]
    seen = Observations.from_frame(frame(c=7.0), "c", ["x"])
    assert [str(r) for r in seen.remarks] == ["CONSTANT: target 'c' is 7 in every row: the law is that constant"]


def test_leak():
    table = frame()
    table["copy"] = 3 * table["y"] - 1
    (remark,) = Observations.from_frame(table, "y").remarks
    assert remark.code == "LEAK" and "'copy' is a copy of the target 'y'" in remark.message and "1 -" in remark.message
    table["copy"] += [0, 0.1, 0, 0]
    assert not Observations.from_frame(table, "y").remarks


@pytest.mark.parametrize("factor", [1e13, 1e-14])
def test_scale(factor):
    table = frame()
    table["x"] *= factor
    (remark,) = Observations.from_frame(table, "y").remarks
    assert remark.code == "SCALE" and "'x'" in remark.message and "another unit, or the logarithm" in remark.message


def test_data_hash_tells_data_apart():
    first = Observations.from_frame(frame(), "y")
    assert first.data_hash == Observations.from_frame(frame(note=list("abcd")), "y").data_hash
    others = [
        Observations.from_frame(frame().rename(columns={"x": "z"}), "y"),
        Observations.from_frame(frame(y=[1.0, 5, 15, 50.1]), "y"),
        Observations.from_frame(frame(), "y", sigma=1.0),
        Observations.from_frame(frame(), "y", sample_weight=[1.0] * 4),
    ]
    assert len({o.data_hash for o in [first, *others]}) == 5
    assert len(first.data_hash) == 64


def test_from_arrays():
    x, y = np.array([[1, 2], [3, 5], [4, 9.0]]), [1, 2, 7]
    seen = Observations.from_arrays(x, y, sigma=0.1)
    assert seen.names == ("x0", "x1") and seen.target == "y" and seen.sigma.tolist() == [0.1] * 3
    assert np.array_equal(seen.x, x) and seen.y.tolist() == y
    seen = Observations.from_arrays(x[:, 0], y, [("a", "b")], ("a", "c"))
    assert seen.names == (("a", "b"),) and seen.target == ("a", "c")


# ---------------------------------------------------------------------------- xarray


@pytest.fixture
def dataset():
    return xr.Dataset(
        {
            "x": ("t", [1.0, 2.0, 4.0], {"units": "m"}),
            "y": (("run", "t"), np.array([[1.0, 4.0, 16.0], [2.0, 5.0, 17.0]]), {"units": "J"}),
            "s": ("site", [1.0, 2.0]),
        },
        coords={"t": [0.1, 0.2, 0.3], "run": [0, 1], "T": ("run", [300.0, 310.0]), "name": ("run", ["a", "b"])},
    )


def test_variables_and_coordinates_broadcast_into_rows(dataset):
    seen = Observations.from_xarray(dataset, "y", ["x", "T"])
    assert seen.x.tolist() == [[1, 300], [2, 300], [4, 300], [1, 310], [2, 310], [4, 310]]
    assert seen.y.tolist() == [1, 4, 16, 2, 5, 17]
    assert seen.units == ("m", None) and seen.target_unit == "J"


def test_by_default_what_lies_on_the_dimensions_of_the_target(dataset):
    seen = Observations.from_xarray(dataset, "y")
    assert set(seen.names) == {"x", "t", "run", "T"}
    assert codes(seen) == ["SKIPPED"]


def test_sigma_broadcasts(dataset):
    sigma = xr.DataArray([0.1, 0.2], dims="run")
    assert Observations.from_xarray(dataset, "y", "x", sigma=sigma).sigma.tolist() == [0.1] * 3 + [0.2] * 3
    dataset["x"].attrs["units"] = "kJ"
    assert Observations.from_xarray(dataset, "y", "T", sigma="x").sigma.tolist() == [1e3, 2e3, 4e3] * 2
    assert Observations.from_xarray(dataset, "y", "T", sample_weight="x").sample_weight.tolist() == [1, 2, 4, 1, 2, 4]


def test_a_dataarray_has_its_coordinates(dataset):
    seen = Observations.from_xarray(dataset["y"], "y", ["t", "T"])
    assert seen.x[:, 1].tolist() == [300] * 3 + [310] * 3
    unnamed = dataset["y"].rename(None)
    assert Observations.from_xarray(unnamed, "y", "t").y.tolist() == seen.y.tolist()


# ---------------------------------------------------------------------------- inputs of a prediction


def test_inputs_of_a_frame_keep_index_and_name():
    table = pd.DataFrame({"z": [1.0, np.nan, 3.0], "extra": list("abc"), "x": [4, 5, 6]}, index=[7, 5, 9])
    inputs = inputs_of(table, ("x", "z"), "y")
    assert inputs.x[0].tolist() == [4, 1]
    prediction = inputs.like(np.array([1.0, 2.0, 3.0]))
    pd.testing.assert_series_equal(prediction, pd.Series([1.0, np.nan, 3.0], index=[7, 5, 9], name="y"))


def test_inputs_of_a_dataset_keep_dims_and_coords(dataset):
    inputs = inputs_of(dataset, ("x", "T"), "y")
    prediction = inputs.like(inputs.x[:, 0] + inputs.x[:, 1])
    assert prediction.name == "y" and prediction.dims == ("run", "t") == dataset["y"].dims
    xr.testing.assert_identical(prediction, (dataset["T"] + dataset["x"]).rename("y").drop_attrs())
    assert set(prediction.coords) == {"t", "run", "T", "name"}
    only_t = inputs_of(dataset, ("x",), "y").like(np.arange(3.0))
    assert only_t.dims == ("t",) and set(only_t.coords) == {"t"}


def test_inputs_of_a_stacked_dataset(dataset):
    stacked = dataset.stack(point=("run", "t"))
    prediction = inputs_of(stacked, ("x", "T"), "y").like(np.arange(6.0))
    assert prediction.indexes["point"].equals(stacked.indexes["point"])
    assert prediction.unstack("point").dims == ("run", "t")


# ---------------------------------------------------------------------------- error bars
def test_errors_of_x_and_of_two_sides_are_columns_like_any():
    frame = pd.DataFrame({"t": [1.0, 2, 3, 4], "y": [1.0, 4, 9, 16], "lo": 0.1, "up": 0.3, "dt": [0.0, 0.1, 0.2, 0.3]})
    seen = Observations.from_frame(frame, "y", sigma=("lo", "up"), sigma_x={"t": "dt"})
    assert seen.names == ("t",) and seen.absolute_sigma
    np.testing.assert_allclose(seen.sigma, 0.2)
    np.testing.assert_allclose(seen.sigma_sides, [[0.1, 0.3]] * 4)
    np.testing.assert_allclose(seen.sigma_x, [[0.0], [0.1], [0.2], [0.3]])
    with pytest.raises(ValueError, match="read-only"):
        seen.sigma_x[0] = 1
    mixed = Observations.from_frame(frame, "y", ["t"], sigma=(0.1, frame["up"]), sigma_x={"t": 0.5})
    np.testing.assert_allclose(mixed.sigma_sides, seen.sigma_sides)
    np.testing.assert_allclose(mixed.sigma_x, 0.5)
    assert mixed.data_hash != Observations.from_frame(frame, "y", ["t"], sigma=0.2).data_hash
    assert not Observations.from_frame(frame, "y", ["t"], sigma=0.2, absolute_sigma=False).absolute_sigma


def test_errors_follow_the_rows_that_are_left():
    frame = pd.DataFrame({"t": [1.0, np.nan, 3, 4, 5], "c": 2.0, "y": 1.0 * np.arange(5), "lo": 0.1 * np.arange(1, 6)})
    seen = Observations.from_frame(frame, "y", ["c", "t"], sigma=("lo", 1.0), sigma_x={"t": "lo"})
    np.testing.assert_allclose(seen.sigma_sides[:, 0], [0.1, 0.3, 0.4, 0.5])
    np.testing.assert_allclose(seen.sigma_x, [[0.1], [0.3], [0.4], [0.5]])  # the constant column is gone


def test_a_tuple_that_is_a_label_is_no_pair_of_errors():
    frame = pd.DataFrame({("y", "dy"): [0.1, 0.2, 0.3], "t": [1.0, 2, 3], "y": [1.0, 2, 4]})
    seen = Observations.from_frame(frame, "y", sigma=("y", "dy"))
    np.testing.assert_allclose(seen.sigma, [0.1, 0.2, 0.3])
    assert seen.sigma_sides is None


def test_errors_of_a_dataset_broadcast():
    dataset = xr.Dataset({"y": (("run", "t"), [[1.0, 2, 3], [2, 4, 7]])}, coords={"t": [1.0, 2.0, 3.0]})
    dataset["dt"] = ("t", [0.1, 0.2, 0.3])
    lower = xr.DataArray([1.0, 2.0], dims="run")
    seen = Observations.from_xarray(dataset, "y", "t", sigma=(lower, 3.0), sigma_x={"t": "dt"})
    np.testing.assert_allclose(seen.sigma_sides[:, 0], [1, 1, 1, 2, 2, 2])
    np.testing.assert_allclose(seen.sigma_sides[:, 1], 3)
    np.testing.assert_allclose(seen.sigma_x[:, 0], [0.1, 0.2, 0.3] * 2)
