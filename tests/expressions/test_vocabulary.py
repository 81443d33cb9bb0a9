"""Ids never change; what is active can."""

import pytest
import torch

from sr_accessor.errors import PluginConflictError, UnknownNameError
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, PAD, VARIABLE, Vocabulary

ERF = Operator("erf", 1, torch.erf, "sympy:erf", cost=3)

#: Ids as the first release and its networks have them: append only, never edit.
IDS = (
    "add sub mul div pow neg inv abs sqrt square cube log exp sin cos tan asin acos atan sinh cosh tanh min max pi"
).split()


def test_ids_are_those_of_the_first_release(vocabulary):
    assert (PAD, CONSTANT, LITERAL, FIRST_OPERATOR, VARIABLE) == (0, 1, 2, 8, 256)
    assert [vocabulary.id(name) for name in IDS] == list(range(8, 8 + len(IDS)))


def test_extending_and_restricting_keep_ids(vocabulary):
    more = vocabulary.extended([ERF]).restricted(["erf", "sin"])
    assert more.id("erf") == FIRST_OPERATOR + len(ELEMENTARY)
    assert all(more.id(o.name) == vocabulary.id(o.name) for o in vocabulary)
    assert [o.name for o in more] == ["sin", "erf"]
    assert "sin" in more and "cos" not in more and "no such" not in more
    assert more.operator("cos").name == more.operator(more.id("cos")).name == "cos"


def test_extending_a_restricted_vocabulary_activates_the_new_operators(vocabulary):
    assert {o.name for o in vocabulary.restricted(["sin"]).extended([ERF])} == {"sin", "erf"}


def test_tables(vocabulary):
    more = vocabulary.extended([ERF])
    assert more.arities[[PAD, CONSTANT, LITERAL, VARIABLE]].tolist() == [0, 0, 0, 0]
    assert more.arities[[more.id("add"), more.id("sin"), more.id("pi")]].tolist() == [2, 1, 0]
    assert more.costs[[PAD, CONSTANT, VARIABLE, more.id("sin"), more.id("erf")]].tolist() == [0, 1, 1, 1, 3]


def test_equality_is_by_content(vocabulary):
    assert Vocabulary(ELEMENTARY) == vocabulary and hash(Vocabulary(ELEMENTARY)) == hash(vocabulary)
    assert vocabulary.restricted(["sin"]) != vocabulary


def test_wrong_names_are_refused(vocabulary):
    with pytest.raises(PluginConflictError, match="two operators are called 'sin'"):
        vocabulary.extended([Operator("sin", 1, torch.sin, "sympy:sin")])
    with pytest.raises(UnknownNameError, match="did you mean 'sqrt'"):
        vocabulary.restricted(["sqr"])
    with pytest.raises(UnknownNameError, match="no operator 'sinn'; did you mean 'sin'"):
        vocabulary.id("sinn")
