"""The recipe: what it hands the search, what it records, and that the held-out rows are kept out."""

import numpy as np
import pandas as pd
import pytest
import torch

import sr_accessor as sr
from sr_accessor import regression
from sr_accessor.constraints import Constraints, monotone
from sr_accessor.errors import DeviceError, SymRegWarning, UnknownNameError
from sr_accessor.observations import Observations
from sr_accessor.options import FitOptions
from sr_accessor.search import selection


def observations(count=60, **beside):
    random = np.random.default_rng(0)
    x = random.uniform(0.5, 2, (count, 2))
    y = 2 * x[:, 0] + x[:, 1] ** 2 + 0.05 * random.normal(size=count)
    return Observations.from_arrays(x, y, **beside)


def options(**given):
    return FitOptions(**{"max_rounds": 1, "timeout": 60, "random_state": 3} | given)


@pytest.fixture
def seen(monkeypatch):
    """What the search was started with."""
    kept = []

    def start(data, vocabulary, *, seed, **more):
        kept.append((data, vocabulary, seed))
        return original(data, vocabulary, seed=seed, **more)

    original = regression.start
    monkeypatch.setattr(regression, "start", start)
    return kept


def test_held_out_rows_are_never_seen(seen):
    given = observations(100)
    result = regression.fit(given, options(validation=0.3))
    data = seen[0][0]
    assert len(data) == 70 and result.front["r2_val"].notna().all()
    shown = {tuple(row) for row in data.x.tolist()}
    assert len(shown) == 70 and shown < {tuple(row) for row in given.x.tolist()}
    again = regression.fit(given, options(validation=0.3, random_state=4))
    assert {tuple(row) for row in seen[1][0].x.tolist()} != shown
    assert again.provenance["random_state"] == 4


def test_few_rows_are_all_seen(seen):
    regression.fit(observations(20), options())
    assert len(seen[0][0]) == 20


@pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")
def test_sigma_and_weights_reach_the_search(seen):
    regression.fit(observations(sigma=0.1), options(validation=None))
    regression.fit(observations(sample_weight=np.r_[np.full(59, 4.0), 0.0]), options(validation=None))
    assert seen[0][0].sigma.tolist() == [0.1] * 60
    weight = seen[1][0].weight
    assert weight.tolist() == pytest.approx([4.0] * 59)  # a row of weight 0 is no row


def test_provenance_is_enough_to_do_it_again(seen):
    given, threads = observations(), torch.get_num_threads()
    first = regression.fit(given, options(random_state=None))
    seed = first.provenance["random_state"]
    again = regression.fit(given, options(random_state=seed))
    pd.testing.assert_frame_equal(first.front, again.front, check_exact=True)
    assert seen[0][2] == seen[1][2] == seed
    recorded = first.provenance
    assert recorded["rounds"] == 1 and recorded["threads"] == 1
    assert recorded["device"] in ("cpu", "cuda") and recorded["candidates_refined"] > 1
    assert sum(recorded["proposed"].values()) == recorded["candidates_refined"]
    assert recorded["proposed"]["linear"] >= 1 and set(first.front["origin"]) <= set(recorded["proposed"])
    assert first.status == "rounds" and torch.get_num_threads() == threads  # the caller keeps its threads


def test_callbacks_see_each_round():
    rounds = []
    regression.fit(observations(), options(max_rounds=2, callbacks=[lambda state: rounds.append(state.round)]))
    assert rounds == [1, 2]


def test_an_error_of_a_callback_is_not_swallowed():
    def faulty(state):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        regression.fit(observations(), options(callbacks=faulty))


@pytest.mark.parametrize(
    "given, error, message",
    [
        ({"noise": "gausian"}, UnknownNameError, "did you mean 'gaussian'"),
        ({"operators": ["add", "sine"]}, UnknownNameError, "did you mean"),
        ({"select": "mdll"}, UnknownNameError, "did you mean 'mdl'"),
        ({"device": "gpu"}, DeviceError, "use 'auto', 'cpu' or 'cuda'"),
    ],
)
def test_wrong_names_are_told_before_anything_is_computed(given, error, message, seen):
    with pytest.raises(error, match=message):
        regression.fit(observations(), options(**given))
    assert not seen


def test_progress_bar_counts_laws(capsys):
    regression.fit(observations(), options(progress=True))
    assert "laws" in capsys.readouterr().err


def wide(count=400, width=14, seed=0):
    """A frame of `width` columns of which "a" and "b" matter, the second only in a product with the first."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        random.uniform(-1, 1, (count, width)), columns=[f"n{i}" for i in range(width - 2)] + ["b", "a"]
    )
    return frame.assign(y=frame["a"] * frame["b"] + 0.01 * random.normal(size=count))


def test_few_columns_are_all_searched_and_many_are_screened(seen):
    few = Observations.from_frame(wide(width=10), "y")
    assert regression.fit(few, options()).names == few.names and seen[0][0].x.shape[1] == 10
    with pytest.warns(SymRegWarning, match=r"14 features .* kept .*'[ab]' \(.*left out 'n") as told:
        result = regression.fit(Observations.from_frame(wide(), "y"), options())
    assert [w.message.code for w in told] == ["SELECTED"] and told[0].message in result.warnings
    assert {"a", "b"} < set(result.names) and len(result.names) < 11
    order = [name for name in wide() if name in result.names]
    assert list(result.names) == order and seen[1][0].x.shape[1] == len(order)
    assert result.provenance["features_offered"] == 14 and result.provenance["features_searched"] == len(order)
    assert result.best.to_text() in ("a*b", "b*a")
    assert result.predict(pd.DataFrame({"b": [0.5], "a": [0.25]}))[0] == pytest.approx(0.125)  # the law's own suffice


@pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")
@pytest.mark.parametrize(
    "spoken",
    [
        {"constraints": Constraints(require=["n8"])},
        {"shape": [monotone("n8")]},
        {"guesses": ["k*n8 + a"]},
        {"template": "f(n8) + c*a*b"},
        {"template": "f(a)*b + c*n8"},
    ],
    ids=["required", "shape", "guess", "argument of a template", "outline of a template"],
)
def test_what_the_user_speaks_of_is_kept(spoken):
    assert "n8" not in regression.fit(Observations.from_frame(wide(), "y"), options()).names
    assert "n8" in regression.fit(Observations.from_frame(wide(), "y"), options(**spoken)).names


def test_many_rows_are_searched_by_some_and_judged_by_all(seen, monkeypatch):
    monkeypatch.setattr(regression, "MOST_ROWS", 50)
    monkeypatch.setattr(selection, "MOST_ROWS", 50)
    given = observations(400)
    result = regression.fit(given, options(validation=None))
    assert len(seen[0][0]) == 50 and result.provenance["rows_searched"] == 50
    best = result.best
    residual = given.y - best.predict_array(given.x)
    scale = np.sqrt(np.mean(residual**2))
    assert best.loss == pytest.approx(400 * (np.log(scale) + 0.5 * np.log(2 * np.pi) + 0.5), rel=1e-9)
    again = regression.fit(given, options(validation=None))
    assert again.front.equals(result.front)
    other = regression.fit(given, options(validation=None, random_state=8))
    assert seen[2][0].y.tolist() != seen[0][0].y.tolist() and other.best.names == best.names


def test_no_time_at_all_is_told():
    with pytest.warns(SymRegWarning, match="NO_MODEL: the 1e-09 s ended before any law was tried, so the mean stands"):
        result = sr.fit(
            pd.DataFrame({"a": np.arange(9.0), "y": np.arange(9.0) ** 2}), "y", timeout=1e-9, progress=False
        )
    assert result.status == "no_model" and result.best.names == () and result.provenance["rounds"] == 0


@pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")
@pytest.mark.parametrize(
    "decades, law, wanted",
    [((-30, 30), lambda x: 3 * x**0.1, "3*x**0.1"), ((-200, 100), np.log, "log(x)")],
    ids=["60 decades", "300 decades"],
)
def test_columns_over_many_decades(decades, law, wanted):
    x = 10 ** np.random.default_rng(0).uniform(*decades, 200)
    result = sr.fit(pd.DataFrame({"x": x, "y": law(x)}), "y", max_rounds=6, random_state=0, progress=False)
    assert str(result.best) == f"y = {wanted}"


@pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")
def test_one_value_far_from_all_others_ends_no_search():
    x = np.random.default_rng(0).normal(size=200)
    x[3] = 1e9
    result = sr.fit(pd.DataFrame({"x": x, "y": np.sin(x)}), "y", max_rounds=12, random_state=0, progress=False)
    assert np.allclose(result.predict(pd.DataFrame({"x": x}))[x < 10], np.sin(x)[x < 10])
