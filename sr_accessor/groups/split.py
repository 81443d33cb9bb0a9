"""Groups: which rows of a table belong together, and the groups of equal size stacked to one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch

from sr_accessor.errors import ColumnError, InputError, OptionError, SymRegWarning, nearest
from sr_accessor.observations import Observations
from sr_accessor.refinement.likelihood import LawErrors
from sr_accessor.scatter import measured
from sr_accessor.tables import as_labels, column, variables_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Groups", "Stack", "keys_along", "keys_of", "keys_over", "told_groups"]

#: Group labels that a message shows.
SHOWN = 5
#: Candidates × rows of one batch: 100 MB an array of two inputs.
CELLS = 2**22


class Stack(NamedTuple):
    """R groups with the same number N of rows.

    Parameters
    ----------
    groups : (R,) which groups
    x : (R, N, D); y : (R, N); sigma : (R, N) or None; errors : of the same stack, or None
    """

    groups: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    sigma: torch.Tensor | None
    errors: LawErrors | None

    def repeated(self, times: int) -> Stack:
        """Every group so many times, one after the other."""
        if times == 1:
            return self
        x, y, sigma = (t if t is None else t.repeat_interleave(times, 0) for t in self[1:4])
        errors = self.errors
        if errors is not None:
            of_x = None if errors.x is None else errors.x.repeat_interleave(times, 0)
            errors = LawErrors(errors.sides.repeat_interleave(times, 0), of_x)
        return Stack(self.groups, x, y, sigma, errors)


@dataclass(frozen=True, eq=False)
class Groups:
    """Observations and the group of each of their rows.

    Parameters
    ----------
    by : what tells groups apart: labels of columns, or dimensions
    keys : (G,) label of each group; a MultiIndex where several labels tell them apart
    observations : all rows
    code : (N,) number of the group of each row
    """

    by: tuple[Hashable, ...]
    keys: pd.Index
    observations: Observations
    code: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def counts(self) -> np.ndarray:
        """(G,) rows of each group."""
        return np.bincount(self.code, minlength=len(self.keys))

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.code, kind="stable")

    def rows(self, group: int) -> np.ndarray:
        """Numbers of the rows of one group, in the order of the table."""
        stop = self.counts[: group + 1].sum()
        return self._order[stop - self.counts[group] : stop]

    def observed(self, group: int) -> Observations:
        """The rows of one group, without remarks: these were told of all rows."""
        return dataclasses.replace(self.observations.take(self.rows(group)), dropped={}, remarks=())

    def stacks(self, groups: Sequence[int] | np.ndarray, device: torch.device | str = "cpu") -> list[Stack]:
        """These groups, those of equal size together, in pieces that fit the memory."""
        x, y, sigma, errors = measured(self.observations, device)
        groups = np.asarray(groups, dtype=np.int64)
        sizes, first = self.counts[groups], np.concatenate([[0], self.counts.cumsum()])
        found = []
        for size in np.unique(sizes).tolist():  # sizes, not groups
            alike, piece = groups[sizes == size], max(1, CELLS // max(1, size))
            for start in range(0, len(alike), piece):
                some = alike[start : start + piece]
                rows = torch.from_numpy(self._order[first[some][:, None] + np.arange(size)]).to(x.device)
                given = (None if sigma is None else sigma[rows], None if errors is None else errors[rows])
                found.append(Stack(torch.from_numpy(some).to(x.device), x[rows], y[rows], *given))
        return found


def keys_of(frame: pd.DataFrame, by: object) -> tuple[tuple[Hashable, ...], pd.Index, np.ndarray]:
    """Labels that tell groups apart, the label of each group, and the group of each row (N,), −1 where it is missing.

    Parameters
    ----------
    by : a label or a list of labels, of columns or of levels of the index

    Raises
    ------
    ColumnError : no such column or level.
    OptionError : no labels.
    """
    if by is None or isinstance(by, pd.Series | np.ndarray) or callable(by):
        raise OptionError(f"by={by!r}; give the label of a column, or a list of labels")
    known = [*frame.columns, *(name for name in frame.index.names if name is not None)]
    labels = as_labels(by, known)
    if not labels:
        raise OptionError("by=[] names no column; give the label of a column, or leave `by` out")
    for label in labels:
        if label not in known:
            raise ColumnError(
                f"by names {label!r}, which is no column and no level of the index; {nearest(label, known)}"
            )
    values = [
        column(frame, label).reset_index(drop=True)
        if label in list(frame.columns)
        else pd.Series(frame.index.get_level_values(label))
        for label in labels
    ]
    together = pd.DataFrame(dict(enumerate(values)))
    grouped = together.groupby(list(together.columns), sort=True, observed=True, dropna=True)
    code = np.where(together.isna().any(axis=1), -1, grouped.ngroup().to_numpy()).astype(np.int64)
    keys = grouped.size().index.set_names(labels)
    return tuple(labels), keys, code


def keys_over(
    table: xr.Dataset | xr.DataArray, observations: Observations, over: object
) -> tuple[tuple[Hashable, ...], pd.Index, np.ndarray, dict[Hashable, pd.Index]]:
    """As `keys_of` for the dimensions `over` of xarray, and {dimension: its labels}; all cells are groups.

    Parameters
    ----------
    observations : read from the table: their rows are the points of all variables broadcast, in that order

    Raises
    ------
    ColumnError : no such dimension.
    InputError : it is a dimension along which nothing varies but the target, or the only one.
    """
    variables = variables_of(table)
    used = [variables[label] for label in (observations.target, *observations.names)]
    sizes = {dim: size for variable in used for dim, size in variable.sizes.items()}
    labels = as_labels(over, list(sizes))
    for label in labels:
        if label not in sizes:
            raise ColumnError(f"over names {label!r}, which is no dimension; {nearest(label, sizes)}")
    stacked = [dim for dim in labels if isinstance(table.indexes.get(dim), pd.MultiIndex)]
    if stacked:
        levels = list(table.indexes[stacked[0]].names)
        raise InputError(
            f"over names {stacked[0]!r}, which is stacked; name what it is made of: over={levels!r}, after "
            f".unstack({stacked[0]!r})"
        )
    if not labels or len(labels) == len(sizes):
        raise InputError(f"over={over!r} leaves no points in a group: dimensions are {', '.join(map(repr, sizes))}")
    found = {dim: table.indexes.get(dim, pd.RangeIndex(sizes[dim])) for dim in labels}
    order = list(dict.fromkeys(dim for variable in used for dim in variable.dims))
    shape = tuple(sizes[dim] for dim in order)
    places = np.unravel_index(np.arange(int(np.prod(shape))), shape)
    code = np.ravel_multi_index([places[order.index(dim)] for dim in labels], [sizes[dim] for dim in labels])
    return tuple(labels), keys_along(found), code, found


def keys_along(sizes: Mapping[Hashable, pd.Index]) -> pd.Index:
    """The label of every cell of dimensions, {dimension: its labels}."""
    if len(sizes) == 1:
        ((dim, index),) = sizes.items()
        return index.set_names([dim])
    return pd.MultiIndex.from_product(list(sizes.values()), names=list(sizes))


def told_groups(code: str, keys: pd.Index, which: np.ndarray, what: str) -> list[SymRegWarning]:
    """One remark about all groups of a kind, none without any."""
    numbers = np.flatnonzero(which)
    if not len(numbers):
        return []
    shown = ", ".join(repr(label) for label in keys[numbers[:SHOWN]].tolist()) + ", …" * (len(numbers) > SHOWN)
    return [SymRegWarning(code, f"{len(numbers)} of {len(keys)} groups {what}: {shown}")]
