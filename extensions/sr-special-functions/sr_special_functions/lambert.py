"""Lambert's W, principal branch: the w with w·exp(w) = x, x >= -1/e."""

import math

import torch

from sr_accessor import Operator

__all__ = ["LAMBERT", "lambert_w"]

#: Halley's method triples the digits; from Iacono and Boyd's start three steps reach double precision, one to spare.
STEPS = 4
#: Distance from the branch point, p = sqrt(2(e·x + 1)), below which its series is used: p**6 is lost there.
BRANCH = 3e-3


def lambert_w(x: torch.Tensor) -> torch.Tensor:
    """W(x); NaN below -1/e.

    Start: ln(1 + x)·(1 - ln(1 + ln(1 + x))/(2 + ln(1 + x))) [Iacono & Boyd 2017]; near the branch point the series
    in p [Corless et al. 1996, eq. 4.22]; then Halley's method on w - x·exp(-w).
    """
    p = torch.sqrt((2 * (math.e * x + 1)).clamp(min=0))
    series = -1 + p * (1 + p * (-1 / 3 + p * (11 / 72 + p * (-43 / 540 + p * (769 / 17280)))))
    safe = x.clamp(min=-0.3)
    log = torch.log1p(safe)
    w = torch.where(x < -0.25, series, log * (1 - torch.log1p(log) / (2 + log)))
    for _ in range(STEPS):
        f = w - x * torch.exp(-w)
        slope = (1 + w).clamp(min=BRANCH / 4)
        w = w - f / (slope - (w + 2) * f / (2 * slope))
    w = torch.where(p < BRANCH, series, w)
    return torch.where(x >= -1 / math.e, w, torch.nan)


LAMBERT = (
    Operator(
        "lambertw", 1, lambert_w, "sympy:LambertW", r"W\left({0}\right)",
        derivative=(lambda v, x: torch.exp(-v) / (1 + v),), domain=lambda x: x >= -1 / math.e, bits=9.0,
        printers={"matlab": "lambertw({0})"},
    ),
)  # fmt: skip
