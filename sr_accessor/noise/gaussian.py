"""Gaussian noise: stated error bars sigma, or one unknown scale for all rows that is profiled out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from sr_accessor.noise.model import FLOOR, NoiseModel, least_scale, normal_like, normal_log_density

__all__ = ["FLOOR", "GAUSSIAN", "Gaussian"]


@dataclass(frozen=True)
class Gaussian(NoiseModel):
    """y = f(x) + sigma·ε, ε standard normal; without error bars sigma is one unknown scale s.

    With sigma the loss is ½ Σ ((y - f)/σ)² + Σ log(σ √2π). Without, s² = SSE/N is the most likely scale and the
    loss is N/2·(log(2π s²) + 1), where s is at least `floor` times the root mean square of y. With relative error
    bars (`absolute` False) the spread is s·σ, and s² is the mean of ((y - f)/σ)².
    """

    name: str = "gaussian"
    uses_weight: bool = True
    floor: float = FLOOR

    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        return ("s",) if self.own_scale(sigma) else ()

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 1) the scale s in units of y, or of sigma; (B, 0) where sigma is stated."""
        if not self.own_scale(sigma):
            return super().estimate(y, values, sigma)
        error = values - y if sigma is None else (values - y) / sigma
        # clamp keeps NaN, and an overflow to inf is an error too large to compare: both are no fit
        return torch.maximum(error.square().mean(1, keepdim=True).sqrt(), least_scale(y, sigma, self.floor))

    def negative_log_likelihood(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        half = y.shape[-1] / 2
        if self.own_scale(sigma):
            total = half * (math.log(2 * math.pi) + 1) + 2 * half * self.estimate(y, values, sigma)[:, 0].log()
        else:
            total = ((values - y) / sigma).square().sum(1) / 2 + half * math.log(2 * math.pi)
        total = total if sigma is None else total + sigma.log().sum(-1)
        return torch.where(torch.isfinite(total), total, torch.inf)

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        spread = self.dispersion(values, sigma, parameters)
        return normal_log_density(y - values, spread)

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual y - f (B, N) and weight 1/σ²: (1, N) from sigma, or (B, 1) from the profiled scale."""
        residual = torch.where(torch.isfinite(values), y - values, 0.0)
        spread = self.dispersion(values, sigma, self.estimate(y, values, sigma))
        return residual, torch.where(torch.isfinite(spread), spread.square().reciprocal(), 0.0)

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        if sigma is None:
            return parameters
        stated = sigma if sigma.dim() == 2 else sigma[None, :]
        return stated if self.absolute else stated * parameters

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return values + self.dispersion(values, sigma, parameters) * normal_like(values, generator)


GAUSSIAN = Gaussian()
