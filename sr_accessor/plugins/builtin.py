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
    onnx,
    pandas_eval,
    python,
    sql,
    sympy,
    torch,
)
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.noise.binomial import BINOMIAL
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.noise.heteroscedastic import HETEROSCEDASTIC
from sr_accessor.noise.laplace import LAPLACE
from sr_accessor.noise.lognormal import LOGNORMAL
from sr_accessor.noise.multiplicative import MULTIPLICATIVE
from sr_accessor.noise.negative_binomial import NEGATIVE_BINOMIAL
from sr_accessor.noise.poisson import POISSON
from sr_accessor.noise.student_t import STUDENT_T
from sr_accessor.plugins.hookspecs import hookimpl

__all__ = ["register_exporters", "register_noise_models", "register_operators"]

NOISE_MODELS = (
    GAUSSIAN, HETEROSCEDASTIC, MULTIPLICATIVE, LOGNORMAL, STUDENT_T, LAPLACE, POISSON, NEGATIVE_BINOMIAL, BINOMIAL,
)  # fmt: skip


@hookimpl
def register_operators(registry):
    for operator in ELEMENTARY:  # their order is the order of the ids: append only
        registry.add(operator)
    registry.vocabulary("elementary", base=None, add=[operator.name for operator in ELEMENTARY])


@hookimpl
def register_noise_models(registry):
    for model in NOISE_MODELS:
        registry.add(model)


@hookimpl
def register_exporters(registry):
    languages = (latex, sympy, python, numpy, torch, jax, pandas_eval, excel, c, julia, matlab, fortran, sql, lmfit)
    for language in (*languages, onnx):
        registry.add(language.EXPORTER)
