"""A fit as LaTeX: the law, a table of its constants, a table of the front; pure functions, no package needed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sr_accessor.display.text import measured, number

__all__ = ["fragment"]

_SPECIAL = {c: rf"\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
_SPECIAL |= {"^": r"\textasciicircum{}", "±": r"$\pm$", "σ": r"$\sigma$", "χ": r"$\chi$", "²": r"$^2$", "−": "$-$"}


def escape(text: object) -> str:
    """Text safe in LaTeX; of letters outside ASCII the usual engines take those that their fonts have."""
    return "".join(_SPECIAL.get(c, c) for c in str(text))


def _table(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = [" & ".join(row) + r" \\" for row in (head, *rows)]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", body[0], r"\hline", *body[1:], r"\end{tabular}"])


def fragment(latex: str, laws: Sequence[str], front: pd.DataFrame, params: pd.DataFrame, headline: str) -> str:
    """To be put into a document with \\input.

    Parameters
    ----------
    latex : the chosen law, without dollar signs
    laws : the law of each row of the front, likewise
    front, params : as of a result
    headline : one line about the fit
    """
    constants = [
        [escape(name), " $\\pm$ ".join(measured(value, stderr)), escape(unit or "")]
        for name, value, stderr, unit in params[["value", "stderr", "unit"]].itertuples()
    ]
    rows = [
        ["*" if chosen else "", str(complexity), escape(number(rmse)), escape(number(bits)), f"${law}$"]
        for chosen, complexity, rmse, bits, law in zip(
            front["selected"], front["complexity"], front["rmse"], front["mdl"], laws, strict=True
        )
    ]
    parts = [f"% {' '.join(headline.split())}", rf"\[ {latex} \]"]
    if constants:
        parts.append(_table("lrl", ["constant", "value", "unit"], constants))
    parts.append(_table("lrrrl", ["", "complexity", "rmse", "mdl / bit", "law"], rows))
    return "\n\n".join(parts) + "\n"
