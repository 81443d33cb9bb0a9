"""Columns: every kind of effect is seen among columns that say nothing and columns that only resemble those that do."""

import math

import numpy as np
import pytest
import torch

from sr_accessor.search import columns
from sr_accessor.search.columns import MOST_COLUMNS, relevant_columns

#: name -> (how the true columns lie, the law)
UNIT = lambda random, n: random.uniform(-1, 1, n)  # noqa: E731
DECADES = lambda random, n: 10 ** random.uniform(-2, 2, n)  # noqa: E731
COIN = lambda random, n: random.integers(0, 2, n).astype(float)  # noqa: E731
EFFECTS = {
    "linear, one strong": ((UNIT,) * 3, lambda a, b, c: 20 * a + b - 0.5 * c),
    "monotone": ((UNIT,) * 2, lambda a, b: np.exp(2 * a) + np.tanh(3 * b)),
    "even": ((UNIT,) * 2, lambda a, b: a**2 + np.cos(4 * b)),
    "product of two centred": ((UNIT,) * 2, lambda a, b: a * b),
    "product of three centred": ((UNIT,) * 3, lambda a, b, c: a * b * c),
    "the same beside a constant": ((UNIT,) * 3, lambda a, b, c: 5 + a * b * c),
    "signs differ": ((UNIT,) * 2, lambda a, b: np.sign(a) * np.sign(b)),
    "coins differ": ((COIN,) * 3, lambda a, b, c: (a != b) + 0.3 * c),
    "wave of a difference": ((UNIT,) * 2, lambda a, b: np.sin(7 * a - 5 * b)),
    "powers over decades": ((DECADES,) * 3, lambda a, b, c: a**1.5 * c / b),
    "quotient": ((DECADES,) * 3, lambda a, b, c: a / (a + b) + c / 100),
    "difference squared": ((UNIT,) * 4, lambda a, b, c, d: (a - b) ** 2 + (c - d) ** 2),
}


def table(name, rows=1500, width=24, noise=0.01, seed=0):
    """x (N, D), y (N,), the true columns; every third of the others is a true one with half as much noise again."""
    random = np.random.default_rng(seed)
    kinds, law = EFFECTS[name]
    true = [kind(random, rows) for kind in kinds]
    y = law(*true)
    y = (
        y * (1 + noise * random.normal(size=rows))
        if kinds[0] is DECADES
        else y + noise * y.std() * random.normal(size=rows)
    )
    others = [(UNIT, DECADES, COIN)[i % 3](random, rows) for i in range(width - len(true))]
    for i in range(0, len(others), 3):
        like = true[i // 3 % len(true)]
        others[i] = like + 0.5 * like.std() * random.normal(size=rows)
    order = random.permutation(width)
    return np.column_stack(true + others)[:, order], y, {int(np.flatnonzero(order == j)[0]) for j in range(len(true))}


@pytest.mark.parametrize("name", EFFECTS)
def test_what_matters_is_found(name):
    x, y, true = table(name)
    found = relevant_columns(x, y, seed=1)
    assert true <= set(found.kept) and len(found.kept) <= MOST_COLUMNS
    assert len(true) <= found.found <= len(true) + 2  # what resembles a true column says nothing beside it
    assert len(found.strength) == x.shape[1] and found.rows == len(y)
    assert min(found.strength[j] for j in true) > 4.5


def test_what_only_resembles_is_found_where_the_original_is_missing():
    _, y, _ = table("even")
    random = np.random.default_rng(3)
    like = np.sqrt(np.abs(y - y.min())) + 0.3 * random.normal(size=len(y))
    assert relevant_columns(np.column_stack([like, random.normal(size=(len(y), 15))]), y, seed=0).found == 1


def test_noise_is_not_found_and_the_table_not_emptied():
    random = np.random.default_rng(5)
    found = relevant_columns(random.normal(size=(3000, 30)), random.normal(size=3000), seed=0)
    assert found.found == 0 and len(found.kept) == columns.LEAST_COLUMNS
    assert max(found.strength) < 5


def test_same_seed_same_columns_and_rows_are_bounded(monkeypatch):
    x, y, true = table("product of two centred", rows=3000)
    monkeypatch.setattr(columns, "MOST_ROWS", 800)
    first, again, other = (relevant_columns(x, y, seed=s) for s in (1, 1, 2))
    assert first == again and first.rows == 800 and first.strength != other.strength
    assert true <= set(first.kept) and true <= set(other.kept)
    monkeypatch.setattr(columns, "MOST_CELLS", 24 * 400)
    assert relevant_columns(x, y, seed=1).rows == 400


def test_what_the_user_names_is_kept_and_counts():
    x, y, true = table("linear, one strong")
    idle = sorted(set(range(x.shape[1])) - true)[:9]
    found = relevant_columns(x, y, seed=0, always=idle)
    assert set(idle) < set(found.kept) and len(found.kept) == MOST_COLUMNS
    assert all(map(math.isfinite, found.strength))
    assert true & set(found.kept)  # the tenth is the one that says most
    wide = relevant_columns(x, y, seed=0, always=idle, most=12)
    assert true <= set(wide.kept)


def test_a_copy_of_the_target_explains_everything():
    x, y, _ = table("even")
    x[:, 7] = 3 * y - 1
    found = relevant_columns(x, y, seed=0)
    assert 7 in found.kept and found.found == 1


def test_values_may_be_huge_or_tiny_and_repeat():
    x, y, true = table("powers over decades")
    scale = 10.0 ** np.linspace(-140, 140, x.shape[1])
    found = relevant_columns(x * scale, y * 1e-150, seed=0)
    assert true <= set(found.kept)
    rounded = relevant_columns(np.round(x, 1) + 0.0, y, seed=0)
    assert len(rounded.kept) >= 3 and all(map(math.isfinite, (s for s in rounded.strength if s > -math.inf)))


def test_polynomials_are_orthonormal_over_the_rows_whatever_repeats():
    random = np.random.default_rng(0)
    x = torch.from_numpy(np.column_stack([random.normal(size=400), random.integers(0, 3, 400), np.full(400, 2.0)]))
    effects = columns._polynomials(columns._ranks(x), 4)
    for j, degrees in enumerate((4, 2, 0)):  # three values carry degrees 1 and 2
        products = effects[:, :, j] @ effects[:, :, j].T / 400
        expected = torch.diag((torch.arange(4) < degrees).double())
        torch.testing.assert_close(products, expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(effects[:, :, j].mean(1), torch.zeros(4).double(), rtol=0, atol=1e-6)


def test_equal_values_share_the_middle_rank():
    ranks = columns._ranks(torch.tensor([[3.0], [1.0], [3.0], [2.0]]).double())
    assert ranks[:, 0].tolist() == [0.5, -0.75, 0.5, -0.25]
