"""Selection rules on fronts whose answer is known."""

import math

import pytest
import torch

from sr_accessor.errors import InputError, UnknownNameError
from sr_accessor.expressions.batch import concatenate, constant, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.front import Front
from sr_accessor.search.rules import RULES, choose

VOCABULARY = Vocabulary(ELEMENTARY)
N = 100


def front(loss: list[float], bits: list[float] | None = None) -> Front:
    """Rows c, c + c·x, (c + c·x) + c·x, ... with complexities 1, 5, 9, ..."""
    laws = [constant([1.0], VOCABULARY)]
    for _ in loss[1:]:
        laws.append(laws[-1] + constant([1.0], VOCABULARY) * variable([0], VOCABULARY))
    bits = bits or [10.0 * (i + 1) for i in range(len(loss))]
    tensors = (torch.tensor(values, dtype=torch.float64) for values in (loss, bits))
    return Front(concatenate(laws), *tensors, ("guess",) * len(loss))


@pytest.mark.parametrize(
    "rule, loss, chosen",
    [
        ("accuracy", [50.0, 40.0, 39.9], 2),
        ("aic", [50.0, 49.1, 48.0], 0),  # 102, 102.2, 102
        ("aic", [50.0, 48.9, 47.95], 1),
        ("bic", [50.0, 50.0 - 0.51 * math.log(N), 50.0 - 0.52 * math.log(N)], 1),
        ("bic", [50.0, 50.0 - 0.49 * math.log(N), 50.0 - 0.50 * math.log(N)], 0),
        ("mdl", [50.0, 50.0 - 10.1 * math.log(2), 50.0 - 10.2 * math.log(2)], 1),
        ("mdl", [50.0, 50.0 - 9.9 * math.log(2), 50.0 - 19.8 * math.log(2)], 0),
        ("knee", [100.0, 20.0, 10.0, 5.0], 1),
        ("knee", [100.0, 90.0, 10.0, 9.0], 2),
        ("knee", [100.0, 90.0], 1),
        ("knee", [100.0], 0),
    ],
)
def test_rule(rule, loss, chosen):
    assert choose(front(loss), rule, N) == chosen


def test_validation_takes_the_least_finite_error_and_the_simpler_of_equals():
    error = torch.tensor([3.0, 1.0, torch.nan, 1.0], dtype=torch.float64)
    assert choose(front([9.0, 8.0, 7.0, 6.0]), "validation", N, error) == 1


def test_validation_needs_held_out_rows():
    with pytest.raises(InputError, match=r"held-out rows.*validation=0\.2"):
        choose(front([9.0, 8.0]), "validation", N)


def test_unknown_rule_names_the_nearest():
    with pytest.raises(UnknownNameError, match="no selection rule 'acuracy'; did you mean 'accuracy'"):
        choose(front([9.0]), "acuracy", N)


def test_every_rule_says_what_it_is():
    assert all(rule.__doc__ for rule in RULES.values())
