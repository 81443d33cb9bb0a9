"""Figures: plots drawn by matplotlib, where it is installed: on Axes, or as PNG for what has to survive saving."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sr_accessor.display.plots import GREY, Layer, Plot
from sr_accessor.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["INSTALL", "Picture", "available", "axes", "draw", "literal", "page", "png", "require"]

INSTALL = 'pip install "sr-accessor[plot]"'


class Picture(NamedTuple):
    """A PNG, and what is drawn in it, in words for who cannot see it."""

    png: bytes
    words: str


def available() -> bool:
    """Whether matplotlib is installed; it is not imported to find out."""
    return importlib.util.find_spec("matplotlib") is not None


def require() -> None:
    """Check that matplotlib is there before the work for a picture begins.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    if not available():
        raise MissingDependencyError(f"plots need matplotlib, which is not installed; {INSTALL}")


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


def literal(label: object) -> str:
    """A label as it is: matplotlib would typeset what stands between dollars."""
    return str(label).replace("$", r"\$")


def _dots(ax: Axes, layer: Layer) -> None:
    if layer.other is None:
        ax.plot(layer.x, layer.y, ".", color=layer.colour, label=layer.label)
    else:
        ax.errorbar(layer.x, layer.y, yerr=layer.other, fmt=".", color=layer.colour, label=layer.label)


def _line(ax: Axes, layer: Layer) -> None:
    ax.plot(layer.x, layer.y, "-", color=layer.colour, label=layer.label, lw=1 if layer.colour == GREY else None)


def _crosses(ax: Axes, layer: Layer) -> None:
    ax.plot(layer.x, layer.y, "x", color=layer.colour, label=layer.label)


def _ring(ax: Axes, layer: Layer) -> None:
    ax.plot(layer.x, layer.y, "o", ms=14, mfc="none", mec=layer.colour, mew=2, label=layer.label)


def _band(ax: Axes, layer: Layer) -> None:
    how = {"color": layer.colour, "alpha": 0.25, "lw": 0, "label": layer.label}
    if len(layer.x) > len(layer.y):
        ax.stairs(layer.other, layer.x, baseline=layer.y, fill=True, **how)
    else:
        ax.fill_between(layer.x, layer.y, layer.other, **how)


def _bars(ax: Axes, layer: Layer) -> None:
    how = {"align": "edge", "color": layer.colour, "alpha": 0.7, "label": layer.label}
    ax.bar(layer.x[:-1], layer.y, np.diff(layer.x), **how)


def _steps(ax: Axes, layer: Layer) -> None:
    ax.stairs(layer.y, layer.x, color=layer.colour, lw=2, label=layer.label)


#: How each kind of layer is drawn.
_DRAWN = {
    "dots": _dots, "line": _line, "crosses": _crosses, "ring": _ring, "band": _band, "bars": _bars, "steps": _steps,
}  # fmt: skip


def draw(plot: Plot, ax: Axes | None = None) -> Axes:
    """A plot on `ax`, or on the Axes of a new figure of pyplot's.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    ax = axes(ax)
    for layer in plot.layers:
        _DRAWN[layer.how](ax, layer)
    if plot.log:
        ax.set_yscale("log")
    ax.set(xlabel=literal(plot.x), ylabel=literal(plot.y))
    if plot.title:
        ax.set_title(literal(plot.title), fontsize="small", color=GREY)
    if any(layer.label for layer in plot.layers):
        ax.legend(frameon=False)
    return ax


def png(plot: Plot) -> Picture:
    """PNG of a plot: transparent, grey frame and text, so that it reads in dark themes.

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    figure = page(5, 3, dpi=90)
    ax = draw(plot, figure.add_subplot())
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
    return Picture(buffer.getvalue(), plot.words)
