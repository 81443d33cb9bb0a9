"""Files of fits of groups: read again alike, the same bytes each time; what is hostile or changed is refused."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from test_files import refused

import sr_accessor as sr
from sr_accessor.errors import InputError, LoadError
from sr_accessor.files import envelope
from sr_accessor.groups.result import GroupedResult

GOLDEN = Path(__file__).parent / "golden" / "groups" / "schema_1.json"
QUICK = {"network": None, "validation": None, "max_rounds": 1, "timeout": 60.0, "random_state": 0, "progress": False}
LAW = "a*exp(-k*t)"


def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    t = np.tile(np.linspace(0.1, 3, 10), 4)
    runs = np.repeat(["a", "b", "c", "few"], 10)
    frame = pd.DataFrame({"run": runs, "day": np.repeat([1, 2, 1, 2], 10), "t": t, "s": 0.01})
    frame["y"] = frame["run"].map({"a": 1.0, "b": 2.5, "c": 4.0, "few": 1.0}) * np.exp(-0.8 * t)
    frame["y"] += 0.01 * rng.normal(size=40)
    return frame[:32].drop(index=31)  # one row of the last group


def cube() -> xr.Dataset:
    values = table()["y"][:30].to_numpy().reshape(3, 10).copy()
    values[1] = np.nan
    days = pd.date_range("2026-11-20", periods=3)
    return xr.Dataset({"y": (("day", "t"), values)}, {"t": np.linspace(0.1, 3, 10), "day": days})


def refined(**given) -> GroupedResult:
    return sr.refine(table(), "y", LAW, random_state=0, restarts=2, **{"by": "run", "sigma": "s"} | given)


RESULTS = {
    "a known law, a common constant": lambda: (refined(shared=True), table()),
    "two labels, a fixed and a tied constant": lambda: (
        sr.refine(table(), "y", "a*exp(-k*t) + b*a", fix={"b": 0.0}, by=["day", "run"], restarts=2, random_state=0),
        table(),
    ),
    "a search": lambda: (sr.fit(table(), "y", ["t"], by="run", **QUICK), table()),
    "independent searches": lambda: (sr.fit(table(), "y", ["t"], by="run", shared=False, **QUICK), table()),
    "a cube": lambda: (cube().symreg.refine("y", LAW, over="day", random_state=0, restarts=2), cube()),
}


@pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")
@pytest.mark.parametrize("made", RESULTS.values(), ids=RESULTS)
def test_everything_comes_back(made):
    result, rows = made()
    text = result.to_json()
    for loaded in (sr.load(text), pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert loaded.to_json() == text and loaded.shared == result.shared and list(loaded) == list(result)
        assert loaded.report() == result.report() and loaded._repr_html_() == result._repr_html_()
        assert loaded.provenance == result.provenance and list(map(str, loaded.warnings)) == list(
            map(str, result.warnings)
        )
        pd.testing.assert_frame_equal(loaded.params, result.params)
        pd.testing.assert_series_equal(loaded.status, result.status, check_freq=False)
        for key in result:
            assert loaded[key].to_text("error") == result[key].to_text("error")
        assert loaded.predict(rows).equals(result.predict(rows))
        if result.shared:
            xr.testing.assert_identical(loaded.to_dataset(), result.to_dataset())
        else:
            assert loaded.results["a"].resume(max_rounds=1).status


@pytest.mark.parametrize(
    "keys",
    [
        lambda f: pd.cut(f["t"], 3),
        lambda f: pd.cut(pd.to_datetime(f["day"], unit="D"), 2),
        lambda f: pd.period_range("2026-11", periods=2, freq="M")[f["day"] - 1],
        lambda f: pd.Timestamp("2026-11-21", tz="UTC") + pd.to_timedelta(f["day"], unit="D"),
        lambda f: f["day"] == 1,
        lambda f: f["day"] / 2,
    ],
    ids=["intervals", "intervals of time", "periods", "times", "truths", "numbers"],
)
def test_keys_of_any_kind_come_back(keys):
    frame = table().assign(key=keys)
    result = frame.symreg.refine("y", LAW, by="key", random_state=0, restarts=2)
    loaded = pickle.loads(pickle.dumps(result))
    assert list(loaded) == list(result) and loaded.to_json() == result.to_json()
    pd.testing.assert_series_equal(loaded.predict(frame), result.predict(frame))
    assert result.predict(frame).notna().all()


def test_equal_fits_give_equal_bytes(tmp_path):
    with pytest.warns(sr.errors.SymRegWarning, match="FEW_ROWS"):
        one, other = refined(), refined()
    assert one.to_json(time=False) == other.to_json(time=False)
    path = tmp_path / "groups.json"
    one.save(path, time=False)
    stamp = path.stat().st_mtime_ns
    other.save(path, time=False, if_changed=True)
    assert path.stat().st_mtime_ns == stamp and list(tmp_path.iterdir()) == [path]
    assert sr.load(path).to_dict()["groups"]["by"] == ["run"]


def test_too_many_independent_laws_are_told_when_written(monkeypatch):
    with pytest.warns(sr.errors.SymRegWarning, match="FEW_ROWS"):
        result = sr.fit(table(), "y", ["t"], by="run", shared=False, **QUICK)
    monkeypatch.setattr(envelope, "MOST_VALUES", 1000)
    with pytest.raises(InputError, match=r"4 groups with laws of their own .* result.results\[group\].save\(path\)"):
        result.to_json()


def test_every_released_schema_is_still_read():
    result = sr.load(GOLDEN)
    assert result.by == ("run",) and list(result) == ["a", "b", "c"] and result.status["few"] == "too_few_rows"
    assert result.equation == "a*exp(-k*t)" and result.common == ["k"]
    np.testing.assert_allclose(result.params["value"].unstack()["a"], [1, 2.5, 4], rtol=0.02)
    np.testing.assert_allclose(result.params["value"].unstack()["k"], 0.8, rtol=0.02)
    law = result["b"]
    np.testing.assert_allclose(law.predict(table()[10:20]), table()["y"][10:20], atol=0.04)
    assert 0 < law.params.loc["k", "stderr"] < 0.01


# ---------------------------------------------------------------------- refusing
REFUSED = {
    "lie along nothing": lambda b: b["groups"].update(by=[]),
    "two of one name": lambda b: b["groups"].update(keys=["a", "a", "c", "few"]),
    "3 words about 4 groups": lambda b: b["groups"].update(status=["ok"] * 3),
    "nothing that can be said of a group": lambda b: b["groups"].update(status=["fine"] * 4),
    "rows are of groups that it does not name": lambda b: b["groups"].update(code=None),
    "rows of type": lambda b: b["groups"]["each"]["root"].update(shape=[4, 3, 3]),
    "lack 'loss'": lambda b: b["groups"]["each"].update(loss=None),
    "2 forms, and groups share one": lambda b: b.update(
        laws=b["laws"] * 2, loss=[None] * 2, bits=[None] * 2, origins=["groups"] * 2, parameters=None
    ),
    "3 constants may be common": lambda b: b["groups"].update(common=[True] * 3),
    "laws are not those of its groups": lambda b: b["groups"].update(laws=[]),
    "a label of the kind 'eval'": lambda b: b["groups"].update(keys=[{"eval": "1"}, "b", "c", "few"]),
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_document_that_cannot_be_is_refused_in_words(words):
    body, times = envelope.from_text(GOLDEN.read_text(encoding="utf-8"))
    REFUSED[words](body)
    with pytest.raises(LoadError, match=words):
        sr.load(envelope.to_text(body, times))


def test_whatever_is_wrong_raises_load_error_and_nothing_else(monkeypatch):
    monkeypatch.setattr(envelope, "_checksum", lambda document: "agreed")
    whole = json.loads(GOLDEN.read_text(encoding="utf-8")) | {"sha256": "agreed"}
    count, places = refused(whole["groups"], lambda twin: sr.load(json.dumps(whole | {"groups": twin})))
    assert count > 1.5 * places > 60
