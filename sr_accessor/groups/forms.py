"""What a fit of groups found: one form with numbers of its own in every group, or a law for each group."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import torch

from sr_accessor.device import DTYPE
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, VARIABLE
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

    @property
    def free(self) -> torch.Tensor:
        """(P,) bool"""
        return self.expression.free[0] if self.parameters is None else self.parameters.free[0]

    @property
    def values(self) -> torch.Tensor:
        """(G, P) parameters."""
        return self.numbers if self.parameters is None else self.parameters.values(self.numbers)

    @property
    def names(self) -> list[str]:
        """P names, as `Equation.params` has them; "" for numbers that are written."""
        if self.parameters is not None:
            return list(self.parameters.names)
        places = self.free.cumsum(0) - 1
        return [f"c{i}" if own else "" for i, own in zip(places.tolist(), self.free.tolist(), strict=True)]

    @property
    def named(self) -> list[int]:
        """Numbers of the parameters that have a name."""
        return [i for i, name in enumerate(self.names) if name]

    def with_inputs(self, inputs: int) -> Expressions:
        """The form with its named parameters as further inputs, after the first ones."""
        e, names = self.expression.trimmed(), self.names
        index = range(e.constants.shape[1]) if self.parameters is None else self.parameters.index.tolist()
        place = {p: VARIABLE + inputs + i for i, p in enumerate(self.named)}
        codes, kept = e.codes.clone(), []
        for at in ((e.codes == CONSTANT) | (e.codes == LITERAL))[0].nonzero()[:, 0].tolist():
            slot = int(e.number_slot[0, at])
            if names[index[slot]]:
                codes[0, at] = place[index[slot]]
            else:
                kept.append(float(e.constants[0, slot]))
        return Expressions(codes, torch.tensor([kept], dtype=DTYPE), e.vocabulary)


@dataclass(frozen=True)
class Laws:
    """A law for each group, found by itself: {label: FitResult}."""

    results: Mapping[Hashable, FitResult]
