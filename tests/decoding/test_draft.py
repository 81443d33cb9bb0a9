"""Draft: from observations to distinct expressions in the user's own units."""

import pytest
import torch

from sr_accessor.decoding.draft import bag_indices, draft, merge_skeletons, rank_features, subexpressions
from sr_accessor.device import generator
from sr_accessor.errors import InputError
from sr_accessor.expressions.batch import concatenate, constant, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build
from sr_accessor.transformer.tokenizer import Tokenizer, layout

VOCABULARY = Vocabulary(ELEMENTARY)
MODEL = build(preset("tiny"), generator(0)).eval()


def observations(points=100, variables=3):
    x = torch.rand(points, variables, generator=generator(1), dtype=torch.float64) * 50 + 1
    return x, 3.0 * x[:, 0] / x[:, 1]


def write(x, y, seed=0, model=MODEL, **options):
    return draft(model, x, y, vocabulary=VOCABULARY, generator=generator(seed), **options)


def test_a_draft_is_reproducible_distinct_and_scored():
    x, y = observations()
    one, two = write(x, y, samples=60, bags=3), write(x, y, samples=60, bags=3)
    assert torch.equal(one.expressions.codes, two.expressions.codes)
    assert torch.equal(one.expressions.constants, two.expressions.constants)
    assert one.samples == 60 and int(one.counts.sum()) == 60
    assert one.expressions.well_formed.all()
    literals = torch.where(one.expressions.free, 0.0, one.expressions.constants)
    skeletons = torch.cat([one.expressions.codes, literals], 1)
    assert len(torch.unique(skeletons, dim=0)) == len(one.expressions) == len(one.counts)
    assert one.kept == (0, 1, 2) and one.dropped == ()


def test_the_errors_are_those_of_the_expressions():
    x, y = observations(points=40)  # one bag of all points
    one = write(x, y, samples=60)
    values, valid = evaluate(one.expressions, x)
    expected = torch.where(valid.all(1), ((values - y) ** 2).mean(1), torch.inf)
    assert torch.allclose(one.mean_squared_error, expected)
    assert (one.mean_squared_error[1:] >= one.mean_squared_error[:-1]).all()


@pytest.mark.parametrize("kind", ["rms", "standard"])
def test_a_network_that_knows_the_law_drafts_it_in_the_users_units(kind):
    """Trained until it repeats one scaled law; the draft must be the law of the unscaled data."""
    from sr_accessor.decoding import scaling

    model = build(preset("tiny", scaling=kind), generator(0))
    tokenizer = Tokenizer(model.config, VOCABULARY)
    x = torch.rand(30, 2, generator=generator(2), dtype=torch.float64) * 40 + 3
    how = scaling.fit(x[None], x[None, :, 0], kind=kind)
    law = constant([2.0], VOCABULARY) * variable([1], VOCABULARY).apply("square") + constant([7.0], VOCABULARY)
    y = evaluate(how.unscale(law), x)[0][0]
    refit = scaling.fit(x[None], y[None], kind=kind)
    points = tokenizer.encode_points(*refit.apply(x[None], y[None]))
    told = scaling.substitute(law, torch.ones(1, 2), torch.zeros(1, 2), how.y_scale / refit.y_scale,
                              (how.y_shift - refit.y_shift) / refit.y_scale)  # fmt: skip
    tokens = tokenizer.encode_targets(told).tokens
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = model.loss(points, tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = write(x, y, model=model.eval(), temperature=0.0)
    assert found.samples == 1
    values, _ = evaluate(found.expressions, x)
    assert ((values[0] - y).abs() / y.abs()).max() < 0.06  # two-digit mantissas


def test_more_variables_than_inputs_are_ranked_and_reported():
    x = torch.randn(300, 9, generator=generator(3), dtype=torch.float64)
    y = x[:, 7] ** 2 + 0.1 * x[:, 2]  # even in x7: a linear correlation does not see it
    found = write(x, y, samples=40)
    assert found.kept[0] == 7 and len(found.kept) == 4 and len(found.dropped) == 5
    assert sorted(found.kept + found.dropped) == list(range(9))
    codes = found.expressions.codes
    used = {int(c) - VARIABLE for c in codes[codes >= VARIABLE].unique()}
    assert used and used <= set(found.kept)


def test_ranking():
    x = torch.randn(500, 4, generator=generator(4), dtype=torch.float64)
    x[:, 3] = 5.0
    y = torch.cos(3 * x[:, 1])
    assert rank_features(x, y)[0] == 1
    assert rank_features(x, y)[-1] == 3  # a constant column tells nothing
    assert rank_features(x[:3], y[:3]).shape == (4,)


def test_bags():
    assert bag_indices(50, 7, 200, generator(0)).tolist() == [list(range(50))]
    bags = bag_indices(1000, 12, 200, generator(0))
    assert bags.shape == (12, 200)
    assert all(len(set(bag)) == 200 for bag in bags.tolist())  # no point twice in a bag
    assert sorted(bags[:5].flatten().tolist()) == list(range(1000))  # every point once before any twice
    assert bags[0].tolist() != sorted(bags[0].tolist())
    assert bag_indices(95, 10, 48, generator(0)).shape == (10, 48)  # one bag per pass over the data
    assert bag_indices(250, 3, 200, generator(0)).shape == (3, 200)


def test_duplicates_merge_by_skeleton():
    x0 = variable([0], VOCABULARY)
    batch = concatenate([constant([c], VOCABULARY) * x0 for c in (1.0, 2.0, 3.0)] + [x0])
    best, counts = merge_skeletons(batch, torch.tensor([5.0, 1.0, torch.inf, 3.0]))
    assert best.tolist() == [1, 3] and counts.tolist() == [3, 1]
    best, counts = merge_skeletons(batch, torch.full((4,), torch.inf))
    assert sorted(counts.tolist()) == [1, 3] and sorted(best.tolist()) == [0, 3]


def test_beam_instead_of_samples():
    x, y = observations()
    found = write(x, y, beam_width=12, bags=1)
    assert found.samples == 12 and found.expressions.well_formed.all()
    assert torch.isfinite(found.log_probability).all()


def test_excluded_operators_do_not_come_back_by_unscaling():
    x, y = observations()
    allowed = VOCABULARY.restricted(["sin", "exp", "add"])
    found = draft(MODEL, x, y, vocabulary=allowed, generator=generator(0), samples=80)
    names = {VOCABULARY.operator(c).name for c in found.expressions.codes.unique().tolist() if 8 <= c < VARIABLE}
    assert names <= {"sin", "exp", "add"} and len(found.expressions) > 0


def test_many_points_are_judged_on_those_the_network_saw():
    x, y = observations(points=500)
    found = write(x, y, samples=20, bags=2)
    assert found.samples == 20 and torch.isfinite(found.mean_squared_error).any()


def test_a_skeleton_network_starts_its_constants_at_random():
    model = build(preset("tiny", targets="skeleton"), generator(0)).eval()
    x, y = observations()
    found = write(x, y, model=model, samples=80)
    numbers = found.expressions.constants[found.expressions.free]
    assert len(numbers) > 5 and numbers.std() > 0.3


def test_a_random_start_replaces_what_the_network_wrote():
    model, x, y = build(preset("tiny"), generator(0)).eval(), *observations()
    begins = layout(model.config).numbers
    with torch.no_grad():
        model.decoder.output_bias[begins.start : begins.stop] += 20.0  # it writes a number wherever one may stand
    own, drawn, again = (write(x, y, model=model, samples=1, random_start=how) for how in (False, True, True))
    assert own.expressions.codes.tolist() == drawn.expressions.codes.tolist()  # the same sequence
    assert own.expressions.free.any() and not torch.allclose(own.expressions.constants, drawn.expressions.constants)
    assert torch.equal(drawn.expressions.constants, again.expressions.constants)


def test_global_state_is_not_touched():
    x, y = observations()
    threads, dtype, state = torch.get_num_threads(), torch.get_default_dtype(), torch.random.get_rng_state()
    copies = x.clone(), y.clone()
    write(x, y, samples=5)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, dtype)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(x, copies[0]) and torch.equal(y, copies[1])


@pytest.mark.parametrize(
    "x, y, told",
    [
        (torch.zeros(2, 1), torch.zeros(2), "at least 3"),
        (torch.zeros(5, 0), torch.zeros(5), "no input column"),
        (torch.zeros(5, 1), torch.zeros(5, 1), r"y \(N,\)"),
        (torch.full((5, 1), float("nan")), torch.zeros(5), "x has values"),
        (torch.zeros(5, 1), torch.full((5,), float("inf")), "y has values"),
    ],
)
def test_observations_that_cannot_be_used(x, y, told):
    with pytest.raises(InputError, match=told):
        write(x, y)


def test_no_samples_and_no_bags():
    x, y = observations()
    for options in ({"samples": 0}, {"bags": 0}):
        with pytest.raises(InputError, match="at least 1"):
            write(x, y, **options)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_code_on_cuda():
    x, y = observations()
    model = build(preset("tiny"), generator(0, "cuda")).eval()
    found = draft(model, x, y, vocabulary=VOCABULARY, generator=generator(0, "cuda"), samples=50, bags=3)
    assert found.expressions.well_formed.all() and found.expressions.device.type == "cuda"
    with pytest.raises(InputError, match="generator lives"):
        write(x, y, model=model)


def test_constant_columns_and_constant_y():
    x, _ = observations()
    x[:, 1] = 4.0
    found = write(x, torch.full((100,), 6.0, dtype=torch.float64), samples=30)
    assert found.expressions.well_formed.all()


def test_parts_of_laws_are_the_search_s_material():
    texts = ["2*sin(3*a) + b", "exp(sin(3*a))", "a*sin(3*a)", "a", "a*b"]
    laws = concatenate([parse(text, VOCABULARY, ["a", "b"]) for text in texts])
    parts = to_text(subexpressions(laws), ["a", "b"])
    assert set(parts) == {"3*a", "sin(3*a)", "2*sin(3*a)"}
    assert parts[2] == "2*sin(3*a)"  # one law has it, three have the others
    assert len(subexpressions(laws[3:])) == 0
