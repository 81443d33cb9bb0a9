"""symreg fit, refine, predict, report, export: from table files to law files and from these to everything else."""

from __future__ import annotations

import json
import signal
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from sr_accessor.errors import ColumnError, InputError, SymRegWarning, nearest
from sr_accessor.frontends import functions
from sr_accessor.frontends.exit_codes import INTERRUPTED, NOTHING_FOUND
from sr_accessor.frontends.table_files import labels_of, read_table, to_label, to_labels, write_table
from sr_accessor.tables import is_xarray
from sr_accessor.writing import write_whole

if TYPE_CHECKING:
    from sr_accessor.equation import Equation
    from sr_accessor.groups.result import GroupedResult
    from sr_accessor.result import FitResult

__all__ = ["COMMANDS"]

#: End of a report's name -> its format.
REPORTS = {".txt": "text", ".html": "html", ".htm": "html", ".tex": "tex"}


def _options(*options: Callable) -> Callable:
    """Several click options as one decorator, shown in this order."""
    return lambda command: reduce(lambda done, option: option(done), reversed(options), command)


_of_the_table = _options(
    click.argument("table"),
    click.option("--y", "target", required=True, help="Column of the measured quantity."),
    click.option("--sigma", help="Standard error of y: a column, or one number."),
    click.option("--relative-sigma", is_flag=True, help="Only the ratios of sigma count."),
    click.option("--sample-weight", help="Column of factors of the squared residuals."),
    click.option("--noise", default="gaussian", show_default=True, help='Noise model; "auto" chooses one.'),
    click.option("--nan-policy", type=click.Choice(["omit", "raise"]), default="omit", show_default=True),
    click.option("--seed", type=int, help="Of everything random. None draws one, which the result records."),
)
_of_groups = _options(
    click.option("--by", multiple=True, help="Columns that tell groups apart, with commas: constants of each group."),
    click.option("--over", multiple=True, help="Dimensions of a .nc file that tell groups apart, in the same way."),
    click.option("--errors", type=click.Choice(["warn", "raise", "ignore"]), default="warn", show_default=True,
                 help="Of groups without a law."),
)  # fmt: skip
_of_the_output = _options(
    click.option("--out", type=click.Path(dir_okay=False), help="Write the result here, as JSON. [default: nowhere]"),
    click.option("--data", is_flag=True, help="With the fitted rows in it; a file of groups always has them."),
    click.option("--report", "report_to", type=click.Path(dir_okay=False), help="Also a report: .txt, .html or .tex."),
    click.option("--if-changed", is_flag=True, help="Leave files alone that hold the same already, their times too."),
    click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON."),
)


@contextmanager
def _telling() -> Iterable[list[SymRegWarning]]:
    """Within it our warnings become lines on standard error; each other warning stays what it is."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SymRegWarning)
        remarks: list[SymRegWarning] = []
        try:
            yield remarks
        finally:
            remarks += [one.message for one in caught if isinstance(one.message, SymRegWarning)]
    for remark in remarks:
        click.echo(f"symreg: {remark}", err=True)
    for one in caught:
        if not isinstance(one.message, SymRegWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _errors_of(given: str | None, known: list) -> Any:
    """A column, or a number."""
    if given is None or given in map(str, known):
        return given if given is None else to_label(given, known)
    try:
        return float(given)
    except ValueError:
        return to_label(given, known)  # which says what there is


def _pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """{name: value} of texts "name=value"."""
    pairs = dict(text.partition("=")[::2] for text in given)
    if bad := [name for name, value in pairs.items() if not name or not value]:
        raise InputError(f"{option} {bad[0]!r}: write name=value")
    return pairs


def _number(text: str, option: str, more: str = "") -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is no number{more}") from None


@click.command()
@_of_the_table
@click.option("--x", "features", multiple=True, help="Columns of the inputs, with commas. [default: all numbers]")
@click.option("--operators", help='Vocabulary, or names with commas: "default", "add,mul,sin", "-tan,-abs".')
@click.option("--network", default="default", show_default=True, help='Network that drafts laws; "none" for none.')
@click.option("--select", default="mdl", show_default=True, help="Rule that chooses one law of the front.")
@click.option("--max-complexity", type=int, help="Most nodes of a law.")
@click.option("--require", multiple=True, help="Column or operator that must occur; several times.")
@click.option("--guess", "guesses", multiple=True, help="Law to start from; several times.")
@click.option("--constant", "constants", multiple=True, help="Known number, g=9.81; several times.")
@click.option("--template", help='Known outer form, "A*exp(-k*t) + f(T)".')
@click.option("--units", help='"report", "strict", "none", or a JSON file {column: unit}.', default="report")
@click.option(
    "--validation",
    default="auto",
    show_default=True,
    help='Share of rows that judge, a file of such rows, "auto" or "none".',
)
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds; most searches end before.")
@click.option("--max-rounds", type=int, help="Rounds of the search: bytes that do not depend on the clock.")
@click.option("--device", default="auto", show_default=True)
@click.option("--checkpoint", type=click.Path(dir_okay=False), help="Keep the result so far here, with its data.")
@click.option("--quiet", is_flag=True, help="No progress, even on a terminal.")
@click.option("--print-inputs", is_flag=True, help="Print the files that this command reads, and do nothing.")
@_of_groups
@click.option("--apart", is_flag=True, help="A law of its own form for each group.")
@_of_the_output
@click.pass_context
def fit(context: click.Context, table: str, target: str, **given: Any) -> None:
    """Find the law behind TABLE (.csv, .tsv, .parquet, .nc, or - for CSV on standard input).

    Prints a report, unless --json or --out says otherwise. Exit code 1 where nothing is better than the mean.
    """
    if given["print_inputs"]:
        units = [given["units"]] if given["units"] not in ("report", "strict", "none") else []
        judges = [given["validation"]] if Path(given["validation"]).is_file() else []
        click.echo("\n".join([table, *units, *judges]))
        return
    _check_outputs(given)
    rows = read_table(table)
    known, about = labels_of(rows), _about(rows, given)
    constraints = None
    if given["max_complexity"] is not None or given["require"]:
        from sr_accessor.constraints import Constraints

        named = [to_label(name, known) if name in map(str, known) else name for name in given["require"]]
        constraints = Constraints(max_complexity=given["max_complexity"], require=named)
    operators = given["operators"] or "default"
    constants = {name: _number(text, "--constant") for name, text in _pairs(given["constants"], "--constant").items()}
    with _telling() as remarks, _terminated_like_interrupted():
        result = functions.fit(
            rows, to_label(target, known), to_labels(given["features"], known) or None,
            operators=operators.split(",") if "," in operators or operators[0] in "+-" else operators,
            network=None if given["network"] == "none" else given["network"],
            constants=constants or None,
            guesses=given["guesses"], constraints=constraints, units=_units(given, known),
            validation=_validation(given["validation"]),
            progress=False if given["quiet"] else "auto",
            shared=not given["apart"],
            **{name: given[name] for name in ("select", "template", "timeout", "max_rounds", "device", "checkpoint")},
            **about,
        )  # fmt: skip
    _hand_over(context, result, remarks, given)


@click.command()
@_of_the_table
@click.option("--formula", required=True, help='Right-hand side, "a*exp(-k*t) + b": names of columns are inputs.')
@click.option("--start", multiple=True, help="First value of a parameter, a=1.5; several times.")
@click.option("--bound", "bounds", multiple=True, help="Bounds of a parameter, k=0:10 or k=0:; several times.")
@click.option("--fix", multiple=True, help="Value that a parameter keeps, b=2; several times.")
@click.option("--restarts", type=int, default=30, show_default=True)
@_of_groups
@click.option("--shared", is_flag=True, help="Parameters that the groups do not tell apart get one value for all.")
@_of_the_output
@click.pass_context
def refine(context: click.Context, table: str, target: str, **given: Any) -> None:
    """Find the parameters of a known law of the columns of TABLE."""
    _check_outputs(given)
    rows = read_table(table)
    bounds = {}
    for name, text in _pairs(given["bounds"], "--bound").items():
        low, colon, high = text.partition(":")
        if not colon:
            raise InputError(f"--bound {name}={text}: write {name}=low:high, of which one may be left out")
        bounds[name] = tuple(_number(side, "--bound") if side else None for side in (low, high))
    values = {
        option: {name: _number(text, f"--{option}") for name, text in _pairs(given[option], f"--{option}").items()}
        for option in ("start", "fix")
    }
    with _telling() as remarks:
        result = functions.refine(
            rows, to_label(target, labels_of(rows)), given["formula"],
            bounds=bounds, restarts=given["restarts"], shared=given["shared"], **values, **_about(rows, given),
        )  # fmt: skip
    _hand_over(context, result, remarks, given)


def _validation(text: str) -> Any:
    if text in ("auto", "none"):
        return "auto" if text == "auto" else None
    return read_table(text) if Path(text).is_file() else _number(text, "--validation", ", and no file")


def _about(rows: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What fit and refine share."""
    known = labels_of(rows)
    weight = given["sample_weight"]
    return {
        "sigma": _errors_of(given["sigma"], known),
        "absolute_sigma": False if given["relative_sigma"] else None,
        "sample_weight": None if weight is None else to_label(weight, known),
        "noise": given["noise"],
        "nan_policy": given["nan_policy"],
        "random_state": given["seed"],
        "by": (given["by"] if is_xarray(rows) else to_labels(given["by"], known)) or None,
        "over": [dim for text in given["over"] for dim in text.split(",")] or None,
        "errors": given["errors"],
    }


def _units(given: Mapping[str, Any], known: list) -> Any:
    said = given["units"]
    if said in ("report", "strict", "none"):
        return None if said == "none" else said
    if not Path(said).is_file():
        raise InputError(f"--units {said!r} is neither report, strict nor none, and there is no such file")
    try:
        read = json.loads(Path(said).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"--units {said!r} is no JSON: {error}") from error
    if not isinstance(read, dict) or not all(isinstance(unit, str) for unit in read.values()):
        raise InputError(f'--units {said!r} holds no {{"column": "unit"}}')
    return {to_label(name, known): unit for name, unit in read.items()}


@contextmanager
def _terminated_like_interrupted() -> Iterable[None]:
    """Within it SIGTERM, by which workflows and clusters end a job, does what Ctrl-C does: the best so far is kept."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_outputs(given: Mapping[str, Any]) -> None:
    """Raise InputError, before anything is searched, where what is to be written could not be."""
    named = {option: given.get(name) for name, option in (("out", "--out"), ("report_to", "--report"),
                                                          ("checkpoint", "--checkpoint"))}  # fmt: skip
    for option, path in named.items():
        if path and not Path(path).resolve().parent.is_dir():
            raise InputError(f"{option} {path!r}: there is no folder {str(Path(path).parent)!r}; make it first")
    if given["report_to"] and Path(given["report_to"]).suffix.lower() not in REPORTS:
        raise InputError(f"--report {given['report_to']!r}: the name must end with {', '.join(REPORTS)}")


def _hand_over(
    context: click.Context,
    result: FitResult | GroupedResult,
    remarks: list[SymRegWarning],
    given: Mapping[str, Any],
) -> None:
    """Write what is to be written, print what is to be printed, end with the code."""
    single = _is_single(result)
    # What is written does not say how long it took: equal fits give equal bytes.
    timeless = functions.load(result.to_json(time=False, **({"data": True} if single else {})))
    if given["out"]:
        rows = {"data": given["data"]} if single else {}
        timeless.save(given["out"], time=False, if_changed=given["if_changed"], **rows)
    if given["report_to"]:
        form = REPORTS[Path(given["report_to"]).suffix.lower()]
        write_whole(given["report_to"], _report(timeless, form).encode(), if_changed=given["if_changed"])
    if given["as_json"]:
        _print_json(_summary(result, remarks) | {"out": given["out"], "report": given["report_to"]})
    else:
        short = repr(result.best) if single else repr(result)
        click.echo(short if given["out"] or given["report_to"] else result.report())
    if result.status == "interrupted" if single else result.interrupted:
        context.exit(INTERRUPTED)
    if not (result.best.names if single else result.inputs):
        click.echo("symreg: nothing better than the mean was found", err=True)
        context.exit(NOTHING_FOUND)


def _print_json(value: Any) -> None:
    from sr_accessor.files.values import plain

    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def _is_single(result: FitResult | GroupedResult) -> bool:
    """Whether a result is about one law, not about groups."""
    return hasattr(result, "best")


def _summary(result: FitResult | GroupedResult, remarks: Iterable[SymRegWarning] = ()) -> dict[str, Any]:
    told = {
        "warnings": [str(remark) for remark in remarks or result.warnings],
        "seconds": result.provenance["seconds"],
    }
    if not _is_single(result):
        params = result.params.reset_index().rename(columns={"constant": "name"})
        return {
            "status": result.status.value_counts().to_dict(),
            "target": result.target,
            "equation": result.equation,
            "latex": result.to_latex(),
            "features": result.inputs,
            "by": result.by,
            "groups": len(result),
            "common": result.common,
            "params": params.to_dict("records"),
            **told,
        }
    best, row = result.best, result.front.set_index("selected").loc[True]
    return {
        "status": result.status,
        "target": result.target,
        "equation": repr(best),
        "text": best.to_text(),
        "latex": best.to_latex(),
        "features": best.names,
        "rule": result.rule,
        **{name: float(row[name]) for name in ("complexity", "loss", "rmse", "chi2_red", "r2", "r2_val", "mdl")},
        "params": [{"name": name} | values for name, values in best.params.to_dict("index").items()],
        "laws": len(result),
        **told,
    }


@click.command()
@click.argument("law", type=click.Path(dir_okay=False))
@click.argument("table")
@click.option("--out", default="-", help="Where to write: .csv, .tsv, .parquet or .nc. [default: CSV on the output]")
@click.option("--band", type=click.Choice(["confidence", "prediction"]), help="Also limits, of the law or of new y.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Share that the band should hold.")
@click.option("--keep", is_flag=True, help="With the columns of TABLE; F beside a measured F is F_hat.")
@click.option("--select", help="Another rule's choice of law.")
@click.option("--if-changed", is_flag=True, help="Leave a file alone that holds the same already.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON (needs --out).")
def predict(law: str, table: str, out: str, band: str | None, level: float, keep: bool, select: str | None,
            if_changed: bool, as_json: bool) -> None:  # fmt: skip
    """What the law in the file LAW says for the rows of TABLE."""
    if as_json and out == "-":
        raise InputError("--json tells about the file that is written; give --out")
    rows = read_table(table)
    with _telling() as remarks:
        result = functions.load(law)  # may tell of plugins that fail
        if _is_single(result) or band or select:
            found = _single(law, result, select).predict(rows, band, level=level)
        else:  # a law for each group
            found = result.predict(rows)
    if is_xarray(rows):
        found = found.to_dataset() if hasattr(found, "dims") and not hasattr(found, "data_vars") else found
    else:
        found = found.to_frame() if found.ndim == 1 else found
    lost = {str(name): int(found[name].isnull().sum()) for name in (found if band is None else ["mean"])}
    if keep and is_xarray(rows):
        found = rows.merge(found.rename(_beside(found, rows)))
    elif keep:
        found = pd.concat([rows, found.rename(columns=_beside(found, rows))], axis=1)
    write_table(found, out, if_changed=if_changed)
    if as_json:
        _print_json({"out": out, "rows": len(rows) if not is_xarray(rows) else dict(rows.sizes), "missing": lost,
                     "warnings": [str(remark) for remark in remarks]})  # fmt: skip


def _beside(found: Any, rows: Any) -> dict[Any, str]:
    """{label of a prediction that the table has already: one that it has not}."""
    renamed = {}
    for label in found:
        free = label
        while free in rows:
            free = f"{free}_hat"
        renamed |= {} if free == label else {label: free}
    return renamed


def _loaded(path: str) -> FitResult | GroupedResult:
    with _telling():  # plugins that fail
        return functions.load(path)


def _single(path: str, result: FitResult | GroupedResult, select: str | None) -> FitResult:
    """A result about one law, and of its front the law that a rule selects."""
    if not _is_single(result):
        raise InputError(
            f"{path} holds a law for each of {len(result)} groups, and this is about one law with its front; leave "
            "out --band, --select and --complexity"
        )
    return result if select is None else result.select(select)


def _law_of(path: str, result: GroupedResult, group: str | None) -> Equation:
    """The law of one of the groups, whose labels are written with commas between them."""
    known = {
        ",".join(map(str, key)) if isinstance(key, tuple) else str(key): key for key in result.keys
    }  # fmt: skip
    if group is None:
        raise InputError(
            f"{path} holds a law for each of {len(known)} groups; name one with --group: {', '.join([*known][:10])}"
        )
    if group not in known:
        raise ColumnError(f"no group {group!r}; {nearest(group, known)}")
    return result[known[group]]


def _report(result: FitResult | GroupedResult, form: str) -> str:
    if form == "text":
        return result.report() + "\n"
    if form == "tex":
        return result.to_tex()
    title = repr(result.best) if _is_single(result) else f"{result.target} of {len(result)} groups"
    title = title.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body>{result._repr_html_()}</body></html>\n"
    )


@click.command()
@click.argument("law", type=click.Path(dir_okay=False))
@click.option("--format", "form", type=click.Choice(["text", "html", "tex"]), default="text", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False), help="Where to write. [default: the output]")
@click.option("--select", help="Another rule's choice of law.")
@click.option("--if-changed", is_flag=True, help="Leave a file alone that holds the same already.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON instead.")
def report(law: str, form: str, out: str | None, select: str | None, if_changed: bool, as_json: bool) -> None:
    """A report on the result in the file LAW: for the logbook, the browser or the paper."""
    result = _loaded(law)
    result = result if select is None else _single(law, result, select)
    if out:
        write_whole(out, _report(result, form).encode(), if_changed=if_changed)
    if as_json:
        _print_json(_summary(result))
    elif not out:
        click.echo(_report(result, form), nl=False)


@click.command()
@click.argument("law", type=click.Path(dir_okay=False))
@click.option("--to", "form", help="Exporter: latex, python, numpy, excel, c, julia, sql ...; none lists them.")
@click.option("--complexity", type=int, help="The law of this complexity instead of the chosen one.")
@click.option("--select", help="Another rule's choice of law.")
@click.option("--group", help="Of a law for each group: which one; several labels with commas.")
@click.option("--out", type=click.Path(dir_okay=False), help="Where to write. [default: the output]")
@click.option("--if-changed", is_flag=True, help="Leave a file alone that holds the same already.")
@click.option("--json", "as_json", is_flag=True, help='As JSON: {"form": ..., "text": ...}.')
def export(law: str, form: str | None, complexity: int | None, select: str | None, group: str | None, out: str | None,
           if_changed: bool, as_json: bool) -> None:  # fmt: skip
    """The law in the file LAW in another language."""
    from sr_accessor.plugins.manager import exporter, exporters

    if form is None:
        rows = exporters().to_dict("records")
        lines = [f"{row['name']}{'' if row['suffix'] else ' (a Python object, not for files)'}" for row in rows]
        return _print_json(rows) if as_json else click.echo("\n".join(lines))
    result = _loaded(law)
    if _is_single(result) or select is not None or complexity is not None:
        if group is not None:
            raise InputError(f"--group {group!r}: {law} holds one law for all rows; leave it out")
        result = _single(law, result, select)
        chosen = result.best if complexity is None else result.at(complexity=complexity)
    else:
        chosen = _law_of(law, result, group)
    if not exporter(form).suffix:
        raise InputError(
            f"{form!r} gives a Python object, which no file holds; use sr_accessor.load(...).best.to({form!r})"
        )
    written = chosen.to(form)
    content = written if isinstance(written, bytes) else written.rstrip("\n") + "\n"
    if isinstance(content, bytes) and not out:
        raise InputError(f"{form!r} is no text; give --out, the file's name")
    if out:
        write_whole(out, content if isinstance(content, bytes) else content.encode(), if_changed=if_changed)
    if as_json:
        text = None if isinstance(content, bytes) else content
        _print_json({"form": form, "equation": repr(chosen), "text": text, "out": out})
    elif not out:
        click.echo(content, nl=False)
    return None


COMMANDS = (fit, refine, predict, report, export)
