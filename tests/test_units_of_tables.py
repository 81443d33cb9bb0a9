"""Units from pint columns, pint arrays, attributes and labels are the same; a prediction converts or refuses."""

import numpy as np
import pandas as pd
import pint_pandas  # noqa: F401  registers the dtype
import pint_xarray  # noqa: F401  registers .pint
import pytest
import xarray as xr

import sr_accessor as sr
from sr_accessor.errors import UnitError
from sr_accessor.observations import Observations, inputs_of
from sr_accessor.units import parse_unit

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
