"""Every exporter says what the evaluator says, to 1e-9, wherever a tool to run it is at hand."""

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
import sympy
import torch
from click.testing import CliRunner

from sr_accessor.errors import ColumnError, InputError, MissingDependencyError, OperatorError
from sr_accessor.evaluation.exports import LANGUAGES, LAWS, NAMES, WAYS, exports, module, random_rows, run_by, truth
from sr_accessor.exports import c, excel, fortran, jax, julia, latex, lmfit, matlab, numpy, pandas_eval, python, sql
from sr_accessor.exports import onnx as onnx_exporter
from sr_accessor.exports import torch as torch_exporter
from sr_accessor.exports.code import identifiers
from sr_accessor.exports.exporter import Exporter, Formula
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse, parse_model
from sr_accessor.expressions.vocabulary import Vocabulary

VOCABULARY = Vocabulary(ELEMENTARY)
MODEL = "A*exp(-k*x) + B*lambda"


@pytest.fixture(scope="module")
def rows():
    return random_rows()


def formula_of(text, vocabulary=VOCABULARY):
    return Formula(parse(text, vocabulary, NAMES), NAMES, "y")


def test_the_laws_hold_every_operator():
    held = {
        VOCABULARY.operator(c).name
        for law in LAWS
        for c in formula_of(law).expression.codes[0].tolist()
        if 8 <= c < 256
    }
    assert held == {o.name for o in ELEMENTARY}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("law", LAWS)
def test_the_export_is_the_evaluator(law, way, rows, tmp_path):
    formula = formula_of(law)
    wanted = truth(formula, rows)
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(np.broadcast_to(WAYS[way](formula, rows, tmp_path), wanted.shape), wanted, rtol=1e-9)


# ---------------------------------------------------------------------- other languages, all laws in one program
@pytest.mark.parametrize("language", [name for name, language in LANGUAGES.items() if language.here])
def test_other_languages_where_they_are(language, rows, tmp_path):
    formulas = [formula_of(law) for law in LAWS]
    values = run_by(LANGUAGES[language], formulas, rows, tmp_path)
    wanted = np.column_stack([np.broadcast_to(truth(formula, rows), len(rows)) for formula in formulas])
    np.testing.assert_allclose(values, wanted, rtol=1e-9)


# ---------------------------------------------------------------------- texts
def test_texts():
    formula = formula_of("-x**2/(lambda + 1.5e-7) - sin(`T [K]`)")
    assert python.EXPORTER(formula) == (
        "import math\n\n\n# 'y' as found by sr_accessor\n# T_K: 'T [K]'\n# lambda_2: 'lambda'\n"
        "def law(x, T_K, lambda_2):\n    return (-math.pow(x, 2))/(lambda_2 + 1.5e-07) - math.sin(T_K)\n"
    )
    assert "(-x.^2)./(lambda_2 + 1.5e-07) - sin(T_K)" in matlab.EXPORTER(formula).replace("(x.^2)", "x.^2")
    assert excel.EXPORTER(formula) == "=(-POWER(A2, 2))/(C2 + 1.5E-07) - SIN(B2)"
    cells = {"x": "$D$7", "T [K]": "AA1", "lambda": "Z9"}
    assert excel.EXPORTER(formula, cells=cells) == "=(-POWER($D$7, 2))/(Z9 + 1.5E-07) - SIN(AA1)"
    assert "1.5d-07" in fortran.EXPORTER(formula)
    assert sql.EXPORTER(formula).endswith('SIN(CAST("T [K]" AS DOUBLE PRECISION))')
    assert latex.EXPORTER(formula).startswith("y = ")
    assert julia.EXPORTER(formula).endswith("return @. (-(x^2))/(lambda_2 + 1.5e-07) - sin(T_K)\nend\n")
    assert "def law():" in python.EXPORTER(formula_of("3.25")) and "law(void)" in c.EXPORTER(formula_of("3.25"))


def test_names_are_plain_and_never_alike():
    labels = ["λ", "lambda", "a b", "a_b", "A b", "100%", "", 3, ("u", "x"), "sin", "T [K]", "été", "\u200b"]
    names = identifiers(labels)
    assert len({n.lower() for n in names}) == len(labels) and all(re.fullmatch(r"[A-Za-z]\w*", n, re.A) for n in names)
    assert names[2] == "a_b" and names[8] == "u_x" and names[11] == "ete" and names[9] == "sin_2"


def test_hostile_labels_stay_inside_comments_and_quotes(tmp_path):
    label = 'a"""\n*/ import os; `\\u0041'
    formula = Formula(parse("x0 + 1", VOCABULARY, ["x0"]), (label,), "y\n1/0")
    assert module(python.EXPORTER(formula), tmp_path).law(1.0) == 2.0
    assert sql.EXPORTER(formula).count('""') == 3
    with pytest.raises(InputError, match=r"cannot stand in DataFrame\.eval; rename it"):
        pandas_eval.EXPORTER(formula)
    with pytest.raises(InputError, match="column 3 cannot stand"):
        pandas_eval.EXPORTER(Formula(formula.expression, (3,), "y"))


def test_long_fortran_lines_are_broken(rows):
    formula = formula_of(" + ".join(f"{i}.123456789*x" for i in range(1, 60)))
    assert max(map(len, fortran.EXPORTER(formula).splitlines())) <= 132


# ---------------------------------------------------------------------- operators of others
def bump(**more):
    return Operator("bump", 1, lambda u: torch.exp(-u * u), lambda u: sympy.exp(-(u**2)), **more)


def test_an_operator_without_a_printer_is_an_error_there_only(rows):
    vocabulary = VOCABULARY.extended([bump(printers={"numpy": "np.exp(-np.square({0}))"})])
    formula = formula_of("2*bump(x - 1)", vocabulary)
    assert "np.exp(-np.square((x - 1.0)))" in numpy.EXPORTER(formula).replace(
        "np.square(x - 1.0)", "np.square((x - 1.0))"
    )
    with pytest.raises(
        OperatorError, match=r"'bump' cannot be written in 'excel'.*printers=\{'excel': '\.\.\.\(\{0\}\)'\}"
    ):
        excel.EXPORTER(formula)


def test_a_definition_is_written_where_there_is_no_printer(rows, tmp_path):
    vocabulary = VOCABULARY.extended([bump(definition="exp(-u**2)")])
    formula = formula_of("2*bump(x - 1)", vocabulary)
    for way in ("python", "numpy", "sqlite", "pandas"):
        np.testing.assert_allclose(WAYS[way](formula, rows, tmp_path), truth(formula, rows), rtol=1e-12)


# ---------------------------------------------------------------------- bad input
def test_bad_input(monkeypatch):
    formula = formula_of("x + lambda")
    with pytest.raises(ColumnError, match="no cell for column 'lambda'"):
        excel.EXPORTER(formula, cells={"x": "A2"})
    with pytest.raises(InputError, match="'x': 'A2;B2' is no cell"):
        excel.EXPORTER(formula, cells={"x": "A2;B2", "lambda": "C1"})
    two = formula.expression[[0, 0]]
    with pytest.raises(InputError, match="one law, not 2"):
        Formula(two, NAMES)
    with pytest.raises(TypeError, match="must be an identifier"):
        Exporter("my law", str)
    monkeypatch.setitem(__import__("sys").modules, "lmfit", None)
    with pytest.raises(MissingDependencyError, match="pip install lmfit"):
        lmfit.EXPORTER(formula)


def test_lmfit_holds_values_and_errors():
    parsed = parse_model(MODEL, VOCABULARY, NAMES, {"A": 2.0, "k": 0.5, "B": 1.5})
    formula = Formula(parsed.expressions, NAMES, "y", stderr=(0.1, math.nan, 0.3))
    model, parameters = lmfit.EXPORTER(formula)
    assert model.independent_vars == ["x", "lambda_2"]
    assert [parameters[n].value for n in ("c0", "c1", "c2")] == [2.0, 0.5, 1.5]
    assert [parameters[n].stderr for n in ("c0", "c1", "c2")] == [0.1, None, 0.3]
    x = np.linspace(0.1, 3, 40)
    y = 3 * np.exp(-0.7 * x) + 0.2 * x
    fitted = model.fit(y, parameters, x=x, lambda_2=x)
    assert fitted.params["c1"].value == pytest.approx(0.7, abs=1e-6)


def test_every_language_knows_every_operator():
    languages = [
        e.LANGUAGE.name
        for e in (python, numpy, torch_exporter, jax, pandas_eval, excel, c, julia, matlab, fortran, sql)
    ]
    lacking = [
        (operator.name, language)
        for operator, language in itertools.product(ELEMENTARY, languages)
        if not (operator.infix or language in operator.printers)
    ]
    assert not lacking


# ---------------------------------------------------------------------- ONNX
def test_onnx_is_checked_named_and_the_same_bytes_each_time(rows, tmp_path):
    formula = formula_of("2*exp(-`T [K]`) + lambda")
    written = onnx_exporter.EXPORTER(formula)
    assert written == onnx_exporter.EXPORTER(formula)
    import onnx

    model = onnx.load_from_string(written)
    assert [i.name for i in model.graph.input] == ["T_K", "lambda_2"] and [o.name for o in model.graph.output] == ["y"]
    assert model.graph.doc_string == "'y' of 'T [K]', 'lambda'"
    vocabulary = VOCABULARY.extended([bump(printers={"onnx": "Exp(Neg(Mul({0}, {0})))"})])
    np.testing.assert_allclose(
        WAYS["onnx"](formula_of("2*bump(x - 1)", vocabulary), rows, tmp_path),
        truth(formula_of("2*bump(x - 1)", vocabulary), rows),
        rtol=1e-12,
    )


def test_what_onnx_cannot_write(monkeypatch):
    with pytest.raises(OperatorError, match="'bump' cannot be written in 'onnx'"):
        onnx_exporter.EXPORTER(formula_of("bump(x)", VOCABULARY.extended([bump()])))
    for template in ("exp {0}", "Exp({0}", "Exp({0}))", "Exp({0}) + 1", ""):
        with pytest.raises(OperatorError, match="not calls of ONNX operators"):
            onnx_exporter.EXPORTER(formula_of("bump(x)", VOCABULARY.extended([bump(printers={"onnx": template})])))
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'sr-accessor\[onnx\]'"):
        onnx_exporter.EXPORTER(formula_of("x"))


# ---------------------------------------------------------------------- the command
def test_one_command_prints_each_exporters_check():
    done = CliRunner().invoke(exports, [])
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line for line in done.output.splitlines()}
    assert all(lines[name].endswith("ok") and f" {len(LAWS)} " in lines[name] for name in WAYS)
    assert "typeset" in lines["latex"]


def test_the_command_checks_a_file_and_tells_what_is_wrong(tmp_path, monkeypatch):
    frame = pd.DataFrame({"a b": np.linspace(1, 2, 20)}).assign(y=lambda f: 3 * np.sqrt(f["a b"]))
    frame.symreg.refine("y", "c*sqrt(`a b`)", restarts=0).save(tmp_path / "law.json")
    monkeypatch.setitem(WAYS, "numpy", lambda formula, rows, folder: truth(formula, rows) * (1 + 1e-8))
    done = CliRunner().invoke(exports, [str(tmp_path / "law.json")])
    assert done.exit_code == 1 and re.search("numpy +1 +1.0e-08 WRONG", done.output)
    assert re.search(r"pandas +column 'a b' cannot|python +1 .*ok", done.output)
