"""Pure display functions on literal tables: no fit, no torch."""

import math
import re

import pandas as pd
import pytest

from sr_accessor.display import html, text
from sr_accessor.display.figure import Picture

FRONT = pd.DataFrame(
    {
        "complexity": [1, 3], "rmse": [2.0, 0.1], "r2_val": [math.nan, math.nan], "selected": [False, True],
        "equation": ["1.5", "2*x" + " + x" * 200], "origin": ["mean", "screen pair, y"],
    }
)  # fmt: skip
PARAMS = pd.DataFrame(
    {"value": [2.0], "stderr": [math.nan], "unit": [None], "lower": [math.nan], "upper": [math.nan]}, index=["c0"]
)


@pytest.mark.parametrize(
    "value, stderr, shown",
    [
        (2.4096, 0.0123, ("2.410", "0.012")),
        (-2.4096, 0.0123, ("-2.410", "0.012")),
        (0.1234, 1.3, ("0.1", "1.3")),
        (1234.5, 12.3, ("1234", "12")),
        (123456.0, 300.0, ("1.2346e+05", "3.0e+02")),
        (6.62607e-34, 1e-39, ("6.626070e-34", "1.0e-39")),
        (0.0, 0.1, ("0.00", "0.10")),
        (3.0000000000000004, 2e-16, ("3", "2e-16")),
        (2.5, math.nan, ("2.5", "–")),
        (2.5, 0.0, ("2.5", "0")),
        (2.5, math.inf, ("2.5", "inf")),
    ],
)
def test_value_and_error_end_at_the_same_digit(value, stderr, shown):
    assert text.measured(value, stderr) == shown


def test_numbers():
    shown = [text.number(v) for v in (None, math.nan, 3, 0.123456, "text", True)]
    assert shown == ["–", "–", "3", "0.1235", "text", "True"]


def test_strongest_correlations_first_each_pair_once():
    names = ["a", "b", "c"]
    matrix = pd.DataFrame([[1, 0.2, -0.9], [0.2, 1, math.nan], [-0.9, math.nan, 1]], index=names, columns=names)
    assert text.strongest(matrix, 0.1) == [("a", "c", -0.9), ("a", "b", 0.2)]
    assert text.strongest(matrix, 0.5) == [("a", "c", -0.9)]


def test_summary_leaves_out_empty_columns_and_cuts_long_lines():
    lines = text.summary("y = x", FRONT, "converged", ["W: why"], width=60).splitlines()
    assert lines[0] == "y = x" and "r2_val" not in lines[2] and lines[-1] == "! W: why"
    assert lines[4].startswith("▸") and lines[4].endswith("…") and max(map(len, lines)) == 60


def test_the_report_says_what_came_from_where():
    proposed = {"mean": 1, "screen pair, y": 20, "network": 7, "screen pair, log y": 5}
    facts = {"seed": 1, "proposed": proposed}
    report = text.report("y = 2", {}, PARAMS, pd.DataFrame(), [], FRONT, facts)
    _, after = report.split("[[Sources]]\n")
    lines = [" ".join(line.split()) for line in after.splitlines()]
    assert lines == [
        "mean = 1 proposed, 1 on the front", "screen pair = 25 proposed, 1 on the front",
        "network = 7 proposed, 0 on the front", "[[Provenance]]", "seed = 1",
    ]  # fmt: skip
    assert "25 proposed, 1 on the front" in html.page("", "", "", FRONT, PARAMS, pd.DataFrame(), {}, [], facts, {})


def test_a_unit_that_is_not_known_is_empty():
    two = pd.DataFrame(
        {"value": [2.0, 3.0], "stderr": [0.1, 0.1], "unit": [None, "m/s"], "lower": 1.0, "upper": 4.0}, index=["a", "b"]
    )  # in a column of texts pandas makes None a NaN
    report = text.report("y = 2", {}, two, pd.DataFrame(), [], FRONT, {})
    assert "a: 2.00 +/- 0.10 (5.00%)" in report and "b: 3.00 +/- 0.10 m/s (3.33%)" in report
    made = html.page("", "", "", FRONT, two, pd.DataFrame(), {}, [], {}, {})
    assert ">m/s</td>" in made and ">nan<" not in made and "% error" in made and ">3.33%</td>" in made


def test_report_without_constants_or_correlations():
    nothing = pd.DataFrame(columns=["value", "stderr", "unit"])
    report = text.report("y = 2", {"rows": 3}, nothing, pd.DataFrame(), [], FRONT, {"seed": 1})
    assert "(no free constants)" in report and "Correlations" not in report and "Warnings" not in report


@pytest.mark.parametrize("label", ["<script>alert(1)</script>", "$x$", r"\(x\)", "a&b", '"quoted"', "100%"])
def test_escaped_text_reads_as_it_was_and_is_never_typeset(label):
    import html as standard

    safe = html.escape(label)
    assert standard.unescape(re.sub(r"</?span>", "", safe)) == label
    assert "<script" not in safe and "$" not in safe and "\\" not in safe
    # a dollar or backslash shares its text node with nothing, so that no delimiter can form
    for node in re.split(r"</?span>", safe):
        plain = standard.unescape(node)
        assert plain in ("$", "\\") or not set(plain) & {"$", "\\"}


def page(front=FRONT, warnings=("W: <why>",), images=None) -> str:
    return html.page(
        r"y = 2 < 3", "y = 2*x", "converged", front, PARAMS, pd.DataFrame(), {"rows": 3}, warnings, {"seed": 1},
        images or {},
    )  # fmt: skip


def test_page_escapes_and_says_what_is_missing():
    made = page()
    assert "$$y = 2 &lt; 3$$" in made and "W: &lt;why&gt;" in made and "pip install" in made
    assert "<svg" not in made and "<style" not in made and "<script" not in made
    drawn = page(images={"Pareto front": Picture(b"png", 'rms "error"'), "Parity <b>": Picture(b"png", "y")})
    assert 'alt="Pareto front: rms &quot;error&quot;" title="Pareto front: rms' in drawn
    assert "pip install" not in drawn and "<summary>Parity &lt;b&gt;</summary>" in drawn


def test_copies_are_folded_whole_and_escaped():
    code = {"Python": 'def law(a):\n    return a<b & "$x$"', "C": "x" * 10_000}
    made = html.page("", "", "", FRONT, PARAMS, pd.DataFrame(), {}, [], {}, {}, code)
    assert "<summary>Copy as Python</summary>" in made and "return a&lt;b &amp; &quot;<span>&#36;</span>x" in made
    assert "10,000 characters are too many to show here; .best.to(...)" in made and "xxx" not in made
    assert "Copy as JSON" not in made
    made = html.page("", "", "", FRONT, PARAMS, pd.DataFrame(), {}, [], {}, {}, None, '{"target": "<x>"}')
    assert "<summary>Copy as JSON</summary>" in made and "{&quot;target&quot;: &quot;&lt;x&gt;&quot;}" in made


@pytest.mark.parametrize(("law", "shown"), [("x*y + ", 40), (r"$\$", 10)])  # a dollar takes 18 characters in html
def test_page_stays_small_whatever_the_front(law, shown):
    long = pd.concat([FRONT] * 500, ignore_index=True).assign(equation=law * 90)
    pictures = {"Pareto front": Picture(b"." * 20_000, "rms error"), "Parity": Picture(b"." * 30_000, "y")}
    made = html.page(
        "y = x", "y = x", "", long, PARAMS, pd.DataFrame(), {"rows": 3}, ["W: " + "long " * 1000] * 1000, {"seed": 1},
        pictures, {f"form {i}": law * 300 for i in range(7)}, law * 3000,
    )  # fmt: skip
    assert len(made.encode()) < 150_000 and shown / 2 < 1000 - int(re.search(r"and (\d+) more rows", made)[1]) <= shown
    assert made.count("Copy as form") == 7 and made.count("Copy as JSON") == 1 and "data:image" in made


def test_pages_balance():
    from html.parser import HTMLParser

    class Balance(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            self.open += [tag] if tag != "img" else []

        def handle_endtag(self, tag):
            assert tag == "img" or self.open.pop() == tag

    reader = Balance()
    reader.feed(page(images={"Parity": Picture(b"png", "y")}))
    assert reader.open == []
