"""df.symreg: the free functions as methods of a DataFrame."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from sr_accessor.frontends import functions

if TYPE_CHECKING:
    import pandas as pd

    from sr_accessor.equation import Equation
    from sr_accessor.result import FitResult

__all__ = ["DataFrameAccessor"]


class DataFrameAccessor:
    """Symbolic regression on this frame; holds nothing but the frame."""

    __slots__ = ("_obj",)

    def __init__(self, frame: pd.DataFrame):
        self._obj = frame

    def fit(self, target: Hashable, features: Any = None, **options: Any) -> FitResult:
        """The law behind column `target`: `sr_accessor.fit(df, target, features, **options)`."""
        return functions.fit(self._obj, target, features, **options)

    def refine(self, target: Hashable, formula: str, **options: Any) -> FitResult:
        """The parameters of a known law: `sr_accessor.refine(df, target, formula, **options)`."""
        return functions.refine(self._obj, target, formula, **options)

    def predict(self, law: FitResult | Equation) -> pd.Series:
        """The target according to `law`, with this frame's index: `sr_accessor.predict(df, law)`."""
        return functions.predict(self._obj, law)
