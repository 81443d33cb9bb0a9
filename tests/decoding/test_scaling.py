"""Scaling is exact: a rewritten expression has the values of the old one at the scaled points."""

import pytest
import torch

from sr_accessor.decoding import scaling
from sr_accessor.decoding.grammar import grammar
from sr_accessor.expressions.batch import Expressions, constant, literal, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import CONSTANT, VARIABLE, Vocabulary
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.tokenizer import Tokenizer

VOCABULARY = Vocabulary(ELEMENTARY)
D = 3


def random_expressions(rows: int, seed: int) -> Expressions:
    """Expressions of up to 30 tokens with numbers of order one."""
    generator = torch.Generator().manual_seed(seed)
    tokenizer = Tokenizer(preset("tiny"), VOCABULARY)
    rules, ids = grammar(tokenizer, variables=D, length=30), tokenizer.ids
    weight = torch.ones(ids.size)
    weight[list(ids.literals)] = 0.3
    weight[list(ids.operators)] = weight[ids.variable : ids.variable + D] = 6.0
    weight[ids.numbers.start : ids.numbers.stop] = 12.0
    state, written = rules.start(rows), []
    for _ in range(rules.length):
        tokens = torch.multinomial(rules.mask(state) * weight, 1, generator=generator)[:, 0]
        state = rules.advance(state, tokens)
        written.append(tokens)
    expressions = tokenizer.decode_targets(torch.stack(written, 1))
    numbers = 2 * torch.randn(expressions.constants.shape, generator=generator, dtype=torch.float64)
    return expressions.with_constants(torch.where(expressions.free, numbers, expressions.constants))


def random_scaling(rows: int, seed: int, *, shifted: bool) -> scaling.Scaling:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    shift = 1.0 if shifted else 0.0
    return scaling.Scaling(shift * normal(rows, D), normal(rows, D).exp(), shift * normal(rows), normal(rows).exp())


def values_of_rows(expressions: Expressions, x: torch.Tensor) -> torch.Tensor:
    """(B, N): row b at its own points x (B, N, D), by giving every row variables of its own."""
    rows, points, inputs = x.shape
    own = torch.arange(rows)[:, None] * inputs
    codes = torch.where(expressions.codes >= VARIABLE, expressions.codes + own, expressions.codes)
    wide = x.permute(1, 0, 2).reshape(points, rows * inputs)
    return evaluate(Expressions(codes, expressions.constants, VOCABULARY), wide)[0]


def assert_same(found: torch.Tensor, expected: torch.Tensor, nearby: torch.Tensor) -> None:
    """Equal wherever the expression is well-conditioned: a change of x by 1e-13 does not matter."""
    sound = torch.isfinite(expected) & (expected.abs() < 1e12)
    sound &= (expected - nearby).abs() <= 1e-9 * (1 + expected.abs())
    assert sound.any(1).float().mean() > 0.6
    relative = (found - expected).abs() / (1 + expected.abs())
    assert torch.where(sound, relative, 0.0).nan_to_num(nan=torch.inf).max() < 1e-6


@pytest.mark.parametrize("shifted", [False, True], ids=["factors", "factors and shifts"])
@pytest.mark.parametrize("direction", ["scale", "unscale"])
def test_random_expressions_keep_their_values(shifted, direction):
    rows = 1500
    laws, how = random_expressions(rows, 1), random_scaling(rows, 2, shifted=shifted)
    x = torch.randn(rows, 8, D, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    scaled_x, _ = how.apply(x, x[..., 0])
    if direction == "scale":
        new = how.scale(laws)
        found = values_of_rows(new, scaled_x) * how.y_scale[:, None] + how.y_shift[:, None]
        expected, nearby = values_of_rows(laws, x), values_of_rows(laws, x * (1 + 1e-13))
    else:
        new = how.unscale(laws)
        found = values_of_rows(new, x)
        expected = values_of_rows(laws, scaled_x) * how.y_scale[:, None] + how.y_shift[:, None]
        nearby = values_of_rows(laws, scaled_x * (1 + 1e-13)) * how.y_scale[:, None] + how.y_shift[:, None]
    assert new.well_formed.all()
    assert_same(found, expected, nearby)


@pytest.mark.parametrize("shifted", [False, True], ids=["factors", "factors and shifts"])
def test_unscale_after_scale_is_the_same_law(shifted):
    rows = 1500
    laws, how = random_expressions(rows, 4), random_scaling(rows, 5, shifted=shifted)
    scaled = how.scale(laws)
    back = how.unscale(scaled)
    x = torch.randn(rows, 8, D, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    assert_same(values_of_rows(back, x), values_of_rows(laws, x), values_of_rows(laws, x * (1 + 1e-13)))
    assert (back.lengths <= scaled.lengths).float().mean() > 0.95  # the numbers that scaling wrote are used again


def test_a_monomial_keeps_its_form():
    x = torch.rand(1, 50, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 37
    how = scaling.fit(x, x.prod(-1))
    c, (a, b, d) = constant([0.1], VOCABULARY), (variable([i], VOCABULARY) for i in range(D))
    law = c * a * b / d
    scaled = how.scale(law)
    back = how.unscale(scaled)
    assert torch.equal(scaled.codes, law.codes) and torch.equal(back.codes, law.codes)
    assert torch.allclose(back.constants, law.constants, rtol=1e-14)


def text_of(law: Expressions) -> str:
    return to_text(law, ["x0", "x1", "x2"])[0]


def rewritten(law, factors=(2.0, 4.0, 8.0), shifts=(0.0, 0.0, 0.0), y_factor=1.0, y_shift=0.0) -> Expressions:
    def row(values):
        return torch.tensor([values], dtype=torch.float64)

    return scaling.substitute(law, row(factors), row(shifts), row(y_factor), row(y_shift))


def test_factors_and_shifts_merge_into_the_numbers_that_are_there():
    x0, x1, x2 = (variable([i], VOCABULARY) for i in range(D))
    c, one = constant([3.0], VOCABULARY), constant([1.0], VOCABULARY)
    two = literal([2.0], VOCABULARY)
    cases = [
        (c * x0 * x1 / x2, {}, c.with_constants(c.constants * 2 * 4 / 8) * x0 * x1 / x2),
        ((c * x0 + one).apply("sin"), {}, (constant([6.0], VOCABULARY) * x0 + one).apply("sin")),
        (c * (x1**two), {}, constant([48.0], VOCABULARY) * (x1**two)),
        (c / x0.apply("sqrt"), {"factors": (4.0, 1.0, 1.0)}, constant([1.5], VOCABULARY) / x0.apply("sqrt")),
        (
            (c * x0 + one).apply("exp"),
            {"shifts": (5.0, 0.0, 0.0)},
            (constant([6.0], VOCABULARY) * x0 + constant([16.0], VOCABULARY)).apply("exp"),
        ),
        (
            c * x0.apply("sin") + one,
            {"factors": (1.0, 1.0, 1.0), "y_factor": 10.0, "y_shift": 0.5},
            constant([30.0], VOCABULARY) * x0.apply("sin") + constant([10.5], VOCABULARY),
        ),
        ((x0 + x1) * c, {"factors": (2.0, 2.0, 1.0)}, (x0 + x1) * constant([6.0], VOCABULARY)),
        (
            c * x0.apply("exp"),
            {"factors": (1.0, 1.0, 1.0), "shifts": (1.0, 0.0, 0.0)},
            constant([3.0 * 2.718281828459045], VOCABULARY) * x0.apply("exp"),
        ),
        (c + x0.apply("log"), {}, constant([3.0 + 0.6931471805599453], VOCABULARY) + x0.apply("log")),
    ]
    for law, change, expected in cases:
        new = rewritten(law, **change)
        assert text_of(new) == text_of(expected)
        assert torch.equal(new.codes, law.codes)  # no new number


def test_only_what_meets_no_number_is_written():
    x0 = variable([0], VOCABULARY)
    new = scaling.Scaling(*(torch.tensor(t, dtype=torch.float64) for t in ([[1.0]], [[2.0]], [0.0], [1.0])))
    law = new.unscale(x0.apply("sin"))
    assert law.lengths.tolist() == [1 + 5]  # sin(add(c, mul(c, x0)))
    unchanged = scaling.Scaling(*(torch.tensor(t, dtype=torch.float64) for t in ([[0.0]], [[1.0]], [0.0], [1.0])))
    assert torch.equal(unchanged.unscale(x0.apply("sin")).codes, x0.apply("sin").codes)


def test_exponents_stay_literals_stay_unless_used():
    x0, two = variable([0], VOCABULARY), literal([2.0], VOCABULARY)
    how = scaling.Scaling(*(torch.tensor(t, dtype=torch.float64) for t in ([[0.0]], [[2.0]], [0.0], [1.0])))
    power = how.unscale(x0**two)
    assert power.codes[0, -1] != CONSTANT and power.constants[0, -1] == 2.0
    product = how.unscale(two * x0)
    assert product.codes.tolist() == [[VOCABULARY.id("mul"), CONSTANT, VARIABLE]]
    assert product.constants.tolist() == [[1.0]]


def test_the_fitted_range():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 100, D, generator=generator, dtype=torch.float64)
    x[0, :, 1] = 7.0  # constant
    x[1, :, 1] = 0.0
    y = 1e200 * x[..., 0]
    how = scaling.fit(x, y)
    scaled_x, scaled_y = how.apply(x, y)
    one = torch.ones(2, dtype=torch.float64)
    assert torch.allclose((scaled_x[..., [0, 2]] ** 2).mean(1), one[:, None])
    assert torch.allclose((scaled_y**2).mean(1), one)
    assert scaled_x[0, :, 1].tolist() == [1.0] * 100 and (scaled_x[1, :, 1] == 0).all()
    assert (how.x_shift == 0).all() and (how.y_shift == 0).all()
    published = scaling.fit(x, y, kind="standard")
    scaled_x, scaled_y = published.apply(x, y)
    assert torch.equal(scaled_y, y)
    assert torch.allclose(scaled_x[..., 0].std(1, correction=0), one)
    assert scaled_x[..., 1].abs().max() < 1e-12


def test_masked_points_do_not_count():
    x = torch.randn(1, 30, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.arange(30)[None] < 20
    spoiled = torch.where(mask[..., None], x, float("nan"))
    for kind in ("rms", "standard"):
        a = scaling.fit(spoiled, spoiled[..., 0], mask, kind=kind)
        b = scaling.fit(x[:, :20], x[:, :20, 0], kind=kind)
        for left, right in zip(vars(a).values(), vars(b).values(), strict=True):
            assert torch.allclose(left, right)
