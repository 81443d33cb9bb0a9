"""The examples run, and find the laws they are about."""

import runpy
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from sr_accessor.errors import SymRegWarning
from sr_accessor.plugins import manager

EXAMPLES = Path(__file__).parents[1] / "examples"
EXTENSIONS = EXAMPLES.parent / "extensions"


@pytest.fixture
def install_extension(tmp_path, monkeypatch):
    """install_extension(name): on the path and with its entry points, as pip would leave it, until the test ends."""
    before = set(sys.modules)

    def install(name):
        project = tomllib.loads((EXTENSIONS / name / "pyproject.toml").read_text())["project"]
        information = tmp_path / f"{name.replace('-', '_')}-{project['version']}.dist-info"
        information.mkdir()
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n"
        (information / "METADATA").write_text(head)
        points = "".join(f"{key} = {value}\n" for key, value in project["entry-points"]["sr_accessor"].items())
        (information / "entry_points.txt").write_text(f"[sr_accessor]\n{points}")
        monkeypatch.syspath_prepend(EXTENSIONS / name)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(manager, "_catalogue", None)

    yield install
    for module in set(sys.modules) - before:
        if module.startswith("sr_special_functions"):
            del sys.modules[module]


def run(name, timeout, **options):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](timeout, **options)


def test_keplers_third_law(capsys):
    result = run("kepler", 3.0)
    assert str(result.best) in capsys.readouterr().out
    # Uranus and Pluto were not known to Kepler: P = 365.25 d · a**(3/2), to the 0.5 % of his own table
    far = pd.DataFrame({"a": [19.19, 39.48]}, index=["Uranus", "Pluto"])
    with pytest.warns(SymRegWarning, match="EXTRAPOLATION"):
        predicted = result.predict(far)
    assert predicted.to_list() == pytest.approx([30_687, 90_560], rel=0.01)
    with pytest.warns(SymRegWarning, match="EXTRAPOLATION"):
        assert result.predict(far / 4).to_list() == pytest.approx((predicted / 8).to_list(), rel=0.01)


def test_hubbles_law(capsys):
    result = run("hubble", 3.0)
    assert str(result.best) in capsys.readouterr().out
    near, far = result.predict(pd.DataFrame({"D": [1.0, 2.0]}))
    assert far - near == pytest.approx(440, abs=60)  # km/s per Mpc; Hubble found 465 ± 50 and 513 ± 60


def test_a_drum_is_a_bessel_function(install_extension, capsys):
    install_extension("sr-special-functions")
    result = run("bessel_drum", 120.0)
    assert "j0(" in result.to_text()
    params = result.best.params
    assert len(params) == 2
    for value, stderr, truth in zip(params["value"], params["stderr"], (1.834, 8.589), strict=True):
        assert abs(value - truth) < 3 * stderr
    assert set(params["unit"]) == {"mm", "1/m"}
    said = capsys.readouterr().out
    assert "j0: searched by screens, moves, lifted; this law came from" in said
