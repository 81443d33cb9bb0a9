"""units=: constants get units, strict admits only what fits together, and what is wrong is told with its column."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import sr_accessor as sr
from sr_accessor.errors import ColumnError, OptionError, SymRegWarning, UnitError
from sr_accessor.expressions.dimensions import Dimensions, consistent

UNITS = {"m": "kg", "v": "m/s", "h": "m", "E": "J"}


def table(rows: int = 60, **units) -> pd.DataFrame:
    random = np.random.default_rng(0)
    made = pd.DataFrame({name: random.uniform(1, 5, rows) for name in ("m", "v", "h")})
    made["E"] = 0.5 * made.m * made.v**2 + random.normal(0, 0.01, rows)
    made.attrs["units"] = UNITS | units
    return made


def fit(frame, **options):
    return sr.fit(frame, "E", timeout=20.0, max_rounds=3, random_state=0, **options)


def test_a_report_tells_the_unit_of_each_constant():
    result = fit(table())
    assert result[0].params["unit"].tolist() == ["J"]  # a law that is one constant
    assert result.provenance["units"] == "report"
    known = sr.refine(table(), "E", "A*m*v**2 + B*m").best.params
    assert known["unit"].to_dict() == {"A": "", "B": "m^2/s^2"}


def test_strict_admits_only_laws_whose_units_fit_together():
    frame = table()
    result = fit(frame, units="strict")
    dimensions = Dimensions.of(["kg", "m/s", "m"], "J", ["m", "v", "h"], "E")
    assert result.status != "no_model" and "m*v**2" in result.to_text()
    for law in result:
        assert bool(consistent(law.expression, dimensions)), law


def test_strict_refuses_a_planted_wrong_unit():
    with pytest.raises(UnitError) as caught:
        fit(table(v="m", m="kg"), units="strict")
    assert "no product of powers of 'm' [kg], 'v' [m], 'h' [m] has the unit [J] of 'E'" in str(caught.value)


def test_units_said_by_the_caller_win():
    frame = table()
    frame.attrs.clear()
    assert fit(frame, units=UNITS)[0].params["unit"].tolist() == ["J"]
    assert fit(table(), units=None)[0].params["unit"].tolist() == [None]


BAD = {
    "no such mode": ({}, {"units": "strickt"}, OptionError, ["units='strickt'", "'report', 'strict', {label: unit}"]),
    "unreadable": (
        {"v": "metr/s"},
        {"units": "strict"},
        UnitError,
        ["column 'v': no unit 'metr' in 'metr/s'", "'meter'"],
    ),
    "offset": ({"v": "degC"}, {"units": "strict"}, UnitError, ["column 'v'", "to kelvin", "'delta_degC'"]),
    "unknown": ({"h": None}, {"units": "strict"}, UnitError, ["without one: 'h'", "df.attrs['units']"]),
    "no target": ({"E": None}, {"units": "strict"}, UnitError, ["without one: the target 'E'"]),
    "impossible": ({"E": "V"}, {"units": "strict"}, UnitError, ["no product of powers of", "[V] of 'E'", "'m' [kg]"]),
    "said, unreadable": ({}, {"units": {"v": "mps"}}, UnitError, ["column 'v': no unit 'mps'"]),
    "said of no column": ({}, {"units": {"w": "m"}}, ColumnError, ["no column 'w'; known: 'm', 'v'"]),
    "several": ({"v": "mps", "m": "kgg"}, {"units": "strict"}, UnitError, ["2 problems", "'kgg'", "'mps'"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_units(case):
    units, options, error, told = BAD[case]
    with pytest.raises(error) as caught:
        fit(table(**units), **options)
    for words in told:
        assert words in str(caught.value), str(caught.value)


def test_a_report_goes_on_without_a_unit_that_cannot_be_read():
    with pytest.warns(SymRegWarning, match=r"UNITS: column 'v': no unit 'mps'.*Units of constants are told without it"):
        result = fit(table(v="mps"))
    assert [w.code for w in result.warnings].count("UNITS") == 1


def test_an_unknown_vocabulary_or_operator_is_told_the_nearest():
    for operators, told in (
        ("spectroskopy", "no vocabulary 'spectroskopy'"),
        (["sinn"], "no operator 'sinn'; did you mean 'sin'"),
        (["-coss"], "no operator 'coss'; did you mean 'cos'"),
        ("elementry", "did you mean 'elementary'"),
    ):
        with pytest.raises(sr.errors.UnknownNameError, match=told):
            fit(table(), operators=operators)
    with pytest.raises(sr.errors.UnknownNameError, match="no noise model 'gausian'; did you mean 'gaussian'"):
        fit(table(), noise="gausian")


def test_parameters_of_a_known_law_get_their_units_held_ones_too():
    t = np.linspace(0.1, 5, 60)
    frame = pd.DataFrame({"t": t, "v": 3 * np.exp(-0.7 * t) + np.random.default_rng(0).normal(0, 0.01, 60)})
    frame.attrs["units"] = {"t": "min", "v": "V"}
    params = sr.refine(frame, "v", "A*exp(-k*t) + B", fix={"B": 0.0}).best.params
    assert params["unit"].to_dict() == {"A": "V", "k": "1/min", "B": "V"}


@pytest.mark.parametrize("given", ["m", ["m", "V"]])
def test_units_that_do_not_say_whose_they_are_are_refused(given):
    frame = table()
    frame.attrs["units"] = given
    law = sr.refine(table(), "E", "0.5*c*m*v**2")
    for use in (lambda: fit(frame), lambda: sr.refine(frame, "E", "c*m*v**2"), lambda: law.predict(frame)):
        with pytest.raises(
            UnitError, match=r"does not say which column has which unit; write df.attrs\['units'\] = \{"
        ):
            use()


@pytest.mark.parametrize(
    ("formula", "units", "told"),
    [
        ("a*exp(-t) + t", {}, r"exp needs a number without unit, not -t \[s\]\. No unit of a constant follows"),
        ("a + 0*t + t*exp(-k*t) + log(t)", {}, r"log needs a number without unit, not t \[s\]"),
        ("a*exp(-k*t) + 0*b", {"t": "sek"}, r"column 't': no unit 'sek'; did you mean 'sec'"),
    ],
)
@pytest.mark.parametrize("groups", [False, True])
def test_a_known_law_says_where_its_units_do_not_fit(formula, units, told, groups):
    t = np.linspace(0.1, 5, 60)
    y = 3 * np.exp(-0.7 * t) + np.random.default_rng(0).normal(0, 0.01, 60)
    frame = pd.DataFrame({"t": t, "v": y, "run": np.arange(60) % 2})
    frame.attrs["units"] = {"t": "s", "v": "V"} | units
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sr.refine(frame, "v", formula, restarts=1, random_state=0, **({"by": "run"} if groups else {}))
    found = [str(w.message) for w in caught if w.message.code == "UNITS"]
    assert len(found) == 1 and re.search(told, found[0]), found


def test_written_numbers_of_a_known_law_may_have_a_unit():
    t = np.linspace(0.1, 5, 60)
    frame = pd.DataFrame({"t": t, "h": 4.9 * t**2 + np.random.default_rng(0).normal(0, 0.01, 60)})
    frame.attrs["units"] = {"t": "s", "h": "m"}
    assert sr.refine(frame, "h", "4.9*t**n", random_state=0).warnings == ()
