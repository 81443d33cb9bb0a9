"""sr.refine(..., by=): every group as if refined alone, constants common where the data do not tell them apart."""

import numpy as np
import pandas as pd
import pytest
import torch

import sr_accessor as sr
from sr_accessor.errors import ColumnError, InputError, OptionError, SymRegWarning
from sr_accessor.groups.common import promised_savings
from sr_accessor.uncertainty.laplace import Laplace


def decays(groups=12, seed=0, noise=0.02):
    """y = a·exp(−0.7·x) + b with own a and b, 8 to 15 rows each."""
    rng = np.random.default_rng(seed)
    parts = []
    for g in range(groups):
        x = rng.uniform(0, 5, rng.integers(8, 16))
        a, b = rng.uniform(1, 4), rng.normal()
        y = a * np.exp(-0.7 * x) + b + noise * rng.normal(size=len(x))
        parts.append(pd.DataFrame({"run": f"r{g:02}", "x": x, "y": y, "a": a}))
    return pd.concat(parts, ignore_index=True)


FORMULA = "a0*exp(-k*x) + b"
OPTIONS = {"start": {"k": 1}, "bounds": {"k": (0, None)}, "restarts": 2, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    return decays().sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def result(table):
    return sr.refine(table, "y", FORMULA, by="run", **OPTIONS)


def test_every_group_is_refined_as_if_alone(table, result):
    assert list(result) == sorted(table["run"].unique()) and (result.status == "ok").all()
    for run in ("r00", "r07", "r11"):
        alone = sr.refine(table[table["run"] == run], "y", FORMULA, **OPTIONS).best
        law = result[run]
        assert np.allclose(law.params["value"], alone.params["value"], rtol=1e-6)
        assert np.allclose(law.params["stderr"], alone.params["stderr"], rtol=1e-5)
        assert np.allclose(result.params.loc[run, "value"], alone.params["value"], rtol=1e-6)
        assert np.allclose(result.params.loc[run, "upper"], alone.params["upper"], rtol=1e-5)
        assert law.loss == pytest.approx(alone.loss, abs=1e-6)


def test_predictions_follow_the_group_of_each_row(table, result):
    out = table.assign(p=result.predict, r=result.residuals)
    assert out.index.equals(table.index) and np.allclose(out["p"] + out["r"], out["y"])
    one = table[table["run"] == "r03"]
    assert np.allclose(out.loc[one.index, "p"], result["r03"].predict(one))
    with pytest.warns(SymRegWarning, match="2 rows of groups without a law are NaN: 'new'"):
        assert result.predict(table.head(2).assign(run="new")).isna().all()


def test_a_constant_that_the_groups_share_is_found_and_known_better(table, result):
    shared = sr.refine(table, "y", FORMULA, by="run", shared=True, **OPTIONS)
    assert shared.common == ["k"] and result.common == []
    k = shared.params.xs("k", level="constant")
    assert k["value"].nunique() == 1 and k["common"].all()
    assert abs(k["value"].iloc[0] - 0.7) < 4 * k["stderr"].iloc[0]
    alone = result.params.xs("k", level="constant")["stderr"]
    assert k["stderr"].iloc[0] == pytest.approx((alone**-2).sum() ** -0.5, rel=0.1)
    assert shared["r00"].params["stderr"].notna().all()
    assert "common to all groups: k" in repr(shared)


def test_the_joint_optimum_is_that_of_one_fit_with_a_constant_for_each_group():
    table = decays(groups=3, noise=0.05)
    shared = sr.refine(table, "y", FORMULA, by="run", shared=True, **OPTIONS)
    switches = {f"s{i}": (table["run"] == f"r{i:02}").astype(float) for i in range(3)}
    sum_of = " + ".join(f"s{i}*(a{i}*exp(-k*x) + b{i})" for i in range(3))
    sigma = table.assign(r=shared.residuals).groupby("run")["r"].transform(lambda r: np.sqrt(np.mean(r**2)))
    whole = sr.refine(table.assign(**switches), "y", sum_of, sigma=sigma, absolute_sigma=False, start={"k": 0.7})
    assert shared.common == ["k"]
    assert shared.params["value"].loc["r00", "k"] == pytest.approx(whole.best.params["value"]["k"], rel=2e-3)
    assert shared.params["stderr"].loc["r00", "k"] == pytest.approx(whole.best.params["stderr"]["k"], rel=0.2)
    assert shared.params["stderr"].loc["r01", "a0"] == pytest.approx(whole.best.params["stderr"]["a1"], rel=0.4)


def test_small_groups_get_a_status_and_one_warning(table):
    few = pd.DataFrame({"run": ["few", "few", "one"], "x": [1.0, 2.0, 1.0], "y": [1.0, 2.0, 3.0], "a": 1.0})
    more = pd.concat([table, few], ignore_index=True)
    with pytest.warns(SymRegWarning) as told:
        result = sr.refine(more, "y", FORMULA, by="run", **OPTIONS)
    assert [str(w.message) for w in told] == ["FEW_ROWS: 2 of 14 groups have too few rows: 'few', 'one'"]
    assert result.status["few"] == "too_few_rows" and "few" not in set(result.params.index.get_level_values("run"))
    with pytest.raises(ColumnError, match="group 'few' has no law: too_few_rows"):
        result["few"]
    with pytest.raises(InputError, match="group 'few' has no law: too_few_rows \\(2 such groups of 14\\)"):
        sr.refine(more, "y", FORMULA, by="run", errors="raise", **OPTIONS)
    quiet = sr.refine(more, "y", FORMULA, by="run", errors="ignore", **OPTIONS)
    assert quiet.status["one"] == "too_few_rows"


def test_groups_are_told_by_several_labels_and_by_levels_of_the_index(table):
    table = table.assign(half=np.where(table["x"] > 2, "late", "early"))
    some = table[table["run"] < "r04"]
    two = sr.refine(some, "y", "a0*x + b", by=["run", "half"], restarts=0, errors="ignore")
    assert two.keys.names == ["run", "half"]
    key = ("r01", "early")
    rows = some[(some["run"] == "r01") & (some["half"] == "early")]
    assert np.allclose(two[key].params["value"], np.polyfit(rows["x"], rows["y"], 1))
    level = sr.refine(some.set_index("run"), "y", "a0*x + b", by="run", restarts=0)
    one = sr.refine(some, "y", "a0*x + b", by="run", restarts=0)
    assert level.params["value"].equals(one.params["value"])
    assert np.allclose(level.predict(some.set_index("run")), one.predict(some))


def test_rows_without_a_group_are_left_out(table):
    lost = table.assign(run=table["run"].where(table.index > 2))
    with pytest.warns(SymRegWarning, match="3 rows without 'run' are left out"):
        result = sr.refine(lost, "y", FORMULA, by="run", **OPTIONS)
    assert len(result) == 12


@pytest.mark.parametrize(
    ("by", "error", "words"),
    [
        ("rum", ColumnError, "by names 'rum', which is no column and no level of the index; did you mean 'run'"),
        ([], OptionError, "names no column"),
        (lambda frame: 1, OptionError, "give the label of a column"),
    ],
)
def test_by_that_names_nothing(table, by, error, words):
    with pytest.raises(error, match=words):
        sr.refine(table, "y", FORMULA, by=by)
    with pytest.raises(OptionError, match="names dimensions of xarray"):
        sr.refine(table, "y", FORMULA, over="run")


def test_poisson_counts_and_error_bars_of_each_group():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat([1, 2, 3], 40), "t": np.tile(np.linspace(0, 3, 40), 3)})
    frame["n"] = rng.poisson(frame["g"] * 50 * np.exp(-frame["t"]))
    counts = sr.refine(frame, "n", "a*exp(-k*t)", by="g", noise="poisson", start={"a": 60, "k": 1}, restarts=2)
    alone = sr.refine(frame[frame["g"] == 2], "n", "a*exp(-k*t)", noise="poisson", start={"a": 60, "k": 1}, restarts=2)
    assert np.allclose(counts[2].params[["value", "stderr"]], alone.best.params[["value", "stderr"]], rtol=1e-4)
    bars = {"sigma": 5.0, "sigma_x": {"t": 0.02}, "start": {"a": 60, "k": 1}, "restarts": 2}
    two = sr.refine(frame.assign(n=frame["n"] * 1.0), "n", "a*exp(-k*t)", by="g", **bars)
    alone = sr.refine(frame[frame["g"] == 3], "n", "a*exp(-k*t)", **bars)
    assert np.allclose(two[3].params[["value", "stderr"]], alone.best.params[["value", "stderr"]], rtol=1e-4)


def test_a_group_that_counted_nothing_is_told():
    t = np.tile(np.linspace(0, 4, 20), 3)
    run = np.repeat(["a", "b", "c"], 20)
    counts = np.where(run == "b", 0, np.random.default_rng(0).poisson(20 * np.exp(-0.3 * t)))
    frame = pd.DataFrame({"run": run, "t": t, "n": counts})
    with pytest.warns(sr.errors.SymRegWarning, match=r"CONSTANT: 1 of 3 groups have one value of the target.*: 'b'"):
        found = sr.refine(frame, "n", "a*exp(-k*t)", by="run", noise="poisson", random_state=0, restarts=3)
    assert [remark.code for remark in found.remarks] == ["CONSTANT"]


def test_error_bars_that_depend_on_the_law_settle_in_every_group():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"g": np.repeat([1, 2, 3, 4], 25), "t": np.tile(np.linspace(0, 4, 25), 4), "lo": 0.05, "up": 0.25}
    )
    size, low = np.abs(rng.normal(size=100)), rng.random(100) < 0.25 / 0.3
    frame["y"] = frame["g"] * np.exp(-frame["t"]) + np.where(low, -frame["up"] * size, frame["lo"] * size)
    given = {"start": {"a": 1, "k": 1}, "restarts": 0, "random_state": 0}
    for bars in ({"sigma": ("lo", "up")}, {"sigma": "lo", "sigma_x": {"t": 0.05}}):
        every = sr.refine(frame, "y", "a*exp(-k*t)", by="g", **bars, **given)
        alone = sr.refine(frame[frame["g"] == 3], "y", "a*exp(-k*t)", **bars, **given).best
        assert np.allclose(every[3].params[["value", "stderr"]], alone.params[["value", "stderr"]], rtol=1e-7)
        assert every[3].loss == pytest.approx(alone.loss, abs=1e-7)


def test_savings_are_promised_where_values_agree_within_their_errors():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    stderr = torch.full((50, 2), 0.1, dtype=torch.float64)
    values = torch.stack([3 + 0.1 * noise[:, 0], 3 + 1.0 * noise[:, 1]], 1)
    nothing = torch.zeros(50, 2, 2, dtype=torch.float64)
    laplace = Laplace(
        torch.diag_embed(stderr**2), stderr, torch.ones(50, 2, dtype=torch.bool), torch.ones(50, dtype=torch.float64),
        torch.full((50,), 10), True, nothing, nothing,
    )  # fmt: skip
    common, saved = promised_savings(values, laplace, torch.tensor([True, True]))
    assert common.tolist() == [True, False] and saved > 200
