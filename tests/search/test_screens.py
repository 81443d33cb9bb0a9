"""Screens: planted laws are found without noise and with 1 %, and elimination agrees with trying all subsets."""

import itertools
import math

import pytest
import torch

from sr_accessor.expressions.batch import Expressions, concatenate, literal
from sr_accessor.expressions.build import exponents_up_to, monomials
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.search.features import features
from sr_accessor.search.inner import best_inner, feature_rows, share_left
from sr_accessor.search.library import build_library
from sr_accessor.search.loop import start
from sr_accessor.search.power_screens import regress, screen_log_pair, screen_power, screen_powers
from sr_accessor.search.proposals import propose_mixed
from sr_accessor.search.ratio_screens import screen_fraction, screen_noisy_ratio, screen_ratio, screen_short_ratio
from sr_accessor.search.rows import linear_rows
from sr_accessor.search.screens import (
    eliminate,
    screen_common,
    screen_one,
    screen_pair,
    screen_recombined,
    screen_sparse,
)
from sr_accessor.search.selection import Data
from sr_accessor.search.surfaces import smoothed
from sr_accessor.search.targets import Rows, Target
from sr_accessor.search.views import VIEWS

VOCABULARY = Vocabulary(ELEMENTARY)
N, NAMES = 150, ["a", "b", "c"]
GENERATOR = torch.Generator().manual_seed(2)
X = torch.rand(N, 3, dtype=torch.float64, generator=GENERATOR) * 2 + 0.5
NOISE = torch.randn(N, dtype=torch.float64, generator=GENERATOR)


@pytest.fixture(scope="module")
def library():
    return build_library(X, VOCABULARY, count=300)


@pytest.fixture(scope="module")
def rows(library):
    return linear_rows(library, features(VOCABULARY), VOCABULARY)


def values_of(formula: str, noise: float) -> torch.Tensor:
    y = evaluate(parse(formula, VOCABULARY, NAMES), X)[0][0]
    return y * (1 + noise * NOISE)


def view(name: str):
    return next(v for v in VIEWS if v.name == name)


def target(y: torch.Tensor, name: str = "y", relative: bool = False) -> Target:
    return Target.of(view(name), y, y.abs() if relative else torch.ones_like(y), relative=relative)


def monomial_rows(degree: int) -> Rows:
    grid = torch.tensor([e for e in itertools.product(range(degree + 1), repeat=3) if sum(e) <= degree])
    expressions = monomials(grid.double(), VOCABULARY)
    return Rows(expressions, evaluate(expressions, X)[0])


ONE = Rows(literal([1.0], VOCABULARY), torch.ones(1, N, dtype=torch.float64))


def fits(laws: Expressions, formula: str, noise: float, relative: bool = True) -> bool:
    """Whether the best proposal, refined, is the law to rounding; with noise, whether it fits as well as the truth."""
    assert len(laws) and bool(laws.well_formed.all())
    y = values_of(formula, noise)
    weight = y**-2 if relative else torch.ones_like(y)
    found = levenberg_marquardt(laws, X, y, weight, steps=30)
    of_truth = ((values_of(formula, 0.0) - y).square() * weight).sum()
    limit = 1.02 * float(of_truth) if noise else 1e-18 * float((y.square() * weight).sum())
    return float(found.loss.min()) < limit


NOISES = pytest.mark.parametrize("noise", [0.0, 0.01], ids=["exact", "1 %"])


# -------------------------------------------------------------------------------------------- power laws
@NOISES
@pytest.mark.parametrize("formula", ["3*a*b**2/c", "sqrt(a)/b", "0.2*a**-2*c"])
def test_power_laws(formula, noise):
    y = values_of(formula, noise)
    assert fits(screen_powers([target(y, relative=True)], X, VOCABULARY), formula, noise)


def test_real_exponents_stay_free():
    formula = "2*a**1.31*b**-0.27"
    y = values_of(formula, 0.0)
    assert fits(screen_powers([target(y, relative=True)], X, VOCABULARY), formula, 0.0)


@NOISES
@pytest.mark.parametrize(
    "formula, name",
    [
        ("2*a*exp(-0.7*b*c)", "y"),
        ("a*b/(1 + 3*c)", "y"),
        ("1.5*sin(2*a)**2*b", "y"),
        ("c/sqrt(1 - 0.1*a**2)", "y"),
        ("4*b*(a - c)**2", "y"),
        ("1/(1 + 2*a*exp(-1.5*b))", "1/y−1"),
        ("1 + 2*a*b*exp(-c)", "y−1"),
    ],
)
def test_power_times_feature(formula, name, noise, library):
    y = values_of(formula, noise)
    found = screen_power([target(y, name, relative=True)], X, library, features(VOCABULARY), VOCABULARY)
    ((which, laws),) = found
    assert which.name == name
    assert fits(laws, formula, noise)


@pytest.mark.parametrize("seed", range(3))
def test_a_law_over_decades_is_found(seed):
    """Planck's law in SI units: exponentials of 160, values from 1e-70 to 1e-8, and all the fit in a few points."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(2, 200, dtype=torch.float64, generator=generator)
    frequency, temperature = 1e12 * 1e3 ** u[0], 3e2 * 3e1 ** u[1]
    x = torch.stack([frequency, temperature], 1)
    y = 1.4745e-50 * frequency**3 / torch.expm1(4.7979e-11 * frequency / temperature)
    seen = Target.of(view("y"), y, y, relative=True)
    ((_, laws),) = screen_power([seen], x, build_library(x, VOCABULARY, count=300), features(VOCABULARY), VOCABULARY)
    found = levenberg_marquardt(laws, x, y, y**-2, steps=30)
    assert float(found.loss.min()) < 1e-12


def test_the_variables_of_a_group_may_stand_in_its_sum():
    y = X[:, 2] * X[:, 0] * torch.sqrt(1 + 0.7 * X[:, 1] ** 2 / X[:, 0] ** 2)
    ((_, laws),) = screen_power(
        [target(y, relative=True)], X, build_library(X, VOCABULARY, count=300), features(VOCABULARY), VOCABULARY
    )
    found = levenberg_marquardt(laws, X, y, y**-2, steps=30)
    exact = found.expressions[(found.loss < 1e-20).nonzero()[:, 0]]
    texts = to_text(simplify_batch(exact), NAMES)
    assert any("a**2 + " in text and "/" not in text for text in texts), texts


def test_power_screen_of_several_views_gives_each_its_own(library):
    y = values_of("1 + 2*a*b*exp(-c)", 0.0)
    targets = [target(y, name, relative=True) for name in ("y", "y−1")]
    found = dict(screen_power(targets, X, library, features(VOCABULARY), VOCABULARY))
    assert {v.name for v in found} == {"y", "y−1"}
    assert fits(found[view("y−1")], "1 + 2*a*b*exp(-c)", 0.0)


def test_log_pair_of_two_features(rows):
    formula = "2*a*sin(b)/(1 + c)"
    y = values_of(formula, 0.0)
    assert fits(screen_log_pair(target(y, relative=True), X, rows, VOCABULARY), formula, 0.0)


@pytest.mark.parametrize("formula", ["a/(1 + b)", "c/sqrt(1 - 0.1*a**2)", "b*exp(-a*c)"])
def test_around_a_rough_fit_laws_are_found_under_noise(formula, library):
    truth = values_of(formula, 0.0)
    y = truth + 0.1 * truth.std() * NOISE
    rough = truth * (1 + 0.1 * torch.sin(3 * X[:, 0]))
    around = Target.around(view("y"), y, torch.ones_like(y), rough)
    laws = dict(screen_power([around], X, library, features(VOCABULARY), VOCABULARY, noisy=True))[view("y")]
    exact = levenberg_marquardt(laws, X, truth, steps=30)
    assert float(exact.loss.min()) < 1e-18 * float(truth.square().sum())


def test_working_response_is_the_view_where_the_fit_is_right():
    y = values_of("a/(1 + b)", 0.0)
    for name in ("y", "1/y", "log y", "1/y−1"):
        around = Target.around(view(name), y, torch.ones_like(y), y)
        plain = Target.of(view(name), y, torch.ones_like(y))
        torch.testing.assert_close(around.values, plain.values, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(around.logs, plain.logs, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(around.weight, plain.weight, rtol=1e-12, atol=0.0)


def test_single_precision_ranks_as_double_does(library):
    """The best starts of c of each group: the share that they leave agrees to two percent with double precision."""
    y = values_of("2*a*b*exp(-c)/(1 + a)", 0.01)
    fit = regress([target(y, relative=True), target(y)], X).projection
    for kind in [kind for kind in features(VOCABULARY) if not kind.exponential][:8]:  # exponentials have no grid
        share, inner = best_inner(kind, library.values, fit)
        for side in range(2):
            rows = feature_rows(kind, library.values, inner[side][:, None], True)
            exact = share_left(rows, fit, torch.full((len(library),), side))[:, 0, 0]
            counted = (share[side] < 1) & (exact < 1)
            assert int(counted.sum()) > 50
            torch.testing.assert_close(share[side][counted].double(), exact[counted], rtol=0.02, atol=0.02)


# -------------------------------------------------------------------------------------------- sums
@NOISES
@pytest.mark.parametrize("formula", ["2 + 3*a*b", "1 - 0.5*sin(a)", "0.3 + 2*(a - b)**2"])
def test_one_row(formula, noise, rows):
    y = values_of(formula, noise)
    assert fits(screen_one(target(y), ONE, rows), formula, noise, relative=False)


@NOISES
@pytest.mark.parametrize("formula", ["2 + 3*a*b - c/b", "a*b + 4*sqrt(c)", "5*exp(-a) + 0.5*b*c"])
def test_pair_of_rows(formula, noise, rows):
    y = values_of(formula, noise)
    assert fits(screen_pair(target(y), ONE, rows), formula, noise, relative=False)


def test_pair_screen_in_a_view(rows):
    formula = "sqrt(2*a*b + 3*c**2)"
    assert fits(screen_pair(target(values_of(formula, 0.0), "y²"), ONE, rows), formula, 0.0)


def test_pair_screen_in_blocks_is_the_same(rows):
    formula = "5*exp(-a) + 0.5*b*c"
    for block in (4096, 100):
        assert fits(screen_pair(target(values_of(formula, 0.01)), ONE, rows, block=block), formula, 0.01, False)


def test_the_base_is_part_of_the_fit(rows):
    base = Rows(concatenate([ONE.expressions, monomial_rows(1).expressions[1:]]), monomial_rows(1).values)
    formula = "1 + 2*a - 3*b + 0.7*c + exp(a*b/3)"
    y = values_of(formula, 0.0)
    assert fits(screen_one(target(y), base, rows), formula, 0.0)
    assert not fits(screen_one(target(y), ONE, rows), formula, 0.0)


# -------------------------------------------------------------------------------------------- dictionaries
@NOISES
def test_sparse_polynomial(noise):
    formula = "1 + 2*a**2*b - 3*b*c + 0.5*c**3"
    y = values_of(formula, noise)
    law = screen_sparse(target(y), [monomial_rows(2), monomial_rows(3), monomial_rows(4)])
    assert len(law) == 1 and fits(law, formula, noise, relative=False)
    if not noise:
        assert int(law.free.sum()) == 4


@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-3])  # at 1 % its null vector is no longer the law
def test_ratio_of_polynomials(noise):
    formula = "(1 + 2*a)/(3 + b*c)"
    y = values_of(formula, noise)
    law = screen_ratio(target(y, relative=True), monomial_rows(2), monomial_rows(2))
    assert law is not None and fits(law, formula, noise)
    if not noise:
        assert int(law.complexity[0]) <= 15


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("formula", ["(a*b + c*c)/(a + c)", "2.4*a*b/(0.7 + a + 0.5*b)", "(a + b)/(1 + a*b)"])
def test_a_ratio_under_noise_keeps_the_terms_of_the_law(formula, noise):
    generator = torch.Generator().manual_seed(3)
    x = 0.3 + 3 * torch.rand(500, 3, dtype=torch.float64, generator=generator)
    truth = parse(formula, VOCABULARY, NAMES)
    exact = evaluate(truth, x)[0][0]
    error = noise * exact.std() * torch.randn(500, dtype=torch.float64, generator=generator)
    exponents = torch.tensor([e for e in itertools.product(range(3), repeat=3) if sum(e) <= 2]).double()
    terms = monomials(exponents, VOCABULARY)
    rows = Rows(terms, evaluate(terms, x)[0])
    laws = screen_noisy_ratio(target(exact + error), rows, rows)
    found = levenberg_marquardt(laws, x, exact + error, steps=30)
    fit = found.loss <= error.square().sum() + 1e-20
    assert bool((fit & (simplify_batch(found.expressions).free.sum(1) <= 4)).any())


@pytest.mark.parametrize("noise", [0.01, 0.1])
@pytest.mark.parametrize(
    ("formula", "numbers"),
    [("3*a/(a + b)", 1), ("2.4*a/(0.7 + a + 0.5*b)", 3), ("a*b/(b + a*c)", 0), ("(a*c + b*b)/(a + b)", 0)],
)
def test_a_short_ratio_is_found_whatever_the_noise(formula, numbers, noise):
    """It is among the proposals, and fits as well as the law does with its numbers free."""
    generator = torch.Generator().manual_seed(5)
    x = 1 + 4 * torch.rand(600, 3, dtype=torch.float64, generator=generator)
    truth = parse(formula, VOCABULARY, NAMES)
    exact = evaluate(truth, x)[0][0]
    y = exact + noise * exact.std() * torch.randn(600, dtype=torch.float64, generator=generator)
    exponents = torch.tensor([e for e in itertools.product(range(3), repeat=3) if sum(e) <= 2]).double()
    rows = Rows(monomials(exponents, VOCABULARY), evaluate(monomials(exponents, VOCABULARY), x)[0])
    flat = Target.of(view("y"), y, torch.ones_like(y))
    laws = screen_short_ratio(flat, rows, smoothed(x, y, torch.ones_like(y)))
    found = levenberg_marquardt(laws, x, y, steps=30)
    best = levenberg_marquardt(parse(formula, VOCABULARY, NAMES, numbers="constant"), x, y, steps=30).loss[0]
    short = simplify_batch(found.expressions).free.sum(1) <= numbers + 3
    assert bool(((found.loss <= best * (1 + 1e-6)) & short).any())


def test_no_short_ratio_where_terms_are_alike():
    """Two equal columns have a null vector that says nothing of the target."""
    rows = monomial_rows(1)[torch.tensor([1, 1, 1])]
    y = values_of("a/(1 + b)", 0.01)
    assert not len(screen_short_ratio(target(y), rows, y))


def test_no_noisy_ratio_of_more_terms_than_rows_allow():
    rows = monomial_rows(4)
    assert not len(screen_noisy_ratio(target(values_of("a/(1 + b)", 0.01)), rows, rows))


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(
    "formula", ["(cos(a) - b)/(1 - b*cos(a))", "(exp(-c) + a)/(1 + a*exp(-c))", "a*sin(b)/(1 + a)"]
)
def test_a_fraction_with_a_feature(formula, noise, rows):
    y = values_of(formula, noise)
    features = rows[rows.expressions.free.any(1).nonzero()[:, 0]]
    laws = screen_fraction(target(y, relative=True), monomial_rows(1)[1:], features)
    assert fits(laws, formula, noise)


def test_a_fraction_is_more_than_a_dependence_among_its_terms(rows):
    """Of 1, g, u and g·u with a constant g·u any target has a ratio 0/0."""
    one = Rows(monomial_rows(1).expressions[1:2], torch.ones(1, N, dtype=torch.float64))
    assert not len(screen_fraction(target(values_of("a", 0.0)), one, rows[:5]))


def test_no_ratio_for_noise():
    y = torch.randn(N, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    assert screen_ratio(target(y), monomial_rows(1), monomial_rows(1)) is None


# -------------------------------------------------------------------------------------------- elimination
def subset_losses(columns, goal):
    """{subset of term numbers: N/2 ln of what it leaves}"""
    out = {}
    for size in range(1, len(columns) + 1):
        for subset in itertools.combinations(range(len(columns)), size):
            a = columns[list(subset)].T
            rest = goal - a @ torch.linalg.lstsq(a, goal[:, None]).solution[:, 0]
            out[subset] = 0.5 * len(goal) * math.log(float(rest.square().sum()) + 1e-13 * float(goal.square().sum()))
    return out


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_elimination_finds_the_best_subset(noise):
    """Fifty problems of six terms of which some matter: price per term as in the best of all 63 subsets."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    columns = draw(50, 6, 60)
    truth = draw(50, 6) * (torch.rand(50, 6, generator=generator) < 0.5) + torch.eye(6, dtype=torch.float64)[0]
    goal = (truth[:, :, None] * columns).sum(1) + noise * draw(50, 60)
    coefficients, used = eliminate(columns, goal, price=6.0)
    for row in range(50):
        losses = subset_losses(columns[row], goal[row])
        best = min(losses, key=lambda subset, losses=losses: losses[subset] + 6.0 * len(subset))
        assert tuple(used[row].nonzero()[:, 0].tolist()) == best
        a = columns[row][list(best)].T
        expected = torch.linalg.lstsq(a, goal[row][:, None]).solution[:, 0]
        torch.testing.assert_close(coefficients[row, list(best)], expected, rtol=1e-8, atol=1e-9)
    assert bool((coefficients[~used] == 0).all())


def test_elimination_keeps_one_of_equal_terms():
    columns = torch.stack([X[:, 0], 2 * X[:, 0], torch.zeros(N, dtype=torch.float64)])[None]
    coefficients, used = eliminate(columns, 6 * X[:, 0])
    assert int(used.sum()) == 1 and not bool(used[0, 2])
    torch.testing.assert_close((coefficients[0, :, None] * columns[0]).sum(0), 6 * X[:, 0], rtol=1e-10, atol=0.0)


# -------------------------------------------------------------------------------------------- weights
def test_weights_of_a_view_follow_the_delta_method():
    y = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    found = Target.of(view("log y"), y, torch.ones_like(y))
    torch.testing.assert_close(found.weight / found.weight[0], y, rtol=1e-12, atol=0.0)
    assert float(found.weight.square().mean()) == pytest.approx(1.0)
    relative = Target.of(view("log y"), y, y)
    torch.testing.assert_close(relative.weight, torch.ones_like(y))


def test_no_point_weighs_more_than_six_times_the_median():
    y = torch.linspace(1, 1e3, 101, dtype=torch.float64)
    found = Target.of(view("exp y"), y / 100, torch.ones_like(y))
    assert found.sound and float(found.weight.max() / found.weight.median()) == pytest.approx(6.0)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_few_monomials_of_many_variables_behind_a_common_factor(noise):
    """Of 286 monomials and 66 factors; x crosses zero, and so does the factor."""
    x = torch.randn(300, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = 2 + x[:, 3] * x[:, 8] * (x[:, 0] * x[:, 1] * x[:, 2] - 3 * x[:, 4] * x[:, 9] + 0.5 * x[:, 7] ** 2)
    seen = y + noise * y.std() * torch.randn(300, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    exponents = exponents_up_to(10, 3).double()
    terms = monomials(exponents, VOCABULARY)
    shared = torch.eye(10, dtype=torch.float64)
    i, j = torch.triu_indices(10, 10, 1)
    factors = monomials(torch.cat([torch.zeros_like(shared[:1]), shared, shared[i] + shared[j]]), VOCABULARY)
    rows = (Rows(e, evaluate(e, x)[0]) for e in (factors, terms))
    laws = screen_common(Target.of(view("y"), seen, torch.ones_like(y)), *rows)
    found = levenberg_marquardt(laws, x, seen, torch.ones_like(y), steps=5)
    values, _ = evaluate(found.expressions[int(found.loss.argmin())], x)
    assert float((values[0] - y).square().mean().sqrt() / y.std()) < max(1e-12, noise)


MIXED = {
    "a peak on a background": lambda a, b: 1 + 0.3 * a**2 + (2 + b) * torch.exp(-((a - 1.4) ** 2) / 0.2),
    "a kink": lambda a, b: 3 * b + (a - 2 * b) * (b - 1.3).abs(),
    "a pole": lambda a, b: a * b - (2 * a + b + 1) / (a + 0.7),
    "a distance": lambda a, b: 0.2 * b - 0.3 * a * torch.sqrt(a**2 + b**2),
}


@pytest.mark.parametrize("law", MIXED)
def test_a_polynomial_and_another_times_a_row(law):
    x = torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5)) * 2 + 0.5
    y = MIXED[law](x[:, 0], x[:, 1])
    state = start(Data(x, y, None, GAUSSIAN), VOCABULARY, seed=0)
    proposed = concatenate([e for _, e in propose_mixed(state, torch.Generator().manual_seed(0))])
    found = levenberg_marquardt(proposed, x, y, torch.ones_like(y), steps=60)
    assert float(found.loss.nan_to_num(nan=1e9).min()) < 1e-20


def test_pieces_are_recombined():
    """Of 3·exp(−0.8a) and 1/(b + 0.4) as pieces: each gets the polynomial that is beside it."""
    a, b = X[:, 0], X[:, 1]
    pieces = concatenate([parse(text, VOCABULARY, NAMES) for text in ("exp(-0.8*a)", "1/(b + 0.4)", "sin(a)")])
    dictionary = monomials(exponents_up_to(3, 2).double(), VOCABULARY)
    one = literal([1.0], VOCABULARY)
    rows = [Rows(e, evaluate(e, X)[0]) for e in (concatenate([one, pieces]), dictionary)]
    y = 2 * X[:, 2] + (1 + 0.4 * b**2) * torch.exp(-0.8 * a) - a * X[:, 2] / (b + 0.4)
    law = screen_recombined(Target.of(view("y"), y, torch.ones_like(y)), *rows)
    assert float((evaluate(law, X)[0][0] - y).abs().max()) < 1e-9
    assert to_text(law, NAMES)[0].count("exp") == 1
