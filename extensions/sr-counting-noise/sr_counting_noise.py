"""Noise models for counting experiments: a Poisson law with background, and counters that saturate."""

from dataclasses import dataclass

import torch

from sr_accessor import NoiseModel, hookimpl

__all__ = ["CensoredPoisson", "PoissonBackground", "register_noise_models"]

#: Rates below this are told apart by no data, and log(0) is no likelihood.
LEAST = 1e-12


def _poisson(y: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
    """log P(y | rate); -inf for a rate that is not positive, unless y is 0 and so is the rate."""
    positive = torch.xlogy(y, rate.clamp(min=LEAST)) - rate - torch.lgamma(y + 1)
    return torch.where(rate >= LEAST, positive, torch.where((rate >= 0) & (y == 0), 0.0, -torch.inf))


@dataclass(frozen=True)
class PoissonBackground(NoiseModel):
    """y ~ Poisson(f(x) + b): the law is the net signal, b a constant background in counts.

    Parameters
    ----------
    background : b where it is known, e.g. from a measurement without source; None fits it, b >= 0, with the constants
    """

    name: str = "poisson_background"
    support: str = "count"
    uses_sigma: bool = False
    background: float | None = None

    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        return ("b",) if self.background is None else ()

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 1) the most likely b of each candidate, or (B, 0) where it is known.

        Σ y/(f + b) = N, or b at its least. The left side is convex and falls with b, so that Newton's method from
        below rises to the root and never beyond.
        """
        if self.background is not None:
            return super().estimate(y, values, sigma)
        finite = torch.where(torch.isfinite(values), values, 1.0)
        least = (-finite.amin(1, keepdim=True)).clamp(min=0) * (1 + 1e-9)
        b = least + LEAST
        for _ in range(40):
            share = y / (finite + b)
            slope = (share / (finite + b)).sum(1, keepdim=True).clamp(min=LEAST)
            step = (share.sum(1, keepdim=True) - y.shape[-1]) / slope
            b = torch.maximum(b + step.clamp(min=0), least + LEAST)
        return b

    def _rate(self, values: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
        return values + (parameters if self.background is None else self.background)

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        return _poisson(y, self._rate(values, parameters))

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """y - rate with weight 1/rate, Poisson's own curvature."""
        rate = self._rate(values, self.estimate(y, values, sigma))
        fine = torch.isfinite(rate) & (rate >= LEAST)
        return torch.where(fine, y - rate, 0.0), torch.where(fine, 1 / rate, 0.0)

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        return self._rate(values, parameters).clamp(min=LEAST).sqrt()

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if parameters is None:
            parameters = values.new_zeros(len(values), self.degrees(sigma))
        return torch.poisson(self._rate(values, parameters).clamp(min=0), generator=generator)


@dataclass(frozen=True)
class CensoredPoisson(NoiseModel):
    """Counts of a counter that stops at `limit`: y < limit is a count, y >= limit says "at least `limit`".

    Parameters
    ----------
    limit : largest number the counter can hold
    """

    name: str = "censored_poisson"
    support: str = "count"
    uses_sigma: bool = False
    limit: float = 255.0

    def _full(self, rate: torch.Tensor) -> torch.Tensor:
        """log P(n >= limit | rate), which is the regularised incomplete gamma function P(limit, rate).

        Where it would underflow its series: P = p(limit)·Σ rateᵏ/((limit + 1)···(limit + k)) [DLMF 8.11.4].
        """
        term = total = torch.ones_like(rate)
        low = rate.clamp(max=0.5 * self.limit)
        for k in range(1, 60):  # terms halve
            term = term * low / (self.limit + k)
            total = total + term
        limit = torch.tensor(self.limit, dtype=rate.dtype, device=rate.device)
        series = _poisson(limit, low) + total.log()
        direct = torch.special.gammainc(limit.expand_as(rate), rate.clamp(min=0.5 * self.limit)).log()
        return torch.where(rate < 0.5 * self.limit, series, direct)

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        fine = torch.where(values > 0, values, torch.nan)
        found = torch.where(y >= self.limit, self._full(fine), _poisson(y, values))
        return torch.where(values.isnan(), torch.nan, torch.where(found.isnan(), -torch.inf, found))

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Score over expected information. With p(n) = P(n | f), F its sum and c the limit:

        the score is y/f - 1, or h = p(c-1)/P(n >= c) of a full counter; the information is
        p(c-1) - p(c-2) + F(c-2)/f + p(c-1)·h, since E[n; n < c] = f·F(c-2) and E[n(n-1); n < c] = f²·F(c-3).
        """
        fine = torch.isfinite(values) & (values >= LEAST)
        f = torch.where(fine, values, 1.0)
        c = torch.tensor(self.limit, dtype=f.dtype, device=f.device)
        last = _poisson(c - 1, f)
        hazard = (last - self._full(f)).exp()
        below = torch.special.gammaincc((c - 1).expand_as(f), f)  # F(c - 2)
        information = last.exp() - _poisson(c - 2, f).exp() + below / f + last.exp() * hazard
        score = torch.where(y >= self.limit, hazard, y / f - 1)
        told = fine & (information > 1e-300)
        weight = torch.where(told, information, 0.0)
        return torch.where(told, score / information, 0.0), weight

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        return values.clamp(min=LEAST).sqrt()

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return torch.poisson(values.clamp(min=0), generator=generator).clamp(max=self.limit)


@hookimpl
def register_noise_models(registry):
    registry.add(PoissonBackground())
    registry.add(CensoredPoisson("poisson_8bit", limit=255.0))
    registry.add(CensoredPoisson("poisson_16bit", limit=65535.0))
