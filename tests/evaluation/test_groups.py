"""The benchmark of groups: the batch is faster, and finds the same."""

from sr_accessor.evaluation.groups import measure_groups


def test_one_batch_is_faster_and_the_same():
    row = measure_groups(400, 30, 40, seed=0)
    assert row["ratio"] > 20 and row["largest difference"] < 1e-9
