"""Gaussian noise: stated error bars sigma, or one unknown scale for all rows that is profiled out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from sr_accessor.device import DTYPE
from sr_accessor.noise.model import NoiseModel

__all__ = ["GAUSSIAN", "Gaussian"]

#: A law that is exact still leaves rounding errors of a few float64 steps. Below this fraction of rms(y) residuals
#: are not told apart, so that of two exact laws the simpler wins and not the luckier in rounding.
FLOOR = 8 * torch.finfo(DTYPE).eps


@dataclass(frozen=True)
class Gaussian(NoiseModel):
    """y = f(x) + sigma·ε, ε standard normal; without error bars sigma is one unknown scale s.

    With sigma the loss is ½ Σ ((y - f)/σ)² + Σ log(σ √2π). Without, s² = SSE/N is the most likely scale and the
    loss is N/2·(log(2π s²) + 1), where s is at least `floor` times the root mean square of y.
    """

    name: str = "gaussian"
    floor: float = FLOOR

    def degrees(self, sigma: torch.Tensor | None) -> int:
        return 1 if sigma is None else 0

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 1) the scale s in units of y, or (B, 0) where sigma is stated."""
        if sigma is not None:
            return super().estimate(y, values, sigma)
        least = self.floor * y.square().mean().sqrt() + torch.finfo(y.dtype).tiny ** 0.5
        # clamp keeps NaN, and an overflow to inf is an error too large to compare: both are no fit
        return (values - y).square().mean(1, keepdim=True).sqrt().clamp(min=least)

    def negative_log_likelihood(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        if sigma is None:
            half = len(y) / 2
            total = half * (math.log(2 * math.pi) + 1) + 2 * half * self.estimate(y, values, None)[:, 0].log()
        else:
            scatter = ((values - y) / sigma).square().sum(1)
            total = scatter / 2 + sigma.log().sum() + len(y) / 2 * math.log(2 * math.pi)
        return torch.where(torch.isfinite(total), total, torch.inf)

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        spread = self.dispersion(values, sigma, parameters)
        return -((y - values) / spread).square() / 2 - spread.log() - math.log(2 * math.pi) / 2

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual y - f (B, N) and weight 1/σ²: (1, N) from sigma, or (B, 1) from the profiled scale."""
        residual = torch.where(torch.isfinite(values), y - values, 0.0)
        spread = self.dispersion(values, sigma, self.estimate(y, values, sigma))
        return residual, torch.where(torch.isfinite(spread), spread.square().reciprocal(), 0.0)

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        return parameters if sigma is None else sigma[None, :]

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        noise = torch.randn(values.shape, generator=generator, dtype=values.dtype, device=values.device)
        return values + self.dispersion(values, sigma, parameters) * noise


GAUSSIAN = Gaussian()
