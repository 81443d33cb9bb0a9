"""Summary: what remains of observations without their rows: labels, units, counts, ranges; for files without data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields
from typing import NoReturn

import numpy as np

from sr_accessor.errors import InputError, SymRegWarning
from sr_accessor.observations import Observations

__all__ = ["Summary"]


@dataclass(frozen=True, eq=False)
class Summary:
    """Observations whose rows are not here; the attributes mean what they mean there.

    Whoever asks for the rows themselves (`x`, `y`, `sigma` ...) gets an InputError that says how to have them.
    """

    names: tuple[Hashable, ...]
    target: Hashable
    units: tuple[str | None, ...]
    target_unit: str | None
    count: int
    low: np.ndarray
    high: np.ndarray
    variance: float
    has_sigma: bool
    has_weight: bool
    absolute_sigma: bool
    dropped: Mapping[Hashable, int]
    remarks: tuple[SymRegWarning, ...]
    data_hash: str

    @classmethod
    def of(cls, observations: Observations | Summary) -> Summary:
        """The summary of observations; of a sample that counts the rows of the whole table."""
        said = {field.name: getattr(observations, field.name) for field in fields(cls)}
        return cls(**said | {"count": observations.total})

    @property
    def total(self) -> int:
        """Rows that the laws were refined on."""
        return self.count

    def _absent(self) -> NoReturn:
        raise InputError(
            f"this needs the {self.count} rows that were fitted, and the file does not hold them; "
            "write it with result.save(path, data=True) unless the table lies in chunks, or fit again"
        )

    x = y = sigma = sample_weight = rows = sigma_sides = sigma_x = property(_absent)
