"""Sampling: sequences drawn from the network under the grammar's mask; greedy at temperature 0.

Every bag is encoded once, and its C sequences look at it together. Complete sequences leave the batch, so the longest
do not hold up the rest. It knows tokens and logits, not expressions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.decoding.grammar import Grammar
from sr_accessor.errors import InputError
from sr_accessor.stopping import look
from sr_accessor.transformer.decoder import Memory
from sr_accessor.transformer.model import Transformer
from sr_accessor.transformer.tokenizer import layout

__all__ = ["Samples", "sample"]

#: The batch is made smaller when at most this part of its rows is still being written: copying the cache costs about
#: as much as two steps.
_COMPACT = 0.75


@dataclass(frozen=True)
class Samples:
    """Sequences of S bags.

    Parameters
    ----------
    tokens : (S, C, T) int64, without the opening EOS, padding after the end
    log_probability : (S, C) nats, under the grammar and at temperature 1
    """

    tokens: torch.Tensor
    log_probability: torch.Tensor


@torch.no_grad()
def sample(
    model: Transformer,
    memory: Memory,
    grammar: Grammar,
    *,
    samples: int,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Samples:
    """Draw `samples` sequences for every bag of `memory`; all of them complete expressions.

    Parameters
    ----------
    temperature : 0 takes the likeliest token (C > 1 then repeats it), 1 the network's own probabilities
    generator : on the memory's device; not needed at temperature 0

    Raises
    ------
    InputError : a temperature below 0 or not finite, or above 0 without a generator.
    """
    if not 0 <= temperature < float("inf"):
        raise InputError(f"temperature={temperature}: must be a number from 0 (greedy) up")
    if temperature > 0 and generator is None:
        raise InputError("sampling needs an explicit generator; give one or use temperature=0")
    bags, device = len(memory), memory.device
    tokens = torch.full((bags * samples, grammar.length), grammar.pad, dtype=torch.int64, device=device)
    scores = torch.zeros(bags * samples, device=device)
    rows = torch.arange(bags * samples, device=device).view(bags, samples)  # where each written row belongs
    state, cache = grammar.start(bags * samples), None
    last = torch.full((bags * samples, 1), layout(model.config).eos, dtype=torch.int64, device=device)
    for step in range(grammar.length):
        look()
        logits, cache = model.decode(last, memory, cache)
        logits = logits[:, -1].float().masked_fill(~grammar.mask(state), -torch.inf)
        if temperature == 0:
            chosen = logits.argmax(-1, keepdim=True)
        else:
            chosen = drawn(torch.softmax(logits / temperature, -1), generator)
        flat = rows.flatten()
        tokens[flat, step] = chosen[:, 0]
        scores[flat] += (logits.gather(1, chosen) - logits.logsumexp(-1, keepdim=True))[:, 0]
        state, last = grammar.advance(state, chosen[:, 0]), chosen
        alive = ~state.done.view(rows.shape)
        widest = int(alive.sum(1).max())  # one look per step at how far the batch is
        if widest == 0:
            break
        writing = alive.any(1)
        if widest * int(writing.sum()) <= _COMPACT * rows.numel():
            keep_bags = writing.nonzero()[:, 0]
            first = alive[keep_bags].long().argsort(dim=1, descending=True, stable=True)[:, :widest]
            at = (keep_bags[:, None] * rows.shape[1] + first).flatten()
            rows = rows[keep_bags].gather(1, first)
            state, cache, last = state.select(at), cache.select(at), last[at]
            if len(keep_bags) < len(memory):
                memory = memory.select(keep_bags)
    return Samples(tokens.view(bags, samples, -1), scores.view(bags, samples))


def drawn(probabilities: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(R, 1) a place of each row (R, V) with its probability; never one of probability 0.

    By inversion: `torch.multinomial` draws V random numbers per row and takes eight times as long on a CPU.
    """
    total = probabilities.cumsum(1)
    uniform = torch.rand(len(total), 1, generator=generator, dtype=total.dtype, device=total.device)
    below = torch.searchsorted(total, uniform * total[:, -1:], right=True)
    return torch.minimum(below, torch.searchsorted(total, total[:, -1:].contiguous()))  # u·total may round up to total
