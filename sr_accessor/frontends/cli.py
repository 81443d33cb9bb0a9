"""symreg: the command line. `symreg plugins` lists plugins, `symreg plugins new NAME` writes one to start from."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import click

from sr_accessor.errors import SymRegError, SymRegWarning
from sr_accessor.version import __version__

__all__ = ["main"]

#: Exit codes: bad input, and a plugin at fault where one was asked for.
BAD_INPUT, PLUGIN_FAULT = 2, 3


class _Group(click.Group):
    """A group that tells our errors in one line, and ends with the exit code of bad input."""

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except SymRegError as error:
            click.echo(f"symreg: {error}", err=True)
            context.exit(BAD_INPUT)


@click.group(cls=_Group)
@click.version_option(__version__, prog_name="symreg")
def main() -> None:
    """Symbolic regression from the command line."""


@main.group(cls=_Group, invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Also the built-in one.")
@click.option("--hook", help="Only plugins that implement this hook.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option("--check", is_flag=True, help=f"Exit code {PLUGIN_FAULT} where a plugin failed.")
@click.pass_context
def plugins(context: click.Context, everything: bool, hook: str | None, as_json: bool, check: bool) -> None:
    """List plugins with what they add and what is wrong with them."""
    if context.invoked_subcommand is not None:
        return
    from sr_accessor.plugins import table
    from sr_accessor.plugins.hookspecs import HOOKS

    if hook is not None and hook not in HOOKS:
        raise click.BadParameter(f"no hook {hook!r}; hooks: {', '.join(HOOKS)}", param_hint="--hook")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SymRegWarning)  # the table tells the same
        rows = table()
    if not everything:
        rows = rows[rows["name"] != "builtin"]
    if hook is not None:
        rows = rows[[hook in hooks.split(", ") for hooks in rows["hooks"]]]
    if as_json:
        click.echo(json.dumps(rows.to_dict("records"), indent=2, ensure_ascii=False))
    elif rows.empty:
        click.echo("no plugins; `symreg plugins new NAME` writes one")
    for row in [] if as_json else rows.to_dict("records"):
        origin = f" ({row['distribution']} {row['version']})" if row["distribution"] else ""
        click.echo(f"{row['name']}{origin}: {row['status']}")
        for column, value in row.items():
            if value and column not in ("name", "distribution", "version", "status"):
                click.echo(f"    {column.replace('_', ' ')}: {value}")
    if check and rows["status"].isin(["failed", "conflict"]).any():
        context.exit(PLUGIN_FAULT)


@plugins.command()
@click.argument("name")
@click.option("--to", "folder", default=".", type=click.Path(path_type=Path, file_okay=False), help="Where to write.")
def new(name: str, folder: Path) -> None:
    """Write a new plugin called NAME: a package with a hook, an operator and a test."""
    from sr_accessor.plugins.scaffold import new_plugin

    for path in new_plugin(name, folder):
        click.echo(path)
    click.echo(f"next: cd {path.parents[1]} && pip install -e '.[test]' && python -m pytest")
