"""evaluation peers: other programs beside this one in one run: the same rows, equal seconds, two threads each.

pyoperon and gplearn come with ``pip install "sr-accessor[peers]"``. Their laws are read as texts or codes and scored as
ours are.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pandas as pd
import sympy

from sr_accessor.display import figure
from sr_accessor.errors import MissingDependencyError, UnknownNameError, nearest
from sr_accessor.evaluation.intervals import wilson
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.metrics import SOLVED_R2
from sr_accessor.evaluation.options import pack_options, words
from sr_accessor.evaluation.problems import Problem, select, stratified
from sr_accessor.evaluation.scoring import Answer, Method, report
from sr_accessor.evaluation.visible import evaluate_methods, fit_table
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.symbolic import to_sympy
from sr_accessor.expressions.vocabulary import Vocabulary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["METHODS", "draw", "gplearn_table", "peers", "pyoperon_table", "two_threads"]

THREADS = 2
#: What each peer may write: the operators that ours writes by default, as far as it has them.
OPERON_SYMBOLS = "add,sub,mul,div,sin,cos,exp,log,sqrt,square,tanh,constant,variable"
GPLEARN_FUNCTIONS = ("add", "sub", "mul", "div", "sqrt", "log", "sin", "cos", "neg", "inv")
#: Settings as in SRBench: five steps of Levenberg–Marquardt for constants. Of twelve formulas, 4 s each, this gave four
#: laws to 1e-9; two objectives, one step, or none gave two, three and one (0.6.2, 2026-11-21).
OPERON = {"optimizer_iterations": 5, "max_length": 50, "population_size": 500, "pool_size": 500}
#: As in SRBench. One process: a second costs gplearn 2 s a generation to start, and halves the generations.
GPLEARN = {
    "population_size": 1000, "tournament_size": 20, "init_depth": (2, 6), "parsimony_coefficient": 0.001, "n_jobs": 1,
}  # fmt: skip
#: So many generations, or evaluations, that the time ends a run.
ENDLESS = 10**9
_VOCABULARY = Vocabulary(ELEMENTARY)


def pyoperon_table(problem: Problem, seconds: float) -> Answer:
    """pyoperon's `SymbolicRegressor` on the training rows.

    Raises
    ------
    MissingDependencyError : it is not installed.
    """
    _installed("pyoperon")
    from pyoperon.sklearn import SymbolicRegressor

    x, y = _arrays(problem)
    began = time.perf_counter()
    model = SymbolicRegressor(
        allowed_symbols=OPERON_SYMBOLS, max_time=max(1, round(seconds)), generations=ENDLESS, max_evaluations=ENDLESS,
        n_threads=THREADS, random_state=problem.seed, **OPERON,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    took = time.perf_counter() - began
    names = [f"x{j}" for j in range(x.shape[1])]
    law = parse(model.get_model_string(model.model_, 12, names=names), _VOCABULARY, names, numbers="literal")
    return Answer(
        predict=lambda inputs: _predicted(model.predict, inputs),
        expression=to_sympy(law, problem.record.features)[0],
        status=f"{model.stats_['generations']} generations",
        seconds=took,
        complexity=int(model.stats_["model_length"]),
    )


def gplearn_table(problem: Problem, seconds: float) -> Answer:
    """gplearn's `SymbolicRegressor`, generation after generation until the time is spent or nothing is left to gain.

    Raises
    ------
    MissingDependencyError : it is not installed.
    """
    _installed("gplearn")
    from gplearn.genetic import SymbolicRegressor

    x, y = _arrays(problem)
    began, generation = time.perf_counter(), 0
    model = SymbolicRegressor(
        function_set=GPLEARN_FUNCTIONS, generations=1, warm_start=True, low_memory=True,
        random_state=problem.seed, **GPLEARN,
    )  # fmt: skip
    slowest = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            generation, start = generation + 1, time.perf_counter()
            model.set_params(generations=generation).fit(x, y)
            slowest = max(slowest, time.perf_counter() - start)
            if time.perf_counter() - began + slowest > seconds or model._program.raw_fitness_ == 0:
                break
    took = time.perf_counter() - began
    program = model._program.program
    return Answer(
        predict=lambda inputs: _predicted(model.predict, inputs),
        expression=_from_gplearn(program, problem.record.features),
        status=f"{generation} generations",
        seconds=took,
        complexity=len(program),
    )


def _from_gplearn(program: Sequence[Any], features: Sequence[str]) -> sympy.Expr:
    """A program of gplearn, functions, column numbers and constants in prefix order, as sympy sees it.

    Its division, root and logarithm are protected at 0 and below; where they are not, they are the plain ones, and so
    SRBench reads them too.
    """
    meaning: Mapping[str, Callable[..., sympy.Expr]] = {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
        "sqrt": sympy.sqrt, "log": sympy.log, "sin": sympy.sin, "cos": sympy.cos, "neg": lambda a: -a,
        "inv": lambda a: 1 / a,
    }  # fmt: skip
    stack: list[sympy.Expr] = []
    for node in reversed(program):
        if hasattr(node, "arity"):
            stack.append(meaning[node.name](*(stack.pop() for _ in range(node.arity))))
        elif isinstance(node, int | np.integer):
            stack.append(sympy.Symbol(features[int(node)]))
        else:
            stack.append(sympy.Float(float(node)))
    return stack.pop()


def _arrays(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the training rows; copies, since pyoperon refuses the read-only arrays of pandas 3."""
    record = problem.record
    return tuple(np.array(problem.train[which], dtype=float) for which in (record.features, record.target))


def _predicted(predict: Callable[[np.ndarray], np.ndarray], inputs: pd.DataFrame) -> np.ndarray:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.asarray(predict(np.array(inputs, dtype=float)), dtype=float)


def _installed(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingDependencyError(f'{package} is not installed; pip install "sr-accessor[peers]"')


#: Who takes part, by the name in the table.
METHODS: Mapping[str, Method] = {"sr_accessor": fit_table, "pyoperon": pyoperon_table, "gplearn": gplearn_table}


# ---------------------------------------------------------------------- the plot
_MARKS = ("o", "s", "^", "D", "v")


def draw(rows: pd.DataFrame) -> Figure:
    """Exact laws over seconds, and good fits over size: one mark per method and noise, medians, 95 % intervals.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    page = figure.page(9, 4)
    exact, close = page.subplots(1, 2)
    methods, noises = list(dict.fromkeys(rows["method"])), sorted(set(rows["noise"]))
    for i, method in enumerate(methods):
        for noise, mark in zip(noises, _MARKS, strict=False):
            mine = rows[(rows["method"] == method) & (rows["noise"] == noise)]
            known = mine[mine["exact"].notna()]
            label = f"{method}, noise {noise:g}" if len(noises) > 1 else method
            size = 30 + 4 * float(np.nan_to_num(known["size"].median()))  # the larger the law, the larger the mark
            _mark(exact, known["seconds"].median(), known["exact"].astype(bool), f"C{i}", mark, label, size)
            _mark(close, mine["size"].median(), mine["solved"].dropna().astype(bool), f"C{i}", mark, label, 60)
    exact.set(xlabel="median seconds (area: median size)", ylabel="exact laws, %", xscale="log", ylim=(-3, 103))
    close.set(xlabel="median size, nodes", ylabel=f"test R² > {SOLVED_R2}, %", xscale="log", ylim=(-3, 103))
    close.legend(fontsize="small")
    return page


def _mark(ax: Any, at: float, hits: pd.Series, color: str, mark: str, label: str, size: float) -> None:
    if not len(hits):
        return
    low, high = wilson(int(hits.sum()), len(hits))
    middle = 100 * hits.mean()
    ax.errorbar(at, middle, [[max(0.0, middle - 100 * low)], [max(0.0, 100 * high - middle)]], color=color, capsize=3)
    ax.scatter(at, middle, s=size, color=color, marker=mark, label=label, zorder=3)


# ---------------------------------------------------------------------- the command
def two_threads() -> None:
    """What a search of ours may use; it uses one."""
    import torch

    torch.set_num_threads(THREADS)


@click.command()
@click.option("--method", "methods", callback=words, help=f"Of {', '.join(METHODS)}; default all.")
@pack_options
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="peers.csv", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), default="peers.png", show_default=True)
def peers(methods, suites, names, seconds, minutes, noises, subset, seed, out, plot) -> None:
    """Fit the same problems with other programs too; print exact laws, R², size and seconds, and draw them."""
    methods = list(METHODS) if methods is None else methods
    for name in methods:
        if name not in METHODS:
            raise UnknownNameError(f"no method {name!r}; {nearest(name, METHODS)}")
        if name != "sr_accessor":
            _installed(name)
    records = stratified(select(suites, names), seed)[:subset]
    two_threads()
    rows = evaluate_methods(
        {name: METHODS[name] for name in methods},
        records,
        out,
        budget=seconds,
        noises=noises,
        seed=seed,
        minutes=minutes,
    )
    click.echo(report(rows, records))
    draw(rows).savefig(plot, dpi=150)
    click.echo(provenance(budget=f"{seconds:g} s, {THREADS} threads each", seed=seed, rows=out, plot=plot))
