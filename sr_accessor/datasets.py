"""Datasets: constants of laws in the layout of xarray's `curvefit`, so that they flow on as labelled arrays."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["curvefit_layout"]


def curvefit_layout(
    target: Hashable,
    names: Sequence[str],
    units: Sequence[str | None],
    over: Mapping[Hashable, Any],
    arrays: Mapping[str, np.ndarray],
    stats: Mapping[str, np.ndarray],
    status: np.ndarray,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """A Dataset of P constants for every cell of the dimensions `over`.

    Parameters
    ----------
    target : label that all variables begin with, as those of `Dataset.curvefit`
    names, units : of the P constants; units become the coordinate ``param_units``, "" where unknown
    over : {dimension: its labels, or None where it has none}; empty for a single law
    arrays : "value" and "stderr" (…, P), "covariance" (…, P, P), the cells in front
    stats : {name: (…,)}
    status : (…,) words
    attrs : equation, latex …

    Returns
    -------
    ``{target}_symreg_coefficients``, ``_stderr`` (…, param); ``_covariance`` (…, cov_i, cov_j); ``_stats``
    (…, fit_stat); ``_status`` (…)
    """
    import xarray as xr

    dims, cells = tuple(over), status.shape
    stacked = np.stack([np.broadcast_to(values, cells) for values in stats.values()], axis=-1).astype(np.float64)
    names = np.array(list(names), dtype=str)
    variables = {
        "coefficients": ((*dims, "param"), arrays["value"]),
        "stderr": ((*dims, "param"), arrays["stderr"]),
        "covariance": ((*dims, "cov_i", "cov_j"), arrays["covariance"]),
        "stats": ((*dims, "fit_stat"), stacked),
        "status": (dims, status.astype(str)),
    }
    return xr.Dataset(
        {f"{target}_symreg_{name}": variable for name, variable in variables.items()},
        coords={dim: labels for dim, labels in over.items() if labels is not None}
        | {
            "param": names, "cov_i": names, "cov_j": names, "fit_stat": np.array(list(stats), dtype=str),
            "param_units": ("param", np.array([unit if isinstance(unit, str) else "" for unit in units], dtype=str)),
        },
        attrs=dict(attrs),
    )  # fmt: skip
