"""Optimizer and learning rate: the published Adam, and AdamW for budgets too short for its warm-up.

    paper     Adam; linear 1e-7 -> 2e-4 in 10,000 steps, then 2e-4·√(10,000/step)            [system.md §4]
    stable    AdamW; short warm-up, constant, linear to zero over the last part of the budget [Hu et al. 2024, WSD]
    cosine    AdamW; short warm-up, half a cosine to a tenth over the whole budget            [Loshchilov & Hutter 2017]

A schedule is a function of the step and of the share of the budget that is spent. It knows no data and no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from sr_accessor.errors import UnknownNameError, nearest

__all__ = ["SCHEDULES", "learning_rate", "make_optimizer", "paper_schedule"]

#: Published: first and largest rate, and the steps between them.
PAPER_START, PAPER_PEAK, PAPER_WARMUP = 1e-7, 2e-4, 10_000
#: Steps to the full rate of the modern schedules; pre-norm needs few.
WARMUP = 200
#: `stable` begins to fall when this share of the budget is spent.
FALL = 0.7
#: `cosine` ends at this part of the peak.
FLOOR = 0.1


def paper_schedule(step: int, spent: float = 0.0, peak: float = PAPER_PEAK) -> float:
    """Rate of the published schedule at `step` (0, 1, ...); the budget does not matter."""
    if step < PAPER_WARMUP:
        return PAPER_START + (peak - PAPER_START) * step / PAPER_WARMUP
    return peak * math.sqrt(PAPER_WARMUP / step)


def stable_schedule(step: int, spent: float, peak: float) -> float:
    """Warm-up, constant, and linear to zero; without a budget (`spent` = 0) it stays constant."""
    fall = 1.0 if spent <= FALL else max(0.0, (1.0 - spent) / (1.0 - FALL))
    return peak * min(1.0, (step + 1) / WARMUP) * fall


def cosine_schedule(step: int, spent: float, peak: float) -> float:
    """Warm-up and half a cosine from `peak` to a tenth of it."""
    wave = 0.5 * (1 + math.cos(math.pi * min(1.0, spent)))
    return peak * min(1.0, (step + 1) / WARMUP) * (FLOOR + (1 - FLOOR) * wave)


#: Name -> rate of (step, share of the budget that is spent, peak).
SCHEDULES: dict[str, Callable[[int, float, float], float]] = {
    "paper": paper_schedule,
    "stable": stable_schedule,
    "cosine": cosine_schedule,
}


def learning_rate(schedule: str, step: int, spent: float, peak: float) -> float:
    """Rate at a step.

    Parameters
    ----------
    schedule : "paper", "stable" or "cosine"
    step : updates made so far
    spent : share of the budget (time or steps) that is spent, 0 without a budget
    peak : largest rate

    Raises
    ------
    UnknownNameError : no schedule of that name.
    """
    if schedule not in SCHEDULES:
        raise UnknownNameError(f"no schedule {schedule!r}; {nearest(schedule, SCHEDULES)}")
    return SCHEDULES[schedule](step, spent, peak)


def make_optimizer(model: nn.Module, schedule: str) -> torch.optim.Optimizer:
    """Adam as published for "paper", else AdamW; its rate is set before every step.

    AdamW shrinks matrices only: norms, biases and embeddings of rare tokens would be pulled to zero by it.
    """
    if schedule == "paper":
        return torch.optim.Adam(model.parameters(), lr=PAPER_START, betas=(0.9, 0.999), eps=1e-8)
    matrices = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
    of_matrices = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in of_matrices]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), eps=1e-8)
