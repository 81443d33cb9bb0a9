"""Numbers, points and expressions to tokens and back."""

import pytest
import torch

from sr_accessor.errors import InputError, LoadError
from sr_accessor.expressions.batch import Expressions, concatenate, constant, literal, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, Vocabulary
from sr_accessor.transformer.config import PRESETS, preset
from sr_accessor.transformer.tokenizer import FEATURES, Tokenizer

VOCABULARY = Vocabulary(ELEMENTARY)


def tokenizer(name: str = "tiny", **changes) -> Tokenizer:
    return Tokenizer(preset(name, **changes), VOCABULARY)


def random_numbers(low: float, high: float, count: int = 20_000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    power = torch.rand(count, generator=generator, dtype=torch.float64) * (high - low) + low
    sign = torch.randint(0, 2, (count,), generator=generator) * 2 - 1
    return sign * 10**power


@pytest.mark.parametrize("name, low, high", [("base", -100, 100), ("paper", -96.99, 102.99)])
def test_numbers_round_trip_over_the_whole_range(name, low, high):
    tokens = tokenizer(name)
    digits = tokens.config.mantissa_digits
    values = random_numbers(low, high)
    back = tokens.decode_numbers(tokens.encode_numbers(values))
    expected = torch.tensor([float(f"{v:.{digits - 1}e}") for v in values.tolist()], dtype=torch.float64)
    assert torch.allclose(back, expected, rtol=1e-14, atol=0)
    assert torch.equal(tokens.encode_numbers(back), tokens.encode_numbers(values))  # what is written stays


def test_published_spelling_of_numbers():
    tokens = tokenizer("paper")
    values = torch.tensor([2.4242, 0.0, -0.0, 9.9995, 9.99949, -1e-130, 1e-96, 1e300, -1e99], dtype=torch.float64)
    sign, mantissa, exponent = tokens.split_numbers(values)
    assert sign.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert mantissa.tolist() == [2424, 0, 0, 1000, 9999, 0, 1000, 9999, 1000]
    assert exponent.tolist() == [-3, 0, 0, -2, -3, 0, -99, 100, 96]


def test_powers_of_ten_and_short_decimals_are_exact():
    tokens = tokenizer("paper")
    values = torch.tensor(
        [float(f"{m}e{k}") for k in range(-15, 19) for m in (1, 2.5, 3.14, 9.999)], dtype=torch.float64
    )
    assert torch.equal(tokens.decode_numbers(tokens.encode_numbers(values)), values)


def some_expressions() -> Expressions:
    """2.5·sin(x0) + x1²,  x0^(1/2) / -3,  7.1 - 0.123 (a literal without a token)."""
    x0, x1 = variable([0], VOCABULARY), variable([1], VOCABULARY)
    first = constant([2.5], VOCABULARY) * x0.apply("sin") + x1.apply("square")
    second = x0 ** literal([0.5], VOCABULARY) / literal([-3.0], VOCABULARY)
    third = constant([7.1], VOCABULARY) - literal([0.123], VOCABULARY)
    return concatenate([first, second, third])


def test_expressions_round_trip():
    expressions = some_expressions()
    tokens = tokenizer(mantissa_digits=4)
    targets = tokens.encode_targets(expressions)
    assert targets.valid.all()
    back = tokens.decode_targets(targets.tokens)
    assert back.well_formed.all()
    assert torch.equal(back.codes[:2], expressions.codes[:2])
    assert torch.equal(back.constants, expressions.constants)
    assert back.codes[2, :3].tolist() == [VOCABULARY.id("sub"), CONSTANT, CONSTANT]  # 0.123 came back as a number


def test_targets_are_framed_and_padded():
    tokens = tokenizer()
    targets = tokens.encode_targets(some_expressions(), length=16).tokens
    ids = tokens.ids
    assert targets.shape == (3, 16)
    assert (targets[:, 0] == ids.eos).all()
    widths = [1 + 1 + 3 + 2 + 2 + 1, 1 + 3 + 1 + 1, 1 + 3 + 3 + 1]  # symbols, three per free number, closing EOS
    for row, width in zip(targets.tolist(), widths, strict=True):
        assert row[width] == ids.eos
        assert row[width + 1 :] == [ids.pad] * (15 - width)
        assert ids.pad not in row[: width + 1]


def test_a_listed_literal_is_one_token():
    tokens = tokenizer()
    for value, text in ((2.0, "2"), (-1.0, "-1"), (0.5, "1/2")):
        target = tokens.encode_targets(literal([value], VOCABULARY)).tokens[0].tolist()
        assert target == [tokens.ids.eos, tokens.ids.literals[tokens.config.literals.index(text)], tokens.ids.eos]
        assert tokens.decode_targets(torch.tensor([target])).codes.tolist() == [[LITERAL]]


def test_words_round_trip_within_half_a_step():
    tokens = tokenizer("mini")
    values = torch.logspace(-4, 4, 5000, dtype=torch.float64) * torch.tensor([1.0, -1.0], dtype=torch.float64)[:, None]
    written = tokens.encode_numbers(values)
    assert written.shape == (2, 5000, 1)
    ratio = tokens.decode_numbers(written) / values
    assert ratio.max() <= 10 ** (1 / 16) * (1 + 1e-9) and ratio.min() >= 10 ** (-1 / 16) * (1 - 1e-9)
    numbers = torch.tensor([list(tokens.ids.numbers)]).T
    assert torch.equal(tokens.encode_numbers(tokens.decode_numbers(numbers)), numbers)  # every word is its own nearest
    far = torch.tensor([0.0, 1e-300, -1e-9, 1e9, -1e300], dtype=torch.float64)
    assert tokens.decode_numbers(tokens.encode_numbers(far)).tolist() == pytest.approx([1e-4, 1e-4, -1e-4, 1e4, -1e4])


def test_a_word_is_one_token_of_an_expression():
    tokens, expressions = tokenizer("mini"), some_expressions()
    targets = tokens.encode_targets(expressions)
    assert targets.valid.all()
    assert (targets.tokens != tokens.ids.pad).sum(1).tolist() == [n + 2 for n in expressions.lengths.tolist()]
    back = tokens.decode_targets(targets.tokens)
    assert back.well_formed.all() and torch.equal(back.codes[:2], expressions.codes[:2])
    free = expressions.free[:2]
    assert torch.allclose(back.constants[:2][free], expressions.constants[:2][free], rtol=0.16)


def test_a_skeleton_has_one_token_per_free_number():
    tokens = tokenizer(targets="skeleton")
    targets = tokens.encode_targets(some_expressions())
    assert targets.valid.all()
    back = tokens.decode_targets(targets.tokens)
    assert torch.equal(back.codes[:2], some_expressions().codes[:2])
    assert (back.constants[0, :1] == 1).all()


def test_what_cannot_be_written_is_not_valid_and_all_padding():
    tokens = tokenizer()
    x0 = variable([0], VOCABULARY)
    too_long = x0
    for _ in range(60):
        too_long = too_long.apply("sin")
    batch = concatenate([x0, constant([float("nan")], VOCABULARY), variable([4], VOCABULARY), too_long])
    targets = tokens.encode_targets(batch)
    assert targets.valid.tolist() == [True, False, False, False]
    assert (targets.tokens[1:] == tokens.ids.pad).all()
    paper = tokenizer("paper").encode_targets(concatenate([x0.apply("tanh"), x0.apply("tan")]))
    assert paper.valid.tolist() == [False, True]  # tanh was not published


def test_operators_are_mapped_by_name_not_by_id():
    shuffled = Vocabulary(tuple(reversed(ELEMENTARY)))
    here, there = tokenizer(), Tokenizer(preset("tiny"), shuffled)
    written = here.encode_targets(some_expressions()).tokens
    back = there.decode_targets(written)
    assert shuffled.operator(int(back.codes[0, 0])).name == "add"
    assert torch.equal(there.encode_targets(back).tokens[:2], written[:2])


def test_a_missing_operator_is_named():
    with pytest.raises(LoadError, match="'erfcx'"):
        tokenizer(operators=(*preset("tiny").operators, "erfcx"))
    extra = Operator("erfcx", 1, torch.special.erfcx, "sympy:erfc")
    grown = Tokenizer(preset("tiny", operators=(*preset("tiny").operators, "erfcx")), VOCABULARY.extended([extra]))
    expression = variable([0], grown.vocabulary).apply("erfcx")
    assert torch.equal(grown.decode_targets(grown.encode_targets(expression).tokens).codes, expression.codes)


def test_points_as_published_words():
    tokens = tokenizer("paper")
    x, y = torch.tensor([[[2.4242, -1.0]]], dtype=torch.float64), torch.tensor([[0.0]], dtype=torch.float64)
    words = tokens.encode_points(x, y).features[0, 0].view(11, 3)
    first_mantissa, first_exponent = 17, 10_017
    assert words[0].tolist() == [15, first_mantissa + 2424, first_exponent + 97]
    assert words[1].tolist() == [16, first_mantissa + 1000, first_exponent + 97]
    assert (words[2:10] == 6).all()  # INPUT_PAD
    assert words[10].tolist() == [15, first_mantissa, first_exponent + 100]


def test_points_as_bits():
    tokens = tokenizer()
    x, y = torch.tensor([[[1.5, 7.0]]], dtype=torch.float64), torch.tensor([[-2.0]], dtype=torch.float64)
    bits = tokens.encode_points(x, y, present=torch.tensor([[True, False]])).features[0, 0].view(5, 33)

    def as_float(row):
        return sum(1 << i for i, bit in enumerate(row[:32].tolist()) if bit > 0)

    assert as_float(bits[0]) == 0x3FC00000  # 1.5
    assert as_float(bits[4]) == 0xC0000000  # -2.0
    assert torch.allclose(bits[0, 32], torch.tensor(1.5).asinh())
    assert (bits[1:4] == 0).all()  # absent and padded variables
    huge = tokens.encode_points(x * 1e200, y).features
    assert torch.isfinite(huge).all()


@pytest.mark.parametrize("name", PRESETS)
def test_too_many_variables_are_refused(name):
    tokens = tokenizer(name)
    with pytest.raises(InputError, match="at most"):
        tokens.encode_points(torch.zeros(1, 3, tokens.config.variables + 1), torch.zeros(1, 3))


def test_features_tell_numbers_apart_and_nothing_from_zero():
    tokens = tokenizer("mini")
    x = torch.tensor([[[0.0], [1e-9], [0.5], [-0.5], [1e300], [-1e300]]], dtype=torch.float64)
    given = tokens.encode_points(x, torch.ones(1, 6, dtype=torch.float64)).features
    assert given.shape == (1, 6, FEATURES * 11) and given.dtype == torch.float32
    assert torch.isfinite(given).all() and given.abs().max() < 400
    first = given[0, :, :FEATURES]
    assert (first[:, 0] == 1).all() and not given[0, :, FEATURES : 10 * FEATURES].any()  # nine variables are missing
    assert len(torch.unique(first, dim=0)) == 6
    absent = tokens.encode_points(x, x[..., 0], present=torch.zeros(1, 1, dtype=torch.bool)).features
    assert not absent[..., : 10 * FEATURES].any() and absent[..., 10 * FEATURES].all()
