"""Every exporter says what the evaluator says, to 1e-9, wherever a tool to run it is at hand."""

import importlib.util
import itertools
import math
import re
import shutil
import sqlite3
import subprocess

import numpy as np
import pandas as pd
import pytest
import sympy
import torch

from sr_accessor.errors import ColumnError, InputError, MissingDependencyError, OperatorError
from sr_accessor.exports import c, excel, fortran, jax, julia, latex, lmfit, matlab, numpy, pandas_eval, python, sql
from sr_accessor.exports import onnx as onnx_exporter
from sr_accessor.exports import sympy as sympy_exporter
from sr_accessor.exports import torch as torch_exporter
from sr_accessor.exports.code import identifiers
from sr_accessor.exports.exporter import Exporter, Formula
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse, parse_model
from sr_accessor.expressions.vocabulary import Vocabulary

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = ("x", "T [K]", "lambda")
#: Each law of three columns; together they hold every operator, in places where brackets matter.
LAWS = (
    "x - (`T [K]` - lambda)",
    "x/(`T [K]`/lambda)/(x*lambda)",
    "-x**2 + (-x)**2 - -x",
    "2**-x + (x**2.5)**0.5",
    "x**(lambda**0.5) - (x + 1)**3",
    "-(x + lambda)*-1.5e-7 + 1e22/(x + 1/lambda)",
    "sin(x) + cos(lambda) + tan(0.3*x)",
    "asin(0.1*x) + acos(0.1*lambda) + atan(-x)",
    "sinh(x) - cosh(lambda) + tanh(x - lambda)",
    "exp(-x/lambda) + log(x*`T [K]`)",
    "min(x, lambda) + max(x - lambda, 0.5)*min(2, x)",
    "sqrt(abs(x - lambda)) + 1/(1/x) + pi*x",
    "abs(min(x, -1)**3) + 1/x**2",
    "x**2*lambda**3 - (x - lambda)**2",
    "1/3*x + 2/7",
    "3.25",
    "exp(2)*x",
    "(x/3)**2/(2*x)**3 - 4*(-x)/3",
)
MODEL = "A*exp(-k*x) + B*lambda"


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(7)
    values = {name: random.uniform(0.2, 3.0, 1000) for name in NAMES}
    return pd.DataFrame({"x": values["x"], "T [K]": 100 * values["T [K]"], "lambda": values["lambda"]})


def formula_of(text, vocabulary=VOCABULARY):
    return Formula(parse(text, vocabulary, NAMES), NAMES, "y")


def truth(formula, rows):
    return evaluate(formula.expression, torch.tensor(rows[list(NAMES)].to_numpy()))[0][0].numpy()


def module(source, folder):
    """The module with this source; imported from a file, as its user would."""
    path = folder / "exported.py"
    path.write_text(source, encoding="utf-8")
    specification = importlib.util.spec_from_file_location("exported", path)
    made = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(made)
    return made


def columns(formula, rows):
    return [rows[NAMES[d]].to_numpy(copy=True) for d in formula.used]


def by_python(formula, rows, folder):
    law = module(python.EXPORTER(formula), folder).law
    return [law(*row) for row in zip(*(c.tolist() for c in columns(formula, rows)), strict=True)] or law()


def by_numpy(formula, rows, folder):
    return module(numpy.EXPORTER(formula), folder).law(*columns(formula, rows))


def by_torch(formula, rows, folder):
    return torch.as_tensor(
        module(torch_exporter.EXPORTER(formula), folder).law(*map(torch.tensor, columns(formula, rows)))
    ).numpy()


def by_jax(formula, rows, folder):
    source = jax.EXPORTER(formula)
    assert source.startswith("import jax.numpy as jnp\n")
    # jax.numpy has numpy's names and meanings: all that is used of it is checked here, without 100 MB of XLA.
    return module(source.replace("import jax.numpy as jnp", "import numpy as jnp"), folder).law(*columns(formula, rows))


def by_pandas(formula, rows, folder):
    return rows.eval(pandas_eval.EXPORTER(formula), engine="python")


def by_sqlite(formula, rows, folder):
    with sqlite3.connect(":memory:") as connection:
        rows.to_sql("t", connection, index=False)
        return pd.read_sql(f"SELECT {sql.EXPORTER(formula)} AS y FROM t", connection)["y"].to_numpy()


def by_sympy(formula, rows, folder):
    expression = sympy_exporter.EXPORTER(formula)
    symbols = [sympy.Symbol(n, real=True) for n in NAMES]
    named = {s.name: s for s in expression.free_symbols}
    law = sympy.lambdify([named.get(s.name, s) for s in symbols], expression, "numpy")
    return law(*(rows[n].to_numpy() for n in NAMES))


def by_lmfit(formula, rows, folder):
    model, parameters = lmfit.EXPORTER(formula)
    given = dict(zip(model.independent_vars, columns(formula, rows), strict=True))
    return model.eval(parameters, **given) if given else model.func()


def by_excel(formula, rows, folder):
    text = excel.EXPORTER(formula)
    assert text.startswith("=") and "^" not in text  # -2^2 is 4 in Excel
    cells = ", ".join(f"{chr(ord('A') + i)}2" for i in range(len(formula.used)))
    names = {"LN": "log", "POWER": "power", "MIN": "minimum", "MAX": "maximum", "ASIN": "arcsin", "ACOS": "arccos"}
    names |= {"ATAN": "arctan"} | {n.upper(): n for n in "abs sqrt exp sin cos tan sinh cosh tanh".split()}
    head = "import numpy as np\n" + "".join(f"{there} = np.{here}\n" for there, here in names.items())
    source = f"{head}def PI():\n    return np.pi\ndef law({cells}):\n    return {text[1:]}\n"
    return module(source, folder).law(*columns(formula, rows))


def by_matlab(formula, rows, folder):
    """MATLAB's signs are Python's with points, and so is their order; the brackets make sure of the rest."""
    return _as_python(
        matlab.EXPORTER(formula), r"result = (?!law)(.*);", {".*": "*", "./": "/", ".^": "**"}, formula, rows, folder
    )


def by_julia(formula, rows, folder):
    return _as_python(julia.EXPORTER(formula), r"return @\. (.*)", {"^": "**"}, formula, rows, folder)


def _as_python(text, right, signs, formula, rows, folder):
    (expression,) = re.findall(right, text)
    (arguments,) = re.findall(r"law\((.*)\)", text)
    for theirs, ours in signs.items():
        expression = expression.replace(theirs, ours)
    names = {"min": "minimum", "max": "maximum", "asin": "arcsin", "acos": "arccos", "atan": "arctan"}
    names |= {n: n for n in "abs sqrt exp log sin cos tan sinh cosh tanh".split()}
    head = "import numpy as np\n" + "".join(f"{there} = np.{here}\n" for there, here in names.items())
    return module(f"{head}def law({arguments}):\n    return {expression}\n", folder).law(*columns(formula, rows))


def by_onnx(formula, rows, folder):
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_from_string(onnx_exporter.EXPORTER(formula))
    given = dict(zip([i.name for i in model.graph.input], columns(formula, rows), strict=True))
    return ReferenceEvaluator(model).run(None, given)[0]


WAYS = {
    "onnx": by_onnx,
    "excel": by_excel,
    "matlab": by_matlab,
    "julia": by_julia,
    "python": by_python,
    "numpy": by_numpy,
    "torch": by_torch,
    "jax": by_jax,
    "pandas": by_pandas,
    "sqlite": by_sqlite,
    "sympy": by_sympy,
    "lmfit": by_lmfit,
}


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


# ---------------------------------------------------------------------- compiled languages, all laws in one program
def compiled(command, source, folder, rows, suffix):
    path, program = folder / f"laws{suffix}", folder / "laws"
    path.write_text(source)
    subprocess.run([*command, str(path), "-o", str(program), "-lm"], check=True, capture_output=True, timeout=120)
    given = "\n".join(" ".join(map(repr, row)) for row in rows.to_numpy().tolist())
    done = subprocess.run([str(program)], input=given, capture_output=True, text=True, check=True, timeout=60)
    return np.array([[float(v) for v in line.split()] for line in done.stdout.splitlines()])


def c_program(formulas):
    bodies, calls = [], []
    for i, formula in enumerate(formulas):
        bodies.append(c.EXPORTER(formula).replace("double law(", f"double law{i}("))
        calls.append(f'printf("%.17g ", law{i}({", ".join(f"v[{d}]" for d in formula.used)}));')
    body = "\n        ".join(calls)
    return (
        "#include <stdio.h>\n"
        + "\n".join(bodies)
        + (
            '\nint main(void) {\n    double v[3];\n    while (scanf("%lf %lf %lf", v, v+1, v+2) == 3) {\n'
            f"        {body}\n"
            '        printf("\\n");\n    }\n    return 0;\n}\n'
        )
    )


def fortran_program(formulas):
    bodies, calls = [], []
    for i, formula in enumerate(formulas):
        bodies.append(re.sub(r"\blaw\b(?!')", f"law{i}", fortran.EXPORTER(formula)))
        calls.append(f"law{i}({', '.join(f'v({d + 1})' for d in formula.used)})")
    listed = ", &\n ".join(calls)
    return (
        f"program laws\nimplicit none\ndouble precision :: v(3)\ninteger :: status\ndo\nread(*,*,iostat=status) v\n"
        f"if (status /= 0) exit\nwrite(*,'(100es25.16e3)') {listed}\nend do\ncontains\n"
        + re.sub(r"(?m)^elemental ", "pure ", "".join(bodies))
        + "end program laws\n"
    )


COMPILERS = {
    "gcc": (["gcc", "-std=c99", "-Wall", "-Werror", "-O0"], c_program, ".c"),
    "gfortran": (["gfortran", "-std=f2008", "-O0"], fortran_program, ".f90"),
}


@pytest.mark.parametrize("compiler", [name for name in COMPILERS if shutil.which(name)])
def test_compiled_languages(compiler, rows, tmp_path):
    command, program, suffix = COMPILERS[compiler]
    formulas = [formula_of(law) for law in LAWS]
    values = compiled(command, program(formulas), tmp_path, rows, suffix)
    wanted = np.column_stack([truth(formula, rows) for formula in formulas])
    np.testing.assert_allclose(values, wanted, rtol=1e-9)


def test_octave_and_julia_where_they_are(rows, tmp_path):
    formulas = [formula_of(law) for law in LAWS]
    some = rows.iloc[:50]
    wanted = np.concatenate([np.broadcast_to(truth(f, some), len(some)) for f in formulas])
    np.savetxt(tmp_path / "rows.txt", some.to_numpy(), fmt="%.17g")
    if octave := shutil.which("octave-cli"):
        bodies = [matlab.EXPORTER(f).replace("= law(", f"= law{i}(") for i, f in enumerate(formulas)]
        calls = [
            f"printf('%.17g\\n', law{i}({', '.join(f'v(:,{d + 1})' for d in f.used)}) + 0*v(:,1));"
            for i, f in enumerate(formulas)
        ]
        script = "1;\n" + "\n".join(bodies) + f"\nv = load('{tmp_path}/rows.txt');\n" + "\n".join(calls)
        (tmp_path / "laws.m").write_text(script)
        done = subprocess.run(
            [octave, str(tmp_path / "laws.m")], capture_output=True, text=True, check=True, timeout=120
        )
        np.testing.assert_allclose([float(v) for v in done.stdout.split()], wanted, rtol=1e-9)
    if interpreter := shutil.which("julia"):
        bodies = [julia.EXPORTER(f).replace("function law(", f"function law{i}(") for i, f in enumerate(formulas)]
        calls = [
            f"foreach(println, law{i}({', '.join(f'v[:,{d + 1}]' for d in f.used)}) .+ 0 .* v[:,1])"
            for i, f in enumerate(formulas)
        ]
        read = f'v = reduce(vcat, [parse.(Float64, split(l))\' for l in eachline("{tmp_path}/rows.txt")])'
        (tmp_path / "laws.jl").write_text("\n".join([*bodies, read, *calls]))
        done = subprocess.run([interpreter, str(tmp_path / "laws.jl")], capture_output=True, text=True, check=True)
        np.testing.assert_allclose([float(v) for v in done.stdout.split()], wanted, rtol=1e-9)


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
        by_onnx(formula_of("2*bump(x - 1)", vocabulary), rows, tmp_path),
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
