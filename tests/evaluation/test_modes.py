"""The paper's four modes: what each keeps of a draft, what counts as a failure, and their table."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sr_accessor.device import generator
from sr_accessor.errors import InputError
from sr_accessor.evaluation import modes
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.functions import Function, functions_in_own_units, functions_of, recovered
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
    folder = tmp_path_factory.mktemp("weights")
    for name, targets in (("e2e", "e2e"), ("skeleton", "skeleton")):
        checkpoint.save(build(preset("tiny", targets=targets), generator(0)), folder / f"{name}.safetensors")
    return folder


def law(text):
    return parse(text, VOCABULARY, ["a", "b"], numbers="literal").freed()


def function(text="sin(10.0*a)*exp(0.1*b)"):
    """The paper's example of Table 1."""
    x = torch.rand(90, 2, generator=generator(3), dtype=torch.float64) * 4 - 2
    return Function.of(law(text), x, evaluate(law(text), x)[0][0], generator(0))


@pytest.fixture
def drafts(monkeypatch):
    """What "the network" writes; its numbers are replaced where the mode asks for that."""

    def give(text):
        def draft(model, x, y, *, generator, random_start, **options):
            written = law(text)
            start = torch.randn(written.constants.shape, generator=generator, dtype=torch.float64)
            return SimpleNamespace(expressions=written.with_constants(start) if random_start else written)

        monkeypatch.setattr(modes, "draft", draft)

    return give


def test_first_constants_decide_where_bfgs_ends(drafts):
    drafts("sin(9.9*a)*exp(0.15*b)")
    f, model = function(), None
    found = {
        name: modes.Mode(name, model, **how).law(f.x, f.y, VOCABULARY, generator(0))
        for name, how in {
            "raw": dict(refined=False),
            "random": dict(refined=True, random_start=True),
            "own": dict(refined=True),
        }.items()
    }
    assert found["raw"].constants.tolist() == [[9.9, 0.15]]
    assert recovered(found["random"], f) == (False, False)
    assert found["own"].constants[0].tolist() == pytest.approx([10.0, 0.1], rel=1e-5)


@pytest.mark.filterwarnings("error")
def test_a_mode_without_a_valid_draft_has_no_law(drafts):
    drafts("log(-1.0 - a*a)")
    f = function()
    for refined in (False, True):
        assert modes.Mode("m", None, refined).law(f.x, f.y, VOCABULARY, generator(0)) is None


def test_failures_stay_in_the_means():
    f = function("a + 2.0")
    right, five_percent_off = modes._scores(f.law, f), modes._scores(f.law * law("1.05"), f)
    assert right == {"R2": 1.0, "Acc 0.1": True, "Acc 0.01": True, "Acc 0.001": True, "no law": False}
    assert five_percent_off["Acc 0.1"] and not five_percent_off["Acc 0.01"] and 0.9 < five_percent_off["R2"] < 1
    nothing = {"R2": 0.0, "Acc 0.1": False, "Acc 0.01": False, "Acc 0.001": False}
    assert modes._scores(None, f) == nothing | {"no law": True}
    assert modes._scores(law("sqrt(a)"), f) == nothing | {"no law": False}
    assert modes._scores(law("1000.0*a"), f)["R2"] == 0.0  # negative, cut as published


def test_modes_share_their_drafts_and_every_function_counts(weights):
    some = functions_of("science", 3, VOCABULARY, seed=0, variables=2)
    four = modes.modes_of(weights / "e2e.safetensors", weights / "skeleton.safetensors")
    rows = modes.judge_modes(four, some, VOCABULARY, seed=0)
    table = modes.modes_table(rows).set_index("mode")
    assert [m.name for m in four] == list(table.index) and table.index[0] == "skeleton + BFGS"
    assert rows["mode"].value_counts().eq(3).all()
    assert table["R2"].between(0, 1).all() and table["no law"].sum() == rows["no law"].sum()
    assert np.allclose(table["R2"], rows.groupby("mode", sort=False)["R2"].mean(), atol=1e-3)
    again = modes.judge_modes(four, some, VOCABULARY, seed=0)
    assert rows.drop(columns="processor s").equals(again.drop(columns="processor s"))


def test_weights_of_the_other_kind(weights):
    with pytest.raises(InputError, match="give it as --skeleton"):
        modes.modes_of(weights / "skeleton.safetensors")
    with pytest.raises(InputError, match="--targets skeleton"):
        modes.modes_of(weights / "e2e.safetensors", weights / "e2e.safetensors")


def test_the_command(weights):
    options = ["network", "--weights", str(weights / "e2e.safetensors"), "--modes", "--functions", "2"]
    done = CliRunner().invoke(commands, options)
    assert done.exit_code == 0, done.output
    assert "N(0,1) in place of its constants" in done.output and "not measured, it needs --skeleton" in done.output
    done = CliRunner().invoke(commands, [*options, "--skeleton", str(weights / "skeleton.safetensors")])
    assert done.exit_code == 0 and "skeleton + BFGS" in done.output and "not measured" not in done.output
    for wrong in ([*options, "--fit", "2"], ["network", "--skeleton", "f"]):
        assert CliRunner().invoke(commands, wrong).exit_code == 2


def test_functions_in_own_units_are_the_same_again_and_not_scaled():
    some = functions_in_own_units(8, VOCABULARY, seed=1, variables=4)
    for f, g in zip(some, functions_in_own_units(8, VOCABULARY, seed=1, variables=4), strict=True):
        assert torch.equal(f.x, g.x) and torch.equal(f.fresh_y, g.fresh_y) and f.x.shape[1] <= 4
        assert recovered(f.law, f) == (True, True) and len(f.y) >= 20 and len(f.fresh_y) >= 10
    sizes = torch.stack([f.y.square().mean().sqrt() for f in some])
    assert float(sizes.max() / sizes.min()) > 2
