"""Live: a law as plain functions, for the explorer: constants moved, curves with bands, single predictions, copies."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from sr_accessor.device import generator
from sr_accessor.equation import Equation
from sr_accessor.errors import InputError, OperatorError, SymRegWarning
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.scatter import measured_for

__all__ = ["COPIES", "ROWS", "copied", "load_ahead", "moved", "over_one_input", "pulls", "what_if"]

#: Forms of a law that are held ready to be pasted: how they are called, and the exporter.
COPIES = {
    "LaTeX": "latex", "sympy": "sympy", "Python": "python", "NumPy": "numpy", "pandas eval": "pandas",
    "Excel": "excel", "C": "c",
}  # fmt: skip
#: Points of a curve; sets of measurements that are drawn from a noise model, and rows that are shown at most.
POINTS, SETS, ROWS = 200, 200, 5000


def copied(law: Equation, name: str) -> str:
    """The law in the form of that name in `COPIES`, or why the form has no word for it."""
    try:
        written = law.to(COPIES[name])
    except (InputError, OperatorError) as error:  # an operator, or a label, that it has no word for
        return str(error)
    if isinstance(written, str):
        return written
    import sympy

    return sympy.srepr(written)  # code that makes the expression, whatever the labels


def load_ahead(law: Equation) -> None:
    """Use once what loads a library on first use, sympy and for some noise scipy.stats: no click waits for it then."""
    copied(law, "sympy")
    what_if(law, dict(zip(law.observations.names, np.median(law.observations.x, axis=0).tolist(), strict=True)))


def moved(law: Equation, values: Mapping[str, float]) -> Equation:
    """The same form with some constants elsewhere; its error bars are still those of the fit."""
    numbers = law._numbers
    constants = law.expression.constants.clone()
    for name, value in values.items():
        constants[0, numbers.index == numbers.names.index(name)] = value
    return replace(law, expression=law.expression.with_constants(constants), known={})  # what a file knew is outdated


def over_one_input(
    law: Equation, label: Hashable, at: Mapping[Hashable, float] | None = None, level: float = 0.95
) -> tuple[tuple[np.ndarray, ...], dict[Hashable, float]]:
    """The law over the range of one input, the others held.

    Parameters
    ----------
    at : {label: value} of other inputs; those that are not named are at their medians
    level : of the band, which holds the law

    Returns
    -------
    (grid, mean, lower, upper), each (M,), and where the other inputs of the law are held
    """
    seen = law.observations
    names = list(seen.names)
    column = names.index(label)
    held = dict(zip(names, np.median(seen.x, axis=0).tolist(), strict=True)) | dict(at or {})
    grid = np.tile([held[name] for name in names], (POINTS, 1))
    grid[:, column] = np.linspace(seen.x[:, column].min(), seen.x[:, column].max(), POINTS)
    others = {name: held[name] for name in law.names if name != label}
    return (grid[:, column], *law.band_array(grid, level)), others


def pulls(law: Equation) -> tuple[np.ndarray, np.ndarray]:
    """Residuals in standard deviations of the noise model, and those of measurements drawn from it around the law.

    Returns
    -------
    (N,) and (SETS, N), N up to `ROWS` of the rows in equal steps, without those where the law is not finite
    """
    noise = law.noise
    x, y, sigma = measured_for(law.expression, law.observations)
    values, valid = evaluate(law.expression, x)
    own = noise.estimate(y, values, sigma)
    spread = noise.dispersion(values, sigma, own).expand_as(values)
    rows = valid[0].nonzero()[:, 0]
    rows = rows[:: math.ceil(len(rows) / ROWS) or 1]
    around, spread = values[:, rows], spread[:, rows]
    sigma = None if sigma is None else sigma[..., rows]
    drawn = noise.sample(generator(0), around.expand(SETS, -1), sigma, own.expand(SETS, -1))
    return ((y[rows] - around) / spread)[0].numpy(), ((drawn - around) / spread).numpy()


def what_if(law: Equation, at: Mapping[Hashable, float], level: float = 0.95) -> tuple[pd.DataFrame, list[str]]:
    """The law's value at one point with its two bands, and what there is to remark.

    Returns
    -------
    DataFrame of rows "confidence" and "prediction", columns mean, lower, upper; and texts
    """
    labels = law.names or law.observations.names
    table = pd.DataFrame([[at[label] for label in labels]])
    table.columns = pd.Index(list(labels), dtype=object, tupleize_cols=False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SymRegWarning)
        found = [law.predict(table, band, level=level) for band in ("confidence", "prediction")]
    texts = list(dict.fromkeys(str(warning.message) for warning in told))
    return pd.concat(found).set_axis(["confidence", "prediction"]), texts
