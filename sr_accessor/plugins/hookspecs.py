"""Hook specifications: the whole contract between sr_accessor and a plugin, on one screen.

A plugin is a module with functions of these names, each under `@sr_accessor.hookimpl`, and one line in its
pyproject.toml; `symreg plugins new NAME` writes both, with a test:

    [project.entry-points.sr_accessor]
    lab = "sr_accessor_lab"
"""

from __future__ import annotations

import pluggy

__all__ = [
    "HOOKS",
    "PROJECT",
    "configure",
    "fit_finished",
    "fit_progress",
    "fit_started",
    "hookimpl",
    "hookspec",
    "register_exporters",
    "register_noise_models",
    "register_operators",
    "register_selection_rules",
    "register_shape_constraints",
]

#: One name for the markers and for the entry-point group.
PROJECT = "sr_accessor"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_operators(registry):
    """Add functions: `registry.add(Operator(...))`; and sets: `registry.vocabulary(name, base=, add=, remove=)`."""


@hookspec
def register_noise_models(registry):
    """Add distributions of the measured values around a law, `registry.add(model)` with a `NoiseModel`."""


@hookspec
def register_exporters(registry):
    """Add forms of a law, `registry.add(Exporter(name, write))`; `write(formula)` gives text or an object."""


@hookspec
def register_selection_rules(registry):
    """Add ways to choose one law of the front, `registry.add(SelectionRule(name, price))`; the least price wins."""


@hookspec
def register_shape_constraints(registry):
    """Add demands on a law's values and slopes, `registry.add(ShapeConstraint(name, holds))`, for `shape=[...]`."""


@hookspec
def configure(settings):
    """Called once, after all plugins have registered, with a `Settings` (versions, names of the plugins)."""


@hookspec
def fit_started(context):
    """Called before the first round with a `FitContext` (observations, options, seed, operators)."""


@hookspec
def fit_progress(snapshot):
    """Called after each round with the state of the search, as a callback is."""


@hookspec
def fit_finished(result):
    """Called with the `FitResult` before the caller gets it."""


#: Names of all hooks.
HOOKS = tuple(name for name in __all__ if name.startswith(("register_", "configure", "fit_")))
