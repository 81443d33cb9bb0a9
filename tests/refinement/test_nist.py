"""NIST's certified nonlinear regressions: constants to six digits, sums of squares to nine."""

import pandas as pd
import pytest
import torch

from sr_accessor import evaluation
from sr_accessor.evaluation.problems import select
from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse_model
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.refinement.refine import refine

PACK = next(iter(evaluation.__path__)) + "/pack/"
VOCABULARY = Vocabulary(ELEMENTARY)
RECORDS = {record.name.removeprefix("nist_"): record for record in select({"nist_strd"})}
#: NIST's first starts are far away on purpose. From these two the loss falls towards another, infinitely long valley.
TOO_FAR = {("MGH10", 1), ("MGH17", 1)}
POSED = [(name, start) for name in RECORDS for start in (1, 2) if (name, start) not in TOO_FAR]


def posed(name: str, start: int):
    """Law at a start, names of its constants, x, y."""
    record = RECORDS[name]
    table = pd.read_csv(PACK + record.table)
    x, y = (torch.tensor(table[columns].to_numpy(float)) for columns in (record.features, record.target))
    starts = {parameter: pair[start - 1] for parameter, pair in record.certified.starts.items()}
    model = parse_model(record.certified.model, VOCABULARY, record.features, starts)
    return model.expressions, model.parameters, x, y


@pytest.mark.parametrize("name, start", POSED)
def test_certified_values(name, start):
    law, parameters, x, y = posed(name, start)
    found = refine(law, x, y, steps=300)
    nist = RECORDS[name].certified
    got = dict(zip(parameters, found.expressions.constants[0].tolist(), strict=True))
    for parameter, value in nist.values.items():
        assert got[parameter] == pytest.approx(value, rel=1e-6), parameter
    # Lanczos1 is exact but for the rounding of its table: its certified 1.4e-25 is below what float64 can say.
    assert float(found.loss[0]) == pytest.approx(nist.residual_sum_of_squares, rel=1e-9, abs=1e-24)


def test_all_starts_of_a_problem_in_one_batch():
    """Three exponentials from both starts at once: the same optimum."""
    (one, _, x, y), (two, _, _, _) = posed("Lanczos3", 1), posed("Lanczos3", 2)
    found = refine(concatenate([one, two]), x, y, steps=300)
    torch.testing.assert_close(found.loss[0], found.loss[1], rtol=1e-9, atol=0.0)
