"""Attention maps: those with which the encoder really computes, and nothing from masked points."""

import pytest
import torch

from sr_accessor.decoding.maps import attention_maps, draw_maps, maps_of
from sr_accessor.errors import InputError
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build
from sr_accessor.transformer.tokenizer import Points


@pytest.mark.parametrize("norm", ["pre_rms", "post_layer"])
def test_the_maps_are_those_of_the_encoder(norm, monkeypatch):
    model = build(preset("tiny", norm=norm, encoder_layers=2), torch.Generator().manual_seed(0)).eval()
    features = torch.randn(3, 7, model.embedder.hidden.in_features, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3, [True] * 7])
    maps = attention_maps(model, Points(features, mask))
    assert maps.shape == (2, 3, 2, 7, 7)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 3, 2, 7))
    assert float(maps[:, 1, :, :, 4:].max()) == 0.0 < float(maps[:, 0, :, :, 4:].min())

    seen = []

    def attend(queries, keys, values, attn_mask=None, is_causal=False):
        seen.append(maps[len(seen)] @ values)
        return seen[-1]

    expected = model.encoder(model.embedder(features), mask)
    monkeypatch.setattr("sr_accessor.transformer.attention.scaled_dot_product_attention", attend)
    torch.testing.assert_close(model.encoder(model.embedder(features), mask), expected)
    assert len(seen) == 2


def test_a_panel_for_every_head():
    page = draw_maps(torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)), "x")
    assert len(page.axes) == 6 and page.axes[1].get_title() == "head 2" and page.axes[3].get_ylabel() == "layer 2"


def test_rows_in_the_order_of_a_column_in_any_units():
    model = build(preset("tiny"), torch.Generator().manual_seed(0)).eval()
    x = torch.rand(90, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1
    y, known = x[:, 0] * x[:, 1], Vocabulary(ELEMENTARY)
    maps = maps_of(model, x, y, known, column=1)
    assert maps.shape == (1, 2, 40, 40)  # as many as it reads
    shuffled = torch.randperm(90, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(maps_of(model, 4 * x[shuffled], 2 * y[shuffled], known, column=1), maps)
    with pytest.raises(InputError, match="at most 4"):
        maps_of(model, x.repeat(1, 3), y, known)
