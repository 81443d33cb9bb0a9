"""Minimum of a function of one number, many at once: Newton's steps inside a shrinking bracket."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["minimum"]

#: Steps at most, and the step below which a number counts as found. Newton's last steps double the digits.
STEPS, FOUND = 60, 1e-5


def minimum(
    slopes: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    start: torch.Tensor,
    low: torch.Tensor | float,
    high: torch.Tensor | float,
) -> torch.Tensor:
    """(B, 1) where functions with one minimum between `low` and `high` have it; the border, if they fall towards it.

    Parameters
    ----------
    slopes : (B, 1) numbers -> first and second derivatives there, (B, 1) each
    start : (B, 1)

    A step that leaves the bracket, or where the curvature is not positive, is replaced by halving the bracket.
    """
    low, high = (torch.as_tensor(limit).to(start).expand_as(start).clone() for limit in (low, high))
    # A function that falls all the way is asked at its border first, not after thirty halvings.
    at_low, at_high = slopes(low)[0] >= 0, slopes(high)[0] <= 0
    border = torch.where(at_low, low, high)
    settled = at_low | at_high
    at = start.clamp(low, high)
    for _ in range(STEPS):
        slope, curvature = slopes(at)
        low, high = torch.where(slope < 0, at, low), torch.where(slope > 0, at, high)
        step = at - slope / curvature
        good = (curvature > 0) & (step > low) & (step < high)
        new = torch.where(good, step, torch.where(slope == 0, at, (low + high) / 2))
        moved = (new - at).abs()
        at = new
        if bool(((moved < FOUND) | settled).all()):
            break
    return torch.where(settled, border, at)
