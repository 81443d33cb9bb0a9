"""torch: a function of tensors that broadcast, differentiable by autograd."""

from __future__ import annotations

from sr_accessor.exports.code import Language, function
from sr_accessor.exports.exporter import Exporter, Formula

__all__ = ["EXPORTER", "write"]

LANGUAGE = Language("torch", boxed="torch.tensor({0}, dtype=torch.float64)")


def write(formula: Formula) -> str:
    """A function `law` of the columns that the law needs, as tensors."""
    law = function(formula, LANGUAGE, "#")
    return f"import torch\n\n\n{law.comments}def law({law.arguments}):\n    return {law.right}\n"


EXPORTER = Exporter("torch", write, suffix=".py", operators="torch")
