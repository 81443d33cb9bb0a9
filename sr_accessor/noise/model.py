"""NoiseModel: the distribution of y around f(x); log-likelihood, curvature weights, samples, own parameters.

A model's own parameters (a scale, a Student-t's degrees of freedom, a dispersion) are fitted jointly with the
constants of a law by profiling: `estimate` gives their best values for given predictions, candidate by candidate,
and every other method takes them as `parameters` (B, P). It knows numbers; it does not know expressions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from scipy.special import ndtri

from sr_accessor.errors import NoiseModelError

__all__ = ["SUPPORTS", "NoiseModel", "least_scale", "normal_like", "normal_log_density"]

#: Which measured values a model can describe: test of y (N,), and the words for it.
SUPPORTS = {
    "real": (torch.isfinite, "finite numbers"),
    "nonzero": (lambda y: torch.isfinite(y) & (y != 0), "numbers other than 0"),
    "positive": (lambda y: torch.isfinite(y) & (y > 0), "positive numbers"),
    "nonnegative": (lambda y: torch.isfinite(y) & (y >= 0), "numbers that are not negative"),
    "count": (lambda y: torch.isfinite(y) & (y >= 0) & (y == y.round()), "counts 0, 1, 2, ..."),
    "fraction": (lambda y: torch.isfinite(y) & (y >= 0) & (y <= 1), "numbers from 0 to 1"),
    "successes": (lambda y: torch.isfinite(y) & (y >= 0) & (y <= 1), "shares of successes, from 0 to 1"),
}

#: A law that is exact still leaves rounding errors of a few float64 steps. Below this fraction of rms(y) residuals
#: are not told apart, so that of two exact laws the simpler wins and not the luckier in rounding.
FLOOR = 8 * torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class NoiseModel(ABC):
    """How y scatters around the values of a law.

    Parameters
    ----------
    name : identifier, unique among noise models
    support : one of `SUPPORTS`, the measured values it can describe
    uses_sigma : False where the distribution itself tells the spread, as counting does; error bars are then refused
    uses_weight : whether `sample_weight` means something; it then comes as sigma = 1/√weight, and is relative
    absolute : whether sigma is in units of y; False: only its ratios count, and one scale is an own parameter

    Shapes in all methods: y (N,) measured, values (B, N) predicted by B candidates, sigma (N,) the stated error
    bars in units of y or None, parameters (B, P) the model's own. Everything float64. y and sigma may also be (B, N),
    where every candidate has measurements or error bars of its own.
    """

    name: str
    support: str = "real"
    uses_sigma: bool = True
    uses_weight: bool = False
    absolute: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise NoiseModelError(f"noise model name {self.name!r} must be an identifier such as 'student_t'")
        if self.support not in SUPPORTS:
            raise NoiseModelError(f"noise model {self.name!r}: support must be one of {', '.join(SUPPORTS)}")

    # ------------------------------------------------------------------ what a model must say
    @abstractmethod
    def log_density(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor
    ) -> torch.Tensor:
        """(B, N) log p(y | values), normalised, in nats; NaN or -inf where `values` cannot be."""

    @abstractmethod
    def working(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual r and weight w >= 0 of (iteratively reweighted) Gauss-Newton, broadcastable to (B, N).

        w is the expected curvature of the negative log-likelihood in the predicted value, and -w·r its slope
        [McCullagh & Nelder 1989, §2.5], own parameters held at their estimate. Steps solve least squares in
        (r, w); whether a step helped is judged by `negative_log_likelihood`, never by Σ w·r². Both are zero
        where a prediction is not finite.
        """

    @abstractmethod
    def dispersion(self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor) -> torch.Tensor:
        """Standard deviation of y around `values`, broadcastable to (B, N), in units of y."""

    @abstractmethod
    def sample(
        self,
        generator: torch.Generator,
        values: torch.Tensor,
        sigma: torch.Tensor | None = None,
        parameters: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, N) simulated measurements around `values`; sigma, or parameters (B, P), tell the spread."""

    # ------------------------------------------------------------------ what follows
    def own_names(self, sigma: torch.Tensor | None) -> tuple[str, ...]:
        """What the P own parameters that are estimated from the data are called; none unless a model says otherwise."""
        return ()

    def degrees(self, sigma: torch.Tensor | None) -> int:
        """P, the number of own parameters."""
        return len(self.own_names(sigma))

    def estimate(self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(B, P) most likely own parameters for each candidate's values; finite where these are."""
        return values.new_empty(len(values), 0)

    def negative_log_likelihood(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B,) nats over all rows, own parameters at their estimate; +inf where any prediction cannot be."""
        return self.total(self.log_density(y, values, sigma, self.estimate(y, values, sigma)), values)

    def descent(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual and weight for steps of refinement: -w·r is the slope too, but w may be another curvature.

        `working` unless a model has weights from which steps get further, such as those of a majorising parabola.
        """
        return self.working(y, values, sigma)

    def assess(
        self, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """`negative_log_likelihood` (B,), and residual and weight of `descent`: what each step of refinement asks.

        A model that estimates own parameters does so once for all three.
        """
        return self.negative_log_likelihood(y, values, sigma), *self.descent(y, values, sigma)

    def total(self, density: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """(B,) loss from log densities (B, N); +inf where any prediction cannot be."""
        loss = -density.sum(1)
        return torch.where(torch.isfinite(values).all(1) & ~loss.isnan(), loss, torch.inf)

    def screening_sigma(self, y: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        """(N,) spread of each y guessed from the measurements alone, up to a factor.

        For least squares where no law is known yet: linear screens, and the first steps of refinement.
        """
        return torch.ones_like(y) if sigma is None else sigma

    @property
    def heavy_tailed(self) -> bool:
        """Whether a few rows may lie far off the law: screens, which are least squares, must do without these."""
        return False

    def interval(
        self, values: torch.Tensor, sigma: torch.Tensor | None, parameters: torch.Tensor, level: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) lower and upper limit that hold a new measurement with probability `level`, as much on each side."""
        half = float(ndtri(0.5 + level / 2)) * self.dispersion(values, sigma, parameters)
        return values - half, values + half

    def check_data(self, y: torch.Tensor, label: Hashable, sigma: torch.Tensor | None = None) -> None:
        """Check that measurements can come from this model.

        Raises
        ------
        NoiseModelError : names the column `label`, the first bad row and its value; or error bars were given to
            a model that has no use for them.
        """
        if sigma is not None:
            self.check_sigma(label)
        test, words = SUPPORTS[self.support]
        bad = (~test(y)).nonzero()[:, 0]
        if len(bad):
            row = int(bad[0])
            raise NoiseModelError(
                f"column {label!r}, row {row} is {float(y[row])!r} ({len(bad)} such rows): noise model {self.name!r} "
                f"describes {words}; mend the rows, or take noise='gaussian', 'student_t' or 'laplace'"
            )

    def check_sigma(self, label: Hashable) -> None:
        """Raise NoiseModelError where error bars of column `label` mean nothing."""
        if not self.uses_sigma:
            raise NoiseModelError(
                f"column {label!r} has error bars, but noise model {self.name!r} tells the spread itself; "
                "leave sigma out, or use noise='gaussian'"
            )

    def check_weight(self) -> None:
        """Raise NoiseModelError where `sample_weight` means nothing."""
        if not self.uses_weight:
            raise NoiseModelError(
                f"sample_weight means nothing to noise model {self.name!r}: its spread follows from the law's value; "
                "leave it out, or repeat the rows"
            )

    def own_scale(self, sigma: torch.Tensor | None) -> bool:
        """Whether the scale of the scatter is estimated rather than stated."""
        return sigma is None or not self.absolute


def least_scale(y: torch.Tensor, sigma: torch.Tensor | None = None, floor: float = FLOOR) -> torch.Tensor:
    """The smallest scale, in units of sigma if given, that residuals of an exact law are said to have: (1 or B, 1)."""
    size = torch.atleast_2d(y if sigma is None else y / sigma).square().mean(1, keepdim=True).sqrt()
    return floor * size + torch.finfo(y.dtype).tiny ** 0.5


def normal_log_density(error: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """log of the normal density at `error`, in nats; both broadcastable to (B, N), in the same unit."""
    return -(error / spread).square() / 2 - spread.log() - math.log(2 * math.pi) / 2


def normal_like(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Standard normal numbers, one for each of `values`."""
    return torch.randn(values.shape, generator=generator, dtype=values.dtype, device=values.device)
