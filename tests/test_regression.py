"""The recipe: what it hands the search, what it records, and that the held-out rows are kept out."""

import numpy as np
import pandas as pd
import pytest
import torch

from sr_accessor import regression
from sr_accessor.errors import DeviceError, UnknownNameError
from sr_accessor.observations import Observations
from sr_accessor.options import FitOptions


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
    assert weight[:59].tolist() == pytest.approx([4.0] * 59) and float(weight[59]) < 1e-300


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
