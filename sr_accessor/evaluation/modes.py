"""Modes: the paper's four ways from points to a law: whose structure, whose first constants, refined or not.

The network draws as many sequences as the paper keeps, at the paper's temperature, and SciPy's BFGS (or our own
refinement) improves all of them. The law of least squared error over the given points is judged at fresh ones
[Kamienny et al. 2022, Table 2; system.md §5, §6.1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from sr_accessor.decoding.draft import draft
from sr_accessor.errors import InputError
from sr_accessor.evaluation.metrics import accuracy_within, r2
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.refinement.bfgs import bfgs
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.solution import Refined
from sr_accessor.transformer.checkpoint import load
from sr_accessor.transformer.model import Transformer

__all__ = ["REFINEMENTS", "TOLERANCES", "Mode", "modes_of", "scores", "values_of"]

#: Sequences drawn for a function, all of them refined, and their temperature, as published.
SAMPLES, TEMPERATURE = 10, 0.1
TOLERANCES = (0.1, 0.01, 0.001)
#: What improves the constants: as published, or what the library itself does, all candidates at once.
REFINEMENTS: Mapping[str, Callable[..., Refined]] = {"bfgs": bfgs, "lm": levenberg_marquardt}


@dataclass(frozen=True)
class Mode:
    """One way from points to a law.

    Parameters
    ----------
    model : writes the drafts
    refined : whether their constants are improved
    random_start : whether their constants are N(0, 1) draws instead of what the network wrote
    refinement : of `REFINEMENTS`
    """

    name: str
    model: Transformer
    refined: bool
    random_start: bool = False
    refinement: str = "bfgs"

    def law(
        self, x: torch.Tensor, y: torch.Tensor, vocabulary: Vocabulary, random: torch.Generator
    ) -> Expressions | None:
        """The law of least squared error at the points x (N, D), y (N,); None where no draft is valid at all."""
        drafts = draft(
            self.model, x, y, vocabulary=vocabulary, generator=random, samples=SAMPLES, temperature=TEMPERATURE,
            random_start=self.random_start,
        ).expressions  # fmt: skip
        if self.refined:
            refined = REFINEMENTS[self.refinement](drafts, x, y)
            drafts, loss = refined.expressions, refined.loss
        else:
            values, valid = evaluate(drafts, x)
            loss = torch.where(valid, (values - y).square(), torch.inf).sum(1)
        usable = loss.isfinite().nonzero()[:, 0]
        return drafts[usable[loss[usable].argmin()][None]].trimmed() if len(usable) else None


def modes_of(weights: str | Path, skeleton: str | Path | None = None, refinement: str = "bfgs") -> list[Mode]:
    """The modes of a network that writes constants; the first, "skeleton + BFGS", only with `skeleton` weights.

    `refinement`, of `REFINEMENTS`, gives the modes their names.

    Raises
    ------
    InputError : `weights` write skeletons, or `skeleton` writes constants.
    """
    model = load(weights).model
    if model.config.targets != "e2e":
        raise InputError(f"{weights} writes skeletons without constants: give it as --skeleton, and other --weights")
    found = [
        Mode("E2E, no BFGS", model, refined=False),
        Mode("E2E + BFGS, N(0,1) in place of its constants", model, refined=True, random_start=True),
        Mode("E2E + BFGS from its constants", model, refined=True),
    ]
    if skeleton is not None:
        other = load(skeleton).model
        if other.config.targets != "skeleton":
            raise InputError(f"{skeleton} writes constants; --skeleton needs weights trained with --targets skeleton")
        found.insert(0, Mode("skeleton + BFGS", other, refined=True))
    return [replace(m, name=m.name.replace("BFGS", refinement.upper()), refinement=refinement) for m in found]


def scores(y: np.ndarray, prediction: np.ndarray) -> dict[str, float | bool]:
    """R², not below 0, and whether the prediction is within each tolerance at 95 % of the points, as published.

    A prediction that is not finite somewhere has R² = 0; it counts.
    """
    largest = np.abs(y).max()  # squares of y = 1e200 would overflow
    goodness = r2(y / largest, prediction / largest) if largest > 0 else r2(y, prediction)
    return {"R2": max(0.0, goodness)} | {f"Acc {t:g}": accuracy_within(y, prediction, t) for t in TOLERANCES}


def values_of(law: Expressions | None, x: torch.Tensor) -> np.ndarray:
    """A law's values at points (N, D); NaN where it has none."""
    if law is None:
        return np.full(len(x), np.nan)
    values, valid = evaluate(law, x)
    return torch.where(valid, values, torch.nan)[0].numpy()
