"""What an expression is linear in: a single term holds no sum that could be split without opening a function."""

import pytest

from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.linear import single_term
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary

VOCABULARY = Vocabulary(ELEMENTARY)
SINGLE = ["a", "a*b", "-a*b", "sin(a + b)*c", "a/(b + c)", "exp(a - b)/(a + c)**2", "(a + b)**2.5", "1/(a - b)"]
SUMS = [
    "a + b",
    "(a + b)/c",
    "a*(b - 1)",
    "sqrt(a + b)*(a - b)",
    "-(a - b)",
    "sin(a)*(b + c*(a - b))",
    "(a - b)/(a + b)",
]


@pytest.mark.parametrize("together", [True, False])
def test_a_single_term_has_its_sums_inside_functions_and_denominators(together):
    laws = [parse(text, VOCABULARY, ["a", "b", "c"]) for text in SINGLE + SUMS]
    expected = [True] * len(SINGLE) + [False] * len(SUMS)
    if together:  # rows of different lengths in one batch
        assert single_term(concatenate(laws)).tolist() == expected
    else:
        assert [bool(single_term(law)) for law in laws] == expected
