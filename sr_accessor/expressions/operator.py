"""Operator: one function of an expression, everything about it said in one declaration.

Evaluator, Jacobian, parser, printers, description length, dimension check and the network's tokens all
read this declaration; none of them knows an operator by name (except the five of arithmetic, which the
parser must know as infix signs, and those say so here: `infix`).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sr_accessor.errors import OperatorError

if TYPE_CHECKING:
    import torch

__all__ = ["Operator", "resolve_reference"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")

#: How an operator treats physical dimensions; `expressions/dimensions.py` gives each word its meaning.
UNIT_RULES = ("same", "product", "quotient", "inverse", "power", "half", "twice", "thrice", "dimensionless")


@dataclass(frozen=True, eq=False)
class Operator:
    """A function that may stand in an expression.

    Parameters
    ----------
    name : identifier, unique in a vocabulary; also how the operator is called in text
    arity : 0 (a named constant such as pi), 1 or 2
    torch : callable
        Elementwise on tensors that broadcast; NaN or ±inf outside the domain, never an exception.
        Arity 0: a callable without arguments that returns a float.
    sympy : callable, or "module:attribute" resolved on first use
    latex : format string with {0}, {1} for the arguments, e.g. r"\\sqrt{{{0}}}"
    derivative : tuple of callables, optional
        One per argument: `derivative[i](value, *arguments)` -> partial derivative, elementwise; a float where
        it is constant. Without it torch's autograd differentiates `torch`.
    domain : callable, optional
        `domain(*arguments)` -> bool tensor, True where the operator is a finite real number. None: everywhere.
    units : one of `UNIT_RULES`; of a named constant "same" means that it may have any unit
    cost : nodes it counts for in `complexity`
    bits : its price in a description length before normalisation (search_findings.md §6)
    linear : how the value depends on the arguments: "joint" (linear in all together: a + b), "each" (linear in
        each alone: a·b), "first" (in the first only: a/b) or "none"; tells which constants a least-squares solve finds
    infix : sign and binding strength, e.g. ("+", 1); None prints as a function call
    printers : how other languages write it: {"python": "math.sqrt({0})", ...}; see `expressions/printers.py`
    definition : the same function in other operators, of arguments u and w, e.g. "exp(-u**2)"; lets the network
        and languages without a printer take part (`expressions/definitions.py`)
    """

    name: str
    arity: int
    torch: Callable[..., Any]
    sympy: Callable[..., Any] | str
    latex: str | None = None
    derivative: tuple[Callable[..., Any], ...] | None = None
    domain: Callable[..., Any] | None = None
    units: str = "dimensionless"
    cost: int = 1
    bits: float = 5.0
    infix: tuple[str, int] | None = None
    commutative: bool = False
    linear: str = "none"
    printers: Mapping[str, str] = field(default_factory=dict)
    definition: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise OperatorError(f"operator name {self.name!r} must be an identifier such as 'erfcx'")
        if self.arity not in (0, 1, 2):
            raise OperatorError(f"operator {self.name!r}: arity must be 0, 1 or 2, not {self.arity!r}")
        if not callable(self.torch):
            raise OperatorError(f"operator {self.name!r}: torch must be callable, not {self.torch!r}")
        if not (callable(self.sympy) or isinstance(self.sympy, str)):
            raise OperatorError(f"operator {self.name!r}: sympy must be callable or 'module:attribute'")
        partials = self.derivative
        if partials is not None and not (isinstance(partials, tuple | list) and len(partials) == self.arity):
            raise OperatorError(
                f"operator {self.name!r}: derivative is a tuple of {self.arity} functions of the value and the "
                "arguments, one per argument, e.g. (lambda value, x: ...,)"
            )
        if self.linear not in ("none", "joint", "each", "first"):
            raise OperatorError(f"operator {self.name!r}: linear must be 'none', 'joint', 'each' or 'first'")
        if self.units not in UNIT_RULES:
            raise OperatorError(f"operator {self.name!r}: units must be one of {', '.join(UNIT_RULES)}")
        numbers = isinstance(self.cost, Real) and isinstance(self.bits, Real)
        if not numbers or not self.cost >= 1 or not self.bits > 0:
            raise OperatorError(f"operator {self.name!r}: cost must be a number of at least 1 and bits a positive one")
        if not isinstance(self.printers, Mapping):
            raise OperatorError(f"operator {self.name!r}: printers must be a dictionary such as {{'c': 'erf({{0}})'}}")
        if self.definition is not None and not isinstance(self.definition, str):
            raise OperatorError(f"operator {self.name!r}: definition must be text such as 'exp(-u**2)'")
        if self.latex is None:
            arguments = ", ".join(f"{{{i}}}" for i in range(self.arity))
            inside = rf"\left({arguments}\right)" if self.arity else ""
            object.__setattr__(self, "latex", rf"\operatorname{{{{{self.name}}}}}{inside}")
        object.__setattr__(self, "printers", MappingProxyType(dict(self.printers)))

    def __repr__(self) -> str:
        return f"Operator({self.name!r}, arity={self.arity})"

    def partial(self, i: int) -> Callable[..., Any]:
        """The partial derivative by argument `i`: declared, or torch's autograd on `torch`."""
        if self.derivative is not None:
            return self.derivative[i]

        def differentiated(value: torch.Tensor, *arguments: torch.Tensor) -> torch.Tensor:
            import torch

            # Expanded first: a constant that broadcasts over the points must not collect their sum.
            leaves = [a.detach().expand_as(value) for a in arguments]
            leaves[i] = leaves[i].clone().requires_grad_(True)
            with torch.enable_grad():
                return torch.autograd.grad(self.torch(*leaves).sum(), leaves[i])[0]

        return differentiated

    def to_sympy(self, *arguments: Any) -> Any:
        """The operator applied to sympy expressions."""
        return resolve_reference(self.sympy)(*arguments)


def resolve_reference(reference: Callable[..., Any] | str) -> Callable[..., Any]:
    """A callable as it is, or the one that "module:attribute" names, imported on first use."""
    if callable(reference):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)
