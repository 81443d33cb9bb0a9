"""What was promised of the whole: nothing heavy at import, tables and folders left alone, labels of any kind.

Other promises stand where they belong: exporters in exports/test_exports.py, weights and scikit-learn's own checks in
frontends/test_sklearn_estimator.py, equal bytes and hostile files in files/test_files.py.
"""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.mathtext import MathTextParser

import sr_accessor as sr

ROOT = Path(__file__).parents[1]
LABELS = ["T [K]", "λ", "N", "a b", "100%", "lambda", 3, ("u", "x"), "<b>", "$x$", "symreg"]
QUICK = {"network": None, "validation": None, "max_rounds": 1, "timeout": 60.0, "random_state": 0, "progress": False}


def table(labels=LABELS, rows=60):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.uniform(1, 3, (rows, len(labels))))
    frame.columns = pd.Index(labels, tupleize_cols=False)
    y = 2.0 * frame.iloc[:, 0] * frame.iloc[:, -1] / frame.iloc[:, 1]
    frame.index = pd.Index(random.permutation(rows), name="row")
    frame.attrs = {"source": {"lab": 3}}
    return frame.assign(y=y.to_numpy() * random.normal(1, 1e-3, rows))


def test_import_loads_nothing_heavy():
    code = "import sr_accessor, sys; print([n for n in sys.argv[1:] if n in sys.modules])"
    heavy = ("torch", "sklearn", "sympy", "ipywidgets", "matplotlib", "onnx", "dask")
    run = [sys.executable, "-X", "importtime", "-c", code, *heavy]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.stdout == "[]\n" and "sr_accessor.frontends.functions" in done.stderr


@pytest.fixture(scope="module")
def fitted():
    frame = table()
    with pytest.warns(sr.errors.SymRegWarning, match="SELECTED: 11 features are more than a law is searched in"):
        return frame, frame.symreg.fit("y", **QUICK)


def test_labels_of_any_kind(fitted):
    frame, result = fitted
    assert set(result.names) < set(LABELS) and {"T [K]", "λ", "symreg", 3} <= set(result.names)
    other = frame[frame.columns[::-1]].sample(frac=1, random_state=1).assign(more="text")
    for law in result:
        found = law.predict(other)
        assert found.name == "y" and found.index.equals(other.index)
        MathTextParser("path").parse(f"${law.to_latex()}$")
    every = frame.symreg.refine("y", " + ".join(f"c{i}*`{label}`" for i, label in enumerate(LABELS)), restarts=0)
    MathTextParser("path").parse(f"${every.to_latex()}$")
    page = every._repr_html_()
    assert page.count("<b>") == page.count("</b>") and "&lt;b&gt;" in page  # the label is no tag
    for one in (result, every):
        again = sr.load(one.to_json())
        assert list(again.names) == list(one.names) and again.to_latex() == one.to_latex()
        pd.testing.assert_series_equal(again.predict(other), one.predict(other))


def test_a_result_is_a_column_like_any_other(fitted):
    frame, result = fitted
    shuffled = frame.sample(frac=1, random_state=2).assign(extra=1.0)
    made = shuffled.assign(p=result.predict, r=result.residuals)
    pd.testing.assert_series_equal(made["p"], result.best.predict(shuffled), check_names=False)
    assert made.index.equals(shuffled.index) and made.index.name == "row"
    np.testing.assert_allclose(made["r"], shuffled["y"] - made["p"], atol=1e-12)


def test_no_method_changes_the_table(fitted, tmp_path):
    frame, result = fitted
    before, columns, index = frame.copy(deep=True), frame.columns, frame.index
    before.attrs, flags = copy.deepcopy(frame.attrs), frame.flags.allows_duplicate_labels
    for act in (
        lambda: frame.symreg.fit("y", ["T [K]", "λ"], sample_weight=np.ones(60), **QUICK),
        lambda: frame.symreg.refine("y", "a*`T [K]` + b", restarts=0),
        lambda: frame.symreg.predict(result),
        lambda: result.predict(frame, "prediction"),
        lambda: result.residuals(frame),
        lambda: result.spread(frame),
        lambda: result.resume(frame, max_rounds=1),
        lambda: result.save(tmp_path / "law.json", data=True),
    ):
        act()
        assert frame.columns is columns and frame.index is index and frame.attrs == before.attrs
        assert frame.flags.allows_duplicate_labels == flags
        pd.testing.assert_frame_equal(frame, before)


def test_no_file_appears(tmp_path):
    code = (
        "import numpy as np, pandas as pd, sr_accessor as sr\n"
        "x = np.linspace(1, 2, 40)\n"
        "r = sr.fit(pd.DataFrame({'x': x, 'y': 3 * x**2}), 'y', max_rounds=2, random_state=0, timeout=60)\n"
        "r.report(), r._repr_html_(), r.best.to('python'), r.predict(pd.DataFrame({'x': x})), r.to_json()\n"
    )
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir(), work.mkdir()
    environment = os.environ | {
        "HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(work), "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(home / ".cache"), "MPLCONFIGDIR": str(tmp_path / "matplotlib"), "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=work, env=environment, capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*")) and not list(work.rglob("*"))
