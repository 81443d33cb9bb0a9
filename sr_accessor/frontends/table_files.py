"""Tables in files: CSV, Parquet and netCDF read and written by the end of their name; written whole or not at all."""

from __future__ import annotations

import io
import sys
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sr_accessor.errors import ColumnError, InputError, MissingDependencyError, nearest
from sr_accessor.tables import is_xarray, variables_of
from sr_accessor.writing import write_whole

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FORMATS", "labels_of", "read_table", "to_label", "write_table"]

#: End of a file's name -> its format. A name that ends with .gz and the like is read by what stands before.
FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet",
    ".nc": "netcdf", ".nc4": "netcdf", ".netcdf": "netcdf",
}  # fmt: skip
_PACKED = (".gz", ".bz2", ".zip", ".xz", ".zst")
_SEPARATORS = {"csv": ",", "tsv": "\t"}
#: That the shortest text of a double is read back as that double: from pandas 3.1 on always, and before if asked for.
_EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}


def _format_of(path: str) -> str:
    if path == "-":
        return "csv"
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    suffixes = suffixes[:-1] if suffixes and suffixes[-1] in _PACKED else suffixes
    found = FORMATS.get(suffixes[-1] if suffixes else "")
    if found is None:
        raise InputError(f"{path!r}: the end of the name tells no format; {nearest(path, FORMATS)}")
    return found


def read_table(path: str) -> pd.DataFrame | xr.Dataset:
    """A table; "-" is CSV from standard input. A first column without a name, as pandas and R write it, is the index.

    Raises
    ------
    InputError : a name without a known end, or a file that is not what its name says.
    MissingDependencyError : a package that reads this format is not installed.
    FileNotFoundError : no such file.
    """
    kind = _format_of(path)
    if path != "-" and not Path(path).is_file():
        raise FileNotFoundError(f"no file {path!r}")
    try:
        if kind == "parquet":
            return pd.read_parquet(path)
        if kind == "netcdf":
            import xarray as xr

            return xr.load_dataset(path)
        source = io.StringIO(sys.stdin.read()) if path == "-" else path
        head = pd.read_csv(source, sep=_SEPARATORS[kind], header=None, nrows=1, dtype=str, keep_default_na=False)
        labels = head.iloc[0]
        if path == "-":
            source.seek(0)
        named = labels[0] != ""  # else the first column is the names of the rows, as pandas and R write them
        frame = pd.read_csv(source, sep=_SEPARATORS[kind], index_col=None if named else 0, **_EXACT)
    except UnicodeDecodeError as error:
        raise InputError(f"{path!r} cannot be read as {kind}: it is no UTF-8 ({error}); save it as UTF-8") from error
    except pd.errors.ParserError as error:
        told = f"{path!r} cannot be read as {kind}: {str(error).splitlines()[0]}"
        raise InputError(f"{told}; the first line names the columns, and the others have a value for each") from error
    except ImportError as error:
        raise MissingDependencyError(f"{path!r}: {error}; or write the table as CSV") from error
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors, Arrow's too
        raise InputError(f"{path!r} cannot be read as {kind}: {str(error).splitlines()[0]}") from error
    if twice := sorted(set(labels[labels.duplicated() & (labels != "")])):  # pandas would call the second one "x.1"
        raise InputError(f"{path!r}: duplicate column labels: {', '.join(map(repr, twice))}; rename them")
    first = str(frame.iloc[0, 0]) if frame.size else ""
    signs = ";\t| " if " " in first.strip() else ";\t|"
    if len(frame.columns) == 1 and (others := [sign for sign in signs if sign in str(frame.columns[0]).strip()]):
        raise InputError(
            f"{path!r} has one column, {frame.columns[0]!r}: its values seem to be separated by {others[0]!r}; "
            "write it with commas and decimal points, or as .tsv with tabs"
        )
    if named and not isinstance(frame.index, pd.RangeIndex):  # pandas would make an index of what is too much
        raise InputError(
            f"{path!r}: the first line has {len(labels)} names and the others more values; name each column"
        )
    return frame


def write_table(table: pd.DataFrame | xr.Dataset, path: str, *, if_changed: bool = False) -> None:
    """Write a table (without its index) in the format that the end of the name tells; "-" is CSV to standard output."""
    kind = _format_of(path)
    if kind == "netcdf":
        dataset = table if is_xarray(table) else table.to_xarray()
        write_whole(path, bytes(dataset.to_netcdf()), if_changed=if_changed)
        return
    frame = table.to_dataframe().reset_index() if is_xarray(table) else table
    if kind == "parquet":
        buffer = io.BytesIO()
        try:
            frame.to_parquet(buffer, index=False)
        except ImportError as error:
            raise MissingDependencyError(f"{path!r}: {error}; or write CSV") from error
        write_whole(path, buffer.getvalue(), if_changed=if_changed)
        return
    text = frame.to_csv(index=False, sep=_SEPARATORS[kind], lineterminator="\n")
    if path == "-":
        sys.stdout.write(text)
    else:
        write_whole(path, text.encode(), if_changed=if_changed)


def labels_of(table: pd.DataFrame | xr.Dataset) -> list[Hashable]:
    """Labels of columns, or of variables and coordinates."""
    return list(variables_of(table)) if is_xarray(table) else list(table.columns)


def to_label(text: str, known: Sequence[Hashable]) -> Hashable:
    """The label that is written like this: 3 is written "3".

    Raises
    ------
    ColumnError : there is none, or several are written alike.
    """
    found = [label for label in known if str(label) == text]
    if len(found) != 1:
        why = f"{len(found)} columns are written {text!r}" if found else f"no column {text!r}; {nearest(text, known)}"
        raise ColumnError(why)
    return found[0]


def to_labels(texts: Sequence[str], known: Sequence[Any]) -> list[Hashable]:
    """The labels of several texts, each one label or several with commas between them."""
    written = [str(label) for label in known]
    parts = [part for text in texts for part in ([text] if text in written else text.split(","))]
    return [to_label(part.strip() if part not in written else part, known) for part in parts]
