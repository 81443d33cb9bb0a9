"""Spectral lines as operators of sr_accessor, and the vocabulary "spectroscopy"."""

import math

import sympy
import torch

from sr_accessor import Operator, hookimpl

__all__ = ["GAUSS", "LORENTZ", "VOIGT", "register_operators", "voigt"]


def gauss(u: torch.Tensor) -> torch.Tensor:
    """exp(-u²)."""
    return torch.exp(-u * u)


def lorentz(u: torch.Tensor) -> torch.Tensor:
    """1/(1 + u²)."""
    return 1 / (1 + u * u)


#: Nodes of the trapezoidal rule and their distance: 12 give w to 2e-15 [Al Azah & Chandler-Wilde 2021, Thm 1.1].
NODES = 11
STEP = math.sqrt(math.pi / (NODES + 1))


def voigt(u: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Re w(u + ia), w the Faddeeva function; NaN where a < 0.

    w is an integral of exp(-t²)/(z - t) along the real line; the trapezoidal rule with the residue of the pole next to
    it converges exponentially [Al Azah & Chandler-Wilde 2021, doi:10.1137/20M1373037, eqs. 7 to 9]. Of the nodes k·h
    and (k + 1/2)·h those are taken that stay away from u. The real part is a sum of positive terms, so that the far
    wings of a narrow line keep their digits.
    """
    u, a = torch.broadcast_tensors(u, a)
    x, y = u.abs(), a
    fraction = x / STEP - torch.floor(x / STEP)
    whole = (fraction >= 0.25) & (fraction <= 0.75)  # between two of the nodes k·h
    shift = torch.where(whole, 0.0, 0.5).to(x)
    total = torch.zeros_like(x)
    for k in range(NODES + 1):  # nodes, all points at once
        t = (k + shift) * STEP
        weight = torch.exp(-t * t) * torch.where(whole, 0.5 if k == 0 else 1.0, 1.0)  # the node 0 has no mirror image
        total = total + weight * (1 / ((x - t).square() + y * y) + 1 / ((x + t).square() + y * y))
    near = y.clamp(max=math.pi / STEP)  # further from the line the pole's part is below 1e-30
    angle, sign = 2 * math.pi * x / STEP, torch.where(whole, -1.0, 1.0)
    q = torch.exp(-2 * math.pi * near / STEP)
    cosine, sine = torch.cos(2 * x * near), torch.sin(2 * x * near)
    turned = sign * torch.cos(angle)
    pole = cosine * (q + turned) + sign * sine * torch.sin(angle)
    pole = 2 * torch.exp(near.square() - x.square()) * q * pole / (1 + q * q + 2 * q * turned)
    value = STEP / math.pi * y * total + torch.where(y < math.pi / STEP, pole, 0.0)
    return torch.where(y >= 0, value, torch.nan)


class voigt_function(sympy.Function):
    """Re w(u + ia) for sympy; numbers come from mpmath."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        u, a = self.args
        z = u + sympy.I * a
        slope = -2 * z * sympy.exp(-(z**2)) * sympy.erfc(-sympy.I * z) + 2 * sympy.I / sympy.sqrt(sympy.pi)
        return sympy.re(slope if argindex == 1 else sympy.I * slope)

    def _eval_evalf(self, precision: int) -> sympy.Expr | None:
        if not all(argument.is_number for argument in self.args):
            return None
        import mpmath

        with mpmath.workprec(2 * precision + 200):
            u, a = (mpmath.mpf(argument._to_mpmath(2 * precision + 200)) for argument in self.args)
            z = mpmath.mpc(u, a)
            return sympy.Float(mpmath.re(mpmath.exp(-z * z) * mpmath.erfc(-1j * z)), precision=precision)


GAUSS = Operator(
    "gauss", 1, gauss, lambda u: sympy.exp(-(u**2)), r"e^{{-{{{0}}}^{{2}}}}",
    derivative=(lambda v, u: -2 * u * v,), bits=5.0, definition="exp(-u**2)",
)  # fmt: skip
LORENTZ = Operator(
    "lorentz", 1, lorentz, lambda u: 1 / (1 + u**2), derivative=(lambda v, u: -2 * u * v * v,), bits=5.0,
    definition="1/(1 + u**2)",
)  # fmt: skip
VOIGT = Operator(
    "voigt", 2, voigt, voigt_function, r"V\left({0}, {1}\right)", domain=lambda u, a: (a >= 0) & (u == u), bits=8.0,
    printers={"julia": "real(erfcx(-im*complex({0}, {1})))", "python": "wofz(complex({0}, {1})).real",
              "numpy": "wofz(({0}) + 1j*({1})).real"},
)  # fmt: skip


@hookimpl
def register_operators(registry):
    for operator in (GAUSS, LORENTZ, VOIGT):
        registry.add(operator)
    arithmetic = ("add", "sub", "mul", "div", "neg", "inv", "square", "sqrt", "pow", "exp", "log")
    registry.vocabulary("spectroscopy", base=None, add=[*arithmetic, "gauss", "lorentz", "voigt"])
