"""Poisson noise: y counts events whose expected number is the law's value."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.noise.model import NoiseModel

__all__ = ["POISSON", "Poisson"]


@dataclass(frozen=True)
class Poisson(NoiseModel):
    """p(y | f) = fʸ·exp(−f)/y!, with mean and variance f > 0; a law may be 0 only where nothing was counted."""

    name: str = "poisson"
    support: str = "count"
    uses_sigma: bool = False

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        density = torch.xlogy(y, values) - values - torch.lgamma(y + 1)
        return torch.where(values >= 0, density, torch.where(values.isnan(), torch.nan, -torch.inf))

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual y − f and weight 1/f; both zero where f is not positive."""
        sound = torch.isfinite(values) & (values > torch.finfo(values.dtype).tiny)
        return torch.where(sound, y - values, 0.0), torch.where(sound, values, torch.inf).reciprocal()

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        return values.clamp(min=torch.finfo(values.dtype).tiny).sqrt()

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return torch.poisson(values.clamp(min=0), generator=generator)

    def screening_sigma(self, y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        return (y + 1).sqrt()  # a row without a count is not known better than to about one

    def interval(
        self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor, level: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from scipy.stats import poisson

        shares = ((1 - level) / 2, (1 + level) / 2)
        low, high = (poisson.ppf(q, values.clamp(min=0).cpu().numpy()) for q in shares)
        return torch.as_tensor(low).to(values), torch.as_tensor(high).to(values)


POISSON = Poisson()
