"""Heteroscedastic Gaussian noise: an additive error and one proportional to |f|, both fitted."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.noise.model import FLOOR, NoiseModel, least_scale, normal_like, normal_log_density
from sr_accessor.noise.newton import minimum

__all__ = ["HETEROSCEDASTIC", "Heteroscedastic"]

#: The share of the variance that is proportional runs between these, on the scale log(q/(1 − q)).
BORDER = 16.0
#: Where the share is looked for first: the loss may have a minimum at both ends.
GRID = (-10.0, -5.0, -2.0, 0.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Heteroscedastic(NoiseModel):
    """y = f(x) + √(a² + b²f²)·ε, ε standard normal [Rocke & Lorenzato 1995, Technometrics 37, 176].

    a and b are fitted; where error bars are stated they take the place of a, and only b is fitted. Between "gaussian"
    (b = 0) and "multiplicative" (a = 0).
    """

    name: str = "heteroscedastic"

    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        return ("a", "b") if sigma is None else ("b",)

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 2) a in units of y and the relative error b; (B, 1) b where sigma is stated."""
        values = torch.where(torch.isfinite(values), values, y)
        error, square = (y - values).square(), values.square()
        if sigma is not None:
            stated = torch.atleast_2d(sigma).square()

            def slopes(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                share = t.exp() * square / (stated + t.exp() * square)
                excess = error / (stated + t.exp() * square)
                first = (share * (1 - excess)).mean(1, keepdim=True) / 2
                second = share * (1 - share) * (1 - excess) + share.square() * excess
                return first, second.mean(1, keepdim=True) / 2

            scale = (stated / square.mean(1, keepdim=True).clamp(min=1e-300)).mean(1, keepdim=True).log()
            return (minimum(slopes, scale, scale - 30.0, scale + 30.0) / 2).exp()

        size = square.mean(1, keepdim=True).clamp(min=torch.finfo(y.dtype).tiny)
        part = square / size  # relative to their mean: shares are numbers between 0 and 1 whatever the units

        def loss(t: torch.Tensor) -> torch.Tensor:
            q = torch.sigmoid(t)
            spread = (1 - q + q * part).clamp(min=FLOOR**2)
            return (error / spread).mean(1, keepdim=True).clamp(min=1e-300).log() + spread.log().mean(1, keepdim=True)

        def profile_slopes(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            q = torch.sigmoid(t)
            spread = (1 - q + q * part).clamp(min=FLOOR**2)
            turn = (part - 1) / spread
            excess = error / spread
            mean = excess.mean(1, keepdim=True).clamp(min=1e-300)
            one = (excess * turn).mean(1, keepdim=True) / mean
            first = turn.mean(1, keepdim=True) - one
            second = 2 * (excess * turn.square()).mean(1, keepdim=True) / mean - one.square()
            second = second - turn.square().mean(1, keepdim=True)
            dq, ddq = q * (1 - q), q * (1 - q) * (1 - 2 * q)
            return first * dq, second * dq.square() + first * ddq

        grid = torch.tensor(GRID, dtype=y.dtype, device=y.device)
        losses = torch.cat([loss(t.expand_as(size)) for t in grid], 1)
        best = losses.argmin(1, keepdim=True)
        low = torch.where(best > 0, grid[(best - 1).clamp(min=0)], -BORDER)
        high = torch.where(best < len(grid) - 1, grid[(best + 1).clamp(max=len(grid) - 1)], BORDER)
        q = torch.sigmoid(minimum(profile_slopes, grid[best], low, high))
        whole = (error / (1 - q + q * part).clamp(min=FLOOR**2)).mean(1, keepdim=True).sqrt()
        whole = torch.maximum(whole, least_scale(y))
        return torch.cat([whole * (1 - q).sqrt(), whole * (q / size).sqrt()], 1)

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        spread = self.dispersion(values, sigma, parameters)
        return normal_log_density(y - values, spread)

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight 1/(a² + b²f²) and a residual that also sees how the spread grows with |f|."""
        return self._curvature(y, values, sigma, self.estimate(y, values, sigma))

    def assess(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        own = self.estimate(y, values, sigma)
        loss = self.total(self.log_density(y, values, sigma, own), values)
        return loss, *self._curvature(y, values, sigma, own)

    def _curvature(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        finite = torch.isfinite(values)
        values = torch.where(finite, values, 0.0)
        variance = self.dispersion(values, sigma, parameters).square()
        error = y - values
        turn = parameters[:, -1:].square() * values / variance
        residual = error + error.square() * turn - turn * variance
        sound = finite & torch.isfinite(residual) & (variance > 0)
        return torch.where(sound, residual, 0.0), torch.where(sound, variance, torch.inf).reciprocal()

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        additive = parameters[:, :1] if sigma is None else torch.atleast_2d(sigma)
        return (additive.square() + (parameters[:, -1:] * values).square()).sqrt()

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return values + self.dispersion(values, sigma, parameters) * normal_like(values, generator)

    def screening_sigma(self, y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        stated = 0.1 * y.abs().median() if sigma is None else sigma  # half-way between the two extremes
        return (stated**2 + (0.1 * y).square()).sqrt()


HETEROSCEDASTIC = Heteroscedastic()
