"""New operators: a network that has grown is the old one at first; drafts are counted; other networks are refused."""

import pytest
import sympy
import torch
from click.testing import CliRunner

from sr_accessor.device import generator
from sr_accessor.evaluation import new_operators
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.plugins.manager import only, register_operator
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build, with_operators


@pytest.fixture
def weights(tmp_path):
    old = build(preset("tiny"), generator(0))
    checkpoint.save(old, tmp_path / "old.safetensors")
    grown = with_operators(old, ("bump",), generator(1))
    checkpoint.save(grown, tmp_path / "new.safetensors")
    with torch.no_grad():
        grown.decoder.output_bias[-1] = 8.0
    checkpoint.save(grown, tmp_path / "eager.safetensors")
    with only():
        register_operator("bump", torch=lambda x: torch.exp(-x * x), sympy=lambda x: sympy.exp(-(x**2)))
        yield tmp_path


def asked(weights, network, *more):
    options = ["new-operators", str(weights / network), "--before", str(weights / "old.safetensors")]
    return CliRunner().invoke(commands, [*options, "--functions", "2", "--validation", "30", "--samples", "20", *more])


def test_what_it_prints(weights):
    done = asked(weights, "eager.safetensors")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("  bump")]
    shares = [float(word[:-1]) for word in line.split() if word.endswith("%")]
    assert max(shares) > 0 and line.count("(2") == 2
    assert "at most 5%: no" in done.stdout and "->" in done.stdout


def test_a_network_that_has_only_grown_has_lost_little(weights):
    before, after = (checkpoint.load(weights / f"{name}.safetensors").model for name in ("old", "new"))
    first, last = new_operators.old_loss(before, after, "science", 40)
    assert first < last < 1.05 * first


def test_a_network_without_new_operators_is_refused(weights):
    done = asked(weights, "old.safetensors")
    assert "train it --from that" in str(done.exception)
