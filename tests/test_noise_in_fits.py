"""Noise models act in a whole fit: outliers, counts, relative errors, shares, errors of x; and noise="auto"."""

import numpy as np
import pandas as pd
import pytest

import sr_accessor as sr

OPTIONS = {"max_rounds": 2, "timeout": 1e9, "random_state": 0, "validation": None, "progress": False}
pytestmark = pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")


def frame(rows: int = 120, seed: int = 0) -> tuple[pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.uniform(1, 6, rows), "z": rng.uniform(1, 3, rows)}), rng


def holds(result, truth, **at) -> bool:
    """Whether the law is the true one at new points, within 5 %."""
    table = pd.DataFrame({"x": np.linspace(1.2, 5.8, 20), "z": np.linspace(2.8, 1.1, 20)})
    values = result.predict(table).to_numpy()
    return bool(np.allclose(values, truth(table["x"], table["z"]), rtol=0.05))


def product(x, z):
    return 3 * x * z + 2


def test_outliers_lose_the_law_under_gaussian_noise_and_not_under_student_t():
    table, rng = frame()
    table["y"] = product(table.x, table.z) + 0.1 * rng.normal(size=len(table))
    table.loc[::10, "y"] += 300 * rng.uniform(1, 2, 12)
    robust = sr.fit(table, "y", noise="student_t", **OPTIONS)
    assert holds(robust, product) and len(robust.best.params) <= 2
    assert not holds(sr.fit(table, "y", noise="gaussian", **OPTIONS), product)
    assert robust.front["chi2_red"].isna().all()
    band = robust.predict(table, band="prediction", level=0.9)
    assert 0.8 < ((band.lower <= table.y) & (table.y <= band.upper)).mean() <= 1


def test_counts():
    table, rng = frame(300)
    table["n"] = rng.poisson(product(table.x, table.z))
    found = sr.fit(table, "n", noise="poisson", **OPTIONS)
    assert holds(found, product)
    assert found.provenance["noise"] == "poisson" and "given this form" in found.report()


def test_relative_errors_over_decades():
    table, rng = frame()
    table["x"] = 10 ** rng.uniform(-1, 3, len(table))
    table["y"] = 2 * table.x**1.5 * (1 + 0.05 * rng.normal(size=len(table)))
    found = sr.fit(table[["x", "y"]], "y", noise="multiplicative", **OPTIONS)
    small = pd.DataFrame({"x": [0.1, 1.0, 1000.0]})
    np.testing.assert_allclose(found.predict(small), 2 * small.x**1.5, rtol=0.05)


def test_shares_of_trials():
    table, rng = frame(200)
    table["trials"] = rng.integers(50, 200, len(table)).astype(float)
    table["share"] = rng.binomial(table.trials.astype(int), 0.1 + 0.1 * table.x) / table.trials
    found = sr.fit(table, "share", ["x", "z"], noise="binomial", sample_weight="trials", **OPTIONS)
    assert holds(found, lambda x, z: 0.1 + 0.1 * x)


def test_weights_are_relative():
    """A weight of one everywhere is no statement about the size of errors."""
    table, rng = frame()
    table["y"] = product(table.x, table.z) + 1e-3 * rng.normal(size=len(table))
    found = sr.fit(table.assign(w=1.0), "y", ["x", "z"], sample_weight="w", **OPTIONS)
    plain = sr.fit(table, "y", ["x", "z"], **OPTIONS)
    assert holds(found, product)
    np.testing.assert_allclose(found.best.params["stderr"], plain.best.params["stderr"], rtol=1e-6)


def test_errors_of_x_make_the_law_less_certain():
    table, rng = frame()
    table["y"] = 3 * table.x + 2 + 0.01 * rng.normal(size=len(table))
    table["x"] += 0.2 * rng.normal(size=len(table))
    found = sr.fit(table, "y", "x", sigma=0.01, sigma_x={"x": 0.2}, **OPTIONS)
    assert holds(found, lambda x, z: 3 * x + 2)
    assert 0.5 < found.front["chi2_red"][found.front["selected"]].iloc[0] < 2


@pytest.mark.parametrize("kind", ["gaussian", "multiplicative", "poisson"])
def test_auto_takes_the_noise_that_describes_the_data_best_and_says_so(kind):
    table, rng = frame(200)
    values = 10 * product(table.x, table.z)
    scattered = {
        "gaussian": lambda: values + 30 * rng.normal(size=len(table)),
        "multiplicative": lambda: values * (1 + 0.2 * rng.normal(size=len(table))),
        "poisson": lambda: rng.poisson(values / 10),
    }[kind]
    table["y"] = scattered()
    found = sr.fit(table, "y", noise="auto", **OPTIONS)
    assert found.provenance["noise"] == kind
    (remark,) = [w for w in found.warnings if w.code == "NOISE"]
    assert f"took {kind!r} by description length" in str(remark) and "bits" in str(remark)
    refined = sr.refine(table, "y", "a*x*z + b", noise="auto", random_state=0)
    assert refined.provenance["noise"] == kind


def test_auto_believes_stated_errors():
    table, rng = frame()
    table["y"] = product(table.x, table.z) * (1 + 0.1 * rng.normal(size=len(table)))
    found = sr.fit(table, "y", noise="auto", sigma=1.0, **OPTIONS)
    assert found.provenance["noise"] == "gaussian" and not [w for w in found.warnings if w.code == "NOISE"]
