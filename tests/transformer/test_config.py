"""The presets have the sizes they claim; configurations from outside are checked field by field."""

import pytest
import torch

from sr_accessor.errors import LoadError, UnknownNameError
from sr_accessor.transformer.config import PRESETS, TransformerConfig, preset
from sr_accessor.transformer.model import Transformer
from sr_accessor.transformer.tokenizer import input_size, layout


def on_meta(name: str) -> Transformer:
    with torch.device("meta"):
        return Transformer(preset(name))


def count(module: torch.nn.Module | torch.nn.Parameter) -> int:
    if isinstance(module, torch.nn.Parameter):
        return module.numel()
    return sum(p.numel() for p in module.parameters())


def test_paper_is_the_published_network_to_the_parameter():
    """Every row of the count table of system.md §3."""
    model = on_meta("paper")
    embedder, encoder, decoder = model.embedder, model.encoder, model.decoder
    assert input_size(model.config) == 10_218 and layout(model.config).size == 10_292
    assert count(embedder.table) == 653_952
    assert count(embedder.hidden) == 4_462_656
    assert count(embedder.output) == 1_081_856
    assert count(embedder) == 6_198_464
    assert [count(layer) for layer in encoder.layers] == [3_152_384] * 4
    assert count(encoder.norm) == 1_024
    assert count(encoder) == 12_610_560
    assert [count(layer) for layer in decoder.layers] == [4_204_032] * 16
    assert count(decoder.layers) == 67_264_512
    assert count(decoder.norm) + count(decoder.output_bias) == 11_316
    assert count(decoder.tokens) == 5_269_504
    assert count(decoder.positions) == 2_097_152
    assert count(model) - count(decoder.tokens) - count(decoder.positions) == 86_084_852
    assert count(model) == 93_451_508


def test_the_other_presets_keep_within_their_bounds():
    base, small, mini = on_meta("base"), on_meta("small"), on_meta("mini")
    assert count(base) <= 12_000_000 and 2 * count(base) < 25_000_000  # bytes in half precision
    assert 2_500_000 < count(small) < 3_500_000 and 1_000_000 < count(mini) < 1_300_000
    assert layout(base.config).size <= 600
    assert base.config.decoder_layers > base.config.encoder_layers


@pytest.mark.parametrize("name", PRESETS)
def test_no_two_tokens_share_an_id(name):
    config = preset(name)
    ids = layout(config)
    taken = [ids.pad, ids.eos, ids.constant, *ids.numbers, *ids.literals, *ids.operators]
    if config.numbers == "triples":
        taken += range(ids.mantissa, ids.mantissa + 10**config.mantissa_digits)
        taken += range(ids.exponent, ids.exponent + config.highest_exponent - config.lowest_exponent + 1)
    taken += range(ids.variable, ids.variable + config.variables)
    assert len(set(taken)) == len(taken)
    assert min(taken) >= 0 and max(taken) < ids.size


@pytest.mark.parametrize("name", PRESETS)
def test_ids_only_grow(name):
    config = preset(name)
    before, after = layout(config), layout(config.replace(operators=(*config.operators, "erfcx", "gamma")))
    assert after.operators[: len(before.operators)] == before.operators
    assert after.operators[len(before.operators) :] == (before.size, before.size + 1)
    assert (after.eos, after.numbers, after.mantissa, after.literals) == (
        before.eos, before.numbers, before.mantissa, before.literals,
    )  # fmt: skip


def test_a_configuration_survives_its_dictionary():
    for config in PRESETS.values():
        assert TransformerConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    "change, told",
    [
        ({"width": 10**12}, "width"),
        ({"decoder_layers": 60_000}, "decoder_layers"),
        ({"heads": 7}, "multiple"),
        ({"length": 500}, "positions"),
        ({"layers": 3}, "unknown"),
        ({"width": "__import__('os')"}, "width"),
        ({"operators": ["add", "add"]}, "operators"),
        ({"literals": ["1/0"]}, "literals"),
        ({"norm": "batch"}, "norm"),
        ({"bias": 1}, "bias"),
        ({"mantissa_digits": 9}, "mantissa_digits"),
    ],
)
def test_impossible_sizes_are_named(change, told):
    with pytest.raises(LoadError, match=told):
        TransformerConfig.from_dict({**preset("tiny").to_dict(), **change})


def test_an_unknown_preset_gets_a_hint():
    with pytest.raises(UnknownNameError, match="'base'"):
        preset("bose")
