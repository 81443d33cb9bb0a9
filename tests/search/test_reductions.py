"""Reductions: variables that a law has only together are found, with noise, and laws are put together again."""

import pytest
import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.search.loop import start, step
from sr_accessor.search.reductions import reductions
from sr_accessor.search.selection import Data

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = ["a", "b", "c", "d"]
GENERATOR = torch.Generator().manual_seed(7)
X = 1 + 2 * torch.rand(600, 4, dtype=torch.float64, generator=GENERATOR)
NOISE = torch.randn(600, dtype=torch.float64, generator=GENERATOR)


def values(formula: str, x: torch.Tensor = X) -> torch.Tensor:
    return evaluate(parse(formula, VOCABULARY, NAMES), x)[0][0]


def found(formula: str, noise: float = 0.0, *, log: bool = False, vocabulary: Vocabulary = VOCABULARY):
    y = values(formula)
    y = y + noise * y.std() * NOISE
    return reductions(X, y, torch.ones_like(y), vocabulary, log=log)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("(a - 2)*(sin(b*c) + 0.3*d)", ["1", "a", "b*c", "d"]),
        ("exp(-(a - b)**2/c)*d", ["d", "(a - b)/sqrt(c)"]),
        ("d**2*tanh(a/b)/c", ["d**2/c", "a/b"]),
    ],
)
def test_what_y_depends_on_together_is_found(formula, parts, noise):
    assert to_text(found(formula, noise)[0].written(), NAMES) == parts


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(
    ("formula", "factor", "slant"),
    [("cos(1.3*a - 0.6*b)*c/d", "c/d", -0.6 / 1.3), ("sin(2.2*a + 3.1*d)*b/c", "b/c", 3.1 / 2.2)],
)
def test_a_plane_wave_depends_on_one_sum_with_the_ratio_of_its_frequencies(formula, factor, slant, noise):
    best = found(formula, noise)[0]
    whole = best.written()
    assert to_text(whole[:1], NAMES) == [factor]
    assert len(whole) == 2
    assert float(whole[1:].constants[whole[1:].free]) == pytest.approx(slant, rel=3e-2)


@pytest.mark.parametrize(("formula", "log"), [("d*exp(-a/b)/c", True), ("a*(sin(b*c) + 0.3*d)", False)])
def test_the_law_is_the_factor_times_a_function_of_the_groups(formula, log):
    """Moved along the symmetry, points keep factor and groups, so that the law must keep its value."""
    for reduction in found(formula, log=log):
        factor, groups = reduction.values(X)
        moved = X.clone()
        parts = to_text(reduction.written(), NAMES)
        assert len(groups[0]) < X.shape[1], parts
        # the same groups from other variables: b·c with b doubled and c halved, a/b with both doubled
        if formula.startswith("a"):
            moved[:, 1], moved[:, 2] = X[:, 1] * 2, X[:, 2] / 2
        else:
            moved[:, 0], moved[:, 1] = X[:, 0] * 2, X[:, 1] * 2
        again, same = reduction.values(moved)
        torch.testing.assert_close(same, groups, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(values(formula, moved) / again, values(formula) / factor, rtol=1e-9, atol=1e-9)


def test_laws_are_put_together_again():
    reduction = found("a*(sin(b*c) + 0.3*d)")[0]
    texts = to_text(reduction.written(), NAMES)[1:]
    own = ["u", "v"]
    rest = parse(f"sin({own[texts.index('b*c')]}) + 0.3*{own[texts.index('d')]}", VOCABULARY, own)
    torch.testing.assert_close(
        evaluate(reduction.rejoined(rest), X)[0][0], values("a*(sin(b*c) + 0.3*d)"), rtol=1e-12, atol=1e-12
    )


def test_there_are_none_where_every_variable_counts_for_itself():
    assert found("sin(a)*exp(-b) + tanh(c - 2)/d") == []


def test_too_few_rows_or_operators_yield_none():
    y = values("a*b*c")
    assert reductions(X[:20], y[:20], y[:20], VOCABULARY, log=False) == []
    sums = Vocabulary([o for o in ELEMENTARY if o.name != "mul"])
    assert reductions(X, y, y, sums, log=False) == []
    assert reductions(X, y - y.median(), y, VOCABULARY, log=True) == []  # a logarithm needs one sign


def test_a_target_that_is_mostly_zero_and_columns_that_are_not_finite_together():
    y = (X[:, 0] * X[:, 1] - 6).clamp(min=0)
    assert float(y.median()) == 0
    assert [
        set(to_text(way.written()[1:], NAMES)) for way in reductions(X, y, torch.ones_like(y), VOCABULARY, log=False)
    ]
    huge = X.clone()
    huge[:, 2:] = 10.0 ** (150 * (X[:, 2:] - 1))  # products of these overflow
    assert isinstance(reductions(huge, values("a*b"), torch.ones_like(y), VOCABULARY, log=False), list)


def test_no_sums_without_the_operators_for_them():
    products = Vocabulary([o for o in ELEMENTARY if o.name not in ("add", "sub")])
    for reduction in found("exp(-(a - b)**2/c)*d", vocabulary=products):
        assert not len(reduction.sums)


def test_a_round_of_the_search_uses_it():
    """Six variables that are two: a product with a difference, and a factor that changes its sign."""
    x = 1 + 2 * torch.rand(500, 6, dtype=torch.float64, generator=GENERATOR)
    x[:, 0] -= 2
    u = x[:, 1] * (x[:, 2] - x[:, 3])
    y = x[:, 0] * x[:, 4] / x[:, 5] * torch.sin(u / 2) ** 2 / u**2
    state = start(Data(x, y, None, GAUSSIAN), VOCABULARY, seed=0)
    while not state.exact and state.round < 8:
        state = step(state)
    assert state.exact
    assert state.front.origins[int(state.front.description_length.argmin())] == "reduced"
