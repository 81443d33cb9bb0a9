"""The measurement of outliers: one easy law is found with them and without."""

from sr_accessor.evaluation.outliers import measure_outliers
from sr_accessor.evaluation.problems import select


def test_an_easy_law_is_found_either_way():
    (record,) = select(names=["feynman_I_25_13"])
    row = measure_outliers(record, 0.05, seconds=60, rounds=1, seed=0)
    assert row["clean"] and row["outliers"]
