"""Error functions and the gamma family."""

import math

import torch

from sr_accessor import Operator

__all__ = ["GAMMA", "gamma", "log_gamma"]


def gamma(x: torch.Tensor) -> torch.Tensor:
    """Γ(x); ±inf beyond 171.6, NaN at 0, -1, -2, ..."""
    whole = x == x.floor()
    odd = (x < 0) & (x.floor().remainder(2) == 1)
    size = torch.exp(torch.lgamma(x))
    return torch.where((x <= 0) & whole, torch.nan, torch.where(odd, -size, size))


def log_gamma(x: torch.Tensor) -> torch.Tensor:
    """ln Γ(x), x > 0."""
    return torch.where(x > 0, torch.lgamma(x), torch.nan)


def digamma(x: torch.Tensor) -> torch.Tensor:
    """Γ'(x)/Γ(x), x > 0."""
    return torch.where(x > 0, torch.special.digamma(x), torch.nan)


def trigamma(x: torch.Tensor) -> torch.Tensor:
    """ψ'(x), x > 0: torch's polygamma is right to 4e-10 only.

    Ten steps of the recurrence, then the asymptotic series [Abramowitz & Stegun 1964, §6.4.6, §6.4.12].
    """
    steps = sum(1 / (x + k).square() for k in range(10))
    z = 1 / (x + 10).square()
    series = z * (1 / 6 - z * (1 / 30 - z * (1 / 42 - z * (1 / 30 - z * (5 / 66 - z * 691 / 2730)))))
    return steps + (1 + series) / (x + 10) + z / 2


def _positive(x: torch.Tensor) -> torch.Tensor:
    return x > 0


def _bell(x: torch.Tensor) -> torch.Tensor:
    return 2 / math.sqrt(math.pi) * torch.exp(-x * x)


def _same(name: str, **other: str) -> dict[str, str]:
    """Printers of what Python, C, Fortran, MATLAB and torch call alike."""
    calls = {"python": f"math.{name}", "torch": f"torch.{name}", "c": name, "fortran": name, "matlab": name}
    return {language: f"{call}({{0}})" for language, call in (calls | other).items()}


GAMMA = (
    Operator(
        "erf", 1, torch.erf, "sympy:erf", derivative=(lambda v, x: _bell(x),), bits=7.0,
        printers=_same("erf", excel="ERF"),
    ),
    Operator(
        "erfc", 1, torch.erfc, "sympy:erfc", derivative=(lambda v, x: -_bell(x),), bits=8.0,
        printers=_same("erfc", excel="ERFC"),
    ),
    Operator(
        "gamma", 1, gamma, "sympy:gamma", r"\Gamma\left({0}\right)",
        derivative=(lambda v, x: v * torch.special.digamma(x),), domain=lambda x: (x > 0) | (x != x.floor()), bits=8.0,
        printers={"python": "math.gamma({0})", "c": "tgamma({0})", "fortran": "gamma({0})", "matlab": "gamma({0})",
                  "excel": "GAMMA({0})"},
    ),
    Operator(
        "loggamma", 1, log_gamma, "sympy:loggamma", r"\ln\Gamma\left({0}\right)",
        derivative=(lambda v, x: torch.special.digamma(x),), domain=_positive, bits=8.0,
        printers={"python": "math.lgamma({0})", "torch": "torch.lgamma({0})", "c": "lgamma({0})",
                  "fortran": "log_gamma({0})", "matlab": "gammaln({0})", "excel": "GAMMALN({0})"},
    ),
    Operator(
        "digamma", 1, digamma, "sympy:digamma", r"\psi\left({0}\right)",
        derivative=(lambda v, x: trigamma(x),), domain=_positive, bits=9.0,
        printers={"torch": "torch.digamma({0})", "matlab": "psi({0})"},
    ),
)  # fmt: skip
