"""Multiplicative noise y = f·(1 + γξ) with normal ξ: the same relative error γ everywhere, profiled out."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.noise.model import FLOOR, NoiseModel, normal_like, normal_log_density

__all__ = ["MULTIPLICATIVE", "Multiplicative"]


@dataclass(frozen=True)
class Multiplicative(NoiseModel):
    """y = f(x)·(1 + γξ), ξ standard normal [Kamienny et al. 2022, section 4.1]; γ² = mean of ((y − f)/f)².

    The loss is N/2·(log(2π γ²) + 1) + Σ log |f|: a law cannot win by large values, which only widen the spread. |f|
    counts as at least `FLOOR` times the root mean square of y, so that a law may be 0 where y is 0.
    """

    name: str = "multiplicative"
    uses_sigma: bool = False

    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        return ("gamma",)

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, 1) the relative error γ."""
        share = ((y - values) / self._size(y, values)).square().mean(1, keepdim=True).sqrt()
        return share.clamp(min=FLOOR)

    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        spread = parameters * self._size(y, values)
        return normal_log_density(y - values, spread)

    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight 1/(γf)² and a residual that also sees how the spread grows with |f|.

        The expected curvature is (1 + 2γ²)/(γf)²; its second part is what f would tell if γ were known, and is
        left out since γ is fitted to the same rows.
        """
        finite = torch.isfinite(values)
        values = torch.where(finite, values, 1.0)
        size = self._size(y, values)
        weight = (self.estimate(y, values, sigma) * size).square().reciprocal()
        error = y - values
        turn = torch.where(values.abs() < size, 0.0, 1 / values)  # the slope of log |f|
        residual = error + error.square() * turn - turn / weight
        sound = finite & torch.isfinite(residual) & torch.isfinite(weight)
        return torch.where(sound, residual, 0.0), torch.where(sound, weight, 0.0)

    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        return parameters * values.abs().clamp(min=torch.finfo(values.dtype).tiny ** 0.5)

    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return values * (1 + parameters * normal_like(values, generator))

    def screening_sigma(self, y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        return relative_sigma(y)

    @staticmethod
    def _size(y: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        least = FLOOR * torch.atleast_2d(y).square().mean(1, keepdim=True).sqrt()
        return torch.maximum(values.abs(), least + torch.finfo(y.dtype).tiny ** 0.5)


def relative_sigma(y: torch.Tensor) -> torch.Tensor:
    """|y|, but not less than a thousandth of its median: a row that happens to be near 0 must not rule the others."""
    size = y.abs()
    return size + 1e-3 * size.median(-1, keepdim=True).values + torch.finfo(y.dtype).tiny ** 0.5


MULTIPLICATIVE = Multiplicative()
