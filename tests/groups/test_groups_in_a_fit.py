"""fit(..., by=): one form chosen jointly, each group its own constants; and independent fits."""

import signal

import numpy as np
import pandas as pd
import pytest

import sr_accessor as sr
from sr_accessor.errors import InputError, OptionError, SymRegWarning

OPTIONS = {"random_state": 0, "timeout": 100, "max_rounds": 2, "operators": ["add", "mul", "div", "pow", "sqrt"]}


@pytest.fixture(scope="module")
def table():
    """F = k·x² with an own k for each spring; in spring "b" it is 2 by chance."""
    rng = np.random.default_rng(0)
    parts = []
    for spring, k in {"a": 1.37, "b": 2.0, "c": 4.61, "d": 0.713, "e": 3.3}.items():
        x = rng.uniform(1, 4, 14)
        parts.append(pd.DataFrame({"spring": spring, "x": x, "F": k * x**2 * (1 + 0.01 * rng.normal(size=14))}))
    return pd.concat([*parts, pd.DataFrame({"spring": ["f"], "x": [1.0], "F": [1.0]})], ignore_index=True)


@pytest.fixture(scope="module")
def result(table):
    with pytest.warns(SymRegWarning, match="FEW_ROWS: 1 of 6 groups"):
        return table.symreg.fit("F", by="spring", noise="multiplicative", **OPTIONS)


def test_one_form_with_own_constants(result):
    assert result.shared and result.equation in ("c0*x**2", "x**2*c0") and result.common == []
    value = result.params["value"].droplevel("constant")
    assert value.to_dict() == pytest.approx({"a": 1.37, "b": 2, "c": 4.61, "d": 0.713, "e": 3.3}, rel=0.02)
    assert result.status["f"] == "too_few_rows" and (result.status.drop("f") == "ok").all()
    assert result.forms["selected"].sum() == 1 and result.forms["mdl"].is_monotonic_increasing


def test_it_shows_itself(result):
    assert "c0*x**2" in repr(result) and "6 groups by spring (5 ok, 1 too_few_rows)" in repr(result)
    text = result.report()
    assert "[[Forms]]" in text and "constants of each group = c0" in text and "data_hash" in text
    page = result._repr_html_()
    assert "$$F = " in page and not any(tag in page for tag in ("<script", "<svg", "<style"))
    with pytest.raises(AttributeError, match="does not change"):
        result.by = ("x",)


def test_a_group_has_an_equation_of_its_own(table, result):
    law = result["c"]
    rows = table[table["spring"] == "c"]
    assert law.predict(rows, band="confidence").columns.tolist() == ["mean", "lower", "upper"]
    assert law.to("python") and law.to_text("error").startswith("4.6")
    dataset = result.to_dataset()
    assert dataset["F_symreg_coefficients"].sel(spring="c", param="c0") == pytest.approx(law.params["value"]["c0"])
    assert dataset["F_symreg_status"].sel(spring="f") == "too_few_rows"


def test_independent_fits(table):
    some = table[table["spring"].isin(["a", "c", "f"])]
    apart = some.symreg.fit("F", by="spring", shared=False, errors="ignore", **OPTIONS)
    assert not apart.shared and list(apart) == ["a", "c"] and set(apart.results) == {"a", "c"}
    alone = some[some["spring"] == "c"].symreg.fit("F", "x", **OPTIONS)
    assert apart["c"].to_text() == alone.best.to_text()
    with pytest.warns(SymRegWarning, match="GROUP: 1 rows"):
        predicted = apart.predict(some)
    assert np.allclose(predicted[some["spring"] == "c"], alone.predict(some[some["spring"] == "c"]))
    assert "a: " in apart.equation and "c: " in apart._repr_html_()
    with pytest.raises(OptionError, match="no common constants"):
        apart.to_dataset()


@pytest.mark.parametrize("shared", [True, False])
def test_one_interrupt_ends_all_searches(table, shared, tmp_path):
    some = table[table["spring"].isin(["a", "c", "f"])]
    options = {**OPTIONS, "max_rounds": 99, "callbacks": [lambda state: signal.raise_signal(signal.SIGINT)]}
    result = some.symreg.fit("F", by="spring", shared=shared, errors="ignore", network=None, **options)
    assert result.interrupted and result.status["a"] == "ok"
    assert result.status["c"] == ("ok" if shared else "interrupted")
    result.save(tmp_path / "groups.json")
    assert sr.load(tmp_path / "groups.json").status.equals(result.status)


def test_what_cannot_be(table):
    with pytest.raises(InputError, match="no group has 3 rows or more"):
        table.assign(own=table.index).symreg.fit("F", "x", by="own", **OPTIONS)
    with pytest.raises(OptionError, match="errors='wran' is not known; did you mean 'warn'"):
        table.symreg.fit("F", by="spring", errors="wran")
    with pytest.raises(OptionError, match="name the groups with by="):
        table.symreg.fit("F", "x", errors="raise")
    with pytest.raises(OptionError, match="xarray's word"):
        table.symreg.fit("F", "x", skipna=True)


def test_a_needless_constant_is_not_cheap_because_it_makes_the_others_unsure():
    rng = np.random.default_rng(0)
    a, b, run = rng.uniform(1, 5, 8), rng.uniform(0.3, 1.2, 8), np.repeat(np.arange(8), 25)
    t = rng.uniform(0, 4, 200)
    y = a[run] * t + b[run] + 0.1 * rng.normal(size=200)
    frame = pd.DataFrame({"run": run, "t": t, "y": y})
    given = {"guesses": ["a*t + b", "a*t**k + b"], "network": None, "max_rounds": 1, "random_state": 0}
    result = sr.fit(frame, "y", ["t"], by="run", timeout=60, progress=False, **given)
    assert result.equation == "c0*t + c1" and "t**" in " ".join(result.forms["equation"])
