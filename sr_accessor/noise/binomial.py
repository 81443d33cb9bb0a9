"""Binomial noise: y is the share of successes among n trials, the law their probability."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch

from sr_accessor.errors import NoiseModelError
from sr_accessor.noise.model import NoiseModel

__all__ = ["BINOMIAL", "Binomial"]

#: A share times its number of trials may miss a whole number by this much (of 1): shares are stored rounded.
ROUNDED = 1e-3


@dataclass(frozen=True)
class Binomial(NoiseModel):
    """n·y successes of n trials, each with probability f(x), 0 < f < 1.

    The number of trials of each row is its `sample_weight`, as in R's glm [McCullagh & Nelder 1989, §4.1], and comes as
    sigma = 1/√n; without, every row is one trial and y is 0 or 1.
    """

    name: str = "binomial"
    support: str = "successes"
    uses_sigma: bool = False
    uses_weight: bool = True

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        n = _trials(y, sigma)
        ways = torch.lgamma(n + 1) - torch.lgamma(n * y + 1) - torch.lgamma(n * (1 - y) + 1)
        density = ways + torch.xlogy(n * y, values) + torch.xlogy(n * (1 - y), 1 - values)
        possible = (values >= 0) & (values <= 1)
        return torch.where(possible, density, torch.where(values.isnan(), torch.nan, -torch.inf))

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual y − f and weight n/(f(1 − f)); both zero where f is not inside (0, 1)."""
        sound = (values > 0) & (values < 1)
        f = torch.where(sound, values, 0.5)
        weight = _trials(y, sigma) / (f * (1 - f))
        return torch.where(sound, y - f, 0.0), torch.where(sound, weight, 0.0)

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        f = values.clamp(1e-12, 1 - 1e-12)
        return (f * (1 - f)).sqrt() if sigma is None else (f * (1 - f)).sqrt() * sigma

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        n = _trials(values, sigma).expand_as(values).round()
        return torch.binomial(n, values.clamp(0, 1), generator=generator) / n

    def screening_sigma(self, y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        n = _trials(y, sigma)
        p = (n * y + 0.5) / (n + 1)
        return (p * (1 - p) / n).sqrt()

    def interval(
        self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor, level: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from scipy.stats import binom

        n = _trials(values, sigma).expand_as(values).round().cpu().numpy()
        f = values.clamp(0, 1).cpu().numpy()
        low, high = (binom.ppf(q, n, f) / n for q in ((1 - level) / 2, (1 + level) / 2))
        return torch.as_tensor(low).to(values), torch.as_tensor(high).to(values)

    def check_data(self, y: torch.Tensor, label: Hashable, sigma: torch.Tensor | None = None) -> None:
        """Shares between 0 and 1 that are whole numbers of successes.

        Raises
        ------
        NoiseModelError : names the column, the first bad row, its value and its number of trials.
        """
        super().check_data(y, label)
        n = _trials(y, sigma).expand_as(y)
        bad = ((n * y - (n * y).round()).abs() > ROUNDED * n.clamp(min=1)).nonzero()[:, 0]
        if len(bad):
            row = int(bad[0])
            raise NoiseModelError(
                f"column {label!r}, row {row} is {float(y[row])!r} ({len(bad)} such rows): of {float(n[row]):g} trials "
                f"that is no whole number of successes; noise model {self.name!r} takes the number of trials of each "
                'row as sample_weight, e.g. sample_weight="trials"'
            )


def _trials(y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
    """Trials of each row, broadcastable to (B, N)."""
    return y.new_ones(1) if sigma is None else sigma.square().reciprocal()


BINOMIAL = Binomial()
