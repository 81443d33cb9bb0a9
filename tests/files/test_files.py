"""Files: what is written is read again, alike to the last digit; what is hostile, changed or unknown is refused."""

import copy
import json
import pickle
import re
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sympy

import sr_accessor as sr
from sr_accessor.errors import InputError, LoadError
from sr_accessor.files import envelope
from sr_accessor.files.envelope import MOST_VALUES, from_text, to_text
from sr_accessor.plugins import manager
from sr_accessor.result import FitResult

GOLDEN = Path(__file__).parent / "golden"
SEARCH = {"network": None, "timeout": 60.0, "random_state": 3, "progress": False}


def table(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    t, m = rng.uniform(0.2, 5, rows), rng.uniform(1, 2, rows)
    y = 2.5 * m * np.exp(-0.7 * t) + rng.normal(0, 0.02, rows)
    return pd.DataFrame({"t": t, "m": m, "y": y, "dy": 0.02, "n": rng.poisson(9 / t), "dt": 0.01})


def searched(**options) -> FitResult:
    return sr.fit(table(), "y", ["t", "m"], **{**SEARCH, "max_rounds": 1, **options})


def refined(formula: str = "a*m*exp(-k*t) + b", target: str = "y", **options) -> FitResult:
    return sr.refine(table(), target, formula, random_state=0, restarts=4, **options)


@pytest.fixture(scope="module")
def found() -> FitResult:
    return searched(sigma="dy", max_rounds=2)


def same(one: FitResult, other: FitResult) -> bool:
    """Whether two results look alike wherever one can look without rows."""
    pd.testing.assert_frame_equal(one.front, other.front)
    for rule in ("mdl", "knee"):
        a, b = (re.sub("seconds +=.*", "", result.select(rule).report()) for result in (one, other))
        assert a == b
    for a, b in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(a.params, b.params)
        assert (repr(a), a.to_text(), a.to("python")) == (repr(b), b.to_text(), b.to("python"))
    pd.testing.assert_frame_equal(one.best.covariance, other.best.covariance)
    for band in ("confidence", "prediction"):
        pd.testing.assert_frame_equal(*(result.predict(table(), band) for result in (one, other)))
    pd.testing.assert_frame_equal(*(result.spread(table()) for result in (one, other)))
    return True


RESULTS = {
    "a search with error bars": lambda: searched(sigma="dy"),
    "held-out rows": lambda: searched(validation=0.3, select="validation"),
    "a weight": lambda: searched(sample_weight="dy"),
    "named numbers": lambda: searched(constants={"g": 0.7}),
    "costs of operators": lambda: searched(constraints=sr.Constraints(costs={"exp": 3, "mul": 2})),
    "a known law, tied, bounded and fixed": lambda: refined(
        "a*m*exp(-k*t) + b - b/a", bounds={"k": (0, None)}, fix={"b": 0.0}
    ),
    "counts": lambda: refined("a/t", target="n", noise="poisson"),
    "outliers": lambda: refined(noise="student_t"),
    "two error bars and errors of x": lambda: refined(sigma=("dy", "dt"), sigma_x={"t": "dt"}),
    "relative errors": lambda: refined("a*m*exp(-k*t)", noise="heteroscedastic", sigma="dy"),
}


@pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")
@pytest.mark.parametrize("made", RESULTS.values(), ids=RESULTS)
def test_everything_but_the_rows_comes_back(made):
    result = made()
    for data in (False, True):
        text = result.to_json(data=data)
        loaded = sr.load(text)
        assert same(result, loaded) and loaded.to_json(data=data) == text
    pd.testing.assert_frame_equal(loaded.best.interval(), result.best.interval())
    assert loaded.provenance["data_hash"] == result.provenance["data_hash"]


def test_a_file_without_data_is_small_and_says_what_it_cannot(found):
    loaded = sr.load(found.to_json())
    assert len(found.to_json()) < 20_000 < len(found.to_json(data=True))
    for ask in (loaded.best.interval, loaded.resume, lambda: loaded.to_json(data=True)):
        with pytest.raises(InputError, match=r"needs the 48 rows that were fitted.*save\(path, data=True\)"):
            ask()


def test_the_display_of_a_file(found):
    assert sr.load(found.to_json(data=True))._repr_html_() == found._repr_html_()
    bare = sr.load(found.to_json())._repr_html_()
    assert "Pareto front" in bare and "Parity" not in bare


LABELS = ["T [K]", "λ", "N", "a b", "100%", "lambda", 3, ("u", "x"), "<b>", "$x$", "symreg"]
MORE = [
    np.int64(-4),
    0.5,
    True,
    None,
    pd.Timestamp("2026-11-21T14:00Z"),
    pd.Timedelta("90s"),
    ("u", 1, (2.5, None)),
    "",
]


def test_names_of_any_kind_come_back():
    rng = np.random.default_rng(0)
    names = [*LABELS, *MORE]
    frame = pd.DataFrame({i: rng.uniform(1, 2, 40) for i in range(len(names))})
    frame.columns = pd.Index(names, dtype=object)
    y = 2 * frame["T [K]"] * frame["<b>"] + frame[("u", "x")]
    for at, label in enumerate(names):
        columns = frame.iloc[:, [at, *(i for i in range(len(names)) if names[i] in ("a b",) and i != at)]]
        result = sr.refine(columns.assign(y=y), "y", f"k + c*`{label}`" if str(label) else "k + c*`a b`", restarts=0)
        loaded = sr.load(result.to_json())
        assert loaded.names == result.names and type(loaded.names[0]) is not np.int64
        pd.testing.assert_series_equal(loaded.predict(columns), result.predict(columns))


def test_a_label_that_no_file_can_hold_is_named():
    frame = table().rename(columns={"m": frozenset({"m"})})
    result = sr.refine(frame[["t", "y", frozenset({"m"})]], "y", "a*`frozenset({'m'})`", restarts=0)
    with pytest.raises(InputError, match=r"the label frozenset\(\{'m'\}\) \(frozenset\) cannot be written to a file"):
        result.to_json()


def test_the_same_seed_gives_the_same_bytes_but_for_the_time():
    one, other = (searched().to_json(data=True) for _ in range(2))
    assert one != other and json.loads(one)["sha256"] == json.loads(other)["sha256"]
    assert len({result.to_json(time=False) for result in (searched(), searched())}) == 1
    timeless = [re.sub(r'"seconds": [\d.e-]+', "", text, count=1) for text in (one, other)]
    assert timeless[0] == timeless[1]


# ---------------------------------------------------------------------------- writing
def test_save_and_load(found, tmp_path):
    path = tmp_path / "law.json"
    found.save(path)
    assert path.read_text(encoding="utf-8") == found.to_json() and list(tmp_path.iterdir()) == [path]
    assert same(found, sr.load(path)) and same(found, sr.load(str(path)))
    stamp = path.stat().st_mtime_ns
    found.save(path, if_changed=True)
    assert path.stat().st_mtime_ns == stamp
    found.save(path)
    assert path.stat().st_mtime_ns > stamp
    with pytest.raises(FileNotFoundError):
        sr.load(tmp_path / "other.json")


def test_a_write_that_fails_leaves_the_old_file(found, tmp_path, monkeypatch):
    path = tmp_path / "law.json"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        found.save(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("carried", [lambda r: pickle.loads(pickle.dumps(r)), copy.copy, copy.deepcopy])
def test_copies_go_through_the_file_and_keep_the_data(found, carried):
    for result in (found, sr.load(found.to_json())):
        twin = carried(result)
        assert same(result, twin)
    pd.testing.assert_frame_equal(carried(found).best.interval(), found.best.interval())
    law = carried(found.best)
    assert repr(law) == repr(found.best) and law.origin == found.best.origin and law.loss == found.best.loss
    pd.testing.assert_frame_equal(law.interval(), found.best.interval())
    pd.testing.assert_frame_equal(carried(found[0]).params, found[0].params)


def test_a_law_without_numbers_comes_back_alone():
    frame = pd.DataFrame({"x": np.linspace(1, 2, 20)}).assign(y=lambda f: f["x"] ** 2)
    law = frame.symreg.fit("y", network=None, operators=["mul", "square"], max_rounds=1, random_state=0).best
    assert law.params.empty
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(law)).predict(frame), law.predict(frame))


def test_no_code_is_in_a_pickle(found):
    names = re.findall(rb"[a-z_]+\.[a-z_]+", pickle.dumps(found, protocol=0))
    assert not any(name.startswith((b"torch.", b"numpy.", b"collections.")) for name in names)


def test_joblib(found, tmp_path):
    joblib.dump(found, tmp_path / "law.joblib")
    assert same(found, joblib.load(tmp_path / "law.joblib"))


# ---------------------------------------------------------------------------- going on
def test_one_round_and_two_more_are_three():
    asked = {
        "guesses": ["a*t + b"], "operators": ["-tan", "-cosh"], "constants": {"g": 9.81}, "units": {"t": "s"},
        "constraints": sr.Constraints(max_complexity=12, forbid=["sin"]), "shape": sr.monotone("t", "decreasing"),
    }  # fmt: skip
    whole, half = (searched(max_rounds=rounds, **asked) for rounds in (3, 1))
    for paused in (half, sr.load(half.to_json(data=True)), pickle.loads(pickle.dumps(half))):
        more = paused.resume(table(), timeout=60.0, max_rounds=2)
        assert more.status == "rounds" and same(more, whole)
        assert more.provenance["proposed"] == whole.provenance["proposed"]
    assert half.provenance["rounds"] == 1


def test_data_that_changed_are_named(found):
    changed = table()
    changed.loc[[3, 7], "t"] += 1e-9
    with pytest.raises(InputError, match="the data changed since the fit: 't' in 2 rows; fit again"):
        found.resume(changed)
    with pytest.raises(InputError, match="the table has 20 rows now; the fit read row"):
        found.resume(table()[:20])


def test_a_known_law_has_no_search_to_go_on_with():
    with pytest.raises(InputError, match="holds no search that could go on; fit again, with its laws as guesses="):
        refined().resume()


def test_a_checkpoint_is_there_after_the_first_round_and_goes_on(tmp_path):
    path, seen = tmp_path / "law.json", []

    def look(state):
        seen.append(sr.load(path))

    last = searched(checkpoint=path, callbacks=[look], max_rounds=2)
    assert [(part.status, part.provenance["rounds"]) for part in seen] == [("interrupted", 1)] * 2  # within 5 s
    assert sr.load(path).to_json(data=True) == last.to_json(data=True)
    assert same(seen[0].resume(timeout=60.0, max_rounds=1), last) and list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------------------- refusing
def written(result: FitResult, change) -> str:
    """The text of a result's document after a change, with a checksum that agrees."""
    body, times = from_text(result.to_json(data=True))
    change(body)
    return to_text(body, times)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


HOSTILE = {
    "nothing": "{",
    "no JSON": "{'a': __import__('os').system('true')}",
    "another format": '{"format": "pysr", "schema": 1}',
    "a list": "{} []",
    "no number": '{"format": "sr_accessor result", "schema": NaN}',
    "infinity": '{"format": "sr_accessor result", "x": -Infinity}',
    "deep lists": '{"a": ' + nested(100_000) + "}",
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "a little too deep": '{"a": ' + nested(50) + "}",
    "a million nodes": '{"prefix": [' + '"add",' * 1_000_000 + '"?"]}',
    "many nodes": '{"prefix": [' + '"add",' * (MOST_VALUES - 10) + '"?"]}',
    "a huge integer": '{"format": "sr_accessor result", "schema": ' + "9" * 1_000_000 + "}",
    "a long text": '{"format": "' + "x" * 20_000_000 + '"}',
    "a key twice": '{"format": "sr_accessor result", "format": "sr_accessor result"}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_refused_at_once(text, tmp_path):
    began = time.process_time()
    with pytest.raises(LoadError) as error:
        sr.load(text)
    assert time.process_time() - began < 1.0 and len(str(error.value)) < 400
    (tmp_path / "law.json").write_text(text)
    with pytest.raises(LoadError):
        sr.load(tmp_path / "law.json")


def test_a_law_of_a_million_nodes_is_refused_even_if_it_fits(found, monkeypatch):
    monkeypatch.setattr(envelope, "MOST_VALUES", 10**8)
    text = written(found, lambda body: body["laws"][0].update(prefix=["neg"] * 1_000_000 + ["$0"], numbers=[]))
    began = time.process_time()
    with pytest.raises(LoadError, match="a law of 1000001 symbols; 1000 are the most"):
        sr.load(text)
    assert time.process_time() - began < 3.0  # of which the checksum of a million nodes, now allowed, takes most


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "law.json").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(LoadError, match="is no text"):
        sr.load(tmp_path / "law.json")


def test_a_file_that_was_changed_is_refused(found):
    text = found.to_json()
    for old, new in (('"rule": "mdl"', '"rule": "bic"'), ('"$0"', '"$1"')):
        assert old in text
        with pytest.raises(LoadError, match="was changed after it was written"):
            sr.load(text.replace(old, new, 1))
    with pytest.raises(LoadError, match="has schema 2, and this version reads 1 to 1; update sr-accessor"):
        sr.load(text.replace('"schema": 1', '"schema": 2'))


REFUSED = {
    "a law holds .__import__": lambda b: b["laws"][0].update(prefix=["__import__('os')"], numbers=[]),
    "'\\$7', which": lambda b: b["laws"][0].update(prefix=["$7"], numbers=[]),
    "not one complete expression": lambda b: b["laws"][0].update(prefix=["add", "$0"], numbers=[]),
    "has 3 numbers": lambda b: b["laws"][0].update(prefix=["?"], numbers=[1, 2, 3]),
    "operator 'add' takes 2 arguments, and in the file 1": lambda b: b["operators"][0].update(arity=1),
    "install 'sr-lab 1.2'": lambda b: b["operators"][0].update(name="erfcx", plugin="lab", distribution="sr-lab 1.2"),
    "the operator 'erfcx' of builtin; update sr-accessor": lambda b: b["operators"][0].update(name="erfcx"),
    "the noise model 'cauchy' of a notebook": lambda b: b["noise"].update(name="cauchy", plugin="notebook"),
    "no setting 'evil'": lambda b: b["noise"]["settings"].update(evil=1),
    "0 laws; a file holds 1 to": lambda b: b.update(laws=[]),
    "rows that are no base64": lambda b: b["data"]["rows"]["y"].update(base64="!"),
    "the rows have SHA-256": lambda b: b["data"].update(sha256="0" * 64),
    "a label of the kind 'eval'": lambda b: b["data"].update(target={"eval": "1"}),
    "is also an operator here": lambda b: b["constants"].update(pi=3.0),
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_document_that_cannot_be_is_refused_in_words(found, words):
    with pytest.raises(LoadError, match=words):
        sr.load(written(found, REFUSED[words]))


def test_an_operator_that_is_not_here_is_named(monkeypatch):
    before = manager.catalogue()
    monkeypatch.setattr(manager, "_catalogue", before)
    sr.register_operator("bump", torch=lambda u: (-u * u).exp(), sympy=lambda u: sympy.exp(-(u**2)))
    text = refined("a*bump(t) + b").to_json()
    assert "bump" in sr.load(text).to_text()
    monkeypatch.setattr(manager, "_catalogue", before)
    with pytest.raises(LoadError, match="needs the operator 'bump' of a notebook; register it there before loading"):
        sr.load(text)


def leaves(value, path=()):
    """Every place in a document."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(min(len(value), 2)):
            yield from leaves(value[key], (*path, key))


WRONG = (None, True, -1, 10**20, 1.5, "x", "__import__('os')", [], [[]], {}, {"tuple": 3}, {"x": {}})


def refused(document, read):
    """How many wrong values in a document `read` refuses with a LoadError, and at how many places."""
    paths, count = [path for path in leaves(document) if path], 0
    for i, path in enumerate(paths):
        for wrong in (WRONG[i % len(WRONG)], WRONG[(5 * i + 3) % len(WRONG)], ...):
            twin = copy.deepcopy(document)
            inside = twin
            for key in path[:-1]:
                inside = inside[key]
            if wrong is ...:
                del inside[path[-1]]
            else:
                inside[path[-1]] = wrong
            try:
                read(twin)
            except LoadError:
                count += 1
    return count, len(paths)


def test_whatever_is_wrong_raises_load_error_and_nothing_else(found, monkeypatch):
    monkeypatch.setattr(envelope, "_checksum", lambda document: "agreed")
    document = json.loads(found.to_json(data=True))
    provenance = document.pop("provenance")
    count, places = refused(document, lambda twin: FitResult.from_json(json.dumps(twin | {"provenance": provenance})))
    assert count > 1.5 * places > 300


# ---------------------------------------------------------------------------- old files
@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.name)
def test_every_released_schema_is_still_read(path):
    result = sr.load(path)
    assert result.names == ("t", ("u", 1)) and result.target == "y [m]" and result.rule == "mdl"
    assert result.to_text("error") == "2.5*(`('u', 1)`*exp(-0.7*t))"
    frame = pd.DataFrame({"t": [0.0, 1.0], ("u", 1): [1.5, 2.0]})
    frame.columns = pd.Index(["t", ("u", 1)], tupleize_cols=False)
    with pytest.warns(sr.errors.SymRegWarning, match="EXTRAPOLATION"):
        band = result.predict(frame, "prediction")
    np.testing.assert_allclose(band["mean"], 2.5 * frame[[("u", 1)]].iloc[:, 0] * np.exp(-0.7 * frame["t"]), rtol=0.02)
    assert "reduced" not in result.report() and (band["lower"] < band["mean"]).all()


def test_each_schema_has_a_golden_file_and_a_way_to_the_next():
    kept = {json.loads(path.read_text(encoding="utf-8"))["schema"] for path in GOLDEN.glob("*.json")}
    assert kept == set(range(1, envelope.SCHEMA + 1)) and set(envelope.MIGRATIONS) == set(range(1, envelope.SCHEMA))
