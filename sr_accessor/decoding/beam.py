"""Beam search: the likeliest sequences of every bag under the grammar's mask.

Kept for comparison: beams differ mostly in digits of constants, and sampling finds more (system.md §5, §9).
"""

from __future__ import annotations

import torch

from sr_accessor.decoding.grammar import Grammar
from sr_accessor.decoding.sampling import Samples
from sr_accessor.errors import InputError
from sr_accessor.transformer.decoder import Memory
from sr_accessor.transformer.model import Transformer
from sr_accessor.transformer.tokenizer import layout

__all__ = ["beam"]


@torch.no_grad()
def beam(model: Transformer, memory: Memory, grammar: Grammar, *, width: int, length_penalty: float = 1.0) -> Samples:
    """The `width` best sequences of every bag, best first by log-probability / length^`length_penalty`.

    A complete sequence keeps its place in the beam until `width` better ones push it out. Where fewer than `width`
    sequences exist, the rest have log-probability -inf.

    Raises
    ------
    InputError : a width below 1.
    """
    if width < 1:
        raise InputError(f"width={width}: a beam holds at least one sequence")
    bags, device = len(memory), memory.device
    tokens = torch.full((bags * width, grammar.length), grammar.pad, dtype=torch.int64, device=device)
    scores = torch.full((bags, width), -torch.inf, device=device)
    scores[:, 0] = 0.0  # all start alike: only the first counts
    offset = torch.arange(bags, device=device)[:, None] * width
    state, cache = grammar.start(bags * width), None
    last = torch.full((bags * width, 1), layout(model.config).eos, dtype=torch.int64, device=device)
    for step in range(grammar.length):
        logits, cache = model.decode(last, memory, cache)
        logits = logits[:, -1].float().masked_fill(~grammar.mask(state), -torch.inf)
        total = scores[:, :, None] + torch.log_softmax(logits, -1).view(bags, width, -1)
        scores, best = total.flatten(1).topk(width)
        parent = (offset + best // total.shape[2]).flatten()
        chosen = (best % total.shape[2]).flatten()
        # A place that nothing could fill repeats its parent with a token that is allowed, at score -inf.
        chosen = torch.where(torch.isinf(scores.flatten()), logits[parent].argmax(-1), chosen)
        tokens, cache = tokens[parent], cache.select(parent)
        tokens[:, step] = chosen
        state, last = grammar.advance(state.select(parent), chosen), chosen[:, None]
        if bool(state.done.all()):
            break
    tokens = tokens.view(bags, width, -1)
    lengths = (tokens != grammar.pad).sum(-1)
    order = (scores / lengths**length_penalty).argsort(dim=1, descending=True, stable=True)
    return Samples(tokens.gather(1, order[..., None].expand_as(tokens)), scores.gather(1, order))
