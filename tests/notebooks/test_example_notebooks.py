"""The example notebooks as they stand: run, with their pictures, small, and without a widget that nobody can open."""

import json
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


def test_together_they_stay_small():
    assert len(NOTEBOOKS) >= 8 and sum(path.stat().st_size for path in NOTEBOOKS) < 4e6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_run_and_shows_what_it_found(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    text = json.dumps(outputs)
    assert "widget-view" not in text and "image/png" in text and "text/html" in text
    assert notebook.cells[0].source.startswith("# ") and "*Question: " in notebook.cells[0].source
    assert any("assert " in cell.source for cell in code)  # running it is a test
