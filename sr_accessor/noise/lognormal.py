"""Log-normal noise: log |y| scatters normally around log |f|, and the sign of y is that of the law."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.special import ndtri

from sr_accessor.noise.model import FLOOR, NoiseModel, normal_like, normal_log_density
from sr_accessor.noise.multiplicative import relative_sigma

__all__ = ["LOGNORMAL", "Lognormal"]


@dataclass(frozen=True)
class Lognormal(NoiseModel):
    """y = f(x)·exp(sε), ε standard normal: f is the median of y; s² is the mean of log²(y/f).

    y and f have the same sign everywhere; a law without it has likelihood 0.
    """

    name: str = "lognormal"
    support: str = "nonzero"
    uses_sigma: bool = False

    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        return ("s",)

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 1) the standard deviation s of log y; rows of the wrong sign are left out."""
        log, sound = self._logarithm(y, values)
        return (log.square().sum(1, keepdim=True) / sound.sum(1, keepdim=True).clamp(min=1)).sqrt().clamp(min=FLOOR)

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        log, sound = self._logarithm(y, values)
        density = normal_log_density(log, parameters) - y.abs().log()
        return torch.where(sound, density, torch.where(values.isnan(), torch.nan, -torch.inf))

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual f·log(y/f) and weight 1/(s f)²; both zero where the sign is wrong."""
        log, sound = self._logarithm(y, values)
        size = torch.where(sound, values, 1.0)
        weight = (self.estimate(y, values, sigma) * size).square().reciprocal()
        return size * log, torch.where(sound & torch.isfinite(weight), weight, 0.0)

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        square = parameters.square()
        return values.abs().clamp(min=torch.finfo(values.dtype).tiny ** 0.5) * (square.expm1() * square.exp()).sqrt()

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return values * (parameters * normal_like(values, generator)).exp()

    def screening_sigma(self, y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        return relative_sigma(y)

    def interval(
        self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor, level: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        half = float(ndtri(0.5 + level / 2)) * parameters
        one, two = values * (-half).exp(), values * half.exp()
        return torch.minimum(one, two), torch.maximum(one, two)

    @staticmethod
    def _logarithm(y: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """log(y/f), zero where there is none, and where there is one."""
        share = y / values
        sound = torch.isfinite(values) & torch.isfinite(share) & (share > 0)
        return torch.where(sound, share, 1.0).log(), sound


LOGNORMAL = Lognormal()
