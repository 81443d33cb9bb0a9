"""SymbolicRegressor and SymbolicTransformer: scikit-learn's own checks, pipelines, weights, routing, copies."""

import dataclasses
import inspect
import pickle
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import sr_accessor as sr
from sr_accessor.errors import MissingDependencyError
from sr_accessor.options import FitOptions
from sr_accessor.sklearn import SymbolicRegressor, SymbolicTransformer

#: The checks use tables without laws: what is left out or looks odd there is told in our warnings.
pytestmark = pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")

#: One round is a search already: lines, planes and power laws.
ONE_ROUND = {"max_rounds": 1, "network": None, "timeout": 60.0, "random_state": 0}
#: Checks that fail for a reason: none does.
EXPECTED_FAILURES: dict[str, str] = {}
#: Not run: it skips itself unless SCIPY_ARRAY_API was set before scipy was imported.
LEFT_OUT = ("check_array_api_input",)

CHECKS = parametrize_with_checks(
    [SymbolicRegressor(**ONE_ROUND), SymbolicTransformer(**ONE_ROUND)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
NAMES, CASES, *_ = CHECKS.args
CASES = [case for case in CASES if case[1].func.__name__ not in LEFT_OUT]


@pytest.mark.parametrize(NAMES, CASES, ids=CHECKS.kwargs["ids"])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_all_of_the_checks_are_run():
    assert len(CASES) > 100


def table(rows=60, seed=0):
    random = np.random.default_rng(seed)
    X = pd.DataFrame({"m": random.uniform(1, 3, rows), "a": random.uniform(1, 3, rows)})
    return X, 2.5 * X["m"] * X["a"] + random.normal(0, 0.01, rows)


def test_at_most_twenty_arguments_all_of_them_options_of_a_fit():
    names = set(inspect.signature(SymbolicRegressor).parameters)
    assert len(names) <= 20 and len(inspect.signature(SymbolicTransformer).parameters) <= 20
    assert names - {"absolute_sigma"} <= {field.name for field in dataclasses.fields(FitOptions)}


def test_the_door_is_the_function():
    X, y = table()
    found = SymbolicRegressor(**ONE_ROUND).fit(X, y)
    order = np.lexsort(np.column_stack([X, y]).T[::-1])
    wanted = sr.fit(X.assign(y=y).iloc[order], "y", **ONE_ROUND)
    assert repr(found.result_.best) == repr(wanted.best) and found.result_.names == ("m", "a")
    np.testing.assert_array_equal(found.predict(X), wanted.best.predict(X).to_numpy())
    assert found.score(X, y) > 0.999


def test_pipeline_grid_and_clone():
    X, y = table()
    X.iloc[3, 0] = np.nan
    pipeline = make_pipeline(SimpleImputer(), SymbolicRegressor(**ONE_ROUND))
    pipeline.fit(X, y, symbolicregressor__sample_weight=np.arange(1.0, 61))
    assert pipeline.score(X, y) > 0.9 and pipeline[-1].result_.best.names
    grid = GridSearchCV(SymbolicRegressor(**ONE_ROUND), {"select": ["mdl", "knee"]}, cv=2).fit(
        X.dropna(), y[X.notna().all(axis=1)]
    )
    assert grid.best_score_ > 0.99
    twin = clone(grid.best_estimator_)
    assert twin.get_params() == grid.best_estimator_.get_params() and not hasattr(twin, "result_")


def test_weight_two_is_a_row_twice_and_weight_none_is_no_row():
    X, y = table()
    y = y + np.where(np.arange(len(y)) < 20, 0.5, 0.0)
    weight = np.ones(len(y))
    weight[:10], weight[10:20] = 2, 0
    weighted = SymbolicRegressor(**ONE_ROUND).fit(X, y, sample_weight=weight)
    again = np.repeat(np.arange(len(y)), weight.astype(int))
    repeated = SymbolicRegressor(**ONE_ROUND).fit(X.iloc[again], y.iloc[again])
    assert weighted.result_.to_json(time=False) == repeated.result_.to_json(time=False)
    unweighted = SymbolicRegressor(**ONE_ROUND).fit(X, y)
    assert unweighted.result_.to_text() != weighted.result_.to_text()
    same = SymbolicRegressor(**ONE_ROUND).fit(X, y, sample_weight=np.full(len(y), 3.0))
    assert same.result_.to_text() == unweighted.result_.to_text()


def test_counts_that_occur_twice_stay_two_rows():
    random = np.random.default_rng(1)
    X = random.integers(1, 4, (60, 1)).astype(float)
    found = SymbolicRegressor(**ONE_ROUND, noise="poisson").fit(X, random.poisson(5 * X[:, 0]))
    assert found.result_._observations.count == 48  # of 60, a fifth held out


def test_sigma_is_routed():
    X, y = table()
    sigma = np.linspace(0.01, 0.2, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        regressor = SymbolicRegressor(**ONE_ROUND).set_fit_request(sigma=True, sample_weight=True)
        pipeline = make_pipeline(SimpleImputer().set_output(transform="pandas"), regressor).fit(X, y, sigma=sigma)
    found = pipeline[-1].result_
    assert found._observations.has_sigma and found._observations.absolute_sigma
    loose = SymbolicRegressor(**ONE_ROUND, absolute_sigma=False).fit(X, y, sigma=0.1)
    assert not loose.result_._observations.absolute_sigma


def test_pickle_and_joblib(tmp_path):
    X, y = table()
    for made in (SymbolicRegressor(**ONE_ROUND), SymbolicTransformer(**ONE_ROUND)):
        made.fit(X, y)
        joblib.dump(made, tmp_path / "made.joblib")
        for twin in (pickle.loads(pickle.dumps(made)), joblib.load(tmp_path / "made.joblib")):
            act = "predict" if hasattr(made, "predict") else "transform"
            np.testing.assert_array_equal(getattr(twin, act)(X), getattr(made, act)(X))


def test_sub_expressions_are_features():
    X, y = table()
    made = SymbolicTransformer(4, **ONE_ROUND).set_output(transform="pandas").fit(X, y)
    features = made.transform(X)
    assert list(features.columns) == list(made.get_feature_names_out()) and 1 <= features.shape[1] <= 4
    assert "a*m" in features.columns or "m*a" in features.columns
    product = features.filter(["a*m", "m*a"]).iloc[:, 0]
    np.testing.assert_allclose(product, X["m"] * X["a"], rtol=1e-12)
    close = np.abs(np.corrcoef(features.to_numpy().T)[np.triu_indices(features.shape[1], 1)])
    assert (close < 0.999).all()
    pipeline = make_pipeline(SymbolicTransformer(3, **ONE_ROUND), LinearRegression()).fit(X, y)
    assert pipeline.score(*table(seed=5)) > 0.999


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "sklearn" or n.startswith("sr_accessor.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "sr_accessor.frontends.sklearn_estimator")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'sr-accessor\[sklearn\]'"):
        import sr_accessor.sklearn  # noqa: F401
