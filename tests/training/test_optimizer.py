"""Learning rates at stated steps; what Muon shrinks, and how long its steps are."""

import pytest
import torch

from sr_accessor.errors import UnknownNameError
from sr_accessor.training.optimizer import Muon, learning_rate, make_optimizer, orthogonal, paper_schedule
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
        ("adam", 10_000, 0.85, 0.5),
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
    assert all(isinstance(make_optimizer(model, name), torch.optim.Adam) for name in ("paper", "adam"))
    groups = make_optimizer(model, "stable").param_groups
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    shrunk = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in shrunk}
    assert "decoder.layers.0.cross.queries.weight" in names
    assert not names & {"decoder.tokens.weight", "decoder.positions.weight", "decoder.output_bias"}
    assert all(p.ndim == 2 for g in groups if g["weight_decay"] for p in g["params"])


def test_steps_of_matrices_are_orthogonal_and_of_the_size_of_adams():
    found = orthogonal(torch.randn(3, 24, 8, generator=torch.Generator().manual_seed(0)))
    assert found.shape == (3, 24, 8) and found.dtype == torch.float32
    singular = torch.linalg.svdvals(found)
    assert 0.6 < singular.min() and singular.max() < 1.3

    layer = torch.nn.Linear(64, 64)
    before = layer.weight.detach().clone()
    optimizer = Muon(layer)
    layer(torch.randn(100, 64, generator=torch.Generator().manual_seed(1))).square().sum().backward()
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    optimizer.step()
    moved = (layer.weight.detach() - before * (1 - 0.01 * Muon.DECAY)).square().mean().sqrt()
    assert 0.1 * 0.01 < moved < 0.3 * 0.01  # Adam's steps are 0.2 to 0.4 of the rate [Liu et al. 2025, §2.2]


def test_muon_solves_a_stretched_problem():
    generator = torch.Generator().manual_seed(0)
    stretched = torch.linspace(0, -3, 16).exp() * torch.randn(200, 16, generator=generator)
    layer, target = torch.nn.Linear(16, 16, bias=False), torch.randn(16, 16, generator=generator)
    with torch.no_grad():
        layer.weight.zero_()
    optimizer, losses = Muon(layer), []
    for step in range(150):
        loss = (layer(stretched) - stretched @ target.T).square().mean()
        losses.append(loss.item())
        loss.backward()
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 150)
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.1 * losses[0]
