"""LaTeX: parentheses where they are needed, numbers as people write them, any label."""

import io

import matplotlib
import pytest

from sr_accessor.errors import InputError
from sr_accessor.expressions.latex import label_latex, number_latex, to_latex
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse

NAMES = ["x", "y"]


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("2*x**2 + 1/3", r"2 {x}^{2} + \frac{1}{3}"),
        ("x - (y - 1)", r"x - \left(y - 1\right)"),
        ("x + (y + 1)", r"x + y + 1"),
        ("x + (-2*y)", r"x - 2 y"),
        ("x - (-y)", r"x + y"),
        ("x + (-y + 1)", r"x - y + 1"),
        ("(x + 1)*(y - 1)", r"\left(x + 1\right) \cdot \left(y - 1\right)"),
        ("2*(x + 1)", r"2 \left(x + 1\right)"),
        ("2*3*x", r"2 \cdot 3 \cdot x"),
        ("x*(-y)", r"x \cdot \left(-y\right)"),
        ("-(x + y)", r"-\left(x + y\right)"),
        ("-(x*y)", r"-x \cdot y"),
        ("(x + 1)/(y + 1)", r"\frac{x + 1}{y + 1}"),
        ("x*(1/y)", r"x \cdot \frac{1}{y}"),
        ("(x/y)**2", r"{\left(\frac{x}{y}\right)}^{2}"),
        ("(x**y)**2", r"{\left({x}^{y}\right)}^{2}"),
        ("x**y**2", r"{x}^{{y}^{2}}"),
        ("(-2)**x", r"{\left(-2\right)}^{x}"),
        ("x**(-2/3)", r"{x}^{-\frac{2}{3}}"),
        ("(x + 1)**(y + 1)", r"{\left(x + 1\right)}^{y + 1}"),
        ("exp(-x/y)**2", r"{\left(e^{\frac{-x}{y}}\right)}^{2}"),
        ("sqrt(x + 1)**3", r"{\sqrt{x + 1}}^{3}"),
        ("abs(x - 1)", r"\left|x - 1\right|"),
        ("sin(x + y)", r"\sin\left(x + y\right)"),
        ("min(x, -y)", r"\min\left(x, -y\right)"),
        ("2*pi*x", r"2 \pi \cdot x"),
        ("19/10 + x**0.5 + 0.75*y + 5/7", r"1.9 + {x}^{\frac{1}{2}} + \frac{3}{4} y + \frac{5}{7}"),
        ("6.67e-11*x", r"6.67 \times 10^{-11} \cdot x"),
    ],
)
def test_expressions(text, latex, vocabulary):
    assert to_latex(parse(text, vocabulary, NAMES), NAMES) == latex


def test_constants_are_rounded_or_shown_as_symbols(vocabulary):
    e = parse("1.23456*exp(-12345.678*x) + 2.0*x**2 - 3e-7", vocabulary, NAMES, numbers="constant")
    shown = r"1.235 e^{-1.235 \times 10^{4} \cdot x} + 2 {x}^{2} - 3 \times 10^{-7}"
    assert to_latex(e, NAMES) == shown
    assert to_latex(e, NAMES, digits=2).startswith("1.2 e^{")
    named = to_latex(e, NAMES, constants=["A", "k", "c_{2}", "c_{3}"])
    assert named == r"A e^{k x} + c_{2} {x}^{2} - c_{3}"
    with pytest.raises(InputError, match="1 entries for 4 free constants"):
        to_latex(e, NAMES, constants=["A"])
    with pytest.raises(InputError, match="one expression, not 0"):
        to_latex(e[:0], NAMES)


@pytest.mark.parametrize(
    ("value", "latex"),
    [
        (2.0, "2"),
        (-0.5, "-0.5"),
        (3.14159265, "3.142"),
        (1234.5678, "1235"),
        (123456.0, r"1.235 \times 10^{5}"),
        (1e5, "10^{5}"),
        (-1e-7, "-10^{-7}"),
        (float("inf"), r"\infty"),
        (float("nan"), r"\mathrm{nan}"),
    ],
)
def test_numbers(value, latex):
    assert number_latex(value) == latex


def test_many_zeros_are_a_power_of_ten():
    assert number_latex(2710000000.0, 17) == r"2.71 \times 10^{9}"
    assert (number_latex(-1e6, 17), number_latex(62000.0, 17)) == ("-10^{6}", "62000")


LABELS = {
    "x": "x",
    "E": "E",
    "T_0": "T_{0}",
    "x12": "x_{12}",
    "T_env": r"T_{\mathrm{env}}",
    "mass": r"\mathrm{mass}",
    "lambda": r"\lambda",
    "λ": r"\lambda",
    "µ_max": r"\mu_{\mathrm{max}}",
    "Δx": r"\mathrm{\Delta x}",
    "T [K]": r"\mathrm{T\ [K]}",
    "50% <a> $_&#{}~^\\": r"\mathrm{50\%\ {<}a{>}\ \$\_\&\#\{\}\sim \wedge \backslash }",
    "a_b_c": r"\mathrm{a\_b\_c}",
    "ü": r"\mathrm{ü}",
    "line\nbreak\x00": r"\mathrm{line\ break}",
    "": r"\mathrm{\ }",
    "('a', 1)": r"\mathrm{('a',\ 1)}",
    "2nd": r"\mathrm{2nd}",
    "_": r"\mathrm{\_}",
}


@pytest.mark.parametrize("label", LABELS)
def test_labels(label):
    assert label_latex(label) == LABELS[label]


def test_operators_of_plugins(vocabulary):
    more = vocabulary.extended(
        [
            Operator("erfcx", 1, abs, "sympy:erf"),
            Operator("bar", 1, abs, "sympy:conjugate", latex=r"\overline{{{0}}}"),
            Operator("factorial", 1, abs, "sympy:factorial", latex="{0}!"),
        ]
    )
    text = "erfcx(x + 1)**2 + bar(x + 1) + factorial(x + 1)"
    expected = r"{\operatorname{erfcx}\left(x + 1\right)}^{2} + \overline{x + 1} + \left(x + 1\right)!"
    assert to_latex(parse(text, more, NAMES), NAMES) == expected


def test_mathtext_reads_all_of_it(random_expressions):
    from matplotlib import mathtext

    matplotlib.use("agg")
    labels = ["x", "µ_max", "50% <a> $_{}~^\\ T [K]"]  # mathtext knows neither \\# nor \\&
    batch = random_expressions(30, seed=50)
    for row in range(30):
        mathtext.math_to_image(f"${to_latex(batch[row], labels)}$", io.BytesIO(), dpi=20)
