"""Installed plugins as pip would leave them: a module and a .dist-info folder on sys.path."""

import importlib
import sys

import pytest

from sr_accessor.plugins import manager

LAB = """
import torch
from sr_accessor.expressions.operator import Operator
from sr_accessor.plugins import hookimpl

class Erfcx:
    def __call__(self, x):
        import sympy
        return sympy.exp(x**2) * sympy.erfc(x)

ERFCX = Operator("erfcx", 1, torch.special.erfcx, Erfcx(), domain=lambda x: x > -26)

@hookimpl
def register_operators(registry):
    registry.add(ERFCX)
    registry.vocabulary("spectroscopy", base="elementary", add=["lab:erfcx"], remove=["tan"])
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(name, source, distribution=, version=): a plugin that is there until the test ends."""
    monkeypatch.setattr(manager, "_catalogue", None)
    monkeypatch.delenv(manager.LOAD_VARIABLE, raising=False)
    monkeypatch.delenv(manager.BLOCK_VARIABLE, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def add(name, source, distribution=None, version="1.0", module=None):
        distribution = distribution or f"sr-{name}"
        module = module or f"sr_test_plugin_{distribution.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[sr_accessor]\n{name} = {module}\n")
        modules.append(module)
        importlib.invalidate_caches()
        monkeypatch.setattr(manager, "_catalogue", None)

    yield add
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def lab(install):
    install("lab", LAB, version="2.3")
