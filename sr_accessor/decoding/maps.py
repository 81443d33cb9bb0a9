"""Attention maps of the encoder: what every point of a bag looks at, by layer and head, and a picture of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sr_accessor.decoding import scaling
from sr_accessor.display import figure
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.transformer.model import Transformer
from sr_accessor.transformer.tokenizer import Points, Tokenizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["attention_maps", "draw_maps", "maps_of"]


@torch.no_grad()
def attention_maps(model: Transformer, points: Points) -> torch.Tensor:
    """(layers, B, H, N, N) weights of the encoder's self-attention: row = the point that looks, each sums to 1.

    Source: figure 3 of Kamienny et al. 2022; system.md §7.
    """
    encoder, mask = model.encoder, points.mask
    looked_at = None if mask is None else mask[:, None, None, :]
    x = model.embedder(points.features)
    x = encoder.norm(x) if encoder.post else x
    maps = []
    for layer in encoder.layers:
        maps.append(layer.attention.weights(x if encoder.post else layer.attention_norm(x), looked_at))
        x = layer(x, looked_at)
    return torch.stack(maps)


def maps_of(model: Transformer, x: torch.Tensor, y: torch.Tensor, known: Vocabulary, column: int = 0) -> torch.Tensor:
    """(layers, H, N, N) for one bag of the user's rows x (N, D), y (N,), in the order of one column.

    More rows than the network reads are thinned evenly; `known` has the operators that it writes.

    Raises
    ------
    InputError : more columns than the network reads.
    """
    order = x[:, column].argsort(stable=True)
    most = model.config.points
    if len(order) > most:
        order = order[torch.linspace(0, len(order) - 1, most, device=x.device).round().long()]
    x, y = x[order][None], y[order][None]
    scaled = scaling.fit(x, y, kind=model.config.scaling)
    tokenizer = Tokenizer(model.config, known.restricted(model.config.operators))
    return attention_maps(model, tokenizer.encode_points(*scaled.apply(x, y)))[:, 0].cpu()


def draw_maps(maps: torch.Tensor, label: str) -> Figure:
    """One panel per layer (down) and head (across), as dark as the weight, each panel on its own scale.

    Parameters
    ----------
    maps : (layers, H, N, N), points in the order of the input
    label : of that input

    Raises
    ------
    MissingDependencyError : matplotlib is not installed.
    """
    layers, heads = maps.shape[:2]
    label, page = figure.literal(label), figure.page(2.2 * heads + 0.6, 2.2 * layers + 0.6)
    panels = page.subplots(layers, heads, squeeze=False, sharex=True, sharey=True)
    for i in range(layers):
        for j in range(heads):
            panels[i, j].imshow(maps[i, j].numpy(), cmap="magma_r", origin="lower", interpolation="nearest")
            panels[i, j].set(xticks=[], yticks=[])
            if not i:
                panels[i, j].set_title(f"head {j + 1}", fontsize="small")
        panels[i, 0].set_ylabel(f"layer {i + 1}")
    page.supxlabel(f"point that is looked at, by {label}", fontsize="small")
    page.supylabel(f"point that looks, by {label}", fontsize="small")
    return page
