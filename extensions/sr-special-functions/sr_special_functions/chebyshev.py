"""Chebyshev series: a smooth function of one variable on an interval, to double precision, as a few tensor operations.

The coefficients are not copied from a book: they are the interpolation of a trusted implementation (scipy.special) at
the Chebyshev points, computed once at import [Trefethen, Approximation Theory and Approximation Practice, 2013, ch. 3].
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Series:
    """Σ cₖ Tₖ(s) for s = (2t − low − high)/(high − low)."""

    low: float
    high: float
    coefficients: tuple[float, ...]

    @classmethod
    def of(cls, function: Callable[[np.ndarray], np.ndarray], low: float, high: float, degree: int) -> "Series":
        """The interpolation of `function` on [low, high]; it is not asked at the ends."""
        angles = np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1)
        values = function(low + (high - low) * (np.cos(angles) + 1) / 2)
        coefficients = 2 / (degree + 1) * np.cos(np.outer(np.arange(degree + 1), angles)) @ values
        coefficients[0] /= 2
        return cls(low, high, tuple(coefficients.tolist()))

    def __call__(self, t: torch.Tensor) -> torch.Tensor:
        """Clenshaw's recurrence; one pass over coefficients, all points at once."""
        s = (2 * t - (self.low + self.high)) / (self.high - self.low)
        one = two = torch.zeros_like(s)
        for c in reversed(self.coefficients[1:]):
            one, two = 2 * s * one - two + c, one
        return s * one - two + self.coefficients[0]
