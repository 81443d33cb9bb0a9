"""symreg plugins: what it lists, what it writes, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sr_accessor.errors import InputError
from sr_accessor.frontends.cli import main
from sr_accessor.frontends.exit_codes import BAD_INPUT, PLUGIN_FAULT
from sr_accessor.plugins import manager
from sr_accessor.plugins.scaffold import new_plugin

ROOT = Path(__file__).parents[2]


@pytest.fixture
def symreg(monkeypatch):
    monkeypatch.setattr(manager, "_catalogue", None)
    monkeypatch.setenv(manager.LOAD_VARIABLE, "")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_nothing_installed(symreg):
    done = symreg("plugins")
    assert done.exit_code == 0 and "symreg plugins new NAME" in done.output


def test_all_shows_the_built_in_one(symreg):
    done = symreg("plugins", "--all")
    assert done.output.startswith("builtin: loaded\n    hooks: register_exporters, ") and "sinh" in done.output
    assert symreg("plugins", "--all", "--hook", "fit_started").output.startswith("no plugins")


def test_json_is_the_table(symreg):
    done = symreg("plugins", "--all", "--json")
    (row,) = json.loads(done.output)
    assert row["name"] == "builtin" and row["status"] == "loaded" and "gaussian" in row["noise_models"]


def test_bad_input(symreg, tmp_path):
    done = symreg("plugins", "--hook", "register_operater")
    assert done.exit_code == BAD_INPUT and "no hook 'register_operater'; hooks: configure" in done.output
    done = symreg("plugins", "new", "My Lab", "--to", str(tmp_path))
    assert done.exit_code == BAD_INPUT and "symreg: plugin name 'My Lab': give one of lower-case" in done.output
    assert symreg("plugins", "new", "lab", "--to", str(tmp_path)).exit_code == 0
    done = symreg("plugins", "new", "lab", "--to", str(tmp_path))
    assert done.exit_code == BAD_INPUT and "is there already; choose another name" in done.output


@pytest.mark.parametrize("name", ["", "Lab", "class", "lab--x", "-lab", "9lab", "../lab", "builtin", "láb"])
def test_names_that_cannot_be(name, tmp_path):
    with pytest.raises(InputError, match="give one of lower-case letters"):
        new_plugin(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_written_is_a_plugin_that_passes_its_own_tests(tmp_path):
    files = new_plugin("beam-line", tmp_path)
    top = tmp_path / "sr-beam-line"
    assert {str(f.relative_to(top)) for f in files} == {
        "pyproject.toml", "README.md", "sr_beam_line.py", "tests/test_sr_beam_line.py"
    }  # fmt: skip
    assert not any("$" in f.read_text() for f in files)
    # What pip would leave: the module on the path, and the entry point that pyproject.toml names.
    information = top / "sr_beam_line-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: sr-beam-line\nVersion: 0.1.0\n")
    project = (top / "pyproject.toml").read_text()
    (point,) = [line for line in project.splitlines() if line.startswith("beam_line = ")]
    (information / "entry_points.txt").write_text("[sr_accessor]\n" + point.replace('"', "") + "\n")
    paths = os.pathsep.join([str(top), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": paths, "SR_ACCESSOR_LOAD_PLUGINS": "beam_line"}
    run = [sys.executable, "-W", "error::UserWarning", "-c"]
    code = (
        "import sys, pytest; from sr_accessor.plugins import manager, table;"
        "assert table().set_index('name').loc['beam_line', 'status'] == 'loaded';"
        "v = manager.vocabulary('beam_line'); assert 'beam_line_bump' in v and 'tan' not in v;"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'tests']))"
    )
    done = subprocess.run([*run, code], cwd=top, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_ends_with_its_own_code(tmp_path):
    (tmp_path / "broken_plugin.py").write_text("1/0\n")
    information = tmp_path / "sr_broken-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: sr-broken\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[sr_accessor]\nbroken = broken_plugin\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-m", "sr_accessor", "plugins", "--check"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == PLUGIN_FAULT
    assert (
        "broken (sr-broken 1.0): failed\n    error: plugin 'broken' (sr-broken 1.0) fails at import: Zero"
        in done.stdout
    )
