"""Bessel functions J, Y, I, K of orders 0 and 1, with their derivatives.

J and Y are our own: torch 2.13's bessel_j0, j1, y0 and y1 are wrong by up to 9e-7 between 5 and 8, and have no
derivative. Up to `JOIN` they are power-like series in x²; beyond, amplitudes P and Q of Hankel's expansion, smooth in
1/x² [Abramowitz & Stegun 1964, §9.2.5]. I and K are torch's scaled functions, which are right to 2e-15.
"""

import math

import numpy as np
import scipy.special
import torch

from sr_accessor import Operator
from sr_special_functions.chebyshev import Series

__all__ = ["BESSEL", "i0", "i1", "j0", "j1", "k0", "k1", "y0", "y1"]

#: Where the two forms meet, and the degrees of the series that reach double precision there.
JOIN, INSIDE, OUTSIDE = 8.0, 26, 26


def _inside(order: int) -> tuple[Series, Series]:
    """J and the regular part of Y as series in x², divided by x for order 1."""
    j, y = ((scipy.special.j0, scipy.special.y0), (scipy.special.j1, scipy.special.y1))[order]

    def regular(square: np.ndarray) -> np.ndarray:
        x = np.sqrt(square)
        rest = y(x) - 2 / np.pi * (np.log(x) * j(x) - (1 / x if order else 0.0))
        return rest / x if order else rest

    def first(square: np.ndarray) -> np.ndarray:
        x = np.sqrt(square)
        return j(x) / x if order else j(x)

    return Series.of(first, 0.0, JOIN**2, INSIDE), Series.of(regular, 0.0, JOIN**2, INSIDE)


def _outside(order: int) -> tuple[Series, Series]:
    """P and x·Q as series in (JOIN/x)²."""
    j, y = ((scipy.special.j0, scipy.special.y0), (scipy.special.j1, scipy.special.y1))[order]

    def turned(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = JOIN / np.sqrt(t)
        phase, size = x - (0.25 + order / 2) * np.pi, np.sqrt(np.pi * x / 2)
        cosine, sine = np.cos(phase), np.sin(phase)
        return x, size * (j(x) * cosine + y(x) * sine), size * (y(x) * cosine - j(x) * sine)

    return (
        Series.of(lambda t: turned(t)[1], 0.0, 1.0, OUTSIDE),
        Series.of(lambda t: turned(t)[0] * turned(t)[2], 0.0, 1.0, OUTSIDE),
    )


_INSIDE, _OUTSIDE = (_inside(0), _inside(1)), (_outside(0), _outside(1))


def _hankel(x: torch.Tensor, order: int) -> tuple[torch.Tensor, torch.Tensor]:
    """J and Y for x >= JOIN."""
    x = x.clamp(min=JOIN)
    p, q = (series((JOIN / x).square()) for series in _OUTSIDE[order])
    q = q / x
    phase, size = x - (0.25 + order / 2) * math.pi, torch.sqrt(2 / (math.pi * x))
    cosine, sine = torch.cos(phase), torch.sin(phase)
    return size * (p * cosine - q * sine), size * (p * sine + q * cosine)


def _first(x: torch.Tensor, order: int) -> torch.Tensor:
    """J of any real x: even for order 0, odd for order 1."""
    size = x.abs()
    near = size.clamp(max=JOIN)
    inside = _INSIDE[order][0](near.square()) * (near if order else 1.0)
    value = torch.where(size <= JOIN, inside, _hankel(size, order)[0]) + 0 * x  # NaN stays NaN, inf becomes it
    return value * torch.sign(x) if order else value


def _second(x: torch.Tensor, order: int) -> torch.Tensor:
    """Y of positive x, NaN elsewhere."""
    near = x.clamp(max=JOIN)
    first, regular = (series(near.square()) for series in _INSIDE[order])
    if order:
        inside = near * regular + 2 / math.pi * (torch.log(near) * near * first - 1 / near)
    else:
        inside = regular + 2 / math.pi * torch.log(near) * first
    value = torch.where(x <= JOIN, inside, _hankel(x, order)[1])
    return torch.where(x > 0, value, torch.nan) + 0 * x


def j0(x: torch.Tensor) -> torch.Tensor:
    """J₀(x)."""
    return _first(x, 0)


def j1(x: torch.Tensor) -> torch.Tensor:
    """J₁(x)."""
    return _first(x, 1)


def y0(x: torch.Tensor) -> torch.Tensor:
    """Y₀(x), x > 0."""
    return _second(x, 0)


def y1(x: torch.Tensor) -> torch.Tensor:
    """Y₁(x), x > 0."""
    return _second(x, 1)


def i0(x: torch.Tensor) -> torch.Tensor:
    """I₀(x)."""
    return torch.special.i0e(x) * torch.exp(x.abs())


def i1(x: torch.Tensor) -> torch.Tensor:
    """I₁(x)."""
    return torch.special.i1e(x) * torch.exp(x.abs())


def k0(x: torch.Tensor) -> torch.Tensor:
    """K₀(x), x > 0."""
    return torch.where(x > 0, torch.special.scaled_modified_bessel_k0(x) * torch.exp(-x), torch.nan)


def k1(x: torch.Tensor) -> torch.Tensor:
    """K₁(x), x > 0."""
    return torch.where(x > 0, torch.special.scaled_modified_bessel_k1(x) * torch.exp(-x), torch.nan)


def _over(value: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """value/x for functions of order 1, whose slope at 0 is 1/2."""
    return torch.where(x == 0, 0.5, value / x)


def _sympy(name: str, order: int):
    def made(x):
        import sympy

        return getattr(sympy, name)(order, x)

    return made


def _bessel(letter: str, order: int, function, slope, domain=None) -> Operator:
    """The derivatives are those of Abramowitz & Stegun 1964, §9.1.28, §9.1.30, §9.6.26 to §9.6.28."""
    oscillates, name = letter in "JY", f"{letter.lower()}{order}"
    printers = {
        "matlab": f"bessel{letter.lower()}({order}, {{0}})",
        "excel": f"BESSEL{letter}({{0}}, {order})",
    }
    if oscillates:
        printers |= {"c": f"{name}({{0}})", "fortran": f"bessel_{name}({{0}})"}
    return Operator(
        name, 1, function, _sympy(f"bessel{letter.lower()}", order), rf"{letter}_{{{{{order}}}}}\left({{0}}\right)",
        derivative=(slope,), domain=domain, bits=8.0, printers=printers,
    )  # fmt: skip


def _positive(x: torch.Tensor) -> torch.Tensor:
    return x > 0


BESSEL = (
    _bessel("J", 0, j0, lambda v, x: -j1(x)),
    _bessel("J", 1, j1, lambda v, x: j0(x) - _over(v, x)),
    _bessel("Y", 0, y0, lambda v, x: -y1(x), _positive),
    _bessel("Y", 1, y1, lambda v, x: y0(x) - v / x, _positive),
    _bessel("I", 0, i0, lambda v, x: i1(x)),
    _bessel("I", 1, i1, lambda v, x: i0(x) - _over(v, x)),
    _bessel("K", 0, k0, lambda v, x: -k1(x), _positive),
    _bessel("K", 1, k1, lambda v, x: -k0(x) - v / x, _positive),
)
