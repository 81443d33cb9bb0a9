"""How observations scatter: their arrays and error bars as tensors, and the noise model that describes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sr_accessor.device import DTYPE
from sr_accessor.errors import NoiseModelError, SymRegWarning
from sr_accessor.expressions.batch import Expressions
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import Observations
from sr_accessor.plugins.manager import noise_model
from sr_accessor.refinement.likelihood import LawErrors
from sr_accessor.summary import Summary

__all__ = ["deviations", "informed", "likeliest", "measured", "measured_for", "noise_of", "noises_of"]


def noise_of(spec: Any, observations: Observations) -> NoiseModel:
    """The noise model of that name, sure that the observations can come from it, and `informed`.

    Raises
    ------
    UnknownNameError : no such noise model.
    NoiseModelError : measurements, error bars or weights that it cannot describe.
    """
    noise = noise_model(spec)
    if observations.sigma is not None:
        noise.check_sigma(observations.target)
    if observations.sample_weight is not None:
        noise.check_weight()
    sigma = deviations(observations)
    sigma = None if sigma is None else torch.tensor(sigma, dtype=DTYPE)
    noise.check_data(torch.tensor(observations.y, dtype=DTYPE), observations.target, sigma)
    if observations.sigma is not None and not (observations.absolute_sigma or noise.uses_weight):
        text = f"noise model {noise.name!r} takes sigma in units of the target; leave out absolute_sigma=False"
        raise NoiseModelError(text)
    return informed(noise, observations)


#: What noise="auto" chooses from, and values on so many times their least size are worth asking whether errors are
#: relative: within a factor of two nobody can tell.
AUTO, LEAST_RANGE = ("gaussian", "multiplicative", "poisson"), 2.0


def noises_of(spec: Any, observations: Observations) -> tuple[NoiseModel, ...]:
    """The noise models to choose from: one, or for "auto" those that can describe the observations.

    Error bars or weights say that errors are what they say: then "auto" is "gaussian". Otherwise relative errors are
    possible where no value is 0 and the sizes differ, and counting where all values are counts.

    Raises
    ------
    UnknownNameError, NoiseModelError : as `noise_of`
    """
    if spec != "auto":
        return (noise_of(spec, observations),)
    size, possible = np.abs(observations.y), ["gaussian"]
    if deviations(observations) is None:
        if size.min() > 0 and size.max() > LEAST_RANGE * size.min():
            possible.append("multiplicative")
        if (observations.y == np.round(observations.y)).all() and observations.y.min() >= 0:
            possible.append("poisson")
    return tuple(noise_of(name, observations) for name in possible)


def likeliest(bits: Mapping[str, float]) -> tuple[str, SymRegWarning | None]:
    """Which noise model describes the observations in the fewest bits, and a remark that says so; none if one alone."""
    chosen = min(bits, key=bits.__getitem__)
    if len(bits) == 1:
        return chosen, None
    told = ", ".join(f"{name} {amount:.0f} bits" for name, amount in sorted(bits.items(), key=lambda item: item[1]))
    return chosen, SymRegWarning(
        "NOISE", f"noise='auto' took {chosen!r} by description length ({told}); noise= says so"
    )


def measured(
    observations: Observations, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, LawErrors | None]:
    """x (N, D), y (N,), sigma (N,) or None, and errors that depend on the law; copies, as the arrays are read-only."""

    def tensor(array: np.ndarray | None) -> torch.Tensor | None:
        return None if array is None else torch.tensor(array, dtype=DTYPE, device=device)

    sigma, sides, of_x = tensor(deviations(observations)), observations.sigma_sides, tensor(observations.sigma_x)
    errors = None
    if sides is not None or of_x is not None:
        errors = LawErrors(torch.stack([sigma, sigma], 1) if sides is None else tensor(sides), of_x)
    return tensor(observations.x), tensor(observations.y), sigma, errors


def measured_for(
    laws: Expressions, observations: Observations
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """x (N, D), y (N,), and what the residuals of these laws are measured by: (N,), (B, N) where it depends on them."""
    x, y, sigma, errors = measured(observations)
    return x, y, sigma if errors is None else errors.sigma(laws, x, y)


def informed(noise: NoiseModel, observations: Observations | Summary) -> NoiseModel:
    """The noise model, told whether sigma is in units of y or only relative, as a sample_weight always is."""
    if not (observations.has_sigma or observations.has_weight) or not noise.uses_sigma:
        return noise
    return dataclasses.replace(noise, absolute=observations.absolute_sigma)


def deviations(observations: Observations) -> np.ndarray | None:
    """(N,) what each residual is measured by: sigma, or 1/√sample_weight (huge: a row that does not count), or None."""
    if observations.sigma is not None or observations.sample_weight is None:
        return observations.sigma
    return 1 / np.sqrt(np.maximum(observations.sample_weight, np.finfo(float).tiny))
