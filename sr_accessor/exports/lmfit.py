"""lmfit: a Model whose parameters are the law's free constants, for profiles, priors and Markov chains."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sr_accessor.device import DTYPE
from sr_accessor.errors import MissingDependencyError
from sr_accessor.exports.code import identifiers
from sr_accessor.exports.exporter import Exporter, Formula
from sr_accessor.expressions.evaluate import evaluate

if TYPE_CHECKING:
    import lmfit

__all__ = ["EXPORTER", "write"]


def write(formula: Formula) -> tuple[lmfit.Model, lmfit.Parameters]:
    """A model of the columns that the law needs, and its parameters c0, c1, ... with values and standard errors.

        model, parameters = ...; model.fit(df["y"], parameters, x=df["x"]).conf_interval()

    Raises
    ------
    MissingDependencyError : lmfit is not installed.
    """
    try:
        import lmfit
    except ImportError:
        raise MissingDependencyError("the export 'lmfit' needs lmfit: pip install lmfit") from None
    expression = formula.expression
    slots = expression.free[0].nonzero()[:, 0]
    constants = [f"c{i}" for i in range(len(slots))]
    names = identifiers([formula.names[d] for d in formula.used], reserved=constants)

    def law(**given: Any) -> np.ndarray:
        columns = np.broadcast_arrays(*(np.asarray(given[name], dtype=float) for name in names))
        rows = columns[0].size if columns else 1
        x = torch.zeros(rows, len(formula.names), dtype=DTYPE)
        for d, column in zip(formula.used, columns, strict=True):
            x[:, d] = torch.tensor(column.reshape(-1))
        numbers = expression.constants.clone()
        numbers[0, slots] = torch.tensor([float(given[name]) for name in constants], dtype=DTYPE)
        values = evaluate(expression.with_constants(numbers), x)[0][0].numpy()
        return values.reshape(columns[0].shape) if columns else values[0]

    keyword = inspect.Parameter.KEYWORD_ONLY  # lmfit reads the names of parameters off the signature
    law.__signature__ = inspect.Signature([inspect.Parameter(name, keyword) for name in (*names, *constants)])
    model = lmfit.Model(law, independent_vars=names, param_names=constants, name=str(formula.target))
    parameters = model.make_params(**dict(zip(constants, expression.constants[0, slots].tolist(), strict=True)))
    for name, error in zip(constants, formula.stderr or (), strict=False):
        parameters[name].stderr = error if math.isfinite(error) else None
    return model, parameters


EXPORTER = Exporter("lmfit", write)
