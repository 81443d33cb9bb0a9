"""Laplace noise: absolute errors count, so that a law runs through the median of y."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from sr_accessor.noise.model import NoiseModel, least_scale

__all__ = ["LAPLACE", "Laplace"]

#: Residuals below this share of the scale count as such: the majorising parabola of |r| has the weight 1/|r|.
SMOOTHED = 1e-4


@dataclass(frozen=True)
class Laplace(NoiseModel):
    """p(y | f) = exp(−|y − f|/b)/(2b), standard deviation b·√2; b is the mean of |y − f|, or σ/√2 where σ is stated.

    The curvature tells standard errors only for many rows: of 80 rows they are a fifth too small (`evaluation
    coverage`, 2026-11-21); `Equation.interval` with "profile" does not rely on it.
    """

    name: str = "laplace"
    uses_weight: bool = True

    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        return ("b",) if self.own_scale(sigma) else ()

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 1) the scale b in units of y, or of sigma; (B, 0) where sigma is stated."""
        if not self.own_scale(sigma):
            return super().estimate(y, values, sigma)
        error = values - y if sigma is None else (values - y) / sigma
        return torch.maximum(error.abs().mean(1, keepdim=True), least_scale(y, sigma))

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        scale = self._scale(sigma, parameters)
        return -(y - values).abs() / scale - scale.log() - math.log(2)

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual b·sign(y − f) and weight 1/b²."""
        residual, scale = self._residual(y, values, sigma)
        return scale * residual.sign(), scale.square().reciprocal()

    def descent(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual y − f and weight 1/(b|y − f|): the parabola that touches |y − f| from above."""
        residual, scale = self._residual(y, values, sigma)
        return residual, (scale * torch.maximum(residual.abs(), SMOOTHED * scale)).reciprocal()

    def _residual(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scale = self._scale(sigma, self.estimate(y, values, sigma))
        residual = torch.where(torch.isfinite(values), y - values, 0.0)
        return residual, torch.where(torch.isfinite(scale), scale, 1.0)

    def _scale(self, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        if sigma is None:
            return parameters
        return torch.atleast_2d(sigma) * (parameters if self.own_scale(sigma) else 0.5**0.5)

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        return 2**0.5 * self._scale(sigma, parameters)

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        uniform = torch.rand(values.shape, generator=generator, dtype=values.dtype, device=values.device) - 0.5
        noise = -uniform.sign() * torch.log1p(-2 * uniform.abs())
        return values + self._scale(sigma, parameters) * noise

    @property
    def heavy_tailed(self) -> bool:
        return True

    def interval(
        self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor, level: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        half = -math.log(1 - level) * self._scale(sigma, parameters)
        return values - half, values + half


LAPLACE = Laplace()
