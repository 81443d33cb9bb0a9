"""What was promised of the whole, by number: where each promise is tested; here are the tests that fit nowhere else."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.mathtext import MathTextParser

import sr_accessor as sr

ROOT = Path(__file__).parents[1]
#: Number: the promise, and the tests that hold it, "file.py::name" below tests/.
PROMISES = {
    1: ("the import loads nothing heavy", ["test_acceptance.py::test_import_loads_nothing_heavy"]),
    2: ("no method changes the user's data", ["test_unchanged.py::test_frames", "test_unchanged.py::test_cubes",
        "test_unchanged.py::test_dask_frames", "test_unchanged.py::test_estimators"]),
    3: ("labels of any kind", ["test_acceptance.py::test_labels_of_any_kind"]),
    4: ("a prediction is a column", ["test_acceptance.py::test_a_result_is_a_column_like_any_other"]),
    5: ("exporters agree with the evaluator to 1e-9 on 1,000 rows", ["exports/test_exports.py::"
        "test_the_export_is_the_evaluator", "exports/test_exports.py::test_other_languages_where_they_are"]),
    6: ("pulls of constants and coverage of bands", ["evaluation/test_coverage.py::test_pulls_and_bands"]),
    7: ("sigma doubled doubles absolute errors only",
        ["test_known_law.py::test_doubled_sigma_doubles_only_absolute_errors"]),
    8: ("a weight of 2 is the row twice", ["test_known_law.py::test_weight_two_is_the_row_twice",
        "frontends/test_sklearn_estimator.py::test_weight_two_is_a_row_twice_and_weight_none_is_no_row"]),
    9: ("interrupt, Stop and timeout keep what was found", ["notebooks/test_kernel.py::test_stopping",
        "test_handle.py::test_stop_gives_the_best_so_far_soon",
        "test_handle.py::test_no_round_goes_on_long_after_the_timeout"]),
    10: ("a saved notebook shows the result without widgets", ["notebooks/test_jupyterlab.py::test_a_session"]),
    11: ("bad plugins are named and the others work", ["plugins/test_hooks.py::"
        "test_four_bad_plugins_are_named_and_the_fit_runs"]),
    12: ("the same seed gives the same bytes but for the time",
         ["files/test_files.py::test_the_same_seed_gives_the_same_bytes_but_for_the_time"]),
    13: ("hostile files are refused within a second", ["files/test_files.py::test_hostile_text_is_refused_at_once",
         "files/test_files.py::test_a_law_of_a_million_nodes_is_refused_even_if_it_fits"]),
    14: ("a fit makes no file", ["test_acceptance.py::test_no_file_appears"]),
    15: ("xarray: layout of curvefit, netCDF, lazy predictions, cells without data",
         ["frontends/test_xarray_over.py::test_the_result_has_the_layout_of_curvefit",
          "frontends/test_xarray_over.py::test_netcdf_round_trip",
          "frontends/test_xarray_over.py::test_predictions_broadcast_and_are_lazy_on_dask",
          "frontends/test_xarray_over.py::test_missing_values_and_cells_without_a_law"]),
    16: ("units from everywhere are the same; strict refuses a wrong one",
         ["test_units_of_tables.py::test_all_sources_tell_the_same_units_and_numbers",
          "test_units_in_a_fit.py::test_strict_refuses_a_planted_wrong_unit"]),
    17: ("2,000 groups in one batch, 20 times faster than one by one",
         ["test_acceptance.py::test_two_thousand_groups_at_once"]),
    18: ("scikit-learn's own checks", ["frontends/test_sklearn_estimator.py::test_scikit_learns_own_checks"]),
}  # fmt: skip
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


@pytest.mark.parametrize("number", PROMISES)
def test_every_promise_has_its_tests(number):
    for place in PROMISES[number][1]:
        path, _, name = place.partition("::")
        tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, place


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


def test_two_thousand_groups_at_once():
    count, rows, alone = 2000, 20, 10
    random = np.random.default_rng(0)
    run, t = np.repeat(np.arange(count), rows), random.uniform(0, 5, count * rows)
    a, k = random.uniform(1, 4, count), random.uniform(0.3, 1.3, count)
    y = a[run] * np.exp(-k[run] * t) + 0.01 * random.normal(size=count * rows)
    frame = pd.DataFrame({"run": run, "t": t, "y": y})
    known = {"start": {"a": 1, "k": 1}, "restarts": 0, "random_state": 0}
    began = time.process_time()
    together = frame.symreg.refine("y", "a*exp(-k*t)", by="run", **known)
    at_once = time.process_time() - began
    singles, began = [group for _, group in frame[frame["run"] < alone].groupby("run")], time.process_time()
    apart = [group.symreg.refine("y", "a*exp(-k*t)", **known).best.params["value"] for group in singles]
    one_by_one = (time.process_time() - began) * count / alone
    assert (together.status == "ok").all() and one_by_one > 20 * at_once
    np.testing.assert_allclose(together.params["value"].unstack()[:alone], apart, rtol=1e-6)
