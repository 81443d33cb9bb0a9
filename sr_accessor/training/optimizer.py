"""Optimizer and learning rate: the published Adam, and Muon for budgets too short for its warm-up.

    paper     Adam; linear 1e-7 -> 2e-4 in 10,000 steps, then 2e-4·√(10,000/step)            [system.md §4]
    stable    Muon; short warm-up, constant, linear to zero over the last part of the budget [Hu et al. 2024, WSD]
    cosine    Muon; short warm-up, half a cosine to a tenth over the whole budget            [Loshchilov & Hutter 2017]
    adam      the published Adam with the rates of `stable`: tells what the optimizer does from what the schedule does

A schedule is a function of the step and of the share of the budget that is spent. It knows no data and no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from sr_accessor.errors import UnknownNameError, nearest
from sr_accessor.training.precision import has_bfloat16

__all__ = ["SCHEDULES", "Muon", "learning_rate", "make_optimizer", "paper_schedule"]

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
    "adam": stable_schedule,
}


def learning_rate(schedule: str, step: int, spent: float, peak: float) -> float:
    """Rate at a step.

    Parameters
    ----------
    schedule : of `SCHEDULES`
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
    """Adam as published for "paper" and "adam", else `Muon`; its rate is set before every step."""
    if schedule in ("paper", "adam"):
        return torch.optim.Adam(model.parameters(), lr=PAPER_START, betas=(0.9, 0.999), eps=1e-8)
    return Muon(model)


class Muon(torch.optim.Optimizer):
    """Steps of matrices made orthogonal [Jordan 2024, "Muon"]; Adam for everything else.

    What it brings beside Adam: `evaluation ablations recipe adam`. Steps are scaled to the size of Adam's, so that one
    rate serves both [Liu et al. 2025, arXiv:2502.16982, §2.2]. Only matrices shrink: norms, biases and embeddings of
    rare tokens would be pulled to zero by it.
    """

    #: Parts of the older mean that are kept: of gradients of matrices, of other gradients, of their squares.
    MOMENTUM, FIRST, SECOND = 0.95, 0.9, 0.95
    DECAY = 0.05

    def __init__(self, model: nn.Module):
        matrices: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for module in model.modules():
            if isinstance(module, nn.Linear):
                matrices.setdefault(tuple(module.weight.shape), []).append(module.weight)
        groups = [{"params": alike, "weight_decay": self.DECAY} for alike in matrices.values()]
        grouped = {id(p) for alike in matrices.values() for p in alike}
        others = [p for p in model.parameters() if id(p) not in grouped]
        super().__init__([*groups, {"params": others, "weight_decay": 0.0}], {"lr": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step along the gradients; all parameters must have one."""
        for group in self.param_groups:
            for p in group["params"]:
                if not self.state[p]:
                    self.state[p] = {"mean": torch.zeros_like(p)}
                    if not group["weight_decay"]:
                        self.state[p] |= {"square": torch.zeros_like(p), "step": torch.zeros(())}
            (self._step_matrices if group["weight_decay"] else self._step_others)(group)

    def _step_matrices(self, group: dict) -> None:
        """Matrices of one shape, all at once."""
        parameters, rate = group["params"], group["lr"]
        gradients = [p.grad for p in parameters]
        means = [self.state[p]["mean"] for p in parameters]
        torch._foreach_lerp_(means, gradients, 1 - self.MOMENTUM)
        ahead = torch.stack(torch._foreach_lerp(gradients, means, self.MOMENTUM))
        size = 0.2 * math.sqrt(max(ahead.shape[1:]))
        torch._foreach_mul_(parameters, 1 - rate * group["weight_decay"])
        torch._foreach_add_(parameters, list(orthogonal(ahead).unbind(0)), alpha=-rate * size)

    def _step_others(self, group: dict) -> None:
        for p in group["params"]:
            kept = self.state[p]
            kept["step"] += 1
            kept["mean"].lerp_(p.grad, 1 - self.FIRST)
            kept["square"].lerp_(p.grad.square(), 1 - self.SECOND)
            count = float(kept["step"])
            mean, square = kept["mean"] / (1 - self.FIRST**count), kept["square"] / (1 - self.SECOND**count)
            p.addcdiv_(mean, square.sqrt() + 1e-8, value=-group["lr"])


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """(n, R, C) matrices with all singular values moved to about 1: five Newton-Schulz steps, coefficients of Muon."""
    x = matrices.bfloat16() if has_bfloat16(matrices.device) else matrices
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (torch.linalg.matrix_norm(x.float(), keepdim=True) + 1e-7).to(x)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrices)
