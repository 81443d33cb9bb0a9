"""Columns of the package uncertainties, and constants with units of pint."""

import numpy as np
import pandas as pd
import pint
import pytest
from uncertainties import ufloat

import sr_accessor as sr
from sr_accessor.observations import Observations


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    t = np.linspace(1, 4, 15)
    y = 4.905 * t**2 + rng.normal(size=15)
    return pd.DataFrame({"t": t, "y": y, "dt": 0.05, "dy": np.linspace(0.5, 1, 15)})


def test_values_with_errors_bring_sigma_and_sigma_x(frame):
    both = pd.DataFrame(
        {
            "t": [ufloat(v, e) for v, e in zip(frame["t"], frame["dt"], strict=True)],
            "y": [ufloat(v, e) for v, e in zip(frame["y"], frame["dy"], strict=True)],
        }
    )
    before = both.copy()
    seen = Observations.from_frame(both, "y")
    told = Observations.from_frame(frame, "y", ["t"], sigma="dy", sigma_x={"t": "dt"})
    assert seen.data_hash == told.data_hash and seen.absolute_sigma
    assert (both["y"] == before["y"]).all() and both.dtypes.eq(object).all()
    ours = both.symreg.refine("y", "a*t**2").best.params
    theirs = frame.symreg.refine("y", "a*t**2", sigma="dy", sigma_x={"t": "dt"}).best.params
    assert ours[["value", "stderr"]].equals(theirs[["value", "stderr"]])


def test_what_is_given_goes_first(frame):
    both = frame.assign(y=[ufloat(v, 9.0) for v in frame["y"]])
    assert Observations.from_frame(both, "y", "t", sigma="dy").sigma.tolist() == frame["dy"].tolist()
    weighed = Observations.from_frame(both, "y", "t", sample_weight=np.ones(15))
    assert weighed.sigma is None


def test_errors_of_x_alone_need_those_of_y(frame):
    both = frame.assign(t=[ufloat(v, 0.1) for v in frame["t"]])
    with pytest.raises(sr.errors.InputError, match="sigma_x is given without sigma"):
        Observations.from_frame(both, "y", "t")


def test_known_numbers_with_units_of_pint(frame):
    ureg = pint.get_application_registry()
    frame["y"] = 0.5 * 9.81 * frame["t"] ** 2
    options = {"timeout": 100, "max_rounds": 1, "random_state": 0, "validation": None, "network": None}
    plain = frame.symreg.fit("y", "t", constants={"g": 9.81}, **options)
    told = frame.symreg.fit("y", "t", constants={"g": 9.81 * ureg("m/s^2")}, **options)
    assert "g" in told.best.to_text() and told.best.to_text() == plain.best.to_text()
