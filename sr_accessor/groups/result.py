"""GroupedResult: one form with its constants in every group, or a law for each group; never changed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from sr_accessor.datasets import curvefit_layout
from sr_accessor.device import DTYPE
from sr_accessor.display import grouped, tex
from sr_accessor.equation import Equation
from sr_accessor.errors import ColumnError, InputError, OptionError, SymRegWarning, UnitError, nearest
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.latex import label_latex, to_latex
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import VARIABLE
from sr_accessor.files import envelope
from sr_accessor.groups.document import GroupedRecord, from_document, to_document
from sr_accessor.groups.forms import Laws, SharedForm
from sr_accessor.groups.split import Groups, keys_of
from sr_accessor.lazy import in_parts, is_dask_frame, like_target
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import conversion, inputs_of
from sr_accessor.result import FitResult
from sr_accessor.tables import array_unit, is_xarray, plain_array, variables_of
from sr_accessor.writing import write_whole

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["GroupedResult"]

#: Laws that the short form shows.
SHOWN = 20


class GroupedResult:
    """What a fit of groups found; made by `fit(..., by=)`, `fit(..., over=)` and `refine(..., by=)`, never changed.

    Parameters
    ----------
    groups : the rows and their groups
    found : the shared form, or a law for each group
    noise : the noise model of the shared form
    status : (G,) "ok", "no_convergence" (a fit, but the likelihood was still rising), "no_data", "too_few_rows",
        "no_fit" (the law has no value there) or "interrupted" (before this group's own fit)
    forms : one row per form that was refined on all groups: what it cost; the chosen one marked
    sizes : {dimension: its labels} of the dimensions `over` which there is a law each; None for a DataFrame
    seconds, provenance, remarks : as in `FitResult`
    """

    def __init__(
        self,
        *,
        groups: Groups,
        found: SharedForm | Laws,
        noise: NoiseModel | None,
        status: Sequence[str],
        forms: pd.DataFrame,
        sizes: Mapping[Hashable, Any] | None = None,
        seconds: float = 0.0,
        provenance: Mapping[str, Any] | None = None,
        remarks: Sequence[SymRegWarning] = (),
    ):
        self._groups, self._found, self._noise, self._forms = groups, found, noise, forms
        self._status = pd.Series(list(status), index=groups.keys, name="status", dtype=object)
        self._sizes, self._seconds = sizes, seconds
        self._provenance, self._remarks = dict(provenance or {}), tuple(remarks)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"a GroupedResult does not change ({name!r})")
        super().__setattr__(name, value)

    # ------------------------------------------------------------------ what was fitted
    @property
    def target(self) -> Hashable:
        """Label of the fitted column."""
        return self._groups.observations.target

    @property
    def by(self) -> tuple[Hashable, ...]:
        """Labels of what tells the groups apart: columns, or dimensions."""
        return self._groups.by

    @property
    def keys(self) -> pd.Index:
        """Labels of the groups."""
        return self._groups.keys

    @property
    def status(self) -> pd.Series:
        """One word for each group: "ok", "no_convergence", "no_data", "too_few_rows", "no_fit" or "interrupted"."""
        return self._status.copy()

    @property
    def interrupted(self) -> bool:
        """Whether the search was ended by an interrupt, so that more might have been found."""
        return bool(self._provenance.get("interrupted"))

    @property
    def shared(self) -> bool:
        """Whether all groups have one form."""
        return isinstance(self._found, SharedForm)

    @property
    def remarks(self) -> tuple[SymRegWarning, ...]:
        """What is to be said about the groups; what `noise="auto"` chose is an answer, not a warning."""
        return tuple(remark for remark in self._remarks if remark.code != "NOISE")

    @property
    def warnings(self) -> tuple[SymRegWarning, ...]:
        """Remarks on the data and the groups."""
        return (*self._groups.observations.remarks, *self._remarks)

    @property
    def provenance(self) -> dict[str, Any]:
        """Everything needed to do it again."""
        return self._provenance | {
            "data_hash": self._groups.observations.data_hash, "by": list(self.by), "groups": len(self.keys),
            "seconds": self._seconds,
        }  # fmt: skip

    # ------------------------------------------------------------------ the laws
    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Hashable]:
        """Labels of the groups that have a law."""
        return (key for key, fitted in zip(self.keys, self._fitted, strict=True) if fitted)

    def __getitem__(self, key: Hashable) -> Equation:
        """The law of one group, with that group's rows and error bars.

        Raises
        ------
        ColumnError : there is no such group, or it has no law; says why.
        """
        place = self._place(key)
        if not self._fitted[place]:
            raise ColumnError(f"group {key!r} has no law: {self._status.iloc[place]}")
        if isinstance(self._found, Laws):
            return self._found.results[key].best
        found = self._found
        numbers = found.parameters
        return Equation(
            expression=found.expression.with_constants(found.numbers[place][None]),
            observations=self._groups.observed(place),
            laplace=found.laplace[place],
            loss=float(found.loss[place]),
            origin="groups",
            noise=self._noise,
            parameters=numbers,
        )

    @property
    def results(self) -> dict[Hashable, FitResult]:
        """{group: FitResult} of independent fits; empty where all groups share a form."""
        return dict(self._found.results) if isinstance(self._found, Laws) else {}

    def _place(self, key: Hashable) -> int:
        if key not in self.keys:
            raise ColumnError(f"no group {key!r}; {nearest(key, self.keys)}")
        return int(self.keys.get_loc(key))

    @cached_property
    def _fitted(self) -> np.ndarray:
        return self._status.isin(["ok", "no_convergence"]).to_numpy()

    @property
    def equation(self) -> str:
        """The shared form with its constants by name, such as "c0*exp(-c1*x)"; of independent fits one a line."""
        if isinstance(self._found, Laws):
            return "\n".join(f"{key}: {law.best.to_text()}" for key, law in self._found.results.items())
        labels = [*self._groups.observations.names, *(self._found.names[i] for i in self._found.named)]
        return to_text(self._found.with_inputs(len(self._groups.observations.names)), labels)[0]

    @property
    def common(self) -> list[str]:
        """Names of the constants that have one value for all groups, since the data do not tell them apart."""
        if isinstance(self._found, Laws):
            return []
        return [self._found.names[i] for i in self._found.named if self._found.common[i]]

    @property
    def forms(self) -> pd.DataFrame:
        """One row per form that was refined on all groups: complexity, loss, description length, equation."""
        return self._forms.copy()

    @cached_property
    def _params(self) -> pd.DataFrame:
        columns = ["value", "stderr", "unit", "lower", "upper", "fixed", "common"]
        if isinstance(self._found, Laws):
            tables = {key: law.best.params.assign(common=False) for key, law in self._found.results.items()}
            if not tables:
                return pd.DataFrame(columns=columns)
            return pd.concat(tables, names=[*self.keys.names, "constant"])[columns]
        found, some = self._found, np.flatnonzero(self._fitted)
        named = found.named
        rows = torch.from_numpy(some)[:, None]
        value, stderr = (t[rows, named].numpy() for t in (found.values, found.laplace.stderr))
        half = found.laplace.quantile(0.95)[some].numpy()[:, None] * stderr
        units = list(self[self.keys[some[0]]].params["unit"]) if len(some) else [None] * len(named)
        count, free = (len(some), 1), ~found.free[named].numpy()
        table = pd.DataFrame(
            {
                "value": value.ravel(), "stderr": stderr.ravel(), "unit": units * len(some),
                "lower": (value - half).ravel(), "upper": (value + half).ravel(),
                "fixed": np.tile(free, count).ravel(), "common": np.tile(found.common[named].numpy(), count).ravel(),
            },
            columns=columns,
        )  # fmt: skip
        keys = self.keys[some].repeat(len(named))
        levels = [keys.get_level_values(i) for i in range(keys.nlevels)]
        constants = np.tile(np.array([found.names[i] for i in named], dtype=object), len(some))
        table.index = pd.MultiIndex.from_arrays([*levels, constants], names=[*self.keys.names, "constant"])
        return table

    @property
    def params(self) -> pd.DataFrame:
        """Constants of every group that has a law.

        Rows: group, constant. Columns as in `Equation.params`: value, stderr, unit, lower and upper (95 %), fixed; and
        common, whether the value is one for all groups. ``result.params["value"].unstack()`` has a row per group.
        """
        return self._params.copy()

    # ------------------------------------------------------------------ predictions
    def predict(self, table: Any) -> Any:
        """The law's values for new rows, each by the constants of its group.

        Parameters
        ----------
        table : DataFrame with the inputs and the columns (or index levels) that tell the groups; Dataset or DataArray
            with the inputs and the dimensions of the groups, which the prediction then has

        Returns
        -------
        Series with the table's index, or DataArray; NaN where the group is unknown or has no law. Lazy on Dask

        Warns
        -----
        SymRegWarning : GROUP for rows of groups without a law
        """
        if is_xarray(table):
            return self._predict_xarray(table)
        if is_dask_frame(table):
            return in_parts(table, self._read(table), self._predict_frame, self.target)
        return self._predict_frame(table)

    def _read(self, table: Any) -> list[Hashable]:
        """The columns of a DataFrame that a prediction reads."""
        levels = table._meta.index.names
        return [*(label for label in self.by if label not in levels), *self.inputs]

    def _predict_frame(self, table: pd.DataFrame) -> pd.Series:
        _, keys, code = keys_of(table, list(self.by))
        place = np.append(self.keys.get_indexer(keys), -1)[code]  # the last where the group is missing
        place = np.where(place >= 0, np.where(self._fitted[place], place, -1), -1)
        if lost := int((place < 0).sum()):
            labels = [*keys.tolist(), None]
            missing = list(dict.fromkeys(labels[c] for c in code[place < 0].tolist()))[:5]
            told = f"{lost} rows of groups without a law are NaN: {', '.join(map(repr, missing))}"
            warnings.warn(SymRegWarning("GROUP", told), stacklevel=3)
        if isinstance(self._found, Laws):
            return self._predict_apart(table, place)
        names = self._groups.observations.names
        used = self.inputs
        inputs = inputs_of(table, used or names, self.target, self._units)
        x = torch.full((len(inputs.x), len(names)), torch.nan, dtype=DTYPE)
        x[:, [names.index(name) for name in used or names]] = torch.tensor(inputs.x, dtype=DTYPE)
        found = self._found
        constants = torch.full((len(place), len(found.named)), torch.nan, dtype=DTYPE)
        known = torch.from_numpy(np.flatnonzero(place >= 0))
        constants[known] = found.values[torch.from_numpy(place[place >= 0])][:, found.named]
        return self._with_unit(inputs.like(self._law(torch.cat([x, constants], 1))))

    def _with_unit(self, values: Any) -> Any:
        unit = self._groups.observations.target_unit
        values.attrs.update({} if unit is None else {"units": unit})
        return values

    def _in_our_unit(self, name: Hashable, array: xr.DataArray) -> xr.DataArray:
        """A variable in the unit that the law was fitted in."""
        factor = conversion(name, array_unit(array), self._units)
        if isinstance(factor, UnitError):
            raise factor
        return plain_array(array) if factor == 1 else plain_array(array) * factor

    def _law(self, columns: torch.Tensor) -> np.ndarray:
        """(N,) values from inputs and constants (N, D + P)."""
        values, valid = evaluate(self._found.with_inputs(len(self._groups.observations.names)), columns)
        return torch.where(valid, values, torch.nan)[0].numpy()

    @property
    def inputs(self) -> tuple[Hashable, ...]:
        """Labels of the columns that the laws read."""
        names, found = self._groups.observations.names, self._found
        if isinstance(found, Laws):
            used = {name for result in found.results.values() for name in result.best.names}
            return tuple(name for name in names if name in used)
        codes = found.expression.codes
        return tuple(names[d] for d in sorted({c - VARIABLE for c in codes[codes >= VARIABLE].tolist()}))

    @property
    def _units(self) -> dict[Hashable, str | None]:
        seen = self._groups.observations
        return {seen.target: seen.target_unit} | dict(zip(seen.names, seen.units, strict=True))

    def _predict_apart(self, table: pd.DataFrame, place: np.ndarray) -> pd.Series:
        values = np.full(len(table), np.nan)
        for i in np.unique(place[place >= 0]):  # groups with laws of different forms
            rows = np.flatnonzero(place == i)
            values[rows] = self[self.keys[i]].predict(table.iloc[rows]).to_numpy()
        return self._with_unit(pd.Series(values, index=table.index, name=self.target))

    def _predict_xarray(self, table: Any) -> Any:
        import xarray as xr

        if isinstance(self._found, Laws):
            return self._predict_cells(table)
        variables, found = variables_of(table), self._found
        used = list(self.inputs)
        if lacking := [name for name in used if name not in variables]:
            raise ColumnError(f"no variable {lacking[0]!r}; {nearest(lacking[0], variables)}")
        laws = self._laws_along(table)
        coefficients = laws[f"{self.target}_symreg_coefficients"]
        constants = [coefficients.sel(param=found.names[i], drop=True) for i in found.named]
        names = self._groups.observations.names
        columns = [names.index(name) for name in used] + [len(names) + i for i in range(len(constants))]

        def law(*given: np.ndarray) -> np.ndarray:
            *full, fitted = np.broadcast_arrays(*given)
            table = torch.full((fitted.size, len(names) + len(constants)), torch.nan, dtype=DTYPE)
            for at, part in zip(columns, full, strict=True):
                table[:, at] = torch.from_numpy(np.array(part, dtype=np.float64).reshape(-1))
            return np.where(fitted == 1, self._law(table).reshape(fitted.shape), np.nan)

        fitted = laws[f"{self.target}_symreg_status"].isin(["ok", "no_convergence"])
        given = [*(self._in_our_unit(name, variables[name]) for name in used), *constants, fitted.astype(float)]
        out = xr.apply_ufunc(law, *given, dask="parallelized", output_dtypes=[np.float64], join="left")
        return like_target(out, variables, self.target, self._groups.observations.target_unit)

    def _laws_along(self, table: Any) -> xr.Dataset:
        """`to_dataset` with the groups that a table has, in its order; others have no status."""
        laws = self.to_dataset()
        return self._aligned(laws, [dim for dim in self.by if dim in laws.dims], table)

    def _aligned(self, found: Any, dims: Sequence[Hashable], table: Any) -> Any:
        """What is known of groups, of those that a table has, in its order; of all where it does not say."""
        lost = []
        for dim in dims:
            if dim not in table.coords:
                continue
            labels = pd.Index(np.atleast_1d(table[dim].values))
            lost += labels[~labels.isin(found.indexes[dim])].tolist()
            found = found.reindex({dim: labels})
            found = found.isel({dim: 0}) if table[dim].ndim == 0 else found
        if lost:
            told = f"there is no law for {', '.join(map(repr, lost[:SHOWN]))}: NaN stands there"
            warnings.warn(SymRegWarning("GROUP", told), stacklevel=5)
        return found

    def _predict_cells(self, table: Any) -> xr.DataArray:
        """Predictions of laws of different forms, each in the part of the table that is its group's."""
        import xarray as xr

        parts = []
        for key in self:
            cell = dict(zip(self.by, self._cell(key), strict=True))
            here = {dim: label for dim, label in cell.items() if dim in table.dims and dim in table.coords}
            if any(label not in table.indexes[dim] for dim, label in here.items()):
                continue
            part = self._found.results[key].predict(table.sel(here).drop_vars(cell, errors="ignore"))
            parts.append(part.expand_dims({dim: [label] for dim, label in cell.items()}).to_dataset(name=self.target))
        if not parts:
            raise ColumnError(f"the table has no group that has a law; {nearest('', list(self))}")
        return self._aligned(xr.combine_by_coords(parts)[self.target], self.by, table)

    def _cell(self, key: Hashable) -> tuple[Hashable, ...]:
        """Labels of a group, one for each of `by`."""
        return key if len(self.by) > 1 else (key,)

    def residuals(self, table: Any) -> Any:
        """Target minus law for each row; fits `DataFrame.assign(r=result.residuals)`."""
        if is_xarray(table):
            return self._in_our_unit(self.target, variables_of(table)[self.target]) - self.predict(table)
        if is_dask_frame(table):
            return in_parts(table, [self.target, *self._read(table)], self._residuals_frame, self.target)
        return self._residuals_frame(table)

    def _residuals_frame(self, table: pd.DataFrame) -> pd.Series:
        law, read = self._predict_frame(table), inputs_of(table, (self.target,), self.target, self._units)
        return self._with_unit(read.like(read.x[:, 0]) - law)

    def to_dataset(self) -> xr.Dataset:
        """The constants of every group in the layout of xarray's `curvefit`: see `sr_accessor.datasets`.

        The dimensions are those that the groups lie along, or `by`; cells without a law are NaN.

        Raises
        ------
        OptionError : independent fits have constants of their own names each.
        """
        if isinstance(self._found, Laws):
            raise OptionError(
                "laws of different forms have no common constants; take result.results[group].to_dataset()"
            )
        found, named, count = self._found, self._found.named, len(self.keys)
        over = self._sizes
        if over is None:
            levels = isinstance(self.keys, pd.MultiIndex)
            over = {"group": self.keys.to_flat_index().map(str)} if levels else {self.by[0]: self.keys}
        shape = tuple(len(labels) for labels in over.values())
        lost = ~self._fitted
        square = found.laplace.covariance[:, named][:, :, named].numpy()
        arrays = {"value": found.values[:, named].numpy(), "stderr": found.laplace.stderr[:, named].numpy()}
        arrays = {
            name: np.where(lost.reshape(-1, *[1] * (a.ndim - 1)), np.nan, a).reshape(*shape, *a.shape[1:])
            for name, a in (arrays | {"covariance": square}).items()
        }
        stats = {name: values.reshape(shape) for name, values in self._stats.items()}
        units = list(self[next(iter(self))].params["unit"]) if self._fitted.any() else [None] * len(named)
        attrs = {"equation": f"{self.target} = {self.equation}", "latex": self.to_latex(), "noise": self._noise.name}
        attrs |= {"common": ", ".join(self.common), "groups": count}
        status = self._status.to_numpy().reshape(shape)
        return curvefit_layout(self.target, [found.names[i] for i in named], units, over, arrays, stats, status, attrs)

    @cached_property
    def _stats(self) -> dict[str, np.ndarray]:
        """{name: (G,)} of the shared form; NaN for groups without a law."""
        seen, found, code = self._groups.observations, self._found, self._groups.code
        constants = found.values[torch.from_numpy(code)][:, found.named]
        law = self._law(torch.cat([torch.tensor(seen.x, dtype=DTYPE), constants], 1))
        n = self._groups.counts.astype(np.float64)

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(code, values, minlength=len(n))

        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total(seen.y) / n
            squares, around = total((seen.y - law) ** 2), total((seen.y - mean[code]) ** 2)
            loss = np.where(self._fitted, found.loss.numpy(), np.nan)
            own = int((found.free & ~found.common).sum())
            table = {
                "nobs": n, "loss": loss, "rmse": np.sqrt(squares / n), "r2": 1 - squares / around,
                "aic": 2 * loss + 2 * own, "bic": 2 * loss + own * np.log(n),
            }  # fmt: skip
        return {name: np.where(self._fitted | (name == "nobs"), values, np.nan) for name, values in table.items()}

    # ------------------------------------------------------------------ files
    def to_dict(self) -> dict[str, Any]:
        """The document of `to_json` as plain dictionaries, lists, texts and numbers."""
        return json.loads(self.to_json())

    def to_json(self, *, time: bool = True) -> str:
        """Everything about the result as JSON text that `sr_accessor.load` reads, on any machine.

        The rows are in it, about 11 bytes for each number of theirs: the law of a group is about the group's own.

        Parameters
        ----------
        time : whether it says how long the fit took, the only thing in which two equal fits differ

        Raises
        ------
        InputError : a label that no file can hold, or more independent laws than one file holds.
        """
        document, times = to_document(
            GroupedRecord(
                groups=self._groups, found=self._found, noise=self._noise, status=self._status.tolist(),
                forms=self._forms, sizes=self._sizes, seconds=self._seconds, provenance=self._provenance,
                remarks=self._remarks,
            )
        )  # fmt: skip
        text = envelope.to_text(document, times if time else {})
        if (count := envelope.values_in(text)) > envelope.MOST_VALUES:
            raise InputError(
                f"{len(self)} groups with laws of their own make {count} values, and a file holds "
                f"{envelope.MOST_VALUES}; save them one by one: result.results[group].save(path)"
            )
        return text

    def save(self, path: str | os.PathLike, *, time: bool = True, if_changed: bool = False) -> None:
        """Write `to_json` to a file, whole or not at all; with `if_changed` not where the file holds just that."""
        write_whole(path, self.to_json(time=time).encode(), if_changed=if_changed)

    @classmethod
    def from_json(cls, text: str) -> GroupedResult:
        """The result that `to_json` wrote.

        Raises
        ------
        LoadError : text that is not ours, changed since, hostile, or that needs what is not installed.
        """
        return cls.from_document(*envelope.from_text(text))

    @classmethod
    def from_document(cls, document: Mapping[str, Any], time: Mapping[str, Any]) -> GroupedResult:
        """The result of a document, as `groups.document` has it, and its times."""
        record = from_document(document, time)
        return cls(**{field.name: getattr(record, field.name) for field in dataclasses.fields(record)})

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickling, copying and joblib go through the JSON form."""
        return GroupedResult.from_json, (self.to_json(),)

    # ------------------------------------------------------------------ how it looks
    def to_latex(self) -> str:
        """The shared form as LaTeX, its constants by name."""
        if isinstance(self._found, Laws):
            return r" \\ ".join(law.to_latex() for law in self._found.results.values())
        labels = [*self._groups.observations.names, *(self._found.names[i] for i in self._found.named)]
        law = to_latex(self._found.with_inputs(len(self._groups.observations.names)), labels)
        return f"{label_latex(str(self.target))} = {law}"

    @property
    def _headline(self) -> str:
        counts = self._status.value_counts()
        told = ", ".join(f"{count} {word}" for word, count in counts.items())
        took = "" if math.isnan(self._seconds) else f" in {self._seconds:.1f} s"
        return f"{len(self.keys)} groups by {', '.join(map(str, self.by))} ({told}){took}"

    @property
    def _facts(self) -> dict[str, Any]:
        seen, found = self._groups.observations, self._found
        facts: dict[str, Any] = {"rows": len(seen.y), "groups": len(self.keys)}
        if isinstance(found, SharedForm):
            own = [found.names[i] for i in found.named if found.free[i] and not found.common[i]]
            facts |= {
                "noise model": self._noise.name,
                "constants of each group": ", ".join(own) or "none",
                "common constants": ", ".join(self.common) or "none",
                "loss": float(found.loss[torch.tensor(self._fitted)].sum()),
            }
        return facts

    @property
    def _wide(self) -> pd.DataFrame:
        """One row per group, one column per constant."""
        return self._params["value"].unstack() if len(self._params) else pd.DataFrame(index=self.keys[:0])

    @property
    def _lines(self) -> list[str]:
        return [f"{self.target} = {line}" if self.shared else line for line in self.equation.splitlines()]

    def report(self) -> str:
        """Text for the logbook: form, statistics, constants of the first groups, warnings, the forms that competed."""
        told = [str(w) for w in self.warnings]
        return grouped.report(self._lines, self._facts, self._wide, self._forms, told, self.provenance)

    def to_tex(self) -> str:
        """The law and a table of its constants in every group, to be put into a document with \\\\input."""
        if isinstance(self._found, Laws):
            laws = {key: law.to_latex() for key, law in self._found.results.items()}
            return tex.laws_of_groups(laws, self.by, self._headline)
        return tex.constants_of_groups(self.to_latex(), self._params, self._headline)

    def __repr__(self) -> str:
        common = [f"common to all groups: {', '.join(self.common)}"] if self.common else []
        return "\n".join([*self._lines[:SHOWN], self._headline, *common, *(f"! {told}" for told in self.warnings)])

    def _repr_html_(self) -> str:
        latex, told = self.to_latex() if self.shared else None, [str(w) for w in self.warnings]
        return grouped.page(latex, self._lines, self._headline, self._facts, self._wide, self._forms, told)
