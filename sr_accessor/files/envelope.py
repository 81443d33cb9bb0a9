"""The envelope of a file: JSON text with a schema number and a checksum, read within limits; whole or not at all.

    {"format": "sr_accessor result", "schema": 1, "sha256": ..., "time": {...}, ...}

A file is data. Nothing in it is evaluated, imported or unpickled, and what it may hold is limited before it is
parsed, so that a hostile one is refused at once. Older schemas are brought up to date by `MIGRATIONS`, one step after
the other. The checksum is of everything but "time": the same fit gives the same bytes there, however long it took.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sr_accessor.errors import LoadError

__all__ = [
    "FORMAT",
    "MIGRATIONS",
    "MOST_VALUES",
    "SCHEMA",
    "from_text",
    "read_text",
    "to_text",
    "values_in",
]

FORMAT, SCHEMA = "sr_accessor result", 1
#: schema -> a function that makes the next schema's document of one. Every released schema has a golden file in
#: tests/files/golden, and a migration from it to the next.
MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
#: A file may have this many bytes (rows of a million observations take 100 MB), and values and nestings in them; the
#: rows themselves are one value. 20 laws of 10 constants have 8,000 values.
MOST_BYTES, MOST_VALUES, MOST_DEPTH = 2 * 10**9, 400_000, 40
#: Digits of a whole number.
MOST_DIGITS = 30


def to_text(document: Mapping[str, Any], time: Mapping[str, Any]) -> str:
    """JSON of a document: keys as they come, one line for each innermost list, floats as short as exact.

    Parameters
    ----------
    document : plain values: dictionaries, lists, texts, finite numbers, True, False, None
    time : what differs between two equal runs; not part of the checksum
    """
    head = {"format": FORMAT, "schema": SCHEMA, "sha256": _checksum(document), "time": dict(time)}
    return _indented(head | dict(document), 0) + "\n"


def _indented(value: Any, depth: int) -> str:
    """JSON on several lines, where lists of plain values stay on one: to be read, and compared line by line."""
    inside = "\n" + "  " * (depth + 1)
    if isinstance(value, Mapping) and value:
        entries = (f"{_line(str(key))}: {_indented(one, depth + 1)}" for key, one in value.items())
        return f"{{{inside}{f',{inside}'.join(entries)}\n{'  ' * depth}}}"
    if isinstance(value, list) and any(isinstance(one, Mapping | list) and one for one in value):
        return f"[{inside}{f',{inside}'.join(_indented(one, depth + 1) for one in value)}\n{'  ' * depth}]"
    return _line(value)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _checksum(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def from_text(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document, of the present schema, and its times.

    Raises
    ------
    LoadError : not JSON, not ours, of a schema that this version does not know, changed since, or beyond the limits.
    """
    if len(text) > MOST_BYTES:
        raise LoadError(f"a file of {len(text)} characters is not read; {MOST_BYTES} are the most")
    if (values := values_in(text)) > MOST_VALUES:
        raise LoadError(
            f"the file holds about {values} values, and {MOST_VALUES} are the most: it is no result of ours"
        )
    try:
        document = json.loads(text, parse_int=_whole, parse_constant=_no_number, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise LoadError(f"not JSON: {error}; give a file that result.save(path) wrote") from error
    except RecursionError:
        raise LoadError(f"the file is nested more than {MOST_DEPTH} deep: it is no result of ours") from None
    _check_depth(document)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise LoadError(f"not a result: its format is {str(found)[:80]!r}, expected {FORMAT!r}")
    schema, written, time = document.get("schema"), document.get("sha256"), document.get("time")
    if not isinstance(schema, int) or isinstance(schema, bool) or not 1 <= schema <= SCHEMA:
        raise LoadError(
            f"the file has schema {str(schema)[:80]}, and this version reads 1 to {SCHEMA}; update sr-accessor"
        )
    if not isinstance(time, dict):
        raise LoadError(f"the file's 'time' is {type(time).__name__}, expected an object")
    body = {key: value for key, value in document.items() if key not in ("format", "schema", "sha256", "time")}
    if (found := _checksum(body)) != written:
        text = f"the file was changed after it was written: its SHA-256 is {found}, and it says {str(written)[:80]!r}"
        raise LoadError(f"{text}; take the original")
    for step in range(schema, SCHEMA):
        body = MIGRATIONS[step](body)
    return body, time


def values_in(text: str) -> int:
    """About how many values a text holds."""
    return sum(text.count(sign) for sign in ",[{")


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise LoadError(f"the file holds a whole number of {len(digits)} digits; {MOST_DIGITS} are the most")
    return int(digits)


def _no_number(token: str) -> None:
    raise LoadError(f"the file holds {token}, which is not JSON; give a file that result.save(path) wrote")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise LoadError("the file holds a key twice in one object: it is no result of ours")
    return found


def _check_depth(document: Any) -> None:
    level, depth = [document], 0
    while level:
        if depth > MOST_DEPTH:
            raise LoadError(f"the file is nested more than {MOST_DEPTH} deep: it is no result of ours")
        inside = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level, depth = [one for values in inside for one in values if isinstance(one, dict | list)], depth + 1


def read_text(path: str | Path) -> str:
    """The text of a file.

    Raises
    ------
    FileNotFoundError : there is none.
    LoadError : too large, or no text.
    """
    path = Path(path)
    if path.stat().st_size > MOST_BYTES:
        raise LoadError(f"{path} has {path.stat().st_size} bytes, and {MOST_BYTES} are the most")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LoadError(
            f"{path} is no text ({error.reason} at byte {error.start}); give a file of result.save"
        ) from error
