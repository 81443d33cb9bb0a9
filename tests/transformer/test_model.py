"""Invariance to the order of points, cache = no cache, shared memory, initialisation, learning."""

import pytest
import torch

from sr_accessor.expressions.batch import concatenate, constant, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build, cross_entropy, with_operators
from sr_accessor.transformer.tokenizer import Points, Tokenizer, layout

VOCABULARY = Vocabulary(ELEMENTARY)
AS_PUBLISHED = dict(norm="post_layer", activation="relu", bias=True, inputs="tokens")


def network(**changes):
    return build(preset("tiny", **changes), torch.Generator().manual_seed(0)).eval()


def bags(model, seed=0, count=3, points=20, variables=3, mask=None):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, points, variables, generator=generator, dtype=torch.float64)
    y = torch.randn(count, points, generator=generator, dtype=torch.float64)
    return Tokenizer(model.config, VOCABULARY).encode_points(x, y, mask)


def random_tokens(model, rows, length=12, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(layout(model.config).size, (rows, length), generator=generator)


@pytest.mark.parametrize("changes", [{}, AS_PUBLISHED], ids=["pre_rms", "as_published"])
def test_the_order_of_points_means_nothing(changes):
    model = network(**changes)
    points, tokens = bags(model), random_tokens(model, 3)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    shuffled = Points(points.features[:, order])
    assert torch.allclose(model(points, tokens), model(shuffled, tokens), atol=1e-5)
    assert not torch.allclose(model(points, tokens), model(bags(model, seed=5), tokens), atol=1e-3)  # but points do


@pytest.mark.parametrize("changes", [{}, AS_PUBLISHED], ids=["pre_rms", "as_published"])
def test_cache_equals_no_cache(changes):
    model = network(**changes)
    points, tokens = bags(model), random_tokens(model, 3, length=45)  # longer than the cache's first spare room
    whole = model(points, tokens)
    memory, cache, steps = model.encode(points), None, []
    for t in range(tokens.shape[1]):
        logits, cache = model.decode(tokens[:, t : t + 1], memory, cache)
        steps.append(logits)
    assert cache.length == tokens.shape[1]
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-5)
    first, cache = model.decode(tokens[:, :7], memory)
    rest, cache = model.decode(tokens[:, 7:], memory, cache)  # several at once
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-5)


def test_a_cache_is_a_value():
    model = network()
    points, tokens = bags(model), random_tokens(model, 3)
    memory = model.encode(points)
    _, first = model.decode(tokens[:, :1], memory)
    again, _ = model.decode(tokens[:, 1:2], memory, first)
    _, longer = model.decode(tokens[:, 1:2], memory, first)
    model.decode(tokens[:, 2:3], memory, longer)
    assert first.length == 1 and longer.length == 2
    assert torch.equal(model.decode(tokens[:, 1:2], memory, first)[0], again)
    chosen = torch.tensor([2, 0])
    kept, _ = model.decode(tokens[chosen, 1:2], memory.select(chosen), first.select(chosen))
    assert torch.allclose(kept, again[chosen], atol=1e-6)


def test_sequences_of_a_bag_share_its_memory():
    model = network()
    memory = model.encode(bags(model, count=2))
    tokens = random_tokens(model, 6)  # three sequences for each of two bags
    together, _ = model.decode(tokens, memory)
    alone, _ = model.decode(tokens, memory.select(torch.tensor([0, 0, 0, 1, 1, 1])))
    assert torch.allclose(together, alone, atol=1e-5)


def test_masked_points_are_not_seen():
    model = network()
    mask = torch.ones(3, 20, dtype=torch.bool)
    mask[:, 15:] = False
    points, tokens = bags(model, mask=mask), random_tokens(model, 3)
    other = points.features.clone()
    other[:, 15:] = 0.5
    cut = Points(points.features[:, :15])
    assert torch.allclose(model(points, tokens), model(Points(other, mask), tokens), atol=1e-6)
    assert torch.allclose(model(points, tokens), model(cut, tokens), atol=1e-5)


def test_later_tokens_are_not_seen():
    model = network()
    points, tokens = bags(model), random_tokens(model, 3)
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % layout(model.config).size
    before, after = model(points, tokens), model(points, changed)
    assert torch.allclose(before[:, :6], after[:, :6], atol=1e-6)
    assert not torch.allclose(before[:, 6:], after[:, 6:], atol=1e-3)


def test_initial_values_are_said_by_one_function():
    state = torch.random.get_rng_state()
    one, two = network(), network()
    assert torch.equal(torch.random.get_rng_state(), state)  # the global generator is not touched
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b) and torch.isfinite(a).all()
    published = network(**AS_PUBLISHED)
    ids = layout(published.config)
    table = published.decoder.tokens.weight.detach()
    assert (table[ids.pad] == 0).all()
    assert abs(float(table.std()) * 32**0.5 - 1) < 0.05
    assert abs(float(published.encoder.layers[0].feed_forward.inner.weight.detach().abs().max()) * 32**0.5 - 1) < 0.02
    assert (published.decoder.output_bias == 0).all() and (published.encoder.norm.weight == 1).all()


def test_the_loss_is_the_mean_over_what_is_written():
    model = network()
    points = bags(model, count=2)
    tokenizer = Tokenizer(model.config, VOCABULARY)
    x0 = variable([0], VOCABULARY)
    batch = concatenate([x0 + constant([1.5], VOCABULARY), x0])
    tokens = tokenizer.encode_targets(batch).tokens
    assert (tokens != tokenizer.ids.pad).sum(1).tolist() == [7, 3]
    log = torch.log_softmax(model(points, tokens[:, :-1]), -1)
    by_hand = [-log[b, t, tokens[b, t + 1]] for b, end in ((0, 6), (1, 2)) for t in range(end)]
    assert torch.allclose(model.loss(points, tokens), torch.stack(by_hand).mean(), atol=1e-5)
    longer = torch.nn.functional.pad(tokens, (0, 5), value=tokenizer.ids.pad)
    assert torch.allclose(model.loss(points, tokens), model.loss(points, longer), atol=1e-5)
    each = cross_entropy(model(points, tokens[:, :-1]), tokens, tokenizer.ids.pad, reduction="none")
    assert torch.allclose(each.sum(), torch.stack(by_hand).sum(), atol=1e-4)


def test_it_learns_and_runs_under_autocast():
    model = network().train()
    tokenizer = Tokenizer(model.config, VOCABULARY)
    x0 = variable([0], VOCABULARY)
    tokens = tokenizer.encode_targets(concatenate([x0.apply("sin"), x0 * x0, x0.apply("exp")])).tokens
    points = bags(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(points, tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert loss.dtype == torch.float32
    assert losses[-1] < 0.3 * losses[0]
    assert all(p.grad is not None for p in model.parameters())


def test_new_operators_leave_the_old_ones_as_they_were():
    model = network()
    grown = with_operators(model, ("erfcx",), torch.Generator().manual_seed(9)).eval()
    assert grown.config.operators[-1] == "erfcx"
    points, tokens = bags(model), random_tokens(model, 3)
    before, after = model(points, tokens), grown(points, tokens)
    assert after.shape[-1] == before.shape[-1] + 1
    assert torch.allclose(after[..., :-1], before, atol=1e-6)
