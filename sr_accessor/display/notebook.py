"""Notebook: the shell that we run in, and whether results appear there with their panel: `set_options(display=)`."""

from __future__ import annotations

import sys
from typing import Any

from sr_accessor.errors import InputError, OptionError, nearest

__all__ = ["NOTHING", "notebook", "set_options", "show_panel", "shows_panels"]

#: An output that shows nothing: front ends know no way to take one back.
NOTHING = {"text/html": "", "text/plain": ""}
#: What IPython asks how to display a result; known by name, since its room is loaded with the first fit.
RESULT = ("sr_accessor.result", "FitResult")
DISPLAYS = ("static", "widget")


class set_options:
    """Say how results appear in this notebook, from now on or inside a ``with``.

    ``sr.set_options(display="widget")``

    Parameters
    ----------
    display : "static", the default, shows a result as text and pictures that survive saving; "widget" shows below it
        the panel of `FitResult.explore`, of which a saved notebook keeps one line. Outside of notebooks, where nothing
        can show a panel, neither changes anything

    Raises
    ------
    OptionError : no such display.
    """

    def __init__(self, *, display: str):
        if display not in DISPLAYS:
            raise OptionError(f"display={display!r} is not known; {nearest(str(display), DISPLAYS)}")
        self._before = DISPLAYS[shows_panels()]
        _choose(display)

    def __enter__(self) -> None:
        """The options hold already."""

    def __exit__(self, *error: Any) -> None:
        _choose(self._before)


def notebook() -> Any:
    """The shell of the kernel that we run in, or None."""
    ipython = sys.modules.get("IPython")  # whoever runs in a notebook has loaded it
    shell = None if ipython is None else ipython.get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None


def shows_panels() -> bool:
    """Whether a panel is shown below each result."""
    shell = notebook()
    return shell is not None and ".".join(RESULT) in shell.display_formatter.ipython_display_formatter


def show_panel(result: Any) -> None:
    """Display the panel of a result, or why there is none."""
    from IPython.display import display

    try:
        panel = result.explore()
    except InputError as error:  # a file without data has nothing to explore
        display({"text/plain": f"no panel: {error}"}, raw=True)
    else:
        display(panel)


def _choose(display: str) -> None:
    shell = notebook()
    if shell is None:
        return
    formatter = shell.display_formatter.ipython_display_formatter
    if display == "widget":
        formatter.for_type_by_name(*RESULT, _show_both)
    else:
        formatter.pop(".".join(RESULT), None)


def _show_both(result: Any) -> None:
    from IPython.display import display

    display(result._repr_mimebundle_(), raw=True)
    show_panel(result)
