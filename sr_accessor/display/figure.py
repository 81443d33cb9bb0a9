"""Plots of a fit: front, parity, residuals, their histogram, fit, profile; each draws on Axes and returns them."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sr_accessor.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    *(
        "BLUE",
        "GREY",
        "INSTALL",
        "ORANGE",
        "Picture",
        "available",
        "axes",
        "fit",
        "histogram",
        "literal",
        "page",
        "pareto",
        "parity",
    ),
    *("png", "profile", "require", "residuals"),
]

INSTALL = 'pip install "sr-accessor[plot]"'
#: Okabe & Ito's colours, told apart by colour-blind readers; shapes differ too. Grey reads on white and on black.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#808080"
#: More points than this are thinned evenly in a plot.
_MOST_POINTS = 5000
#: Bars of a histogram, and standard deviations to both sides; its last bars hold all that lies beyond.
_MOST_BARS, _LEAST_WIDTH, _MOST_WIDTH = 40, 3.0, 8.0


class Picture(NamedTuple):
    """A PNG, and what is drawn in it, in words for who cannot see it."""

    png: bytes
    words: str


def available() -> bool:
    """Whether matplotlib is installed; it is not imported to find out."""
    return importlib.util.find_spec("matplotlib") is not None


def require(what: str = "plots") -> None:
    """Check that matplotlib is there before the work for a picture begins.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    if not available():
        raise MissingDependencyError(f"{what} need matplotlib, which is not installed; {INSTALL}")


def page(width: float, height: float, dpi: float = 100) -> Figure:
    """An empty figure of so many inches, made without pyplot, which would also show the figure and keep it.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    require()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def axes(ax: Axes | None = None) -> Axes:
    """`ax`, or the Axes of a new figure of pyplot's.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    if ax is not None:
        return ax
    require()
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _thinned(*columns: np.ndarray) -> list[np.ndarray]:
    step = -(-len(columns[0]) // _MOST_POINTS) or 1
    return [column[::step] for column in columns]


def literal(label: object) -> str:
    """A label as it is: matplotlib would typeset what stands between dollars."""
    return str(label).replace("$", r"\$")


def pareto(ax: Axes, complexity: np.ndarray, error: np.ndarray, selected: int, held_out: np.ndarray) -> Axes:
    """Root mean squared error over complexity, held-out rows (NaN: none) as crosses, the chosen row ringed.

    Parameters
    ----------
    complexity, error, held_out : (F,); errors in units of y
    """
    ax.plot(complexity, error, "o-", color=BLUE, label="fitted rows")
    if np.isfinite(held_out).any():
        ax.plot(complexity, held_out, "x", color=ORANGE, label="held-out rows")
    ax.plot(complexity[selected], error[selected], "o", ms=14, mfc="none", mec=ORANGE, mew=2, label="chosen")
    if (error > 0).all():
        ax.set_yscale("log")
    ax.set(xlabel="complexity", ylabel="rms error")
    ax.legend(frameon=False)
    return ax


def parity(ax: Axes, y: np.ndarray, predicted: np.ndarray, target: object) -> Axes:
    """Predicted over measured, and the line where they agree; y, predicted : (N,)."""
    low, high = np.nanmin([y, predicted]), np.nanmax([y, predicted])
    ax.plot([low, high], [low, high], "-", color=GREY, lw=1)
    ax.plot(*_thinned(y, predicted), ".", color=BLUE)
    ax.set(xlabel=f"{literal(target)} measured", ylabel=f"{literal(target)} predicted")
    return ax


def residuals(ax: Axes, x: np.ndarray, residual: np.ndarray, label: object, target: object) -> Axes:
    """Residuals (measured − predicted) over one input; x, residual : (N,)."""
    ax.axhline(0, color=GREY, lw=1)
    ax.plot(*_thinned(x, residual), ".", color=BLUE)
    ax.set(xlabel=literal(label), ylabel=f"{literal(target)} − law")
    return ax


def histogram(ax: Axes, pulls: np.ndarray, simulated: np.ndarray, target: object) -> Axes:
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
    ax.hist(np.clip(pulls, -most, most), edges, color=BLUE, alpha=0.7, label="residuals")
    ax.stairs(counts.mean(0), edges, color=ORANGE, lw=2, label="noise model")
    ax.stairs(high, edges, baseline=low, fill=True, color=ORANGE, alpha=0.25, label="its 95 % band")
    ax.set(xlabel=f"({literal(target)} − law) / standard deviation", ylabel="rows")
    ax.legend(frameon=False)
    return ax


def fit(
    ax: Axes, x: np.ndarray, y: np.ndarray, sigma: np.ndarray | None, curve: tuple, label: object, target: object
) -> Axes:
    """Measurements over one input, with error bars if there are any, and the law.

    Parameters
    ----------
    x, y : (N,); sigma : (N,) or None
    curve : (grid, mean, lower, upper), each (M,), drawn as a line in its band; or (x, predicted) of the rows,
        drawn as crosses, when the law also reads other inputs
    """
    x, y = _thinned(x, y)
    if sigma is None:
        ax.plot(x, y, ".", color=BLUE, label="measured")
    else:
        ax.errorbar(x, y, yerr=_thinned(sigma)[0], fmt=".", color=BLUE, label="measured")
    if len(curve) == 4:
        grid, mean, lower, upper = curve
        ax.plot(grid, mean, "-", color=ORANGE, label="law")
        ax.fill_between(grid, lower, upper, color=ORANGE, alpha=0.25, lw=0, label="95 % band")
    else:
        ax.plot(*_thinned(*curve), "x", color=ORANGE, label="law")
    ax.set(xlabel=literal(label), ylabel=literal(target))
    ax.legend(frameon=False)
    return ax


def profile(
    ax: Axes,
    curve: tuple,
    label: object,
    target: object,
    *,
    held: str = "",
    points: tuple | None = None,
    level: str = "95 %",
) -> Axes:
    """The law over one input, the others held, with its band.

    Parameters
    ----------
    curve : (grid, mean, lower, upper), each (M,)
    held : where the others are held, in words
    points : (x, y) measured, to be drawn too
    """
    grid, mean, lower, upper = curve
    if points is not None:
        ax.plot(*_thinned(*points), ".", color=BLUE, label="measured")
    ax.plot(grid, mean, "-", color=ORANGE, label="law")
    ax.fill_between(grid, lower, upper, color=ORANGE, alpha=0.25, lw=0, label=f"{level} band")
    ax.set(xlabel=literal(label), ylabel=literal(target))
    if held:
        ax.set_title(literal(held), fontsize="small", color=GREY)
    ax.legend(frameon=False)
    return ax


def _words(ax: Axes) -> str:
    """What Axes show: "rms error over complexity, 1 to 9 and 0.1 to 2.5: fitted rows, chosen"."""
    ranges = " and ".join("{:.3g} to {:.3g}".format(*limits) for limits in (ax.get_xlim(), ax.get_ylim()))
    plain = [part.replace(r"\$", "$") for part in (ax.get_ylabel(), ax.get_xlabel(), ax.get_title())]
    parts = ", ".join(ax.get_legend_handles_labels()[1])
    held = f" at {plain[2]}" if plain[2] else ""
    return f"{plain[0]} over {plain[1]}{held}; axes {ranges}{': ' if parts else ''}{parts}"


def png(draw: Callable[[Axes], object]) -> Picture:
    """PNG of what `draw` puts on Axes: transparent, grey frame and text, so that it reads in dark themes.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    figure = page(5, 3, dpi=90)
    ax = figure.add_subplot()
    draw(ax)
    ax.tick_params(colors=GREY, which="both")
    for part in (ax.xaxis.label, ax.yaxis.label):
        part.set_color(GREY)
    for spine in ax.spines.values():
        spine.set_color(GREY)
    legend = ax.get_legend()
    for text in legend.get_texts() if legend else ():
        text.set_color(GREY)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True, metadata={"Software": None})
    return Picture(buffer.getvalue(), _words(ax))
