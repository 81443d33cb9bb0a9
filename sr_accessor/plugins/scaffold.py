"""Scaffold: a new plugin's files, from the templates beside this file."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from sr_accessor.errors import InputError

__all__ = ["new_plugin"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*\Z")


def new_plugin(name: str, folder: Path) -> list[Path]:
    """Write a complete package: pyproject.toml with the entry point, README.md, the module, a test.

    Parameters
    ----------
    name : what the plugin is about, "lab": distribution "sr-lab", module "sr_lab", entry point "lab"
    folder : where the package's own folder is made

    Returns
    -------
    The files that were written.

    Raises
    ------
    InputError : not a name of lower-case letters, digits and hyphens; or the package's folder is there already.
    """
    if not _NAME.match(name) or keyword.iskeyword(name) or name in ("builtin", "notebook"):
        raise InputError(f"plugin name {name!r}: give one of lower-case letters, digits and hyphens, such as 'lab'")
    plain = name.replace("-", "_")
    words = {"name": plain, "distribution": f"sr-{name.replace('_', '-')}", "module": f"sr_{plain}"}
    top = folder / words["distribution"]
    if top.exists():
        raise InputError(f"{top} is there already; choose another name, or another folder with --to")
    places = {
        "pyproject.toml": top / "pyproject.toml",
        "README.md": top / "README.md",
        "module.py": top / f"{words['module']}.py",
        "test_module.py": top / "tests" / f"test_{words['module']}.py",
    }
    templates = files("sr_accessor.plugins") / "template"
    for source, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        text = Template((templates / f"{source}.tmpl").read_text("utf-8")).substitute(words)
        place.write_text(text, encoding="utf-8")
    return list(places.values())
