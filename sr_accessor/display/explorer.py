"""Explorer: the laws of a front to be clicked, moved, drawn and copied, in ipywidgets; it knows functions, not fits.

The drawn front is clickable without any script: over the dots of its picture lie buttons that cannot be seen, each
named by its law. A slider goes along the front by the arrow keys left and right: up and down, which a list takes,
JupyterLab keeps for its cells. Pictures are svg: matplotlib takes ten times as long, and saving keeps no panel anyway.
Every part is kept under a name, so that a program can press and move what a hand would: `explorer.front.value = 2`.
What a callback raises is told in the panel.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from sr_accessor.display import plots
from sr_accessor.display.html import escape, listed
from sr_accessor.display.progress import close
from sr_accessor.display.svg import Frame, svg
from sr_accessor.display.text import measured, number, share, unit_of
from sr_accessor.errors import SymRegError

__all__ = ["Explorer", "Laws"]

#: What a callback may meet: our own errors, numbers that the law or a drawing cannot take, and faults of plugins.
TOLD = (SymRegError, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
#: What residuals are shown against, beside the inputs' numbers: the law's values, no more than how many there are of
#: each size, and measured values with their predictions in place of residuals.
LAW, COUNTED, PARITY = -1, -2, -3
#: Width and height of the front's picture, and of the buttons over its dots, in pixels.
FRONT, DOT = (700, 200), 22
#: A slider reaches so many standard errors to both sides; without one, so large a share of the value.
REACH, SHARE = 8.0, 1.0


@dataclass(frozen=True)
class Laws:
    """What is explored.

    Parameters
    ----------
    headline : what was fitted, and how it went
    front : columns complexity, rmse, selected, equation; a row for each law; held_out : (F,) rms error of rows kept
        away, NaN where there are none
    inputs : label -> (N,) its values at the rows that are shown; ranges : label -> the least and the greatest of all
    target : label; y : (N,)
    inputs_of : row -> labels of the inputs that its law reads
    params : row -> columns value, stderr, unit, index names; correlation : row -> of these names
    warnings : row -> texts
    latex : (row, {constant: value}) -> text
    symbols : row -> the same text with names of constants
    predict : (row, {constant: value}) -> (N,) at these rows
    line : (row, {constant: value}) -> (grid, mean) over the only input of a law that has no more
    pulls : row -> what `plots.histogram` draws
    curve : (row, label, {label: value}, level) -> (grid, mean, lower, upper) and where the others are held
    what_if : (row, {label: value}, level) -> rows confidence and prediction, columns mean, lower, upper; and remarks
    forms : names of forms in which a law can be copied; copied : (row, form) -> text
    use : row -> what `Explorer.result` is then
    """

    headline: str
    front: pd.DataFrame
    held_out: np.ndarray
    inputs: Mapping[Hashable, np.ndarray]
    ranges: Mapping[Hashable, tuple[float, float]]
    target: Hashable
    y: np.ndarray
    inputs_of: Callable[[int], Sequence[Hashable]]
    params: Callable[[int], pd.DataFrame]
    correlation: Callable[[int], pd.DataFrame]
    warnings: Callable[[int], Sequence[str]]
    latex: Callable[[int, Mapping[str, float]], str]
    symbols: Callable[[int], str]
    predict: Callable[[int, Mapping[str, float]], np.ndarray]
    line: Callable[[int, Mapping[str, float]], tuple[np.ndarray, np.ndarray]]
    pulls: Callable[[int], tuple[np.ndarray, np.ndarray]]
    curve: Callable[[int, Hashable, Mapping[Hashable, float], float], tuple]
    what_if: Callable[[int, Mapping[Hashable, float], float], tuple[pd.DataFrame, list[str]]]
    forms: Sequence[str]
    copied: Callable[[int, str], str]
    use: Callable[[int], Any]


def _told(callback: Callable[..., None]) -> Callable[..., None]:
    """The callback; what it raises is told in the panel, and what was told before is cleared."""

    @wraps(callback)
    def guarded(self: Explorer, *arguments: Any) -> None:
        self.message.value = ""  # before, not after: a callback may call others, which may tell something
        try:
            callback(self, *arguments)
        except TOLD as error:
            self.message.value = f'<div role="alert">⚠ <b>{type(error).__name__}</b>: {escape(error)}</div>'

    return guarded


class Explorer:
    """The panel; `.result` is the result with the law that was chosen last with "Use this one".

    Parts: front, dots, along, simpler, richer, use, written, law, remarks, message, tabs; and of each tab, once it has
    been shown for a law: sliders {constant: slider}, reset, moved; over, held {label: slider}, level, profile;
    against, residuals; given {label: field}, answer; form, code, copy.
    """

    TABS = ("Constants", "Profile", "Residuals", "What if", "Export")

    def __init__(self, laws: Laws, result: Any):
        self.laws, self.result = laws, result
        table = laws.front
        labels = [
            f"{'▸ ' if selected else ''}{complexity}: {_line(equation)}  (rms error {number(float(rmse))})"
            for complexity, equation, rmse, selected in zip(
                table["complexity"], table["equation"], table["rmse"], table["selected"], strict=True
            )
        ]
        start = int(np.flatnonzero(table["selected"])[0])
        self.message, self.picture, self.remarks = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.front = widgets.Select(
            options=[(label, i) for i, label in enumerate(labels)], value=start, rows=min(8, len(labels)),
            description="Front", layout={"width": "700px"},
        )  # fmt: skip
        self.simpler = widgets.Button(description="◀ Simpler", tooltip="The next simpler law")
        self.richer = widgets.Button(description="Closer ▶", tooltip="The next more complex law, closer to the data")
        self.along = widgets.SelectionSlider(
            options=[(str(complexity), i) for i, complexity in enumerate(table["complexity"])], value=start,
            description="Complexity", layout={"width": "390px"},
        )  # fmt: skip
        widgets.link((self.front, "value"), (self.along, "value"))
        self.use = widgets.Button(description="Use this one", button_style="primary", tooltip="Sets .result")
        self.written = widgets.ToggleButtons(
            options=["Values", "Names"], description="Constants", tooltips=["Numbers in the law", "Names in the law"]
        )
        self.law = widgets.HTMLMath(layout={"overflow": "auto", "min_height": "3.5em"})
        self.tabs = widgets.Tab([widgets.VBox() for _ in self.TABS], titles=self.TABS, selected_index=0)
        self.front.observe(self._choose, "value")
        self.simpler.on_click(lambda button: self._step(-1))
        self.richer.on_click(lambda button: self._step(1))
        self.use.on_click(self._use)
        self.written.observe(self._write_law, "value")
        self.tabs.observe(self._turn, "selected_index")
        head = widgets.HTML(f"<div>{escape(laws.headline)}</div>")
        steps = [self.along] if len(labels) > 1 else []  # browsers cannot draw a slider with one place
        row = widgets.HBox([self.simpler, self.richer, self.use, *steps])
        law = [self.written, self.law, self.remarks, self.message]
        self.box = widgets.VBox([head, self._clickable(), self.front, row, *law, self.tabs])
        self._choose()

    def _repr_mimebundle_(self, **keywords: Any) -> dict[str, Any]:
        """The widgets, and a line for a saved notebook, where they are gone."""
        return self.box._repr_mimebundle_(**keywords) | {"text/plain": repr(self)}

    def __repr__(self) -> str:
        count = len(self.laws.front)
        return f"Explorer of {count} law{'s' if count > 1 else ''}; run this cell again to bring it back"

    @property
    def row(self) -> int:
        """The law that is shown."""
        return self.front.value

    # ------------------------------------------------------------------ choosing
    def _plot(self) -> plots.Plot:
        front = self.laws.front
        return plots.pareto(front["complexity"].values, front["rmse"].values, self.row, self.laws.held_out)

    def _clickable(self) -> widgets.GridBox:
        """The front's picture, and over each of its dots a button: all lie in the one cell of a grid."""
        frame, error = Frame(self._plot(), FRONT), self.laws.front["rmse"].to_numpy()
        x, y = frame.x(self.laws.front["complexity"].to_numpy()), frame.y(error)
        unseen = widgets.ButtonStyle(button_color="transparent", font_size="0")  # its text is read aloud
        self.dots = []
        for (label, row), left, top in zip(self.front.options, x, np.nan_to_num(y), strict=True):
            place = {"margin": f"{top - DOT / 2:.0f}px 0 0 {left - DOT / 2:.0f}px", "grid_area": "1 / 1"}
            layout = widgets.Layout(width=f"{DOT}px", height=f"{DOT}px", padding="0", **place)
            dot = widgets.Button(description=label, tooltip=label, style=unseen, layout=layout)
            dot.on_click(partial(self._go_to, row))
            self.dots.append(dot)
        self.picture.layout = widgets.Layout(grid_area="1 / 1", margin="0")
        cell = {"grid_template_columns": f"{FRONT[0]}px", "grid_template_rows": f"{FRONT[1]}px"}
        return widgets.GridBox([self.picture, *self.dots], layout=widgets.Layout(**cell))

    def _go_to(self, row: int, button: Any = None) -> None:
        self.front.value = row

    def _step(self, by: int) -> None:
        self.front.value = min(max(self.row + by, 0), len(self.laws.front) - 1)

    @_told
    def _use(self, button: Any = None) -> None:
        self.result = self.laws.use(self.row)
        self.use.description = f"Row {self.row} in use"

    @_told
    def _choose(self, change: Any = None) -> None:
        """Another law: the views are emptied, and the visible one is made and drawn."""
        laws = self.laws
        self.picture.value = svg(self._plot(), FRONT)
        self.remarks.value = listed(laws.warnings(self.row))
        self.use.description = "Use this one"
        self.params = laws.params(self.row)
        self.used = list(laws.inputs_of(self.row)) or list(laws.inputs)
        self.sliders, self.held, self.given = {}, {}, {}
        for view in self.tabs.children:
            before, view.children = view.children, ()
            for part in before:
                close(part)
        self._typeset()
        self._draw()

    def _typeset(self) -> None:
        """The law, with moved constants where their sliders are in sight: the other views are about the fit."""
        named, values = self.written.value == "Names", {} if self.tabs.selected_index else self.constants
        latex = self.laws.symbols(self.row) if named else self.laws.latex(self.row, values)
        self.law.value = f"<div>$${html.escape(latex, quote=False)}$$</div>"

    @_told
    def _write_law(self, change: Any = None) -> None:
        self._typeset()

    @_told
    def _turn(self, change: Any = None) -> None:
        """Another view."""
        self._typeset()
        self._draw()

    @_told
    def _draw(self, change: Any = None) -> None:
        """The visible view, which is made when it is shown: a browser needs its time for every widget."""
        at = self.tabs.selected_index or 0
        view = self.tabs.children[at]
        if not view.children:
            make = (self._constants, self._profile, self._residuals, self._what_if, self._export)
            view.children = make[at]()
        draw = (self._draw_moved, self._draw_profile, self._draw_residuals, self._answer, self._write)
        draw[at]()

    # ------------------------------------------------------------------ the views
    def _constants(self) -> Sequence[Any]:
        lines = []
        for name, row in self.params.iterrows():
            low, high = _reach(row["value"], row["stderr"])
            slider = widgets.FloatSlider(
                value=row["value"], min=low, max=high, step=(high - low) / 400, description=name,
                readout_format=".4g", layout={"width": "440px"},
            )  # fmt: skip
            slider.observe(self._move, "value")
            value, stderr = measured(row["value"], row["stderr"])
            unit, percent = f" {unit_of(row)}".rstrip(), share(row["value"], row["stderr"])
            text = escape(f"{value} ± {stderr}{unit}{percent and f' ({percent})'}")
            words = widgets.HTML(f"{text} {_mark(row['value'], row['stderr'])}")
            self.sliders[name] = slider
            lines.append(widgets.HBox([slider, words]))
        self.reset = widgets.Button(description="Back to the fit", tooltip="All constants at their fitted values")
        self.reset.on_click(self._reset)
        self.moved = _place()
        below = widgets.HTML(_strips(self.laws.correlation(self.row)) if lines else "no free constants")
        return (*lines, below, self.reset, self.moved)

    def _profile(self) -> Sequence[Any]:
        self.over = widgets.Dropdown(options=_options(self.used), description="Over")
        self.level = widgets.ToggleButtons(options=[("68 %", 0.68), ("95 %", 0.95)], value=0.95, description="Band")
        for label in self.used:
            values, (low, high) = self.laws.inputs[label], self.laws.ranges[label]
            self.held[label] = widgets.FloatSlider(
                value=float(np.median(values)), min=low, max=high if high > low else low + 1, description=_line(label),
                step=(high - low) / 200 or 1, readout_format=".4g", layout={"width": "440px"},
            )  # fmt: skip
        self.profile = _place()
        for part in (self.over, self.level, *self.held.values()):
            part.observe(self._draw, "value")
        return (widgets.HBox([self.over, self.level]), *self.held.values(), self.profile)

    def _residuals(self) -> Sequence[Any]:
        ways = [*_options(self.laws.inputs), ("the law", LAW), ("how many", COUNTED), ("measured, predicted", PARITY)]
        self.against = widgets.Dropdown(options=ways, description="Against")
        self.against.observe(self._draw, "value")
        self.residuals = _place()
        return (self.against, self.residuals)

    def _what_if(self) -> Sequence[Any]:
        self.given = {
            label: widgets.FloatText(value=_rounded(np.median(self.laws.inputs[label])), description=_line(label))
            for label in self.used
        }
        self.answer = widgets.HTML()
        for part in self.given.values():
            part.observe(self._draw, "value")
        return (*self.given.values(), self.answer)

    def _export(self) -> Sequence[Any]:
        self.form = widgets.ToggleButtons(options=self.laws.forms, description="As")
        self.code = widgets.Textarea(layout={"width": "700px", "height": "180px"}, description="Text")
        self.copy = widgets.HTML()
        self.form.observe(self._draw, "value")
        return (self.form, self.code, self.copy)

    # ------------------------------------------------------------------ what they show
    @property
    def constants(self) -> dict[str, float]:
        """Where the sliders of moved constants stand."""
        return {n: s.value for n, s in self.sliders.items() if s.value != self.params.loc[n, "value"]}

    @_told
    def _move(self, change: Any = None) -> None:
        self._typeset()
        self._draw_moved()

    @_told
    def _reset(self, button: Any = None) -> None:
        for name, slider in self.sliders.items():
            slider.unobserve(self._move, "value")
            slider.value = self.params.loc[name, "value"]
            slider.observe(self._move, "value")
        self._move()

    def _draw_moved(self) -> None:
        laws, used = self.laws, self.laws.inputs_of(self.row)
        predicted = laws.predict(self.row, self.constants)
        label = next(iter(used), next(iter(laws.inputs)))
        x = laws.inputs[label]
        if len(used) == 1:
            law = [plots.Layer("line", *laws.line(self.row, self.constants), plots.ORANGE, "law")]
        else:
            law = plots.at_rows(x, predicted)
        rmse = number(float(np.sqrt(np.mean((laws.y - predicted) ** 2))))
        told = f"rms error {rmse}, of the fit {number(float(laws.front['rmse'].iloc[self.row]))}"
        self.moved.value = svg(plots.fit(law, label, laws.target, points=(x, laws.y), title=told))

    def _draw_profile(self) -> None:
        label = list(self.held)[self.over.value]
        for name, slider in self.held.items():
            slider.disabled = name == label
        at = {name: slider.value for name, slider in self.held.items() if name != label}
        curve, others = self.laws.curve(self.row, label, at, self.level.value)
        points = None if others else (self.laws.inputs[label], self.laws.y)
        law = plots.curve(*curve, self.level.label)
        self.profile.value = svg(plots.fit(law, label, self.laws.target, points=points))

    def _draw_residuals(self) -> None:
        laws, against = self.laws, self.against.value
        law = laws.predict(self.row, {})
        if against == COUNTED:
            drawn = plots.histogram(*laws.pulls(self.row), laws.target)
        elif against == PARITY:
            drawn = plots.parity(laws.y, law, laws.target)
        else:
            label, x = ("law", law) if against == LAW else list(laws.inputs.items())[against]
            drawn = plots.residuals(x, laws.y - law, label, laws.target)
        self.residuals.value = svg(drawn)

    def _answer(self) -> None:
        at = {label: field.value for label, field in self.given.items()}
        found, remarks = self.laws.what_if(self.row, at, 0.95)
        lines = [f"<b>{escape(self.laws.target)} = {number(float(found['mean'].iloc[0]))}</b>"]
        for band, words in (("confidence", "the law, 95 %"), ("prediction", "a new measurement, 95 %")):
            low, high = (number(float(found.loc[band, side])) for side in ("lower", "upper"))
            lines.append(f"{words}: {low} … {high}")
        self.answer.value = "<br>".join([*lines, *(f"⚠ {escape(text)}" for text in remarks)])

    def _write(self) -> None:
        code = self.laws.copied(self.row, self.form.value)
        self.code.value = code
        self.copy.value = (
            f'<button type="button" class="jupyter-widgets jupyter-button widget-button" title="Copy the text above" '
            f'data-text="{html.escape(code)}" onclick="navigator.clipboard.writeText(this.dataset.text)">Copy</button>'
        )


def _place() -> widgets.HTML:
    """Where a picture will stand; as high as one, so that nothing jumps while another is drawn."""
    return widgets.HTML(layout={"min_height": "280px"})


def _line(text: Any, most: int = 90) -> str:
    """One line of plain text."""
    text = " ".join(str(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _options(labels: Any) -> list[tuple[str, int]]:
    """Texts of labels with their numbers: two labels may read the same."""
    return [(_line(label), i) for i, label in enumerate(labels)]


def _rounded(value: Any) -> float:
    return float(f"{float(value):.4g}")


def _reach(value: float, stderr: float) -> tuple[float, float]:
    """Where a slider ends."""
    half = REACH * stderr if np.isfinite(stderr) and stderr > 0 else SHARE * abs(value) or 1.0
    half = max(half, 1e-9 * abs(value))
    return value - half, value + half


def _strips(correlation: pd.DataFrame) -> str:
    """Correlations of the constants as numbers on strips of colour: blue where both rise together, else vermilion."""
    names = list(correlation.columns)
    if len(names) < 2:
        return ""

    def cell(r: float) -> str:
        strength = f"{round(153 * abs(r)):02x}" if np.isfinite(r) else "00"
        colour = (plots.BLUE if r > 0 else plots.ORANGE) + strength
        return f'<td style="{style};background:{colour}">{f"{r:+.2f}" if np.isfinite(r) else "–"}</td>'

    style = "width:4em;padding:2px 4px;text-align:center"
    head = "".join(f'<th scope="col" style="{style}">{escape(name)}</th>' for name in names)
    lines = [
        f'<tr><th scope="row" style="{style}">{escape(name)}</th>{"".join(map(cell, row))}</tr>'
        for name, row in zip(names, correlation.to_numpy().tolist(), strict=True)
    ]
    return f"<table><caption>Correlation</caption><tr><td></td>{head}</tr>{''.join(lines)}</table>"


def _mark(value: float, stderr: float) -> str:
    """A strip as long as the slider's way: a line at the fitted value, a bar over ± one standard error."""
    low, high = _reach(value, stderr)
    half = 100 * stderr / (high - low) if np.isfinite(stderr) and stderr > 0 else 0.0
    bar = f"position:absolute;top:4px;height:6px;left:{50 - half:.1f}%;width:{2 * half:.1f}%;background:{plots.BLUE}"
    line = f"position:absolute;top:0;height:14px;left:50%;width:2px;background:{plots.ORANGE}"
    return (
        f'<span role="img" aria-label="fitted value and one standard error" style="display:inline-block;width:200px;'
        f'height:14px;position:relative;border-bottom:1px solid #808080"><span style="{bar}"></span>'
        f'<span style="{line}"></span></span>'
    )
