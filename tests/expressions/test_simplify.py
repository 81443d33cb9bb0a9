"""Simplification: simpler, equal, and never longer than its limit."""

import sys
import threading
import time
import types

import pytest

from sr_accessor.errors import InputError
from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.simplify import TimeUp, equal_values, simplify, time_limit
from sr_accessor.expressions.text import to_text

NAMES = ["x", "y", "z"]
HARD = "+".join(f"sin({i}.1*x+y)**3*cos({i}.3*z)/(x+{i}.7*y+sqrt(z))" for i in range(1, 14))


@pytest.mark.parametrize(
    ("given", "simpler"),
    [
        ("x*y/y", "x"),
        ("x + 0*y", "x"),
        ("(x**2 - 1)/(x - 1)", "x + 1"),
        ("sin(x)**2 + cos(x)**2", "1"),
        ("log(exp(x))", "x"),
        ("sqrt(x**2)", "abs(x)"),
        ("x**2 + 2*x*y + y**2", "(x + y)**2"),
        ("exp(x)*exp(y)", "exp(x + y)"),
        ("-(-x)", "x"),
    ],
)
def test_known_forms(given, simpler, vocabulary):
    assert to_text(simplify(parse(given, vocabulary, NAMES), seconds=10), NAMES) == [simpler]


def test_free_constants_merge_and_literals_stay(vocabulary):
    merged = simplify(parse("2.5*x + 1.5*x", vocabulary, NAMES, numbers="constant"), seconds=10)
    assert to_text(merged, NAMES) == ["4*x"] and merged.free.tolist() == [[True]]
    fixed = simplify(parse("0.3127*x*y/y", vocabulary, NAMES), seconds=10)
    assert fixed.constants.tolist() == [[0.3127]] and not fixed.free.any()


@pytest.mark.parametrize("text", ["x", "x + y", "log(x) + log(y)", "(x - x)/(y - y)", "sqrt(-1 - x**2)"])
def test_the_original_comes_back_where_nothing_simpler_is_equal(text, vocabulary):
    e = parse(text, vocabulary, NAMES)
    assert simplify(e, seconds=10) is e


def test_results_are_simpler_and_equal(random_expressions):
    batch = random_expressions(25, seed=40, depth=3)
    found = 0
    for row in range(len(batch)):
        e = batch[row]
        s = simplify(e, seconds=0.3)
        assert s is e or (s.complexity < e.complexity and equal_values(e, s))
        found += s is not e
    assert found >= 5


def test_equality_is_numeric(vocabulary):
    def same(a, b):
        return equal_values(parse(a, vocabulary, NAMES), parse(b, vocabulary, NAMES))

    assert same("x*y", "y*x") and same("x/x", "1")
    assert not same("x*y", "y*x + 1e-6") and not same("sqrt(x**2)", "x")
    assert not same("1", "x/x*log(x)/log(x)")  # loses points
    assert not same("log(-1 - x**2)", "log(-1 - x**2)")  # nothing to compare


def test_the_limit_holds_within_ten_percent_here_and_in_threads(vocabulary):
    e, took = parse(HARD, vocabulary, NAMES, numbers="constant"), []

    def timed():
        tries = []
        while len(tries) < 3 and not any(t < 0.55 for t in tries):  # others may hold the processor meanwhile
            start = time.monotonic()
            assert simplify(e, seconds=0.5) is e
            tries.append(time.monotonic() - start)
        took.append(min(tries))

    simplify(parse("x + x", vocabulary, NAMES))  # imports sympy
    timed()
    thread = threading.Thread(target=timed)
    thread.start()
    thread.join()
    assert len(took) == 2 and max(took) < 0.55


def test_the_limit_leaves_no_trace(vocabulary):
    before = sys.gettrace()
    simplify(parse(HARD, vocabulary, NAMES), seconds=0.05)
    assert sys.gettrace() is before
    with pytest.raises(KeyError), time_limit(10):
        raise KeyError("passes through")
    assert sys.gettrace() is before


def test_the_limit_holds_where_its_exception_is_swallowed():
    def stubborn(inner, times):
        while times:
            try:
                while True:
                    inner()
            except BaseException:
                times -= 1
        while True:
            inner()

    named = {"__name__": "sympy.stubborn", "__builtins__": __builtins__}
    inner = types.FunctionType((lambda: None).__code__, named)
    start = time.monotonic()
    with pytest.raises(TimeUp), time_limit(0.1):
        types.FunctionType(stubborn.__code__, named)(inner, 5)
    assert time.monotonic() - start < 1 and sys.gettrace() is None and sys.getprofile() is None


def test_one_row_at_a_time(vocabulary):
    e = parse("x", vocabulary, NAMES)
    with pytest.raises(InputError, match="one expression, not 2"):
        simplify(concatenate([e, e]))
