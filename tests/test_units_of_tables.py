"""Units from pint columns, pint arrays, attributes and labels are the same; a prediction converts or refuses."""

import numpy as np
import pandas as pd
import pint
import pint_pandas  # noqa: F401  registers the dtype
import pint_xarray  # noqa: F401  registers .pint
import pytest
import xarray as xr

import sr_accessor as sr
from sr_accessor.errors import UnitError
from sr_accessor.observations import Observations, inputs_of
from sr_accessor.units import parse_unit

UREG = pint.get_application_registry()
X = np.linspace(1.0, 5.0, 30)
PLAIN = pd.DataFrame({"v": X, "d": X**2})


def by_attrs():
    frame = PLAIN.copy()
    frame.attrs["units"] = {"v": "km/h", "d": "m"}
    return frame


def by_pint():
    return PLAIN.astype({"v": "pint[km/h]", "d": "pint[m]"})


def by_xarray():
    return xr.Dataset({"d": ("t", X**2, {"units": "m"}), "v": ("t", X, {"units": "km/h"})})


TABLES = {
    "attrs": (by_attrs, "d", "v"),
    "pint-pandas": (by_pint, "d", "v"),
    "label": (lambda: PLAIN.rename(columns={"v": "v [km/h]", "d": "d [m]"}), "d [m]", "v [km/h]"),
    "xarray attrs": (by_xarray, "d", "v"),
    "pint-xarray": (lambda: by_xarray().pint.quantify(), "d", "v"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_all_sources_tell_the_same_units_and_numbers(kind):
    make, target, feature = TABLES[kind]
    table = make()
    read = Observations.from_frame if isinstance(table, pd.DataFrame) else Observations.from_xarray
    seen = read(table, target, feature)
    assert parse_unit(seen.units[0]) == parse_unit("km/h") and parse_unit(seen.target_unit) == parse_unit("m")
    assert seen.x[:, 0].tolist() == X.tolist() and seen.y.tolist() == (X**2).tolist()


def test_durations_are_in_seconds():
    frame = PLAIN.assign(t=pd.to_timedelta(X, unit="min"))
    assert Observations.from_frame(frame, "d", "t").units == ("s",)


@pytest.mark.parametrize("kind", ["attrs", "pint-pandas", "xarray attrs", "pint-xarray"])
def test_a_prediction_converts_what_comes_in_another_unit(kind):
    make, target, feature = TABLES[kind]
    fitted = {"v": "m/s"}
    converted = inputs_of(make(), (feature,), target, fitted).x[:, 0]
    np.testing.assert_allclose(converted, X / 3.6, rtol=1e-14)
    with pytest.raises(UnitError, match=r"column 'v' is in 'k.*', which is no 'kg', the unit the law was fitted in"):
        inputs_of(make(), (feature,), target, {"v": "kg"})
    with pytest.raises(UnitError, match=r"fitted in 'knots': no unit 'knots'"):
        inputs_of(make(), (feature,), target, {"v": "knots"})


def test_where_a_unit_is_unknown_numbers_are_taken_as_they_are():
    assert inputs_of(PLAIN, ("v",), "d", {"v": "m/s"}).x[:, 0].tolist() == X.tolist()
    assert inputs_of(by_attrs(), ("v",), "d", {"v": None}).x[:, 0].tolist() == X.tolist()
    assert inputs_of(by_attrs(), ("v",), "d").x[:, 0].tolist() == X.tolist()


def test_a_fit_and_its_predictions_from_pint_columns():
    table = by_pint()
    result = sr.fit(table, "d", "v", random_state=0, timeout=10.0)
    other = pd.DataFrame({"v": pd.Series([2.0 / 3.6, 4.0 / 3.6], dtype="pint[m/s]")})
    predicted = result.predict(other)
    assert predicted.tolist() == pytest.approx([4.0, 16.0], rel=1e-9) and predicted.attrs["units"] == "m"
    with pytest.raises(UnitError, match="column 'v' is in 'kg', which is no 'km/h'"):
        result.predict(pd.DataFrame({"v": pd.Series([1.0, 2.0], dtype="pint[kg]")}))


@pytest.mark.parametrize(
    ("sigma", "error_of_v"),
    [
        (pd.Series(np.full(30, 50.0), dtype="pint[cm]"), pd.Series(np.full(30, 0.1), dtype="pint[m/s]")),
        (UREG.Quantity(50.0, "cm"), UREG.Quantity(np.full(30, 0.1), "m/s")),
        ("s", "e"),
        (("s", "s"), "e [m/s]"),
    ],
    ids=["columns of pint", "quantities", "attrs", "labels"],
)
def test_error_bars_are_converted_to_the_unit_of_what_they_are_about(sigma, error_of_v):
    frame = by_attrs().assign(s=50.0, e=0.1, **{"e [m/s]": 0.1})
    frame.attrs["units"] = {"v": "km/h", "d": "m", "s": "cm", "e": "m/s"}
    seen = Observations.from_frame(frame, "d", "v", sigma=sigma, sigma_x={"v": error_of_v})
    np.testing.assert_allclose(seen.sigma, 0.5)
    np.testing.assert_allclose(seen.sigma_x[:, 0], 0.36)
    dataset = frame.rename_axis("i").to_xarray()
    dataset = dataset.assign({k: dataset[k].assign_attrs(units=unit) for k, unit in frame.attrs["units"].items()})
    given = dataset["s"] if isinstance(sigma, pd.Series) else sigma
    seen = Observations.from_xarray(dataset, "d", "v", sigma=given, sigma_x={"v": dataset["e"]})
    np.testing.assert_allclose(seen.sigma, 0.5)
    np.testing.assert_allclose(seen.sigma_x[:, 0], 0.36)
    frame.attrs["units"]["s"] = "kg"
    if isinstance(sigma, str):
        with pytest.raises(UnitError, match="sigma is in 'kg', which is no 'm', the unit of 'd'"):
            Observations.from_frame(frame, "d", "v", sigma=sigma)
        frame.attrs["units"]["s"] = "1 sigma"  # a remark, no unit
        assert Observations.from_frame(frame, "d", "v", sigma=sigma).sigma[0] == 50


def test_error_bars_of_chunks_are_converted_too(monkeypatch):
    monkeypatch.setattr("sr_accessor.chunked.MOST_ROWS", 10)
    dataset = by_xarray().assign(s=("t", np.full(30, 5.0), {"units": "cm"})).chunk(t=10)
    dataset["d"] = dataset["d"] + xr.DataArray(0.05 * np.cos(9 * X), dims="t").assign_attrs(units="m")
    dataset["d"].attrs["units"] = "m"
    result, whole = (one.symreg.refine("d", "a*v**2", sigma="s", restarts=0) for one in (dataset, dataset.compute()))
    pd.testing.assert_frame_equal(result.best.params, whole.best.params, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:EXTRAPOLATION")
def test_laws_of_groups_convert_and_refuse_units():
    frame = by_attrs().assign(g=np.arange(30) % 2)
    other = frame.assign(v=frame["v"] / 3.6, d=frame["d"] * 100)
    other.attrs["units"] = {"v": "m/s", "d": "cm"}
    by_rows = frame.symreg.refine("d", "a*v**2", by="g", restarts=0)
    cube = xr.concat([by_xarray(), by_xarray()], "g").assign_coords(g=[0, 1])
    moved = xr.Dataset({"d": 100 * cube["d"].assign_attrs(), "v": cube["v"] / 3.6})
    moved = moved.assign(d=moved["d"].assign_attrs(units="cm"), v=moved["v"].assign_attrs(units="m/s"))
    over_cube = cube.symreg.refine("d", "a*v**2", over="g", restarts=0)
    for law, one, two in ((by_rows, frame, other), (over_cube, cube, moved), (over_cube, cube, moved.pint.quantify())):
        assert law.predict(two).attrs["units"] == "m"
        np.testing.assert_allclose(law.predict(two), law.predict(one), rtol=1e-12)
        np.testing.assert_allclose(law.residuals(two), law.residuals(one), atol=1e-10)
    for law, table in ((by_rows, other), (over_cube, moved)):
        wrong = table.copy()
        (wrong if isinstance(wrong, pd.DataFrame) else wrong["v"]).attrs["units"] = (
            {"v": "kg"} if isinstance(wrong, pd.DataFrame) else "kg"
        )
        with pytest.raises(UnitError, match="column 'v' is in 'kg', which is no 'km/h'"):
            law.predict(wrong)
