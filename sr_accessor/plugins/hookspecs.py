"""Hook specifications: the whole contract between sr_accessor and a plugin, on one screen.

A plugin is a module with functions of these names, each under `@sr_accessor.hookimpl`, and one line in its
pyproject.toml:

    [project.entry-points.sr_accessor]
    lab = "sr_accessor_lab"
"""

from __future__ import annotations

import pluggy

__all__ = ["PROJECT", "hookimpl", "hookspec", "register_noise_models", "register_operators"]

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
