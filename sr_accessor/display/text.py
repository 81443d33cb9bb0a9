"""A fit as plain text: a short form for the prompt, lmfit's order for the logbook; pure functions of tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

__all__ = ["front_columns", "measured", "number", "report", "share", "split_sources", "strongest", "summary", "unit_of"]

#: Columns of the front that fit on a screen, in this order.
_FRONT_COLUMNS = ("complexity", "rmse", "chi2_red", "r2", "r2_val", "mdl", "score")


def number(value: Any) -> str:
    """A number in four digits; a dash for what is missing; anything else as it is."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def measured(value: float, stderr: float) -> tuple[str, str]:
    """Value and error as texts, the value rounded to two digits of the error: ("2.410", "0.012").

    Exact to rounding (an error 13 digits down) or without an error: the value in up to 12 or 6 digits.
    """
    if not math.isfinite(stderr) or stderr <= 0 or not math.isfinite(value):
        return f"{value:.6g}", number(stderr)
    last = math.floor(math.log10(stderr)) - 1  # decimal place of the error's second digit
    size = math.floor(math.log10(abs(value))) if value else last
    if size - last >= 12:
        return f"{value:.12g}", f"{stderr:.2g}"
    if -6 < last <= 0 and size < 7:
        return f"{value:.{-last}f}", f"{stderr:.{-last}f}"
    return f"{value:.{max(size - last, 1)}e}", f"{stderr:.1e}"


def share(value: float, stderr: float) -> str:
    """The error as a share of the value: "5.00%"; empty where there is none."""
    part = abs(stderr / value) if value else math.nan
    return f"{part:.2%}" if math.isfinite(part) else ""


def unit_of(constant: pd.Series) -> str:
    """The unit of a row of constants; empty where it is not known, for which pandas has None or NaN."""
    return constant["unit"] if isinstance(constant["unit"], str) else ""


def strongest(correlation: pd.DataFrame, least: float) -> list[tuple[str, str, float]]:
    """Pairs of constants with |correlation| >= least, the strongest first."""
    names = list(correlation.columns)
    pairs = [
        (a, b, float(correlation.iloc[i, j]))
        for j, b in enumerate(names)
        for i, a in enumerate(names[:j])
        if abs(correlation.iloc[i, j]) >= least
    ]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))


def front_columns(front: pd.DataFrame) -> list[str]:
    """The columns worth showing: those with at least one number."""
    return [name for name in _FRONT_COLUMNS if name in front and front[name].notna().any()]


def split_sources(front: pd.DataFrame, provenance: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """What each source proposed and how many laws of the front are its own, and the provenance without that.

    A source is an origin up to its comma: "screen pair, y" and "screen pair, log y" are one.
    """
    proposed, kept = Counter(), Counter(origin.partition(",")[0] for origin in front["origin"])
    for origin, count in provenance.get("proposed", {}).items():
        proposed[origin.partition(",")[0]] += count
    sources = {name: f"{count} proposed, {kept[name]} on the front" for name, count in proposed.items()}
    return sources, {name: value for name, value in provenance.items() if name != "proposed"}


def _front_lines(front: pd.DataFrame, width: int) -> list[str]:
    columns = front_columns(front)
    body = [[number(value) for value in row] for row in front[columns].itertuples(index=False)]
    table = [columns, *body]
    sizes = [max(len(row[i]) for row in table) for i in range(len(columns))]
    rows = ["  ".join(cell.rjust(size) for cell, size in zip(row, sizes, strict=True)) for row in table]
    marks = [" ", *("▸" if selected else " " for selected in front["selected"])]
    laws = ["equation", *front["equation"]]
    lines = [f"{mark} {row}  {law}" for mark, row, law in zip(marks, rows, laws, strict=True)]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def _pairs(items: Mapping[str, Any]) -> list[str]:
    width = max(map(len, items), default=0)
    return [f"    {name.ljust(width)} = {number(value)}" for name, value in items.items()]


def summary(law: str, front: pd.DataFrame, line: str, warnings: Sequence[str] = (), *, width: int = 110) -> str:
    """The law, one line of circumstances, the front, the warnings."""
    return "\n".join([law, "", *_front_lines(front, width), "", line, *(f"! {text}" for text in warnings)])


def report(
    law: str,
    statistics: Mapping[str, Any],
    params: pd.DataFrame,
    correlation: pd.DataFrame,
    warnings: Sequence[str],
    front: pd.DataFrame,
    provenance: Mapping[str, Any],
    *,
    min_correl: float = 0.1,
    width: int = 110,
) -> str:
    """The logbook entry, in lmfit's order: model, statistics, constants, correlations, warnings, front, then what
    came from where and provenance."""
    lines = ["[[Model]]", f"    {law}", "[[Fit Statistics]]", *_pairs(statistics), "[[Constants]]"]
    if params.empty:
        lines.append("    (no free constants)")
    for name, row in params.iterrows():
        value, stderr = measured(row["value"], row["stderr"])
        percent, unit = share(row["value"], row["stderr"]), f" {unit_of(row)}".rstrip()
        lines.append(f"    {name}: {value} +/- {stderr}{unit}{percent and f' ({percent})'}")
    pairs = strongest(correlation, min_correl)
    if pairs:
        lines.append(f"[[Correlations]] (unreported correlations are < {min_correl:.3f})")
        lines += [f"    C({a}, {b}) = {value:+.4f}" for a, b, value in pairs]
    if warnings:
        lines += ["[[Warnings]]", *(f"    {text}" for text in warnings)]
    lines += ["[[Front]]", *(f"  {line}" for line in _front_lines(front, width))]
    proposed, facts = split_sources(front, provenance)
    if proposed:
        lines += ["[[Sources]]", *_pairs(proposed)]
    return "\n".join([*lines, "[[Provenance]]", *_pairs(facts)])
