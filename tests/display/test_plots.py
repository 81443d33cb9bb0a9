"""Plots as arrays, and what matplotlib and svg make of them: the same layers, at the right places, with words."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from sr_accessor.display import figure, plots
from sr_accessor.display.svg import MOST_READ, Frame, svg

GRID = np.linspace(0, 4, 9)
KINDS = {
    "front": plots.pareto([1, 3, 5], [2.0, 0.5, 1e-3], 1, np.array([2.5, np.nan, 2e-3])),
    "parity": plots.parity(GRID, GRID + 0.1, "<b>$y$</b>"),
    "residuals": plots.residuals(GRID, np.sin(GRID), "T [K]", "y"),
    "histogram": plots.histogram(np.sin(GRID), np.random.default_rng(0).normal(size=(50, 9)), "y"),
    "curve": plots.fit(
        plots.curve(GRID, GRID, GRID - 1, GRID + 1), "x", "y", points=(GRID, GRID), sigma=np.full(9, 0.3), title="z = 2"
    ),
    "rows": plots.fit(plots.at_rows(GRID, GRID), "x", "y", points=(GRID, GRID)),
}


def numbers(path):
    return [float(text) for text in re.findall(r"-?\d+(?:\.\d+)?", path)]


@pytest.mark.parametrize("kind", KINDS)
def test_both_draw_all_layers_and_name_them(kind):
    plot = KINDS[kind]
    ax = figure.draw(plot, Figure().add_subplot())
    labels = {layer.label for layer in plot.layers if layer.label}
    assert set(ax.get_legend_handles_labels()[1]) == labels and figure.png(plot).words == plot.words
    drawn = ElementTree.fromstring(svg(plot))
    texts = {part.text for part in drawn.iter("text")}
    assert drawn.get("aria-label") == plot.words and {plot.x, plot.y} | labels <= texts
    assert all(label in plot.words for label in labels) and (plot.title in texts if plot.title else True)
    assert all(-60 <= value <= 460 for part in drawn.iter("path") for value in numbers(part.get("d")))
    assert "nan" not in svg(plot)


def test_marks_are_where_their_values_are():
    drawn, frame = ElementTree.fromstring(svg(KINDS["front"])), Frame(KINDS["front"])
    read = {part.find("title").text: numbers(part.get("d"))[:2] for part in drawn.iter("path") if len(part)}
    assert len(read) == 5
    at = [read[f"complexity: {c}, rms error: {e:g}"] for c, e in ((1, 2), (3, 0.5), (5, 0.001))]
    assert np.allclose(at, np.transpose([frame.x(np.array([1, 3, 5])), frame.y(np.array([2, 0.5, 1e-3]))]), atol=0.06)
    (x0, y0), (x1, y1), (x2, y2) = at
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert (y2 - y1) / (y1 - y0) == pytest.approx(np.log(500) / np.log(4), rel=0.01)  # a logarithmic axis
    exact = plots.pareto([1, 3], [2.0, 0.0], 0)
    assert not exact.log and "nan" not in svg(exact)


def test_more_marks_than_anyone_reads_are_one_path():
    many = np.arange(MOST_READ + 1.0)
    assert svg(plots.parity(many, many, "y")).count("<title>") == 0
    assert len(svg(plots.parity(np.arange(1e6), np.arange(1e6), "y"))) < 120_000


def test_what_is_not_finite_is_left_out_and_breaks_lines():
    holed = np.where(np.arange(9) == 4, np.nan, GRID)
    plot = plots.fit(plots.curve(GRID, holed, holed - 1, np.where(GRID > 3, np.inf, GRID + 1)), "x", "y")
    (line,) = [
        part.get("d") for part in ElementTree.fromstring(svg(plot)).iter("path") if part.get("stroke-width") == "1.5"
    ][:1]
    assert line.count("M") == 2 and "nan" not in svg(plot) and "inf" not in svg(plot)
    nothing = plots.residuals(np.full(3, np.nan), np.full(3, np.nan), "x", "y")
    assert "axes" in svg(nothing)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-3e-7, 2e-7), (1e6, 1e6 + 0.01), (-9e299, 9e299), (5, 5), (0, 0), (1e-300, 2e-300), (-1e3, 9e12)],
)
def test_ticks_are_round_and_few_and_inside(low, high):
    frame = Frame(plots.residuals(np.array([low, high]), np.zeros(2), "x", "y"))
    values, texts = zip(*frame.x_ticks, strict=True)
    assert 2 <= len(values) <= 12 and len(set(texts)) == len(texts)
    at = frame.x(np.array(values))
    assert (at >= frame.left).all() and (at <= frame.right).all() and (np.diff(at) > 0).all()
    assert np.allclose([float(text) for text in texts], values, rtol=1e-9, atol=0)


@pytest.mark.parametrize(("low", "high"), [(1, 2), (0.3, 40), (1e-12, 1e9), (0.99, 1.01)])
def test_ticks_of_a_logarithmic_axis(low, high):
    ticks = Frame(plots.pareto([1, 2], [high, low], 0)).y_ticks
    assert 2 <= len(ticks) <= 12 and all(low / 2 < value < 2 * high for value, _ in ticks)
