"""Rows of a benchmark problem: inputs drawn from ranges, SRBench's train/test split, target noise.

It knows ranges and generators, not formulas. The order of the draws is part of the protocol: it must not change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["Variable", "add_noise", "grid_inputs", "sample_inputs", "split_indices"]


@dataclass(frozen=True)
class Variable:
    """An input and where its values lie.

    Parameters
    ----------
    low, high : ends of the range, in the problem's own unit
    distribution : "uniform", "loguniform", "integer" (ends included), "grid" or "observed"
    points : values per axis of a grid
    """

    name: str
    low: float
    high: float
    distribution: str = "uniform"
    points: int | None = None

    def widened(self, factor: float) -> Variable:
        """The same variable on a range `factor` times as wide; a positive range stays positive."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2 * factor
        low = max(middle - half, self.low / factor) if self.low > 0 else middle - half
        return Variable(self.name, low, middle + half, self.distribution, self.points)


def sample_inputs(variables: Sequence[Variable], rows: int, random: np.random.Generator) -> pd.DataFrame:
    """`rows` independent points; "grid" and "observed" are drawn uniformly over their range."""
    columns = {}
    for v in variables:
        if v.distribution == "loguniform":
            columns[v.name] = 10.0 ** random.uniform(math.log10(v.low), math.log10(v.high), rows)
        elif v.distribution == "integer":
            columns[v.name] = random.integers(int(v.low), int(v.high) + 1, rows).astype(float)
        else:
            columns[v.name] = random.uniform(v.low, v.high, rows)
    return pd.DataFrame(columns)


def grid_inputs(variables: Sequence[Variable]) -> pd.DataFrame:
    """The product grid of variables that carry a number of `points`."""
    axes = [np.linspace(v.low, v.high, v.points) for v in variables]
    mesh = np.meshgrid(*axes, indexing="ij")
    return pd.DataFrame({v.name: m.ravel() for v, m in zip(variables, mesh, strict=True)})


def split_indices(rows: int, seed: int, test_share: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (train, test), identical to scikit-learn's `train_test_split` with random_state=seed."""
    n_test = math.ceil(test_share * rows)
    n_train = math.floor((1 - test_share) * rows)
    permutation = np.random.RandomState(seed).permutation(rows)
    return permutation[n_test : n_test + n_train], permutation[:n_test]


def add_noise(y: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    """SRBench's target noise: y + Normal(0, level · sqrt(mean(y²)))."""
    if level == 0:
        return y.copy()
    return y + random.normal(0.0, level * np.sqrt(np.mean(np.square(y))), size=len(y))
