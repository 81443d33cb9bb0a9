"""Complete elliptic integrals K(m) and E(m) of the parameter m = k², by the arithmetic-geometric mean."""

import math

import torch

from sr_accessor import Operator

__all__ = ["ELLIPTIC", "elliptic_e", "elliptic_k"]

#: The mean doubles its digits with every step; 1 and 1e-8 meet after 8.
STEPS = 9


def _means(m: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """agm(1, √(1-m)), its derivative by m, and Σₙ₌₁ 2ⁿ⁻¹cₙ² [Abramowitz & Stegun 1964, §17.6]."""
    a, b = torch.ones_like(m), torch.sqrt(1 - m)
    slope_a, slope_b = torch.zeros_like(m), -0.5 / b
    total, power = torch.zeros_like(m), 1.0
    for _ in range(STEPS):
        c, root = (a - b) / 2, torch.sqrt(a * b)
        slope_a, slope_b = (slope_a + slope_b) / 2, (slope_a * b + a * slope_b) / (2 * root)
        a, b = (a + b) / 2, root
        total, power = total + power * c * c, 2 * power
    return a, slope_a, total


def elliptic_k(m: torch.Tensor) -> torch.Tensor:
    """K(m), m < 1."""
    return torch.where(m < 1, math.pi / 2 / _means(m)[0], torch.nan)


def elliptic_e(m: torch.Tensor) -> torch.Tensor:
    """E(m), m <= 1."""
    mean, _, total = _means(m)
    value = math.pi / 2 / mean * (1 - m / 2 - total)
    return torch.where(m == 1, 1.0, value)


def _slope_k(value: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    mean, slope, _ = _means(m)
    return -value * slope / mean


def _slope_e(value: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """(E - K)/2m, with the difference taken before K is multiplied in."""
    mean, _, total = _means(m)
    return -math.pi / 4 / mean * (0.5 + torch.where(m == 0, 0.0, total / m))


ELLIPTIC = (
    Operator(
        "ellipk", 1, elliptic_k, "sympy:elliptic_k", r"K\left({0}\right)", derivative=(_slope_k,),
        domain=lambda m: m < 1, bits=9.0,
    ),
    Operator(
        "ellipe", 1, elliptic_e, "sympy:elliptic_e", r"E\left({0}\right)", derivative=(_slope_e,),
        domain=lambda m: m <= 1, bits=9.0,
    ),
)  # fmt: skip
