"""What the tests of plugins share: modules that look as if pip had installed them."""

import importlib
import sys

import pytest

from sr_accessor.plugins import manager


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(name, source, ...) leaves what pip leaves, a module and a .dist-info folder, until the test ends."""
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
