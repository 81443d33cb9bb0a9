"""Views: undoing one gives the law of y, and its slope is the derivative."""

import pytest
import torch

from sr_accessor.expressions.batch import variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.views import VIEWS

VOCABULARY = Vocabulary(ELEMENTARY)
Y = torch.linspace(0.05, 0.95, 37, dtype=torch.float64)  # every view is defined here
IDS = [view.name for view in VIEWS]


@pytest.mark.parametrize("view", VIEWS, ids=IDS)
def test_undo_is_the_inverse(view):
    assert view.usable(Y, VOCABULARY)
    law = view.undo(variable([0], VOCABULARY))  # T(y) is the variable
    assert bool(law.well_formed.all()) and bool(law.permitted.all())
    torch.testing.assert_close(evaluate(law, view.forward(Y)[:, None])[0][0], Y, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("view", VIEWS, ids=IDS)
def test_undo_works_on_batches_and_writes_only_what_it_needs(view):
    law = view.undo(variable([0, 1, 2], VOCABULARY))
    assert len(law) == 3 and bool(law.well_formed.all())
    restricted = VOCABULARY.restricted(["neg", *view.needs])
    assert bool(view.undo(variable([0], restricted)).permitted.all())
    for name in view.needs:
        others = VOCABULARY.restricted([o.name for o in ELEMENTARY if o.name != name])
        assert not view.usable(Y, others)


@pytest.mark.parametrize("view", VIEWS, ids=IDS)
def test_slope_is_the_derivative(view):
    y = Y.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(view.forward(y).sum(), y)
    torch.testing.assert_close(view.slope(Y).expand_as(Y), slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "name, y",
    [
        ("1/y", [1.0, 0.0]), ("log y", [1.0, -1.0]), ("√y", [1.0, 0.0]), ("y²", [1.0, -1.0]), ("exp y", [1.0, 31.0]),
        ("1−y²", [0.5, 1.1]), ("sin y", [0.5, 1.6]), ("cos y", [0.5, -0.1]), ("tan y", [0.5, 1.6]),
        ("1/y−1", [1.0, 0.0]), ("1/y²", [1.0, -1.0]),
    ],
)  # fmt: skip
def test_not_usable_where_it_is_not_invertible(name, y):
    (view,) = [v for v in VIEWS if v.name == name]
    assert not view.usable(torch.tensor(y, dtype=torch.float64), VOCABULARY)
