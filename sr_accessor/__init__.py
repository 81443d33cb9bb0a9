"""Symbolic regression on the tables scientists already have: ``import sr_accessor as sr; df.symreg.fit("y")``.

The import registers the accessors ``symreg`` of pandas and xarray and loads nothing heavy: torch and sympy come
with the first fit. Shapes are spoken in the same letters everywhere:

    B candidates    L symbols      K constants    N observations    D variables
    S bags          T tokens       V vocabulary   E embedding       H heads
"""

import importlib
from typing import Any

from sr_accessor import errors
from sr_accessor.constraints import Constraints, limit, monotone, positive, shape
from sr_accessor.display.notebook import set_options
from sr_accessor.frontends.functions import fit, load, predict, refine
from sr_accessor.frontends.register import register_accessors
from sr_accessor.version import __version__

#: Public names that are imported on first use, because they load torch or plugins: name -> "module" or "module:name".
_ON_FIRST_USE = {
    "Equation": "sr_accessor.equation:Equation",
    "Exporter": "sr_accessor.exports.exporter:Exporter",
    "FitHandle": "sr_accessor.handle:FitHandle",
    "FitResult": "sr_accessor.result:FitResult",
    "NoiseModel": "sr_accessor.noise.model:NoiseModel",
    "Operator": "sr_accessor.expressions.operator:Operator",
    "SelectionRule": "sr_accessor.plugins.contributions:SelectionRule",
    "ShapeConstraint": "sr_accessor.plugins.contributions:ShapeConstraint",
    "hookimpl": "sr_accessor.plugins.hookspecs:hookimpl",
    "models": "sr_accessor.transformer.store",
    "noise_models": "sr_accessor.plugins.manager:noise_models",
    "operators": "sr_accessor.plugins.manager:operators",
    "plugins": "sr_accessor.plugins",
    "register_operator": "sr_accessor.plugins.manager:register_operator",
    "vocabularies": "sr_accessor.plugins.manager:vocabularies",
}

__all__ = [
    "Constraints",
    "Equation",
    "Exporter",
    "FitHandle",
    "FitResult",
    "NoiseModel",
    "Operator",
    "SelectionRule",
    "ShapeConstraint",
    "__version__",
    "errors",
    "fit",
    "hookimpl",
    "limit",
    "load",
    "models",
    "monotone",
    "noise_models",
    "operators",
    "plugins",
    "positive",
    "predict",
    "refine",
    "register_operator",
    "set_options",
    "shape",
    "vocabularies",
]


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'sr_accessor' has no attribute {name!r}; {errors.nearest(name, __all__)}")
    module, _, attribute = _ON_FIRST_USE[name].partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


register_accessors()
