"""FitResult: the front of laws that a fit found, the one chosen, how sure it is, and how it all looks."""

from __future__ import annotations

import dataclasses
import json
import math
import operator
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from sr_accessor.datasets import curvefit_layout
from sr_accessor.decoding.maps import draw_maps, maps_of
from sr_accessor.device import DTYPE
from sr_accessor.display import figure, html, plots, tex, text
from sr_accessor.equation import Equation
from sr_accessor.errors import (
    ColumnError,
    InputError,
    LoadError,
    SymRegWarning,
    UnknownNameError,
    nearest,
)
from sr_accessor.expressions.evaluate import evaluate, read_prefix
from sr_accessor.expressions.text import to_text
from sr_accessor.files import envelope
from sr_accessor.files.pause import Pause
from sr_accessor.files.record import Findings, Record, from_document, to_document
from sr_accessor.lazy import in_parts, is_dask_frame
from sr_accessor.live import COPIES, ROWS, copied, load_ahead, moved, over_one_input, pulls, what_if
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import Observations, inputs_of
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.refinement.likelihood import Parameters
from sr_accessor.scatter import informed, measured_for
from sr_accessor.search.front import Front
from sr_accessor.search.rules import choose
from sr_accessor.summary import Summary
from sr_accessor.transformer.checkpoint import load
from sr_accessor.uncertainty.bands import band as limits_of
from sr_accessor.uncertainty.forms import form_weights, spread_of_forms
from sr_accessor.uncertainty.laplace import Laplace, covariance
from sr_accessor.writing import write_whole

if TYPE_CHECKING:
    import sympy
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sr_accessor.display.explorer import Explorer
    from sr_accessor.display.plots import Plot

__all__ = ["DEFINITIONS", "FitResult"]

#: What the columns of `FitResult.front` mean; N rows, k free constants, r = y − law.
DEFINITIONS = {
    "complexity": "sum of the costs of the symbols; with unit costs the number of nodes",
    "loss": "negative log-likelihood under the noise model, nats",
    "mse": "mean of r²",
    "rmse": "square root of mse, in units of the target",
    "chi2_red": "Σ(r/σ)²/(N − k); NaN without sigma",
    "r2": "1 − Σr²/Σ(y − mean y)²",
    "r2_val": "r2 of the held-out rows; NaN without them",
    "aic": "2·loss + 2·k",
    "bic": "2·loss + k·ln N",
    "mdl": "description length: bits of the data given the law plus bits of the law",
    "score": "drop of ln(mse, weighted by 1/σ²) per step of complexity from the row before, as in PySR",
    "n_constants": "free constants, k",
    "origin": "who proposed the law",
    "selected": "the row that the rule chose",
    "equation": "the law with constants in four digits",
}
#: The same of `FitResult.candidates`.
CANDIDATES = {name: what for name, what in DEFINITIONS.items() if name not in ("score", "selected", "equation")} | {
    "on_front": "whether the law is a row of the front",
    "equation": DEFINITIONS["equation"],
}
#: Laws are the same whose values, weighted and summed up, differ by less than this share of what y's may sum up to,
#: and their errors by less than this share of y: refinement ends near an optimum, where the error hardly changes.
SAME_VALUES, SAME_ERROR = 1e-6, 1e-9
#: Values of candidates that are in memory at once.
MOST_VALUES = 20_000_000
#: Probability that a normal variable is within one standard deviation.
ONE_SIGMA = 0.6826894921370859
#: χ²/(N − k) outside this range is worth a remark: errors misjudged by more than a factor of three.
CHI2_RANGE = (0.1, 10.0)
#: What a file takes over as it is.
SAVED = ("front", "noise", "parameters", "status", "rounds", "seconds", "provenance", "remarks")
#: Root mean squares over the rows are taken over about so many of them.
ROWS_FOR_MEANS = 10_000


#: Inputs over which the display shows residuals, and bytes of pictures beyond which it shows no more of them.
MOST_RESIDUALS, MOST_PICTURES = 2, 55_000


class FitResult:
    """What a fit found: laws by complexity, one of them chosen; never changed.

    Parameters
    ----------
    observations : the rows that were fitted
    front : Front, at least one law, in the user's own units
    noise : the noise model
    parameters : names, bounds and ties of the numbers of a single law that the user gave; None: all are alone
    rule : name of the selection rule (`search.rules.RULES`), or the row that someone chose by hand
    held_out : rows kept away from the fit, or None
    status : "converged", "timeout", "interrupted", "no_model" ...
    rounds, seconds : how long the search went
    provenance : what made it: seed, versions, device, threads, options, plugins ...
    remarks : warnings of the fit
    findings : what the rows say about the laws, where a file brings it instead of the rows
    pause : where the search stopped; None where it cannot go on
    go_on : what goes on with it, `regression.resume`
    laplace : covariance of the front's constants, where the front was refined elsewhere on all rows of which
        `observations` are a sample; None: from the observations
    """

    def __init__(
        self,
        *,
        observations: Observations | Summary,
        front: Front,
        noise: NoiseModel,
        parameters: Parameters | None = None,
        rule: str | int = "mdl",
        held_out: Observations | Summary | None = None,
        status: str = "converged",
        rounds: int = 0,
        seconds: float = 0.0,
        provenance: Mapping[str, Any] | None = None,
        remarks: Sequence[SymRegWarning] = (),
        findings: Findings | None = None,
        pause: Pause | None = None,
        go_on: Callable[..., FitResult] | None = None,
        laplace: Laplace | None = None,
    ):
        if not len(front):
            raise InputError("a result needs at least one law; a search that finds none gives the mean")
        self._given = {
            "observations": observations, "noise": informed(noise, observations), "held_out": held_out,
            "status": status, "rounds": rounds,
            "seconds": seconds, "provenance": dict(provenance or {}), "remarks": tuple(remarks),
            "parameters": parameters, "findings": findings, "pause": pause, "go_on": go_on,
            "laplace": laplace,
            "front": Front(front.expressions.to("cpu"), front.loss.cpu(), front.bits.cpu(), front.origins),
        }  # fmt: skip
        self._observations, self._held_out, self._front = observations, held_out, self._given["front"]
        if findings is not None:  # instead of computing them from the rows
            self._laplace, self._squares, self._held_out_squares = (
                *(findings.laplace, findings.squares, findings.held_out_squares),
            )
            self._own_errors, self._form_spread = findings.own_errors, findings.form_spread
        self._made: dict[int, Equation] = {}  # a law remembers what it has computed of itself
        self._rule = rule
        by_hand = isinstance(rule, int)
        self._chosen = rule if by_hand else choose(self._front, rule, observations.total, self._held_out_mse)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"a FitResult does not change ({name!r}); .select(rule) gives a new one")
        super().__setattr__(name, value)

    def refined_elsewhere(self, front: Front, laplace: Laplace, rows: int) -> FitResult:
        """The result with laws that were refined on so many rows, of which the observations are a sample.

        Its search cannot go on: it would find laws of the sample.
        """
        seen = dataclasses.replace(self._observations, sample_of=rows)
        changed = {"observations": seen, "front": front, "laplace": laplace, "pause": None, "go_on": None}
        return FitResult(**self._given | changed, rule=self._rule)

    # ------------------------------------------------------------------ what was fitted
    @property
    def observations(self) -> Observations:
        """The rows that were fitted, or a sample of them where these lie in chunks."""
        return self._observations

    @property
    def target(self) -> Any:
        """Label of the fitted column."""
        return self._observations.target

    @property
    def names(self) -> tuple:
        """Labels of the inputs that the search was offered."""
        return tuple(self._observations.names)

    @property
    def status(self) -> str:
        """ "converged", "timeout", "interrupted", "no_model" ..."""
        return self._given["status"]

    @property
    def rule(self) -> str | int:
        """The rule that chose `best`, or its row if it was chosen by hand."""
        return self._rule

    @property
    def provenance(self) -> dict[str, Any]:
        """Everything needed to do it again."""
        given = self._given
        return given["provenance"] | {
            "data_hash": self._observations.data_hash,
            "noise": given["noise"].name,
            "rule": self._rule,
            "status": given["status"],
            "rounds": given["rounds"],
            "seconds": given["seconds"],
        }

    @cached_property
    def warnings(self) -> tuple[SymRegWarning, ...]:
        """Remarks on the data, the fit and the chosen law."""
        return self._warnings_of(self._chosen)

    def _warnings_of(self, row: int) -> tuple[SymRegWarning, ...]:
        n, k = self._observations.total, int(self._free_counts[row])
        found = []
        if n <= k + 1:
            message = f"{n} rows for a law with {k} constants; it cannot be checked, measure more"
            found.append(SymRegWarning("FEW_ROWS", message))
        chi2 = self._table["chi2_red"].iloc[row]
        if self._observations.absolute_sigma and not CHI2_RANGE[0] <= chi2 <= CHI2_RANGE[1] and n > k:
            if chi2 > CHI2_RANGE[1]:
                why = "the law misses the data by far more than sigma; sigma is too small or the law too simple"
                found.append(SymRegWarning("CHI2", f"reduced chi² = {chi2:.3g}: {why}"))
            elif chi2 < CHI2_RANGE[0]:
                why = "the law is closer to the data than sigma allows; sigma is too large or the law too flexible"
                found.append(SymRegWarning("CHI2", f"reduced chi² = {chi2:.3g}: {why}"))
        return (*self._observations.remarks, *self._given["remarks"], *found, *self[row].warnings)

    # ------------------------------------------------------------------ the laws
    @property
    def front(self) -> pd.DataFrame:
        """One row per law, simplest first; ``front.attrs["definitions"]`` says what the columns mean."""
        return self._table.copy()

    @property
    def candidates(self) -> pd.DataFrame:
        """All laws that the search kept, shortest description first: the front, and what came close to it.

        Columns are those of `front`, with ``on_front`` in the place of score and selected. Laws of the same values on
        the rows stand there once; ``fit(..., guesses=[equation])`` begins with one. Of a known law, of a chunked table
        and of a file without data it is the front.
        """
        pause, table = self._given["pause"], self._table.assign(on_front=True)
        if pause is not None:
            kept = self._on_the_rows(pause.population.front()).assign(on_front=False)
            every = pd.concat([self._on_the_rows(self._front).assign(on_front=True), kept], ignore_index=True)
            every = every[np.isfinite(every["loss"])].sort_values("rmse", kind="stable")
            size = float(np.linalg.norm(self._observations.y))
            apart = every["value"].diff().abs() > SAME_VALUES * size
            apart |= every["rmse"].diff() > SAME_ERROR * size / math.sqrt(self._observations.count)
            table = every.assign(value=apart.cumsum()).sort_index().drop_duplicates("value")
        table = table.sort_values("mdl", kind="stable", ignore_index=True)[[*CANDIDATES]]
        table.attrs["definitions"] = dict(CANDIDATES)
        return table

    def _on_the_rows(self, laws: Front) -> pd.DataFrame:
        """The table of laws that the search may have refined on some of the rows only; ``value`` tells them apart."""
        tables, each = [], max(1, MOST_VALUES // self._observations.count)
        for at in range(0, len(laws), each):  # pieces that fit into memory
            e, rows = laws.expressions[at : at + each], slice(at, at + each)
            x, y, sigma = measured_for(e, self._observations)
            values = evaluate(e, x)[0]
            loss = self._given["noise"].negative_log_likelihood(y, values, sigma)
            piece = Front(e, loss, laws.bits[rows], laws.origins[rows])
            alone = {"front": piece, "findings": None, "pause": None, "laplace": None}
            table = FitResult(**self._given | alone, rule=0)._table
            tables.append(table.assign(value=(values @ torch.arange(len(y), dtype=DTYPE).cos()).numpy()))
        return pd.concat(tables)

    @property
    def best(self) -> Equation:
        """The law that the rule chose."""
        return self[self._chosen]

    def __len__(self) -> int:
        return len(self._front)

    def __getitem__(self, row: int) -> Equation:
        """The law in this row of the front."""
        row = operator.index(row)
        if not -len(self) <= row < len(self):
            raise IndexError(f"no law {row}; the front has {len(self)}, numbered from 0")
        row %= len(self)
        if row not in self._made:
            self._made[row] = self._law(row)
        return self._made[row]

    def _law(self, row: int) -> Equation:
        findings, parameters = self._given["findings"], self._given["parameters"]
        expression, laplace = self._front.expressions[row].trimmed(), self._laplace[row]
        return Equation(
            expression=expression,
            observations=self._observations,
            laplace=laplace.first(expression.constants.shape[1]) if parameters is None else laplace,
            loss=float(self._front.loss[row]),
            origin=self._front.origins[row],
            noise=self._given["noise"],
            parameters=parameters,
            known={} if findings is None else findings.of(row, expression),
        )

    def __iter__(self) -> Iterator[Equation]:
        return (self[row] for row in range(len(self)))

    def at(self, *, complexity: int) -> Equation:
        """The law of this complexity.

        Raises
        ------
        UnknownNameError : the front has none.
        """
        known = self._front.complexity.tolist()
        if complexity not in known:
            raise UnknownNameError(f"no law of complexity {complexity}; {nearest(complexity, known)}")
        return self[known.index(complexity)]

    def select(self, rule: str | int) -> FitResult:
        """The same result with another rule's choice, or with this row of the front; nothing is fitted again.

        Raises
        ------
        UnknownNameError : no such rule
        InputError : "validation" without held-out rows
        IndexError : no such row
        """
        if not isinstance(rule, str):
            self[rule]  # raises where there is none
            rule = operator.index(rule) % len(self)
        return FitResult(**self._given, rule=rule)

    def check(self) -> pd.DataFrame:
        """What `front` says of each law's fit, beside the same from the rows and the plain reader of expressions.

        Returns
        -------
        DataFrame, one row per law: loss, loss_again, rmse, rmse_again, equation

        Raises
        ------
        InputError : the rows are not all here.
        """
        laws, table = self._front.expressions, self._table[["loss", "rmse", "equation"]].copy()
        x, y, sigma = measured_for(laws, self.best._rows)
        values = read_prefix(laws, x)[0]
        loss = self._given["noise"].negative_log_likelihood(y, values, sigma)
        table.insert(1, "loss_again", loss.numpy())
        table.insert(3, "rmse_again", (values - y).square().mean(1).sqrt().numpy())
        return table

    # ------------------------------------------------------------------ the chosen law
    def predict(self, table: Any, band: str | None = None, *, level: float = 0.95, sigma: Any = None) -> Any:
        """`Equation.predict` of the chosen law."""
        return self.best.predict(table, band, level=level, sigma=sigma)

    def residuals(self, table: Any) -> Any:
        """`Equation.residuals` of the chosen law; fits `DataFrame.assign(r=result.residuals)`."""
        return self.best.residuals(table)

    def spread(self, table: Any) -> pd.DataFrame:
        """What the choice of the form leaves open: the laws of the front that explain the data about as well.

        Returns
        -------
        DataFrame (or Dataset) of the table's rows: mean of the near-front laws, weighted by 2^−(description length);
        std around it, which is beside the error bars, not in them; in units of the target

        Raises
        ------
        ColumnError : columns that one of these laws needs and the table lacks.
        """
        near = self._front_rows(form_weights(self._front) > 0)
        used = tuple(sorted({name for law in near for name in law.names}, key=self.names.index)) or self.names
        if is_dask_frame(table):
            return in_parts(table, used, self.spread, ["mean", "std"])
        inputs = inputs_of(table, used, self.target, self.best._units)
        points = torch.full((len(inputs.x), len(self.names)), torch.nan, dtype=DTYPE)
        points[:, [self.names.index(name) for name in used]] = torch.tensor(inputs.x, dtype=DTYPE)
        mean, std = (part.numpy() for part in spread_of_forms(self._front, points))
        mean, std = inputs.like(mean).rename("mean"), inputs.like(std).rename("std")
        return pd.concat([mean, std], axis=1) if isinstance(mean, pd.Series) else mean.to_dataset().assign(std=std)

    def _front_rows(self, wanted: torch.Tensor) -> list[Equation]:
        return [self[row] for row in wanted.nonzero()[:, 0].tolist()]

    @property
    def expr(self) -> sympy.Expr:
        """The chosen law's right-hand side in sympy."""
        return self.best.expr

    def to_latex(self, precision: str | int | None = "error") -> str:
        """`Equation.to_latex` of the chosen law."""
        return self.best.to_latex(precision)

    def to_text(self, precision: str | int | None = None) -> str:
        """`Equation.to_text` of the chosen law."""
        return self.best.to_text(precision)

    def to_dataset(self) -> xr.Dataset:
        """The chosen law's constants in the layout of xarray's `curvefit`: see `sr_accessor.datasets`."""
        best, row = self.best, self._table.iloc[self._chosen]
        params = best.params[~best.params["fixed"]]
        arrays = {name: params[name].to_numpy() for name in ("value", "stderr")}
        stats = {"nobs": np.array(float(self._observations.total))}
        stats |= {name: np.array(row[name]) for name in ("loss", "rmse", "r2", "chi2_red", "aic", "bic")}
        attrs = {"equation": repr(best), "latex": best.to_latex(), "noise": self._given["noise"].name}
        return curvefit_layout(
            self.target, list(params.index), list(params["unit"]), {},
            arrays | {"covariance": best.covariance.to_numpy()}, stats, np.array(self.status), attrs,
        )  # fmt: skip

    # ------------------------------------------------------------------ how it looks
    @property
    def plot(self) -> Plots:
        """``.plot.pareto()``, ``.parity()``, ``.residuals(label)``, ``.histogram()``, ``.fit(label)``,
        ``.profile(label)``: Axes; and ``.attention()``, a Figure."""
        return Plots(self)

    def explore(self) -> Explorer:
        """A panel of ipywidgets: choose a law of the front, move its constants, look at it over each input, copy it.

        ``panel.result`` is this result with the law that was chosen with "Use this one". After
        ``sr.set_options(display="widget")`` a notebook shows the panel below each result by itself.

        Raises
        ------
        InputError : the rows are not here: a file without data.
        """
        from sr_accessor.display.explorer import Explorer, Laws

        seen, laws = self._observations, list(self)
        rows = slice(None, None, math.ceil(seen.count / ROWS))  # more could not be told apart in a picture
        x = seen.x[rows]
        load_ahead(laws[-1])
        explored = Laws(
            headline=self._headline,
            front=self._table,
            held_out=self._held_out_errors,
            inputs=dict(zip(self.names, x.T, strict=True)),
            ranges=dict(zip(self.names, zip(seen.low.tolist(), seen.high.tolist(), strict=True), strict=True)),
            target=self.target,
            y=seen.y[rows],
            inputs_of=lambda row: laws[row].names,
            params=lambda row: laws[row].params,
            correlation=lambda row: laws[row].correlation,
            warnings=lambda row: [str(remark) for remark in self._warnings_of(row)],
            latex=lambda row, at: moved(laws[row], at).to_latex(4) if at else laws[row].to_latex(),
            symbols=lambda row: laws[row].to_latex("names"),
            predict=lambda row, at: moved(laws[row], at).predict_array(x),
            line=lambda row, at: over_one_input(moved(laws[row], at), laws[row].names[0])[0][:2],
            pulls=lambda row: pulls(laws[row]),
            curve=lambda row, *how: over_one_input(laws[row], *how),
            what_if=lambda row, *how: what_if(laws[row], *how),
            forms=(*COPIES, "JSON"),
            copied=lambda row, form: self._json_of(row) if form == "JSON" else copied(laws[row], form),
            use=self.select,
        )
        return Explorer(explored, self)

    def report(self, min_correl: float = 0.1) -> str:
        """Text for the logbook: model, statistics, constants ± errors, correlations, warnings, front, provenance.

        Parameters
        ----------
        min_correl : correlations with a smaller absolute value are left out
        """
        best = self.best
        return text.report(
            repr(best), self._statistics, best.params, best.correlation, [str(w) for w in self.warnings],
            self._table, self.provenance, min_correl=min_correl,
        )  # fmt: skip

    def to_tex(self) -> str:
        r"""Law, constants ± errors and front as LaTeX, to be put into a document with \input."""
        laws = [law.to_latex(4).partition(" = ")[2] for law in self]
        return tex.fragment(self.best.to_latex(), laws, self._table, self.best.params, self._headline)

    def __repr__(self) -> str:
        return text.summary(repr(self.best), self._table, self._headline, [str(w) for w in self.warnings])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The static display: it looks the same in a saved notebook, without a kernel, untrusted."""
        best, images, plot, left = self.best, {}, self.plot, MOST_PICTURES
        drawings = {"Pareto front": plot._pareto}
        if isinstance(self._observations, Observations):
            drawings |= {"Parity": plot._parity, "Histogram of residuals": plot._histogram}
            over = (best.names or self.names)[:MOST_RESIDUALS]
            drawings |= {f"Residuals over {name}": partial(plot._residuals, name) for name in over}
        for title, made in drawings.items() if figure.available() else ():
            picture = figure.png(made())
            if not images or len(picture.png) < left:
                images[title], left = picture, left - len(picture.png)
        latex, copies = best.to_latex(), {name: copied(best, name) for name in COPIES}
        page = html.page(
            latex, repr(best), self._headline, self._table, best.params, best.correlation, self._statistics,
            [str(w) for w in self.warnings], self.provenance, images, copies, self._json_of(self._chosen),
        )  # fmt: skip
        return {"text/html": page, "text/latex": f"$${latex}$$", "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    # ------------------------------------------------------------------ files
    def to_dict(self, *, data: bool = False) -> dict[str, Any]:
        """The document of `to_json` as plain dictionaries, lists, texts and numbers."""
        return json.loads(self.to_json(data=data))

    def to_json(self, *, data: bool = False, time: bool = True) -> str:
        """Everything about the result as JSON text that `sr_accessor.load` reads, on any machine, without its data.

        Predictions, bands, reports, exports and `select` work after loading; plots of the rows, profile intervals and
        `resume` need the rows themselves.

        Parameters
        ----------
        data : whether the fitted rows are in it too, about 11 bytes for each number of theirs
        time : whether it says how long the fit took, the only thing in which two equal fits differ

        Raises
        ------
        InputError : a label that no file can hold, or data=True of a result that was loaded without its rows, or that
            has only a sample of them.
        """
        document, times = to_document(self.to_record(data=data))
        return envelope.to_text(document, times if time else {})

    def _json_of(self, row: int) -> str:
        """`to_json` of one law of the front alone: short enough to be copied by hand."""
        return envelope.to_text(*to_document(self.to_record(data=False).only(row)))

    def save(self, path: str | os.PathLike, *, data: bool = False, time: bool = True, if_changed: bool = False) -> None:
        """Write `to_json` to a file, whole or not at all; with `if_changed` not where the file holds just that."""
        write_whole(path, self.to_json(data=data, time=time).encode(), if_changed=if_changed)

    @classmethod
    def from_json(cls, text: str, go_on: Callable[..., FitResult] | None = None) -> FitResult:
        """The result that `to_json` wrote; `sr_accessor.load` adds what `resume` needs.

        Raises
        ------
        LoadError : text that is not ours, changed since, hostile, or that needs what is not installed.
        """
        return cls.from_document(*envelope.from_text(text), go_on)

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], time: Mapping[str, Any], go_on: Callable[..., FitResult] | None = None
    ) -> FitResult:
        """The result of a document, as `files.record` has it, and its times."""
        record = from_document(document, time)
        try:
            return cls(**{field.name: getattr(record, field.name) for field in dataclasses.fields(record)}, go_on=go_on)
        except (InputError, UnknownNameError) as error:  # a rule that is not here
            raise LoadError(f"the file's result cannot be: {error}") from error

    def to_record(self, *, data: bool) -> Record:
        """All that a file says about it, with its rows or without."""
        given, seen, held_out = self._given, self._observations, self._held_out
        if data:
            _ = (seen.y, held_out and held_out.y)  # says what is missing
            if seen.count < seen.total:
                raise InputError(
                    f"the laws were refined on all {seen.total} rows of a chunked table, of which only a sample of "
                    f"{seen.count} is here; save without data=True, and keep the table"
                )
        else:
            seen = Summary.of(seen)
            held_out = None if held_out is None else Summary.of(held_out)
        return Record(
            observations=seen,
            held_out=held_out,
            rule=self._rule,
            findings=self._findings,
            pause=given["pause"] if data else None,
            **{name: given[name] for name in SAVED},
        )

    @cached_property
    def _findings(self) -> Findings:
        if self._given["findings"] is not None:
            return self._given["findings"]
        laws = list(self)
        return Findings(
            laplace=self._laplace,
            squares=self._squares,
            held_out_squares=None if self._held_out is None else self._held_out_squares,
            rounded=torch.nn.utils.rnn.pad_sequence([law.rounded.constants[0] for law in laws], batch_first=True),
            own_errors=self._own_errors,
            form_spread=self._form_spread,
            scattered=tuple(law._scattered for law in laws),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickling, copying and joblib go through the JSON form, with the data if all rows are here."""
        seen = self._observations
        text = self.to_json(data=isinstance(seen, Observations) and seen.count == seen.total)
        return FitResult.from_json, (text, self._given["go_on"])

    def resume(self, table: Any = None, *, timeout: float = 10.0, max_rounds: int | None = None) -> FitResult:
        """Search on from where the fit stopped, on the same rows; n rounds and m more find what n + m rounds find.

        Parameters
        ----------
        table : the table that was fitted, to make sure that it has not changed since; None takes the rows as they were
        timeout, max_rounds : seconds and rounds from now on

        Returns
        -------
        A new result. One that ended because nothing more was found tries further; one that is exact stays.

        Raises
        ------
        InputError : the result holds no search (of `refine`, or a file without data), or the table has changed.
        """
        pause, seen, go_on = (self._given[name] for name in ("pause", "observations", "go_on"))
        if not isinstance(seen, Observations):
            _ = seen.x  # says what is missing
        if pause is None or go_on is None:
            raise InputError("this result holds no search that could go on; fit again, with its laws as guesses=")
        if table is not None:
            self._check_same(table)
        rule = self._rule if isinstance(self._rule, str) else "mdl"  # a row chosen by hand is another row then
        given = {"rounds": self._given["rounds"], "timeout": timeout, "max_rounds": max_rounds, "select": rule}
        return go_on(seen, self._held_out, self._given["noise"], pause, **given)

    def _check_same(self, table: Any) -> None:
        """Raise InputError where the fitted columns of a table are not what they were."""
        changed: Counter[Any] = Counter()
        for part in (self._observations, self._held_out):
            if part is None or part.rows.max() < 0:  # of another table
                continue
            read = inputs_of(table, (*part.names, part.target), part.target).x
            if len(read) <= part.rows.max():
                raise InputError(f"the table has {len(read)} rows now; the fit read row {part.rows.max()} too")
            for name, now, then in zip((*part.names, part.target), read[part.rows].T, (*part.x.T, part.y), strict=True):
                changed[name] += int((now != then).sum())
        if changed := +changed:
            told = ", ".join(f"{name!r} in {count} rows" for name, count in changed.items())
            raise InputError(f"the data changed since the fit: {told}; fit again")

    # ------------------------------------------------------------------ numbers behind it
    @cached_property
    def _laplace(self) -> Laplace:
        if self._given["laplace"] is not None:
            return self._given["laplace"]
        front, numbers = self._front.expressions, self._given["parameters"]
        x, y, sigma = measured_for(front, self._observations)
        numbers = None if numbers is None else numbers.off_bounds(front.constants)
        return covariance(front, x, y, sigma, noise=self._given["noise"], parameters=numbers)

    @property
    def _free_counts(self) -> torch.Tensor:
        """(F,) free constants of each law."""
        numbers = self._given["parameters"]
        return (self._front.expressions.free if numbers is None else numbers.free).sum(1)

    @property
    def _held_out_mse(self) -> torch.Tensor | None:
        """(F,) mean of (r/σ)² over the held-out rows."""
        return None if self._held_out is None else self._held_out_squares[1]

    @cached_property
    def _squares(self) -> tuple[torch.Tensor, torch.Tensor]:
        return _mean_squares(self._front, self._observations)

    @cached_property
    def _held_out_squares(self) -> tuple[torch.Tensor, torch.Tensor]:
        return _mean_squares(self._front, self._held_out)

    @cached_property
    def _own_errors(self) -> torch.Tensor:
        """(F,) standard error of each law itself, root mean square over (some of) the rows, given its form."""
        x = self._some_rows
        limits = limits_of(self._front.expressions, self._laplace, x, ONE_SIGMA, parameters=self._given["parameters"])
        return (limits[0] - limits[1]).square().mean(1).sqrt()

    @cached_property
    def _form_spread(self) -> float:
        """Standard deviation of near-front laws around their mean, root mean square over (some of) the rows."""
        return float(spread_of_forms(self._front, self._some_rows)[1].square().mean().sqrt())

    @property
    def _some_rows(self) -> torch.Tensor:
        """(n, D) rows in equal steps: means over them need no more."""
        x = self._observations.x
        return torch.tensor(x[:: math.ceil(len(x) / ROWS_FOR_MEANS)], dtype=DTYPE)

    @cached_property
    def _table(self) -> pd.DataFrame:
        front, seen = self._front, self._observations
        n, k = seen.total, self._free_counts
        plain, weighted = self._squares
        chi2 = torch.where(n > k, weighted * n / (n - k).clamp(min=1), torch.nan)
        nothing = torch.full_like(plain, torch.nan)
        log = weighted.clamp(min=torch.finfo(DTYPE).tiny).log()
        score = torch.cat([log.new_zeros(1), (log[:-1] - log[1:]) / front.complexity.diff()])
        table = pd.DataFrame(
            {
                "complexity": front.complexity.numpy(),
                "loss": front.loss.numpy(),
                "mse": plain.numpy(),
                "rmse": plain.sqrt().numpy(),
                "chi2_red": (chi2 if seen.has_sigma else nothing).numpy(),
                "r2": _r2(plain, seen.variance).numpy(),
                "r2_val": (nothing if self._held_out is None else self._r2_val).numpy(),
                "aic": (2 * front.loss + 2 * k).numpy(),
                "bic": (2 * front.loss + k.to(DTYPE) * math.log(seen.total)).numpy(),
                "mdl": front.description_length.numpy(),
                "score": score.numpy(),
                "n_constants": k.numpy(),
                "origin": list(front.origins),
                "selected": np.arange(len(front)) == self._chosen,
                "equation": to_text(front.expressions, seen.names, digits=4),
            }
        )
        table.attrs["definitions"] = dict(DEFINITIONS)
        return table

    @property
    def _held_out_errors(self) -> np.ndarray:
        """(F,) root mean squared error of each law over the held-out rows; NaN without them."""
        held_out = None if self._held_out is None else self._held_out_squares[0].sqrt().numpy()
        return np.full(len(self), np.nan) if held_out is None else held_out

    @property
    def _r2_val(self) -> torch.Tensor:
        return _r2(self._held_out_squares[0], self._held_out.variance)

    @property
    def _statistics(self) -> dict[str, Any]:
        seen, row = self._observations, self._table.iloc[self._chosen]
        sample = f", of which {seen.count} as a sample" if seen.total > seen.count else ""
        return {
            "rows": f"{seen.total}{sample}{self._dropped}",
            "held-out rows": 0 if self._held_out is None else self._held_out.count,
            "constants": int(row["n_constants"]),
            "complexity": int(row["complexity"]),
            **({"unit": seen.target_unit} if seen.target_unit else {}),
            "noise model": self._given["noise"].name + self._own_noise,
            "error bars": ("as given" if self._laplace.absolute else "scaled by the residuals") + ", given this form",
            **self._open_form,
            **{name: float(row[name]) for name in ("loss", "rmse", "chi2_red", "r2", "r2_val", "aic", "bic", "mdl")},
        }

    @property
    def _own_noise(self) -> str:
        """The chosen law's noise parameters in brackets."""
        told = ", ".join(f"{name} = {text.number(value)}" for name, value in self.best.noise_parameters.items())
        return told and f" ({told})"

    @property
    def _open_form(self) -> dict[str, str]:
        """The spread of near-front forms over the fitted rows beside the law's own error, where there are several."""
        near = int((form_weights(self._front) > 0).sum())
        if near < 2:
            return {}
        own = float(self._own_errors[self._chosen])
        return {
            "error of the law": f"{text.number(own)} (root mean square over the rows, given this form)",
            "spread of forms": f"{text.number(self._form_spread)} ({near} laws of about the same description length)",
        }

    @property
    def _dropped(self) -> str:
        dropped = sum(self._observations.dropped.values())
        return f" ({dropped} missing values dropped)" if dropped else ""

    @property
    def _headline(self) -> str:
        given = self._given
        parts = [
            f"{self.status}: {self._observations.total} rows{self._dropped}",
            f"{given['rounds']} round{'' if given['rounds'] == 1 else 's'}"
            + ("" if math.isnan(given["seconds"]) else f" in {given['seconds']:.1f} s"),
            *([str(given["provenance"]["device"])] if "device" in given["provenance"] else []),
            f"chosen by {'hand' if isinstance(self._rule, int) else repr(self._rule)} (.select(rule) changes it)",
        ]
        return ", ".join(parts)


class Plots:
    """Plots of a result; each method draws on `ax` (default: a new figure) and returns it. Needs matplotlib."""

    __slots__ = ("_result",)

    def __init__(self, result: FitResult):
        self._result = result

    def pareto(self, ax: Axes | None = None) -> Axes:
        """Root mean squared error over complexity."""
        return figure.draw(self._pareto(), ax)

    def _pareto(self) -> Plot:
        r, table = self._result, self._result._table
        return plots.pareto(table["complexity"].values, table["rmse"].values, r._chosen, r._held_out_errors)

    def parity(self, ax: Axes | None = None) -> Axes:
        """Predicted over measured target."""
        return figure.draw(self._parity(), ax)

    def _parity(self) -> Plot:
        seen = self._result._observations
        return plots.parity(seen.y, self._result.best.predict_array(seen.x), seen.target)

    def residuals(self, label: Any, ax: Axes | None = None) -> Axes:
        """Residuals over the input `label`."""
        return figure.draw(self._residuals(label), ax)

    def _residuals(self, label: Any) -> Plot:
        seen = self._result._observations
        x = seen.x[:, self._column(label)]
        return plots.residuals(x, seen.y - self._result.best.predict_array(seen.x), label, seen.target)

    def histogram(self, ax: Axes | None = None) -> Axes:
        """How many residuals are how large, in standard deviations of the noise model, beside what it expects."""
        return figure.draw(self._histogram(), ax)

    def _histogram(self) -> Plot:
        return plots.histogram(*pulls(self._result.best), self._result.target)

    def fit(self, label: Any, ax: Axes | None = None) -> Axes:
        """Measurements and law over the input `label`: a curve with its band if the law reads no other input."""
        seen, best, at = self._result._observations, self._result.best, self._column(label)
        x = seen.x[:, at]
        if set(best.names) <= {label}:
            law = plots.curve(*over_one_input(best, label)[0])
        else:
            law = plots.at_rows(x, best.predict_array(seen.x))
        return figure.draw(plots.fit(law, label, seen.target, points=(x, seen.y), sigma=seen.sigma), ax)

    def profile(
        self, label: Any, ax: Axes | None = None, *, at: Mapping[Any, float] | None = None, level: float = 0.95
    ) -> Axes:
        """The law over the input `label` with the band that holds it; others at `at`, {label: value}, or medians."""
        result = self._result
        for name in (label, *(at or {})):
            self._column(name)
        over, held = over_one_input(result.best, label, at, level)
        words = ", ".join(f"{name} = {text.number(float(value))}" for name, value in held.items())
        points = None if held else (result._observations.x[:, self._column(label)], result._observations.y)
        law = plots.curve(*over, f"{100 * level:.3g} %")
        return figure.draw(plots.fit(law, label, result.target, points=points, title=words), ax)

    def attention(self, label: Any = None, network: Any = None) -> Figure:
        """What each row looks at in the encoder of the network, by layer and head, rows in the order of an input.

        Parameters
        ----------
        label : of that input; None: the first
        network : its name or file; None: the one that the fit used

        Raises
        ------
        InputError : the fit used no network, or it reads fewer inputs than there are.
        ModelNotFoundError, ColumnError : no such network, no such input.
        """
        result, used = self._result, network or self._result.provenance.get("network")
        if used is None:
            raise InputError('this fit used no network; name one: .plot.attention(network="default")')
        figure.require()
        model, seen = load(used).model, result._observations
        at = 0 if label is None else self._column(label)
        maps = maps_of(model, torch.tensor(seen.x), torch.tensor(seen.y), vocabulary(), at)
        return draw_maps(maps, str(seen.names[at]))

    def _column(self, label: Any) -> int:
        names = list(self._result.names)
        if label not in names:
            raise ColumnError(f"no input {label!r}; {nearest(label, names)}")
        return names.index(label)


def _mean_squares(front: Front, observations: Observations) -> tuple[torch.Tensor, torch.Tensor]:
    """(F,) mean of r² and (F,) mean of (r/σ)²; NaN where a law is not finite on every row."""
    x, y, sigma = measured_for(front.expressions, observations)
    values, valid = evaluate(front.expressions, x)
    residual = torch.where(valid, values - y, torch.nan)
    plain = residual.square().mean(1)
    return plain, plain if sigma is None else (residual / sigma).square().mean(1)


def _r2(mean_squares: torch.Tensor, variance: float) -> torch.Tensor:
    """1 − mse/variance; NaN where y does not vary."""
    return 1 - mean_squares / variance if variance > 0 else torch.full_like(mean_squares, torch.nan)
