"""Progress of a fit: a panel in a notebook, a bar on a terminal, log lines elsewhere; and who gets which.

A watcher is begun, shown what there is to be seen, ticked in between, and ended with the result. It is called in the
fit's thread and draws at most `RATE` times a second, so that watching costs next to nothing.
"""

from __future__ import annotations

import html
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sr_accessor.display import plots
from sr_accessor.display.html import escape
from sr_accessor.display.notebook import NOTHING, notebook, show_panel, shows_panels
from sr_accessor.display.svg import svg

__all__ = ["Snapshot", "Watcher", "close", "watch"]

#: Drawings a second at most, and seconds after which a log line comes although no law was found that is better.
RATE, LOG_EVERY = 4.0, 10.0
#: Width and height of the growing front, in pixels.
FRONT = (450, 170)

_log = logging.getLogger("sr_accessor")


@dataclass(frozen=True)
class Snapshot:
    """What there is to be seen of a search.

    Parameters
    ----------
    phase : what the last round did
    rounds, candidates : done so far
    law, latex : the best law so far
    complexity, loss : (F,) of the front; nats
    best : its row
    elapsed : seconds since the fit began
    """

    phase: str
    rounds: int
    candidates: int
    law: str
    latex: str
    complexity: Sequence[int]
    loss: Sequence[float]
    best: int
    elapsed: float


class Watcher:
    """Sees nothing and says nothing; the others override `begin`, `draw` and `end`."""

    def __init__(self, title: str = "", timeout: float = 0.0):
        self.title, self.timeout = title, timeout
        self._make: Callable[[], Snapshot] | None = None
        self._drawn, self._began = 0.0, time.perf_counter()

    def begin(self, stop: Callable[[], None]) -> None:
        """The fit begins; `stop()` asks it to end. Called in the thread that asked for the fit."""

    def show(self, make: Callable[[], Snapshot]) -> None:
        """There is something new; `make()` computes what, if it is time to draw."""
        self._make = make
        self.tick()

    def tick(self) -> None:
        """Time has passed."""
        now = time.perf_counter()
        if now - self._drawn < 1 / RATE:
            return
        self._drawn = now
        make, self._make = self._make, None
        self.draw(None if make is None else make(), now - self._began)

    def draw(self, snapshot: Snapshot | None, elapsed: float) -> None:
        """Draw what is new, None if nothing is, after so many seconds."""

    def end(self, outcome: Any) -> None:
        """The fit has ended with a result, or with an exception."""

    def collected(self, outcome: Any) -> None:
        """Someone asked for the result, for the first time. Called in the asking thread."""


class Log(Watcher):
    """Lines of `logging`, level INFO, logger "sr_accessor": one for each better law, and a sign of life."""

    def __init__(self, title: str, timeout: float):
        super().__init__(title, timeout)
        self._last = ("", 0.0)

    def draw(self, snapshot: Snapshot | None, elapsed: float) -> None:
        if snapshot is None or not _log.isEnabledFor(logging.INFO):
            return
        law, at = self._last
        if snapshot.law != law or elapsed - at > LOG_EVERY:
            self._last = (snapshot.law, elapsed)
            _log.info("%.1f s, %d laws, %s: %s", elapsed, snapshot.candidates, snapshot.phase, snapshot.law)

    def end(self, outcome: Any) -> None:
        _log.info("%s: %s", "failed" if isinstance(outcome, BaseException) else outcome.status, _line(outcome))


class Bar(Watcher):
    """A bar of tqdm on the standard error: laws, laws a second, time left, the best law so far."""

    def begin(self, stop: Callable[[], None]) -> None:
        from tqdm import tqdm

        class Quiet(tqdm):
            monitor_interval = 0  # tqdm's monitor is a thread that would outlive the fit

        self._bar = Quiet(total=None, unit=" laws", desc=self.title, dynamic_ncols=True)

    def draw(self, snapshot: Snapshot | None, elapsed: float) -> None:
        if snapshot is not None:
            left = max(0.0, self.timeout - elapsed)
            self._bar.set_postfix_str(f"{left:.0f} s left, {snapshot.law}", refresh=False)
            self._bar.update(snapshot.candidates - self._bar.n)

    def end(self, outcome: Any) -> None:
        if self._make is not None:  # what came too soon after the last drawing
            self.draw(self._make(), time.perf_counter() - self._began)
        self._bar.set_postfix_str(_line(outcome))
        self._bar.close()


class Panel(Watcher):
    """Widgets in a notebook, replaced in place by the result: a saved notebook holds no dead widget.

    Parameters
    ----------
    shell : of the kernel
    waiting : whether the cell waits for the fit. Then its front end may keep clicks until the cell has ended, fits that
        follow each other in one run of a cell share one output, and where the result is also the cell's value, which
        the notebook shows by itself, it is not shown here
    shown : whether the result is shown at all; else nothing stays
    """

    #: The run of a cell that waited for a fit last, its output, and what stands there.
    _cell: tuple[int, Any, Any] = (-1, None, None)

    def __init__(self, title: str, timeout: float, shell: Any, waiting: bool, shown: bool = True):
        super().__init__(title, timeout)
        self.shell, self.waiting, self.shown = shell, waiting, shown

    def begin(self, stop: Callable[[], None]) -> None:
        import ipywidgets as widgets
        from IPython.display import display

        tip = "End the search and keep the best law so far"
        self.stop = widgets.Button(description="Stop", icon="stop", tooltip=tip, button_style="warning")
        self.stop.on_click(lambda button: self._stopped(stop))
        self.time = widgets.FloatProgress(
            min=0.0, max=self.timeout if self.timeout < 1e9 else 1.0, layout=widgets.Layout(width="160px"),
            style={"bar_color": plots.BLUE},
        )  # fmt: skip
        self.status = widgets.HTML(self._status("reading the table", 0, 0.0))
        self.law = widgets.HTMLMath("", layout=widgets.Layout(min_height="3.5em", overflow="auto"))
        self.front = widgets.HTML("")
        also = widgets.HTML("<span>or the kernel's stop button ■: the best law so far is kept</span>")
        row = widgets.HBox([self.stop, self.time, self.status], layout=widgets.Layout(align_items="center"))
        self.box = widgets.VBox([row, *([also] if self.waiting else []), self.law, self.front])
        run, output, _ = Panel._cell
        if self.waiting and run == self.shell.execution_count:
            self._output = output
            output.update(self.box)
            return
        self._output = display(self.box, display_id=True)
        if self.waiting:
            Panel._cell = (self.shell.execution_count, self._output, None)
            self.shell.events.register("post_run_cell", _after_cell)

    def _stopped(self, stop: Callable[[], None]) -> None:
        stop()
        self.stop.disabled, self.stop.description = True, "Stopping"

    def _status(self, phase: str, candidates: int, elapsed: float) -> str:
        left = max(0.0, self.timeout - elapsed)
        time_left = f"{left:.0f} s left" if self.timeout < 1e9 else f"{elapsed:.0f} s"
        rate = f"{candidates / elapsed:,.0f} laws/s, " if elapsed else ""
        return f"<span><b>{escape(self.title)}</b>: {escape(phase)}; {rate}{time_left}</span>"

    def draw(self, snapshot: Snapshot | None, elapsed: float) -> None:
        self.time.value = min(elapsed, self.time.max)
        if snapshot is None:
            return
        self.status.value = self._status(snapshot.phase, snapshot.candidates, elapsed)
        self.law.value = f"<div>$${html.escape(snapshot.latex, quote=False)}$$</div>"
        front = plots.pareto(snapshot.complexity, snapshot.loss, snapshot.best, what="loss", log=False)
        self.front.value = svg(front, FRONT)

    def end(self, outcome: Any) -> None:
        if isinstance(outcome, BaseException):
            self._output.update({"text/plain": f"{type(outcome).__name__}: {outcome}"}, raw=True)
        elif not self.shown:
            self._output.update(NOTHING, raw=True)
        else:
            self._show(outcome)
            if self.waiting:
                Panel._cell = (*Panel._cell[:2], outcome)
            elif shows_panels():
                show_panel(outcome)
        close(self.box)

    def collected(self, outcome: Any) -> None:
        if not self.waiting and not isinstance(outcome, BaseException):
            self._show(outcome)  # programs that run notebooks ignore what a cell sends after its end

    def _show(self, outcome: Any) -> None:
        """The static display, in place, also where IPython was told to show more."""
        self._output.update(outcome._repr_mimebundle_(), raw=True)


def close(widget: Any) -> None:
    """Close a widget and all that it is made of."""
    for part in (*getattr(widget, "children", ()), getattr(widget, "style", None), widget.layout, widget):
        if part is not None and part is not widget and hasattr(part, "layout"):
            close(part)
        elif part is not None:
            part.close()


def _after_cell(cell: Any) -> None:
    """After the cell's run: clear the output if the same result is the cell's value; else its panel may follow."""
    _, output, shown = Panel._cell
    notebook().events.unregister("post_run_cell", _after_cell)
    Panel._cell = (-1, None, None)
    if shown is not None and cell.result is shown:
        output.update(NOTHING, raw=True)
    elif shown is not None and shows_panels():
        show_panel(shown)


def watch(progress: bool | str, title: str, timeout: float, *, waiting: bool, shown: bool = True) -> Watcher:
    """The watcher for whoever is there.

    Parameters
    ----------
    progress : False: nobody; True: a panel in a notebook, else a bar; "auto": the bar only on a terminal, else log
        lines, and a panel only for fits that the notebook's own thread asks for
    """
    if progress is False:
        return Watcher()
    shell = notebook()
    if shell is not None and (progress is True or threading.current_thread() is threading.main_thread()):
        return Panel(title, timeout, shell, waiting, shown)
    if progress is True or sys.stderr.isatty():
        return Bar(title, timeout)
    return Log(title, timeout)


def _line(outcome: Any) -> str:
    return f"{type(outcome).__name__}: {outcome}" if isinstance(outcome, BaseException) else repr(outcome.best)
