"""Templates, guesses and known numbers: read, refused with reasons, searched, found, and exported like any law."""

import numpy as np
import pandas as pd
import pytest
import sympy
import torch

import sr_accessor as sr
from sr_accessor.errors import InputError, OperatorError, OptionError, ParseError, PluginConflictError
from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.search.constants import with_constants
from sr_accessor.search.guesses import parts_of, read_guesses
from sr_accessor.search.selection import Data
from sr_accessor.search.template import read_template

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = ["t", "T [K]", "z"]
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"x": RNG.uniform(0.5, 3, 60), "z": RNG.uniform(0.5, 3, 60)})


def fit(y, table=TABLE, rounds=2, **options):
    kept = {"validation": None, "random_state": 0, "timeout": 60, "device": "cpu", "progress": False}
    return sr.fit(table.assign(y=y), "y", max_rounds=rounds, **kept | options)


# ---------------------------------------------------------------------- templates
def test_a_template_is_read_filled_and_found_again():
    template = read_template("A*exp(-k*t) + f(`T [K]`)*g(z, t)", VOCABULARY, NAMES)
    assert [(part.name, part.variables) for part in template.parts] == [("f", (1,)), ("g", (2, 0))]
    f = concatenate([parse(text, VOCABULARY, NAMES) for text in ("`T [K]`", "2*`T [K]`**2")])
    g = concatenate([parse(text, VOCABULARY, NAMES) for text in ("sin(z)*3", "t")])
    wholes = template.filled([f, g], torch.tensor([[2.0, 0.5]], dtype=torch.float64).expand(2, -1))
    assert to_text(wholes, NAMES) == [
        "2*exp(-0.5*t) + `T [K]`*(sin(z)*3)",
        "2*exp(-0.5*t) + 2*`T [K]`**2*t",
    ]
    fits, _, numbers = template.located(wholes)
    assert fits.tolist() == [True, True] and numbers.tolist() == [[2.0, 0.5]] * 2
    contents, _ = template.contents(wholes)
    assert to_text(contents[0], NAMES) == to_text(f, NAMES) and to_text(contents[1], NAMES) == to_text(g, NAMES)
    strange = [parse(text, VOCABULARY, NAMES) for text in ("t", "1*exp(-2*t) + z*z", "1*exp(-2*t) + `T [K]`*z*t")]
    assert template.located(concatenate(strange))[0].tolist() == [False, False, False]


def test_a_part_is_seen_through_its_outline():
    template = read_template("exp(A + f(z))*t", VOCABULARY, NAMES)
    x = torch.rand(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    y = torch.exp(0.7 + torch.sin(x[:, 2])) * x[:, 0]
    whole = template.filled([parse("z", VOCABULARY, NAMES)], torch.tensor([[0.7]], dtype=torch.float64))
    problem = template.problem(whole, 0, Data(x, y, None, GAUSSIAN))
    assert problem.x.shape == (50, 1)
    torch.testing.assert_close(problem.y, torch.sin(x[:, 2]), rtol=0, atol=1e-7)
    torch.testing.assert_close(problem.sigma, 1 / y, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("A*t + b", InputError, r"has nothing to search; write a part such as f\(t\)"),
        ("f(t) + f(z)", InputError, "the part 'f' stands twice"),
        ("A*f(t) + A", InputError, "the constant 'A' stands twice"),
        ("f(t, t)", InputError, "the argument 't' stands twice"),
        ("f(q) + t", InputError, "depends on 'q', which is no feature"),
        ("f(2*t) + z", ParseError, "give features as its arguments"),
        ("f(t) + * z", ParseError, "an operand is missing before '\\*'"),
        ("f(t", ParseError, "give features as its arguments"),
    ],
)
def test_wrong_templates_are_refused(text, error, message):
    with pytest.raises(error, match=message):
        read_template(text, VOCABULARY, NAMES)


def test_errors_point_into_the_users_text():
    with pytest.raises(ParseError) as raised:
        read_template("f(t) + * z", VOCABULARY, NAMES)
    assert raised.value.position == 7 and "f(t) + * z" in str(raised.value)


def test_a_template_with_one_part_is_found():
    table = TABLE.rename(columns={"x": "t", "z": "T"})
    y = 2.5 * np.exp(-1.3 * table.t) + np.sqrt(table["T"]) * np.log(table["T"])
    result = fit(y, table, rounds=4, template="A*exp(-k*t) + f(T)")
    assert result.front.r2.iloc[-1] > 1 - 1e-12
    t, temperature = sympy.symbols("t T", positive=True)
    wanted = 2.5 * sympy.exp(-1.3 * t) + sympy.sqrt(temperature) * sympy.log(temperature)
    found = result.expr.subs({sympy.Symbol("t"): t, sympy.Symbol("T"): temperature})
    assert abs(float((found - wanted).subs({t: 0.7, temperature: 1.9}))) < 1e-9
    assert r"e^{" in result.to_latex() and result.provenance["template"] == "A*exp(-k*t) + f(T)"
    np.testing.assert_allclose(result.predict(table), y, rtol=1e-9)


def test_a_template_with_two_parts_keeps_their_variables():
    y = 3 * np.exp(-(TABLE.x**2)) * (TABLE.z + 1 / TABLE.z)
    result = fit(y, template="f(x)*g(z)")
    assert result.front.r2.max() > 1 - 1e-12
    np.testing.assert_allclose(result.predict(TABLE), y, rtol=1e-9)


def test_a_template_that_is_wrong_is_kept_all_the_same():
    result, again = (fit(TABLE.x * TABLE.z, template="A*x + f(z)", rounds=1) for _ in range(2))
    x, z = sympy.symbols("x z")
    assert all(sympy.diff(law.expr, x, z) == 0 for law in result)  # a sum, though the data are a product
    assert again.front.equation.tolist() == result.front.equation.tolist()


# ---------------------------------------------------------------------- guesses
def test_guesses_are_read():
    read = read_guesses(["a*t**2 + b*z", 0.5 * sympy.Symbol("z") ** sympy.Symbol("n")], VOCABULARY, NAMES)
    assert to_text(read, NAMES) == ["1*t**2 + 1*z", "0.5*z**1"] and read.free.sum(1).tolist() == [2, 2]
    assert to_text(parts_of(read_guesses(["a*sin(t*z) + b"], VOCABULARY, NAMES)), NAMES) == ["sin(t*z)", "t*z"]
    assert read_guesses([], VOCABULARY, NAMES) is None


@pytest.mark.parametrize(
    ("guess", "error", "message"),
    [
        ("a*t +", ParseError, "ends where an operand is missing"),
        ("a*sinn(t)", ParseError, "did you mean 'sin"),
        ("tan(t)", InputError, "excluded operator 'tan'"),
        ("a*w", InputError, "which the constraints forbid"),
        (3.0, OptionError, "neither text nor a sympy expression"),
    ],
)
def test_wrong_guesses_are_refused(guess, error, message):
    vocabulary = VOCABULARY.restricted([o.name for o in ELEMENTARY if o.name != "tan"])
    with pytest.raises(error, match=message):
        read_guesses([guess], vocabulary, NAMES, left_out=["w"])


@pytest.mark.parametrize("kind", ["text", "sympy"])
def test_a_guess_that_screens_would_not_find_is_refined(kind):
    y = 1.7 * np.exp(-0.6 * TABLE.x**1.3) + 0.3 * np.tanh(2.2 * TABLE.z)
    guess = "a*exp(-b*x**c) + d*tanh(k*z)"
    result = fit(y, guesses=guess if kind == "text" else sympy.sympify(guess), rounds=1)
    assert result.best.origin == "guess"
    np.testing.assert_allclose(result.predict(TABLE), y, rtol=1e-9)


# ---------------------------------------------------------------------- known numbers
def test_known_numbers_are_symbols_of_the_vocabulary():
    vocabulary = with_constants(VOCABULARY, {"g": 9.81, "k_B": 1.4e-23}, NAMES)
    law = parse("g*t + k_B", vocabulary, NAMES)
    assert to_text(law, NAMES) == ["g*t + k_B"] and law.free.sum() == 0
    assert evaluate(law, torch.ones(1, 3, dtype=torch.float64))[0].tolist() == [[9.81 + 1.4e-23]]
    assert "g" not in VOCABULARY


@pytest.mark.parametrize(
    ("constants", "error", "message"),
    [
        ({"x": 1.0}, InputError, "'x' is also a feature"),
        ({"sin": 1.0}, PluginConflictError, "'sin' is also an operator"),
        ({"g n": 1.0}, OperatorError, "must be an identifier"),
        ({"g": "9.81"}, OptionError, "give a number"),
        ({"g": 0.0}, InputError, "finite number other than 0"),
        ([9.81], OptionError, "give a dictionary"),
    ],
)
def test_wrong_known_numbers_are_refused(constants, error, message):
    with pytest.raises(error) as raised:
        fit(TABLE.x**2, constants=constants)
    assert message in str(raised.value)


def test_a_known_number_is_found_by_name():
    g = 9.80665
    result = fit(2 * np.pi * np.sqrt(TABLE.x / g), TABLE[["x"]], constants={"g": g})
    assert {s.name for s in result.expr.free_symbols} == {"x", "g"}
    assert "g" in result.to_latex() and "g" in result.to_text() and result.best.names == ("x",)
    assert len(result.best.params) == 0
    np.testing.assert_allclose(result.predict(TABLE), 2 * np.pi * np.sqrt(TABLE.x / g), rtol=1e-12)
    assert result.provenance["constants"] == {"g": g}


def test_noise_does_not_hide_a_known_number_that_is_required():
    y = np.sqrt(TABLE.x / 9.80665) * (1 + 0.01 * RNG.normal(size=60))
    asked = sr.Constraints(require=["g"])
    result = fit(y, TABLE[["x"]], constants={"g": 9.80665}, constraints=asked, rounds=1)
    assert all("g" in {s.name for s in law.expr.free_symbols} for law in result)


def test_guesses_and_a_template_exclude_each_other():
    with pytest.raises(InputError, match="exclude each other"):
        fit(TABLE.x**2, guesses=["a*x"], template="f(x)")
