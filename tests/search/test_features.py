"""Features: powers, exponentials and parities are read off values, for built-in and for strange operators."""

import pytest
import torch

from sr_accessor.expressions.batch import variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.features import features, inner_grid

VOCABULARY = Vocabulary(ELEMENTARY)
EVEN_OR_ODD = {"sin", "cos", "tan", "asin", "atan", "sinh", "cosh", "tanh"}


def by_name(vocabulary=VOCABULARY):
    return {feature.name: feature for feature in features(vocabulary)}


def test_flags_of_all_operators():
    plain = {name: f for name, f in by_name().items() if name in {o.name for o in ELEMENTARY}}
    # abs, square, cube, sqrt, inv and neg are powers: exponents cover them
    assert set(plain) == {"exp", "log", *EVEN_OR_ODD, "acos"}
    assert {name for name, f in plain.items() if f.exponential} == {"exp"}
    assert {name for name, f in plain.items() if not f.signed} == EVEN_OR_ODD


@pytest.mark.parametrize("feature", features(VOCABULARY), ids=lambda f: f.name)
def test_what_is_written_is_what_is_computed(feature):
    z = torch.linspace(0.05, 0.9, 30, dtype=torch.float64)
    law = feature.build(variable([0], VOCABULARY))
    assert bool(law.well_formed.all()) and bool(law.permitted.all())
    torch.testing.assert_close(evaluate(law, z[:, None])[0][0], feature.value(z), rtol=1e-14, atol=0.0)


def test_a_user_operator_is_a_feature():
    def bump(z):
        return torch.exp(-z * z)

    strange = Operator("bump", 1, bump, "sympy:cos")  # even, no exponential, no power
    base2 = Operator("two_to", 1, torch.exp2, "sympy:exp")
    fourth = Operator("fourth", 1, lambda z: z**4, "sympy:cos")
    found = by_name(VOCABULARY.extended([strange, base2, fourth]))
    assert not found["bump"].signed and not found["bump"].exponential and "1−bump" in found
    assert found["two_to"].exponential and found["two_to"].signed
    assert "fourth" not in found


def test_only_active_operators():
    found = by_name(VOCABULARY.restricted(["mul", "exp", "sub"]))
    assert set(found) == {"exp", "1−exp"}


def test_inner_grid_is_finite_and_signed_where_it_matters():
    groups = torch.rand(5, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 100
    for feature in features(VOCABULARY):
        grid = inner_grid(feature, groups)
        assert grid.shape[0] == 5 and bool(grid.isfinite().all()) and bool((grid != 0).all())
        assert bool((grid < 0).any()) == (feature.signed and feature.bits < 7)
