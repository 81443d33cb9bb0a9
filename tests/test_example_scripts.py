"""The examples run, and find the laws they are about."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

from sr_accessor.errors import SymRegWarning

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, timeout):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](timeout)


def test_keplers_third_law(capsys):
    result = run("kepler", 3.0)
    assert str(result.best) in capsys.readouterr().out
    # Uranus and Pluto were not known to Kepler: P = 365.25 d · a**(3/2), to the 0.5 % of his own table
    far = pd.DataFrame({"a": [19.19, 39.48]}, index=["Uranus", "Pluto"])
    with pytest.warns(SymRegWarning, match="EXTRAPOLATION"):
        predicted = result.predict(far)
    assert predicted.to_list() == pytest.approx([30_687, 90_560], rel=0.01)
    with pytest.warns(SymRegWarning, match="EXTRAPOLATION"):
        assert result.predict(far / 4).to_list() == pytest.approx((predicted / 8).to_list(), rel=0.01)


def test_hubbles_law(capsys):
    result = run("hubble", 3.0)
    assert str(result.best) in capsys.readouterr().out
    near, far = result.predict(pd.DataFrame({"D": [1.0, 2.0]}))
    assert far - near == pytest.approx(440, abs=60)  # km/s per Mpc; Hubble found 465 ± 50 and 513 ± 60
