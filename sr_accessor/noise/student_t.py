"""Student-t noise: normal near the law, with tails that let single rows be far off; own scale and tails."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.special import stdtrit

from sr_accessor.noise.model import NoiseModel, least_scale
from sr_accessor.noise.newton import minimum

__all__ = ["STUDENT_T", "StudentT"]

#: Degrees of freedom ν: below 2 there is no standard deviation, above 200 it is as good as normal.
LEAST_NU, MOST_NU = 2.05, 200.0
#: Steps of Fisher scoring for (log s, log ν), longest step, and the step below which it ends.
STEPS, LONGEST, FOUND = 25, 1.0, 1e-4


@dataclass(frozen=True)
class StudentT(NoiseModel):
    """y = f(x) + s·t_ν; ν and the scale s of the core are fitted together, or ν alone where sigma states s.

    Each row weighs (ν + 1)/(ν s² + r²): far off rows hardly count [Lange, Little & Taylor 1989, JASA 84, 881].
    """

    name: str = "student_t"
    uses_weight: bool = True

    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        return ("nu", "s") if self.own_scale(sigma) else ("nu",)

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 1) ν where sigma is stated, else (B, 2): ν and the scale s in units of y, or of sigma."""
        error = torch.where(torch.isfinite(values), y - values, 0.0)
        error = error if sigma is None else error / sigma
        if not self.own_scale(sigma):
            start = torch.full_like(error[:, :1], math.log(4.0))
            square = error.square()
            return minimum(lambda b: _slopes(square, b), start, math.log(LEAST_NU), math.log(MOST_NU)).exp()
        least = least_scale(y, sigma).log()
        return _scored(error.square(), least)

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        nu, scale = self._split(sigma, parameters)
        tail = (nu + 1) / 2 * torch.log1p(((y - values) / scale).square() / nu)
        norm = torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2) - (nu * math.pi).log() / 2
        return norm - scale.log() - tail

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight (ν + 1)/((ν + 3) s²), the expected curvature, and the residual that gives the slope."""
        own = self.estimate(y, values, sigma)
        residual, actual = self._majorant(y, values, sigma, own)
        nu, scale = self._split(sigma, own)
        weight = (nu + 1) / ((nu + 3) * scale.square())
        return residual * actual / weight, weight

    def descent(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual y − f and weight (ν + 1)/(ν s² + r²): steps of these never lose likelihood."""
        return self._majorant(y, values, sigma, self.estimate(y, values, sigma))

    def assess(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        own = self.estimate(y, values, sigma)
        loss = self.total(self.log_density(y, values, sigma, own), values)
        return loss, *self._majorant(y, values, sigma, own)

    def _majorant(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, own: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        nu, scale = self._split(sigma, own)
        residual = torch.where(torch.isfinite(values), y - values, 0.0)
        return residual, (nu + 1) / (nu * scale.square() + residual.square())

    def _split(self, sigma: torch.Tensor | None, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """ν (B, 1) and the scale, broadcastable to (B, N)."""
        if sigma is None:
            return parameters[:, :1], parameters[:, 1:]
        stated = torch.atleast_2d(sigma)
        return parameters[:, :1], stated * parameters[:, 1:] if self.own_scale(sigma) else stated

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        nu, scale = self._split(sigma, parameters)
        return scale * (nu / (nu - 2)).sqrt()

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        nu, scale = self._split(sigma, parameters)
        # Bailey's polar form [1994, Math. Comp. 62, 779]: two uniform numbers, any ν
        shape = (2, *values.shape)
        u, angle = torch.rand(shape, generator=generator, dtype=values.dtype, device=values.device)
        radius = (nu * torch.expm1(-2 / nu * torch.log1p(-u))).sqrt()
        return values + scale * radius * torch.cos(2 * math.pi * angle)

    @property
    def heavy_tailed(self) -> bool:
        return True

    def interval(
        self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor, level: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        nu, scale = self._split(sigma, parameters)
        half = scale * torch.as_tensor(stdtrit(nu.cpu().numpy(), 0.5 + level / 2)).to(scale)
        return values - half, values + half


def _nu_slope(share: torch.Tensor, nu: torch.Tensor) -> torch.Tensor:
    """(B, 1) slope of the mean loss in ν, from the shares u/(ν + u) of squared residuals u in units of the scale."""
    gap = torch.digamma((nu + 1) / 2) - torch.digamma(nu / 2) - 1 / nu
    inner = -torch.log1p(-share) - (nu + 1) / nu * share
    return (inner.mean(1, keepdim=True) - gap) / 2


def _nu_curvature(nu: torch.Tensor) -> torch.Tensor:
    """(B, 1) expected curvature of the mean loss in ν."""
    trigamma = torch.special.polygamma
    own = (trigamma(1, nu / 2) - trigamma(1, (nu + 1) / 2)) / 4
    return own - (nu + 5) / (2 * nu * (nu + 1) * (nu + 3))


def _bend(nu: torch.Tensor, mean: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
    """(B, 1) second derivative of the mean loss by log ν, without its slope; means of share and share·(1 − share)."""
    trigamma = torch.special.polygamma
    gap = (trigamma(1, (nu + 1) / 2) - trigamma(1, nu / 2)) / 2 + nu.square().reciprocal()
    return nu / 2 * (mean / nu - mean + (nu + 1) / nu * mixed - nu * gap)


def _shares(square: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """square/(width + square), below 1 so that its complement has a logarithm."""
    return (square / (width + square)).nan_to_num(nan=1.0).clamp(max=1 - 1e-16)


def _slopes(square: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First derivative and expected second one of the mean loss in b = log ν."""
    nu = b.exp()
    return nu * _nu_slope(_shares(square, nu), nu), nu.square() * _nu_curvature(nu)


def _scored(square: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """(B, 2) ν and s of residuals, given squared (B, N), by Fisher scoring in (log s, log ν) from the median."""
    tiny = torch.finfo(square.dtype).tiny
    a = (square.median(1, keepdim=True).values.clamp(min=tiny).log() / 2 + math.log(1.4826)).maximum(least)
    a = a.clamp(max=300.0)  # so that s² does not overflow
    b = torch.full_like(a, math.log(4.0))
    low, high = math.log(LEAST_NU), math.log(MOST_NU)
    for _ in range(STEPS):
        nu = b.exp()
        share = _shares(square, nu * (2 * a).exp())
        mean, mixed = share.mean(1, keepdim=True), (share * (1 - share)).mean(1, keepdim=True)
        ga, gb = 1 - (nu + 1) * mean, nu * _nu_slope(share, nu)
        haa, hab, hbb = 2 * (nu + 1) * mixed, (nu + 1) * mixed - nu * mean, gb + _bend(nu, mean, mixed)
        # Newton's curvature where it is positive, else the expected one (Fisher scoring)
        convex = (haa > 0) & (hbb > 0) & (haa * hbb > hab.square())
        haa = torch.where(convex, haa, 2 * nu / (nu + 3))
        hab = torch.where(convex, hab, -2 * nu / ((nu + 1) * (nu + 3)))
        hbb = torch.where(convex, hbb, nu.square() * _nu_curvature(nu))
        at_border = ((b <= low) & (gb > 0)) | ((b >= high) & (gb < 0))
        grounded = (a <= least) & (ga > 0)
        hab = torch.where(at_border | grounded, 0.0, hab)
        determinant = haa * hbb - hab.square()
        da = torch.where(grounded, 0.0, -(hbb * ga - hab * gb) / determinant)
        db = torch.where(at_border, 0.0, -(haa * gb - hab * ga) / determinant)
        da, db = da.clamp(-LONGEST, LONGEST), db.clamp(-LONGEST, LONGEST)
        before_a, before_b = a, b
        a, b = (a + da).maximum(least), (b + db).clamp(low, high)
        if bool(((a - before_a).abs().maximum((b - before_b).abs()) < FOUND).all()):
            break
    return torch.cat([b.exp(), a.exp()], 1)


STUDENT_T = StudentT()
