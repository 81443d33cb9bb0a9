"""One answer to one problem, scored: R², exact or not, size; and the table that sums such rows up.

A method (ours or a peer's) is a function from a training frame to an `Answer`; what is scored is the same for all.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sympy

from sr_accessor.errors import SymRegWarning
from sr_accessor.evaluation.intervals import share
from sr_accessor.evaluation.metrics import SOLVED_R2, equal_up_to_constant, r2
from sr_accessor.evaluation.problems import Problem, Record
from sr_accessor.evaluation.symbolic_solution import check, model_size
from sr_accessor.expressions.symbolic import to_sympy

__all__ = ["COLUMNS", "Answer", "Method", "report", "score", "summary"]

#: What `score` says of an answer, the columns of a results file after those of the task.
COLUMNS = (
    "status",
    "r2",
    "solved",
    "exact",
    "relation",
    "equivalent",
    "size",
    "truth_size",
    "complexity",
    "seconds",
    "expression",
)
_SYMPY_FLOOR = 0.5  # SRBench asks sympy only about models of a larger test R²


@dataclass(frozen=True)
class Answer:
    """What a method found.

    Parameters
    ----------
    predict : frame of inputs -> (N,) values
    expression : its law in the feature names; None where it found none
    status : the method's own word for how it ended
    seconds : wall time from the training frame to the law
    complexity : the method's own count of nodes
    """

    predict: Callable[[pd.DataFrame], np.ndarray]
    expression: sympy.Expr | None
    status: str
    seconds: float
    complexity: int | None = None


#: (problem, seconds) -> Answer
Method = Callable[[Problem, float], Answer]


def score(problem: Problem, answer: Answer, *, sympy_seconds: float = 60.0) -> dict[str, object]:
    """Values of `COLUMNS`.

    exact : SRBench's symbolic solution; where constants are far from 1 (`Record.relative`) equality up to one
        constant to 1e-4 on 500 points of the ranges. None where there is no known formula.
    equivalent : exact, or equal up to one constant to 1e-8 on points of 1.5 times the ranges, since sympy misses
        e.g. sqrt(x**2 - 2*x*y + y**2 + z) == sqrt((x - y)**2 + z). Published rates were counted without that help.
    """
    record = problem.record
    with warnings.catch_warnings():  # remarks on predicting outside the training range are expected here
        warnings.simplefilter("ignore", SymRegWarning)
        goodness = r2(problem.test[record.target].to_numpy(), answer.predict(problem.test[record.features]))
        row: dict[str, object] = {
            "status": answer.status,
            "r2": goodness,
            "solved": goodness > SOLVED_R2,
            "complexity": answer.complexity,
            "seconds": round(answer.seconds, 3),
        }
        if answer.expression is not None:
            row |= {
                "size": model_size(answer.expression, rounded=not record.relative),
                "expression": str(answer.expression),
            }
        if record.formula is None:
            return row
        truth = to_sympy(record.expression, record.features)[0]
        row["truth_size"] = model_size(truth, rounded=not record.relative)
        if answer.expression is None:
            return row | {"relation": "no law", "exact": False, "equivalent": False}
        if record.relative:
            row["exact"] = row["equivalent"] = _same_values(problem, answer, 1e-4, widen=1.0)
            row["relation"] = "by value"
        else:
            verdict = check(answer.expression, truth, seconds=sympy_seconds) if goodness > _SYMPY_FLOOR else None
            row["relation"] = verdict.relation if verdict else f"R2 <= {_SYMPY_FLOOR}"
            row["exact"] = verdict is not None and verdict.exact
            row["equivalent"] = row["exact"] or _same_values(problem, answer, 1e-8, widen=1.5)
    return row


def _same_values(problem: Problem, answer: Answer, tolerance: float, widen: float) -> bool:
    inputs = problem.record.inputs(500, seed=0, widen=widen)
    return equal_up_to_constant(problem.record.values(inputs), answer.predict(inputs), tolerance)


def summary(rows: pd.DataFrame, planned: Mapping[str, int]) -> pd.DataFrame:
    """Counts and medians by method, noise and suite, and over all suites.

    Parameters
    ----------
    rows : as `runner.run` returns them, with `COLUMNS`
    planned : suite -> problems the run would have with all the time; shown where fewer were done

    Returns
    -------
    DataFrame of text; shares with Wilson's 95 % interval
    """
    lines = {}
    for (method, noise), group in rows.groupby(["method", "noise"], sort=False):
        for suite in planned:
            lines[method, noise, suite] = _line(group[group["suite"] == suite], planned[suite])
        lines[method, noise, "all"] = _line(group, sum(planned.values()))
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis(["method", "noise", "suite"])


def report(rows: pd.DataFrame, records: Sequence[Record], trials: int = 1) -> str:
    """`summary` of a run that was to fit these problems so many times each, and below it what its words mean."""
    planned = {suite: trials * count for suite, count in sorted(Counter(r.suite for r in records).items())}
    return (
        f"{summary(rows, planned).reset_index().to_string(index=False)}\n"
        "exact: SRBench's symbolic solution; equivalent: also equal in value to 1e-8; size: nodes after "
        "simplification, as SRBench counts; a failure is a miss; (95 % Wilson intervals)"
    )


def _line(rows: pd.DataFrame, planned: int) -> dict[str, str]:
    known = rows[rows["exact"].notna()]
    exact = known["exact"].astype(bool)
    size = known["size"] / known["truth_size"]

    def median(values: pd.Series, form: str) -> str:
        values = values.dropna()
        return format(values.median(), form) if len(values) else "-"

    return {
        "done": f"{len(rows)}/{planned}",
        "exact": share(exact),
        "equivalent": share(known["equivalent"].astype(bool)),
        f"R2>{SOLVED_R2}": share(rows["solved"].dropna().astype(bool)),
        "median R2": median(rows["r2"], ".4f"),
        "median size": median(rows["size"], ".0f"),
        "size/truth": median(size, ".2f"),
        "size/truth, exact": median(size[exact], ".2f"),
        "median s": median(rows["seconds"], ".2f"),
        "median s, exact": median(known["seconds"][exact], ".2f"),
        "max s": format(rows["seconds"].max(), ".1f") if len(rows) else "-",
    }
