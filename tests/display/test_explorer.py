"""The explorer without a browser: what is set or pressed by a program answers as to a hand."""

import html
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import sr_accessor as sr
from sr_accessor.display import explorer as module
from sr_accessor.display.notebook import shows_panels
from sr_accessor.display.svg import Frame

LABELS = ["T [K]", "<b>$z$</b>"]


@pytest.fixture(scope="module")
def result():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.uniform(0.5, 3, (80, 2)), columns=LABELS)
    frame["y"] = 2.5 * frame["T [K]"] + 1.3 * frame["<b>$z$</b>"] ** 2 + 0.1 * random.normal(size=80)
    return sr.fit(frame, "y", timeout=300, max_rounds=2, random_state=0, progress=False)


@pytest.fixture
def panel(result):
    return result.explore()


def picture(place):
    """The picture that stands there: well-formed, finite, and with words for who cannot see it."""
    drawn = ElementTree.fromstring(place.value)
    assert drawn.tag == "svg" and "axes" in drawn.get("aria-label") and "nan" not in place.value
    return place.value


def test_it_opens_at_the_chosen_law(panel, result):
    assert panel.row == list(result.front["selected"]).index(True) and panel.message.value == ""
    assert panel.law.value == f"<div>$${result.to_latex()}$$</div>".replace("<b>", "&lt;b&gt;").replace(
        "</b>", "&lt;/b&gt;"
    ).replace("{<}", "{&lt;}").replace("{>}", "{&gt;}")
    assert panel.tabs.titles == panel.TABS and len(panel.front.options) == len(result)
    assert [bool(view.children) for view in panel.tabs.children] == [True] + 4 * [False]  # made when they are shown
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle and "run this cell again" in bundle["text/plain"]


def test_how_it_went_and_what_there_is_to_remark(panel, result):
    head = panel.box.children[0].value
    assert "rounds: 64 rows, 2 rounds" in head and "chosen by &#x27;mdl&#x27;" in head
    assert panel.remarks.value == ""
    few = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.1, 5.9]})
    with pytest.warns(sr.errors.SymRegWarning):
        told = sr.refine(few, "y", "a*x + b", start={"a": 1.0, "b": 0.0}).explore()
    assert "FEW_ROWS" in told.remarks.value


def test_a_law_is_chosen_by_a_click_on_its_dot(panel, result):
    frame, front = Frame(panel._plot(), module.FRONT), result.front
    places = zip(frame.x(front["complexity"].to_numpy()), frame.y(front["rmse"].to_numpy()), strict=True)
    for row, (dot, (x, y)) in enumerate(zip(panel.dots, places, strict=True)):
        top, _, _, left = (int(side.removesuffix("px")) for side in dot.layout.margin.split())
        assert abs(left + module.DOT / 2 - x) <= 1 and abs(top + module.DOT / 2 - y) <= 1
        dot.click()
        assert panel.row == row and str(front["complexity"][row]) in dot.tooltip and panel.message.value == ""
    assert panel.picture in panel.box.children[1].children and "chosen" in picture(panel.picture)


def test_constants_with_their_share_and_their_correlations(panel, result):
    row, law = next((i, law) for i, law in enumerate(result) if len(law.correlation) > 1)
    panel.front.value = row
    view = panel.tabs.children[0].children
    words = [part.value for line in view for part in getattr(line, "children", ())]
    for name, constant in law.params[~law.params["fixed"]].iterrows():
        assert f"({abs(constant['stderr'] / constant['value']):.2%})" in "".join(map(str, words)), name
    (strips,) = [part.value for part in view if "Correlation" in getattr(part, "value", "")]
    assert f"{law.correlation.iloc[0, 1]:+.2f}" in strips and strips.count("+1.00") == len(law.correlation)


def test_another_law_is_chosen_by_list_and_by_buttons(panel, result):
    panel.front.value = 0
    assert list(panel.sliders) == list(result[0].params.index)
    panel.simpler.click()
    assert panel.row == 0 and panel.along.value == 0
    panel.along.value = 2
    assert panel.row == 2 and str(result.front["complexity"][2]) == panel.along.label
    panel.front.value = 0
    panel.richer.click()
    assert panel.row == 1 and list(panel.sliders) == list(result[1].params.index)
    panel.use.click()
    assert panel.result.rule == 1 and str(panel.result.best) == str(result[1]) and "in use" in panel.use.description
    assert str(result.best) != str(result[1]) and "chosen by hand" in repr(panel.result)
    assert str(result.select(-1).best) == str(result[len(result) - 1])
    with pytest.raises(IndexError, match="no law 99"):
        result.select(99)


def test_constants_are_written_as_values_or_as_names(panel, result):
    before = panel.law.value
    panel.written.value = "Names"
    assert panel.message.value == "" and panel.law.value != before and "c" in panel.law.value
    name, slider = next(iter(panel.sliders.items()))
    slider.value = slider.max
    assert panel.law.value.count("$$") == 2 and name[0] in panel.law.value
    slider.value = float(result.best.params.loc[name, "value"])
    panel.written.value = "Values"
    assert panel.law.value == before


def test_moving_a_constant_moves_law_and_plot(panel, result):
    law, before = panel.law.value, picture(panel.moved)
    name, slider = next(iter(panel.sliders.items()))
    fitted = result.best.params.loc[name]
    assert slider.min < fitted["value"] - fitted["stderr"] and fitted["value"] + fitted["stderr"] < slider.max
    slider.value = slider.max
    assert panel.law.value != law and picture(panel.moved) != before and list(panel.constants) == [name]
    panel.tabs.selected_index = 1  # the profile is of the fit, and so is the law that stands above it
    assert panel.law.value == law
    panel.tabs.selected_index = 0
    assert panel.law.value != law and "rms error" in picture(panel.moved)
    panel.reset.click()
    assert panel.law.value == law and picture(panel.moved) == before and panel.constants == {}


def test_profile_with_the_others_held(panel):
    panel.tabs.selected_index = 1
    first = picture(panel.profile)
    assert panel.held["T [K]"].disabled and not panel.held["<b>$z$</b>"].disabled
    panel.held["<b>$z$</b>"].value = 2.9
    second = picture(panel.profile)
    panel.level.value = 0.68
    third = picture(panel.profile)
    panel.over.value = 1
    assert len({first, second, third, picture(panel.profile)}) == 4 and panel.held["<b>$z$</b>"].disabled


def test_residuals_against_each_input_and_the_law(panel):
    panel.tabs.selected_index = 2
    pictures = set()
    for _, value in panel.against.options:
        panel.against.value = value
        assert panel.message.value == ""
        pictures.add(picture(panel.residuals))
    assert len(pictures) == 5
    assert "y predicted over y measured" in panel.residuals.value
    panel.against.value = module.COUNTED
    assert "rows over (y − law) / standard deviation" in panel.residuals.value
    assert "residuals, noise model, its 95 % band" in panel.residuals.value


def test_what_if(panel, result):
    panel.tabs.selected_index = 3
    for field, value in zip(panel.given.values(), (1.0, 2.0), strict=True):
        field.value = value
    expected = result.predict(pd.DataFrame([[1.0, 2.0]], columns=LABELS))[0]
    assert f"y = {expected:.4g}" in panel.answer.value and "EXTRAPOLATION" not in panel.answer.value
    panel.given["T [K]"].value = 99.0
    assert "EXTRAPOLATION" in panel.answer.value and "a new measurement, 95 %" in panel.answer.value


def test_export_tabs(panel, result):
    panel.tabs.selected_index = 4
    for name, form in (("Python", "python"), ("Excel", "excel"), ("LaTeX", "latex")):
        panel.form.value = name
        assert panel.code.value == result.best.to(form)
        (held,) = re.findall(r'data-text="([^"]*)"', panel.copy.value)
        assert html.unescape(held) == panel.code.value and "navigator.clipboard" in panel.copy.value


def test_errors_are_told_in_the_panel_until_the_next_answer(panel, monkeypatch):
    def broken(*arguments):
        raise ValueError("no <such> plot")

    with monkeypatch.context() as patched:
        patched.setattr(module, "svg", broken)
        panel.tabs.selected_index = 2
        assert "ValueError" in panel.message.value and "no &lt;such&gt; plot" in panel.message.value
        panel.written.value = "Names"
        assert panel.message.value == ""
        panel.simpler.click()
        assert "ValueError" in panel.message.value
    panel.tabs.selected_index = 1
    assert panel.message.value == "" and picture(panel.profile)


def test_a_law_without_constants_or_inputs_can_be_explored():
    constant = pd.DataFrame({"x": np.arange(9.0), "y": 4.0})
    with pytest.warns(sr.errors.SymRegWarning):
        panel = sr.fit(constant, "y", progress=False).explore()
    for tab in range(len(panel.TABS)):
        panel.tabs.selected_index = tab
        assert panel.message.value == ""


def test_outside_of_notebooks_a_display_can_be_chosen_and_changes_nothing():
    with sr.set_options(display="widget"):
        assert not shows_panels()
    with pytest.raises(sr.errors.OptionError, match="'widgets' is not known; did you mean 'widget'"):
        sr.set_options(display="widgets")
