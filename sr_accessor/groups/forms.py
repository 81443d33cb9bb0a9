"""What a fit of groups found: one form with numbers of its own in every group, or a law for each group."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

from sr_accessor.equation import numbers_of, with_named_inputs
from sr_accessor.expressions.batch import Expressions
from sr_accessor.refinement.likelihood import Parameters
from sr_accessor.result import FitResult
from sr_accessor.uncertainty.laplace import Laplace

__all__ = ["Laws", "SharedForm"]


@dataclass(frozen=True)
class SharedForm:
    """One form in all groups.

    Parameters
    ----------
    expression : Expressions, one row
    parameters : names, ties and bounds of its numbers where the user gave the law; None: every constant is alone
    numbers : (G, K); NaN for groups without a fit
    common : (P,) which constants have one value for all groups
    laplace : their covariance, one row for each group
    loss : (G,) nats
    """

    expression: Expressions
    parameters: Parameters | None
    numbers: torch.Tensor
    common: torch.Tensor
    laplace: Laplace
    loss: torch.Tensor

    @cached_property
    def _numbers(self) -> Parameters:
        return numbers_of(self.expression, self.parameters)

    @property
    def free(self) -> torch.Tensor:
        """(P,) bool"""
        return self._numbers.free[0]

    @property
    def values(self) -> torch.Tensor:
        """(G, P) parameters."""
        return self.numbers if self.parameters is None else self.parameters.values(self.numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """P names, as `Equation.params` has them; "" for numbers that are written."""
        return self._numbers.names

    @property
    def named(self) -> list[int]:
        """Numbers of the parameters that have a name."""
        return [i for i, name in enumerate(self.names) if name]

    def with_inputs(self, inputs: int) -> Expressions:
        """The form with its named parameters as further inputs, after the first ones."""
        return with_named_inputs(self.expression, self._numbers, inputs)


@dataclass(frozen=True)
class Laws:
    """A law for each group, found by itself: {label: FitResult}."""

    results: Mapping[Hashable, FitResult]
