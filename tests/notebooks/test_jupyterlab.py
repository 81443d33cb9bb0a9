"""In a real JupyterLab in headless Chromium: run all, stop a fit, explore by hand, save, reopen untrusted."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; .ci/run installs it")

CELLS = (
    "import numpy as np, pandas as pd, sr_accessor as sr\n"
    "random = np.random.default_rng(0)\n"
    'frame = pd.DataFrame(random.uniform(0.5, 3, (60, 2)), columns=["x", "<b>z</b>"])\n'
    'frame["y"] = 2.5 * frame["x"] + 1.3 * frame["<b>z</b>"] ** 2 + 0.1 * random.normal(size=60)',
    'result = frame.symreg.fit("y", max_rounds=2, random_state=0)',
    'handle = frame.symreg.fit("y", timeout=900, random_state=0, background=True, select="bic")',
    "panel = result.explore()\npanel",
)
TIMEOUT = 90_000  # ms; the machine may be busy with other things


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def lab(tmp_path):
    """Address of a JupyterLab over a folder with one notebook; the folder."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), tmp_path / "fits.ipynb")
    port = free_port()
    options = {
        "ServerApp.port": port, "ServerApp.root_dir": tmp_path, "ServerApp.open_browser": False,
        "ServerApp.allow_root": True, "IdentityProvider.token": "", "LabApp.expose_app_in_browser": True,
        "LabApp.workspaces_dir": tmp_path / "workspaces", "LabApp.news_url": "None",
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    with open(tmp_path / "server.log", "w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 60
            while not answers(f"{address}/api"):
                assert time.monotonic() < end and server.poll() is None, (tmp_path / "server.log").read_text()
                time.sleep(0.2)
            yield address, tmp_path
        finally:
            server.terminate()
            server.wait(20)


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        session = browser.new_context(
            viewport={"width": 1300, "height": 2900}, permissions=["clipboard-read", "clipboard-write"]
        )
        shown = session.new_page()
        shown.set_default_timeout(TIMEOUT)
        yield shown
        browser.close()


def until(condition):
    end = time.monotonic() + TIMEOUT / 1000
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def saved(folder):
    """The notebook's file; without outputs while it is being written."""
    try:
        return json.loads((folder / "fits.ipynb").read_text())
    except json.JSONDecodeError:
        return {"cells": [{"outputs": []}] * len(CELLS)}


def test_a_session(lab, page):
    address, folder = lab
    page.goto(f"{address}/lab/tree/fits.ipynb")
    page.locator(".jp-Notebook .jp-CodeCell").nth(3).wait_for()
    page.get_by_text("| Idle").wait_for()  # what is asked of a kernel that is not there yet is lost
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    cells = page.locator(".jp-CodeCell")

    # the blocking fit: the panel has given way to the typeset law and its tables
    cells.nth(1).locator("summary", has_text="Front (").wait_for()
    cells.nth(1).locator("mjx-container").first.wait_for()
    assert cells.nth(1).locator("img").first.is_visible() and cells.nth(1).locator(".jupyter-widgets").count() == 0

    # the background fit: a law grows in its panel until Stop is pressed, then the result stands there
    cells.nth(2).locator(".jupyter-widgets svg").first.wait_for()
    assert "loss over complexity" in cells.nth(2).get_by_role("img").first.get_attribute("aria-label")
    assert "laws/s" in cells.nth(2).inner_text()
    cells.nth(2).get_by_role("button", name="Stop").click()
    cells.nth(2).locator("summary", has_text="Front (").wait_for()
    assert "interrupted:" in cells.nth(2).inner_text() and cells.nth(2).locator(".jupyter-widgets").count() == 0

    # the explorer: another law, a moved constant, another view; every picture has a name that says what it shows
    panel = cells.nth(3)
    panel.locator("select option").first.wait_for()
    panel.get_by_role("img", name="rms error over complexity").wait_for()
    law = panel.locator("mjx-container").first
    before, began = law.inner_html(), time.monotonic()
    panel.get_by_role("button", name="Simpler").click()
    until(lambda: law.inner_html() != before)
    print(f"another law stood in the explorer {time.monotonic() - began:.2f} s after the click")
    panel.get_by_role("button", name="Closer").click()
    until(lambda: law.inner_html() == before)
    panel.get_by_role("button", name=re.compile("^1: ")).click()  # the dot of the simplest law in the drawn front
    until(lambda: law.inner_html() != before)
    simplest = law.inner_html()
    slider = panel.locator(".noUi-handle").first
    slider.focus()
    slider.press("ArrowRight")
    until(lambda: law.inner_html() != simplest)
    panel.get_by_role("button", name=re.compile("^▸ ")).click()  # the one that the rule chose
    until(lambda: law.inner_html() == before)
    slider = panel.locator(".noUi-handle").nth(1)
    picture = panel.get_by_role("img", name=re.compile("^y over .*measured, law"))
    old = picture.inner_html()
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    until(lambda: picture.inner_html() != old)
    panel.screenshot(path=folder / "constants.png")
    panel.get_by_role("tab", name="Profile").click()
    panel.get_by_role("img", name="95 % band").wait_for()
    panel.screenshot(path=folder / "profile.png")
    panel.get_by_role("tab", name="Residuals").click()
    panel.locator("select", has_text="how many").select_option("how many")
    panel.get_by_role("img", name="rows over (y − law)").wait_for()
    panel.screenshot(path=folder / "residuals.png")
    panel.get_by_role("tab", name="Export").click()
    panel.get_by_role("button", name="Copy").click()
    until(lambda: page.evaluate("navigator.clipboard.readText()") == panel.locator("textarea").input_value())
    panel.get_by_role("tab", name="What if").click()
    panel.get_by_text("a new measurement, 95 %").wait_for()
    page.screenshot(path=folder / "session.png")

    # saved, changed by another program and so no longer trusted, reopened without a kernel: all static parts stand
    page.keyboard.press("Control+s")
    until(lambda: saved(folder)["cells"][3]["outputs"])
    content = saved(folder)
    assert "widget-view" not in json.dumps([cell["outputs"] for cell in content["cells"][:3]])
    content["cells"][0]["source"] = "# touched\n"
    (folder / "fits.ipynb").write_text(json.dumps(content))
    page.goto(f"{address}/lab/tree/fits.ipynb?reset")
    cells.nth(2).locator("mjx-container").first.wait_for()
    for cell in (1, 2):
        assert cells.nth(cell).locator("img").first.is_visible()
        assert cells.nth(cell).locator("table").first.is_visible()
    assert "run this cell again" in cells.nth(3).inner_text()
    page.screenshot(path=folder / "reopened.png")
