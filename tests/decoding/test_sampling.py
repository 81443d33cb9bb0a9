"""Sampling and beam search: reproducible, complete, with the probabilities they claim."""

import itertools

import pytest
import torch

from sr_accessor.decoding.beam import beam
from sr_accessor.decoding.grammar import grammar
from sr_accessor.decoding.sampling import drawn, sample
from sr_accessor.device import generator
from sr_accessor.errors import InputError
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build
from sr_accessor.transformer.tokenizer import Tokenizer

VOCABULARY = Vocabulary(ELEMENTARY)
MODEL = build(preset("tiny"), generator(0)).eval()


def setting(bags=3, length=20, names=None, **changes):
    model = build(preset("tiny", **changes), generator(0)).eval() if changes else MODEL
    tokenizer = Tokenizer(model.config, VOCABULARY if names is None else VOCABULARY.restricted(names))
    x = torch.randn(bags, 15, 2, generator=generator(1), dtype=torch.float64)
    with torch.no_grad():
        memory = model.encode(tokenizer.encode_points(x, x.sum(-1)))
    return model, tokenizer, memory, grammar(tokenizer, variables=2, length=length)


def score(model, tokenizer, memory, rules, tokens):
    """Log-probability (S, C) of given rows, by teacher forcing and the grammar's mask: the slow, plain way."""
    rows = tokens.flatten(0, 1)
    start = torch.full_like(rows[:, :1], tokenizer.ids.eos)
    with torch.no_grad():
        logits, _ = model.decode(torch.cat([start, rows[:, :-1]], 1), memory)
    state, total = rules.start(len(rows)), torch.zeros(len(rows))
    for t in range(rows.shape[1]):
        log = torch.log_softmax(logits[:, t].masked_fill(~rules.mask(state), -torch.inf), -1)
        total += log.gather(1, rows[:, t : t + 1])[:, 0]
        state = rules.advance(state, rows[:, t])
    assert state.done.all()
    return total.view(tokens.shape[:2])


def test_samples_are_complete_reproducible_and_scored():
    model, tokenizer, memory, rules = setting()
    one = sample(model, memory, rules, samples=50, generator=generator(5))
    two = sample(model, memory, rules, samples=50, generator=generator(5))
    other = sample(model, memory, rules, samples=50, generator=generator(6))
    assert torch.equal(one.tokens, two.tokens) and not torch.equal(one.tokens, other.tokens)
    assert one.tokens.shape == (3, 50, 20)
    assert tokenizer.decode_targets(one.tokens.flatten(0, 1)).well_formed.all()
    # leaving the batch early changes neither what is written nor its probability
    assert torch.allclose(one.log_probability, score(model, tokenizer, memory, rules, one.tokens), atol=1e-3)


def test_greedy_takes_the_likeliest_token():
    model, tokenizer, memory, rules = setting()
    greedy = sample(model, memory, rules, samples=1, temperature=0.0)
    cold = sample(model, memory, rules, samples=1, temperature=1e-4, generator=generator(0))
    assert torch.equal(greedy.tokens, cold.tokens)
    assert torch.allclose(greedy.log_probability, score(model, tokenizer, memory, rules, greedy.tokens), atol=1e-4)


def test_frequencies_are_the_networks_probabilities():
    """All 1- and 2-token sequences of a small language, drawn 20,000 times."""
    model, tokenizer, memory, rules = setting(bags=1, length=2, names=["sin", "exp"])
    drawn = sample(model, memory, rules, samples=20_000, generator=generator(3))
    rows, counts = torch.unique(drawn.tokens[0], dim=0, return_counts=True)
    expected = score(model, tokenizer, memory.select(torch.zeros(1, dtype=torch.int64)), rules, rows[None])[0].exp()
    assert (counts / 20_000 - expected).abs().max() < 0.015
    assert 0.98 < float(expected.sum()) < 1.001


def test_sequences_of_every_length_end_in_their_own_place():
    model, tokenizer, memory, rules = setting(bags=4, length=40)
    drawn = sample(model, memory, rules, samples=30, temperature=3.0, generator=generator(9))
    ends = (drawn.tokens != tokenizer.ids.pad).sum(-1)
    assert ends.min() < 4 and ends.max() > 8  # so that rows and whole bags left the batch on the way
    assert torch.allclose(drawn.log_probability, score(model, tokenizer, memory, rules, drawn.tokens), atol=1e-3)


def test_beam_finds_the_best_of_all_sequences():
    model, tokenizer, memory, rules = setting(bags=2, length=2, names=["sin", "exp"])
    ids = tokenizer.ids
    operators = [ids.operators[tokenizer.config.operators.index(n)] for n in ("sin", "exp")]
    leaves = [*ids.literals, ids.variable, ids.variable + 1]
    every = [[leaf, ids.pad] for leaf in leaves] + [list(p) for p in itertools.product(operators, leaves)]
    tokens = torch.tensor(every).expand(2, -1, -1)
    total = score(model, tokenizer, memory, rules, tokens)
    found = beam(model, memory, rules, width=len(every), length_penalty=0.0)
    order = total.argsort(dim=1, descending=True)
    assert torch.allclose(found.log_probability, total.gather(1, order), atol=1e-4)
    assert torch.equal(found.tokens[:, 0], tokens.gather(1, order[:, :1, None].expand(-1, -1, 2))[:, 0])


def test_beam_is_complete_and_at_least_as_good_as_greedy():
    model, tokenizer, memory, rules = setting()
    found = beam(model, memory, rules, width=8)
    assert tokenizer.decode_targets(found.tokens.flatten(0, 1)).well_formed.all()
    assert torch.allclose(found.log_probability, score(model, tokenizer, memory, rules, found.tokens), atol=1e-3)
    wide = beam(model, memory, rules, width=8, length_penalty=0.0).log_probability
    assert (wide.diff(dim=1) <= 0).all()
    assert all(len(set(map(tuple, bag.tolist()))) == 8 for bag in found.tokens)


def test_a_beam_wider_than_the_language():
    model, _, memory, rules = setting(bags=1, length=1, names=["sin"])
    found = beam(model, memory, rules, width=60)
    assert int(torch.isfinite(found.log_probability).sum()) == 37 + 2  # literals and variables


def test_what_cannot_be_drawn():
    model, _, memory, rules = setting()
    with pytest.raises(InputError, match="generator"):
        sample(model, memory, rules, samples=2)
    with pytest.raises(InputError, match="temperature=-1"):
        sample(model, memory, rules, samples=2, temperature=-1, generator=generator(0))
    with pytest.raises(InputError, match="width=0"):
        beam(model, memory, rules, width=0)


def test_draws_have_their_probabilities_and_never_none():
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0]).expand(20_000, 6)
    found = torch.bincount(drawn(probabilities, generator(0))[:, 0], minlength=6) / 20_000
    assert found[[0, 2, 5]].tolist() == [0, 0, 0]
    assert found.tolist() == pytest.approx(probabilities[0].tolist(), abs=0.015)
    certain = torch.nn.functional.one_hot(torch.arange(6), 6).float()
    assert drawn(certain * 0.7, generator(0))[:, 0].tolist() == list(range(6))
