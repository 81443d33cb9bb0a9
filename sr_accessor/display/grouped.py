"""A fit of groups as text and as static HTML; pure functions of tables."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sr_accessor.display.html import CELL, escape, folded
from sr_accessor.display.text import number

__all__ = ["page", "report"]

#: Rows of a table that are shown.
SHOWN = 20


def report(
    law: Sequence[str],
    facts: Mapping[str, Any],
    params: pd.DataFrame,
    forms: pd.DataFrame,
    warnings: Sequence[str],
    provenance: Mapping[str, Any],
) -> str:
    """The logbook entry: form, statistics, constants of the first groups, warnings, the forms that competed.

    Parameters
    ----------
    params : one row per group, one column per constant
    forms : one row per form that was refined on all groups
    """
    width = max(map(len, facts))
    lines = ["[[Model]]", *(f"    {line}" for line in law), "[[Fit Statistics]]"]
    lines += [f"    {name.ljust(width)} = {number(value)}" for name, value in facts.items()]
    lines += ["[[Constants]]", *(f"    {line}" for line in params.head(SHOWN).to_string().splitlines())]
    lines += [f"    … {len(params)} groups in all: .params"] if len(params) > SHOWN else []
    lines += ["[[Warnings]]", *(f"    {told}" for told in warnings)] if warnings else []
    lines += ["[[Forms]]", *(f"    {line}" for line in forms.to_string(index=False).splitlines())] if len(forms) else []
    return "\n".join([*lines, "[[Provenance]]", *(f"    {name} = {value}" for name, value in provenance.items())])


def page(
    latex: str | None,
    law: Sequence[str],
    headline: str,
    facts: Mapping[str, Any],
    params: pd.DataFrame,
    forms: pd.DataFrame,
    warnings: Sequence[str],
) -> str:
    """Static HTML without script, style block or svg; `latex` None shows the laws as text."""
    typeset = f"<div>$${html.escape(latex, quote=False)}$$</div>" if latex else ""
    shown = "" if latex else f"<pre>{escape(chr(10).join(law[:SHOWN]))}</pre>"
    notes = "".join(f"<li>{escape(told)}</li>" for told in warnings[:SHOWN])
    parts = [
        typeset, shown, f"<p>{escape(headline)}</p>", f"<ul>{notes}</ul>" if notes else "",
        folded(f"Constants ({len(params)} groups)", _table(params.reset_index()), is_open=True),
        folded("Statistics", _table(pd.DataFrame({"": list(facts), " ": list(facts.values())}))),
        folded(f"Forms ({len(forms)})", _table(forms)) if len(forms) else "",
    ]  # fmt: skip
    return f"<div>{''.join(parts)}</div>"


def _table(frame: pd.DataFrame) -> str:
    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag} {CELL}>{escape(number(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in frame.head(SHOWN).itertuples(index=False))
    more = f"<p>… and {len(frame) - SHOWN} more</p>" if len(frame) > SHOWN else ""
    return f'<table style="border-collapse:collapse">{line(list(frame.columns), "th")}{body}</table>{more}'
