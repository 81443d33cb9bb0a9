"""evaluation exports: every exporter's law beside our evaluator's on 1,000 random rows, run by what is at hand here."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
import sympy
import torch

from sr_accessor.errors import SymRegError
from sr_accessor.evaluation.machine import provenance
from sr_accessor.exports import c, excel, fortran, jax, julia, lmfit, matlab, onnx, pandas_eval, python, sql
from sr_accessor.exports import numpy as numpy_exporter
from sr_accessor.exports import sympy as sympy_exporter
from sr_accessor.exports import torch as torch_exporter
from sr_accessor.exports.exporter import Formula
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.frontends.functions import load as load_result

__all__ = ["LANGUAGES", "LAWS", "NAMES", "WAYS", "exports", "module", "random_rows", "run_by", "truth"]

#: Columns of the laws.
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


def module(source: str, folder: Path):
    """The module with this source; imported from a file, as its user would."""
    path = folder / "exported.py"
    path.write_text(source, encoding="utf-8")
    specification = importlib.util.spec_from_file_location("exported", path)
    made = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(made)
    return made


def columns(formula: Formula, rows: pd.DataFrame) -> list[np.ndarray]:
    """The columns that a law needs."""
    return [rows[formula.names[d]].to_numpy(copy=True) for d in formula.used]


def by_python(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """Row by row, in plain Python."""
    law = module(python.EXPORTER(formula), folder).law
    return [law(*row) for row in zip(*(c.tolist() for c in columns(formula, rows)), strict=True)] or law()


def by_numpy(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """Arrays."""
    return module(numpy_exporter.EXPORTER(formula), folder).law(*columns(formula, rows))


def by_torch(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """Tensors."""
    return torch.as_tensor(
        module(torch_exporter.EXPORTER(formula), folder).law(*map(torch.tensor, columns(formula, rows))),
        dtype=torch.float64,
    ).numpy()


def by_jax(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """NumPy in JAX's place."""
    source = jax.EXPORTER(formula)
    # jax.numpy has numpy's names and meanings: all that is used of it is checked here, without 100 MB of XLA.
    return module(source.replace("import jax.numpy as jnp", "import numpy as jnp"), folder).law(*columns(formula, rows))


def by_pandas(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """`DataFrame.eval`."""
    return rows.eval(pandas_eval.EXPORTER(formula), engine="python")


def by_sqlite(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """A SELECT in SQLite."""
    with sqlite3.connect(":memory:") as connection:
        rows.to_sql("t", connection, index=False)
        return pd.read_sql(f"SELECT {sql.EXPORTER(formula)} AS y FROM t", connection)["y"].to_numpy()


def by_sympy(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """`lambdify`."""
    expression = sympy_exporter.EXPORTER(formula)
    symbols = [sympy.Symbol(str(n), real=True) for n in formula.names]
    named = {s.name: s for s in expression.free_symbols}
    law = sympy.lambdify([named.get(s.name, s) for s in symbols], expression, "numpy")
    return law(*(rows[n].to_numpy() for n in formula.names))


def by_lmfit(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """`Model.eval`."""
    model, parameters = lmfit.EXPORTER(formula)
    given = dict(zip(model.independent_vars, columns(formula, rows), strict=True))
    return model.eval(parameters, **given) if given else model.func(**parameters.valuesdict())


def by_excel(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """The formula read as Python, whose signs mean the same once POWER takes ^'s place."""
    text = excel.EXPORTER(formula)
    cells = ", ".join(f"{chr(ord('A') + i)}2" for i in range(len(formula.used)))
    names = {"LN": "log", "POWER": "power", "MIN": "minimum", "MAX": "maximum", "ASIN": "arcsin", "ACOS": "arccos"}
    names |= {"ATAN": "arctan"} | {n.upper(): n for n in "abs sqrt exp sin cos tan sinh cosh tanh".split()}
    head = "import numpy as np\n" + "".join(f"{there} = np.{here}\n" for there, here in names.items())
    source = f"{head}def PI():\n    return np.pi\ndef law({cells}):\n    return {text[1:]}\n"
    return module(source, folder).law(*columns(formula, rows))


def by_matlab(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """MATLAB's signs are Python's with points, and so is their order; the brackets make sure of the rest."""
    return _as_python(
        matlab.EXPORTER(formula), r"result = (?!law)(.*);", {".*": "*", "./": "/", ".^": "**"}, formula, rows, folder
    )


def by_julia(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """Its signs read as Python's."""
    return _as_python(julia.EXPORTER(formula), r"return @\. (.*)", {"^": "**"}, formula, rows, folder)


def _as_python(
    text: str, right: str, signs: dict[str, str], formula: Formula, rows: pd.DataFrame, folder: Path
) -> np.ndarray:
    (expression,) = re.findall(right, text)
    (arguments,) = re.findall(r"law\((.*)\)", text)
    for theirs, ours in signs.items():
        expression = expression.replace(theirs, ours)
    names = {"min": "minimum", "max": "maximum", "asin": "arcsin", "acos": "arccos", "atan": "arctan"}
    names |= {n: n for n in "abs sqrt exp log sin cos tan sinh cosh tanh".split()}
    head = "import numpy as np\n" + "".join(f"{there} = np.{here}\n" for there, here in names.items())
    return module(f"{head}def law({arguments}):\n    return {expression}\n", folder).law(*columns(formula, rows))


def by_onnx(formula: Formula, rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """ONNX's reference evaluator."""
    from onnx import load_from_string
    from onnx.reference import ReferenceEvaluator

    model = load_from_string(onnx.EXPORTER(formula))
    given = dict(zip([i.name for i in model.graph.input], columns(formula, rows), strict=True))
    return ReferenceEvaluator(model).run(None, given)[0]


#: Exporter -> how its law is evaluated here.
WAYS: dict[str, Callable[[Formula, pd.DataFrame, Path], np.ndarray]] = {
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


# ---------------------------------------------------------------------- other languages, all laws in one program
def c_program(formulas: Sequence[Formula]) -> str:
    """The source of such a program."""
    bodies, calls = [], []
    for i, formula in enumerate(formulas):
        bodies.append(c.EXPORTER(formula).replace("double law(", f"double law{i}("))
        calls.append(f'printf("%.17g ", law{i}({", ".join(f"v[{d}]" for d in formula.used)}));')
    body, count = "\n        ".join(calls), len(formulas[0].names)
    return (
        "#include <stdio.h>\n"
        + "\n".join(bodies)
        + f"\nint main(void) {{\n    double v[{count}];\n    for (;;) {{\n        for (int i = 0; i < {count}; i++)\n"
        f'            if (scanf("%lf", v + i) != 1) return 0;\n        {body}\n        printf("\\n");\n    }}\n}}\n'
    )


def fortran_program(formulas: Sequence[Formula]) -> str:
    """The same in Fortran."""
    bodies, calls = [], []
    for i, formula in enumerate(formulas):
        bodies.append(re.sub(r"\blaw\b(?!')", f"law{i}", fortran.EXPORTER(formula)))
        calls.append(f"law{i}({', '.join(f'v({d + 1})' for d in formula.used)})")
    listed, count = ", &\n ".join(calls), len(formulas[0].names)
    return (
        f"program laws\nimplicit none\ndouble precision :: v({count})\ninteger :: status\n"
        "do\nread(*,*,iostat=status) v\n"
        f"if (status /= 0) exit\nwrite(*,'(100es25.16e3)') {listed}\nend do\ncontains\n"
        + re.sub(r"(?m)^elemental ", "pure ", "".join(bodies))
        + "end program laws\n"
    )


def octave_script(formulas: Sequence[Formula]) -> str:
    """The same in MATLAB's language."""
    bodies = [matlab.EXPORTER(f).replace("= law(", f"= law{i}(") for i, f in enumerate(formulas)]
    calls = [f"law{i}({', '.join(f'v(:,{d + 1})' for d in f.used)}) + 0*v(:,1)" for i, f in enumerate(formulas)]
    read = "v = reshape(fscanf(stdin, '%f'), COUNT, [])';".replace("COUNT", str(len(formulas[0].names)))
    printed = f"printf([repmat('%.17g ', 1, {len(formulas)}) '\\n'], [{', '.join(calls)}]');"
    return "\n".join(["1;", *bodies, read, printed])


def julia_script(formulas: Sequence[Formula]) -> str:
    """The same in Julia."""
    bodies = [julia.EXPORTER(f).replace("function law(", f"function law{i}(") for i, f in enumerate(formulas)]
    calls = [f"law{i}({', '.join(f'v[{d + 1}]' for d in f.used)})" for i, f in enumerate(formulas)]
    loop = "for line in eachline()\n    v = parse.(Float64, split(line))"
    return "\n".join([*bodies, loop, f"    println(join(({', '.join(calls)}), ' '))", "end"])


class Language(NamedTuple):
    """How the laws of one exporter are run together.

    Parameters
    ----------
    program : formulas -> source that reads rows and writes a value for each law
    suffix : end of the source file's name
    compiled : whether the command makes a program, or runs the source itself
    """

    command: tuple[str, ...]
    program: Callable[[Sequence[Formula]], str]
    suffix: str
    compiled: bool

    @property
    def here(self) -> bool:
        """Whether this machine has it."""
        return shutil.which(self.command[0]) is not None


LANGUAGES = {
    "gcc": Language(("gcc", "-std=c99", "-Wall", "-Werror", "-O0"), c_program, ".c", True),
    "gfortran": Language(("gfortran", "-std=f2008", "-O0"), fortran_program, ".f90", True),
    "Octave": Language(("octave-cli", "--no-init-file"), octave_script, ".m", False),
    "Julia": Language(("julia", "--startup-file=no"), julia_script, ".jl", False),
}


def run_by(language: Language, formulas: Sequence[Formula], rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """(N, laws) values of the laws, computed in another language."""
    path, run = folder / f"laws{language.suffix}", [*language.command, str(folder / f"laws{language.suffix}")]
    path.write_text(language.program(formulas), encoding="utf-8")
    if language.compiled:
        program = folder / "laws"
        subprocess.run([*run, "-o", str(program), "-lm"], check=True, capture_output=True, timeout=120)
        run = [str(program)]
    given = "\n".join(" ".join(map(repr, row)) for row in rows.to_numpy().tolist())
    done = subprocess.run(run, input=given, capture_output=True, text=True, check=True, timeout=120)
    return np.array([[float(v) for v in line.split()] for line in done.stdout.splitlines()])


# ---------------------------------------------------------------------- the command
#: Rows, and the relative difference that an export may have.
ROWS, CLOSE = 1000, 1e-9


def random_rows() -> pd.DataFrame:
    """1,000 rows on which all of `LAWS` are finite."""
    random = np.random.default_rng(7)
    values = {name: random.uniform(0.2, 3.0, ROWS) for name in NAMES}
    return pd.DataFrame({"x": values["x"], "T [K]": 100 * values["T [K]"], "lambda": values["lambda"]})


def truth(formula: Formula, rows: pd.DataFrame) -> np.ndarray:
    """(N,) our evaluator's values."""
    return evaluate(formula.expression, torch.tensor(rows[list(formula.names)].to_numpy()))[0][0].numpy()


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference relative to the wanted value, where that is finite."""
    finite = np.isfinite(wanted)
    found = np.broadcast_to(np.asarray(found, dtype=float), wanted.shape)
    return float((np.abs(found - wanted) / np.maximum(np.abs(wanted), 1e-300))[finite].max(initial=0.0))


def _laws_of(path: str) -> tuple[list[Formula], pd.DataFrame]:
    """The laws of a result, and rows in the range of its data."""
    result = load_result(path)
    seen, random = result._observations, np.random.default_rng(7)
    rows = pd.DataFrame(random.uniform(seen.low, seen.high, (ROWS, len(seen.names))))
    rows.columns = pd.Index(seen.names, tupleize_cols=False)
    return [Formula(law.expression, seen.names, seen.target) for law in result], rows


@click.command()
@click.argument("law", required=False, type=click.Path(dir_okay=False))
def exports(law: str | None) -> None:
    """Each exporter's check: the largest relative difference to our evaluator on 1,000 random rows.

    LAW is a file of `result.save`; without it, laws that hold every operator. What is not at hand is said. Exit code 1
    where a difference is above 1e-9.
    """
    if law is None:
        rows, vocabulary = random_rows(), Vocabulary(ELEMENTARY)
        formulas = [Formula(parse(text, vocabulary, NAMES), NAMES, "y") for text in LAWS]
    else:
        formulas, rows = _laws_of(law)
    wanted, bad = [truth(formula, rows) for formula in formulas], 0
    click.echo(f"{'exporter':10} {'laws':>4} {'difference':>11}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for exporter, way in WAYS.items():
            try:
                found = [_difference(way(f, rows, folder), y) for f, y in zip(formulas, wanted, strict=True)]
            except SymRegError as error:
                click.echo(f"{exporter:10} {'':16} {error}")
                continue
            bad += max(found) > CLOSE
            click.echo(f"{exporter:10} {len(found):4} {max(found):11.1e} {'ok' if max(found) <= CLOSE else 'WRONG'}")
        for name, language in LANGUAGES.items():
            if not language.here:
                click.echo(f"{name:10} {'':16} not checked: {language.command[0]} is not installed here")
                continue
            values = run_by(language, formulas, rows, folder)
            found = [_difference(value, y) for value, y in zip(values.T, wanted, strict=True)]
            bad += max(found) > CLOSE
            click.echo(f"{name:10} {len(found):4} {max(found):11.1e} {'ok' if max(found) <= CLOSE else 'WRONG'}")
    click.echo(f"{'latex':10} {'':16} typeset, not evaluated; sympy reads the same expression")
    click.echo(provenance(rows=ROWS))
    if bad:
        raise SystemExit(1)
