"""Units in a search: what `units=` asks for, bound to the columns of one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from sr_accessor.errors import SymRegWarning, UnitError
from sr_accessor.expressions.dimensions import Dimensions, check_reachable
from sr_accessor.observations import Observations
from sr_accessor.tables import label_problems, raise_all

__all__ = ["demanded", "with_units"]


def with_units(observations: Observations, asked: Any) -> Observations:
    """The observations with the units {label: unit} that the caller says, or without units for None.

    Raises
    ------
    ColumnError : a unit for what is no column.
    """
    if isinstance(asked, str):
        return observations
    given = {} if asked is None else dict(asked)
    labels = (*observations.names, observations.target)
    raise_all(label_problems(given, labels))
    read = dict(zip(labels, (*observations.units, observations.target_unit), strict=True))
    *units, target_unit = ((dict.fromkeys(labels) if asked is None else read) | given).values()
    return dataclasses.replace(observations, units=tuple(units), target_unit=target_unit)


def demanded(
    observations: Observations, asked: Any, device: torch.device | str = "cpu"
) -> tuple[Dimensions | None, list[SymRegWarning]]:
    """Dimensions that every law must obey ("strict"), else None; and a remark about units that cannot be read.

    Raises
    ------
    UnitError : "strict", and a unit is missing or cannot be read, or no product of the columns has the target's;
        or a unit that the caller says cannot be read.
    """
    columns = (observations.units, observations.target_unit, observations.names, observations.target)
    if asked == "strict":
        dimensions = Dimensions.of(*columns, device=device)
        check_reachable(dimensions, observations.names, observations.target)
        return dimensions, []
    try:
        Dimensions.of(*columns)
    except UnitError as error:
        if isinstance(asked, Mapping):
            raise
        return None, [SymRegWarning("UNITS", f"{error}. Units of constants are told without it")]
    return None, []
