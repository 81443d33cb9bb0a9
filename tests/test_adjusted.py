"""fix, bound, refit and snap of a law: new laws beside the old one, against scipy and against sr.refine."""

import pickle
import re

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.optimize import curve_fit

import sr_accessor as sr
from sr_accessor.errors import ColumnError, InputError, NoiseModelError, OptionError, UnitError, UnknownNameError

FORMULA = "a*x**n*exp(-k*t) + b"


def table(rows=60, seed=0, a=2.5, noise=0.01):
    rng = np.random.default_rng(seed)
    t, x = np.linspace(0.1, 6, rows), rng.uniform(1, 3, rows)
    y = a * x**1.5 * np.exp(-0.5 * t) + 1 / 3 + noise * rng.normal(size=rows)
    return pd.DataFrame({"t": t, "x": x, "y": y, "dy": noise})


@pytest.fixture(scope="module")
def law():
    return sr.refine(table(), "y", FORMULA, sigma="dy", random_state=0).best


@pytest.fixture(scope="module")
def found():
    """A law of a search: its constants have no names of the user's, and 2 is written."""
    rng = np.random.default_rng(1)
    x = np.linspace(0.5, 3, 80)
    frame = pd.DataFrame({"x": x, "y": 2.613 * x**2 + 1.372 + 0.02 * rng.normal(size=80)})
    options = {"network": None, "validation": None, "max_rounds": 2, "timeout": 60.0, "random_state": 0}
    return frame, frame.symreg.fit("y", operators=["add", "mul", "square"], **options).best


def by_scipy(model, frame, **given):
    return curve_fit(model, (frame["t"], frame["x"]), frame["y"], sigma=frame["dy"], absolute_sigma=True, **given)


def test_a_fixed_constant_is_that_of_a_fit_without_it(law):
    one = law.fix(n=1.49)
    best, covariance = by_scipy(
        lambda r, a, k, b: a * r[1] ** 1.49 * np.exp(-k * r[0]) + b, table(), p0=(2, 0.5, 0), xtol=1e-14
    )
    free = ["a", "k", "b"]
    np.testing.assert_allclose(one.params.loc[free, "value"], best, rtol=1e-5)
    np.testing.assert_allclose(one.covariance.loc[free, free], covariance, rtol=1e-3)
    assert one.params.loc["n", "value"] == 1.49 and one.params.loc["n", "fixed"]
    assert np.isnan(one.params.loc["n", ["stderr", "lower", "upper"]].astype(float)).all()
    same = sr.refine(table(), "y", FORMULA, sigma="dy", fix={"n": 1.49}, random_state=0).best
    pd.testing.assert_frame_equal(one.params, same.params, rtol=1e-6)
    assert one.loss == pytest.approx(same.loss, rel=1e-9) and one.loss > law.loss
    assert not law.params["fixed"].any()


def test_a_fixed_constant_is_free_again(law):
    again = law.fix(n=1.49, b=0.0).fix(n=None, b=None)
    pd.testing.assert_frame_equal(again.params, law.params, rtol=1e-6)


def test_all_constants_fixed_is_the_law_as_given(law):
    one = law.fix(a=2.0, n=1.0, k=0.5, b=0.0)
    frame = table()
    np.testing.assert_allclose(one.predict(frame), 2 * frame["x"] * np.exp(-0.5 * frame["t"]), rtol=1e-14)
    assert one.params["fixed"].all() and one.covariance.empty and not one.warnings


def test_bounds_hold(law):
    with pytest.warns(sr.errors.SymRegWarning, match="SINGULAR: no error bars for k: k at the bound"):
        one = law.bound(k=(0.6, None))
    assert one.params.loc["k", "value"] == 0.6 and np.isnan(one.params.loc["k", "stderr"])
    best, _ = by_scipy(lambda r, a, n, b: a * r[1] ** n * np.exp(-0.6 * r[0]) + b, table(), p0=(2, 1, 0))
    np.testing.assert_allclose(one.params.loc[["a", "n", "b"], "value"], best, rtol=1e-5)
    inside = law.bound(k=(0, 1), b=(None, 1))
    np.testing.assert_allclose(inside.params["value"], law.params["value"], rtol=1e-6)
    np.testing.assert_allclose(one.bound(k=None).params["value"], law.params["value"], rtol=1e-6)


def test_refit_measures_the_constants_anew(law):
    frame = table(rows=90, seed=3, a=4.0)
    one = law.fix(n=1.5).refit(frame, sigma="dy")
    best, covariance = by_scipy(
        lambda r, a, k, b: a * r[1] ** 1.5 * np.exp(-k * r[0]) + b, frame, p0=(2, 0.5, 0), xtol=1e-14
    )
    np.testing.assert_allclose(one.params.loc[["a", "k", "b"], "value"], best, rtol=1e-5)
    np.testing.assert_allclose(one.covariance, covariance, rtol=1e-3)
    assert one.observations.count == 90 and law.observations.count == 60
    scaled = law.refit(frame)  # without sigma the scale of the scatter is that of the residuals
    assert not scaled.laplace.absolute and scaled.interval().loc["a"].between(3.9, 4.1).all()


def test_refit_of_xarray_and_of_columns_in_another_order(law):
    frame = table(seed=4)
    dataset = xr.Dataset.from_dataframe(frame.rename_axis("row"))
    by_frame = law.refit(frame[["y", "dy", "x", "t"]].assign(more="text"), sigma="dy")
    by_dataset = law.refit(dataset, sigma="dy")
    pd.testing.assert_frame_equal(by_frame.params, by_dataset.params)
    np.testing.assert_allclose(by_frame.predict(frame), by_dataset.predict(dataset), rtol=1e-12)


def test_refit_converts_units():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"s [m]": rng.uniform(1, 2, 30)})
    frame["E [J]"] = 3.0 * frame["s [m]"] + 0.01 * rng.normal(size=30)
    renamed = frame.rename(columns={"s [m]": "s", "E [J]": "E"})
    renamed.attrs["units"] = {"s": "m", "E": "J"}
    law = sr.refine(renamed, "E", "k*s", random_state=0).best
    other = renamed * [100, 1000]
    other.attrs["units"] = {"s": "cm", "E": "mJ"}
    again = law.refit(other, sigma=0.01 * 1000)
    np.testing.assert_allclose(again.params["value"], law.params["value"], rtol=1e-9)
    assert again.params["unit"].tolist() == law.params["unit"].tolist()
    np.testing.assert_allclose(again.observations.sigma, 0.01, rtol=1e-12)
    other.attrs["units"]["s"] = "kg"
    with pytest.raises(UnitError, match="'s' is in 'kg'"):
        law.refit(other)


def test_refit_keeps_the_noise_model_and_checks_the_rows():
    rng = np.random.default_rng(2)
    t = np.linspace(0, 3, 50)
    frame = pd.DataFrame({"t": t, "n": rng.poisson(300 * np.exp(-t))})
    law = sr.refine(frame, "n", "a*exp(-k*t)", noise="poisson", random_state=0).best
    more = frame.assign(n=rng.poisson(100 * np.exp(-2 * t)))
    same = sr.refine(more, "n", "a*exp(-k*t)", noise="poisson", random_state=0).best
    pd.testing.assert_frame_equal(law.refit(more).params, same.params, rtol=1e-6)
    with pytest.raises(NoiseModelError, match=r"row 1 is 0\.06"):
        law.refit(frame.assign(n=t))


def test_constants_snap_where_the_data_cannot_tell(law):
    simple = law.snap()
    assert simple.params["value"].tolist() == [2.5, 1.5, 0.5, 1 / 3] and simple.params["fixed"].all()
    assert simple.to_text() == "2.5*x**1.5*exp(-0.5*t) + 1/3"
    (told,) = simple.warnings
    assert told.code == "SNAPPED" and "1.5, k" in told.message
    lost = float(re.search(r"the likelihood lost (\S+) nats", told.message)[1])
    assert lost == pytest.approx(simple.loss - law.loss, rel=1e-2) and 0 < lost < 5
    assert law.snap("integer") is law  # 2.5 ± 0.01 is no whole number
    assert simple.snap() is simple


def test_only_what_is_simple_snaps_and_the_rest_follows():
    frame = table()
    frame["y"] = 2.5 * frame["x"] ** 2 * np.exp(-0.4371 * frame["t"]) + 0.3127 + 0.01 * np.sin(50 * frame["t"])
    law = sr.refine(frame, "y", FORMULA, random_state=0).best
    whole = law.snap("integer")
    assert whole.params.index[whole.params["fixed"]].tolist() == ["n"] and whole.params.loc["n", "value"] == 2
    pd.testing.assert_frame_equal(whole.params, law.fix(n=2).params, rtol=1e-6)
    half = law.snap("rational")
    assert half.params.loc[["a", "n"], "value"].tolist() == [2.5, 2] and not half.params.loc["k", "fixed"]


def test_a_multiple_of_pi_is_not_rational():
    x = np.linspace(1, 2, 40)
    frame = pd.DataFrame({"x": x, "y": np.pi / 2 * x + 1e-6 * np.sin(40 * x)})
    law = sr.refine(frame, "y", "a*x", random_state=0).best
    assert law.snap("any").params["value"].tolist() == [np.pi / 2]
    assert law.snap("rational") is law


def test_a_law_of_a_search(found):
    frame, law = found
    assert law.to_text(3) == "2.61*x**2 + 1.37" and law.params.index.tolist() == ["c0", "c1"]
    held = law.fix(c1=1.3)
    slope = ((frame["y"] - 1.3) * frame["x"] ** 2).sum() / (frame["x"] ** 4).sum()
    assert held.params.loc["c0", "value"] == pytest.approx(slope, rel=1e-9) and held.simplify() is held
    other = frame.assign(more=0.0, y=3.0 * frame["x"] ** 2 + 0.5 + 0.01 * np.cos(40 * frame["x"]))
    again = law.refit(other[["more", "y", "x"]])
    np.testing.assert_allclose(again.params["value"], np.polyfit(other["x"] ** 2, other["y"], 1), rtol=1e-6)
    simple = again.snap()
    assert simple.to_text() == "3*x**2 + 0.5" and simple.params.empty and simple.warnings[0].code == "SNAPPED"
    near_one = law.refit(frame.assign(y=frame["x"] ** 2 + 0.437 + 0.02 * np.cos(40 * frame["x"]))).snap()
    assert re.fullmatch(r"x\*\*2 \+ 0\.4\d+", near_one.to_text(3)) and list(near_one.params.index) == ["c0"]


def test_a_law_without_constants_is_refitted():
    frame = pd.DataFrame({"x": np.linspace(1, 2, 20)}).assign(y=lambda f: f["x"] ** 2)
    options = {"network": None, "max_rounds": 1, "timeout": 60.0, "random_state": 0}
    law = frame.symreg.fit("y", operators=["add", "mul", "square"], **options).best
    assert law.params.empty
    again = law.refit(frame.assign(y=frame["y"] + 0.1))
    assert again.to_text() == "x**2" and again.loss > law.loss and law.snap() is law
    with pytest.raises(UnknownNameError, match="no constant 'c0'; it has none"):
        law.fix(c0=1.0)


def test_what_was_done_survives_pickling(law):
    simple = law.fix(n=1.49).snap()
    again = pickle.loads(pickle.dumps(simple))
    assert str(again.warnings) == str(simple.warnings) and "SNAPPED" in str(again.warnings)
    pd.testing.assert_frame_equal(again.params, simple.params)
    assert again.fix(n=1.5).params.loc["n", "value"] == 1.5


@pytest.mark.parametrize(
    "wrong, error, told",
    [
        (lambda law: law.fix(q=2.0), UnknownNameError, "no constant 'q'; known: 'a', 'n', 'k', 'b'"),
        (lambda law: law.bound(kk=(0, 1)), UnknownNameError, "no constant 'kk'; did you mean 'k'"),
        (lambda law: law.fix(), OptionError, r"\.fix\(a=2.0\)"),
        (lambda law: law.fix(n="two"), OptionError, "'n' is given 'two'; give a number"),
        (lambda law: law.fix(n=np.inf), InputError, "'n' is given inf; give a finite number"),
        (lambda law: law.bound(k=3), OptionError, "bounds of 'k' are 3; give"),
        (lambda law: law.bound(k=(2, 1)), InputError, "bounds of 'k' are 2 … 1"),
        (lambda law: law.bound(k=(0, 1)).fix(k=-1.0), InputError, "'k' starts or is fixed at -1, outside"),
        (lambda law: law.fix(k=-1.0).bound(k=(0, 1)), InputError, "'k' starts or is fixed at -1, outside"),
        (lambda law: law.snap("rationals"), OptionError, "did you mean 'rational'"),
        (lambda law: law.refit(table().drop(columns="x")), ColumnError, "'x'"),
        (lambda law: law.refit([1, 2]), OptionError, "cannot fit a builtins.list"),
        (lambda law: sr.load(sr.refine(table(), "y", "a*x", random_state=0).to_json()).best.fix(a=1.0), InputError,
         "data=True"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(law, wrong, error, told):
    with pytest.raises(error, match=told):
        wrong(law)


def test_a_table_in_chunks_is_pointed_to_refine(law):
    with pytest.raises(OptionError, match=re.escape(f"formula = {law.to_text('names')!r}")):
        law.refit(dd.from_pandas(table(), npartitions=2))
