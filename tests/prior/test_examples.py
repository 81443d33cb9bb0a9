"""The stream: `paper` has the measured marginals of the released code, `science` mends its gaps."""

import pytest
import torch

from sr_accessor.errors import InputError, UnknownNameError
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import read_prefix
from sr_accessor.expressions.paired import evaluate_paired
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, VARIABLE, Vocabulary
from sr_accessor.prior.examples import PRESETS, Examples, sample_examples, sample_expressions
from sr_accessor.prior.trees import PAPER_UNARY

VOCABULARY = Vocabulary(ELEMENTARY)
CODE = {o.name: VOCABULARY.id(o.name) for o in ELEMENTARY}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def paper() -> Examples:
    return sample_examples("paper", 8000, generator(1), VOCABULARY)


@pytest.fixture(scope="module")
def science() -> Examples:
    return sample_examples("science", 4000, generator(2), VOCABULARY)


def unaries(e) -> torch.Tensor:
    return torch.isin(e.codes, torch.tensor([CODE[n] for n in PAPER_UNARY]))


# ------------------------------------------------------------------ both
@pytest.mark.parametrize("preset", PRESETS)
def test_exact_count_and_determinism(preset):
    one, two = (sample_examples(preset, 333, generator(3), VOCABULARY) for _ in range(2))
    other = sample_examples(preset, 333, generator(4), VOCABULARY)
    assert len(one) == 333
    for a, b in ((one.x, two.x), (one.y, two.y), (one.expressions.codes, two.expressions.codes)):
        assert torch.equal(a, b)
    assert torch.equal(one.expressions.constants, two.expressions.constants)
    assert one.y.shape != other.y.shape or not torch.equal(one.y, other.y)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("count", [0, 1])
def test_few(preset, count):
    examples = sample_examples(preset, count, generator(5), VOCABULARY)
    assert len(examples) == count and examples.x.shape[0] == examples.y.shape[0] == count


@pytest.mark.parametrize("preset", PRESETS)
def test_padding_is_zero_and_rows_can_be_taken(preset):
    examples = sample_examples(preset, 200, generator(6), VOCABULARY)
    beyond = torch.arange(examples.y.shape[1]) >= examples.points[:, None]
    assert not examples.y[beyond].any() and not examples.x[beyond].any()
    columns = torch.arange(examples.x.shape[2]) >= examples.dimensions[:, None]
    assert not examples.x.transpose(1, 2)[columns].any()
    part = examples[torch.tensor([5, 7])]
    assert len(part) == 2 and torch.equal(part.y, examples.y[[5, 7]])


def test_errors_say_what_to_do():
    with pytest.raises(UnknownNameError, match="did you mean 'paper'"):
        sample_examples("papers", 1, generator(7), VOCABULARY)
    with pytest.raises(UnknownNameError, match="known: 'paper', 'science'"):
        sample_expressions("x", 1, 1, VOCABULARY, generator(7))
    with pytest.raises(InputError, match="at least one variable"):
        sample_expressions("paper", 1, 0, VOCABULARY, generator(7))
    with pytest.raises(InputError, match="generator lives on cpu"):
        sample_examples("paper", 1, generator(7), VOCABULARY, device="meta")


# ------------------------------------------------------------------ paper: [M] of system.md §1
def test_paper_values_are_the_expressions(paper):
    assert bool(paper.expressions.well_formed.all())
    for row in range(60):
        n, d = int(paper.points[row]), int(paper.dimensions[row])
        values, valid = read_prefix(paper.expressions[row], paper.x[row, :n, :d])
        assert bool(valid.all()) and float(values.abs().max()) <= 1e103
        torch.testing.assert_close(values[0], paper.y[row, :n], rtol=1e-10, atol=0)


def test_paper_sizes_are_not_skewed_by_rejection(paper):
    share = torch.bincount(paper.dimensions, minlength=11)[1:] / len(paper)
    assert float((share - 0.1).abs().max()) < 0.015
    leaves = (paper.expressions.codes >= VARIABLE).sum(1)
    extra = torch.bincount(leaves - 1 - paper.dimensions + 1, minlength=5) / len(paper)
    measured = torch.tensor([0.218, 0.202, 0.193, 0.202, 0.185])
    assert float((extra - measured).abs().max()) < 0.02


def test_paper_unaries(paper):
    here = unaries(paper.expressions)
    count = torch.bincount(here.sum(1), minlength=5) / len(paper)
    assert float((count - torch.tensor([0.22, 0.19, 0.21, 0.18, 0.19])).abs().max()) < 0.02
    measured = {
        "inv": 24.5, "square": 24.3, "sin": 8.2, "cube": 8.2, "abs": 7.9, "cos": 7.8, "exp": 7.3, "sqrt": 6.9,
        "tan": 1.7, "atan": 1.5, "log": 1.4,
    }  # fmt: skip
    for name, percent in measured.items():
        share = 100 * float((paper.expressions.codes == CODE[name]).sum() / here.sum())
        assert abs(share - percent) < 1.2, name


def test_paper_structure(paper):
    codes = paper.expressions.codes
    assert bool((codes[:, 0] == CODE["add"]).all()) and bool((codes[:, 1] == CONSTANT).all())
    here = unaries(paper.expressions)
    # the operator tree's root comes after `add c`, or `add c mul c`
    assert not here[:, 2].any() and not here[:, 4][(codes[:, 3] == CONSTANT)].any()
    # never a unary on a unary: an argument is `add …`, or a sum
    follows = codes[:, 1:][here[:, :-1]]
    assert set(follows.unique().tolist()) == {CODE["add"], CODE["sub"]}
    inside = here[:, 5:] & here[:, :-5] & (codes[:, 1:-4] == CODE["add"]) & (codes[:, 2:-3] == CONSTANT)
    assert not (inside & (codes[:, 3:-2] == CODE["mul"]) & (codes[:, 4:-1] == CONSTANT)).any()
    for d in range(10):
        assert bool((paper.expressions.uses(d) == (paper.dimensions > d)).all())
    assert not (codes == LITERAL).any()
    alone = (codes >= VARIABLE).sum(1) == 1
    assert alone.any() and not here[alone].any()  # one leaf: always affine


def test_paper_lengths(paper):
    e = paper.expressions
    nodes, numbers = e.lengths.double(), e.number_counts.double()
    tokens = nodes + 2 * numbers  # a number is three tokens
    assert abs(float(numbers.mean()) - 10.5) < 0.2 and int(numbers.max()) <= 27
    assert abs(float((e.codes >= VARIABLE).sum(1).double().mean()) - 7.4) < 0.15
    assert abs(float(nodes.mean()) - 36.7) < 0.7 and 60 <= int(nodes.max()) <= 90
    assert abs(float((nodes <= 60).double().mean()) - 0.95) < 0.015
    assert abs(float(tokens.mean()) - 57.7) < 1.2
    assert abs(float(tokens[paper.dimensions == 1].mean()) - 26) < 1.5
    assert abs(float(tokens[paper.dimensions == 10].mean()) - 84) < 2
    assert abs(float(numbers[paper.dimensions == 1].mean()) - 5.2) < 0.5
    assert abs(float(numbers[paper.dimensions == 10].mean()) - 14.7) < 0.5


def test_paper_points(paper):
    low = (5 * paper.dimensions).clamp(max=200)
    assert bool((paper.points >= low).all()) and int(paper.points.max()) == 200
    inside = paper.points[:, None]
    assert float((paper.x.sum(1) / inside).abs().max()) < 1e-5
    power = (paper.x.square().sum(1) / inside)[torch.arange(10) < paper.dimensions[:, None]]
    assert float((power - 1).abs().max()) < 1e-4


def test_paper_y_is_heavy_tailed(paper):
    largest = paper.y.abs().amax(1).log10()
    quantile = [float(torch.quantile(largest, q)) for q in (0.5, 0.9, 0.95, 0.99)]
    assert abs(quantile[0] - 3.52) < 0.15  # 3.3e3
    assert abs(quantile[1] - 9) < 1  # 1e9
    assert abs(quantile[2] - 18.7) < 5  # 5e18
    assert abs(quantile[3] - 71.7) < 12  # 5e71


# ------------------------------------------------------------------ science
def test_science_values_are_the_laws_but_for_noise(science):
    values, valid = evaluate_paired(science.expressions, science.x)
    inside = torch.arange(science.y.shape[1]) < science.points[:, None]
    assert bool((valid | ~inside).all())
    residual = torch.where(inside, values - science.y, 0.0).square().sum(1).div(science.points).sqrt()
    clean = residual < 1e-7
    assert abs(float(clean.double().mean()) - 0.5) < 0.04
    assert float(torch.quantile(residual, 0.97)) < 0.12 and float(torch.quantile(residual, 0.9)) > 0.02


def test_science_is_scaled(science):
    n = science.points[:, None]
    x_scale = (science.x.square().sum(1) / n).sqrt()[torch.arange(science.x.shape[2]) < science.dimensions[:, None]]
    assert float((x_scale - 1).abs().max()) < 1e-6
    y_scale = (science.y.square().sum(1) / n[:, 0]).sqrt()
    assert float(torch.quantile((y_scale - 1).abs(), 0.95)) < 0.1


def test_science_laws_are_simple_and_short(science):
    e = science.expressions
    assert bool(e.well_formed.all()) and bool((e.codes >= VARIABLE).any(1).all())
    median = float(e.lengths.double().median())
    assert 7 <= median <= 12
    again = simplify_batch(e)
    assert float((again.lengths == e.lengths).double().mean()) > 0.97
    used = torch.stack([e.uses(d) for d in range(10)], 1).sum(1)
    assert 0.1 < float((used < science.dimensions).double().mean()) < 0.35
    for name, least in {"div": 0.15, "pow": 0.04, "square": 0.1, "exp": 0.03, "sin": 0.03, "sqrt": 0.03}.items():
        assert float((e.codes == CODE[name]).any(1).double().mean()) > least, name
    assert float((e.codes == LITERAL).any(1).double().mean()) > 0.1


def test_science_is_varied(science):
    skeletons = {tuple(row) for row in science.expressions.codes.tolist()}
    assert len(skeletons) > 0.5 * len(science)
    n = science.points
    spread = science.y.square().sum(1).square() / science.y.pow(4).sum(1)
    assert float((spread / n).min()) > 0.02  # no law rests on one point


def test_exact_examples_have_no_noise_and_raw_ones_no_simpler_form(science):
    def used(e):
        columns = torch.arange(10) + VARIABLE
        return (e.expressions.codes[:, :, None] == columns).any(1).sum(1)

    def off(e):
        inside = torch.arange(e.y.shape[1]) < e.points[:, None]
        values = torch.where(inside, evaluate_paired(e.expressions, e.x)[0], 0.0)
        return (values - e.y).square().sum(1).sqrt() / e.y.square().sum(1).sqrt()

    exact, raw = (sample_examples(name, 1500, generator(2), VOCABULARY) for name in ("exact", "raw"))
    assert float(off(exact).quantile(0.98)) < 1e-9 and float(off(science).quantile(0.7)) > 1e-4
    whole, part = (float((used(e) == e.dimensions).double().mean()) for e in (exact, science))
    assert whole > 0.94 > 0.9 > part  # a few cancel
    simpler = simplify_batch(raw.expressions)
    assert float((simpler.lengths < raw.expressions.lengths).double().mean()) > 0.8
    assert float(off(raw).quantile(0.7)) > 1e-4


# ------------------------------------------------------------------ without data
@pytest.mark.parametrize("preset", PRESETS)
def test_expressions_use_their_variables_and_active_operators_only(preset):
    names = ["add", "mul", "sin", "square"]
    e = sample_expressions(preset, 1500, 2, VOCABULARY.restricted(names), generator(8))
    assert len(e) == 1500 and bool(e.well_formed.all())
    symbols = set(e.codes.unique().tolist()) - {0, CONSTANT, LITERAL}
    assert symbols == {VARIABLE, VARIABLE + 1} | {CODE[n] for n in names}


def test_expressions_of_science_have_unaries_at_the_root_and_free_numbers():
    e = sample_expressions("science", 3000, 3, VOCABULARY, generator(9))
    assert float((e.arities[:, 0] == 1).double().mean()) > 0.04
    assert float(((e.arities[:, 1:] == 1) & (e.arities[:, :-1] == 1)).any(1).double().mean()) > 0.02
    assert float((e.codes == CONSTANT).any(1).double().mean()) > 0.2
    assert float((e.codes == LITERAL).any(1).double().mean()) > 0.2
    assert 5 <= float(e.lengths.double().median()) <= 12


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("preset", PRESETS)
def test_cuda_stream(preset):
    make = [sample_examples(preset, 500, torch.Generator("cuda").manual_seed(1), VOCABULARY, "cuda") for _ in range(2)]
    assert torch.equal(make[0].y, make[1].y) and make[0].y.device.type == "cuda"
    values, _ = evaluate_paired(make[0].expressions, make[0].x)
    if preset == "paper":
        inside = torch.arange(make[0].y.shape[1], device="cuda") < make[0].points[:, None]
        torch.testing.assert_close(values[inside], make[0].y[inside], rtol=1e-9, atol=0)


def test_hopeless_attempts_are_those_that_no_inputs_could_save():
    """A quarter of all attempts are thrown away before inputs are drawn; none of them would have been accepted."""
    from sr_accessor.prior import examples as module

    dimensions = torch.randint(1, 11, (6000,), generator=generator(10))
    e = module._paper_expressions(dimensions, dimensions % 5, VOCABULARY, generator(11))
    hopeless = module._hopeless(e)
    assert 0.15 < float(hopeless.double().mean()) < 0.4
    e, dimensions = e[hopeless], dimensions[hopeless]
    points = module.sample_paper_points(dimensions, generator(12))
    x = module.paper_clusters(points, dimensions, generator(13))
    assert not module._evaluate(e, x, points, module.PAPER_LARGEST)[1].any()


def test_a_search_may_offer_many_columns():
    e = sample_expressions("science", 200, 60, VOCABULARY, generator(14))
    assert len(e) == 200 and int(e.codes.max()) >= VARIABLE + 50
