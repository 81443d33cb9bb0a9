"""Sums of monomials with positive, negative and half exponents: every choice of a few, and a few of hundreds."""

import itertools

import pytest
import torch

from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.search.loop import start, step
from sr_accessor.search.proposals import propose_negative_powers
from sr_accessor.search.pursuit import best_subsets
from sr_accessor.search.selection import Data

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = ["a", "b", "c", "d", "e"]
GENERATOR = torch.Generator().manual_seed(7)
X = torch.rand(400, 5, dtype=torch.float64, generator=GENERATOR) * 3.5 + 0.5
NOISE = torch.randn(400, dtype=torch.float64, generator=GENERATOR)
#: Sums as laboratories meet them: heat capacities, dispersion, potentials, and of several variables.
LAWS = {
    "a": ["1.5 + 0.004/a**2 + 0.2/a**4", "25 + 3*a - 4/a**2", "5/a**6 - 3/a**3 + 0.2*a + 1.1"],
    "a b": ["2*sqrt(a)/b + 0.3*b - 1.2*a", "a*b - 2.5/b**2 + 0.7*b/a"],
    "a b c d": ["0.7*a*b/c - 1.9/a + 3.3*d/b + 0.2*c*d"],
    "a b c d e": ["3*d/e - 3*a/e + 1.3*b/e**2 - 2.2"],
}
CASES = [(names.split(), law) for names, laws in LAWS.items() for law in laws]


def data(law: str, names: list[str], noise: float) -> Data:
    x = X[:, [NAMES.index(n) for n in names]]
    y = evaluate(parse(law, VOCABULARY, names), x)[0][0]
    return Data(x, y + noise * y.std() * NOISE, None, GAUSSIAN)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(("names", "law"), CASES, ids=[law for _, law in CASES])
def test_sums_of_powers_are_proposed(names, law, noise):
    rows = data(law, names, noise)
    state = start(rows, VOCABULARY, seed=0)
    found = propose_negative_powers(noisy=state.workspace.noisy)(state, torch.Generator())
    candidates = concatenate([e for name, e in found if name.endswith(", y")])
    loss = levenberg_marquardt(candidates, rows.x, rows.y, None, steps=10).loss
    truth = parse(law, VOCABULARY, names, numbers="constant")
    least = float(levenberg_marquardt(truth, rows.x, rows.y, None, steps=10).loss[0])
    short = candidates.free.sum(1) <= truth.free.sum(1) + 1
    assert float(loss[short & loss.isfinite()].min()) <= least * (1 + 1e-6) + 1e-20 * float(rows.y.square().sum())


def test_such_a_sum_is_found_in_the_first_rounds():
    state = start(data(CASES[-1][1], CASES[-1][0], 0.0), VOCABULARY, seed=0)
    for _ in range(4):
        state = step(state)
    assert state.exact


@pytest.mark.parametrize("keep", [1, 4])
def test_best_subsets_are_those_of_trying_all(keep):
    columns, goal = X[:60, :].T, NOISE[:60] + X[:60, 0]
    for index, coefficients in best_subsets(columns, goal, keep):
        k = index.shape[1]
        every = list(itertools.combinations(range(len(columns)), k))
        left = [
            float((goal - s @ torch.linalg.lstsq(s, goal[:, None]).solution[:, 0]).square().sum())
            for s in (columns[list(c)].T for c in every)
        ]
        best = sorted(range(len(every)), key=left.__getitem__)[:keep]
        assert [tuple(row) for row in index.tolist()] == [every[i] for i in best]
        again = torch.linalg.lstsq(columns[index[0]].T, goal[:, None]).solution[:, 0]
        torch.testing.assert_close(coefficients[0], again)


def test_equal_columns_are_not_chosen_together():
    columns = torch.stack([X[:60, 0], 2 * X[:60, 0], X[:60, 1]])
    pairs = best_subsets(columns, NOISE[:60], 3)[1][0]
    assert [0, 1] not in pairs.tolist()
