"""symreg: the command line. Every command has --json; no prompts, files whole or not at all, "-" for standard input."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import click

from sr_accessor.errors import ModelIntegrityError, ModelNotFoundError, PluginError, SymRegError, SymRegWarning
from sr_accessor.frontends.cli_laws import COMMANDS as ABOUT_LAWS
from sr_accessor.frontends.cli_machine import COMMANDS as ABOUT_THE_MACHINE
from sr_accessor.frontends.exit_codes import BAD_INPUT, INTERRUPTED, MEANINGS, NO_MODEL, PLUGIN_FAULT
from sr_accessor.version import __version__

__all__ = ["main"]

#: Error -> exit code; any other of ours is bad input.
_CODES = ((PluginError, PLUGIN_FAULT), ((ModelNotFoundError, ModelIntegrityError), NO_MODEL))


class _Group(click.Group):
    """A group that tells our errors in one line, and ends with their exit code."""

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except (SymRegError, FileNotFoundError, IsADirectoryError, PermissionError) as error:
            click.echo(f"symreg: {error}", err=True)
            context.exit(next((code for kinds, code in _CODES if isinstance(error, kinds)), BAD_INPUT))
        except KeyboardInterrupt:
            click.echo("symreg: interrupted", err=True)
            context.exit(INTERRUPTED)


_CODES_IN_WORDS = "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())


@click.group(cls=_Group, help=f"Symbolic regression from the command line.\n\nExit codes: {_CODES_IN_WORDS}.")
@click.version_option(__version__, prog_name="symreg")
def main() -> None:
    """The door; its commands follow."""


for _command in (*ABOUT_LAWS, *ABOUT_THE_MACHINE):
    main.add_command(_command)


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
