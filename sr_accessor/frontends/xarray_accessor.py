"""ds.symreg, da.symreg and dt.symreg: the free functions as methods of a Dataset, a DataArray and a DataTree."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from sr_accessor.frontends import functions

if TYPE_CHECKING:
    import xarray as xr

    from sr_accessor.equation import Equation
    from sr_accessor.groups.result import GroupedResult
    from sr_accessor.result import FitResult

__all__ = ["DataArrayAccessor", "DataTreeAccessor", "DatasetAccessor"]


class DatasetAccessor:
    """Symbolic regression on this Dataset; holds nothing but the Dataset."""

    __slots__ = ("_obj",)

    def __init__(self, dataset: xr.Dataset):
        self._obj = dataset

    def fit(self, target: Hashable, features: Any = None, **options: Any) -> FitResult | GroupedResult:
        """The law behind variable `target`: `sr_accessor.fit(ds, target, features, **options)`."""
        return functions.fit(self._obj, target, features, **options)

    def refine(self, target: Hashable, formula: str, **options: Any) -> FitResult | GroupedResult:
        """The parameters of a known law: `sr_accessor.refine(ds, target, formula, **options)`."""
        return functions.refine(self._obj, target, formula, **options)

    def predict(self, law: FitResult | GroupedResult | Equation) -> xr.DataArray:
        """The target according to `law`, on the coordinates of its inputs: `sr_accessor.predict(ds, law)`."""
        return functions.predict(self._obj, law)


class DataArrayAccessor:
    """Symbolic regression with this DataArray as the target; holds nothing but the DataArray."""

    __slots__ = ("_obj",)

    def __init__(self, array: xr.DataArray):
        self._obj = array

    def fit(self, features: Any = None, **options: Any) -> FitResult | GroupedResult:
        """The law behind these values by coordinates: `sr_accessor.fit(da, features=features, **options)`."""
        return functions.fit(self._obj, features=features, **options)

    def refine(self, formula: str, **options: Any) -> FitResult | GroupedResult:
        """The parameters of a known law of the coordinates: `sr_accessor.refine(da, da.name, formula, **options)`."""
        name = "y" if self._obj.name is None else self._obj.name
        return functions.refine(self._obj, name, formula, **options)

    def predict(self, law: FitResult | GroupedResult | Equation) -> xr.DataArray:
        """The target according to `law`, on the coordinates of its inputs: `sr_accessor.predict(da, law)`."""
        return functions.predict(self._obj, law)


class DataTreeAccessor:
    """Symbolic regression in every node of this DataTree; holds nothing but the tree."""

    __slots__ = ("_obj",)

    def __init__(self, tree: xr.DataTree):
        self._obj = tree

    def fit(self, target: Hashable, features: Any = None, **options: Any) -> xr.DataTree:
        """A law in every node that has `target`, as Datasets: `sr_accessor.fit(dt, target, features, **options)`."""
        return functions.fit(self._obj, target, features, **options)

    def refine(self, target: Hashable, formula: str, **options: Any) -> xr.DataTree:
        """The parameters of a known law in every node: `sr_accessor.refine(dt, target, formula, **options)`."""
        return functions.refine(self._obj, target, formula, **options)
