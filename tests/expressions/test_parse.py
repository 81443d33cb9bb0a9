"""What the parser reads, what it refuses and where it points, and that hostile text is refused at once."""

import math
import time

import pytest
import torch

from sr_accessor.errors import OptionError, ParseError
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import ALIASES, MAX_DEPTH, MAX_SYMBOLS, parse, parse_model

NAMES = ["x", "y"]


def value(text, vocabulary, x=1.3, y=0.7):
    return evaluate(parse(text, vocabulary, NAMES), torch.tensor([[x, y]], dtype=torch.float64))[0].item()


@pytest.mark.parametrize(
    "text",
    [
        "x+y*x**y**2",
        "-x**2",
        "x--y",
        "x**-y*2",
        "2**-x**2",
        "x/y/x",
        "x-y-x",
        "-x*-y",
        "+x",
        "- - x",
        "(((x)))",
        "x\t+\n y",
        ".5*x + 5.*y + 1.e-1 + 1E2",
        "-2**2",
        "(-2)**2",
        "x*1/3",
        "2/3/x",
        "6/3",
    ],
)
def test_precedence_is_that_of_python(text, vocabulary):
    expected = eval(f"({text})", {"x": 1.3, "y": 0.7})  # the reference for our own fixed text
    assert value(text, vocabulary) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x^2", 1.69),
        ("ln(x)", math.log(1.3)),
        ("log10(x)", math.log10(1.3)),
        ("log2(x)", math.log2(1.3)),
        ("log1p(x)", math.log1p(1.3)),
        ("expm1(x)", math.expm1(1.3)),
        ("arcsin(y)", math.asin(0.7)),
        ("arccos(y)", math.acos(0.7)),
        ("arctan(y)", math.atan(0.7)),
        ("Abs(-x)+fabs(-x)", 2.6),
        ("sec(x)*csc(x)*cot(x)", 1 / math.cos(1.3) / math.sin(1.3) / math.tan(1.3)),
        ("power(x, y)", 1.3**0.7),
        ("Max(x,y)-Min(x,y)", 0.6),
        ("maximum(x,y)-minimum(x,y)", 0.6),
        ("E**x", math.exp(1.3)),
        ("e", math.e),
        ("π + Pi + pi", 3 * math.pi),
        ("x·y − x × y", 0.0),
    ],
)
def test_aliases(text, expected, vocabulary):
    assert value(text, vocabulary) == pytest.approx(expected, rel=1e-13, abs=1e-15)


def test_aliases_use_each_argument_once():
    for name, template in ALIASES.items():
        arguments = sorted(part for part in template if type(part) is int)
        assert arguments == list(range(len(arguments))), name  # so that nesting them cannot explode


def test_labels_win_over_constants_and_functions(vocabulary):
    names = ["exp", "I", "N", "pi", "e", "T [K]", "S"]
    for d, name in enumerate(names):
        e = parse(f"`{name}`" if " " in name else name, vocabulary, names)
        assert e.codes.tolist() == [[256 + d]]
    assert parse("exp(exp)", vocabulary, names).codes.tolist() == [[vocabulary.id("exp"), 256]]
    assert parse("pi()", vocabulary, names).codes.tolist() == [[vocabulary.id("pi")]]


def test_normal_forms_follow_the_active_operators(vocabulary):
    def heads(text, vocabulary):
        codes = parse(text, vocabulary, NAMES).codes[0].tolist()
        return [vocabulary.operator(c).name if 8 <= c < 256 else c for c in codes]

    assert [heads(t, vocabulary) for t in ("x**2", "x**3", "1/x")] == [["square", 256], ["cube", 256], ["inv", 256]]
    assert heads("x**2.0", vocabulary) == ["pow", 256, 2] and heads("1.0/x", vocabulary) == ["div", 2, 256]
    few = vocabulary.restricted(["add", "mul", "div", "pow"])
    assert heads("x**2", few) == ["pow", 256, 2] and heads("1/x", few) == ["div", 2, 256]
    assert heads("sin(x)", few) == ["sin", 256]  # inactive operators can be read
    assert heads("2/3", vocabulary) == [2] and heads("-2", vocabulary) == [2] and heads("2/x", vocabulary)[0] == "div"


def test_numbers_are_literals_or_free_constants(vocabulary):
    text = "2*x**2.0 + 3.5*x**0.5 - x**(1/3) + x**1.7 + 1/2 + log10(x)"
    literal = parse(text, vocabulary, NAMES)
    assert not literal.free.any()
    free = parse(text, vocabulary, NAMES, numbers="constant")
    assert free.constants.tolist() == literal.constants.tolist() == [[2, 2, 3.5, 0.5, 1 / 3, 1.7, 0.5, 10]]
    assert free.free[0].tolist() == [True, False, True, False, False, True, True, False]
    with pytest.raises(OptionError, match="'literal' or 'constant'"):
        parse("x", vocabulary, NAMES, numbers="free")


def test_named_parameters_in_order_of_appearance(vocabulary):
    model = parse_model("A*exp(-k*x) + 2 + A", vocabulary, NAMES, {"k": 0.1, "A": 5.0, "x": 9.0})
    assert model.parameters == ("A", "k", None, "A")
    assert model.expressions.constants.tolist() == [[5.0, 0.1, 2.0, 5.0]]
    assert model.expressions.free.tolist() == [[True, True, False, True]]
    assert model.expressions.uses(0).all()  # the label x wins over the parameter x
    negative = parse_model("-A*x", vocabulary, NAMES, {"A": 5.0})
    assert negative.parameters == ("A",) and negative.expressions.constants.tolist() == [[5.0]]


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "no expression: the text is empty"),
        ("   ", 0, "no expression: the text is empty"),
        ("2x", 1, "an operator is missing before 'x'"),
        ("x y", 2, "an operator is missing before 'y'"),
        ("x(y)", 0, "'x' is not a function; an operator is missing"),
        ("x + ", 4, "ends where an operand is missing"),
        ("x + * y", 4, "an operand is missing before '*'"),
        ("x)", 1, "has no '('"),
        ("(x", 0, "never closed"),
        ("sin(x", 3, "never closed"),
        ("()", 1, "an operand is missing before ')'"),
        ("(x, y)", 2, "a comma may only stand"),
        ("min(x,)", 6, "an operand is missing before ')'"),
        ("sin x", 0, "'sin' is a function: write sin(...)"),
        ("sin()", 0, "sin takes 1 argument, not 0"),
        ("x + log(x, y)", 4, "log takes 1 argument, not 2"),
        ("min(x)", 0, "min takes 2 arguments, not 1"),
        ("x + sqr(y)", 4, "no function 'sqr'; did you mean 'sqrt'"),
        ("mass*x", 0, "no variable, parameter or function 'mass'"),
        ("`X`", 0, "no variable 'X'"),
        ("y = x", 2, "give only the right-hand side"),
        ("x[0]", 1, "use round brackets, or backticks"),
        ("|x|", 0, "write abs(x)"),
        ("`x", 0, "must end with one"),
        ("x.__class__", 1, "cannot stand in an expression"),
        ("__import__('os')", 0, "no function '__import__'"),
        ("x if y else x", 2, "an operator is missing before 'if'"),
        ("lambda: x", 0, "'lambda'"),
        ("x; y", 1, "cannot stand"),
        ("1e999", 0, "too large for a double"),
        ("nan*x", 0, "no variable, parameter or function 'nan'"),
        ("1_000", 1, "an operator is missing before '_000'"),
        ("x ** ** y", 5, "an operand is missing before '**'"),
        ("0x1F", 1, "an operator is missing"),
    ],
)
def test_refusals_say_where(text, position, says, vocabulary):
    with pytest.raises(ParseError) as caught:
        parse(text, vocabulary, NAMES)
    assert says in str(caught.value)
    assert caught.value.position == position
    if text.strip():
        assert str(caught.value).splitlines()[-1] == "  " + " " * position + "^"


def test_ambiguous_labels_are_refused_only_where_used(vocabulary):
    assert parse("x", vocabulary, ["x", 3, "3"]).codes.tolist() == [[256]]
    with pytest.raises(ParseError, match="2 variables are called '3'"):
        parse("`3`", vocabulary, ["x", 3, "3"])


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000 + "x" + ")" * 50_000,
        "(" * 1_000_000,
        "sin(" * 20_000 + "x" + ")" * 20_000,
        "-" * 90_000 + "x",
        "x**" * 30_000 + "x",
        "x+" * 500_000 + "x",
        "x+" * 49_000 + "x",
        "min(x," * 10_000 + "x" + ")" * 10_000,
        "log10(" * (MAX_DEPTH - 1) + "+".join("x" * 3000) + ")" * (MAX_DEPTH - 1),
        "9" * 99_000,
        "9**" * 30_000 + "9",
        "`" * 99_999,
        "`" + "a" * 99_000,
        " " * 99_000 + "?",
        "a" * 99_000,
        "a" * 99_000 + "(x)",
        "`" + "a" * 99_000 + "`",
        "x" + "," * 99_000,
        "1e" + "9" * 90_000,
        "\x00" * 1000,
        "__import__('os').system('true')",
        "().__class__.__bases__[0].__subclasses__()",
    ],
)
def test_hostile_text_is_refused_within_a_second(text, vocabulary):
    start = time.perf_counter()
    with pytest.raises(ParseError) as caught:
        parse(text, vocabulary, NAMES)
    assert time.perf_counter() - start < 1
    assert len(str(caught.value)) < 1000


def test_the_largest_allowed_text_is_read_within_a_second(vocabulary):
    start = time.perf_counter()
    assert parse("+".join("x" * (MAX_SYMBOLS // 2)), vocabulary, NAMES).well_formed.all()
    deep = MAX_DEPTH - 1
    assert parse("sin(" * deep + "x" + ")" * deep, vocabulary, NAMES).heights[0, 0] == deep
    assert time.perf_counter() - start < 1


def test_only_text_is_parsed(vocabulary):
    with pytest.raises(OptionError, match="given as text, not as int"):
        parse(3, vocabulary, NAMES)
