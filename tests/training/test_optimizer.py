"""Learning rates at stated steps; what AdamW shrinks."""

import pytest
import torch

from sr_accessor.errors import UnknownNameError
from sr_accessor.training.optimizer import learning_rate, make_optimizer, paper_schedule
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-7), (5_000, 1.0005e-4), (10_000, 2e-4), (40_000, 1e-4)])
def test_the_published_schedule(step, rate):
    assert paper_schedule(step) == pytest.approx(rate, rel=1e-12)
    assert learning_rate("paper", step, 0.9, 2e-4) == paper_schedule(step)  # the budget does not matter


@pytest.mark.parametrize(
    ("schedule", "step", "spent", "part"),
    [
        ("stable", 0, 0.0, 1 / 200),
        ("stable", 10_000, 0.0, 1.0),
        ("stable", 10_000, 0.7, 1.0),
        ("stable", 10_000, 0.85, 0.5),
        ("stable", 10_000, 1.0, 0.0),
        ("cosine", 99, 0.0, 0.5),
        ("cosine", 10_000, 0.5, 0.55),
        ("cosine", 10_000, 1.0, 0.1),
    ],
)
def test_the_modern_schedules(schedule, step, spent, part):
    assert learning_rate(schedule, step, spent, 3e-3) == pytest.approx(3e-3 * part, abs=1e-12)


def test_no_such_schedule():
    with pytest.raises(UnknownNameError, match="stable"):
        learning_rate("stabel", 0, 0.0, 1.0)


def test_each_parameter_has_one_group_and_only_matrices_shrink():
    model = build(preset("tiny"), torch.Generator().manual_seed(0))
    assert isinstance(make_optimizer(model, "paper"), torch.optim.Adam)
    groups = make_optimizer(model, "stable").param_groups
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    shrunk = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in shrunk}
    assert "decoder.layers.0.cross.queries.weight" in names
    assert not names & {"decoder.tokens.weight", "decoder.positions.weight", "decoder.output_bias"}
    assert all(p.ndim == 2 for g in groups if g["weight_decay"] for p in g["params"])
