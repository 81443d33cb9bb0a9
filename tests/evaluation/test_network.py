"""Finders and their measures, on laws that are known and on networks that know nothing."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from click.testing import CliRunner

from sr_accessor.device import generator
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.finders import beam_proposals, find_within, prior_proposals
from sr_accessor.evaluation.functions import functions_of, recovered
from sr_accessor.evaluation.network import constants_within, recovery, recovery_table
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.training.stream import Source, held_out
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build
from sr_accessor.transformer.tokenizer import Tokenizer, layout

VOCABULARY = Vocabulary(ELEMENTARY)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    checkpoint.save(build(preset("tiny"), generator(0)), path)
    return path


def law(text):
    return parse(text, VOCABULARY, ["a", "b"], numbers="literal").freed()


def proposals(*texts):
    def begin(x, y, random):
        rounds = iter(texts)
        return lambda: law(next(rounds))

    return begin


def points(count=60):
    x = 0.5 + torch.rand(count, 2, generator=generator(1), dtype=torch.float64)
    return x, 3.7 * x[:, 0] * torch.exp(-x[:, 1]) + 0.2


def test_refinement_makes_a_right_form_exact_and_ends_the_search():
    x, y = points()
    proposed = proposals("1.0*a + 2.0*b", "1.0*a*exp(-1.0*b) + 1.0", "a + b")
    found = find_within(proposed, x, y, 60.0, generator(0))
    assert found.candidates == 2 and found.seconds < 30
    assert found.law.constants[0].tolist() == pytest.approx([3.7, -1.0, 0.2])
    raw = find_within(proposals("1.0*a + 2.0*b", "1.0*a*exp(-1.0*b) + 1.0"), x, y, 0.0, generator(0), refine=False)
    assert raw.candidates == 1 and raw.law.constants[0].tolist() == [1.0, 2.0]


def test_no_valid_candidate_is_no_law():
    x, y = points()
    assert find_within(proposals("log(0 - a)"), x, y, 0.0, generator(0)).law is None


def test_beams_grow_and_are_complete():
    x, y = points()
    propose = beam_proposals(build(preset("tiny"), generator(0)), VOCABULARY)(x, y, generator(0))
    narrow, wide = propose(), propose()
    assert len(narrow) < len(wide) and bool(wide.well_formed.all())


def test_functions_are_the_same_again_and_recovered_by_themselves_only():
    some = functions_of("science", 12, VOCABULARY, seed=3, variables=4)
    again = functions_of("science", 12, VOCABULARY, seed=3, variables=4)
    for f, g in zip(some, again, strict=True):
        assert torch.equal(f.x, g.x) and torch.equal(f.fresh_y, g.fresh_y) and f.x.shape[1] <= 4
        assert len(f.fresh_x) >= 10 and len(f.x) >= 20
        assert recovered(f.law, f) == (True, True)
        assert recovered(None, f) == (False, False)
        wobble = torch.arange(len(f.fresh_y), dtype=f.fresh_y.dtype).cos()
        spoilt = replace(f, fresh_y=f.fresh_y + 1e-3 * f.fresh_y.std() * wobble)
        assert recovered(f.law, spoilt) == (False, True)
    other = functions_of("science", 1, VOCABULARY, seed=4)
    assert not torch.equal(other[0].x, some[0].x)


class Knows:
    """A network that writes the targets, their numbers spoilt in a given share of the batches."""

    def __init__(self, config, batches, shift):
        self.config, self.known, self.shift = config, {id(b.points): b.tokens for b in batches}, shift

    def __call__(self, points, tokens):
        ids = layout(self.config)
        truth = self.known[id(points)][:, 1:]
        mantissa = (truth >= ids.mantissa) & (truth < ids.exponent)
        moved = ids.mantissa + (truth - ids.mantissa + self.shift) % 100
        return torch.nn.functional.one_hot(torch.where(mantissa, moved, truth), ids.size).float()


@pytest.mark.parametrize(("shift", "low", "high"), [(0, 1.0, 1.0), (1, 0.9, 1.0), (50, 0.0, 0.0)])
def test_constants_within(shift, low, high):
    config = preset("tiny")
    source = Source("science", Tokenizer(config, VOCABULARY), torch.device("cpu"))
    batches = held_out(source, 100)
    assert low <= constants_within(Knows(config, batches, shift), batches) <= high


def test_finders_alternate_and_are_counted():
    some = functions_of("science", 2, VOCABULARY, seed=0, variables=2)
    finders = {"a": partial(find_within, prior_proposals("science", VOCABULARY)), "truth": None}
    finders["truth"] = lambda x, y, seconds, random: find_within(
        lambda *_: lambda: next(f.law for f in some if torch.equal(f.x, x)), x, y, seconds, random
    )
    rows = recovery(finders, some, 0.0, seed=0)
    assert rows["finder"].tolist() == ["a", "truth", "a", "truth"]
    table = recovery_table(rows).set_index("finder")
    assert table.loc["truth", "exact"].startswith("2/2 100%") and table.loc["truth", "candidates"] == "1"


def test_the_command_prints_every_measure(weights, tmp_path):
    report = tmp_path / "report.txt"
    options = f"--weights {weights} --functions 2 --seconds 0 --validation 60 --report {report}".split()
    done = CliRunner().invoke(commands, ["network", *options])
    assert done.exit_code == 0, done.output
    assert "greedy: complete expressions" in done.output and "2/2" in done.output
    for name in ("network + refinement", "network, beams + refinement", "prior samples + refinement"):
        assert name in done.output
    assert "constants within 10%" in done.output
    assert report.read_text() == done.output


def test_the_gate_lets_only_better_weights_pass(weights):
    options = f"--gate prior {weights} --functions 2 --seconds 0 --visible 2".split()
    done = CliRunner().invoke(commands, ["network", *options])
    assert done.exit_code == 1, done.output
    assert "NOT PASSED" in done.output and "visible pack: " in done.output and "held-out science: " in done.output


def test_one_table_at_a_time(weights):
    done = CliRunner().invoke(commands, ["network", "--gate", "prior", str(weights), "--fit", "2"])
    assert done.exit_code == 2 and "--gate and --fit are different tables" in done.output
