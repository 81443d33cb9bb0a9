"""A fit as static HTML that survives saving: typeset law, tables, folded parts; pure functions of tables.

No script, no style block, no svg: JupyterLab drops them from untrusted notebooks. Colours are inherited, so that
dark themes work. Every label is escaped, also against the typesetter.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import pandas as pd

from sr_accessor.display.figure import INSTALL, Picture
from sr_accessor.display.text import front_columns, measured, number, share, split_sources, strongest, unit_of

__all__ = ["CELL", "escape", "folded", "image", "listed", "page"]

#: Rows of the front and the characters of their cells; characters of a text, of code and of JSON that are shown.
_MOST_ROWS, _MOST_FRONT, _MOST_CHARACTERS, _MOST_CODE, _MOST_JSON = 40, 30_000, 240, 2000, 20_000
#: Bytes of a page, beyond which copies and further pictures give way to a word of how to get them.
_MOST_BYTES = 140_000
#: Style of a cell with a number.
CELL = 'style="text-align:right;padding:2px 8px"'
_LEFT = 'style="text-align:left;padding:2px 8px"'


def escape(text: Any) -> str:
    """Text safe in HTML and left alone by MathJax, which typesets between dollars and after backslashes."""
    safe = html.escape(str(text))
    return safe.replace("\\", "<span>&#92;</span>").replace("$", "<span>&#36;</span>")


def _short(text: Any) -> str:
    text = str(text)
    return escape(text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are already HTML; the last column is text, to the left."""

    def line(cells: Sequence[str], tag: str) -> str:
        styles = [CELL] * (len(cells) - 1) + [_LEFT]
        return "<tr>" + "".join(f"<{tag} {s}>{c}</{tag}>" for s, c in zip(styles, cells, strict=True)) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<table style="border-collapse:collapse"><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table>'


def folded(title: str, body: str, *, is_open: bool = False) -> str:
    """HTML that a click on its title shows or hides."""
    return f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>{body}</details>"


def _front(front: pd.DataFrame) -> str:
    columns = front_columns(front)
    head = ["", *map(escape, columns), "equation"]
    rows = []
    shown = front.iloc[:_MOST_ROWS]
    for selected, law, values in zip(
        shown["selected"], shown["equation"], shown[columns].itertuples(index=False), strict=True
    ):
        cells = ["▸" if selected else "", *(escape(number(v)) for v in values), f"<code>{_short(law)}</code>"]
        rows.append([f"<b>{cell}</b>" if selected and cell else cell for cell in cells])
    rows = rows[: max(1, sum(total < _MOST_FRONT for total in accumulate(sum(map(len, cells)) for cells in rows)))]
    more = f"<p>… and {len(front) - len(rows)} more rows in .front</p>" if len(front) > len(rows) else ""
    return _table(head, rows) + more


def _constants(params: pd.DataFrame) -> str:
    if params.empty:
        return "<p>no free constants</p>"
    rows = []
    for name, row in params.iterrows():
        value, stderr = measured(row["value"], row["stderr"])
        interval = f"{number(row['lower'])} … {number(row['upper'])}"
        percent = share(row["value"], row["stderr"]) or "–"
        rows.append([*map(escape, (name, value, stderr, percent, interval)), escape(unit_of(row))])
    return _table(["constant", "value", "± error", "% error", "95 %", "unit"], rows)


def _copy(name: str, code: str, most: int, otherwise: str) -> tuple[str, str]:
    """Code to be copied: whole where it can be read, and a word of how to get it."""

    def shown(text: str) -> str:
        return folded(f"Copy as {name}", f'<pre style="white-space:pre-wrap;user-select:all">{escape(text)}</pre>')

    word = shown(f"{len(code):,} characters are too many to show here; {otherwise} gives them")
    return (shown(code) if len(code) <= most else word), word


def _within(room: int, parts: Iterable[tuple[str, str]]) -> list[str]:
    """Of each part and its short form the part, as long as there is room for so many bytes."""
    shown = []
    for part, short in parts:
        shown.append(part if len(part.encode()) <= room else short)
        room -= len(shown[-1].encode())
    return shown


def _pairs(items: Mapping[str, Any]) -> str:
    return _table(["", ""], ([f"<b>{escape(name)}</b>", _short(number(value))] for name, value in items.items()))


def image(picture: Picture, title: str = "") -> str:
    """A picture with its words, which a pointer over it shows, too."""
    data, words = (
        base64.b64encode(picture.png).decode(),
        html.escape(f"{title}: {picture.words}" if title else picture.words),
    )
    return f'<img alt="{words}" title="{words}" src="data:image/png;base64,{data}"/>'


def listed(texts: Sequence[str]) -> str:
    """Texts as a list; empty if there are none."""
    items = "".join(f"<li>{_short(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def page(
    latex: str,
    law: str,
    headline: str,
    front: pd.DataFrame,
    params: pd.DataFrame,
    correlation: pd.DataFrame,
    statistics: Mapping[str, Any],
    warnings: Sequence[str],
    provenance: Mapping[str, Any],
    images: Mapping[str, Picture],
    copies: Mapping[str, str] | None = None,
    document: str = "",
) -> str:
    """The whole page.

    Parameters
    ----------
    latex : the law, typeset between double dollars
    law, headline : plain text
    front : columns selected, equation, origin and those that `front_columns` names
    params : columns value, stderr, unit, lower, upper
    images : title -> picture, the front's first; empty if there is nothing to draw with
    copies : name of a form -> the law in it
    document : JSON of a result with this law alone
    """
    pairs = [(escape(f"{a}, {b}"), f"{value:+.3f}") for a, b, value in strongest(correlation, 0.1)]
    correlations = _table(["constants", "correlation"], pairs) if pairs else ""
    drawn = [image(picture, title) for title, picture in images.items()]
    if not drawn:
        drawn = [f"<p>plots need matplotlib: <code>{escape(INSTALL)}</code></p>"]
    sources, facts = split_sources(front, provenance)
    copying = [_copy(name, code, _MOST_CODE, ".best.to(...)") for name, code in (copies or {}).items()]
    copying += [_copy("JSON", document, _MOST_JSON, ".to_json()")] if document else []
    pictures = ", ".join([*images][1:])
    further = [(folded(pictures, "".join(drawn[1:])), folded(pictures, "<p>.plot draws them</p>"))] if drawn[1:] else []
    parts = [
        f"<div>$${html.escape(latex, quote=False)}$$</div>",
        f"<p>{escape(headline)}</p>",
        listed(warnings[:20]),
        folded(f"Front ({len(front)} laws)", drawn[0] + _front(front), is_open=True),
        folded(f"Constants ({len(params)})", _constants(params) + correlations, is_open=True),
        folded("Statistics", _pairs(statistics)),
    ]
    last = [
        folded("Law as text", f"<pre>{_short(law)}</pre>"),
        folded("Sources", _pairs(sources)) if sources else "",
        folded("Provenance", _pairs(facts)),
    ]
    room = _MOST_BYTES - len("".join([*parts, *last]).encode())
    optional = _within(room, [*further, *copying])
    parts += [*optional[: len(further)], last[0], *optional[len(further) :], *last[1:]]
    return f"<div>{''.join(part for part in parts if part)}</div>"
