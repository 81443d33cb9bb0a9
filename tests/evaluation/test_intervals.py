"""Wilson's intervals and the sign test beside published values, and what only one of two methods solves."""

import pytest

from sr_accessor.evaluation.intervals import paired, sign_test, wilson


@pytest.mark.parametrize(
    ("hits", "trials", "interval"),
    [  # statsmodels.stats.proportion.proportion_confint(..., method="wilson")
        (0, 10, (0.0, 0.2775328)),
        (10, 10, (0.7224672, 1.0)),
        (81, 263, (0.2553, 0.3662)),  # Newcombe 1998, Statistics in Medicine 17, 857, table I
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson(hits, trials, interval):
    assert wilson(hits, trials) == pytest.approx(interval, abs=6e-5)


def test_nothing_known_without_a_trial():
    assert wilson(0, 0) == (0.0, 1.0)


def test_impossible_count():
    with pytest.raises(ValueError, match="hits=3 must be between 0 and trials=2"):
        wilson(3, 2)


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (3, 3, 1.0), (5, 0, 2 / 32), (0, 5, 2 / 32), (8, 2, 112 / 1024)]
)
def test_sign_test(first, second, p):  # scipy.stats.binomtest(first, first + second).pvalue
    assert sign_test(first, second) == pytest.approx(p)


def test_paired_counts_what_only_one_method_solves():
    first, second = [True, True, True, False, False], [True, False, False, True, False]
    assert paired(first, second) == "won 2, lost 1 (sign test p = 1)"
    with pytest.raises(ValueError, match="zip"):
        paired(first, second[:3])
