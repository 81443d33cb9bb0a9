"""Plugins: who else may join; `table()`, `only(...)`, `operators()`, `exporters()` and their like are here."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["exporters", "hookimpl", "noise_models", "only", "operators", "table", "vocabularies"]


def __getattr__(name: str) -> Any:
    # On first use: a plugin imports `hookimpl` from here and must not pay for torch.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "hookspecs" if name == "hookimpl" else "manager"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
