"""Options of a fit: what is accepted, what is refused and how."""

import dataclasses
import math

import pytest

import sr_accessor as sr
from sr_accessor import fit
from sr_accessor.errors import InputError, OptionError
from sr_accessor.options import FitOptions


def test_defaults_are_valid_and_frozen():
    options = FitOptions.from_keywords({})
    assert options == FitOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.timeout = 1.0


def test_every_option_is_in_the_docstrings():
    for field in dataclasses.fields(FitOptions):
        assert f"    {field.name} : " in FitOptions.__doc__
        assert field.name in fit.__doc__


@pytest.mark.parametrize(
    "good",
    [
        {"timeout": math.inf},
        {"timeout": 1},
        {"max_rounds": 3},
        {"random_state": 0},
        {"validation": None},
        {"validation": 0.5},
        {"progress": False},
        {"callbacks": print},
        {"callbacks": [print]},
        {"operators": ["add", "mul"]},
        {"operators": "default"},
    ],
)
def test_accepted(good):
    options = FitOptions.from_keywords(good)
    assert isinstance(options.callbacks, tuple)
    assert isinstance(options.operators, str | tuple)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"timeout": "5"}, OptionError, "timeout='5'; give a number of seconds"),
        ({"timeout": True}, OptionError, "timeout=True"),
        ({"timeout": 0}, InputError, "timeout=0 is out of range; give seconds above 0"),
        ({"timeout": math.nan}, InputError, "timeout=nan"),
        ({"max_rounds": 2.5}, OptionError, "max_rounds=2.5; give a whole number or None"),
        ({"max_rounds": 0}, InputError, "max_rounds=0 is out of range; give a whole number from 1"),
        ({"random_state": -1}, InputError, "random_state=-1"),
        ({"validation": 0.7}, InputError, "validation=0.7 is out of range; give a share between 0 and 0.5"),
        ({"validation": "some"}, OptionError, "validation='some'"),
        ({"progress": 1}, OptionError, "progress=1; give True, False or 'auto'"),
        ({"callbacks": [1]}, OptionError, "callbacks="),
        ({"operators": 1}, OptionError, "operators=1; give a name, a list of names or a Vocabulary"),
        ({"select": None}, OptionError, "select=None; give a name"),
        ({"time_out": 1}, OptionError, "no keyword time_out=1; did you mean 'timeout'?"),
    ],
)
def test_refused(bad, error, message):
    with pytest.raises(error) as caught:
        FitOptions.from_keywords(bad)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("validation", "n", "held_out"),
    [("auto", 10, 0), ("auto", 23, 0), ("auto", 24, 4), ("auto", 100, 20), (None, 100, 0), (0.5, 10, 5)],
)
def test_rows_held_out(validation, n, held_out):
    assert FitOptions(validation=validation).rows_held_out(n) == held_out


def test_options_of_a_session_hold_where_a_call_says_nothing():
    with sr.set_options(timeout=3.0, device="cpu"):
        with sr.set_options(timeout=5.0):
            assert FitOptions.from_keywords({}).timeout == 5.0
        here = FitOptions.from_keywords({"device": "auto"})
        assert (here.timeout, here.device) == (3.0, "auto")
    assert FitOptions.from_keywords({}) == FitOptions()
    sr.set_options(progress=False)
    assert FitOptions.from_keywords({}).progress is False
    sr.set_options(progress="auto")
    assert FitOptions.from_keywords({}) == FitOptions()


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"time_out": 1}, OptionError, "no keyword time_out=1; did you mean 'timeout'?"),
        ({"timeout": -1}, InputError, "timeout=-1 is out of range"),
    ],
)
def test_options_of_a_session_are_checked_and_then_not_kept(bad, error, message):
    with pytest.raises(error) as caught:
        sr.set_options(validation=None, **bad)
    assert message in str(caught.value) and FitOptions.from_keywords({}) == FitOptions()
