"""Equation: one law with its constants, their errors, predictions with bands, and its forms for reading."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from sr_accessor.adjusted import KINDS, bounded, held, snapped
from sr_accessor.device import DTYPE, generator
from sr_accessor.errors import InputError, MissingDependencyError, OptionError, SymRegWarning, nearest
from sr_accessor.exports.exporter import Formula
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.dimensions import Dimensions, constant_units
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.latex import label_latex, to_latex
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.simplify import simplify as simplified
from sr_accessor.expressions.symbolic import to_sympy
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, VARIABLE
from sr_accessor.files.envelope import from_text
from sr_accessor.files.envelope import to_text as to_text_of_file
from sr_accessor.files.record import Findings, Record, from_document, to_document
from sr_accessor.known_law import KnownLaw, optimum, starts_of
from sr_accessor.lazy import in_parts, is_dask_frame, is_lazy, lazily
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import Inputs, Observations, inputs_of
from sr_accessor.plugins.manager import exporter
from sr_accessor.refinement.likelihood import Parameters
from sr_accessor.scatter import measured, measured_for, noise_of
from sr_accessor.search.front import Front
from sr_accessor.search.selection import Data
from sr_accessor.summary import Summary
from sr_accessor.uncertainty.bands import band as limits_of
from sr_accessor.uncertainty.laplace import Laplace
from sr_accessor.uncertainty.laplace import covariance as errors_of
from sr_accessor.uncertainty.profile import profile_limits

if TYPE_CHECKING:
    import sympy

__all__ = ["Equation", "numbers_of", "with_named_inputs"]

#: A rounded number stands for the refined one if χ² moves by less than this (1 is one standard error) ...
NOTICEABLE = 0.05
#: ... or if the values move by less than this share of y's spread, search.md's "exact" without noise.
EXACT = 1e-10
#: More digits than this are never shown; float64 holds 15.9, refinement and data rarely 12.
MOST_DIGITS = 12
#: Starts beside the constants that a law has, where it is refined again: near them, and of any magnitude.
RESTARTS = 30
#: What a band is made of: columns of a DataFrame, or variables.
LIMITS = ("mean", "lower", "upper")
#: How far outside the training range, as a share of it, still counts as inside (rounding of a stored table).
MARGIN = 1e-9


def numbers_of(expression: Expressions, parameters: Parameters | None) -> Parameters:
    """What the numbers of one law are: as given, or each constant alone, called c0, c1 … in the order of the text."""
    if parameters is not None:
        return parameters
    free = expression.free
    count = free.shape[1]
    places = free[0].cumsum(0) - 1
    names = tuple(f"c{i}" if own else "" for i, own in zip(places.tolist(), free[0].tolist(), strict=True))
    infinite = torch.full((count,), torch.inf, dtype=DTYPE)
    return Parameters(torch.arange(count), -infinite, infinite, free, names)


def _known_law(expression: Expressions, names: tuple[Hashable, ...], parameters: Parameters | None) -> KnownLaw:
    """A law over these labels, whose constants begin where they are."""
    numbers = numbers_of(expression, parameters)
    return KnownLaw(expression, names, numbers, numbers.values(expression.constants)[0])


def with_named_inputs(expression: Expressions, numbers: Parameters, inputs: int) -> Expressions:
    """One law with those of its numbers that have a name as further inputs, in their order, after the first ones."""
    e, index = expression.trimmed(), numbers.index.tolist()
    named = [i for i, name in enumerate(numbers.names) if name]
    place = {parameter: VARIABLE + inputs + i for i, parameter in enumerate(named)}
    codes, kept = e.codes.clone(), []
    for at in ((e.codes == CONSTANT) | (e.codes == LITERAL))[0].nonzero()[:, 0].tolist():
        slot = int(e.number_slot[0, at])
        if numbers.names[index[slot]]:
            codes[0, at] = place[index[slot]]
        else:
            kept.append(float(e.constants[0, slot]))
    return Expressions(codes, torch.tensor([kept], dtype=DTYPE), e.vocabulary)


@dataclass(frozen=True, eq=False, repr=False)
class Equation:
    """A law found in a table; made by `FitResult`, never changed.

    Parameters
    ----------
    expression : Expressions of one row, in the user's own units
    observations : the rows it was fitted to
    laplace : covariance of its constants, one row
    loss : negative log-likelihood, nats
    origin : who proposed it
    noise : the noise model it was fitted under
    parameters : names, bounds and ties of its numbers, where the user gave the law; None: every constant is alone
    known : {cached property: its value}, which a file brings instead of the rows
    remarks : what there is to say about how it came to be
    """

    expression: Expressions
    observations: Observations | Summary
    laplace: Laplace
    loss: float
    origin: str
    noise: NoiseModel = GAUSSIAN
    parameters: Parameters | None = None
    known: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[SymRegWarning, ...] = ()

    def __post_init__(self) -> None:
        self.__dict__.update(self.known)

    # ------------------------------------------------------------------ what it is
    @property
    def target(self) -> Any:
        """Label of what it predicts."""
        return self.observations.target

    @property
    def names(self) -> tuple:
        """Labels of the inputs that occur in it."""
        return tuple(self.observations.names[d] for d in self._used)

    @property
    def complexity(self) -> int:
        """Sum of the costs of its symbols; with unit costs the number of nodes."""
        return int(self.expression.complexity[0])

    @cached_property
    def _used(self) -> list[int]:
        codes = self.expression.codes
        return sorted({code - VARIABLE for code in codes[codes >= VARIABLE].tolist()})

    @cached_property
    def _numbers(self) -> Parameters:
        return numbers_of(self.expression, self.parameters)

    @cached_property
    def _slots(self) -> torch.Tensor:
        """(k,) which parameters are free."""
        return self._numbers.free[0].nonzero()[:, 0]

    @property
    def _constant_names(self) -> list[str]:
        return [self._numbers.names[i] for i in self._slots.tolist()]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickling, copying and joblib go through the JSON form, with the rows if all are here."""
        seen = self.observations
        nothing = torch.full((1,), torch.nan, dtype=DTYPE)
        findings = Findings(
            laplace=self.laplace, squares=(nothing, nothing), held_out_squares=None, rounded=self.rounded.constants,
            own_errors=nothing, form_spread=math.nan, scattered=(self._scattered,),
        )  # fmt: skip
        record = Record(
            observations=seen if seen.count == seen.total else Summary.of(seen), held_out=None,
            front=Front(self.expression, torch.tensor([self.loss], dtype=DTYPE), nothing, (self.origin,)),
            noise=self.noise, parameters=self.parameters, rule="", status="", rounds=0, seconds=math.nan,
            provenance={}, remarks=self.remarks, findings=findings, pause=None,
        )  # fmt: skip
        return Equation._from_json, (to_text_of_file(*to_document(record)),)

    @classmethod
    def _from_json(cls, text: str) -> Equation:
        record = from_document(*from_text(text))
        findings = record.findings
        return cls(
            record.front.expressions, record.observations, findings.laplace, float(record.front.loss[0]),
            record.front.origins[0], record.noise, record.parameters, findings.of(0, record.front.expressions),
            record.remarks,
        )  # fmt: skip

    def simplify(self, *, seconds: float = 2.0) -> Equation:
        """The same law in fewer symbols, its constants anew with their errors.

        Parameters
        ----------
        seconds : after which the shortest form so far counts

        Returns
        -------
        Equation : itself where sympy finds none shorter, and where its form is the user's own (`sr.refine`) or its
            constants are fixed or bounded

        Raises
        ------
        InputError : not all rows that it was fitted to are here, so that errors cannot be computed.
        """
        if self.parameters is not None:
            return self
        seen = self._rows
        shorter = simplified(self.expression, seconds=seconds)
        if shorter is self.expression:
            return self
        x, y, sigma = measured_for(shorter, seen)
        return replace(self, expression=shorter, laplace=errors_of(shorter, x, y, sigma, noise=self.noise), known={})

    # ------------------------------------------------------------------ other constants
    def fix(self, **values: float | None) -> Equation:
        """The law with constants held at these values, or free again where None; the others anew, with their errors.

        Raises
        ------
        UnknownNameError : no constant of that name; `params` has them.
        OptionError : no number, or nothing named.
        InputError : a value outside of its bounds; the law has no likelihood there; the rows are not all here.
        """
        law = held(self._law, values)
        return self._refined(law, self._rows, self.noise, law.numbers)

    def bound(self, **bounds: tuple[float | None, float | None] | None) -> Equation:
        """The law with constants inside these bounds, ``c0=(0, None)``; None for none; all refined, with their errors.

        Raises
        ------
        UnknownNameError : no constant of that name; `params` has them.
        OptionError : no pair of numbers, or nothing named.
        InputError : bounds without inside, or without the value of a held constant; as `fix`.

        Warns
        -----
        SymRegWarning : SINGULAR, of a constant that ends at its bound; also in ``.warnings``.
        """
        law = bounded(self._law, bounds)
        return self._refined(law, self._rows, self.noise, law.numbers)

    def refit(
        self,
        table: Any,
        *,
        sigma: Any = None,
        sigma_x: Mapping[Hashable, Any] | None = None,
        absolute_sigma: bool | None = None,
        sample_weight: Any = None,
        nan_policy: str = "omit",
    ) -> Equation:
        """The same form with its constants measured on other rows; what is fixed or bounded stays so.

        Parameters
        ----------
        table : DataFrame, Dataset ... with the target and the columns in `names`, in whatever units
        sigma, sigma_x, absolute_sigma, sample_weight, nan_policy : of these rows, as in `sr_accessor.fit`

        Raises
        ------
        ColumnError, InputError, MissingDataError, SigmaError, UnitError, NoiseModelError : as `sr_accessor.refine`
        OptionError : a table in chunks.
        """
        labels = self.names or self.observations.names
        if is_lazy(table, labels):
            raise OptionError(
                "refit reads tables in memory; sr_accessor.refine(table, target, formula) goes over chunks: formula = "
                + repr(self.to_text("names"))
            )
        seen = Observations.of(
            table, self.target, list(labels), sigma=sigma, sigma_x=sigma_x, absolute_sigma=absolute_sigma,
            sample_weight=sample_weight, nan_policy=nan_policy, keep_constant=True,
        ).in_units(self._units)  # fmt: skip
        for remark in seen.remarks:
            warnings.warn(remark, stacklevel=2)
        codes, used = self.expression.codes, torch.tensor(self._used)
        codes = torch.where(codes >= VARIABLE, VARIABLE + torch.searchsorted(used, codes - VARIABLE), codes)
        law = replace(self._law, expression=replace(self.expression, codes=codes), names=labels)
        return self._refined(law, seen, noise_of(self.noise, seen), self.parameters)

    def snap(self, to: str = "rational") -> Equation:
        """The law with those constants at simple numbers that the data cannot tell from what they measured.

        Parameters
        ----------
        to : "integer", "rational" (fractions and short decimals) or "any" (multiples of π and √2 too)

        Returns
        -------
        Equation : itself where none snaps. A constant snaps where that makes the description shorter, as in a search;
            ``.warnings`` says which did and how many nats of likelihood that lost.

        Raises
        ------
        OptionError : no such kind.
        InputError : the rows are not all here.
        """
        if to not in KINDS:
            raise OptionError(f"to={to!r} is not known; {nearest(str(to), KINDS)}")
        seen, before = self._rows, self._law
        x, y, sigma, errors = measured(seen)
        law = snapped(before, Data(x, y, sigma, self.noise, errors), to)
        if law is before:
            return self
        moved = (before.numbers.free & ~law.numbers.free)[0].nonzero()[:, 0].tolist()
        told = [f"{before.numbers.names[i]} {before.start[i]:.6g} → {law.start[i]:.6g}" for i in moved]
        if self.parameters is None:  # a law of a search says simple numbers as such: x**1 is x
            shorter = _known_law(simplify_batch(law.expression).trimmed(), law.names, None)
            found = self._refined(shorter, seen, self.noise, None)
        else:
            found = self._refined(law, seen, self.noise, law.numbers)
        lost = f"{', '.join(told)}: the likelihood lost {found.loss - self.loss:.3g} nats"
        return replace(found, remarks=(*found.remarks, SymRegWarning("SNAPPED", lost)))

    @property
    def _rows(self) -> Observations:
        """All rows that it was fitted to.

        Raises
        ------
        InputError : they are not all here.
        """
        seen = self.observations
        if not isinstance(seen, Observations) or seen.count != seen.total:
            raise InputError("the rows of this law are not all here; load a file saved with data=True, or fit again")
        return seen

    @property
    def _law(self) -> KnownLaw:
        """The law as one whose constants can be refined, beginning where they are."""
        return _known_law(self.expression, self.observations.names, self.parameters)

    def _refined(self, law: KnownLaw, seen: Observations, noise: NoiseModel, parameters: Parameters | None) -> Equation:
        """The likeliest constants of a law on these rows, from where they are and from restarts, with their errors."""
        x, y, sigma, errors = measured(seen)
        starts = starts_of(law, RESTARTS, generator(0))
        found = optimum(law, starts, Data(x, y, sigma, noise, errors))
        e, loss = found.front.expressions, float(found.front.loss[0])
        given = {"noise": noise, "parameters": law.numbers.off_bounds(e.constants)}
        laplace = errors_of(e, *measured_for(e, seen), **given)
        made = replace(
            self, expression=e, observations=seen, laplace=laplace, loss=loss, noise=noise, parameters=parameters,
            known={}, remarks=found.remarks,
        )  # fmt: skip
        for remark in made.warnings:
            warnings.warn(remark, stacklevel=3)
        return made

    # ------------------------------------------------------------------ constants
    @property
    def params(self) -> pd.DataFrame:
        """Constants, in the order in which they stand in the text form.

        Columns: value; stderr (one standard deviation); unit (None where the columns do not tell it); lower and
        upper (95 %); fixed. An error that the data do not determine is NaN, and `warnings` says why. Errors are given
        this form of the law.
        """
        numbers = self._numbers
        listed = [i for i, name in enumerate(numbers.names) if name]
        value = numbers.values(self.expression.constants)[0, listed].numpy()
        stderr = self.laplace.stderr[0, listed].numpy()
        half = self._quantile(0.95) * stderr
        return pd.DataFrame(
            {
                "value": value, "stderr": stderr, "unit": [self._constant_units[i] for i in listed],
                "lower": value - half, "upper": value + half, "fixed": ~numbers.free[0, listed].numpy(),
            },
            index=[numbers.names[i] for i in listed],
        )  # fmt: skip

    @cached_property
    def _constant_units(self) -> list[str | None]:
        """What each parameter must be measured in for the units of the columns to fit together."""
        seen = self.observations
        dimensions = Dimensions.of(seen.units, seen.target_unit, seen.names, seen.target, lenient=True)
        e, numbers = self.expression, self._numbers
        named = torch.tensor([bool(numbers.names[i]) for i in numbers.index.tolist()] or [False])
        codes = torch.where(e.is_number & named[e.number_slot], CONSTANT, e.codes)  # a held one may have a unit too
        (units,) = constant_units(replace(e, codes=codes), dimensions)
        return [units[(numbers.index == i).nonzero()[0, 0]] for i in range(len(numbers.names))]

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of the constants, labelled; NaN where not identifiable."""
        matrix = self.laplace.covariance[0][self._slots][:, self._slots].numpy()
        return pd.DataFrame(matrix, index=self._constant_names, columns=self._constant_names)

    @property
    def correlation(self) -> pd.DataFrame:
        """Correlation of the constants, labelled; NaN where not identifiable."""
        covariance = self.covariance
        deviation = np.sqrt(np.diag(covariance))
        return covariance / np.outer(deviation, deviation)

    @cached_property
    def uvars(self) -> dict[str, Any]:
        """{name: value with its error}, correlated, of the package ``uncertainties``.

        Raises
        ------
        MissingDependencyError : that package is not installed.
        """
        try:
            from uncertainties import correlated_values
        except ImportError as error:
            text = "uvars needs the package uncertainties: pip install uncertainties"
            raise MissingDependencyError(text) from error
        params = self.params[~self.params["fixed"]]
        known = params.index[params["stderr"].notna()]
        covariance = self.covariance.loc[known, known]
        values = correlated_values(params.loc[known, "value"], covariance.to_numpy()) if len(known) else ()
        found = dict(zip(known, values, strict=True))
        from uncertainties import ufloat

        return {name: found.get(name, ufloat(value, math.nan)) for name, value in params["value"].items()}

    def interval(self, level: float = 0.95, method: str = "profile") -> pd.DataFrame:
        """Intervals of the free constants that hold the true value with probability `level`, given this form.

        Parameters
        ----------
        method : "profile", where the likelihood, all other constants refitted, has fallen by the quantile: as lopsided
            as the data say, infinite where they never rule a value out; or "curvature", value ± quantile·stderr

        Returns
        -------
        DataFrame lower, upper; NaN where a constant is not identifiable

        Raises
        ------
        InputError : a profile, which needs all rows, of a law whose rows are not here.
        """
        if method not in ("profile", "curvature"):
            raise OptionError(f"method={method!r} is not known; {nearest(method, ('profile', 'curvature'))}")
        names = self._constant_names
        quantile = self._quantile(level)
        if method == "curvature":
            params = self.params.loc[names]
            half = quantile * params["stderr"]
            return pd.DataFrame({"lower": params["value"] - half, "upper": params["value"] + half}, index=names)
        seen = self.observations
        if seen.count < seen.total:
            raise InputError(
                f"a profile needs all {seen.total} rows that the law was refined on, and only a sample of {seen.count} "
                'is here; use interval(method="curvature"), or sr.refine the law on rows that fit in memory'
            )
        x, y, sigma, errors = measured(seen)
        given = {"sigma": sigma, "errors": errors, "quantile": quantile}
        lower, upper = profile_limits(self.expression, x, y, self.noise, self.laplace, self._numbers, **given)
        slots = self._slots
        return pd.DataFrame({"lower": lower[slots].numpy(), "upper": upper[slots].numpy()}, index=names)

    @property
    def warnings(self) -> tuple[SymRegWarning, ...]:
        """What cannot be told about the constants, and why; how a law came to be that was adjusted."""
        return (*self.remarks, *self._unknown)

    @property
    def _unknown(self) -> tuple[SymRegWarning, ...]:
        """Which constants have no error bars, and why."""
        known = self.laplace.identifiable[0, self._slots].tolist()
        lost = [name for name, one in zip(self._constant_names, known, strict=True) if not one]
        if not lost:
            return ()
        numbers, at = self._numbers, self._numbers.values(self.expression.constants)[0]
        stuck = ((at <= numbers.lower) | (at >= numbers.upper))[self._slots].tolist()
        bound = [name for name, one in zip(self._constant_names, stuck, strict=True) if one]
        if bound:
            why = f"{', '.join(bound)} at the bound: the likelihood still rises beyond it; widen the bound, or fix it"
            return (SymRegWarning("SINGULAR", f"no error bars for {', '.join(lost)}: {why}"),)
        n, k = self.observations.total, len(self._slots)
        if self.laplace.degrees[0] <= 0 and not self.laplace.absolute:
            why = f"{n} rows leave no residual to estimate them from ({k} constants); add rows or pass sigma="
        elif self.laplace.variance[0].isnan():
            why = "the law or its slope is not finite on every row; choose another row of the front"
        elif self.laplace.variance[0] == 0:
            why = "every residual is 0, and so is the target; pass sigma="
        elif len(lost) == 1:
            why = f"the values do not depend on it; choose a law without it, or hold it: .fix({lost[0]}=...)"
        else:
            why = (
                "only a combination of them changes the values; choose a law with fewer constants, or hold one of "
                f"them: .fix({lost[0]}=...)"
            )
        return (SymRegWarning("SINGULAR", f"no error bars for {', '.join(lost)}: {why}"),)

    def _quantile(self, level: float) -> float:
        """Two-sided quantile: normal with absolute sigma, otherwise Student's with N − rank degrees."""
        if not 0 < level < 1:
            raise OptionError(f"level={level!r} must be between 0 and 1, e.g. level=0.95")
        return float(self.laplace.quantile(level)[0])

    # ------------------------------------------------------------------ predictions
    def predict(self, table: Any, band: str | None = None, *, level: float = 0.95, sigma: Any = None) -> Any:
        """The law's values for new rows.

        Parameters
        ----------
        table : DataFrame, Dataset ... with the columns in `names`; others are ignored, order is free
        band : None, "confidence" (of the law) or "prediction" (of a new measurement)
        level : share that the band should hold
        sigma : standard deviation(s) of the new measurements, for "prediction"; default: that of the training
            rows, as a root mean square

        Returns
        -------
        Series (or DataArray) named like the target, lazy on Dask, with the index of `table`; with `band` a DataFrame
        (or Dataset) mean, lower, upper. NaN where the law is not a finite number or an input is missing.

        Warns
        -----
        SymRegWarning : EXTRAPOLATION outside the training range, DOMAIN where the law has no value
        """
        if band not in (None, "confidence", "prediction"):
            known = ("confidence", "prediction")
            raise OptionError(f"band={band!r} is not a band; {nearest(str(band), known)}")
        labels = self.names or self.observations.names  # a constant law still needs to know the rows

        def read(rows: Any) -> Inputs:
            return inputs_of(rows, labels, self.target, self._units)

        def limits(given: Inputs) -> Any:
            parts = self.band_array(self._placed(given.x, labels), level, of=band, sigma=sigma)
            mean, lower, upper = (
                self._with_unit(given.like(part).rename(name)) for name, part in zip(LIMITS, parts, strict=True)
            )
            if isinstance(mean, pd.Series):
                return pd.concat([mean, lower, upper], axis=1)
            return mean.to_dataset().assign(lower=lower, upper=upper)

        if band is None and is_lazy(table, labels):
            return lazily(table, labels, self.target, self._units, lambda x: self._at(labels, x))
        if is_dask_frame(table):
            if np.ndim(sigma):
                raise OptionError("sigma= of new rows in chunks is one number for all of them")
            return in_parts(table, labels, lambda part: limits(read(part)), list(LIMITS))
        inputs = read(table)
        x = self._placed(inputs.x, labels)
        values = self.predict_array(x)
        for remark in (*self._extrapolation(x), *self._outside_domain(x, values)):
            warnings.warn(remark, stacklevel=2)
        return self._with_unit(inputs.like(values)) if band is None else limits(inputs)

    __call__ = predict

    def residuals(self, table: Any) -> Any:
        """Target minus law for each row of `table`, in the form of `predict`, and lazy as that is.

        Raises
        ------
        ColumnError : the table does not hold the target or an input.
        """
        labels = (self.target, *self.names)

        def rest(rows: np.ndarray) -> np.ndarray:
            return rows[:, 0] - self._at(self.names, rows[:, 1:])

        if is_lazy(table, labels):
            return lazily(table, labels, self.target, self._units, rest)
        read = inputs_of(table, labels, self.target, self._units)
        return self._with_unit(read.like(rest(read.x)))

    @property
    def _units(self) -> dict:
        """{label: unit it was fitted in}, the target's too."""
        seen = self.observations
        return {self.target: seen.target_unit} | dict(zip(seen.names, seen.units, strict=True))

    def _with_unit(self, values: Any) -> Any:
        unit = self.observations.target_unit
        values.attrs.update({} if unit is None else {"units": unit})
        return values

    def _at(self, labels: tuple, given: np.ndarray) -> np.ndarray:
        """Values (N,) for columns (N, d) of these labels."""
        return self.predict_array(self._placed(given, labels))

    def _placed(self, given: np.ndarray, labels: tuple) -> np.ndarray:
        """Columns (N, d) at the places of their `labels` in the training columns (N, D); the others are NaN."""
        x = np.full((len(given), len(self.observations.names)), np.nan)
        x[:, [self.observations.names.index(label) for label in labels]] = given
        return x

    def predict_array(self, x: np.ndarray) -> np.ndarray:
        """Values (N,) for inputs x (N, D) in the order of the training columns; NaN where not finite."""
        values, valid = evaluate(self.expression, torch.tensor(np.asarray(x), dtype=DTYPE))
        return torch.where(valid, values, torch.nan)[0].numpy()

    def band_array(
        self, x: np.ndarray, level: float = 0.95, *, of: str = "confidence", sigma: Any = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, lower and upper limit, each (N,), for inputs x (N, D) in the order of the training columns.

        Parameters
        ----------
        level : share that the band should hold
        of : "confidence" (the law) or "prediction" (a new measurement)
        sigma : standard deviation(s) of the new measurements; default: the training rows', as a root mean square
        """
        self._quantile(level)  # checks the level
        points = torch.tensor(np.asarray(x), dtype=DTYPE)
        given: dict[str, Any] = {"parameters": self._numbers}
        if of == "prediction":
            given |= self._scatter(sigma, len(points))
        return tuple(part[0].numpy() for part in limits_of(self.expression, self.laplace, points, level, **given))

    def _scatter(self, sigma: Any, count: int) -> dict[str, Any]:
        """How new measurements scatter: the noise model, its own parameters, and their error bars if it takes any."""
        noise, (own, usual) = self.noise, self._scattered
        if sigma is not None and not noise.uses_sigma:
            noise.check_sigma(self.target)
        if sigma is None and usual is None:
            return {"noise": noise, "own": own}
        spread = torch.as_tensor(usual if sigma is None else np.asarray(sigma, dtype=float), dtype=DTYPE)
        if usual is None:  # error bars of the new rows alone are in units of y
            noise = dataclasses.replace(noise, absolute=True)
        return {"noise": noise, "own": own, "sigma": spread.expand(count)}

    @property
    def noise_parameters(self) -> dict[str, float]:
        """The noise model's own parameters, fitted with the constants: {"nu": 3.1, "s": 0.02} of "student_t".

        What they are is said where the model is: `sr_accessor.noise`.
        """
        own, usual = self._scattered
        names = self.noise.own_names(None if usual is None else torch.tensor([usual], dtype=DTYPE))
        return dict(zip(names, own[0].tolist(), strict=True))

    @cached_property
    def _scattered(self) -> tuple[torch.Tensor, float | None]:
        """(1, P) the noise model's own parameters, and the root mean square of the stated error bars, if any."""
        x, y, stated = measured_for(self.expression, self.observations)
        own = self.noise.estimate(y, evaluate(self.expression, x)[0], stated)
        return own, None if stated is None else float(stated.square().mean().sqrt())

    def _extrapolation(self, x: np.ndarray) -> tuple[SymRegWarning, ...]:
        low, high = (limit[self._used] for limit in (self.observations.low, self.observations.high))
        slack = MARGIN * (high - low)
        outside = (x[:, self._used] < low - slack) | (x[:, self._used] > high + slack)
        texts = [
            f"{name!r}: {count} of {len(x)} rows ({count / len(x):.0%}) outside {lo:.4g} … {hi:.4g}"
            for name, count, lo, hi in zip(self.names, outside.sum(0).tolist(), low, high, strict=True)
            if count
        ]
        if not texts:
            return ()
        return (SymRegWarning("EXTRAPOLATION", f"the law was fitted on another range: {'; '.join(texts)}"),)

    def _outside_domain(self, x: np.ndarray, values: np.ndarray) -> tuple[SymRegWarning, ...]:
        bad = np.flatnonzero(np.isnan(values) & ~np.isnan(x[:, self._used]).any(1))
        if not len(bad):
            return ()
        return (
            SymRegWarning(
                "DOMAIN",
                f"{len(bad)} of {len(x)} predictions are NaN, the first in row {bad[0]}: "
                f"{self._culprit(x[bad[0]])} is not a finite number there",
            ),
        )

    def _culprit(self, point: np.ndarray) -> str:
        """Text of the smallest sub-expression that has no finite value at `point` (D,)."""
        e = self.expression
        positions = torch.arange(int(e.lengths[0]))
        parts = e.subexpression(torch.zeros_like(positions), positions)
        finite = evaluate(parts, torch.tensor(point[None], dtype=DTYPE))[1][:, 0]
        smallest = torch.where(finite, torch.iinfo(torch.int64).max, parts.lengths).argmin()
        return to_text(parts[int(smallest)], self.observations.names, digits=4)[0]

    # ------------------------------------------------------------------ forms
    @cached_property
    def rounded(self) -> Expressions:
        """The expression with each constant rounded to two digits of its error.

        All constants get more digits, one by one, until the loss does not notice: correlated constants must not
        be rounded as if each stood alone.
        """
        value = self.expression.constants[0]
        stderr = self.laplace.stderr[0, self._numbers.index]
        size = torch.where(value == 0, 1.0, value.abs()).log10().floor()
        digits = torch.where(stderr > 0, size - stderr.log10().floor() + 2, 6.0).nan_to_num(6.0)
        extra = torch.arange(MOST_DIGITS + 1)
        wanted = (digits.clamp(1, MOST_DIGITS) + extra[:, None]).clamp(max=MOST_DIGITS).long()
        rounded = torch.tensor(
            [[float(f"{v:.{d}g}") for v, d in zip(value.tolist(), row, strict=True)] for row in wanted.tolist()],
            dtype=DTYPE,
        ).reshape(wanted.shape)
        candidates = torch.where(self.expression.free, rounded, value)  # equal numbers of one parameter stay equal
        trial = self.expression[[0] * len(extra)].with_constants(candidates)

        x, y, sigma = measured_for(self.expression, self.observations)
        values, reference = evaluate(trial, x)[0], evaluate(self.expression, x)[0]
        loss = self.noise.negative_log_likelihood(y, torch.cat([reference, values]), sigma)
        shift = (values - reference).square().mean(1).sqrt()
        unseen = (2 * (loss[1:] - loss[0]).abs() <= NOTICEABLE) | (shift <= EXACT * (y - y.mean()).abs().max())
        chosen = int(unseen.long().argmax()) if unseen.any() else len(extra) - 1
        return trial[chosen]

    def _shown(self, precision: str | int | None) -> tuple[Expressions, list[Any]]:
        """What is written, and the labels of its inputs."""
        labels = list(self.observations.names)
        if precision == "error":
            return self.rounded, labels
        if precision is None or (isinstance(precision, int) and precision > 0):
            return self.expression, labels
        if precision != "names":
            text = f"precision={precision!r} must be 'error', 'names', a number of digits or None for all of them"
            raise OptionError(text)
        names = [name for name in self._numbers.names if name]
        if both := [name for name in names if name in map(str, labels)]:
            raise InputError(f"a column and a constant are called {both[0]!r}; rename the column to tell them apart")
        return with_named_inputs(self.expression, self._numbers, len(labels)), labels + names

    def to_text(self, precision: str | int | None = None) -> str:
        """The right-hand side as text that the package's parser reads.

        Parameters
        ----------
        precision : None for all digits, "error" for those that the error bars justify, a number of digits, or "names"
            for the constants' names, as `params` has them, in the place of their values
        """
        shown, labels = self._shown(precision)
        return to_text(shown, labels, digits=precision if isinstance(precision, int) else None)[0]

    def to_latex(self, precision: str | int | None = "error") -> str:
        """The law as LaTeX, "target = right-hand side", without dollar signs.

        Parameters
        ----------
        precision : "error" for the digits that the error bars justify, a number of digits, None for all, or "names" for
            the constants' names in the place of their values
        """
        digits = {"error": MOST_DIGITS, "names": MOST_DIGITS, None: 17}.get(precision, precision)
        shown, labels = self._shown(precision)
        return f"{label_latex(str(self.target))} = {to_latex(shown, labels, digits=digits)}"

    def to(self, form: str, **keywords: Any) -> Any:
        """The law in another language or library, with all digits: `law.to("python")`, `law.to("excel", cells={...})`.

        Parameters
        ----------
        form : name of an exporter (`sr_accessor.plugins.exporters()` lists them), built in or a plugin's
        keywords : of that exporter

        Raises
        ------
        UnknownNameError : no exporter of that name.
        OperatorError : an operator of the law cannot be written there.
        """
        stderr = tuple(self.laplace.stderr[0, self._numbers.index[self.expression.free[0]]].tolist())
        return exporter(form)(Formula(self.expression, self.observations.names, self.target, stderr), **keywords)

    def to_sympy(self) -> sympy.Expr:
        """The right-hand side as a sympy expression; its symbols carry the labels."""
        return to_sympy(self.expression, self.observations.names)[0]

    @property
    def expr(self) -> sympy.Expr:
        """`to_sympy()`."""
        return self.to_sympy()

    def __repr__(self) -> str:
        return f"{self.target} = {self.to_text('error')}"

    def _repr_latex_(self) -> str:
        return f"$${self.to_latex()}$$"
