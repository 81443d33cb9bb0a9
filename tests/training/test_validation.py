"""Own points against another's: a network that ignores points, one that reads them, and who the neighbour is."""

import pytest
import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.training.distributed import World
from sr_accessor.training.operations import operations
from sr_accessor.training.precision import choose
from sr_accessor.training.stream import Source, held_out
from sr_accessor.training.validation import neighbours, validate
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build, cross_entropy
from sr_accessor.transformer.tokenizer import Tokenizer, layout

CPU = torch.device("cpu")
ALONE = World(0, 1, CPU)
EXACT = choose(CPU, "float32")


def setting(count=60):
    config = preset("tiny")
    tokenizer = Tokenizer(config, Vocabulary(ELEMENTARY))
    return build(config, torch.Generator().manual_seed(0)), held_out(Source("science", tokenizer, CPU), count)


def test_neighbours_have_as_many_variables():
    found = neighbours(torch.tensor([1, 1, 1, 2, 3, 3]))
    assert found.tolist() == [1, 2, 0, 2, 5, 4]


def test_means_are_over_tokens():
    model, batches = setting()
    found = validate(model, batches, ALONE, EXACT)
    pad = layout(model.config).pad
    with torch.no_grad():
        nats = sum(
            float(cross_entropy(model(b.points, b.tokens[:, :-1]), b.tokens, pad, reduction="sum")) for b in batches
        )
    tokens = sum(int((b.tokens[:, 1:] != pad).sum()) for b in batches)
    assert found.own == pytest.approx(nats / tokens, rel=1e-5)
    assert found.functions == sum(map(len, batches)) and 0 <= found.accuracy < 0.2
    assert found.gap == found.other - found.own


def test_a_network_that_ignores_points_has_no_gap():
    model, batches = setting()
    with torch.no_grad():
        for layer in model.decoder.layers:
            layer.cross.output.weight.zero_()
    assert validate(model, batches, ALONE, EXACT).gap == 0.0


def test_a_network_that_learns_these_functions_by_heart_reads_their_points():
    model, batches = setting(12)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        sum(model.loss(b.points, b.tokens) for b in batches).backward()
        optimizer.step()
    found = validate(model.train(), batches, ALONE, EXACT)
    assert model.training and found.gap > 0.1 and found.accuracy > 0.5


def test_operations_grow_with_points_and_tokens():
    model, batches = setting()
    batch = max(batches, key=len)
    weights = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    counted = operations(model, batch)
    assert 0 < counted < 12 * weights * (batch.real_points + batch.real_tokens)
    assert counted > 6 * sum(p.numel() for p in model.embedder.parameters() if p.ndim == 2) * batch.real_points
