"""The public fit with and without a network: rows, marks and sums."""

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from sr_accessor.device import generator
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.functions import Function
from sr_accessor.evaluation.side_by_side import fit_both, side_by_side
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build

VOCABULARY = Vocabulary(ELEMENTARY)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    checkpoint.save(build(preset("tiny"), generator(0)), path)
    return str(path)


def test_both_fits_of_a_function_stand_below_its_truth(weights):
    law = parse("2.5*x0/x1", VOCABULARY, ["x0", "x1"], numbers="literal").freed()
    x = torch.rand(60, 2, generator=generator(0), dtype=torch.float64) + 0.5
    some = [Function.of(law, x, evaluate(law, x)[0][0], generator(0))]
    rows = fit_both(some, weights, 5.0, seed=0)
    assert rows["network"].tolist() == [weights, "None"] and rows["exact"].all() and rows["close"].all()
    assert rows["origin"].str.len().all() and rows["seconds"].between(0, 20).all()
    lines = side_by_side(rows).splitlines()
    assert lines[0].split() == ["1", "truth", "2.5*x0/x1"]
    assert lines[1].startswith("    network  ") and lines[2].startswith("    network=None") and "exact" in lines[2]


def test_sums():
    given = dict(truth="x0", exact=[True, False, False, False], close=[True, True, False, False], seconds=2.0)
    origin = ["network, residual", "linear", "linear", "linear"]
    rows = pd.DataFrame(dict(function=[0, 0, 1, 1], network=["n", "None"] * 2, law="x0" * 60, origin=origin, **given))
    *above, one, none = side_by_side(rows).splitlines()
    assert one.startswith("network=n: exact 1/2") and "R2>0.999 1/2" in one and "by the network 1/2" in one
    assert none.startswith("network=None: exact 0/2") and "R2>0.999 1/2" in none and "by the network 0/2" in none
    assert max(map(len, above)) < 140 and "…" in above[1] and "R2>0.999" in above[2]


def test_the_command(weights):
    done = CliRunner().invoke(commands, ["network", "--weights", weights, "--fit", "1", "--seconds", "0.5"])
    assert done.exit_code == 0, done.output
    assert done.output.count("truth") == 1 and "network=None: exact" in done.output and "budget 0.5 s" in done.output
