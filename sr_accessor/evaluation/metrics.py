"""Scores of predictions: R², accuracy within a tolerance, equality up to one constant.

A prediction that is not finite somewhere scores worst; it is never dropped, since averages over what is left
flatter a method (system.md §6.1).
"""

from __future__ import annotations

import numpy as np

__all__ = ["SOLVED_R2", "accuracy_within", "equal_up_to_constant", "r2"]

#: SRBench's "accuracy solution" is a test R² above this.
SOLVED_R2 = 0.999


def r2(y: np.ndarray, prediction: np.ndarray) -> float:
    """Coefficient of determination as scikit-learn computes it; -inf where a prediction is not finite."""
    if y.shape != prediction.shape:
        raise ValueError(f"y has shape {y.shape}, the prediction {prediction.shape}; give one value per row")
    if not np.isfinite(prediction).all():
        return float("-inf")
    with np.errstate(over="ignore"):
        residual = float(np.sum((y - prediction) ** 2))
    total = float(np.sum((y - y.mean()) ** 2))
    if total == 0.0:
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / total


def accuracy_within(y: np.ndarray, prediction: np.ndarray, tolerance: float, discard: float = 0.05) -> bool:
    """Acc_τ of Kamienny et al. 2022: |ŷ − y| ≤ τ|y| at all points but the worst 5 %."""
    close = np.abs(prediction - y) <= tolerance * np.abs(y)  # NaN compares false: a miss
    return bool(np.mean(close) >= 1 - discard)


def equal_up_to_constant(y: np.ndarray, prediction: np.ndarray, tolerance: float) -> bool:
    """Whether two functions, seen at the same points, differ by one added or one multiplied constant only.

    Parameters
    ----------
    y, prediction : (N,) values; points where either is not finite do not count, at least 20 must be left
    tolerance : largest deviation, relative to the spread of y (added) or to the factor (multiplied)
    """
    both = np.isfinite(y) & np.isfinite(prediction)
    if both.sum() < 20:
        return False
    y, prediction = y[both], prediction[both]
    if np.ptp(prediction) <= 1e-12 * np.abs(prediction).max():
        return False  # a constant is nobody's law
    with np.errstate(over="ignore", invalid="ignore"):
        shift = y - prediction
        if np.max(np.abs(shift - np.median(shift))) <= tolerance * np.std(y):
            return True
        large = np.abs(y) > 1e-12 * np.abs(y).max()
        factor = prediction[large] / y[large]
        middle = np.median(factor)
        return bool(abs(middle) > 0 and np.max(np.abs(factor - middle)) <= tolerance * abs(middle))
