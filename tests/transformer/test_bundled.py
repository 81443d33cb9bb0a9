"""The bundled weights: what is promised of them, and that they read points."""

import torch

from sr_accessor.device import generator
from sr_accessor.evaluation.finders import find_within, network_proposals
from sr_accessor.evaluation.functions import RECOVERED
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.training.distributed import World
from sr_accessor.training.precision import choose
from sr_accessor.training.stream import Source, held_out
from sr_accessor.training.validation import validate
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.tokenizer import Tokenizer

CPU = torch.device("cpu")
PATH = checkpoint.find("default")
BUNDLED = checkpoint.load("default")


def test_one_small_file_with_its_card():
    assert PATH.stat().st_size <= 25_000_000 and PATH.parent.name == "weights"
    assert {p.name for p in PATH.parent.iterdir()} >= {"MODEL_CARD.md", "SHA256SUMS", "default.safetensors"}
    card = (PATH.parent / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert checkpoint.file_sha256(PATH) in card and "gate: PASSED" in card
    assert f"{BUNDLED.provenance['examples']:,}" in card


def test_it_is_read_without_drawing_first_values(monkeypatch):
    monkeypatch.setattr(torch.nn.init, "normal_", None)  # on the meta device it would load torch's compiler
    assert checkpoint.load("default").provenance == BUNDLED.provenance


def test_it_reads_the_points():
    model = BUNDLED.model
    known = vocabulary().restricted(model.config.operators)
    batches = held_out(Source("science", Tokenizer(model.config, known), CPU), 200)
    found = validate(model, batches, World(0, 1, CPU), choose(CPU, "float32"))
    assert found.own < found.other - 0.3


def test_it_finds_a_law():
    x = 0.5 + 3 * torch.rand(100, 2, generator=generator(1), dtype=torch.float64)
    y = 5.0 * x[:, 0] / (x[:, 1] + 1.5)
    found = find_within(network_proposals(BUNDLED.model, vocabulary()), x, y, 5.0, generator(0))
    assert ((evaluate(found.law, x)[0][0] - y) ** 2).sum() <= RECOVERED * (y * y).sum()


def test_the_pair_is_small_and_has_learnt_from_the_same_examples():
    names = ("paper-e2e", "paper-skeleton")
    both = [checkpoint.load(name) for name in names]
    assert sum(checkpoint.find(name).stat().st_size for name in names) <= 8_000_000
    assert [found.model.config.targets for found in both] == ["e2e", "skeleton"]
    plans = [{k: v for k, v in found.provenance["plan"].items() if k != "targets"} for found in both]
    spent = [[found.provenance[k] for k in ("examples", "step", "tokens", "operations")] for found in both]
    assert plans[0] == plans[1] and plans[0]["prior"] == "paper" and spent[0] == spent[1]
    card = (PATH.parent / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert all(f"{count:,}" in card for count in spent[0][:3])
