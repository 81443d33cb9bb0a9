"""Negative binomial noise: counts that scatter more than Poisson, variance f + α·f² with an own α."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from sr_accessor.noise.model import NoiseModel
from sr_accessor.noise.newton import minimum

__all__ = ["NEGATIVE_BINOMIAL", "NegativeBinomial"]

#: α below the first is Poisson to all digits that matter; above the second hardly anything is ever counted.
LEAST_ALPHA, MOST_ALPHA = 1e-6, 1e3


@dataclass(frozen=True)
class NegativeBinomial(NoiseModel):
    """p(y | f) with mean f > 0 and variance f + α·f² (NB2) [Hilbe 2011, §8.2]: a Poisson count of a rate that varies.

    α is fitted; 1/α is the "size" of other programs.
    """

    name: str = "negative_binomial"
    support: str = "count"
    uses_sigma: bool = False

    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        return ("alpha",)

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 1) the most likely α."""
        f = torch.where(_positive(values), values, 1.0)

        def slopes(log_alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            k = (-log_alpha).exp()
            share = (k + f).reciprocal()
            first = torch.digamma(y + k) - torch.digamma(k) + (k * share).log() + (f - y) * share
            trigamma = torch.special.polygamma
            second = trigamma(1, y + k) - trigamma(1, k) + f * share / k - (f - y) * share.square()
            first, second = first.sum(1, keepdim=True), second.sum(1, keepdim=True)
            return k * first, -k * first - k.square() * second  # by log α = −log k, of minus the log-likelihood

        excess = ((y - f).square() - f).mean(1, keepdim=True) / f.square().mean(1, keepdim=True)
        start = excess.clamp(1e-3, 1e2).log()
        return minimum(slopes, start, math.log(LEAST_ALPHA), math.log(MOST_ALPHA)).exp()

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        k = parameters.reciprocal()
        f = torch.where(_positive(values), values, 1.0)
        ways = torch.lgamma(y + k) - torch.lgamma(k) - torch.lgamma(y + 1)
        density = ways - k * torch.log1p(f / k) + torch.xlogy(y, f / (k + f))
        return torch.where(_positive(values), density, torch.where(values.isnan(), torch.nan, -torch.inf))

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual y − f and weight 1/(f + α·f²); both zero where f is not positive."""
        return _curvature(y, values, self.estimate(y, values, sigma))

    def assess(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        own = self.estimate(y, values, sigma)
        return self.total(self.log_density(y, values, sigma, own), values), *_curvature(y, values, own)

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        f = values.clamp(min=torch.finfo(values.dtype).tiny)
        return (f + parameters * f.square()).sqrt()

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        k = parameters.reciprocal().expand_as(values).contiguous()
        rate = torch._standard_gamma(k, generator=generator) / k
        return torch.poisson(values.clamp(min=0) * rate, generator=generator)

    def screening_sigma(self, y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        return y + 1  # between Poisson's √y and this; large counts are the ones that scatter more

    def interval(
        self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor, level: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from scipy.stats import nbinom

        k = parameters.reciprocal()
        f = values.clamp(min=torch.finfo(values.dtype).tiny)
        size, chance = (t.expand_as(values).cpu().numpy() for t in (k, k / (k + f)))
        low, high = (nbinom.ppf(q, size, chance) for q in ((1 - level) / 2, (1 + level) / 2))
        return torch.as_tensor(low).to(values), torch.as_tensor(high).to(values)


def _positive(values: torch.Tensor) -> torch.Tensor:
    return torch.isfinite(values) & (values > 0)


def _curvature(y: torch.Tensor, values: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    sound = _positive(values)
    f = torch.where(sound, values, 1.0)
    weight = (f + alpha * f.square()).reciprocal()
    return torch.where(sound, y - f, 0.0), torch.where(sound, weight, 0.0)


NEGATIVE_BINOMIAL = NegativeBinomial()
