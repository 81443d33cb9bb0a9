"""Plots as svg: drawn in a few milliseconds, sharp at any zoom; for live output, saved notebooks drop it if untrusted.

Text has the colour of its surroundings, so that it reads in light and dark themes. Tick positions follow the "nice
numbers" 1, 2 and 5 times a power of ten of Heckbert, Graphics Gems (1990), p. 61.
"""

from __future__ import annotations

import html
import math

import numpy as np

from sr_accessor.display.plots import GREY, Layer, Plot

__all__ = ["Frame", "svg"]

#: Width and height; of letters the size and about how wide and how high one is; all in pixels of the browser.
SIZE, LETTER, WIDE, HIGH = (450, 270), 11, 6.2, 15
#: Share of the drawn range that stays empty on each side; ticks on an axis, about and at most; letters of a name.
MARGIN, TICKS, MOST_TICKS, LONGEST = 0.04, 5, 8, 60
#: With no more marks than this a pointer over one of them reads its numbers.
MOST_READ = 200


class Frame:
    """Where a plot lies in its picture: `x` and `y` take values to pixels.

    Parameters
    ----------
    size : width and height of the picture
    """

    def __init__(self, plot: Plot, size: tuple[int, int] = SIZE):
        self.plot, self.size = plot, size
        (left, right), (low, high) = plot.limits
        self._log = plot.log
        self._x, self._y = _widened(left, right), _widened(*self._scaled(np.array([low, high])))
        self.x_ticks = _ticks(*self._x, size[0] / 90)
        self.y_ticks = _powers(*self._y) if plot.log else _ticks(*self._y, TICKS)
        longest = max(len(text) for _, text in self.y_ticks)
        above = HIGH * (bool(plot.title) + any(layer.label for layer in plot.layers))
        self.left, self.right = HIGH + 8 + WIDE * longest, size[0] - 10
        self.top, self.bottom = above + 6, size[1] - 2 * HIGH - 6

    def _scaled(self, y: np.ndarray) -> np.ndarray:
        return np.log10(y, where=y > 0, out=np.full(len(y), math.nan)) if self._log else y

    def x(self, values: np.ndarray) -> np.ndarray:
        """(M,) pixels from the left edge; NaN where there is none."""
        return self.left + (self.right - self.left) * _shares(values, *self._x)

    def y(self, values: np.ndarray) -> np.ndarray:
        """(M,) pixels from the upper edge; NaN where there is none."""
        return self.bottom - (self.bottom - self.top) * _shares(self._scaled(values), *self._y)


def svg(plot: Plot, size: tuple[int, int] = SIZE) -> str:
    """The picture, with its words for who cannot see it."""
    frame = Frame(plot, size)
    layers = "".join(_drawn(frame, layer) for layer in plot.layers)
    width, height = size
    return (
        f'<svg role="img" aria-label="{html.escape(plot.words)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-size="{LETTER}" fill="currentColor" style="max-width:100%">'
        f"{_axes(frame)}{layers}{_legend(frame)}</svg>"
    )


# ---------------------------------------------------------------------- axes
def _widened(low: float, high: float) -> tuple[float, float]:
    """A range with some room at both ends, also where all values are one."""
    room = MARGIN * (high - low) if high > low else 0.05 * abs(low) or 1.0
    return low - room, high + room


def _shares(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where values lie between two others, as a share of the way."""
    with np.errstate(over="ignore", invalid="ignore"):
        share = (values - low) / (high - low)
    return np.where(np.isfinite(share), share, math.nan)


def _ticks(low: float, high: float, about: float) -> list[tuple[float, str]]:
    """Round values between two others, about so many, with their texts."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(nice for nice in (1, 2, 5, 10) if nice >= rough / power * (1 - 1e-9))
    digits = max(1, math.ceil(math.log10(max(abs(low), abs(high)) / step)) + 1)
    values = [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [(value, f"{value:.{digits}g}") for value in values]


def _powers(low: float, high: float) -> list[tuple[float, str]]:
    """Ticks of a logarithmic axis between two powers of ten: powers, 2 and 5 between them where they are few."""
    if high - low < 0.7:
        return _ticks(10.0**low, 10.0**high, TICKS)
    decades = range(math.floor(low), math.ceil(high) + 1)
    values = [factor * 10.0**power for power in decades for factor in ((1,) if high - low > 3 else (1, 2, 5))]
    inside = [value for value in values if low <= math.log10(value) <= high]
    return [(value, f"{value:.4g}") for value in inside[:: -(-len(inside) // MOST_TICKS)]]


def _axes(frame: Frame) -> str:
    """Frame, ticks and names."""
    plot, (left, right, top, bottom) = frame.plot, (frame.left, frame.right, frame.top, frame.bottom)
    x, y = frame.x(np.array([v for v, _ in frame.x_ticks])), frame.y(np.array([v for v, _ in frame.y_ticks]))
    marks = [f"M{at:.1f},{bottom:.1f}v4" for at in x] + [f"M{left:.1f},{at:.1f}h-4" for at in y]
    box = f"M{left:.1f},{top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z{''.join(marks)}"
    texts = [_text(at, bottom + HIGH, words) for at, (_, words) in zip(x, frame.x_ticks, strict=True)]
    texts += [_text(left - 6, at + 4, words, "end") for at, (_, words) in zip(y, frame.y_ticks, strict=True)]
    texts.append(_text((left + right) / 2, frame.size[1] - 5, plot.x))
    texts.append(_text(HIGH - 4, (top + bottom) / 2, plot.y, turned=True))
    if plot.title:
        texts.append(_text((left + right) / 2, HIGH - 4, plot.title))
    return f'<path d="{box}" fill="none" stroke="{GREY}"/>{"".join(texts)}'


def _text(x: float, y: float, words: str, anchor: str = "middle", *, turned: bool = False) -> str:
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{html.escape(words)}</text>'


def _legend(frame: Frame) -> str:
    """In one line above the plot: a piece of each layer and its name."""
    at, y, parts = frame.left + 8.0, frame.top - 9.0, []
    for layer in frame.plot.layers:
        if not layer.label:
            continue
        if layer.how in _MARKS:
            parts.append(_stroke(f"M{at:.1f},{y:.1f}{_MARKS[layer.how]}", layer))
        elif layer.how in ("line", "steps"):
            parts.append(_stroke(f"M{at - 7:.1f},{y:.1f}h14", layer))
        else:
            parts.append(_area(f"M{at - 7:.1f},{y - 4:.1f}h14v8h-14Z", layer))
        parts.append(_text(at + 12, y + 4, layer.label, "start"))
        at += 34 + WIDE * len(layer.label)
    return "".join(parts)


# ---------------------------------------------------------------------- layers
#: Marks as paths from their middle, and how wide each kind of layer is stroked; a path of no length is a dot.
_MARKS = {"dots": "h0", "crosses": "m-3.5,-3.5l7,7m0,-7l-7,7", "ring": "m-8,0a8,8 0 1 0 16,0a8,8 0 1 0 -16,0"}
_STROKES = {"dots": 5.0, "crosses": 1.5, "ring": 2.0, "line": 1.5, "steps": 2.0}


def _drawn(frame: Frame, layer: Layer) -> str:
    x, y = frame.x(layer.x), frame.y(layer.y)
    if layer.how in _MARKS:
        return _errors(frame, layer, x) + _each(frame, layer, x, y)
    if len(x) > len(y):  # edges: two corners each
        x, y = np.repeat(x, 2)[1:-1], np.repeat(y, 2)
    if layer.how in ("line", "steps"):
        return _stroke("".join(f"M{_joined(x[run], y[run])}" for run in _runs(x, y)), layer)
    other = frame.y(np.zeros(len(layer.y)) if layer.other is None else layer.other)
    other = np.repeat(other, 2) if len(other) < len(y) else other
    around = (f"M{_joined(x[r], y[r])}L{_joined(x[r][::-1], other[r][::-1])}Z" for r in _runs(x, y, other))
    return _area("".join(around), layer)


def _each(frame: Frame, layer: Layer, x: np.ndarray, y: np.ndarray) -> str:
    """A mark at each place; where they are few, with its numbers for a pointer over it."""
    seen = np.isfinite(x) & np.isfinite(y)
    paths = [f"M{a:.1f},{b:.1f}{_MARKS[layer.how]}" for a, b in zip(x[seen], y[seen], strict=True)]
    if len(paths) > MOST_READ or layer.how == "ring":
        return _stroke("".join(paths), layer)
    names = (frame.plot.x, frame.plot.y)
    words = (f"{names[0]}: {a:.6g}, {names[1]}: {b:.6g}" for a, b in zip(layer.x[seen], layer.y[seen], strict=True))
    return "".join(_stroke(path, layer, told) for path, told in zip(paths, words, strict=True))


def _errors(frame: Frame, layer: Layer, x: np.ndarray) -> str:
    """Error bars of marks that have them."""
    if layer.other is None:
        return ""
    low, high = frame.y(layer.y - layer.other), frame.y(layer.y + layer.other)
    seen = np.isfinite(x + low + high)
    bars = (f"M{at:.1f},{a:.1f}V{b:.1f}" for at, a, b in zip(x[seen], low[seen], high[seen], strict=True))
    return f'<path d="{"".join(bars)}" stroke="{layer.colour}"/>'


def _runs(*columns: np.ndarray) -> list[np.ndarray]:
    """Places in a row at which all columns have values."""
    places = np.flatnonzero(np.isfinite(sum(columns)))
    return np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(places) else []


def _joined(x: np.ndarray, y: np.ndarray) -> str:
    return "L".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _stroke(path: str, layer: Layer, words: str = "") -> str:
    told = f"<title>{html.escape(words)}</title>" if words else ""
    width = 1.0 if layer.colour == GREY else _STROKES[layer.how]
    return (
        f'<path d="{path}" fill="none" stroke="{layer.colour}" stroke-width="{width}" stroke-linecap="round">'
        f"{told}</path>"
    )


def _area(path: str, layer: Layer) -> str:
    return f'<path d="{path}" fill="{layer.colour}" fill-opacity="{0.7 if layer.how == "bars" else 0.25}"/>'
