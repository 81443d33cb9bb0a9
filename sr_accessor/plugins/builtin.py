"""Our own operators, noise models and exporters, registered through the hooks like anyone's."""

from __future__ import annotations

from sr_accessor.exports import (
    c,
    excel,
    fortran,
    jax,
    julia,
    latex,
    lmfit,
    matlab,
    numpy,
    pandas_eval,
    python,
    sql,
    sympy,
    torch,
)
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.plugins.hookspecs import hookimpl

__all__ = ["register_exporters", "register_noise_models", "register_operators"]


@hookimpl
def register_operators(registry):
    for operator in ELEMENTARY:  # their order is the order of the ids: append only
        registry.add(operator)
    registry.vocabulary("elementary", base=None, add=[operator.name for operator in ELEMENTARY])


@hookimpl
def register_noise_models(registry):
    registry.add(GAUSSIAN)


@hookimpl
def register_exporters(registry):
    languages = (latex, sympy, python, numpy, torch, jax, pandas_eval, excel, c, julia, matlab, fortran, sql, lmfit)
    for language in languages:
        registry.add(language.EXPORTER)
