"""Rows of a problem: scikit-learn's split, ranges, grids, wider ranges, noise of the stated size."""

import zlib

import numpy as np
import pytest

from sr_accessor.evaluation.rows import Variable, add_noise, grid_inputs, sample_inputs, split_indices

# scikit-learn 1.9.1, train_test_split(np.arange(n), train_size=.75, test_size=.25, random_state=seed)
SPLITS = {
    (9, 23654): ([2, 3, 8, 1, 0, 7], [6, 5, 4]),
    (10, 860): ([7, 9, 2, 5, 4, 3, 1], [0, 6, 8]),
    (13, 15795): ([4, 6, 5, 2, 10, 11, 7, 0, 1], [8, 9, 12, 3]),
}
LARGE_SPLITS = {(1334, 23654): (922958914, 3091634852), (9275, 5390): (2320747595, 3306077601)}  # crc32 of int64


@pytest.mark.parametrize("case", SPLITS)
def test_split_is_scikit_learns(case):
    train, test = split_indices(*case)
    assert (train.tolist(), test.tolist()) == SPLITS[case]


@pytest.mark.parametrize("case", LARGE_SPLITS)
def test_large_split_is_scikit_learns(case):
    assert tuple(zlib.crc32(part.astype("<i8").tobytes()) for part in split_indices(*case)) == LARGE_SPLITS[case]


def test_inputs_lie_in_their_ranges():
    variables = [
        Variable("u", -2.0, 3.0),
        Variable("g", 1e-3, 1e3, "loguniform"),
        Variable("n", 1, 3, "integer"),
    ]
    frame = sample_inputs(variables, 4000, np.random.default_rng(0))
    assert frame["u"].between(-2, 3).all() and abs(frame["u"].mean() - 0.5) < 0.1
    assert frame["g"].between(1e-3, 1e3).all() and abs(np.log10(frame["g"]).mean()) < 0.1
    assert set(frame["n"]) == {1.0, 2.0, 3.0}


def test_grid_is_the_product_of_its_axes():
    frame = grid_inputs([Variable("a", 0, 1, "grid", 3), Variable("b", 5, 6, "grid", 2)])
    assert frame.to_numpy().tolist() == [[0, 5], [0, 6], [0.5, 5], [0.5, 6], [1, 5], [1, 6]]


@pytest.mark.parametrize(
    ("low", "high", "wide"), [(1.0, 5.0, (2 / 3, 6.0)), (4.0, 5.0, (3.75, 5.25)), (-1.0, 1.0, (-1.5, 1.5))]
)
def test_widened_positive_range_stays_positive(low, high, wide):
    v = Variable("a", low, high).widened(1.5)
    assert (v.low, v.high) == pytest.approx(wide)


def test_noise_is_relative_to_the_root_mean_square():
    y = np.full(20_000, 3.0)
    noisy = add_noise(y, 0.1, np.random.default_rng(0))
    assert np.std(noisy - y) == pytest.approx(0.3, rel=0.02)
    assert np.array_equal(add_noise(y, 0.0, np.random.default_rng(0)), y)
