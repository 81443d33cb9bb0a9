"""The spread between forms that explain the data about as well."""

import pandas as pd
import pytest
import torch

from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.observations import Observations
from sr_accessor.result import FitResult
from sr_accessor.search.front import Front
from sr_accessor.uncertainty.forms import form_weights, spread_of_forms

VOCABULARY = Vocabulary(ELEMENTARY)


def front(*bits: float) -> Front:
    laws = concatenate([parse(text, VOCABULARY, ["x", "z"]) for text in ("x", "2*x", "x + x*sqrt(z)")])
    return Front(laws, torch.zeros(3, dtype=torch.float64), torch.tensor(bits, dtype=torch.float64), ("a", "b", "c"))


def test_a_bit_is_a_factor_of_two_and_long_descriptions_do_not_count():
    assert form_weights(front(20.0, 21.0, 31.0)).tolist() == pytest.approx([2 / 3, 1 / 3, 0])


def test_spread_is_the_weighted_deviation_and_invalid_laws_are_left_out():
    x = torch.tensor([[3.0, 1.0], [3.0, -1.0]], dtype=torch.float64)
    mean, std = spread_of_forms(front(20.0, 20.0, 20.0), x)
    assert mean.tolist() == pytest.approx([(3 + 6 + 6) / 3, 4.5])
    assert std.tolist() == pytest.approx([2**0.5, 1.5])
    assert spread_of_forms(front(1.0, 50.0, 50.0), x)[1].tolist() == [0, 0]


def test_a_result_tells_it_for_new_rows_and_in_its_report():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "z": [1.0, 1.5, 1.0, 2.0], "y": [1.1, 2.1, 2.9, 4.0]})
    seen = Observations.from_frame(frame, "y")
    several = FitResult(observations=seen, front=front(20.0, 20.0, 60.0), noise=GAUSSIAN)
    found = several.spread(frame[["x"]].set_index(pd.Index(list("abcd"))))
    assert list(found.columns) == ["mean", "std"] and list(found.index) == list("abcd")
    assert found["std"].tolist() == pytest.approx([0.5, 1, 1.5, 2])
    assert "spread of forms" in several.report() and "given this form" in several.report()
    alone = FitResult(observations=seen, front=front(20.0, 60.0, 60.0), noise=GAUSSIAN)
    assert "spread of forms" not in alone.report()
