"""A fit as LaTeX: the law, a table of its constants, a table of the front; pure functions, no package needed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from sr_accessor.display.text import measured, number

__all__ = ["constants_of_groups", "fragment", "laws_of_groups"]

_SPECIAL = {c: rf"\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
_SPECIAL |= {"^": r"\textasciicircum{}", "±": r"$\pm$", "σ": r"$\sigma$", "χ": r"$\chi$", "²": r"$^2$", "−": "$-$"}


def escape(text: object) -> str:
    """Text safe in LaTeX; of letters outside ASCII the usual engines take those that their fonts have."""
    return "".join(_SPECIAL.get(c, c) for c in str(text))


def _table(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = [" & ".join(row) + r" \\" for row in (head, *rows)]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", body[0], r"\hline", *body[1:], r"\end{tabular}"])


def _with_error(value: float, stderr: float) -> str:
    return " $\\pm$ ".join(measured(value, stderr))


def _remark(headline: str) -> str:
    return f"% {' '.join(headline.split())}"


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
        [escape(name), _with_error(value, stderr), escape(unit or "")]
        for name, value, stderr, unit in params[["value", "stderr", "unit"]].itertuples()
    ]
    rows = [
        ["*" if chosen else "", str(complexity), escape(number(rmse)), escape(number(bits)), f"${law}$"]
        for chosen, complexity, rmse, bits, law in zip(
            front["selected"], front["complexity"], front["rmse"], front["mdl"], laws, strict=True
        )
    ]
    parts = [_remark(headline), rf"\[ {latex} \]"]
    if constants:
        parts.append(_table("lrl", ["constant", "value", "unit"], constants))
    parts.append(_table("lrrrl", ["", "complexity", "rmse", "mdl / bit", "law"], rows))
    return "\n\n".join(parts) + "\n"


def constants_of_groups(latex: str, params: pd.DataFrame, headline: str) -> str:
    """The same of groups with one law: a line for each group, a column for each of its constants.

    Parameters
    ----------
    params : value and stderr by group and constant
    """
    shown = pd.Series(
        [_with_error(*pair) for pair in params[["value", "stderr"]].to_numpy()], params.index, dtype=object
    )
    wide = shown.unstack(sort=False)
    rows = [
        [*map(escape, key if isinstance(key, tuple) else (key,)), *row]
        for key, row in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    head = [escape(name) for name in (*wide.index.names, *wide.columns)]
    table = _table("l" * wide.index.nlevels + "r" * wide.shape[1], head, rows)
    return "\n\n".join([_remark(headline), rf"\[ {latex} \]", table]) + "\n"


def laws_of_groups(laws: Mapping[Hashable, str], by: Sequence[Hashable], headline: str) -> str:
    """The same of groups with laws of different forms, {group: its law}."""
    rows = [[*map(escape, key if isinstance(key, tuple) else (key,)), f"${law}$"] for key, law in laws.items()]
    return "\n\n".join([_remark(headline), _table("l" * (len(by) + 1), [*map(escape, by), "law"], rows)]) + "\n"
