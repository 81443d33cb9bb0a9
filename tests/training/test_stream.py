"""Streams: fixed shapes, enough points, no example twice, laws that still hold, exact continuation."""

from itertools import islice

import pytest
import torch

from sr_accessor.decoding.scaling import fit
from sr_accessor.errors import InputError, UnknownNameError
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.prior.examples import sample_examples
from sr_accessor.training.stream import (
    NEW_SHARE,
    Source,
    augment,
    batches,
    drawn,
    held_out,
    prepare,
    rehearsed,
    shapes,
)
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.tokenizer import Tokenizer, layout

VOCABULARY = Vocabulary(ELEMENTARY)
CPU = torch.device("cpu")


def source(name="small", prior="science", **changes):
    options = dict(seed=1, batch_points=300, block=300) | changes
    return Source(prior, Tokenizer(preset(name), VOCABULARY), CPU, **options)


def same(one, other):
    return torch.equal(one.tokens, other.tokens) and torch.equal(one.points.features, other.points.features)


def test_shapes_are_few_and_batches_full():
    here = source()
    allowed = shapes(here.tokenizer.config)
    assert len(allowed) == 25
    for batch, _ in islice(batches(here), 30):
        shape = (batch.points.mask.shape[1], batch.tokens.shape[1])
        assert shape in allowed and len(batch) * shape[0] >= 300
        assert batch.real_points == int(batch.points.mask.sum()) <= len(batch) * shape[0]
        pad = layout(here.tokenizer.config).pad
        assert batch.real_tokens == int((batch.tokens[:, 1:] != pad).sum())
        smaller = max((t for n, t in allowed if n == shape[0] and t < shape[1]), default=0)
        assert int((batch.tokens != pad).sum(1).min()) > smaller  # of similar length


def test_no_example_comes_twice_and_none_is_lost():
    here = source(batch_points=1500)
    seen, last = [], None
    for batch, position in islice(batches(here), 40):
        seen.append(batch.points.features[:, 0])  # the bits of one point of each example
        last = position
    assert last.block > 2
    rows = torch.cat(seen)
    assert len(torch.unique(rows, dim=0)) == len(rows)
    drawn = (last.block + 1) * 300
    waiting = len(last.carry)
    assert drawn - 300 - waiting <= len(rows) <= drawn


def test_priors_are_mixed_and_scaled_as_the_network_wants_its_data():
    random = torch.Generator().manual_seed(5)
    for name, prior in (("small", "paper"), ("pair", "science"), ("small", "science+paper")):
        here = source(name, prior)
        parts = list(drawn(here, 41, random))
        assert sum(map(len, parts)) == 41 and len(parts) == len(here.priors)
        for e in parts:
            kind, inside = here.tokenizer.config.scaling, torch.arange(e.y.shape[1]) < e.points[:, None]
            again = fit(e.x, e.y, inside, kind=kind)
            used = torch.arange(e.x.shape[2]) < e.dimensions[:, None]
            assert torch.allclose(again.x_scale[used], torch.ones(int(used.sum())).double(), rtol=1e-6)
            if kind == "rms":  # noise comes after the scaling
                assert torch.allclose(again.y_scale.log10(), torch.zeros(len(e)).double(), atol=0.05)
    exact = next(iter(drawn(source("small", "paper"), 200, random)))
    for row in range(200):
        n = int(exact.points[row])
        y, valid = evaluate(exact.expressions[row], exact.x[row, :n])
        assert bool(valid.all()) and torch.allclose(y[0], exact.y[row, :n], rtol=1e-6, atol=1e-6)
    first, second = (len(p) for p in drawn(source("small", "science+paper"), 7, random))
    assert (first, second) == (3, 4)
    assert len(next(batches(source("small", "science+paper")))[0]) > 0
    with pytest.raises(UnknownNameError, match=r"no preset 'sience'.*science"):
        source("small", "paper+sience")


def test_a_stream_goes_on_where_it_stood():
    whole = list(islice(batches(source()), 60))
    for at in (3, 45):
        rest = batches(source(), whole[at][1])
        assert all(same(next(rest)[0], batch) for batch, _ in whole[at + 1 :])


def test_shards_and_seeds_have_examples_of_their_own():
    first = next(batches(source()))[0]
    assert same(first, next(batches(source()))[0])
    for other in (source(shard=1), source(seed=2)):
        batch = next(batches(other))[0]
        assert batch.tokens.shape != first.tokens.shape or not torch.equal(batch.tokens, first.tokens)


@pytest.mark.parametrize("prior", ["science", "paper"])
def test_augmented_laws_hold(prior):
    generator = torch.Generator().manual_seed(3)
    examples = sample_examples(prior, 60, generator, VOCABULARY)
    config = preset("small", points=150)
    new = augment(examples, config, generator)
    assert len(new) == len(examples) and torch.equal(new.dimensions, examples.dimensions)
    assert bool((new.points <= 150).all()) and bool((new.points >= examples.points.clamp(max=16)).all())
    assert bool((new.points < examples.points).any())
    moved = 0
    for row in range(len(new)):
        n, old = int(new.points[row]), int(examples.points[row])
        values, _ = evaluate(new.expressions[row], new.x[row, :n])
        truth, _ = evaluate(examples.expressions[row], examples.x[row, :old])
        place = [int((examples.y[row, :old] == y).nonzero()[0, 0]) for y in new.y[row, :n]]
        assert torch.allclose(values[0], truth[0, place], rtol=1e-9, atol=1e-12)
        moved += not torch.equal(new.expressions.codes[row], examples.expressions.codes[row])
        assert not new.x[row, n:].any() and not new.y[row, n:].any()
    assert moved > 20


def test_too_many_variables_or_tokens_are_left_out():
    config = preset("tiny", length=12, positions=13)
    generator = torch.Generator().manual_seed(0)
    examples = sample_examples("science", 200, generator, VOCABULARY)
    ready = prepare(augment(examples, config, generator), Tokenizer(config, VOCABULARY))
    assert 0 < len(ready) < int((examples.dimensions <= 4).sum())
    assert int(ready.dimensions.max()) <= 4 and ready.tokens.shape[1] == 13
    batch = next(batches(source("tiny")))[0]
    ids = layout(preset("tiny"))
    used = torch.zeros(ids.size, dtype=torch.bool)
    used[batch.tokens.flatten()] = True
    assert bool(used[ids.variable : ids.variable + 4].any()) and VARIABLE not in batch.tokens


def test_held_out_functions_are_the_same_for_all_and_in_no_stream():
    one, two = held_out(source(), 150), held_out(source(seed=7, shard=3), 150)
    assert sum(map(len, one)) <= 150 and sum(map(len, one)) > 130
    assert all(same(a, b) for a, b in zip(one, two, strict=True))
    for batch in one:
        assert bool((batch.dimensions.diff() >= 0).all())  # neighbours have as many variables
    unseen = {tuple(row) for b in one for row in b.points.features[:, 0].tolist()}
    trained = {tuple(row) for b, _ in islice(batches(source()), 40) for row in b.points.features[:, 0].tolist()}
    assert not unseen & trained


def test_sizes_that_cannot_be():
    with pytest.raises(InputError, match="batch_points"):
        source(batch_points=0)


def test_operators_to_be_learnt_are_in_a_quarter_of_the_examples():
    new = ("tanh", "atan")
    examples = sample_examples("science", 2000, torch.Generator().manual_seed(0), VOCABULARY)
    kept = rehearsed(examples, new, torch.Generator().manual_seed(1))
    has = [
        torch.isin(e.expressions.codes, torch.tensor([VOCABULARY.id(name) for name in new])).any(1)
        for e in (examples, kept)
    ]
    assert 20 < int(has[0].sum()) == int(has[1].sum())  # none of them is lost
    assert float(has[1].double().mean()) == pytest.approx(NEW_SHARE, abs=0.01)
    assert len(rehearsed(kept[~has[1]], new, torch.Generator())) == int((~has[1]).sum())  # none: all stay
    rows = torch.cat([kept.x[:, 0, 0], examples.x[:, 0, 0]])
    assert len(torch.unique(rows)) == len(torch.unique(examples.x[:, 0, 0]))


def test_a_stream_with_operators_to_be_learnt_goes_on_where_it_stood():
    here = source(new=("tanh",))
    whole = list(islice(batches(here), 12))
    rest = list(islice(batches(here, whole[4][1]), 7))
    assert all(same(one, other) for (one, _), (other, _) in zip(whole[5:], rest, strict=True))
