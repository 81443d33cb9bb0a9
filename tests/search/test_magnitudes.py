"""Magnitudes of positive variables are written as the variables; not where a user requires or writes them."""

import numpy as np
import pandas as pd
import pytest
import torch

import sr_accessor as sr
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.search.loop import start
from sr_accessor.search.polishing import polish
from sr_accessor.search.selection import Data

VOCABULARY = Vocabulary(ELEMENTARY)


def test_magnitudes_of_positive_variables_are_the_variables():
    x = torch.rand(80, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.5
    rows = Data(x * torch.tensor([1.0, -1.0], dtype=torch.float64), 3.1 * x[:, 0] + 0.2 * x[:, 1], None, GAUSSIAN)
    law = parse("3.0*abs(a) + 0.3*abs(b)", VOCABULARY, ["a", "b"], numbers="constant")
    polished = polish([("test", law)], start(rows, VOCABULARY, seed=0).workspace, float("inf"))
    assert {t.count("abs") for t in to_text(polished.expressions, ["a", "b"])} == {1}


ASKED = {"template": {"template": "A*abs(x) + f(t)"}, "require": {"constraints": sr.Constraints(require=["abs"])}}


@pytest.mark.parametrize("way", ASKED)
def test_what_the_user_asks_for_stays(way):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.uniform(1, 3, 60), "t": generator.uniform(1, 3, 60)})
    frame["y"] = 2.1 * frame["x"] + 0.5 * frame["t"]
    law = sr.fit(frame, "y", max_rounds=4, random_state=0, progress=False, **ASKED[way]).best
    assert "abs" in str(law)
