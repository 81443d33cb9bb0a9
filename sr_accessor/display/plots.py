"""Plots of a fit as plain arrays: front, parity, residuals, their histogram, the law over an input; drawn by others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    *("BLUE", "GREY", "ORANGE", "Layer", "Plot", "at_rows", "curve", "fit", "histogram", "pareto", "parity"),
    "residuals",
]

#: Okabe & Ito's colours, told apart by colour-blind readers; shapes differ too. Grey reads on white and on black.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#808080"
#: Numbers beyond this do not stretch an axis.
HUGE = 1e300
#: More points than this are thinned evenly in a plot.
_MOST_POINTS = 5000
#: Bars of a histogram, and standard deviations to both sides; its last bars hold all that lies beyond.
_MOST_BARS, _LEAST_WIDTH, _MOST_WIDTH = 40, 3.0, 8.0


@dataclass(frozen=True, eq=False)
class Layer:
    """One thing that is drawn.

    Parameters
    ----------
    how : "line", "dots", "crosses", "ring" (around one of them), "band", "bars", "steps"
    x, y : (M,) where; of bars, steps and bands of steps x are the M + 1 edges. What is not finite is left out
    colour : as #rrggbb
    label : its name in the legend; empty: not there
    other : (M,) of dots their error bars; of a band its other side
    """

    how: str
    x: np.ndarray
    y: np.ndarray
    colour: str
    label: str = ""
    other: np.ndarray | None = None

    @property
    def heights(self) -> np.ndarray:
        """All values of y that it reaches."""
        if self.other is None:
            return np.append(self.y, 0.0) if self.how == "bars" else self.y
        sides = (self.y, self.other) if self.how == "band" else (self.y - self.other, self.y + self.other)
        return np.concatenate(sides)


@dataclass(frozen=True, eq=False)
class Plot:
    """Layers over each other, the names of both axes, a remark above, and whether y is drawn on a logarithmic axis."""

    layers: Sequence[Layer]
    x: str
    y: str
    title: str = ""
    log: bool = False

    @property
    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The least and the greatest x, and y, that are drawn."""
        x = np.concatenate([layer.x for layer in self.layers])
        y = np.concatenate([layer.heights for layer in self.layers])
        return _limits(x), _limits(y[y > 0] if self.log else y)

    @property
    def words(self) -> str:
        """What it shows: "rms error over complexity; axes 0.1 to 2.5 over 1 to 9: fitted rows, chosen"."""
        (left, right), (low, high) = self.limits
        remark = f" ({self.title})" if self.title else ""
        parts = ", ".join(layer.label for layer in self.layers if layer.label)
        ranges = f"axes {low:.3g} to {high:.3g} over {left:.3g} to {right:.3g}"
        return f"{self.y} over {self.x}{remark}; {ranges}{': ' if parts else ''}{parts}"


def _limits(values: np.ndarray) -> tuple[float, float]:
    values = values[np.abs(values) < HUGE]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def _thinned(*columns: np.ndarray) -> list[np.ndarray]:
    step = -(-len(columns[0]) // _MOST_POINTS) or 1
    return [column[::step] for column in columns]


def pareto(
    complexity: np.ndarray,
    error: np.ndarray,
    selected: int,
    held_out: np.ndarray | None = None,
    what: str = "rms error",
    *,
    log: bool = True,
) -> Plot:
    """An error over complexity, held-out rows as crosses, the chosen row ringed.

    Parameters
    ----------
    complexity, error, held_out : (F,); NaN where no rows are held out
    log : whether equal ratios are equally high, where no error is 0
    """
    complexity, error = np.asarray(complexity, dtype=float), np.asarray(error, dtype=float)
    layers = [Layer("line", complexity, error, BLUE), Layer("dots", complexity, error, BLUE, "fitted rows")]
    if held_out is not None and np.isfinite(held_out).any():
        layers.append(Layer("crosses", complexity, held_out, ORANGE, "held-out rows"))
    chosen = slice(selected, selected + 1)
    layers.append(Layer("ring", complexity[chosen], error[chosen], ORANGE, "chosen"))
    return Plot(layers, "complexity", what, log=log and bool((error > 0).all()))


def parity(y: np.ndarray, predicted: np.ndarray, target: object) -> Plot:
    """Predicted over measured, and the line where they agree; y, predicted : (N,)."""
    ends = np.array(_limits(np.concatenate([y, predicted])))
    dots = Layer("dots", *_thinned(y, predicted), BLUE)
    return Plot([Layer("line", ends, ends, GREY), dots], f"{target} measured", f"{target} predicted")


def residuals(x: np.ndarray, residual: np.ndarray, label: object, target: object) -> Plot:
    """Residuals (measured − predicted) over one input; x, residual : (N,)."""
    zero = Layer("line", np.array(_limits(x)), np.zeros(2), GREY)
    return Plot([zero, Layer("dots", *_thinned(x, residual), BLUE)], str(label), f"{target} − law")


def histogram(pulls: np.ndarray, simulated: np.ndarray, target: object) -> Plot:
    """How many residuals are how large, beside how many the noise model expects: a line in its 95 % band.

    Parameters
    ----------
    pulls : (N,) residuals in standard deviations of the noise model
    simulated : (K, N) those of K sets of measurements drawn from the noise model
    """
    sets, most = len(simulated), min(np.abs(pulls).max(initial=_LEAST_WIDTH), _MOST_WIDTH)
    bars = min(_MOST_BARS, 6 + round(len(pulls) ** 0.5))
    edges = np.linspace(-most, most, bars + 1)
    bar = np.clip(np.searchsorted(edges, simulated, side="right") - 1, 0, bars - 1)
    counts = np.bincount((bar + bars * np.arange(sets)[:, None]).ravel(), minlength=sets * bars).reshape(sets, bars)
    low, high = np.quantile(counts, (0.025, 0.975), axis=0)
    seen = np.histogram(np.clip(pulls, -most, most), edges)[0].astype(float)
    layers = [
        Layer("bars", edges, seen, BLUE, "residuals"),
        Layer("steps", edges, counts.mean(0), ORANGE, "noise model"),
        Layer("band", edges, low, ORANGE, "its 95 % band", other=high),
    ]
    return Plot(layers, f"({target} − law) / standard deviation", "rows")


def curve(grid: np.ndarray, mean: np.ndarray, lower: np.ndarray, upper: np.ndarray, level: str = "95 %") -> list[Layer]:
    """A law over one input as a line in its band; (M,) each."""
    band = Layer("band", grid, lower, ORANGE, f"{level} band", other=upper)
    return [Layer("line", grid, mean, ORANGE, "law"), band]


def at_rows(x: np.ndarray, predicted: np.ndarray) -> list[Layer]:
    """A law at the measured rows, for one that also reads other inputs; x, predicted : (N,)."""
    return [Layer("crosses", *_thinned(x, predicted), ORANGE, "law")]


def fit(
    law: Sequence[Layer],
    label: object,
    target: object,
    *,
    points: tuple[np.ndarray, np.ndarray] | None = None,
    sigma: np.ndarray | None = None,
    title: str = "",
) -> Plot:
    """The law over one input, as `curve` or `at_rows` has it, and what was measured.

    Parameters
    ----------
    points : (x, y) measured, (N,) each; sigma : (N,) error bars of y
    title : a remark, such as where the other inputs are held
    """
    errors = None if sigma is None else _thinned(sigma)[0]
    measured = [] if points is None else [Layer("dots", *_thinned(*points), BLUE, "measured", errors)]
    return Plot([*measured, *law], str(label), str(target), title)
