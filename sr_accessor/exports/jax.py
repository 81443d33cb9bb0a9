"""JAX: a function of arrays for `jax.jit`, `jax.grad` and `jax.vmap`; 64 bits need jax_enable_x64."""

from __future__ import annotations

from sr_accessor.exports.code import Language, function
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("jax")


def write(formula: Formula) -> str:
    """A function `law` of the columns that the law needs, as arrays."""
    law = function(formula, LANGUAGE, "#")
    return f"import jax.numpy as jnp\n\n\n{law.comments}def law({law.arguments}):\n    return {law.right}\n"


EXPORTER = Exporter("jax", write, suffix=".py", operators="jax")
