"""Monomials as expressions, and a library that holds each sound function once and nothing excluded."""

import itertools

import pytest
import torch

from sr_accessor.expressions.batch import concatenate, literal, variable
from sr_accessor.expressions.build import linear_combination, monomials, power, writable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.library import (
    build_library,
    effective_points,
    extend,
    keep_sound,
    monomial_exponents,
)

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = [o.name for o in ELEMENTARY]
#: Operators left out, as a user would; none of them may then be written.
EXCLUDED = {
    "division": ("div", "inv"),
    "div": ("div",),
    "powers": ("square", "cube", "sqrt", "pow"),
    "all but products": ("div", "inv", "square", "cube", "sqrt", "pow"),
    "multiplication": ("mul",),
    "sums": ("add", "sub"),
}


def without(kind: str) -> Vocabulary:
    return VOCABULARY.restricted([name for name in NAMES if name not in EXCLUDED[kind]])


def points(count: int = 80, dimensions: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, dimensions, dtype=torch.float64, generator=generator) * 2 + 0.3


# -------------------------------------------------------------------------------------------- monomials
@pytest.mark.parametrize("kind", [None, *EXCLUDED])
def test_monomials_are_products_of_powers(kind):
    vocabulary = VOCABULARY if kind is None else without(kind)
    steps = [-3.0, -1.0, -0.5, 0.0, 1.0, 2.0, 4.0]
    exponents = torch.tensor(list(itertools.product(steps, steps, [-1.7, 0.0, 3.0, 0.5])), dtype=torch.float64)
    laws, x = monomials(exponents, vocabulary), points()
    assert bool(laws.well_formed.all()) and not bool(laws.free.any())
    expected = (x[None] ** exponents[:, None, :]).prod(2)
    torch.testing.assert_close(evaluate(laws, x)[0], expected, rtol=1e-12, atol=0.0)
    assert torch.equal(laws.permitted, writable(exponents, vocabulary))


def test_monomials_are_short():
    exponents = torch.tensor([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [1.0, -2.0], [0.0, 0.5], [0.0, 0.0]])
    assert monomials(exponents.double(), VOCABULARY).complexity.tolist() == [1, 2, 3, 4, 2, 1]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 3.0, 2.5])
def test_power_of_an_expression(exponent):
    base = variable([0, 1], VOCABULARY) + variable([2], VOCABULARY)
    law, x = power(base, torch.full((2,), exponent, dtype=torch.float64), VOCABULARY), points()
    torch.testing.assert_close(evaluate(law, x)[0], evaluate(base, x)[0] ** exponent, rtol=1e-12, atol=0.0)


def test_linear_combination_is_one_with_free_coefficients():
    one = literal([1.0], VOCABULARY)
    terms = [one, variable([0], VOCABULARY), variable([1, 2, 0], VOCABULARY).apply("sin")]
    weights = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]], dtype=torch.float64)
    used = torch.tensor([[True, True, True], [False, True, True], [True, False, False]])
    law, x = linear_combination(terms, weights, used), points()
    assert law.free.sum(1).tolist() == [3, 2, 1] and bool(law.well_formed.all())
    sines = x[:, [1, 2, 0]].sin().T
    columns = torch.stack([torch.ones_like(sines), x[:, 0].expand(3, -1), sines], 1)
    expected = ((weights * used)[:, :, None] * columns).sum(1)
    torch.testing.assert_close(evaluate(law, x)[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 5, 12])
def test_exponents_come_simplest_first_and_once(dimensions):
    found = monomial_exponents(dimensions, 400, largest=3)
    assert len({tuple(row) for row in found.tolist()}) == len(found) <= 400
    assert {tuple(row) for row in found[:dimensions].tolist()} == {tuple(row) for row in torch.eye(dimensions).tolist()}
    assert bool((found != 0).any(1).all())


# -------------------------------------------------------------------------------------------- library
@pytest.mark.parametrize("kind", [None, *EXCLUDED])
def test_no_excluded_operator_is_written(kind):
    vocabulary = VOCABULARY if kind is None else without(kind)
    library = build_library(points(), vocabulary, count=400)
    assert bool(library.expressions.permitted.all())
    assert len(library) > 60


@pytest.mark.parametrize("dimensions", [1, 2, 3, 6])
def test_rows_are_sound_and_values_their_own(dimensions):
    x = points(dimensions=dimensions)
    library = build_library(x, VOCABULARY, count=400)
    assert bool(library.expressions.well_formed.all()) and bool(library.values.isfinite().all())
    torch.testing.assert_close(evaluate(library.expressions, x)[0], library.values, rtol=0.0, atol=0.0)
    monomial = library.is_monomial
    expected = (x[None] ** library.exponents[monomial][:, None, :]).prod(2)
    torch.testing.assert_close(library.values[monomial], expected, rtol=1e-11, atol=0.0)


def test_every_function_once():
    """No two rows are equal up to a factor: all angles between directions are open."""
    library = build_library(points(), VOCABULARY, count=400)
    unit = library.values / library.values.norm(dim=1, keepdim=True)
    cosine = (unit @ unit.T).abs().fill_diagonal_(0.0)
    assert float(cosine.max()) < 1 - 1e-12


def test_simple_things_are_there():
    library = build_library(points(), VOCABULARY, count=400)
    x = points()
    unit = library.values / library.values.norm(dim=1, keepdim=True)
    for wanted in (
        x[:, 0], x[:, 1] ** 2, x[:, 0] * x[:, 2], x[:, 0] / x[:, 1], x[:, 2].sqrt(), x[:, 0] - x[:, 1],
        x[:, 0] + x[:, 2], (x[:, 0] - x[:, 1]) ** 2, x.square().sum(1), 1 / x[:, 0] ** 2,
    ):  # fmt: skip
        assert float((unit @ (wanted / wanted.norm())).abs().max()) > 1 - 1e-12


@pytest.mark.parametrize("dimensions", [3, 4, 5])
def test_no_order_of_the_variables_is_preferred(dimensions):
    """Differences of any two variables, times and divided by any third, in the small library too."""
    x = points(dimensions=dimensions)
    unit = build_library(x, VOCABULARY, count=300).values
    unit = unit / unit.norm(dim=1, keepdim=True)
    for i, j, k in itertools.permutations(range(dimensions), 3):
        for wanted in ((x[:, i] - x[:, j]) / x[:, k], (x[:, i] - x[:, j]) * x[:, k]):
            assert float((unit @ (wanted / wanted.norm())).abs().max()) > 1 - 1e-12, (i, j, k)


def test_functions_and_magnitudes_of_variables_are_groups():
    x = points(dimensions=2) * torch.tensor([1.0, -1.0], dtype=torch.float64)
    x[::2, 0] *= -1
    small, large = (set(to_text(build_library(x, VOCABULARY, count=n).expressions, ["a", "b"])) for n in (300, 2500))
    assert {"exp(a)", "sin(b)", "a*abs(a)"} <= small and not {"abs(b)", "b*abs(b)"} & large
    assert {"a + sin(b)", "b*exp(a)"} <= large - small


def test_roots_of_what_has_both_signs_are_roots_of_magnitudes():
    x = points(dimensions=2) * torch.tensor([1.0, -1.0], dtype=torch.float64)
    x[::2] *= -1
    texts = to_text(build_library(x, VOCABULARY, count=200).expressions, ["a", "b"])
    assert {"sqrt(abs(a))", "sqrt(abs(a*b))"} <= set(texts)


def test_a_dilution_series_has_reciprocals():
    x = 0.5 * 2.0 ** torch.arange(7, dtype=torch.float64)[:, None]
    values = build_library(x, VOCABULARY, count=100).values
    unit, held = values / values.norm(dim=1, keepdim=True), 1 / x[:, 0]
    assert float((unit @ (held / held.norm())).abs().max()) > 1 - 1e-12


def test_degenerate_rows_are_dropped():
    """x⁻² with one point near zero rests on that point; such a row would explain any outlier."""
    x = points(80, 1)
    x[3] = 1e-4
    values = build_library(x, VOCABULARY, count=100).values
    assert float(effective_points(values).min()) > 3
    held = (x[:, 0] ** -2)[None]
    unit = values / values.norm(dim=1, keepdim=True)
    assert float((unit @ (held / held.norm()).T).abs().max()) < 0.99999


def test_effective_points():
    rows = torch.tensor([[1.0, -1.0, 1.0, -1.0], [0.0, 5.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    assert effective_points(rows).tolist() == pytest.approx([4.0, 1.0, 2.0])


def test_extend_adds_what_is_new_and_sound():
    x = points()
    library = build_library(x, VOCABULARY, count=100)
    a, b = variable([0], VOCABULARY), variable([1], VOCABULARY)
    new = a.apply("sin") * b
    given = concatenate(
        [new, a * b, a - a, (literal([0.0], VOCABULARY) - a).apply("log"), new * literal([3.0], VOCABULARY)]
    )
    longer = extend(library, given, x)
    assert len(longer) == len(library) + 1
    torch.testing.assert_close(longer.values[-1], x[:, 0].sin() * x[:, 1])


def test_equal_up_to_rounding_and_factor_is_equal():
    x = points()
    library = build_library(x, VOCABULARY, count=100)
    noisy = library.values * (1 + 1e-14 * torch.randn(library.values.shape, generator=torch.Generator().manual_seed(0)))
    twice = type(library)(
        concatenate([library.expressions] * 2),
        torch.cat([library.values, -3.7 * noisy]),
        torch.cat([library.exponents] * 2),
    )
    kept, _ = keep_sound(twice)
    assert len(kept) <= len(library) + 1  # one in a million falls on another side of a rounding boundary


def test_where_every_row_rests_on_one_point_the_variables_stay():
    x = points(80, 1)
    x[3], x[4] = 1e9, 1e-9
    assert to_text(build_library(x, VOCABULARY, count=100).expressions, ["x"]) == ["x", "log(x)", "sin(x)", "cos(x)"]
