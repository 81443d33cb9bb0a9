"""The paper's four modes: what each keeps of a draft, their names, and what counts as a failure."""

from types import SimpleNamespace

import pytest
import torch

from sr_accessor.device import generator
from sr_accessor.errors import InputError
from sr_accessor.evaluation import modes
from sr_accessor.evaluation.functions import Function, functions_in_own_units, recovered
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


def test_scores_of_failures():
    f = function("a + 2.0")

    def scores(found):
        return modes.scores(f.fresh_y.numpy(), modes.values_of(found, f.fresh_x))

    assert scores(f.law) == {"R2": 1.0, "Acc 0.1": True, "Acc 0.01": True, "Acc 0.001": True}
    five_percent_off = scores(f.law * law("1.05"))
    assert five_percent_off["Acc 0.1"] and not five_percent_off["Acc 0.01"] and 0.9 < five_percent_off["R2"] < 1
    nothing = {"R2": 0.0, "Acc 0.1": False, "Acc 0.01": False, "Acc 0.001": False}
    assert scores(None) == scores(law("sqrt(a)")) == nothing
    assert scores(law("1000.0*a"))["R2"] == 0.0  # negative, cut as published


def test_names_say_what_is_refined_and_how(weights):
    four = modes.modes_of(weights / "e2e.safetensors", weights / "skeleton.safetensors", "lm")
    assert [(m.name, m.refined, m.random_start) for m in four] == [
        ("skeleton + LM", True, False),
        ("E2E, no LM", False, False),
        ("E2E + LM, N(0,1) in place of its constants", True, True),
        ("E2E + LM from its constants", True, False),
    ]
    assert {m.refinement for m in four} == {"lm"} and four[0].model.config.targets == "skeleton"


def test_weights_of_the_other_kind(weights):
    with pytest.raises(InputError, match="give it as --skeleton"):
        modes.modes_of(weights / "skeleton.safetensors")
    with pytest.raises(InputError, match="--targets skeleton"):
        modes.modes_of(weights / "e2e.safetensors", weights / "e2e.safetensors")


def test_functions_in_own_units_are_the_same_again_and_not_scaled():
    some = functions_in_own_units(8, VOCABULARY, seed=1, variables=4)
    for f, g in zip(some, functions_in_own_units(8, VOCABULARY, seed=1, variables=4), strict=True):
        assert torch.equal(f.x, g.x) and torch.equal(f.fresh_y, g.fresh_y) and f.x.shape[1] <= 4
        assert recovered(f.law, f) == (True, True) and len(f.y) >= 20 and len(f.fresh_y) >= 10
    sizes = torch.stack([f.y.square().mean().sqrt() for f in some])
    assert float(sizes.max() / sizes.min()) > 2
