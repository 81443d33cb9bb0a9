"""Notebook: the shell that we run in, and whether results appear there with their panel: `set_options(display=)`."""

from __future__ import annotations

import sys
from typing import Any

from sr_accessor.errors import InputError, OptionError, nearest
from sr_accessor.options import SESSION, FitOptions

__all__ = ["NOTHING", "notebook", "set_options", "show_panel", "shows_panels"]

#: An output that shows nothing: front ends know no way to take one back.
NOTHING = {"text/html": "", "text/plain": ""}
#: What IPython asks how to display a result; known by name, since its room is loaded with the first fit.
RESULT = ("sr_accessor.result", "FitResult")
DISPLAYS = ("static", "widget")


class set_options:
    """Say how results appear in this notebook, and what fits do that are not told, from now on or inside a ``with``.

    ``sr.set_options(display="widget", timeout=30, device="cpu")``

    Parameters
    ----------
    display : "static", the default, shows a result as text and pictures that survive saving; "widget" shows below it
        the panel of `FitResult.explore`, of which a saved notebook keeps one line. Outside of notebooks, where nothing
        can show a panel, neither changes anything. None leaves it as it is
    **options : of `sr_accessor.fit`, by the same names: see `sr_accessor.options.FitOptions`; what a call of fit says
        goes before. A result's ``.provenance`` has what counted

    Raises
    ------
    OptionError : no such display; an option that no fit has, or of the wrong kind.
    InputError : an option out of its range.
    """

    def __init__(self, *, display: str | None = None, **options: Any):
        if display is not None and display not in DISPLAYS:
            raise OptionError(f"display={display!r} is not known; {nearest(str(display), DISPLAYS)}")
        FitOptions.from_keywords(options, ("display",))
        self._before = DISPLAYS[shows_panels()], dict(SESSION)
        if display is not None:
            _choose(display)
        SESSION.update(options)

    def __enter__(self) -> None:
        """The options hold already."""

    def __exit__(self, *error: Any) -> None:
        display, options = self._before
        _choose(display)
        SESSION.clear()
        SESSION.update(options)


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
