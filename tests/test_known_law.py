"""sr.refine: a better curve_fit; against scipy, with ties, bounds, held parameters, noise models, and bad input."""

import dataclasses
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import uncertainties
import xarray as xr
from scipy.optimize import curve_fit

import sr_accessor as sr
from sr_accessor.errors import (
    ColumnError,
    InputError,
    NoiseModelError,
    OptionError,
    ParseError,
    SigmaError,
    SymRegWarning,
    UnknownNameError,
)
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse_model
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.refinement.exchange import exchanges
from sr_accessor.search.guesses import unknown_names
from sr_accessor.uncertainty.laplace import covariance

FORMULA = "b1*(1 - exp(-b2*t)) + b3"


def growth(t, b1, b2, b3):
    return b1 * (1 - np.exp(-b2 * t)) + b3


def table(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 8, rows)
    sigma = rng.uniform(0.05, 0.3, rows)
    y = growth(t, 5, 0.7, 1) + sigma * rng.normal(size=rows)
    return pd.DataFrame({"t": t, "y": y, "dy": sigma, "n": rng.poisson(growth(t, 50, 0.7, 10)), "name": "a"})


@pytest.mark.parametrize("sigma, absolute", [(None, None), ("dy", None), ("dy", False)])
def test_values_and_errors_are_those_of_curve_fit(sigma, absolute):
    frame = table()
    given = None if sigma is None else frame["dy"]
    told = sigma is not None and absolute is not False
    best, covariance = curve_fit(
        growth, frame["t"], frame["y"], p0=(4, 1, 0), sigma=given, absolute_sigma=told, xtol=1e-14, ftol=1e-14
    )
    start = {"b1": 4, "b2": 1, "b3": 0}
    found = sr.refine(frame, "y", FORMULA, start=start, sigma=sigma, absolute_sigma=absolute, random_state=1)
    params = found.best.params
    assert list(params.index) == ["b1", "b2", "b3"] and found.status == "converged"
    np.testing.assert_allclose(params["value"], best, rtol=1e-6)
    np.testing.assert_allclose(params["stderr"], np.sqrt(np.diag(covariance)), rtol=1e-4)
    np.testing.assert_allclose(found.best.covariance, covariance, rtol=1e-3)
    np.testing.assert_allclose(found.predict(frame), growth(frame["t"], *best), rtol=1e-7)
    assert found.front["n_constants"].tolist() == [3]
    assert found.best.to_text(4).startswith("5.") or "exp" in found.best.to_text(4)


def test_of_a_frequency_and_its_alias_the_one_near_the_start_is_meant():
    rng = np.random.default_rng(1)
    t = np.linspace(0, 3, 80)
    frame = pd.DataFrame({"t": t, "y": 3 * np.exp(-2 * t) + 0.02 * np.sin(40 * t) + 0.001 * rng.normal(size=80)})
    found = sr.refine(frame, "y", "a*exp(-k*t) + d*sin(w*t)", random_state=0, start={"w": 41})
    np.testing.assert_allclose(found.best.params["value"], [3, 2, 0.02, 40], rtol=0.02)


def test_an_energy_is_a_parameter_and_so_is_what_the_caller_names():
    temperature = np.linspace(300, 600, 40)
    scatter = 1 + 0.01 * np.random.default_rng(0).normal(size=40)
    frame = pd.DataFrame({"T": temperature, "k": 1e9 * np.exp(-8e4 / (8.314 * temperature)) * scatter})
    options = {"noise": "multiplicative", "random_state": 0}
    free = sr.refine(frame, "k", "A*exp(-E/(8.314*T))", **options).best.params
    assert free.loc["E", "value"] == pytest.approx(8e4, rel=0.01)
    for name in ("e", "gamma", "log"):  # Euler's number, a word, a function
        params = sr.refine(frame, "k", f"A*exp(-{name}/(8.314*T))", start={name: 5e4}, **options).best.params
        assert params.loc[name, "value"] == pytest.approx(free.loc["E", "value"], rel=1e-6)
    euler = sr.refine(frame, "k", "A*e**(-q/(8.314*T))", **options).best.params
    assert list(euler.index) == ["A", "q"]


def test_a_function_of_a_plugin_does_not_take_a_name_away():
    gamma = Operator("gamma", 1, torch.exp, lambda u: u)
    known = Vocabulary((*ELEMENTARY, gamma, Operator("g0", 0, lambda: 9.81, lambda: 9.81)))
    assert unknown_names("gamma(t)*exp(-gamma*t) + g0 + pi", known, ["t"]) == ["gamma"]
    law = parse_model("gamma(t)*exp(-gamma*t)", known, ["t"], {"gamma": 0.5})
    x = torch.tensor([[2.0]], dtype=torch.float64)
    assert float(evaluate(law.expressions, x)[0]) == pytest.approx(math.exp(2) * math.exp(-1))


def test_a_name_at_two_places_is_one_parameter():
    frame = table()
    found = sr.refine(frame, "y", "a*(1 - exp(-k*t)) + a/5", random_state=0)
    best, covariance = curve_fit(lambda t, a, k: a * (1 - np.exp(-k * t)) + a / 5, frame["t"], frame["y"], xtol=1e-14)
    np.testing.assert_allclose(found.best.params["value"], best, rtol=1e-6)
    np.testing.assert_allclose(found.best.params["stderr"], np.sqrt(np.diag(covariance)), rtol=1e-4)
    assert found.front["n_constants"].tolist() == [2]
    band = found.predict(frame, band="confidence")
    a, k = best
    slope = np.stack([1.2 - np.exp(-k * frame["t"]), a * frame["t"] * np.exp(-k * frame["t"])])
    half = np.sqrt(np.einsum("in,ij,jn->n", slope, covariance, slope)) * found.best._quantile(0.95)
    np.testing.assert_allclose(band["upper"] - band["mean"], half, rtol=1e-3)


def test_held_parameters_and_bounds():
    frame = table()
    fixed = sr.refine(frame, "y", FORMULA, fix={"b3": 1.0}, random_state=0)
    assert fixed.best.params.loc["b3"].to_dict() | {"unit": 0, "stderr": 0, "lower": 0, "upper": 0} == {
        "value": 1.0, "stderr": 0, "unit": 0, "lower": 0, "upper": 0, "fixed": True,
    }  # fmt: skip
    assert np.isnan(fixed.best.params.loc["b3", "stderr"]) and fixed.front["n_constants"].tolist() == [2]
    best, _ = curve_fit(lambda t, b1, b2: growth(t, b1, b2, 1.0), frame["t"], frame["y"], xtol=1e-14)
    np.testing.assert_allclose(fixed.best.params["value"].iloc[:2], best, rtol=1e-6)
    with pytest.warns(sr.errors.SymRegWarning, match="SINGULAR: no error bars for b2: b2 at the bound"):
        bound = sr.refine(frame, "y", FORMULA, bounds={"b2": (None, 0.5)}, random_state=0)
    assert bound.best.params.loc["b2", "value"] == 0.5 and np.isnan(bound.best.params.loc["b2", "stderr"])
    best, covariance = curve_fit(lambda t, b1, b3: growth(t, b1, 0.5, b3), frame["t"], frame["y"])
    np.testing.assert_allclose(bound.best.params.loc[["b1", "b3"], "value"], best, rtol=1e-6)
    np.testing.assert_allclose(bound.best.params.loc[["b1", "b3"], "stderr"], np.sqrt(np.diag(covariance)), rtol=0.02)


def test_counts_are_fitted_as_counts():
    frame = table(rows=300)
    found = sr.refine(frame, "n", FORMULA, noise="poisson", random_state=0)
    value, stderr = found.best.params["value"], found.best.params["stderr"]
    assert ((value - [50, 0.7, 10]).abs() < 3 * stderr).all()
    values = growth(frame["t"], *value)
    score = ((frame["n"] - values) / values).sum()  # by b3
    assert abs(score) < 1e-3
    band = found.predict(frame, band="prediction", level=0.9)
    assert 0.85 < ((band["lower"] <= frame["n"]) & (frame["n"] <= band["upper"])).mean() < 0.97


def test_outliers_with_student_t():
    frame = table()
    frame.loc[::12, "y"] += 40
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sr.refine(frame, "y", FORMULA, noise="student_t", random_state=0)
    np.testing.assert_allclose(found.best.params["value"], [5, 0.7, 1], atol=0.25)
    own = found.best.noise_parameters
    assert list(own) == ["nu", "s"] and own["nu"] < 3 and own["s"] < 0.5
    assert f"student_t (nu = {own['nu']:.4g}, s = {own['s']:.4g})" in found.report()
    assert sr.load(found.to_json()).best.noise_parameters == own


@pytest.mark.parametrize("noise", ["poisson", "gaussian", "negative_binomial"])
def test_a_target_of_zeros_tells_nothing(noise):
    with pytest.warns(sr.errors.SymRegWarning) as caught:
        found = sr.refine(table().assign(n=0), "n", "a*exp(-k*t)", noise=noise, random_state=0, restarts=5)
    assert "CONSTANT: target 'n' is 0 in every row" in str(caught[0].message)
    assert "CONSTANT" in [warning.code for warning in found.warnings]
    assert not (found.best.params["stderr"] == 0).any()


def test_a_law_that_meets_a_target_of_zeros_has_no_error_bars():
    law = sr.refine(table(), "y", "b3 + 0*t", random_state=0, restarts=0).best
    zeros = torch.zeros(60, dtype=torch.float64)
    met = covariance(law.expression.with_constants(torch.zeros_like(law.expression.constants)), zeros[:, None], zeros)
    assert met.variance.tolist() == [0.0] and met.stderr.isnan().all()
    (told,) = dataclasses.replace(law, laplace=met).warnings
    assert told.message == "no error bars for b3: every residual is 0, and so is the target; pass sigma="


def test_doors_are_the_function(tmp_path):
    frame = table()
    one = sr.refine(frame, "y", FORMULA, random_state=0).best.params
    pd.testing.assert_frame_equal(frame.symreg.refine("y", FORMULA, random_state=0).best.params, one)
    dataset = xr.Dataset({"y": ("t", frame["y"])}, coords={"t": frame["t"]})
    pd.testing.assert_frame_equal(dataset.symreg.refine("y", FORMULA, random_state=0).best.params, one)
    pd.testing.assert_frame_equal(dataset["y"].symreg.refine(FORMULA, random_state=0).best.params, one)


def test_the_report_and_the_seed():
    found = sr.refine(table(), "y", FORMULA, random_state=3)
    assert found.provenance["random_state"] == 3 and found.provenance["starts"] == 31
    for text in ("b1:", "b2:", "C(b1, b2)", "noise model", "gaussian"):
        assert text in found.report()
    again = sr.refine(table(), "y", FORMULA, random_state=3)
    pd.testing.assert_frame_equal(again.best.params, found.best.params)


def test_profile_intervals_are_lopsided_where_the_law_is():
    frame = table(rows=12)
    found = sr.refine(frame, "y", FORMULA, random_state=0)
    profile, curvature = found.best.interval(0.95), found.best.interval(0.95, method="curvature")
    value = found.best.params["value"]
    assert (profile["lower"] < value).all() and (value < profile["upper"]).all()
    np.testing.assert_allclose(profile, curvature, rtol=0.6)
    # at the limit the sum of squares has risen by the t quantile's square [Bates & Watts 1988, §6.1]
    held = sr.refine(frame, "y", FORMULA, fix={"b2": float(profile.loc["b2", "upper"])}, random_state=0)
    squares = [((frame["y"] - one.predict(frame)) ** 2).sum() for one in (held, found)]
    t = found.best._quantile(0.95)
    assert squares[0] / squares[1] == pytest.approx(1 + t**2 / 9, rel=1e-3)
    upper, lower = profile.loc["b2", "upper"] - value["b2"], value["b2"] - profile.loc["b2", "lower"]
    assert upper > 1.05 * lower


def test_profile_of_a_linear_law_is_its_curvature():
    frame = table()
    found = sr.refine(frame, "y", "a + b*t", sigma=2.0, random_state=0)
    profile, curvature = found.best.interval(0.68), found.best.interval(0.68, method="curvature")
    np.testing.assert_allclose(profile, curvature, rtol=1e-4)


def test_profile_with_two_sides_is_about_its_curvature():
    frame = table(rows=200).assign(up=0.6)
    found = sr.refine(frame, "y", "a + b*t", sigma=(0.2, "up"), random_state=0)
    profile, curvature = found.best.interval(0.68), found.best.interval(0.68, method="curvature")
    np.testing.assert_allclose(profile.diff(axis=1)["upper"], curvature.diff(axis=1)["upper"], rtol=0.1)


def test_uvars_are_correlated():
    found = sr.refine(table(), "y", FORMULA, random_state=0)
    uvars = found.best.uvars
    b1, b3 = uvars["b1"], uvars["b3"]
    covariance = np.array(uncertainties.covariance_matrix([b1, b3]))
    np.testing.assert_allclose(covariance, found.best.covariance.loc[["b1", "b3"], ["b1", "b3"]], rtol=1e-9)


# ------------------------------------------------------------------------------------------ equal terms
def test_exchanges_leave_the_values_as_they_are():
    vocabulary = Vocabulary(ELEMENTARY)
    names = dict.fromkeys(["a", "b", "c", "d", "e"], 1.0)
    two = parse_model("a*exp(-b*x) + c*exp(-d*x) + e", vocabulary, ["x"], names)
    found = exchanges(two.expressions)
    assert found[0].tolist() == [0, 1, 2, 3, 4] and len(found) == 2
    called = [[two.parameters[i] for i in order] for order in found.tolist()]
    assert {tuple(order) for order in called} == {("a", "b", "c", "d", "e"), ("c", "d", "a", "b", "e")}
    one = parse_model("a*x + b*x**2 + c", vocabulary, ["x"], names).expressions
    assert exchanges(one).tolist() == [[0, 1, 2]]


def test_equal_terms_come_in_the_order_of_the_start():
    t = np.linspace(0, 5, 80)
    frame = pd.DataFrame({"t": t, "y": 3 * np.exp(-2 * t) + 1.5 * np.exp(-0.4 * t)})
    for k1, k2 in ((0.5, 1.5), (1.5, 0.5)):
        start = {"a1": 2, "k1": k1, "a2": 2, "k2": k2}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            params = sr.refine(frame, "y", "a1*exp(-k1*t) + a2*exp(-k2*t)", start=start, random_state=0).best.params
        assert (params.value["k1"] < params.value["k2"]) == (k1 < k2)
        assert sorted(params.value[["k1", "k2"]]) == pytest.approx([0.4, 2])


# ------------------------------------------------------------------------------------------ bad input
BAD = {
    "syntax": (("y", "b1*(t"), {}, ParseError, "b1*(t"),
    "no text": (("y", 3), {}, OptionError, "formula=3; give text such as"),
    "no column": (("y", "b1*T"), {}, InputError, "reads no column: its names ['b1', 'T'] are all parameters"),
    "reads the target": (("y", "b1*y + t"), {}, InputError, "reads the target 'y'"),
    "nothing free": (("y", "2*t"), {}, InputError, "no parameter is free"),
    "all fixed": (("y", "a*t"), {"fix": {"a": 1}}, InputError, "no parameter is free"),
    "no such parameter": (
        ("y", "a*t"),
        {"start": {"A": 1}},
        UnknownNameError,
        "start names 'A', which is no parameter",
    ),
    "no dictionary": (("y", "a*t"), {"start": [1]}, OptionError, "start=[1]; give a dictionary"),
    "no number": (("y", "a*t"), {"start": {"a": "1"}}, OptionError, "'a' is given '1'; give a number"),
    "no pair": (("y", "a*t"), {"bounds": {"a": 3}}, OptionError, "bounds of 'a' are 3; give (lower, upper)"),
    "empty bounds": (("y", "a*t"), {"bounds": {"a": (2, 1)}}, InputError, "bounds of 'a' are 2 … 1"),
    "start outside": (
        ("y", "a*t"),
        {"bounds": {"a": (0, 1)}, "start": {"a": 2}},
        InputError,
        "'a' starts or is fixed at 2, outside of its bounds 0 … 1",
    ),
    "both": (("y", "a*t"), {"start": {"a": 1}, "fix": {"a": 2}}, InputError, "'a' has a start and is fixed"),
    "start nowhere": (("y", "a*t"), {"start": {"a": math.nan}}, InputError, "'a' is given nan; give a finite number"),
    "fixed nowhere": (("y", "a*t + b"), {"fix": {"a": math.inf}}, InputError, "'a' is given inf"),
    "first values of curve_fit": (("y", "a*t"), {"p0": [1]}, OptionError, "no keyword p0=[1]; write start={'a': 1.0}"),
    "restarts in words": (("y", "a*t"), {"restarts": "many"}, OptionError, "restarts='many'; give a whole number"),
    "a raised digit": (("y", "a*t + b*t²"), {}, ParseError, "'t²' is no variable; write a power with its sign: x**2"),
    "a decimal comma": (("y", "a*t + 0,5"), {}, ParseError, "decimals are written with a point"),
    "restarts": (("y", "a*t"), {"restarts": -1}, InputError, "restarts=-1 is out of range"),
    "keyword": (("y", "a*t"), {"strat": 1}, OptionError, "no keyword strat=1; did you mean 'start'"),
    "weights": (("y", "a*t"), {"weights": 1}, OptionError, "sigma=1/w"),
    "text column": (("y", "a*name"), {}, InputError, "column 'name' is text"),
    "unknown target": (("z", "a*t"), {}, ColumnError, "no column 'z'"),
    "no domain": (("y", "a*log(-t - 1)"), {}, InputError, "no finite value or no likelihood on some row"),
    "no count": (("y", "a*t"), {"noise": "poisson"}, NoiseModelError, "'poisson' describes counts"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    arguments, keywords, error, told = BAD[case]
    with pytest.raises(error, match=re.escape(told)):
        sr.refine(table(), *arguments, random_state=0, **keywords)


def test_not_a_table():
    with pytest.raises(OptionError, match=r"cannot refine on a numpy.ndarray"):
        sr.refine(np.ones((3, 2)), "y", "a*t")


# ------------------------------------------------------------------------------------------ errors and weights in a fit
FIT_BAD = {
    "sigma pair of one length": ({"sigma": ("dy", [1, 2])}, SigmaError, "sigma (upwards) has 2 values for 60 rows"),
    "sigma pair negative": ({"sigma": ("dy", -1)}, SigmaError, "sigma (upwards) is not a positive number in 60 rows"),
    "sigma_x alone": ({"sigma_x": {"t": 0.1}}, InputError, "sigma_x is given without sigma"),
    "sigma_x no dictionary": ({"sigma": 1.0, "sigma_x": 0.1}, OptionError, "sigma_x=0.1; give a dictionary"),
    "sigma_x of no feature": (
        {"sigma": 1.0, "sigma_x": {"T": 0.1}},
        ColumnError,
        "sigma_x names 'T', which is no feature; known: 't'",
    ),
    "sigma_x negative": ({"sigma": 1.0, "sigma_x": {"t": -0.1}}, SigmaError, "sigma_x['t'] is negative or no number"),
    "absolute without sigma": ({"absolute_sigma": False}, InputError, "absolute_sigma=False says how to take sigma"),
    "absolute is no bool": ({"sigma": 1.0, "absolute_sigma": "yes"}, OptionError, "absolute_sigma='yes'"),
    "sigma for counts": (
        {"sigma": 1.0, "noise": "poisson"},
        NoiseModelError,
        "tells the spread itself; leave sigma out",
    ),
    "sigma for shares": ({"sigma": 1.0, "noise": "binomial"}, NoiseModelError, "tells the spread itself"),
    "weights for counts": (
        {"sample_weight": "dy", "noise": "poisson"},
        NoiseModelError,
        "sample_weight means nothing to noise model 'poisson'",
    ),
    "relative sigma where it must be absolute": (
        {"sigma": 1.0, "absolute_sigma": False, "noise": "heteroscedastic"},
        NoiseModelError,
        "'heteroscedastic' takes sigma in units of the target",
    ),
    "no such noise": ({"noise": "poison"}, UnknownNameError, "did you mean 'poisson'"),
    "no counts": ({"noise": "negative_binomial"}, NoiseModelError, "column 'y', row 0 is"),
}


@pytest.mark.parametrize("case", FIT_BAD)
def test_bad_errors_and_noise(case):
    keywords, error, told = FIT_BAD[case]
    for call in (
        lambda: sr.fit(table(), "y", "t", validation=None, **keywords),
        lambda: sr.refine(table(), "y", "a*t", **keywords),
    ):
        with pytest.raises(error, match=re.escape(told)):
            call()


def test_doubled_sigma_doubles_only_absolute_errors():
    frame = table()
    for absolute, factor in ((None, 2.0), (False, 1.0)):
        one, two = (
            sr.refine(
                frame.assign(dy=times * frame["dy"]), "y", FORMULA, sigma="dy", absolute_sigma=absolute, random_state=0
            )
            for times in (1, 2)
        )
        np.testing.assert_allclose(two.best.params["stderr"], factor * one.best.params["stderr"], rtol=1e-5)


def test_weight_two_is_the_row_twice():
    frame = table(rows=30)
    twice = pd.concat([frame, frame.iloc[:10]], ignore_index=True)
    weighted = frame.assign(w=np.where(np.arange(30) < 10, 2.0, 1.0))
    one = sr.refine(weighted, "y", FORMULA, sample_weight="w", random_state=0).best.params
    two = sr.refine(twice, "y", FORMULA, random_state=0).best.params
    np.testing.assert_allclose(one["value"], two["value"], rtol=1e-7)


def test_a_row_of_weight_none_is_no_row():
    """It must not make the constants look better known."""
    frame = table().assign(w=lambda f: np.where(f.index % 2, 1.0, 0.0))
    with pytest.warns(SymRegWarning, match="DROPPED: 30 rows of weight 0 left out; 30 rows used"):
        result = sr.refine(frame, "y", "a*t + b", sample_weight="w", random_state=0)
    half = sr.refine(frame[frame["w"] > 0], "y", "a*t + b", random_state=0)
    pd.testing.assert_frame_equal(result.best.params, half.best.params, rtol=1e-9)
    assert result.best.loss == pytest.approx(half.best.loss)


def test_errors_of_x_and_two_sides_reach_the_fit():
    frame = table().assign(dt=0.3, up=0.6)
    wide = sr.refine(frame, "y", FORMULA, sigma="dy", sigma_x={"t": "dt"}, random_state=0)
    plain = sr.refine(frame, "y", FORMULA, sigma="dy", random_state=0)
    assert (wide.best.params["stderr"] > 1.2 * plain.best.params["stderr"])[:2].all()
    assert wide.front["chi2_red"].iloc[0] < plain.front["chi2_red"].iloc[0]
    sided = sr.refine(frame, "y", FORMULA, sigma=("dy", "up"), random_state=0)
    # measurements that may be far too low let the law run above them
    assert (sided.predict(frame) - plain.predict(frame)).mean() > 0
    assert not torch.allclose(sided._laplace.covariance, plain._laplace.covariance)


def test_an_index_is_no_parameter():
    frame = pd.DataFrame({"t": [1.0, 2, 3, 4], "z": [1.0, 3, 2, 5], "y": [2.0, 5, 9, 17]}).set_index("t")
    with pytest.raises(
        sr.errors.ColumnError, match=r"'t' is a level of the index, and inputs are columns: reset_index"
    ):
        frame.symreg.refine("y", "a*t + b*z")
    with pytest.raises(sr.errors.ColumnError, match="'t' is a dimension without coordinates: assign_coords"):
        frame.to_xarray().drop_vars("t").symreg.refine("y", "a*t + b*z")
    with pytest.raises(OptionError, match="of a GroupBy give its DataFrame and by="):
        frame.groupby("z").pipe(sr.refine, "y", "a*z")


def test_a_column_that_does_not_vary_stays_in_a_known_law():
    t = np.linspace(0, 3, 20)
    frame = pd.DataFrame({"T": 300.0, "t": t, "y": 0.02 * 300 * t + 1.5})
    result = frame.symreg.refine("y", "a*T*t + b", restarts=1, random_state=0)
    np.testing.assert_allclose(result.best.params["value"], [0.02, 1.5], rtol=1e-9)
    assert result.names == ("T", "t") and [w.code for w in result.warnings] == []
    with pytest.warns(sr.errors.SymRegWarning, match="EXTRAPOLATION: .* 'T': 20 of 20 rows"):
        np.testing.assert_allclose(result.predict(frame.assign(T=150.0)), 3 * t + 1.5)
